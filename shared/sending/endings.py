"""How sending ends for emails that were not accepted: what the ledger is told, and when it tries again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shared.core.errors import SendError
from shared.core.settings import Settings
from shared.domain.catalog import Campaign
from shared.domain.states import Outcome
from shared.integrations.provider import Accepted, NotAccepted
from shared.ledger.client import Ledger
from shared.ledger.orders import Apart, Ending

LONGEST_WAIT = 3600  # seconds: the longest wait that a provider can ask for, except for its quota
PROBE_AFTER = 60  # seconds until one email is tried again behind a closed gate
UNREACHABLE_AFTER = 10
BUSY_AFTER = 60
RETRY_DELAYS = (60, 300, 3600)  # before the second attempt, the third, and all later ones; from the first post


def of_answer(accepted: Accepted, members: Sequence[str]) -> Ending:
    """How a request ended that the provider has answered.

    An error that all emails of a batch share says nothing about one address: each goes on its own.

    Args:
        accepted: the answer.
        members: the email ids in the request, in its order.
    """
    rate = f"{accepted.rate:g}" if accepted.rate else None
    if len(accepted.others) == len(members):
        why = accepted.others[0].reason
        return Ending(Outcome.DISSOLVED, why=why, most=1, rate_seen=rate, date=accepted.date)
    others = {members[at]: _apart(other) for at, other in accepted.others.items()}
    return Ending(Outcome.ACCEPTED, ids=accepted.ids, others=others, rate_seen=rate, date=accepted.date)


def _apart(other: NotAccepted) -> Apart:
    if other.rejected:
        return Apart(Outcome.REJECTED, other.reason)
    return Apart(Outcome.DISSOLVED, other.reason, most=1)


def of_error(error: SendError, size: int, *, ledger: Ledger, settings: Settings) -> Ending:
    """How a request ended that was not, or may not have been, accepted.

    Args:
        error: what the provider answered, or why there is no answer.
        size: how many emails the request has.
        ledger: its clock tells when a closed gate is tried.
        settings: its `backoff_divisor` shortens the waits between attempts.
    """
    wait = round(min(error.retry_after or 0, LONGEST_WAIT) * 1000)
    match error.kind:
        case "refused" | "rejected" if size > 1:
            return Ending(Outcome.DISSOLVED, most=size // 2)
        case "refused":
            return Ending(Outcome.REFUSED)
        case "rejected":
            return Ending(Outcome.REJECTED)
        case "closed":
            return Ending(Outcome.WAITING, gate=error.reason, gate_until=ledger.now() + PROBE_AFTER * 1000)
        case "quota":
            return Ending(Outcome.WAITING, gate=error.reason, gate_until=_reset(error, ledger.now()))
        case "rate":
            return Ending(Outcome.WAITING, retry_after=wait or 1000, hold=wait or 1000)
        case "wait":
            return Ending(Outcome.WAITING, retry_after=wait or UNREACHABLE_AFTER * 1000)
        case "conflict":
            return Ending(Outcome.CONFLICT)
        case "busy":
            return Ending(Outcome.AMBIGUOUS, retry_after=BUSY_AFTER * 1000, delays=_delays(settings))
        case "ambiguous":
            return Ending(Outcome.AMBIGUOUS, retry_after=wait, delays=_delays(settings))


def of_unwritten(campaign: Campaign | None, why: str, settings: Settings) -> Ending:
    """The ending for an email that cannot be written, because its template is wrong now.

    Args:
        campaign: tells for how long it is tried; None if the catalog no longer has it.
        why: what is wrong, without an address.
        settings: its `backoff_divisor` shortens the waits between attempts.
    """
    patience = campaign.late_after(settings.backoff_divisor) if campaign else 0
    return Ending(Outcome.FAILING, why=why, delays=_delays(settings), patience=patience)


def _reset(error: SendError, now: int) -> int:
    """When an exhausted quota is full again: when the provider says, but at the next day or month in UTC at the
    latest."""
    day = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    reset = (
        (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        if "monthly" in error.reason
        else day + timedelta(days=1)
    )
    latest = round(reset.timestamp() * 1000)
    return round(min(now + error.retry_after * 1000, latest)) if error.retry_after else latest


def _delays(settings: Settings) -> list[int]:
    return [round(seconds * 1000 / settings.backoff_divisor) for seconds in RETRY_DELAYS]
