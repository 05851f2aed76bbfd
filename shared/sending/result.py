"""How a send ended, for the worker that asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.states import Refusal, StepState
from shared.ledger.claims import Refused, Settled


@dataclass(frozen=True)
class Result:
    """How a send ended.

    Attributes:
        result: `sent`, `skipped`, `already-sent`, `parked`, `failed` or `in-doubt`.
        until: when the ledger looks again, in milliseconds since 1970 UTC, if it will.
        why: the reason, without an address.
        paced: whether it is parked because it got no turn at the provider.
    """

    result: str
    until: int | None = None
    why: str = ""
    paced: bool = False

    @classmethod
    def of_refusal(cls, refused: Refused) -> Result:
        """The result of a claim that returned nothing to send."""
        match refused.what:
            case Refusal.GONE:
                return cls("skipped", why="there is no such step")
            case Refusal.DONE:
                return cls("already-sent" if refused.state == StepState.SENT else _now(refused.state), why=refused.why)
            case Refusal.NOT_YET | Refusal.WAITS | Refusal.CLOSED | Refusal.PACE | Refusal.LATE | Refusal.UNHEARD:
                return cls("parked", refused.until, refused.why or refused.what, paced=refused.what == Refusal.PACE)

    @classmethod
    def of_settled(cls, settled: Settled | None) -> Result:
        """The result of a claimed step; None if nothing left and nothing was settled."""
        if settled is None:
            return cls("parked", why="the lease was lost")
        return cls(_now(settled.state), settled.next, settled.why)


def _now(state: StepState | None) -> str:
    """What a step's state means for the worker that asked for it."""
    match state:
        case StepState.SENT | StepState.FAILED | StepState.IN_DOUBT | StepState.SKIPPED:
            return state
        case StepState.CANCELLED:
            return "skipped"
        case StepState.SCHEDULED | StepState.SENDING | None:
            return "parked"
