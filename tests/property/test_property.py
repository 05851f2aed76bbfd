"""The promise of the ledger under everything at once: workers that sleep or die between any two calls, a provider that
fails in every way, a Redis that refuses or goes back in time, jobs lost and repeated, clocks that are set, a second
copy, people who come and leave. On a real Valkey; hypothesis looks for a sequence that breaks it.

`make test` tries the same few examples each time. A long search with new ones:
`make property`. A sequence that breaks the promise is made as short as it gets,
printed as a program, and kept in `.hypothesis/` to be tried first the next time.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from redis import Redis

from local.valkey import Valkey
from tests.conftest import START, Clock
from tests.property import scripts
from tests.property.copies import Copy
from tests.property.decisions import PEOPLE
from tests.property.door import StrangersCome
from tests.property.faults import MachinesFail
from tests.property.machine import Rig
from tests.property.snapshots import BAD_ENDS, OPEN_STATES
from tests.property.workers import WorkersWork

EXAMPLES = int(os.environ.get("EVERGREEN_PROPERTY_EXAMPLES", "0"))
SEARCHES = 2 if EXAMPLES else 1  # a long search goes in two processes
REST_WITHIN = (
    1500  # passes after which nothing may be open any more: two hours that the provider wants to be left alone take 600
)
# Of the sign-ups that prove nothing: none is reached, those of a network, those of all.
LIMITS: tuple[dict[str, object], ...] = (
    {"signups_per_hour": 0, "signups_per_day": 0},
    {"webhook_rate_per_ip": "1/second", "webhook_rate_per_address": "2/hour"},
    {"signups_per_hour": 2, "signups_per_day": 3},
)
SILENT = (
    "intake.confirming",
    "intake.delivery_events",
    "intake.enrolling",
    "intake.meetings",
    "operations.suppressions",
    "sending.confirmations",
    "sending.sender",
    "sending.late_policy",
    "operations.enrollment_actions",
    "recovery.fence",
)


class Promise(StrangersCome, MachinesFail, WorkersWork):
    """Everything that can happen to a small Evergreen, in any order."""

    def __init__(self, redis: Redis, copies: Sequence[Copy], real: Clock) -> None:
        super().__init__()
        self.redis, (self.elsewhere, self.beside), self.real = redis, copies, real
        self.redis.flushall()

    @initialize(
        testing_mode=st.booleans(),
        batches=st.booleans(),
        notion=st.booleans(),
        permissive=st.booleans(),
        rate=st.sampled_from([1000, 1000, 2]),
        crowd=st.sampled_from([0, 1, 1, 2, 2, 3, 4]),
        limits=st.sampled_from(LIMITS),
    )
    def begin(
        self,
        testing_mode: bool,
        batches: bool,
        notion: bool,
        permissive: bool,
        rate: float,
        crowd: int,
        limits: dict[str, object],
    ) -> None:
        self.real.now = START
        self.rig = Rig(
            self.redis,
            self.real,
            testing_mode=testing_mode,
            batches=batches,
            rate=rate,
            notion=notion,
            limits=limits,
        )
        self.rig.provider.permissive = permissive
        self.look_at_the_word()
        self.look_at_the_word(a_minute_is_over=True)  # from then on it is sure to be the only copy
        for email in PEOPLE[:crowd]:
            self.sign_up({"email": email, "business_name": "Engines", "assessment_score": 40}, "letters")

    @rule(what=st.sampled_from(["release", "release", "release one", "sweep", "sweep", "sweep afresh", "sweep all"]))
    def the_scheduler_passes(self, what: str) -> None:
        if what.startswith("release"):
            self.rig.release(1 if what == "release one" else 500)
        else:
            known: dict[str, set[str]] = {
                "sweep": self.rig.suspects,
                "sweep afresh": set(),
                "sweep all": set(self.emails()),
            }
            self.rig.suspects = known[what]
            self.rig.sweep()

    @rule(passes=st.integers(1, 3))
    def all_goes_well(self, passes: int) -> None:
        self.rig.ledger.refusals.coming.clear()
        self.rig.provider.refuses.clear()
        self.look_at_the_word()
        for _ in range(passes):
            self.rig.work_and_move_on()

    @invariant()
    def all_is_as_promised(self) -> None:
        now = self.rig.see()
        self.rig.check(now, idle=not self.workers)

    def teardown(self) -> None:
        """With all faults gone, everything comes to its end; not looked at where something was wrong already."""
        sound = sys.exc_info()[0] is None and hasattr(self, "rig")
        for worker in self.workers:
            worker.kill()
        if sound:
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        watch = self.rig.watch
        watch.lost |= {worker.id for worker in self.workers}
        self.rig.ledger.refusals.coming.clear()
        self.rig.provider.refuses.clear()
        self.restore()
        self.rig.see()
        self.take_the_word()
        if watch.by_hand or watch.door.stopped:
            self.rig.actions.start_sending()
        self.resume_all()
        ends = self.rig.ends()
        for _ in range(REST_WITHIN):
            now = self.rig.see()
            if not (now.open or now.queue or now.scheduled or now.in_state("queued")):
                break
            self.rig.work_and_move_on()
        self.rig.check(now)
        assert not (now.open or now.queue or now.scheduled), f"there is no rest: {now.states}"
        assert not now.in_state("queued"), f"still queued: {now.in_state('queued')}"
        assert not set(OPEN_STATES) & set(now.states.values()), f"a step is forgotten: {now.states}"
        wrong = {id: now.states[id] for id, may in ends.items() if now.states[id] not in may}
        assert not wrong, f"could have been sent: {wrong}"
        hidden = {id for id, state in now.states.items() if state in BAD_ENDS} - watch.raised - watch.lost
        assert not hidden, f"RQ's failed list does not show {hidden}"


def look_for_a_story(
    server: Valkey, monkeypatch: pytest.MonkeyPatch, chosen: settings, planted: Mapping[str, str] | None = None
) -> None:
    """Try stories, and raise what the first one breaks.

    Args:
        server: its databases 0 to 2 are used.
        monkeypatch: undoes what is changed.
        chosen: how many stories, and which.
        planted: a bug, as for `scripts.change`.
    """
    scripts.change(monkeypatch, planted)
    monkeypatch.setattr("shared.sending.confirmations.written", scripts.short_email)
    silent = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for module in SILENT:
        monkeypatch.setattr(f"shared.{module}._logger", silent)
    url, known = server.url.removesuffix("0"), {"password": server.password, "decode_responses": True}
    redis, *others = [Redis.from_url(f"{url}{number}", **known, single_connection_client=True) for number in range(3)]
    copies, real = [Copy(other) for other in others], Clock()
    for module in ("sender", "confirmations"):
        monkeypatch.setattr(f"shared.sending.{module}.time", SimpleNamespace(monotonic=lambda: real.now / 1000))
    run_state_machine_as_test(
        lambda: Promise(redis, copies, real),  # type: ignore[arg-type]  # hypothesis only calls it
        settings=chosen,
    )


@pytest.mark.parametrize("search", range(SEARCHES))
def test_the_promise_holds_whatever_happens(
    valkey_server: Valkey, monkeypatch: pytest.MonkeyPatch, search: int
) -> None:
    """No sequence of events makes an email go out twice, too early, out of order or to a person who left, or lets one
    be forgotten."""
    chosen = settings(
        max_examples=EXAMPLES // SEARCHES or 100,
        stateful_step_count=40,
        deadline=None,
        derandomize=not EXAMPLES,
        phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    look_for_a_story(valkey_server, monkeypatch, chosen)
