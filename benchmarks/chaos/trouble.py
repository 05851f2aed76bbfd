"""What goes wrong during a chaos run: parts killed with -9 or suspended, a Redis that is full, and providers that fail
in every way."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests
from redis.exceptions import RedisError

Fault = Mapping[str, Any]
RESEND: Mapping[str, Fault] = {
    "500": {"kind": "status", "status": 500},
    "timeout before accepting": {"kind": "timeout-before", "delay_ms": 5000},
    "timeout after accepting": {"kind": "timeout-after", "delay_ms": 5000},
    "429": {"kind": "status", "status": 429, "retry_after": 1},
    "disconnect before accepting": {"kind": "disconnect"},
    "disconnect after accepting": {"kind": "disconnect", "after": True},
    "accepted, answered 503": {"kind": "commit-then-503"},
    "slow": {"kind": "slow", "delay_ms": 900},
    "slower than the timeout": {"kind": "slow", "delay_ms": 3500},
    "an HTML page as 200": {"kind": "status", "status": 200, "body": "html"},
    "an HTML page as 502": {"kind": "status", "status": 502, "body": "html"},
    "quota used up": {"kind": "quota", "count": 1},
}
NOTION: Mapping[str, Fault] = {
    "500": {"kind": "status", "status": 500},
    "409": {"kind": "status", "status": 409},
    "timeout before saving": {"kind": "timeout-before", "delay_ms": 4000},
    "timeout after saving": {"kind": "timeout-after", "delay_ms": 4000},
    "429": {"kind": "quota", "retry_after": 1},
    "disconnect before saving": {"kind": "disconnect"},
    "disconnect after saving": {"kind": "disconnect", "after": True},
    "saved, answered 503": {"kind": "commit-then-503"},
    "slow": {"kind": "slow", "delay_ms": 1500},
    "an HTML page as 200": {"kind": "status", "status": 200, "body": "html"},
}
BACK_WITHIN = 30.0  # seconds
FULL_EVERY, FULL_FOR = (1.0, 5.0), (0.1, 1.2)  # seconds


@dataclass
class Trouble:
    """Runs in threads until `stop`; what went wrong with it is in `broken` then.

    Attributes:
        sandbox_url: where faults are set.
        pids: the process of each part, now.
        victims: the parts that are killed.
        redis_dies_for: seconds; Redis is not killed after that, so that emails go in batches again.
        start_sending: what the owner does when the quota is raised.
        pause: seconds from kill to kill, at least and at most.
        between_faults: the same from one fault's end to the next.
        fill: makes Redis full, or lets it have memory again.
        meets: requests that a fault meets at most.
        lease: seconds; a suspended part sleeps for longer.
        seed: of all that happens by chance.
    """

    sandbox_url: str
    pids: Callable[[], Mapping[str, int]]
    victims: tuple[str, ...]
    redis_dies_for: float
    start_sending: Callable[[], None]
    pause: tuple[float, float]
    between_faults: tuple[float, float]
    fill: Callable[[bool], object]
    meets: int
    lease: float
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    suspended: Counter[str] = field(default_factory=Counter)
    fills: int = 0
    faults: dict[str, Counter[str]] = field(default_factory=lambda: {"resend": Counter(), "notion": Counter()})
    broken: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin."""
        self._thread("killing", self._kill)
        self._thread("filling", self._fill)
        self._thread("failing at Resend", self._fail, "resend", RESEND)
        self._thread("failing at Notion", self._fail, "notion", NOTION)

    def stop(self) -> None:
        """Let everything work again, and wait until it is so."""
        self.broken += [
            f"{thread.name} ended early"
            for thread in self._threads
            if not thread.is_alive() and thread.name != "suspending"
        ]
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        requests.delete(f"{self.sandbox_url}/faults", timeout=30).raise_for_status()

    def _thread(self, name: str, target: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=target, args=args, name=name, daemon=True))
        self._threads[-1].start()

    def _kill(self) -> None:
        """Kill part after part, each as often as the others; now and then one is suspended for longer than a lease
        instead."""
        chance, bag = random.Random(f"{self.seed} kills"), list[str]()
        redis_lives_from = time.monotonic() + self.redis_dies_for
        while not self._stop.wait(chance.uniform(*self.pause)):
            bag = bag or chance.sample(self.victims, len(self.victims))
            victim = bag.pop()
            if victim == "valkey" and time.monotonic() > redis_lives_from:
                continue
            pid = self.pids()[victim]
            if victim != "valkey" and chance.random() < 0.15:
                self._thread("suspending", self._suspend, victim, pid, chance.uniform(1.1, 1.6) * self.lease)
                continue
            os.kill(pid, signal.SIGKILL)
            self.kills[victim] += 1
            if not self._is_back(victim, pid):
                self.broken.append(f"{victim} did not come back")

    def _suspend(self, victim: str, pid: int, seconds: float) -> None:
        self.suspended[victim] += 1
        with suppress(ProcessLookupError):  # it may be killed meanwhile
            os.killpg(pid, signal.SIGSTOP)
            self._stop.wait(seconds)
            os.killpg(pid, signal.SIGCONT)

    def _fill(self) -> None:
        """Now and then Redis takes nothing more for a moment; it may be dead just then."""
        chance = random.Random(f"{self.seed} fills")
        while not self._stop.wait(chance.uniform(*FULL_EVERY)):
            with suppress(RedisError):
                self.fill(True)
                self.fills += 1
                self._stop.wait(chance.uniform(*FULL_FOR))
            self._until_it_has_memory()

    def _until_it_has_memory(self) -> None:
        while True:
            try:
                self.fill(False)
                return
            except RedisError:
                time.sleep(0.1)  # it starts again

    def _is_back(self, victim: str, before: int) -> bool:
        deadline = time.monotonic() + BACK_WITHIN
        while self.pids().get(victim, before) == before:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _fail(self, provider: str, kinds: Mapping[str, Fault]) -> None:
        """Set fault after fault, each of every kind in turn, for some requests or some seconds."""
        chance, bag = random.Random(f"{self.seed} {provider}"), list[str]()
        while not self._stop.wait(chance.uniform(*self.between_faults)):
            bag = bag or chance.sample(list(kinds), len(kinds))
            name = bag.pop()
            fault = {"provider": provider, "count": chance.randint(1, self.meets), **kinds[name]}
            known = requests.post(f"{self.sandbox_url}/faults", json=fault, timeout=30).json()
            deadline = time.monotonic() + 4
            while (left := self._left(known["id"])) and time.monotonic() < deadline and not self._stop.wait(0.2):
                pass
            requests.delete(f"{self.sandbox_url}/faults/{known['id']}", timeout=30)
            self.faults[provider][name] += known["count"] - left
            if fault["kind"] == "quota" and provider == "resend":
                self._stop.wait(2)
                self.start_sending()

    def _left(self, fault: int) -> int:
        """How many requests a fault still meets."""
        known = requests.get(f"{self.sandbox_url}/faults", timeout=30).json()
        return next((int(one["count"]) for one in known if one["id"] == fault), 0)
