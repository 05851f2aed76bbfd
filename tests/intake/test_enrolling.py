"""What a sign-up leads to: runs, anchors, groups, re-entry, suppression, and what is remembered of a person."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.core.settings import Settings
from shared.domain.catalog import Campaign, Catalog
from shared.domain.enrollments import Contact, Enrollment
from shared.domain.forms import NoShow, SignUp
from shared.domain.timing import DAY, HOUR
from shared.intake import enrolling
from shared.intake.context import Intake
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.conftest import START, Clock
from tests.support.functions_client import ADDRESS
from tests.support.world import ADA, SETTINGS, World

CONTACT = ids.digest(ADDRESS)
OWN = "https://cal.com/evergreen"


def campaign(slug: str, **changes: Any) -> Campaign:
    """A campaign of three daily emails, triggered by the webhook of its name."""
    steps = [{"number": number, "after": f"{24 * (number - 1)}h", "template": "x"} for number in (1, 2, 3)]
    least = {"slug": slug, "name": slug, "trigger": slug, "late": {"after": "12h", "policy": "send"}, "steps": steps}
    return Campaign.model_validate(least | changes)


BY_WEBSITE = [
    {"number": 1, "after": "0h", "template": "x", "sent_by": "website"},
    {"number": 2, "after": "24h", "template": "x"},
]
CAMPAIGNS = (
    campaign("plain"),
    campaign("other", group="nurture"),
    campaign("nurture", group="nurture", reentry="when-finished"),
    campaign("five-day", steps=BY_WEBSITE),
    campaign("only-first", steps=BY_WEBSITE[:1]),
    campaign("office", window={"days": "mon-fri", "from": "09:00", "to": "17:00"}),
    campaign("reminder", kind="transactional"),
    campaign("missed", reentry="per-event"),
)
CATALOG = Catalog({found.slug: found for found in CAMPAIGNS}, {})


@dataclass
class Desk:
    """Signs people up."""

    ledger: Ledger
    clock: Clock
    settings: Settings = SETTINGS

    def sign_up(self, trigger: str, key: str | None = None, **form: Any) -> Enrollment | None:
        """Post a form to a webhook; returns the person's latest run in that campaign."""
        given = SignUp.model_validate({"email": ADDRESS} | form)
        intake = Intake(self.ledger, CATALOG, self.settings, self.clock.now, "request-1", key=key)
        enrolling.sign_up(given, trigger=trigger, intake=intake)
        runs = [
            self.ledger.enrollment(f"{ids.enrollment_prefix(trigger, given.email)}-{number}") for number in (3, 2, 1)
        ]
        return next((run for run in runs if run), None)

    def missed(self, **call: Any) -> int:
        """Report a missed call; returns how many enrollments that campaign has had."""
        intake = Intake(self.ledger, CATALOG, self.settings, self.clock.now, "request-1")
        enrolling.report(NoShow.model_validate({"email": ADDRESS} | call), trigger="missed", intake=intake)
        return int(self.ledger.redis.hget("eg:tally:missed", "enrolled") or 0)

    def fields(self) -> dict[str, str]:
        """What is remembered about the person."""
        return dict((self.ledger.contact(CONTACT) or Contact()).fields)


@pytest.fixture
def desk(ledger: Ledger, clock: Clock) -> Desk:
    return Desk(ledger, clock)


def iso(instant: int) -> str:
    """An instant as a website reports it."""
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat()


class TestAnchor:
    """From when the delays count."""

    @pytest.mark.parametrize("reported", [None, START, START - DAY, START + HOUR])
    def test_the_reported_time_or_the_requests_is_the_anchor(self, desk: Desk, reported: int | None) -> None:
        """email_1_sent_at is the anchor when it is given, else the time of the request."""
        run = desk.sign_up("plain", email_1_sent_at=reported and iso(reported))
        anchor = START if reported is None else reported
        assert run and run.anchor == anchor
        assert [step.due for step in run.steps] == [anchor + day * DAY for day in range(3)]

    def test_a_report_from_the_future_is_not_believed(self, desk: Desk) -> None:
        """More than an hour ahead, the request's time counts, and the run carries a warning for the owner."""
        run = desk.sign_up("plain", email_1_sent_at=iso(START + HOUR + 1000))
        assert run and run.anchor == START
        assert "more than an hour ahead" in str(desk.ledger.redis.hget(ids.enrollment_key(run.id), "warning"))

    def test_a_recent_report_keeps_its_times(self, world: World) -> None:
        """Six hours ago is not late: the first email goes at once, the second 24 hours after the report."""
        run = world.sign_up(email_1_sent_at=iso(START - 6 * HOUR))
        world.work()
        assert world.states(run)[:2] == ["sent", "scheduled"]
        assert world.run(run).step(2).due == START + 18 * HOUR

    @pytest.mark.parametrize(("status", "first"), [(None, 1), ("sent", 2)])
    def test_the_late_policy_applies_to_an_old_report(self, world: World, status: str | None, first: int) -> None:
        """Five days ago: what is late goes now, once, and the gaps after it stay."""
        run = world.sign_up(email_1_sent_at=iso(START - 5 * DAY), email_1_status=status)
        world.work()
        assert world.provider.email_ids == [f"{run}-{first}"]
        dues = [step.due for step in world.run(run).steps[first - 1 :]]
        offsets = [step.offset for step in world.run(run).steps[first - 1 :]]
        assert [due - START for due in dues] == [offset - offsets[0] for offset in offsets]


