"""What must be true of the ledger between any two decisions, regardless of what has happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.ledger import ids
from tests.property.snapshots import BAD_ENDS, HOLDING, OPEN_STATES, Snapshot
from tests.property.watch import Watch


@dataclass(frozen=True)
class Invariants:
    """One look at everything.

    Attributes:
        now: what the ledger holds.
        watch: what was seen.
        accepted: the email ids that the provider took, in order.
        latest: the latest time that the ledger's clock ever showed: what is due after it was never released.
        prompt: whether what is due must be on its way: no look is in a worker's hands, and the clock was never set.
    """

    now: Snapshot
    watch: Watch
    accepted: Sequence[str]
    latest: int
    prompt: bool

    def check(self) -> None:
        """Raise AssertionError with what is wrong."""
        stopped = "reason" in self.now.gate and "until" not in self.now.gate
        assert stopped or not self.watch.by_hand, "a person has stopped all sending, and something has started it"
        taken = set(self.accepted)
        for name, run in self.now.runs.items():
            self._check_run(name, run)
            for number, step in self.now.steps[name].items():
                id = ids.email_id(name, number)
                self._check_end(id, step, id in taken)
        self._check_looks()
        self._check_groups()
        self._check_queue()
        self._check_provider()

    def _check_run(self, name: str, run: Mapping[str, str]) -> None:
        """What ended stays ended, and what is held is held."""
        state = run["state"]
        if self.watch.unknown:
            return
        assert name not in self.watch.ended or state in ("exited", "cancelled"), f"{name} had ended, and is {state}"
        assert name not in self.watch.held or state != "active", f"{name} was paused, and is {state}"
        assert state not in (*HOLDING, "queued") or not self.watch.blocked(run["contact"], run["kind"]), (
            f"{name} is {state}, and the address is suppressed"
        )

    def _check_end(self, id: str, step: Mapping[str, str], taken: bool) -> None:
        state = step["state"]
        if state == "sent":
            assert step["by"] == "website" or taken, f"{id} is sent, and nobody took it"
        if state in BAD_ENDS:
            assert step.get("why"), f"{id} is {state}, and nobody knows why"
        if state == "in-doubt":
            self.watch.doubted.add(id)
            assert self.watch.unlearned.get(id), f"{id} is in doubt, and its outcome is known"
        if (
            (taken or self.watch.unlearned.get(id))
            and id not in self.watch.anew
            and not (self.watch.unknown or id in self.watch.forgotten)
        ):
            given_up = {"skipped"} if id in self.watch.given_up else set()
            assert state in {"sending", "sent", "in-doubt"} | given_up, f"{id} was perhaps accepted, and is {state}"

    def _check_looks(self) -> None:
        """Every open step is on the list of open steps, and its next look on its way; there is no other look."""
        scheduled, queued = set(self.now.scheduled), set(self.now.queue)
        looks: dict[str, str] = {}
        for name, run in self.now.runs.items():
            first = run["state"] == "active"
            for number, step in self.now.steps[name].items():
                if step["state"] not in OPEN_STATES or (step["state"] == "scheduled" and run["state"] == "paused"):
                    continue
                id = ids.email_id(name, number)
                assert step["state"] == "sending" or run["state"] == "active", (
                    f"{id} is scheduled, and its run is {run['state']}"
                )
                looks[id] = look = f"{id}-{step['look']}"
                if "lease" not in step and int(step["next"]) > self.latest:
                    assert look in scheduled, f"{id} waits for a look that is not on the schedule"
                    assert look not in queued - self.watch.pushed, f"{id} is on the queue too early"
                elif "lease" not in step and (first or "forced" in step) and self.prompt and id not in self.watch.lost:
                    assert look in scheduled | queued, f"{id} is due, and its look is nowhere"
                first = False
        assert set(self.now.open) == set(looks), "the open steps are not those that are looked at"
        assert scheduled <= set(looks.values()) | self.watch.pushed, "a void look is on the schedule"
        for job in (scheduled | queued) - self.watch.pushed:
            assert ids.email_id(*ids.parse_job_id(job)) in self.watch.first_due, f"{job} is no look at any step"

    def _check_groups(self) -> None:
        groups = [
            (run["contact"], run["group"])
            for run in self.now.runs.values()
            if run["state"] in HOLDING and "group" in run
        ]
        assert len(set(groups)) == len(groups), "a contact has two open runs in one group"

    def _check_queue(self) -> None:
        """Who is queued has no steps, and waits for an open run of the group, until the sweeper ends that."""
        held = {(run["contact"], run.get("group")) for run in self.now.runs.values() if run["state"] in HOLDING}
        for name in self.now.in_state("queued"):
            run = self.now.runs[name]
            assert not self.now.steps[name], f"{name} is queued, and has steps"
            over = int(run["queued_until"]) <= self.latest or self.watch.restored
            assert over or (run["contact"], run["group"]) in held, f"{name} is queued, and its group is free"

    def _check_provider(self) -> None:
        """Nothing was accepted twice, and the emails of each enrollment went in their order."""
        watch = self.watch
        twice = {id for id, count in Counter(self.accepted).items() if count > 1 + watch.anew[id] + watch.excused[id]}
        assert not twice, f"accepted twice: {twice}"
        order: dict[str, list[int]] = {}
        loose = watch.doubted | watch.forced | watch.forgotten
        for id in self.accepted:
            name, step = ids.parse_email_id(id)
            if id not in loose:
                order.setdefault(name, []).append(step)
        for name, steps in order.items():
            assert steps == sorted(steps), f"{name} went out in the order {steps}"
