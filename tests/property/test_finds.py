"""What the property test found, each as the shortest story that shows it."""

from __future__ import annotations

from shared.core.errors import SendError
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import Clock
from tests.support.world import SETTINGS, World


def test_filling_a_batch_takes_no_failure_off_the_queue(ledger: Ledger, clock: Clock) -> None:
    """The job that will raise for a failed batch member stays, though another worker fills a batch while that member's
    lease would last."""
    world = World(ledger, clock, SETTINGS.model_copy(update={"resend_batch_above": 1}))
    world.sign_up(email="first@example.org")
    elsewhere = world.next_job()
    for name in ("a", "b"):
        world.sign_up(email=f"{name}@example.org")
    world.provider.faults.append(SendError("conflict", "no repetition can tell"))
    batch = world.next_job()
    assert elsewhere and batch and world.sender.send(*batch).result == "in-doubt"
    world.sign_up(email="last@example.org")
    assert world.sender.send(*elsewhere).result == "sent"
    waiting = world.next_job()
    assert waiting and ledger.peek(*waiting).state == "in-doubt"


def test_postponing_a_paused_step_does_not_reschedule_it(ledger: Ledger, clock: Clock) -> None:
    """A worker whose send function does not answer, for a step that was paused meanwhile, leaves it off the
    schedule."""
    world = World(ledger, clock)
    run = world.sign_up()
    EnrollmentActions(ledger, world.sender.catalog, world.settings).pause(run)
    assert ledger.postpone(run, 1, 5) is None
    assert not ledger.redis.exists(ids.OPEN, ids.SCHEDULED)


def test_a_repetition_does_not_wait_for_a_retried_earlier_step(ledger: Ledger, clock: Clock) -> None:
    """What may have been accepted is asked about again at its time, also where a person has reopened an email before
    it."""
    world = World(ledger, clock)
    run = world.sign_up()
    world.provider.faults.append(SendError("conflict", "no repetition can tell"))
    world.work()
    clock.advance(hours=24)
    world.provider.faults.append(SendError("ambiguous", "no answer"))
    world.work()
    assert world.states(run)[:2] == ["in-doubt", "sending"]
    EnrollmentActions(ledger, world.sender.catalog, world.settings).retry(run, 1, as_new=True)
    clock.advance(seconds=60)
    world.release()
    assert (run, 2) in [world.next_job(), world.next_job()]