class TestSentByTheWebsite:
    """Who sends the first email."""

    @pytest.mark.parametrize(("status", "by"), [("sent", "website"), ("failed", None), (None, None)])
    def test_if_reported(self, world: World, status: str | None, by: str | None) -> None:
        """`website-if-reported`: ours, unless the website says that it has sent it; then never ours."""
        run = world.sign_up(email_1_status=status, email_1_sent_at=iso(START - HOUR))
        step = world.run(run).step(1)
        assert (step.sent_by, step.sent_at) == (by, START - HOUR if by else None)
        world.work()
        assert len(world.provider.accepted) == (0 if by else 1)

    @pytest.mark.parametrize(("status", "by"), [("sent", "website"), ("failed", None), (None, "website")])
    def test_by_agreement(self, desk: Desk, status: str | None, by: str | None) -> None:
        """`website`: the website's, unless it says that it failed."""
        run = desk.sign_up("five-day", email_1_status=status, email_1_sent_at=iso(START))
        assert run and [step.state for step in run.steps] == ["sent" if by else "scheduled", "scheduled"]
        assert run.step(1).sent_by == by

    def test_without_a_time_there_is_a_warning(self, desk: Desk) -> None:
        """The website sent it, but the time is unknown: the request's time counts, and the owner gets a warning."""
        run = desk.sign_up("five-day")
        assert run and run.anchor == START
        assert "email_1_sent_at is missing" in str(desk.ledger.redis.hget(ids.enrollment_key(run.id), "warning"))

    def test_a_run_with_nothing_left_is_complete(self, desk: Desk) -> None:
        """When the website has sent all emails, there is nothing to wait for."""
        run = desk.sign_up("only-first")
        assert run and run.state == "completed"
        assert desk.ledger.redis.zcard(ids.OPEN) == 0


class TestAgain:
    """Signing up more than once."""

    def test_a_run_does_not_start_twice(self, desk: Desk) -> None:
        """While a run exists, and after it, another sign-up changes nothing but what is remembered."""
        first = desk.sign_up("plain", first_name="Ada")
        desk.clock.advance(hours=5)
        assert desk.sign_up("plain", first_name="Augusta") == first
        assert desk.fields()["first_name"] == "Augusta"
        desk.ledger.suppress(CONTACT, "unsubscribed")
        again = desk.sign_up("plain", consent=True)
        assert first and again and (again.id, again.state) == (first.id, "exited")

    def test_simultaneous_sign_ups_start_one_run(self, desk: Desk) -> None:
        """Twenty sign-ups at the same moment begin one run with each step once."""
        with ThreadPoolExecutor(20) as pool:
            runs = list(pool.map(lambda _: desk.sign_up("plain"), range(20)))
        assert {run and run.id for run in runs} == {f"{ids.enrollment_prefix('plain', ADDRESS)}-1"}
        redis = desk.ledger.redis
        assert (redis.zcard(ids.OPEN), redis.llen(ids.QUEUE), redis.zcard(ids.SCHEDULED)) == (3, 1, 2)

    def test_re_entry_when_finished(self, desk: Desk) -> None:
        """`when-finished`: the same run while it is active, a new one with the next number after it."""
        first = desk.sign_up("nurture")
        assert desk.sign_up("nurture") == first
        desk.ledger.suppress(CONTACT, "unsubscribed")
        second = desk.sign_up("nurture", consent=True)
        assert first and second and (second.id, second.state) == (first.id[:-1] + "2", "active")

    def test_a_group_holds_one_run(self, desk: Desk) -> None:
        """A person in one campaign of a group does not enter another, but new data is remembered; at its end the group
        is free."""
        desk.sign_up("nurture")
        assert desk.sign_up("other", business_name="Engines") is None
        assert desk.fields()["business_name"] == "Engines"
        assert desk.sign_up("plain"), "a campaign of no group is not concerned"
        desk.ledger.suppress(CONTACT, "unsubscribed")
        assert desk.sign_up("other", consent=True)

    def test_tracking_starts_no_run(self, world: World) -> None:
        """A form without scores schedules no email; the assessment that follows is the first run."""
        run = world.sign_up({"email": ADDRESS, "name": "Ada Lovelace"})
        world.work()
        assert world.ledger.enrollment(run) is None and world.provider.accepted == []
        assert world.sign_up({"email": ADDRESS, "green_systems": 0}) == run
        assert world.run(run).state == "active"

    def test_a_webhook_without_a_campaign_only_tracks(self, desk: Desk) -> None:
        """The contact is remembered, and nothing else."""
        assert desk.sign_up("signup", assessment_score=3) is None
        assert desk.fields()["assessment_score"] == "3"
        assert desk.ledger.redis.zcard(ids.OPEN) == 0

    def test_a_key_belongs_to_its_webhook(self, desk: Desk) -> None:
        """The same Idempotency-Key on two webhooks is two requests."""
        assert desk.sign_up("plain", key="form-1") and desk.sign_up("reminder", key="form-1")
        assert desk.sign_up("office", key="form-2", email="bob@example.org")
        assert desk.sign_up("office", key="form-2") is None


