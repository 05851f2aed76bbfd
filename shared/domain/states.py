"""The states of enrollments and steps, and how requests end: the words that the ledger's scripts and the code share.

A test checks that the scripts use these words, and that docs/ledger.md matches this file. mypy finds a `match` that
misses one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Kind = Literal["marketing", "transactional"]  # of a campaign: an unsubscribe stops only the first
Confirm = Literal["never", "always", "under-load"]  # when a sign-up waits for the owner of the mailbox to confirm it
Reentry = Literal["never", "when-finished", "per-event"]  # whether a contact may be enrolled again


class _State(StrEnum):
    """A state, what it means, and what moves it on."""

    meaning: str
    moved_by: str

    def __new__(cls, word: str, meaning: str = "", moved_by: str = "") -> _State:
        state = str.__new__(cls, word)
        state._value_ = word
        state.meaning, state.moved_by = meaning, moved_by
        return state


class EnrollmentState(_State):
    """Where an enrollment is."""

    ACTIVE = (
        "active",
        "its emails go out when they are due",
        "its last step ends it, a person pauses or cancels it, an exit ends it",
    )
    PAUSED = ("paused", "none of its emails are sent", "a person resumes or cancels it, an exit ends it")
    QUEUED = (
        "queued",
        "another campaign of its group is under way; its emails are not yet scheduled",
        "the end of the other makes it active; a person, an exit or the end of `queue_for` ends it",
    )
    COMPLETED = ("completed", "each step has ended", "nothing; a person's retry makes it active again")
    FAILED = (
        "failed",
        "none of its emails was sent, and at least one was refused; or the provider takes no email for the address",
        "a person's retry of an email makes it active again",
    )
    EXITED = ("exited", "something the campaign lists in `exit_on`, or a suppression, ended it", "nothing")
    CANCELLED = ("cancelled", "a person, a cancelled meeting or the end of `queue_for` ended it", "nothing")
    TRACKING = (
        "tracking",
        "a sign-up without what the campaign requires: a row in the tracker, and no email",
        "a later sign-up that has it",
    )

    @property
    def is_open(self) -> bool:
        """Whether its emails may still go out."""
        match self:
            case EnrollmentState.ACTIVE | EnrollmentState.PAUSED | EnrollmentState.QUEUED:
                return True
            case (
                EnrollmentState.COMPLETED
                | EnrollmentState.FAILED
                | EnrollmentState.EXITED
                | EnrollmentState.CANCELLED
                | EnrollmentState.TRACKING
            ):
                return False


class StepState(_State):
    """Where one email of an enrollment is."""

    SCHEDULED = ("scheduled", "it waits for its due time, its retry, or an earlier step", "a claim")
    SENDING = ("sending", "a worker holds it", "the provider's answer; without one, the same request again")
    SENT = ("sent", "the provider has accepted it", "nothing")
    SKIPPED = (
        "skipped",
        "it was left out, for the recorded reason",
        "nothing, unless it may have been sent: then proof that it was",
    )
    FAILED = ("failed", "the provider definitely refused it", "a person's retry or skip")
    CANCELLED = ("cancelled", "its enrollment ended first", "nothing")
    IN_DOUBT = (
        "in-doubt",
        "the provider may have accepted it, and its answer never came",
        "a delivery report, Resend's list, or a person's retry or skip",
    )

    @property
    def is_open(self) -> bool:
        """Whether it will go out on its own."""
        return self in (StepState.SCHEDULED, StepState.SENDING)

    @property
    def needs_a_person(self) -> bool:
        """Whether only a person, or proof of what happened, moves it on."""
        return self in (StepState.FAILED, StepState.IN_DOUBT)


# The states that have their own list.
LISTED: tuple[EnrollmentState, ...] = tuple(state for state in EnrollmentState if state is not EnrollmentState.TRACKING)


class Refusal(StrEnum):
    """Why a claim gives nothing to send (claim.lua)."""

    GONE = "gone"  # there is no such step
    DONE = "done"  # the step has ended, or its enrollment is paused
    NOT_YET = "not-yet"  # its time has not come
    WAITS = "waits"  # an earlier step of the enrollment comes first
    CLOSED = "closed"  # the gate or the fence holds it back
    PACE = "pace"  # the next turn at the provider is too far off
    LATE = "late"  # the campaign's late policy decides first
    UNHEARD = "unheard"  # the provider must be asked for its time first


class Outcome(StrEnum):
    """How a request ended (settle.lua)."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # definitely not accepted, and never will be
    REJECTED = "rejected"  # the same, because of the address: so the enrollment ends, too
    SKIPPED = "skipped"  # there is nothing to send: the campaign no longer has the step
    DISSOLVED = "dissolved"  # a batch that was refused: its emails go again in smaller ones, at last on their own
    WAITING = "waiting"  # definitely not accepted, for a temporary reason: no attempt is counted
    FAILING = "failing"  # it cannot be written now, because a template is wrong
    AMBIGUOUS = "ambiguous"  # possibly accepted: repeat the same request
    CONFLICT = "conflict"  # possibly accepted, and repeating it cannot show which
