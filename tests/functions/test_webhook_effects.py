"""What a webhook's 202 leads to: who is enrolled and from when, who sends the first email, what ends, which alerts the
owner gets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis

from local import valkey
from shared.domain.enrollments import Enrollment
from shared.domain.timing import DAY, HOUR
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.health import read_health
from tests.support import calendar_samples
from tests.support.functions_client import ADDRESS, Functions
from tests.support.sandbox_server import sandbox
from tests.support.webhook_calls import TOKEN, good, kept, post, webhooks
from tests.support.world import ADA

MINUTE = 60_000
SCORES = {"red_systems": 0, "orange_systems": 1}


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """All webhooks with their secrets, on an empty database."""
    with webhooks(valkey_server, monkeypatch) as ready:
        yield ready


def run(functions: Functions, slug: str, subject: str = ADDRESS, number: int = 1) -> Enrollment | None:
    """A contact's run through a campaign."""
    return functions.ledger.enrollment(f"{ids.enrollment_prefix(slug, subject)}-{number}")


def instant(milliseconds: int, *, zone: bool = True) -> str:
    """An instant as a website reports it, with its zone or without."""
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return text if zone else text.removesuffix("+00:00")


class TestFiveDay:
    """christmas-assessment: the website sends the first email, unless it reports that it failed."""

    @pytest.mark.parametrize("status", [None, "sent", "failed"])
    @pytest.mark.parametrize(
        "when", ["missing", "recent", "a little ahead", "far ahead", "naive", "a month ago", "no date"]
    )
    def test_who_sends_the_first_email_and_when_delays_start(
        self, functions: Functions, when: str, status: str | None
    ) -> None:
        """A report counts from 30 days back to an hour ahead, without a zone as UTC; a missing one, one that is no
        date and one far ahead give a warning."""
        now = functions.ledger.now()
        reported: dict[str, Any] = {
            "missing": None,
            "recent": instant(now - 2 * HOUR),
            "a little ahead": instant(now + HOUR // 2),
            "far ahead": instant(now + HOUR + MINUTE),
            "naive": instant(now - 2 * HOUR, zone=False),
            "a month ago": instant(now - 30 * DAY - MINUTE),
            "no date": "yesterday",
        }
        form = {"email": ADDRESS, **SCORES, "email_1_sent_at": reported[when], "email_1_status": status}
        answer = post(functions, "christmas-assessment", form)
        if when == "a month ago":
            assert (answer.status_code, [fault["loc"] for fault in (answer.json or {})["detail"]]) == (
                422,
                [["email_1_sent_at"]],
            )
            assert kept(functions) == {}
            return
        found = run(functions, "five-day")
        assert answer.status_code == 202 and found
        anchor = {"recent": now - 2 * HOUR, "naive": now - 2 * HOUR, "a little ahead": now + HOUR // 2}.get(when)
        assert found.anchor == anchor if anchor else now <= found.anchor <= functions.ledger.now()
        first = found.step(1)
        assert (first.state, first.sent_by) == (("scheduled", None) if status == "failed" else ("sent", "website"))
        assert [step.due - found.anchor for step in found.steps] == [days * DAY for days in range(5)]
        warned = functions.ledger.redis.hexists(ids.enrollment_key(found.id), "warning")
        assert warned == (when == "far ahead" or (when in ("missing", "no date") and status != "failed"))

    @pytest.mark.parametrize(("name", "slug"), [("christmas-signup", "christmas"), ("assessment", "busos")])
    @pytest.mark.parametrize("status", [None, "sent", "failed"])
    def test_the_other_forms(self, functions: Functions, name: str, slug: str, status: str | None) -> None:
        """The Christmas form's first email is ours unless the website reports it sent; the assessment's always is."""
        post(
            functions, name, ADA | {"email_1_status": status, "email_1_sent_at": instant(functions.ledger.now() - HOUR)}
        )
        found = run(functions, slug)
        assert found and found.step(1).sent_by == ("website" if status == "sent" and slug == "christmas" else None)


class TestNurture:
    """The forms, one after another."""

    @pytest.mark.parametrize("name", ["assessment", "christmas-signup"])
    def test_without_scores_a_person_is_only_tracked(self, functions: Functions, name: str) -> None:
        """Contact and row, no email; scores that come later begin the first run."""
        assert (post(functions, name, {"email": ADDRESS}).json or {})["campaign"] is None
        health = read_health(functions.ledger)
        assert (health.queued, health.scheduled) == (0, 0) and functions.contact()
        slug = str((post(functions, name, {"email": ADDRESS, **SCORES}).json or {})["campaign"])
        assert run(functions, slug)

    def test_a_signup_starts_no_campaign(self, functions: Functions) -> None:
        """The newsletter's form is remembered, scores too."""
        assert (post(functions, "signup", ADA).json or {})["campaign"] is None
        contact = functions.contact()
        assert contact and contact.fields["red_systems"] == "2" and read_health(functions.ledger).queued == 0

    def test_an_assessment_without_a_name_uses_the_signups(self, functions: Functions) -> None:
        """The email uses the name from an earlier form."""
        post(functions, "signup", {"email": ADDRESS, "first_name": "Augusta"})
        post(functions, "assessment", {"email": ADDRESS, **SCORES})
        found = run(functions, "busos")
        assert found
        with sandbox() as box:
            functions.set(RESEND_API_URL=f"{box.url}/resend")
            assert (functions.send(found.id, 1).json or {})["result"] == "sent"
            assert "Augusta" in box.outbox()[0]["text"]

    @pytest.mark.parametrize("first", ["christmas-signup", "christmas-assessment", "assessment"])
    def test_one_nurture_at_a_time(self, functions: Functions, first: str) -> None:
        """The first of the three blocks the others; their data is still remembered."""
        slugs = {"christmas-signup": "christmas", "christmas-assessment": "five-day", "assessment": "busos"}
        assert post(functions, first, ADA).status_code == 202
        for other in slugs.keys() - {first}:
            assert post(functions, other, ADA | {"business_name": f"Works of {other}"}).status_code == 202
            contact = functions.contact()
            assert contact and contact.fields["business_name"] == f"Works of {other}"
        assert [name for name, slug in slugs.items() if run(functions, slug)] == [first]

    def test_a_new_client_leaves_the_nurture(self, functions: Functions) -> None:
        """A client gets no more marketing, and is welcomed even when unsubscribed; the row says why."""
        post(functions, "assessment", ADA)
        post(functions, "postcall-maybe", {"email": ADDRESS})
        functions.ledger.suppress(ids.digest("bob@example.org"), "unsubscribed")
        for email in (ADDRESS, "bob@example.org"):
            assert post(functions, "onboarding-start", {"email": email, "package": "Quick start"}).status_code == 202
            found = run(functions, "onboarding", email)
            assert found and found.state == "active"
        ended = [run(functions, slug) for slug in ("busos", "postcall-maybe")]
        assert [(each and each.state, each and each.why) for each in ended] == [("exited", "client")] * 2

    def test_delays_count_from_the_call(self, functions: Functions) -> None:
        """The emails after a maybe count from the call; only one run at a time, and another call after its end is
        another run."""
        at = functions.ledger.now() - 2 * HOUR
        post(functions, "postcall-maybe", {"email": ADDRESS, "call_at": instant(at)})
        found = run(functions, "postcall-maybe")
        assert found and [step.due - at for step in found.steps] == [HOUR, 72 * HOUR, 168 * HOUR]
        post(functions, "postcall-maybe", {"email": ADDRESS})
        assert run(functions, "postcall-maybe", number=2) is None
        functions.ledger.cancel(found.id, "for the test")
        post(functions, "postcall-maybe", {"email": ADDRESS})
        assert run(functions, "postcall-maybe", number=2)


class TestLeads:
    """CRITICAL scores are reported to the owner, once."""

    def told(self, functions: Functions) -> int:
        """How many leads are waiting to be sent; sends each."""
        alerts, count = Alerts(functions.ledger), 0
        while alert := alerts.take():
            assert (alert.kind, alert.subject) == ("lead", ids.digest(ADDRESS))
            alerts.told(alert)
            count += 1
        return count

    @pytest.mark.parametrize("name", ["signup", "assessment", "christmas-signup", "christmas-assessment"])
    def test_critical_scores_are_one_lead(self, functions: Functions, name: str) -> None:
        """The same scores again are not reported; others are."""
        for _ in range(2):
            post(functions, name, ADA)
        assert self.told(functions) == 1
        post(functions, name, ADA)
        assert self.told(functions) == 0
        post(functions, name, ADA | {"red_systems": 3})
        assert self.told(functions) == 1

    @pytest.mark.parametrize("scores", [{}, {"red_systems": 1}, {"orange_systems": 8}, {"assessment_score": 0}])
    def test_other_scores_are_not_leads(self, functions: Functions, scores: dict[str, int]) -> None:
        """URGENT, OPTIMIZE and no scores at all are not worth an immediate call."""
        post(functions, "assessment", {"email": ADDRESS, **scores})
        assert functions.ledger.redis.zcard("eg:alerts") == 0


class TestMissedCalls:
    """calendly-noshow: Calendly's events and the operator's simple JSON."""

    def test_simple_json(self, functions: Functions) -> None:
        """An address is enough; the first email goes out 15 minutes later."""
        answer = post(functions, "calendly-noshow", {"email": ADDRESS, "name": "Ada Lovelace"}, headers=TOKEN)
        assert (answer.status_code, (answer.json or {})["campaign"]) == (202, "noshow-recovery")
        found = run(functions, "noshow-recovery", f"{ADDRESS}:")
        assert found and [step.due - found.anchor for step in found.steps] == [15 * MINUTE, 24 * HOUR, 72 * HOUR]

    @pytest.mark.parametrize(
        ("first", "second", "runs"),
        [
            ({"event_id": "call-1"}, {"event_id": "call-1"}, 1),
            ({"event_id": "call-1"}, {"event_id": "call-2"}, 2),
            ({"event_id": "call-1"}, {"event_id": "call-1", "email": "bob@example.org"}, 2),
            ({"starts_at": "2026-12-03T18:00:00Z"}, {"starts_at": "2026-12-03T13:00:00-05:00"}, 1),
            ({"starts_at": "2026-12-03T18:00:00Z"}, {"starts_at": "2026-12-03T18:00:00"}, 1),
            ({"starts_at": "2026-12-03T18:00:00Z"}, {"starts_at": "2026-12-04T18:00:00Z"}, 2),
            ({}, {}, 1),
        ],
    )
    def test_each_missed_call_is_one_run(
        self, functions: Functions, first: dict[str, Any], second: dict[str, Any], runs: int
    ) -> None:
        """The same call is recognized by your name for it or by its start, however its zone is written."""
        for report in (first, second):
            assert post(functions, "calendly-noshow", {"email": ADDRESS} | report, headers=TOKEN).status_code == 202
        assert len(list(functions.ledger.redis.scan_iter("eg:enrollment:noshow-recovery-*"))) == runs

    def test_each_meeting_has_its_own_run(self, functions: Functions) -> None:
        """Two missed meetings of one person are two runs, and a mark taken back ends only its own."""
        for uid in ("one", "two"):
            event = calendar_samples.calendly_no_show(uid, email=ADDRESS, mark=f"mark-{uid}")
            assert (post(functions, "calendly-noshow", event).json or {})["outcome"] == "enrolled"
        undone = calendar_samples.calendly_no_show_undone("one", email=ADDRESS, posted="2026-11-21T22:50:00.538Z")
        assert (post(functions, "calendly-noshow", undone).json or {})["outcome"] == "cancelled"
        runs = [run(functions, "noshow-recovery", uid) for uid in ("one", "two")]
        assert [found and found.state for found in runs] == ["cancelled", "active"]

    def test_a_calcom_no_show_leads_to_the_same_campaign(self, functions: Functions) -> None:
        """Either calendar's mark asks the booker to book again."""
        post(functions, "calcom-booking", good("calcom-booking"))
        event = calendar_samples.calcom_no_show(email=ADDRESS)
        assert (post(functions, "calcom-booking", event).json or {})["outcome"] == "enrolled"
        assert run(functions, "noshow-recovery", calendar_samples.UID)

    @pytest.mark.parametrize(
        ("name", "booked"),
        [("calcom-booking", calendar_samples.calcom_created), ("calendly-noshow", calendar_samples.calendly_created)],
    )
    def test_a_booking_ends_the_nurture(self, functions: Functions, name: str, booked: Any) -> None:
        """In either calendar."""
        post(functions, "assessment", ADA)
        start, posted = (instant(functions.ledger.now() + later) for later in (5 * DAY, MINUTE // 2))
        assert post(functions, name, booked(start=start, email=ADDRESS, posted=posted)).status_code == 200
        found = run(functions, "busos")
        assert found and (found.state, found.why) == ("exited", "booked")

    @pytest.mark.parametrize(
        "start", ["9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
    )
    def test_an_impossible_start_is_ignored(self, functions: Functions, start: str) -> None:
        """No one is reminded of a meeting beyond the calendar."""
        event = calendar_samples.calcom_created(start=start, email=ADDRESS)
        event["payload"]["attendees"][0]["timeZone"] = "Pacific/Kiritimati"
        assert (post(functions, "calcom-booking", event).json or {})["outcome"] == "ignored"
        assert not [key for key in kept(functions) if key.startswith(("eg:enrollment", "eg:meeting", "eg:contact"))]
