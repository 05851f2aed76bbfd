"""The promise on real processes: each email arrives once, regardless of what is killed, when, and what the provider
does."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.trial import Trial, running
from shared.ledger import ids
from shared.ledger.fence_state import FenceState
from tests.support.waiting import WITHIN, until

SIGN_UP = {"first_name": "Ada", "assessment_score": 45, "red_systems": 2, "orange_systems": 1}
VICTIMS = ("scheduler", "worker", "gateway", "valkey")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """A stack with a short ladder of timeouts (provider 1 s, lease 4.5 s) for the tests that inject faults at the
    provider."""
    with running(tmp_path_factory.mktemp("stack"), TESTING_STEP="60s", PROVIDER_TIMEOUT="1s") as found:
        found.limit(resend=1000)
        yield found


@pytest.fixture(autouse=True)
def no_faults(request: pytest.FixtureRequest) -> None:
    """Each test begins without the faults of the one before."""
    if "trial" in request.fixturenames:
        found: Trial = request.getfixturevalue("trial")
        found.clear_faults()


def arrivals(trial: Trial, address: str) -> list[dict[str, object]]:
    """What the provider accepted for one address."""
    return [email for email in trial.outbox() if email["to"] == [address]]


def sign_up_somehow(trial: Trial, address: str, within: float = WITHIN) -> None:
    """Post a sign-up until it is accepted, as the website's form does."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if trial.sign_up(SIGN_UP | {"email": address}) == 202:
                return
        except requests.RequestException:
            time.sleep(0.05)  # the gateway is being started again; its own answer is what we wait for
    raise AssertionError("the sign-up was not accepted in time")


def sign_up_all(trial: Trial, addresses: list[str]) -> None:
    """The same for many, one after the other."""
    for address in addresses:
        sign_up_somehow(trial, address)


def test_two_errors_then_success_is_one_email(trial: Trial) -> None:
    """500 twice, then accepted: sent on the third attempt, once."""
    trial.fault(kind="status", status=500, count=2)
    trial.sign_up(SIGN_UP | {"email": "errors@example.org"})
    until(lambda: bool(arrivals(trial, "errors@example.org")))
    run = trial.ledger().enrollment(f"{ids.enrollment_prefix('christmas', 'errors@example.org')}-1")
    assert run is not None
    until(lambda: trial.ledger().peek(run.id, 1).state == "sent")
    assert len(arrivals(trial, "errors@example.org")) == 1
    failed = [event for event in trial.events("email.not_sent") if event["email_id"] == f"{run.id}-1"]
    assert len(failed) >= 2, "on a busy machine Resend's stand-in may be too slow as well"


def test_a_timeout_after_accepting_is_one_email(trial: Trial) -> None:
    """The provider took it and never answered: the repetition is recognized, and nothing arrives twice."""
    trial.fault(kind="timeout-after", count=1, delay_ms=5000)
    trial.sign_up(SIGN_UP | {"email": "timeout@example.org"})
    run = f"{ids.enrollment_prefix('christmas', 'timeout@example.org')}-1"
    until(lambda: trial.ledger().peek(run, 1).state == "sent")
    assert len(arrivals(trial, "timeout@example.org")) == 1
    outcomes = {event["outcome"] for event in trial.events("email.not_sent") if event["email_id"] == f"{run}-1"}
    assert outcomes <= {"ambiguous"}, "the report of its delivery may come before the timeout"


def test_a_batch_that_times_out_after_accepting_arrives_once(trial: Trial) -> None:
    """Fifty emails in one request whose answer is lost: each arrives once."""
    FenceState(trial.ledger()).keep(steady="0")  # as from 105 seconds after the start on
    trial.stop_sending()
    addresses = [f"batch{number}@example.org" for number in range(50)]
    for address in addresses:
        trial.sign_up(SIGN_UP | {"email": address})
    trial.fault(kind="timeout-after", count=1, delay_ms=5000)
    trial.start_sending()
    runs = [f"{ids.enrollment_prefix('christmas', address)}-1" for address in addresses]
    ledger = trial.ledger()
    until(lambda: all(ledger.peek(run, 1).state == "sent" for run in runs))
    copies = Counter(str(email["to"]) for email in trial.outbox() if email["to"][0].startswith("batch"))
    assert (len(copies), set(copies.values())) == (50, {1})
    assert any(str(email["idempotency_key"]).startswith("batch-") for email in arrivals(trial, addresses[1]))


def test_a_disconnect_and_a_503_after_commit_are_one_email_each(trial: Trial) -> None:
    """Regardless of the provider's answer after taking an email, it arrives once."""
    for kind, details in (("disconnect", {"after": True}), ("commit-then-503", {})):
        address = f"{kind}@example.org"
        trial.fault(kind=kind, count=1, **details)
        trial.sign_up(SIGN_UP | {"email": address})
        run = f"{ids.enrollment_prefix('christmas', address)}-1"
        # a default binds the loop's value
        until(lambda run=run: trial.ledger().peek(run, 1).state == "sent")  # type: ignore[misc]
        assert len(arrivals(trial, address)) == 1


def test_killing_every_part_in_turn_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    """Fifty customers sign up and get their seven emails while scheduler, worker, gateway and Valkey are killed with -9
    in turn."""
    addresses = [f"c{number}@example.org" for number in range(50)]
    with running(tmp_path, TESTING_STEP="2s", PROVIDER_TIMEOUT="1s") as trial:
        trial.limit(resend=1000)
        signing_up = threading.Thread(target=sign_up_all, args=(trial, addresses))
        signing_up.start()
        chance = random.Random(7)
        for victim in [*VICTIMS, *chance.sample(VICTIMS, len(VICTIMS))]:
            before = trial.outbox_count()
            pid = trial.pids()[victim]
            os.kill(pid, signal.SIGKILL)
            # as above
            until(lambda victim=victim, pid=pid: trial.pids().get(victim) not in (None, pid))  # type: ignore[misc]
            until(lambda before=before: trial.outbox_count() > before)  # type: ignore[misc]  # as above
        signing_up.join(WITHIN)
        assert not signing_up.is_alive()
        until(lambda: len(set(trial.email_ids())) == 350)
        runs = [f"{ids.enrollment_prefix('christmas', address)}-1" for address in addresses]
        until(lambda: all(run is not None and run.state == "completed" for run in map(trial.ledger().enrollment, runs)))
        copies = Counter(trial.email_ids())
    assert set(copies) == {f"{run}-{number}" for run in runs for number in range(1, 8)}
    assert {id: count for id, count in copies.items() if count > 1} == {}
