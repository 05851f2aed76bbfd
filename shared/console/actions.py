"""What a person can decide in the console: each decision is a method of EnrollmentActions, a route of the API and a
command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared import services
from shared.domain.states import EnrollmentState, StepState
from shared.operations.enrollment_actions import EnrollmentActions


@dataclass(frozen=True)
class Decision:
    """A decision about an enrollment or about one of its steps.

    Attributes:
        name: its part of the console's address.
        label: the button's text.
        done: the message afterwards.
        take: executes it; takes the actions, the enrollment's id and, for a step, its number.
        command: the command that does the same, with its option.
        title: the title of the confirmation page.
        question: the confirmation text, if it cannot be undone; "" if none is needed.
    """

    name: str
    label: str
    done: str
    take: Callable[..., object]
    command: str
    title: str = ""
    question: str = ""


PAUSE = Decision(
    "pause", "Pause", "Paused: none of its emails is sent until you resume it.", EnrollmentActions.pause, "pause"
)
RESUME = Decision(
    "resume",
    "Resume, dates move",
    "Resumed: the remaining emails have moved by the length of the pause.",
    EnrollmentActions.resume,
    "resume",
)
CATCH_UP = Decision(
    "catch-up",
    "Resume, catch up",
    "Resumed with the original dates: missed emails are sent one a day.",
    partial(EnrollmentActions.resume, catch_up=True),
    "resume --catch-up",
)
CANCEL = Decision(
    "cancel",
    "Cancel…",
    "Cancelled: no more of these emails.",
    EnrollmentActions.cancel,
    "cancel",
    "Cancel the enrollment",
    "The remaining emails will never be sent.",
)
SKIP = Decision(
    "skip",
    "Skip…",
    "Skipped: this email will not be sent.",
    EnrollmentActions.skip,
    "skip",
    "Skip the email",
    "This email will never be sent. The others keep their dates.",
)
SEND_NOW = Decision(
    "send-now",
    "Send now…",
    "The email goes out now.",
    EnrollmentActions.send_now,
    "send-now",
    "Send the email now",
    "It goes out within seconds, before its time and ahead of the queue.",
)
RETRY = Decision("retry", "Retry", "Evergreen is trying again.", EnrollmentActions.retry, "retry")
RETRY_AS_NEW = Decision(
    "retry-anew",
    "Send as new…",
    "Evergreen is sending it as a new email.",
    partial(EnrollmentActions.retry, as_new=True),
    "retry --as-new",
    "Send the email as a new one",
    "The first one may have arrived: check Resend's list of emails first. If it did, this person gets it twice.",
)
BATCH_AS_NEW = Decision(
    "retry-batch",
    "Send the whole batch as new…",
    "Evergreen is sending the whole batch as new emails.",
    partial(EnrollmentActions.retry, as_new=True, whole_batch=True),
    "retry --as-new --whole-batch",
    "Send the whole batch as new",
    "The first ones may have arrived: check some of them in Resend's list of emails first. If they did, these "
    "people get them twice.",
)
OF_RUN = {decision.name: decision for decision in (PAUSE, RESUME, CATCH_UP, CANCEL)}
OF_STEP = {decision.name: decision for decision in (SEND_NOW, SKIP, RETRY, RETRY_AS_NEW, BATCH_AS_NEW)}


def enrollment_actions() -> EnrollmentActions:
    """The actions that carry out decisions."""
    return EnrollmentActions(services.ledger(), services.catalog(), services.current_settings())


def for_run(run: Mapping[str, Any]) -> list[Decision]:
    """The decisions that are possible for an enrollment now.

    Args:
        run: from EnrollmentQueries.detail.
    """
    match EnrollmentState(run["state"]):
        case EnrollmentState.ACTIVE:
            return [PAUSE, CANCEL]
        case EnrollmentState.PAUSED:
            return [RESUME, CATCH_UP, CANCEL]
        case EnrollmentState.QUEUED:
            return [CANCEL]
        case (
            EnrollmentState.COMPLETED
            | EnrollmentState.FAILED
            | EnrollmentState.EXITED
            | EnrollmentState.CANCELLED
            | EnrollmentState.TRACKING
        ):
            return []


def for_step(run: Mapping[str, Any], step: Mapping[str, Any]) -> list[Decision]:
    """The decisions that are possible for a step now.

    Args:
        run: from EnrollmentQueries.detail.
        step: one of its steps.
    """
    enrollment = EnrollmentState(run["state"])
    may_retry = enrollment in (EnrollmentState.ACTIVE, EnrollmentState.COMPLETED, EnrollmentState.FAILED)
    match StepState(step["state"]):
        case StepState.SCHEDULED if enrollment == EnrollmentState.ACTIVE:
            return [SEND_NOW, SKIP]
        case StepState.SCHEDULED:
            return [SKIP] if enrollment == EnrollmentState.PAUSED else []
        case StepState.FAILED:
            return [RETRY, SKIP] if may_retry else [SKIP]
        case StepState.IN_DOUBT if may_retry:
            return [RETRY, RETRY_AS_NEW, *([BATCH_AS_NEW] if step["batched"] else []), SKIP]
        case StepState.IN_DOUBT:
            return [SKIP]
        case StepState.SENDING | StepState.SENT | StepState.SKIPPED | StepState.CANCELLED:
            return []