class TestMissedCalls:
    """What the operator reports of calls: an occasion that has a name is one enrollment, however that ended."""

    NAMED = (
        {"event_id": "call-7"},
        {"starts_at": iso(START - HOUR)},
        {"event_id": "call-7", "starts_at": iso(START - HOUR)},
    )

    @pytest.mark.parametrize("call", NAMED)
    @pytest.mark.parametrize("end", ["exited", "cancelled", "completed"])
    def test_the_same_call_again_starts_nothing(self, desk: Desk, call: dict[str, str], end: str) -> None:
        """Neither while its emails go out nor after them."""
        assert desk.missed(**call) == 1
        assert desk.missed(**call) == 1
        (run,) = (key.removeprefix("eg:enrollment:") for key in desk.ledger.redis.scan_iter("eg:enrollment:missed-*"))
        if end == "exited":
            desk.ledger.suppress(CONTACT, "unsubscribed")
            desk.sign_up("signup", consent=True)
        elif end == "cancelled":
            desk.ledger.cancel(run, "by hand")
        else:
            for step in (1, 2, 3):
                desk.ledger.skip(run, step, "by hand")
        found = desk.ledger.enrollment(run)
        assert found and found.state == end
        desk.clock.advance(hours=24 * 40)
        assert desk.missed(**call) == 1
        assert desk.missed(event_id="call-8") == 2, "another call is another enrollment"

    @pytest.mark.parametrize("webhook", ["operator", "form"])
    def test_an_unidentified_call_may_be_a_new_one(self, desk: Desk, webhook: str) -> None:
        """It is impossible to tell: while emails go out it counts as the same call, afterwards as the next."""

        def again() -> int:
            if webhook == "operator":
                return desk.missed()
            desk.sign_up("missed")
            return int(desk.ledger.redis.hget("eg:tally:missed", "enrolled") or 0)

        assert (again(), again()) == (1, 1)
        desk.ledger.suppress(CONTACT, "unsubscribed")
        desk.sign_up("signup", consent=True)
        assert again() == 2


class TestSuppressed:
    """People who must get no more email."""

    @pytest.mark.parametrize("reason", ["unsubscribed", "bounced", "complained", "manual"])
    def test_a_suppressed_contact_is_only_tracked(self, desk: Desk, reason: str) -> None:
        """A suppressed address enters no marketing campaign; new data is remembered."""
        desk.ledger.suppress(CONTACT, reason)
        assert desk.sign_up("plain", first_name="Ada") is None
        assert desk.fields()["first_name"] == "Ada"

    @pytest.mark.parametrize(
        ("reason", "enters"), [("unsubscribed", True), ("bounced", False), ("complained", False), ("manual", False)]
    )
    def test_an_unsubscribe_blocks_marketing_only(self, desk: Desk, reason: str, enters: bool) -> None:
        """Reminders still go to people who unsubscribed, but not to those who bounced or complained."""
        desk.ledger.suppress(CONTACT, reason)
        assert bool(desk.sign_up("reminder")) == enters

    @pytest.mark.parametrize(
        ("reason", "lifted"), [("unsubscribed", True), ("bounced", False), ("complained", False), ("manual", False)]
    )
    @pytest.mark.parametrize("consent", [True, False, None])
    def test_consent_lifts_an_unsubscribe(self, desk: Desk, reason: str, lifted: bool, consent: bool | None) -> None:
        """Only `consent: true` does, and only that."""
        desk.ledger.suppress(CONTACT, reason)
        assert bool(desk.sign_up("plain", consent=consent)) == (lifted and consent is True)

    def test_consent_is_kept_with_its_wording_and_time(self, desk: Desk) -> None:
        """What the visitor agreed to, and when, can be shown later."""
        desk.sign_up("plain", consent=True, consent_text="I agree to receive emails.")
        assert {"I agree to receive emails.", str(START)} <= set(desk.fields().values())


