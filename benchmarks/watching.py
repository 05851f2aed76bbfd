"""Watching calls: how often each stage of a path is gone through, how long that takes, and its Redis round trips."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Watch:
    """Notes stages, which may lie within each other.

    Attributes:
        stages: name → [calls, seconds].
        trips: name of a Redis call → [round trips, seconds].
    """

    stages: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0, 0.0]))
    trips: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0, 0.0]))
    _undo: list[Callable[[], None]] = field(default_factory=list)

    def over(
        self, owner: Any, name: str, label: str, kind: str = "stages", say: Callable[..., str] | None = None
    ) -> None:
        """Note every call of `owner.name` under a label; `say` may make the label from the arguments."""
        inner = getattr(owner, name)
        notes = getattr(self, kind)

        @functools.wraps(inner)
        def watched(*args: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*args, **named)
            finally:
                note = notes[say(*args, **named) if say else label]
                note[0] += 1
                note[1] += time.perf_counter() - began

        setattr(owner, name, watched)
        self._undo.append(lambda: setattr(owner, name, inner))

    def stop(self) -> None:
        """Put everything back."""
        for undo in reversed(self._undo):
            undo()

    def show(self, what: str, times: int, seconds: float) -> None:
        """Print the tables, each figure for one email or one webhook."""
        trips = sum(note[0] for note in self.trips.values())
        print(f"\n### {what}: {seconds / times * 1000:.2f} ms each, {trips / times:.1f} Redis round trips\n")
        for title, notes in (("stage (they lie within each other)", self.stages), ("Redis call", self.trips)):
            print(f"| {title} | calls | ms | share |\n|---|---|---|---|")
            for name, (calls, spent) in sorted(notes.items(), key=lambda item: -item[1][1]):
                print(f"| {name} | {calls / times:.2f} | {spent / times * 1000:.3f} | {spent / seconds:.0%} |")
            print()


def redis(watch: Watch) -> None:
    """Watch every command and pipeline, a script by the name of its file."""
    from redis.client import Pipeline, Redis

    from shared import services

    names = {script.sha: f"{name}.lua" for name, script in services.ledger()._scripts.scripts.items()}

    def say(_client: Any, *args: Any, **_options: Any) -> str:
        return names.get(args[1], "another script") if args[0] == "EVALSHA" else str(args[0])

    watch.over(Redis, "execute_command", "", "trips", say)
    watch.over(Pipeline, "execute", "pipeline", "trips")


def webhook(watch: Watch) -> None:
    """Watch a webhook's stages."""
    from shared.intake import enrolling
    from shared.web import endpoint, forms, guards

    watch.over(endpoint, "body", "read the body")
    watch.over(guards, "limit_rate", "rate limit by address of the caller; the time from Redis")
    watch.over(endpoint, "parse", "parse and validate")
    watch.over(forms, "intake", "intake")
    watch.over(enrolling, "sign_up", "sign_up: the use case")
    watch.over(enrolling, "plan_enrollment", "sign_up: due times")
    watch.over(endpoint, "answer", "make the answer")


def send(watch: Watch) -> None:
    """Watch the stages of sending."""
    from scheduler import jobs
    from shared.integrations import resend
    from shared.sending import sender
    from shared.web import endpoint

    watch.over(jobs, "send_step", "the job: send_step")
    watch.over(jobs, "_ask", "send function, with its Flask app")
    watch.over(sender.Sender, "send", "Sender.send")
    watch.over(sender.Sender, "_claim", "claim")
    watch.over(sender, "compose", "compose (render)")
    watch.over(sender.Sender, "_settle", "settle, with its log line")
    watch.over(resend._Connection, "request", "HTTP to the provider")
    watch.over(resend.Resend, "send", "resend SDK, one email")
    watch.over(resend.Resend, "send_batch", "resend SDK, a batch")
    watch.over(endpoint, "parse", "parse the order")
