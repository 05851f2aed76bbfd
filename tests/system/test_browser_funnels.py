"""Every funnel whole, on real processes: from a page in a real browser over the ledger and the outbox to the owner's
rows in Notion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from local.trial import Trial, running
from shared.domain import campaign_files
from shared.domain.enrollments import Enrollment
from shared.domain.timing import HOUR
from shared.ledger import ids
from shared.ledger.listing import Listing
from tests.support.site_funnels import AT_ONCE, CANCELED, FUNNELS, PRODUCTION, Funnel
from tests.support.site_visitor import visiting
from tests.support.site_ways import Visitor
from tests.support.waiting import until
from tests.system.test_funnels import HOURS, MINUTE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Request

STEP = 1000  # milliseconds between two emails


@dataclass(frozen=True)
class Visited:
    """A stack whose site some people have visited, and what their browsers posted."""

    trial: Trial
    posted: dict[str, list[tuple[str, dict[str, Any]]]]

    def runs(self, name: str) -> list[Enrollment]:
        """A visitor's runs, the latest first."""
        ledger = self.trial.ledger()
        found = [ledger.enrollment(run) for run in Listing(ledger).of_contact(ids.digest(address(name)))]
        return [run for run in found if run]

    def emails(self, run: Enrollment) -> list[dict[str, Any]]:
        """What was sent in a run, oldest first."""
        own = {ids.email_id(run.id, step.number) for step in run.steps}
        return [email for email in self.trial.outbox() if own & {tag["value"] for tag in email["tags"]}]

    def tracker(self, name: str) -> list[dict[str, Any]]:
        """A visitor's rows in the tracker."""
        return [row for row in self.trial.notion()["Email Sequence"] if row["Email"] == address(name)]

    def recorded(self) -> bool:
        """Whether Notion has everything that the ledger has."""
        return self.trial.redis().zcard(ids.OUTBOX) == 0


def address(name: str) -> str:
    """A visitor's address, as Visitor makes it."""
    return f"{name.lower()}@example.org"


def visit(chromium: Browser, trial: Trial, funnels: Mapping[str, Funnel]) -> Visited:
    """Let people visit the site one after the other, each in a browser profile of their own."""
    posted: dict[str, list[tuple[str, dict[str, Any]]]] = {}

    def noting(name: str) -> Callable[[Request], None]:
        def note(request: Request) -> None:
            if request.method == "POST":
                posted.setdefault(name, []).append((request.url.removeprefix(trial.url), request.post_data_json or {}))

        return note

    for name, funnel in funnels.items():
        with visiting(chromium, trial.url) as page:
            page.on("request", noting(name))
            funnel.way(Visitor(page, trial.url, name))
    return Visited(trial, posted)


def made_from(template: str, slug: str, subject: str) -> bool:
    """Whether a subject is that of a template, regardless of what was put into its placeholders."""
    source = campaign_files.load().sources[slug, template]
    line = source.partition("\n")[0].removeprefix("Subject: ")
    pattern = ".+".join(map(re.escape, re.split(r"\{\{.*?\}\}", line)))
    return bool(re.fullmatch(pattern, subject))