class TestContact:
    """What is remembered about a person."""

    def test_each_form_adds_what_it_knows(self, desk: Desk) -> None:
        """Each form adds what it knows; what it leaves out or empty stays."""
        desk.sign_up("signup", name="Ada Lovelace", business_name="Engines", red_systems=3)
        desk.sign_up("plain", name="", business_name=None, red_systems=0, timezone="Europe/London")
        known = {
            "email": ADDRESS,
            "name": "Ada Lovelace",
            "business_name": "Engines",
            "red_systems": "0",
            "timezone": "Europe/London",
        }
        assert known.items() <= desk.fields().items()

    @pytest.mark.parametrize("rest", ["", "/", "/call", "/other?name=Ada"])
    def test_the_persons_own_link_to_the_owners_page_is_kept(self, desk: Desk, rest: str) -> None:
        """A link that begins as the owner's own does replaces it in this person's emails."""
        desk.settings = SETTINGS.model_copy(update={"booking_url": f"{OWN}/call"})
        desk.sign_up("plain", booking_url=OWN + rest)
        assert desk.fields()["booking_url"] == OWN + rest

    @pytest.mark.parametrize(
        "link",
        [
            "https://cal.com/attacker/call", f"{OWN}-attacker", f"{OWN}/../attacker/call", f"{OWN}/%2E%2e/attacker", "https://cal.com/./evergreen",
            "https://evil.net/evergreen", "https://cal.com.evil.net/evergreen", "https://cal.com@evil.net/evergreen", "https://evil@cal.com/evergreen",
            "https://cal.com:444/evergreen", "http://cal.com/evergreen", "//cal.com/evergreen", "javascript://cal.com/evergreen",
            "/evergreen", "https:\\\\cal.com\\evergreen", f"{OWN}/a b", f'{OWN}/"><script>', f"{OWN}/{{{{ name }}}}", "https://[::1/evergreen",
            f"{OWN}/\u202e",
        ],
    )  # fmt: skip
    def test_a_foreign_link_is_ignored(self, desk: Desk, link: str) -> None:
        """Anyone can post a form, so a link to another person's page is not kept; the sign-up itself counts."""
        desk.settings = SETTINGS.model_copy(update={"booking_url": f"{OWN}/call"})
        assert desk.sign_up("plain", booking_url=link)
        assert "booking_url" not in desk.fields()


class TestDue:
    """Windows and zones."""

    @pytest.mark.parametrize(
        ("zone", "hour"), [("America/Toronto", 14), ("Europe/Berlin", 8), ("Nowhere/Town", 9), (None, 9)]
    )
    @pytest.mark.parametrize("earlier", [False, True])
    def test_a_window_is_in_the_contacts_zone(self, desk: Desk, zone: str | None, hour: int, earlier: bool) -> None:
        """Friday 08:00 UTC waits for nine where the contact is, as this form or an earlier one said, else where the
        business is."""
        if earlier:
            desk.sign_up("signup", timezone=zone)
        run = desk.sign_up("office", timezone=None if earlier else zone)
        midnight = START - 8 * HOUR
        assert run and [step.due for step in run.steps] == [midnight + days * DAY + hour * HOUR for days in (0, 3, 4)]


class TestChangedCampaign:
    """A campaign file that changes while people are in it."""

    def test_a_removed_step_is_skipped(self, world: World) -> None:
        """The run continues with the next one, at the times that it was given."""
        run = world.sign_up(ADA)
        dues = [step.due for step in world.run(run).steps]
        christmas = world.sender.catalog.campaigns["christmas"]
        shorter = christmas.model_copy(update={"steps": [step for step in christmas.steps if step.number != 2]})
        world.sender = dataclasses.replace(
            world.sender, catalog=Catalog({"christmas": shorter}, world.sender.catalog.sources)
        )
        world.live(hours=73)
        assert world.states(run)[:3] == ["sent", "skipped", "sent"]
        assert [step.due for step in world.run(run).steps] == dues
