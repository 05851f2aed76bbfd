"""The machine: what it is, and how fast it is at the moment, so that figures from different days and machines can be
compared."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import psutil
from redis import Redis

from benchmarks import load
from benchmarks.provider import Provider
from local import valkey

TRIPS = 300


def machine() -> dict[str, object]:
    """The machine that is measured on."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def described(about: dict[str, object]) -> str:
    """The machine and the time of a run, in a sentence."""
    return (
        f"Measured {str(about['at'])[:10]} on {about['machine']}, Python {about['python']}, load {about['load']} "
        "before it began."
    )


def client(server: valkey.Valkey) -> Redis:
    """A client of a Valkey that decodes answers."""
    return Redis(port=server.port, password=server.password, decode_responses=True)


def measure_yardstick(provider: Provider, redis: Redis) -> float:
    """Trips a second: a request to the stub and a Redis command, one after the other; the best of three.

    Args:
        provider: the stub; forgets what it has.
        redis: any client.
    """
    provider.set()
    best = 0.0
    for _ in range(3):
        answers = load.post_all(
            provider.port, "/emails", [{"tags": [{"name": "email_id", "value": "yardstick"}]}] * TRIPS, connections=1
        )
        began = time.perf_counter()
        for _ in range(TRIPS):
            redis.ping()
        best = max(best, TRIPS / (answers.seconds + time.perf_counter() - began))
    provider.set()
    return best


def yardstick(stub: Provider, directory: Path) -> float:
    """How fast this machine is at the moment, see `measure_yardstick`."""
    with valkey.serve(directory / "yardstick") as server:
        found = measure_yardstick(stub, client(server))
    print(
        f"yardstick: {found:,.0f} trips/s (one request to the stub and one to Redis, one after the other)", flush=True
    )
    return found
