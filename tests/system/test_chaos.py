"""The chaos run in its short form; and the judge, which must find each way of breaking the promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.customers import Customer, RefusedError, World
from benchmarks.chaos.diary import Accepted, Diary, Entry, Inbox
from benchmarks.chaos.judging import Find, Verdict, judge, judge_notion
from benchmarks.chaos.running import Plan, chaos
from benchmarks.chaos.stories import STORIES
from shared.domain.enrollments import Enrollment, Step
from shared.domain.states import EnrollmentState, StepState
from tests.support.raw_server import answer, raw

RUN = "christmas-0123456789abcdef0123-1"
LEASE = 9.0
BEGAN = Entry("enrolled", RUN, asked=900, at=1000, steps=(1, 2, 3))


def took(*emails: tuple[int, int]) -> list[Accepted]:
    """What the provider took: step and instant of each."""
    return [Accepted(f"{RUN}-{step}", "ada@example.org", at, f"{RUN}-{step}", "") for step, at in emails]


def knows(run_state: str = "completed", *, slug: str = "christmas", posted: int | None = 1, **why: str) -> Find:
    """A ledger with this one run: every step sent and due at step x 1000, except those given as `s2="in-doubt:
    reason"`."""

    def step(number: int) -> Step:
        state, _, reason = why.get(f"s{number}", "sent").partition(": ")
        return Step(number, StepState(state), due=number * 1000, offset=0, posted=posted, why=reason or None)

    return {
        RUN: Enrollment(RUN, slug, "marketing", EnrollmentState(run_state), 0, "ada", steps=tuple(map(step, (1, 2, 3))))
    }.get


def problems(verdict: Verdict) -> dict[str, int]:
    """How often each promise was broken."""
    return {name: len(cases) for name, cases in verdict.problems.items() if cases}


ALL = took((1, 1000), (2, 2100), (3, 3000))


class TestJudge:
    """What is wrong is found, and nothing else."""

    def test_a_kept_promise(self) -> None:
        """Three emails, in time and in order."""
        verdict = judge([BEGAN], ALL, knows(), LEASE)
        assert (problems(verdict), verdict.expected, verdict.accepted, verdict.lateness) == ({}, 3, 3, [0, 0, 100])

    def test_a_missing_email_counts_as_lost(self) -> None:
        """Also when the ledger says that it went out, failed, or knows nothing about the run."""
        for known in (knows(), knows(s3="failed: no reason"), knows(s3="skipped: late")):
            assert problems(judge([BEGAN], ALL[:2], known, LEASE)) == {"lost": 1}
        assert problems(judge([BEGAN], [], lambda _: None, LEASE)) == {"forgotten run": 1}

    def test_an_email_that_may_still_arrive_is_pending(self) -> None:
        """It is not a loss before the end."""
        verdict = judge([BEGAN], ALL[:2], knows("active", s3="scheduled"), LEASE)
        assert (problems(verdict), len(verdict.pending)) == ({}, 1)

    def test_a_second_copy_is_found(self) -> None:
        """Two with the same tag, regardless of their keys."""
        assert problems(judge([BEGAN], [*ALL, *took((2, 5000))], knows(), LEASE)) == {"twice": 1}

    def test_a_wrong_order_is_found(self) -> None:
        """The third before the second."""
        assert problems(judge([BEGAN], took((1, 1000), (3, 3000), (2, 3001)), knows(), LEASE)) == {"out of order": 1}

    def test_an_early_email_is_found(self) -> None:
        """By a millisecond."""
        assert problems(judge([BEGAN], took((1, 1000), (2, 1999), (3, 3000)), knows(), LEASE)) == {"early": 1}

    def test_an_unexpected_email_is_found(self) -> None:
        """An email of a run, or of a step, that is not in the diary."""
        assert problems(judge([], ALL, knows(), LEASE)) == {"not asked for": 3}
        assert problems(judge([BEGAN], [*ALL, *took((4, 4000))], knows(), LEASE)) == {"not asked for": 1}

    def test_after_an_end_only_emails_already_claimed_may_arrive(self) -> None:
        """Within the time on the wire; later is a breach, and what did not arrive is not a loss."""
        ended = Entry("ended", RUN, asked=1900, at=2000, why="cancelled")
        verdict = judge([BEGAN, ended], ALL[:2], knows("cancelled", s3="cancelled"), LEASE)
        assert (problems(verdict), verdict.on_the_wire, verdict.expected) == ({}, [100], 0)
        late = took((1, 1000), (2, 2000 + 9001))
        assert problems(judge([BEGAN, ended], late, knows("cancelled", s3="cancelled"), LEASE)) == {
            "after an end or in a pause": 1
        }

    def test_nothing_arrives_during_a_pause(self) -> None:
        """From its acknowledgement until a person asks to resume, except for what is on the wire."""
        pause, resumption = Entry("paused", RUN, 1400, 1500), Entry("resumed", RUN, 30_000, 31_000)
        assert (
            problems(judge([BEGAN, pause, resumption], took((1, 1000), (2, 30_001), (3, 40_000)), knows(), LEASE)) == {}
        )
        found = judge([BEGAN, pause, resumption], took((1, 1000), (2, 29_000), (3, 40_000)), knows(), LEASE)
        assert problems(found) == {"after an end or in a pause": 1}

    def test_a_posted_email_in_doubt_is_not_lost(self) -> None:
        """It is listed; one that was never posted is a problem."""
        doubtful = "in-doubt: nobody answered"
        verdict = judge([BEGAN], ALL[:2], knows(s3=doubtful), LEASE)
        assert (problems(verdict), len(verdict.in_doubt)) == ({}, 1)
        assert problems(judge([BEGAN], ALL[:2], knows(posted=None, s3=doubtful), LEASE)) == {
            "in doubt without a post": 1
        }

    def test_only_a_reminder_may_be_too_late(self) -> None:
        """Its campaign leaves out what is no longer useful."""
        verdict = judge([BEGAN], ALL[:2], knows(slug="booking-reminder", s3="skipped: late"), LEASE)
        assert (problems(verdict), len(verdict.too_late)) == ({}, 1)

    def test_missing_and_duplicate_rows_in_notion_are_found(self) -> None:
        """Missing and duplicate rows are named."""
        row: dict[str, Any] = {"Enrollment ID": RUN} | {f"Email {number} Sent": "2026-12-01" for number in (1, 2, 3)}
        log: list[dict[str, Any]] = [{"Email ID": f"{RUN}-{number}"} for number in (1, 2, 3)]
        rows: dict[str, list[dict[str, Any]]] = {
            "Contacts": [{"Email": "ada@example.org"}],
            "Email Sequence": [row],
            "Email Log": log,
        }
        assert judge_notion(rows, ALL, knows(), [RUN]) == {"rows twice": [], "rows missing": []}
        broken: dict[str, list[dict[str, Any]]] = {
            "Contacts": [],
            "Email Sequence": [row | {"Email 2 Sent": None}],
            "Email Log": [*log[1:], log[2]],
        }
        assert judge_notion(broken, ALL, knows(), [RUN]) == {
            "rows twice": [f"{RUN}-3"],
            "rows missing": [f"{RUN}-1", "ada@example.org", f"{RUN}: Email 2 Sent"],
        }


def test_the_diary_keeps_every_acknowledged_entry(tmp_path: Path) -> None:
    """Entry for entry, in the order of the acknowledgements, in a file that outlives the run."""
    diary, entries = Diary(tmp_path / "diary.jsonl"), [BEGAN, Entry("ended", RUN, 5, 6, why="booked")]
    for entry in entries:
        diary.write(entry)
    assert diary.entries() == sorted(entries, key=lambda entry: entry.at)


def test_the_owner_may_cancel_after_the_last_email(tmp_path: Path) -> None:
    """That ends nothing and is not a fault; any other refusal is."""
    refused = answer(b'{"message": "it is completed"}', "409 Conflict"), answer(b"{}", "404 Not Found")
    with raw(*refused) as gateway:
        diary = Diary(tmp_path / "diary.jsonl")
        owner = Customer.operator_of(
            World(gateway.url, {"OPERATOR_TOKEN": "token"}, diary, Inbox(gateway.url), width=1)
        )
        owner.steer("cancel", RUN)
        with pytest.raises(RefusedError, match="cancel answered 404"):
            owner.steer("cancel", RUN)
    assert diary.entries() == []


@pytest.mark.parametrize(("state", "entries"), [("exited", [("ended", "bounced")]), ("completed", [])])
def test_a_bounce_may_be_reported_after_the_last_email(
    tmp_path: Path, state: str, entries: list[tuple[str, str]]
) -> None:
    """Nothing is left to end then, and the customer is done."""
    with raw(answer(json.dumps({"state": state}).encode())) as gateway:
        diary = Diary(tmp_path / "diary.jsonl")
        world = World(gateway.url, {"OPERATOR_TOKEN": "token"}, diary, Inbox(gateway.url), width=1)
        Customer.operator_of(world).await_exit(RUN, "bounced")
    assert [(entry.what, entry.why) for entry in diary.entries()] == entries


def test_the_promise_holds_in_a_short_chaos_run(tmp_path: Path) -> None:
    """A customer of each story, while parts are killed and both providers fail: nothing lost, nothing twice, Notion
    complete."""
    for seconds in (18, 90):  # on a machine too busy for enough trouble, more time
        plan = Plan(
            len(STORIES),
            seconds=seconds,
            seed=5,
            kill_every=(1, 2.5),
            fault_every=(1.5, 3),
            fault_meets=1,
            provider_timeout=1,
        )
        report = chaos(plan, tmp_path / f"stack{seconds}", tmp_path / "kept")
        report.write(tmp_path / "kept")
        assert report.problems == {}
        if troubled := report.kills.total() >= 3 and all(met.total() for met in report.faults.values()):
            break
    assert troubled
    assert report.verdict.expected > 40
    assert json.loads((tmp_path / "kept" / "chaos.json").read_text())["table"]["lost"] == "0"
