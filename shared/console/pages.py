"""The console's pages. Read-only."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request

from shared import services
from shared.console import actions
from shared.console.troubles import troubles
from shared.core.errors import WebhookError
from shared.domain.segments import SEGMENTS
from shared.domain.states import LISTED
from shared.ledger import ids
from shared.ledger.contacts import Contacts
from shared.ledger.figures import Figures
from shared.ledger.health import read_health
from shared.operations.enrollment_queries import EnrollmentQueries

UPCOMING = 10
SUPPRESSED = 200
pages = Blueprint("pages", __name__)


def queries() -> EnrollmentQueries:
    """The queries."""
    return EnrollmentQueries(services.ledger(), services.catalog(), services.current_settings())


@pages.get("/")
def overview() -> str:
    """The current state."""
    figures, found = Figures(services.ledger()), queries().overview()
    looked_at = [(queries().detail(enrollment), number) for enrollment, number in figures.next_steps(UPCOMING)]
    upcoming = [
        (run, step)
        for run, number in looked_at
        if run
        for step in run["steps"]
        if step["step"] == number and step["next"]
    ]
    return render_template(
        "overview.html",
        title="Overview",
        found=found,
        backlog=figures.backlog(),
        troubles=troubles(read_health(services.ledger()), found),
        upcoming=sorted(upcoming, key=lambda pair: str(pair[1]["next"])),
        failed=_failed(found)[:5],
    )


@pages.get("/health")
def health() -> str:
    """The health of every part."""
    seen, found = read_health(services.ledger()), queries().overview()
    return render_template(
        "health.html",
        title="Health",
        health=seen,
        found=found,
        troubles=troubles(seen, found),
        backlog=Figures(services.ledger()).backlog(),
        settings=services.current_settings(),
    )


@pages.get("/enrollments")
def enrollments() -> str:
    """The enrollments, searched or filtered."""
    asked = {name: request.args.get(name, "").strip() for name in ("address", "campaign", "state", "segment")}
    page = request.args.get("page", "0")
    start = int(page) if page.isascii() and page.isdigit() and len(page) <= 9 else 0
    state = asked["state"] if asked["state"] in LISTED else None
    segment = asked["segment"] if asked["segment"] in SEGMENTS else None
    address = asked["address"] or None
    return render_template(
        "enrollments.html",
        title="Enrollments",
        asked=asked,
        start=start,
        found=queries().page(start, address=address, slug=asked["campaign"] or None, state=state, segment=segment),
        campaigns=services.catalog().campaigns.values(),
        states=LISTED,
        segments=SEGMENTS,
    )


@pages.get("/enrollments/<enrollment>")
def enrollment(enrollment: str) -> str:
    """One enrollment's timeline."""
    run = run_of(enrollment)
    others = [other for other in queries().runs_of(run["email"]) if other.id != enrollment] if run["email"] else []
    reasons = list(Contacts(services.ledger()).suppression(ids.digest(run["email"])).reasons) if run["email"] else []
    return render_template(
        "enrollment.html",
        title=run["email"] or "Enrollment",
        run=run,
        others=others,
        offers={step["step"]: actions.for_step(run, step) for step in run["steps"]},
        run_offers=actions.for_run(run),
        reasons=reasons,
    )


def run_of(enrollment: str) -> dict[str, Any]:
    """An enrollment's details; raises WebhookError 404."""
    if not (run := queries().detail(enrollment)):
        raise WebhookError(404, "There is no such enrollment. Finished ones are deleted after 90 days.")
    return run


@pages.get("/failures")
def failures() -> str:
    """What needs attention."""
    found = queries().overview()
    rows = _failed(found)
    offers = [actions.for_step(run, failure) for run, failure in rows]
    return render_template(
        "failures.html", title="Failures", rows=list(zip(rows, offers, strict=True)), total=found["to_look_at"]
    )


def _failed(found: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each enrollment among the overview's failures, with the step."""
    runs = {failure["enrollment"]: queries().detail(failure["enrollment"]) for failure in found["failures"]}
    return [(run, failure) for failure in found["failures"] if (run := runs[failure["enrollment"]])]


@pages.get("/suppressions")
def suppressions() -> str:
    """The suppressed addresses."""
    found = Contacts(services.ledger()).suppressions(SUPPRESSED)
    return render_template("suppressions.html", title="Suppressions", found=found, most=SUPPRESSED)
