"""The attackers: floods of sign-ups, bodies that never end, and sign-ups that fill what may be held."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import replace

from benchmarks import campaigns, load
from benchmarks.size import Pipelined
from local.trial import Trial
from shared.core.settings import Settings
from shared.domain.catalog import Catalog
from shared.domain.forms import SignUp
from shared.domain.visitors import Visitor
from shared.intake.context import Intake
from shared.intake.enrolling import sign_up

PER_SECOND = 100
CAMPAIGN = "once"  # whose email leaves at once
SLOW = 200  # bodies held open
MOST_HELD = 20_000
AT_ONCE = 200  # sign-ups in one pipeline
# An assessment that would have the owner told of an urgent lead.
FORM = {"first_name": "Eve", "assessment_score": 5, "red_systems": 7, "consent": True, "consent_text": "Yes. " * 20}


def networks(count: int) -> list[str]:
    """That many addresses, each of another network, of those that are reserved for benchmarks."""
    return [f"198.{18 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}" for number in range(count)]


def address() -> str:
    """A mailbox that no one has used before."""
    return f"a{random.getrandbits(64):x}@example.com"


def flood(port: int, seconds: float, count: int) -> Counter[int]:
    """Sign up PER_SECOND new addresses a second; returns how often each status came.

    Args:
        port: of the gateway.
        seconds: for how long.
        count: of the networks that they come from.
    """
    forms = [FORM | {"email": address()} for _ in range(round(seconds * PER_SECOND))]
    path = f"/webhook/{campaigns.TRIGGERS[CAMPAIGN]}"
    return load.post_all(port, path, forms, per_second=PER_SECOND, visitors=networks(count)).statuses


def hold_bodies(port: int, seconds: float) -> Counter[int]:
    """Keep SLOW requests open whose bodies do not arrive, each again when it is given up; returns how often each status
    came, 0 where the end of the attack came first.

    Args:
        port: of the gateway.
        seconds: for how long.
    """
    return asyncio.run(_hold_bodies(port, seconds))


async def _hold_bodies(port: int, seconds: float) -> Counter[int]:
    statuses, until = Counter[int](), time.monotonic() + seconds

    async def hold(visitor: str) -> None:
        while (left := until - time.monotonic()) > 0:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                f"POST /webhook/signup HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {visitor}\r\nContent-Type: "
                "application/json\r\nContent-Length: 60000\r\n\r\n{".encode()
            )
            try:
                answer = await asyncio.wait_for(reader.read(), left)
            except TimeoutError:
                answer = b""
            statuses[int(answer.split(b" ", 2)[1]) if answer else 0] += 1
            writer.close()

    await asyncio.gather(*map(hold, networks(SLOW)))
    return statuses


def fill_held(trial: Trial, catalog: Catalog) -> None:
    """Have as many sign-ups held as can be, from many networks; the owner is not told, as no ceiling is passed."""
    found = Settings(challenge="always", challenge_key="a key of the benchmark, for no challenge at all")
    redis, visitors = trial.redis(), networks(10_000)
    for first in range(0, MOST_HELD, AT_ONCE):
        pipe = redis.pipeline(transaction=False)
        intake = Intake(Pipelined(pipe), catalog, found, round(time.time() * 1000), "benchmark")
        for number in range(first, first + AT_ONCE):
            where = f"{visitors[number % len(visitors)]}/32"
            form = SignUp.model_validate_json(json.dumps(FORM | {"email": address()}))
            visited = replace(intake, visitor=Visitor(where, (where,)), network=where)
            sign_up(form, trigger=campaigns.TRIGGERS[CAMPAIGN], intake=visited)
        pipe.execute()