@pytest.fixture(scope="class")
def testing(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    """A stack with a second between emails; all visitors have been there, and their emails are on the way."""
    with running(
        tmp_path_factory.mktemp("testing"), TESTING_STEP="1s", RESEND_RATE="1000", NOTION_RATE="1000"
    ) as trial:
        trial.limit(resend=1000, notion=1000)
        yield visit(chromium, trial, FUNNELS)


@pytest.fixture(scope="class")
def production(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    """A stack with the real delays; one person for each campaign has visited it, and more who booked a call."""
    with running(
        tmp_path_factory.mktemp("production"), TESTING_MODE="false", RESEND_RATE="1000", NOTION_RATE="1000"
    ) as trial:
        trial.limit(resend=1000, notion=1000)
        yield visit(chromium, trial, PRODUCTION)


@pytest.mark.parametrize("name", FUNNELS)
class TestToTheEnd:
    """A second between emails: each funnel until nothing more comes."""

    def test_the_page_posts_its_form(self, testing: Visited, name: str) -> None:
        """To its webhook, with these fields and no others."""
        funnel = FUNNELS[name]
        path, body = testing.posted[name][-1]
        assert (path, set(body)) == funnel.posts
        assert body.items() >= (funnel.values | {"email": address(name)}).items()

    def test_the_emails_go_out(self, testing: Visited, name: str) -> None:
        """Each was due a step after the one before, is made from its template, and speaks to the visitor."""
        funnel = FUNNELS[name]
        if not funnel.slug:
            assert testing.runs(name) == []
            return
        run = self._completed(testing, name)
        assert tuple((step.due - run.anchor) / STEP for step in run.steps) == funnel.at
        emails = testing.emails(run)
        assert len(emails) == len(funnel.templates)
        for template, email in zip(funnel.templates, emails, strict=True):
            assert email["to"] == [address(name)]
            assert made_from(template, funnel.slug, email["subject"]), template
            assert f"Hi {name}," in email["text"] and f"Hi {name}," in email["html"]
        words = " ".join(email["text"] for email in emails)
        assert [value for value in funnel.says if value not in words] == []

    def test_the_owner_sees_it_in_notion(self, testing: Visited, name: str) -> None:
        """One contact; a row of the run that says when each email went out; a row for each email, with its template and
        who sent it."""
        funnel = FUNNELS[name]
        run = self._completed(testing, name) if funnel.slug else None
        until(testing.recorded)
        notion = testing.trial.notion()
        [contact] = [row for row in notion["Contacts"] if row["Email"] == address(name)]
        assert (contact["Name"].startswith(name), contact["Segment"]) == (True, funnel.segment)
        [tracker] = [row for row in testing.tracker(name) if run is None or row["Enrollment ID"] == run.id]
        assert tracker["Status"] == ("Completed" if run else "Tracking")
        log = [row for row in notion["Email Log"] if run and row["Email ID"].startswith(f"{run.id}-")]
        log.sort(key=lambda row: row["Email Number"])
        assert [row["Template"] for row in log if row["Sent By"] == "evergreen"] == funnel.templates
        assert [row["Email Number"] for row in log if row["Sent By"] == "website"] == ([1] if name == "Sven" else [])
        assert all(row["Status"] == "Sent" and tracker[f"Email {row['Email Number']} Sent"] for row in log)

    def _completed(self, testing: Visited, name: str) -> Enrollment:
        def run() -> Enrollment:
            return next(run for run in testing.runs(name) if run.slug == FUNNELS[name].slug)

        until(lambda: run().state == "completed")
        return run()


class TestRealDelays:
    """Days between emails: what is due at once goes out, and nothing else does."""

    @pytest.mark.parametrize("name", PRODUCTION)
    def test_each_step_is_due_at_its_hour(self, production: Visited, name: str) -> None:
        """The page leads to the campaign's own delays, counted from its anchor; a meeting's, from where it begins
        now."""
        slug = PRODUCTION[name].slug
        run = production.runs(name)[0]
        hours = [-24, -1] if slug == "booking-reminder" else [0, *HOURS[slug]] if slug == "five-day" else HOURS[slug]
        assert [(step.due - run.anchor) / HOUR for step in run.steps] == hours
        if slug == "booking-reminder":
            assert run.anchor == datetime.fromisoformat(production.posted[name][-1][1]["starts_at"]).timestamp() * 1000

    def test_only_emails_due_at_once_are_sent(self, production: Visited) -> None:
        """Three campaigns begin with an email; every other step is on the schedule that RQ's tools read, at its own
        instant."""
        ledger = production.trial.ledger()
        until(lambda: production.trial.outbox_count() == len(AT_ONCE))
        assert {to for email in production.trial.outbox() for to in email["to"]} == {address(name) for name in AT_ONCE}
        runs = [run for name in PRODUCTION for run in production.runs(name) if run.state == "active"]
        waiting = {
            ids.email_id(run.id, step.number): step.due
            for run in runs
            for step in run.steps
            if step.state == "scheduled"
        }
        assert len(waiting) == sum(
            len(HOURS[funnel.slug]) for name, funnel in PRODUCTION.items() if name not in CANCELED
        ) - len(AT_ONCE)
        assert min(waiting.values()) > ledger.now() + 10 * MINUTE
        scheduled = cast(list[str], production.trial.redis().zrange(ids.SCHEDULED, 0, -1))
        assert {job.rpartition("-")[0] for job in scheduled} == set(waiting)

    @pytest.mark.parametrize(
        ("name", "states"),
        [
            ("Liam", ["active"]),
            ("Moira", ["active", "cancelled"]),
            ("Cleo", ["cancelled"]),
            ("Sana", ["active"]),
            ("Tariq", ["cancelled"]),
        ],
    )
    def test_a_booking_that_is_moved_or_cancelled(self, production: Visited, name: str, states: list[str]) -> None:
        """Its reminders are dropped, moved ones planned again, those of another seat of the slot stay; the owner sees
        each."""
        runs = production.runs(name)
        assert [run.state for run in runs] == states
        left = {"active": "scheduled", "cancelled": "cancelled"}
        assert [{step.state for step in run.steps} for run in runs] == [{left[state]} for state in states]
        until(production.recorded)
        rows = {row["Enrollment ID"]: row["Status"] for row in production.tracker(name)}
        assert rows == {run.id: run.state.capitalize() for run in runs}
