"""What verifying finds, and the fixes that need no person."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from shared.core.errors import LedgerError
from shared.domain import timing
from shared.domain.states import StepState
from shared.integrations.provider import Listed
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.orders import Report

SEEN_TTL = 7 * timing.DAY
FIXES = ("tell", "found", "unlisted")  # the fields of a finding by which it can be fixed


@dataclass(frozen=True)
class Finding:
    """Something that does not agree.

    Attributes:
        kind: `duplicate`, `gap` or `disagreement`.
        what: the id of the email, run or contact, or of a page in Notion.
        message: the problem.
        advice: what a person may do about it.
        tell: kind and id of what must be written to Notion again; that fixes it.
        found: the listed email that settles a step in doubt; that fixes it.
        unlisted: whether it is an email on no list; putting it back fixes it.
        fixed: whether that was done.
    """

    kind: str
    what: str
    message: str
    advice: str = ""
    tell: tuple[str, str] | None = None
    found: Listed | None = None
    unlisted: bool = False
    fixed: bool = False

    @property
    def fixable(self) -> bool:
        """Whether it can be fixed without a person."""
        return self.tell is not None or self.found is not None or self.unlisted

    @property
    def as_dict(self) -> dict[str, Any]:
        """For JSON; without addresses."""
        return {name: value for name, value in asdict(self).items() if name not in FIXES} | {"fixable": self.fixable}


def fix(findings: list[Finding], ledger: Ledger) -> list[Finding]:
    """Do what is safe: mark emails in doubt that Resend knows as sent, write again what Notion lacks, and put back
    emails that are on no list.

    Args:
        findings: what was found.
        ledger: is fixed.

    Returns:
        The findings afterwards.
    """
    things = [finding.tell for finding in findings if finding.tell]
    if things:
        ledger.tell(things)
    return [_fixed(finding, ledger) for finding in findings]


def _fixed(finding: Finding, ledger: Ledger) -> Finding:
    done = finding.tell is not None
    if finding.unlisted:
        whose = [ids.parse_email_id(finding.what)[0]]
        ledger.audit(whose, repair=True)
        done = finding.what not in ledger.audit(whose)
    elif finding.found:
        enrollment, number = ids.parse_email_id(finding.what)
        run = ledger.enrollment(enrollment)
        if run is None:
            raise LedgerError(f"{enrollment} was forgotten meanwhile; verify again")
        ledger.receive(
            Report(
                what="accepted",
                at=finding.found.at,
                seen=ids.digest(f"verify:{finding.found.id}"),
                seen_ttl=SEEN_TTL,
                contact=run.contact,
                enrollment=enrollment,
                step=number,
                id=finding.found.id,
                sent=finding.found.at,
            )
        )
        after = ledger.enrollment(enrollment)
        done = after is not None and after.step(number).state == StepState.SENT
    return replace(finding, fixed=done)
