"""Alerts to the owner: the real clients over HTTP against the sandbox, on a real ledger with a given clock."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests
from redis import Redis
from structlog.testing import CapturingLogger

from shared.core.settings import Settings
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.enroll_orders import Enroll
from shared.operations import alerts
from shared.operations.alert_texts import CAUSES
from shared.operations.alerts import REFUSALS, Notifier
from tests.conftest import Clock
from tests.support import patience
from tests.support.refusing import refusing
from tests.support.sandbox_server import Sandbox, stand_still
from tests.support.waiting import WITHIN
from tests.support.world import ADA, SETTINGS

HOOK = "/discord/webhooks/1/secret-token"
OWNER = "owner@example.org"


class Desk:
    """An owner with a channel and, if wanted, an address; `tell` lets a minute pass and sends what is due."""

    def __init__(self, ledger: Ledger, clock: Clock, box: Sandbox, seconds: list[float]) -> None:
        self.ledger, self.clock, self.box, self.seconds = ledger, clock, box, seconds
        self.alerts = Alerts(ledger)
        self.slept: list[float] = []

    def notifier(self, *, discord: bool = True, alert_email: str = "", hook: str = HOOK) -> Notifier:
        """A worker that was started just now."""
        found: Settings = SETTINGS.model_copy(
            update={"discord_webhook_url": self.box.url + hook if discord else "", "alert_email": alert_email}
        )
        channel = patience.discord(self.box, hook, clock=lambda: self.seconds[0]) if discord else None
        return Notifier(self.ledger, found, channel, patience.resend(self.box), sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        """Note how long, and let the time pass, at Discord too."""
        self.seconds[0] += seconds
        self.slept.append(seconds)
        self.clock.advance(seconds=seconds)

    def tell(self, notifier: Notifier) -> int:
        """What a worker does half a minute later."""
        self.clock.advance(seconds=31)
        self.seconds[0] += 31
        return notifier.drain(WITHIN)

    def told(self) -> list[dict[str, Any]]:
        """Every embed that was posted."""
        return [embed for message in self.box.get("/discord.json") for embed in message["embeds"]]

    def titles(self) -> list[str]:
        """Of these."""
        return [embed["title"] for embed in self.told()]

    def lead(self, email: str = "ada@example.org", **fields: Any) -> None:
        """Someone with an urgent assessment."""
        known = {name: str(value) for name, value in {**ADA, "email": email, **fields}.items()}
        self.ledger.enroll(
            Enroll(contact=ids.digest(email), fields=known, source="test", lead=f"CRITICAL-{self.clock.now}")
        )

    def fault(self, kind: str, **details: Any) -> None:
        """Make Discord fail once, unless `count` says otherwise."""
        self.box.fault(kind, **{"provider": "discord", **details})


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    """What is logged."""
    logger = CapturingLogger()
    monkeypatch.setattr(alerts, "_logger", logger)
    return logger


@pytest.fixture
def desk(ledger: Ledger, clock: Clock, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(ledger, clock, box, stand_still(monkeypatch))


def test_a_lead_alert_contains_everything_known(desk: Desk) -> None:
    """Who, how to reach them, their scores, and the color of the segment; once."""
    desk.lead(business_name="Analytical Engines", timezone="Europe/London", green_systems=0)
    notifier = desk.notifier()
    assert (desk.tell(notifier), desk.tell(notifier)) == (1, 0)
    (embed,) = desk.told()
    assert (embed["title"], embed["color"]) == ("CRITICAL lead: Ada", 0xB3261E)
    assert {field["name"]: field["value"].replace("\\", "") for field in embed["fields"]} == {
        "Email": "ada@example.org",
        "Name": "Ada",
        "Business": "Analytical Engines",
        "Assessment score": "45 of 100",
        "Red systems": "2 of 8",
        "Orange systems": "1 of 8",
        "Green systems": "0 of 8",
        "Time zone": "Europe/London",
    }


def test_no_alert_is_sent_about_a_forgotten_person(desk: Desk) -> None:
    """The alert is dropped quietly."""
    desk.lead()
    desk.ledger.redis.delete(ids.contact_key(ids.digest("ada@example.org")))
    notifier = desk.notifier()
    assert (desk.tell(notifier), desk.tell(notifier), desk.told()) == (1, 0, [])


@pytest.mark.parametrize("cause", [*CAUSES, "unheard-of"])
def test_an_alert_says_what_happened_and_what_to_do(desk: Desk, cause: str) -> None:
    """One sentence of help for each cause, a general one for an unknown cause."""
    desk.alerts.report(cause, "christmas-1-2: it broke")
    desk.tell(desk.notifier())
    (embed,) = desk.told()
    assert "christmas-1-2: it broke" in embed["description"]
    assert CAUSES[cause].help.split()[0] in embed["description"] if cause in CAUSES else "unheard-of" in embed["title"]
    assert embed["fields"][0]["value"] == "once"


def test_an_alert_is_sent_once_an_hour_with_a_count(desk: Desk) -> None:
    """What comes in the quiet hour is sent at its end, as one message with the latest details."""
    notifier = desk.notifier()
    desk.alerts.report("failed", "first")
    desk.tell(notifier)
    for number in range(3):
        desk.alerts.report("failed", f"later {number}")
        desk.tell(notifier)
    assert len(desk.told()) == 1
    desk.clock.advance(hours=1)
    desk.tell(notifier)
    desk.clock.advance(hours=2)
    desk.tell(notifier)
    assert len(desk.told()) == 2
    assert desk.told()[1]["description"].startswith("Latest: later 2")
    assert desk.told()[1]["fields"][0]["value"] == "3 times"


def test_causes_do_not_silence_each_other(desk: Desk) -> None:
    """The hour is each cause's own."""
    notifier = desk.notifier()
    for cause in ("failed", "closed", "record"):
        desk.alerts.report(cause, "x")
        desk.tell(notifier)
    assert desk.titles() == [CAUSES[cause].title for cause in ("failed", "closed", "record")]


def test_an_alert_taken_by_a_killed_worker_is_still_sent(desk: Desk) -> None:
    """Nothing is lost between taking and sending; the lease of a minute runs out."""
    desk.alerts.report("failed", "x")
    assert desk.alerts.take() is not None
    notifier = desk.notifier()
    assert desk.tell(notifier) == 0
    assert desk.tell(notifier) == 1
    assert len(desk.told()) == 1


def test_alerts_beyond_discords_limit_wait_their_turn(desk: Desk) -> None:
    """Eight leads in one go: after the fifth the worker waits out the window, and Discord never has to refuse."""
    notifier = desk.notifier()
    for number in range(8):
        desk.lead(f"p{number}@example.org")
    assert desk.tell(notifier) == 8
    assert len(desk.told()) == 8
    assert desk.slept == [2]


def test_a_429_from_discord_is_respected(desk: Desk) -> None:
    """Discord is left alone for as long as it says; then the alert is sent, and no sooner."""
    desk.fault("status", status=429, retry_after=120)
    notifier = desk.notifier()
    now = [100.0]
    assert notifier.discord is not None
    notifier.discord._clock = lambda: now[0]
    desk.alerts.report("failed", "x")
    desk.alerts.report("record", "y")
    assert desk.tell(notifier) == 0
    for _ in range(3):
        now[0] += 31
        assert desk.tell(notifier) == 0
    assert desk.box.get("/faults") == [] and desk.told() == []
    now[0] += 31
    desk.clock.advance(seconds=120)
    assert desk.tell(notifier) == 2


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 500}, {"kind": "disconnect"}, {"kind": "timeout-before"}]
)
def test_an_outage_delays_alerts_and_loses_none(desk: Desk, fault: dict[str, Any]) -> None:
    """Whatever form it takes, everything is sent half a minute later."""
    desk.fault(**fault)
    notifier = desk.notifier()
    desk.alerts.report("failed", "x")
    desk.lead()
    assert desk.tell(notifier) == 0
    assert desk.tell(notifier) == 2


def test_a_refused_alert_blocks_no_other_and_is_finally_dropped(desk: Desk, logs: CapturingLogger) -> None:
    """The others are sent at once; after five tries it is written to the log."""
    notifier = desk.notifier()
    desk.alerts.report("failed", "this one is refused")
    desk.clock.advance(seconds=1)
    desk.alerts.report("record", "x")
    desk.fault("status", status=400)
    assert desk.tell(notifier) == 1
    assert desk.titles() == [CAUSES["record"].title]
    desk.fault("status", status=400, count=REFUSALS)
    assert [desk.tell(notifier) for _ in range(REFUSALS)] == [0] * REFUSALS
    ((level, dropped),) = logged(logs, "alert.dropped")
    assert (level, dropped["detail"]) == ("error", "this one is refused")
    requests.delete(f"{desk.box.url}/faults", timeout=WITHIN)
    assert desk.tell(notifier) == 0


def test_a_deleted_webhook_is_reported_once_and_not_used_again(desk: Desk, logs: CapturingLogger) -> None:
    """Not even by a worker that is started again: alerts go to the address, first of all that the webhook is gone."""
    requests.delete(desk.box.url + HOOK, timeout=WITHIN)
    desk.alerts.report("failed", "x")
    assert desk.tell(desk.notifier(alert_email=OWNER)) == 2
    desk.clock.advance(hours=2)
    desk.alerts.report("failed", "y")
    desk.box.post("/faults", {"provider": "discord", "kind": "status", "status": 500, "count": 1})
    assert desk.tell(desk.notifier(alert_email=OWNER)) == 1
    assert len(desk.box.get("/faults")) == 1, "Discord was asked again"
    assert sorted(email["subject"] for email in desk.box.outbox()) == [
        "An email failed",
        "An email failed",
        "The Discord webhook no longer exists",
    ]
    ((level, said),) = logged(logs, "discord.gone")
    assert level == "error" and "secret-token" not in json.dumps(said)


def test_a_new_webhook_is_used(desk: Desk) -> None:
    """The old one's end does not affect it."""
    requests.delete(desk.box.url + HOOK, timeout=WITHIN)
    desk.alerts.report("failed", "x")
    desk.tell(desk.notifier())
    desk.alerts.report("record", "y")
    assert desk.tell(desk.notifier(hook="/discord/webhooks/2/other")) == 1
    assert desk.titles() == [CAUSES["record"].title]


def test_without_discord_the_owner_gets_emails(desk: Desk) -> None:
    """Plain ones, with the same words."""
    desk.alerts.report("closed", "Resend answered 403 invalid_api_key: no")
    desk.lead()
    assert desk.tell(desk.notifier(discord=False, alert_email=OWNER)) == 2
    emails = {email["subject"]: email for email in desk.box.outbox()}
    assert set(emails) == {"Sending has stopped", "CRITICAL lead: Ada"}
    alert = emails["Sending has stopped"]
    assert (alert["to"], alert["html"]) == ([OWNER], None)
    assert "invalid_api_key: no" in alert["text"] and "once" in alert["text"]
    assert "Email: ada@example.org" in emails["CRITICAL lead: Ada"]["text"]


def test_an_email_whose_answer_was_lost_is_not_sent_twice(desk: Desk) -> None:
    """The key is the alert's own; what happens again an hour later is another email."""
    notifier = desk.notifier(discord=False, alert_email=OWNER)
    desk.alerts.report("failed", "x")
    desk.fault("commit-then-503", provider="resend")
    assert [desk.tell(notifier) for _ in range(2)] == [0, 1]
    assert len(desk.box.outbox()) == 1
    desk.clock.advance(hours=1)
    desk.alerts.report("failed", "x")
    assert desk.tell(notifier) == 1
    assert len(desk.box.outbox()) == 2


def test_an_alert_email_waits_its_turn_at_resend(desk: Desk) -> None:
    """While Resend is left alone, alerts leave it alone too."""
    desk.ledger.hold("resend", 60)
    notifier = desk.notifier(discord=False, alert_email=OWNER)
    desk.alerts.report("failed", "x")
    assert [desk.tell(notifier) for _ in range(3)] == [0, 1, 0]


def test_without_any_channel_alerts_go_to_the_log(desk: Desk, logs: CapturingLogger) -> None:
    """An alert as an error; a lead by its digest only."""
    desk.alerts.report("failed", "x")
    desk.lead()
    assert desk.tell(desk.notifier(discord=False)) == 2
    assert logged(logs, "alert") == [("error", {"cause": "failed", "count": 1, "detail": "x"})]
    assert logged(logs, "lead") == [("info", {"contact": ids.digest("ada@example.org")})]


def test_a_silent_scheduler_raises_an_alert(desk: Desk) -> None:
    """After two looks in a row: at first the scheduler may not have started yet."""
    notifier = desk.notifier()
    notifier.watch()
    desk.ledger.redis.set(ids.TICK, desk.clock.now)
    notifier.watch()
    assert desk.tell(notifier) == 0
    desk.clock.advance(seconds=61)
    notifier.watch()
    assert desk.tell(notifier) == 0
    notifier.watch()
    assert desk.tell(notifier) == 1
    assert desk.titles() == ["The scheduler is silent"]
    assert "123 s ago" in desk.told()[0]["description"]


def test_the_owner_is_warned_before_the_ledger_is_full(desk: Desk, redis: Redis) -> None:
    """At 70 % of its memory, at each tenth more, and when it is full; then, too, the alert can be raised and sent."""
    notifier, used = desk.notifier(), int(redis.info("memory")["used_memory"])
    desk.ledger.redis.set(ids.TICK, desk.clock.now + 100 * 3_600_000)
    try:
        for limit, titles in (
            (used * 2, []),
            (used * 1.35, ["The ledger is filling up"]),
            (used * 1.33, []),  # once is enough
            (1, ["The ledger is full"]),
            (1, []),
            (used * 1.35, []),
            (1, ["The ledger is full"]),  # again
        ):
            redis.config_set("maxmemory", int(limit))
            before = len(desk.told())
            notifier.watch()
            notifier.watch()
            desk.tell(notifier)
            desk.clock.advance(hours=1)
            desk.tell(notifier)
            assert desk.titles()[before:] == titles, limit
    finally:
        redis.config_set("maxmemory", 0)
    assert "evergreen purge" in desk.told()[0]["description"]


def test_on_a_full_ledger_the_scheduler_is_not_called_silent(desk: Desk, redis: Redis) -> None:
    """It cannot report its heartbeat: one cause, one alert."""
    notifier = desk.notifier()
    with refusing(redis, "OOM"):
        for _ in range(3):
            notifier.watch()
        desk.tell(notifier)
    assert desk.titles() == ["The ledger is full"]


def many(desk: Desk, count: int, name: str = "lead") -> None:
    """This many urgent leads at once."""
    for number in range(count):
        desk.clock.advance(ms=1)
        desk.lead(f"{name}{number}@example.org", first_name=f"{name.title()}{chr(65 + number % 26)}")


def numbers(desk: Desk) -> list[int]:
    """How many leads each message told of, in order."""
    return [int(match[1]) if (match := re.match(r"(\d+) urgent leads", title)) else 1 for title in desk.titles()]


@pytest.mark.parametrize("leads", [1, 10, 200])
def test_an_alert_goes_ahead_of_leads(desk: Desk, leads: int) -> None:
    """However many came before it."""
    many(desk, leads)
    desk.alerts.report("failed", "x")
    desk.tell(desk.notifier())
    assert desk.titles()[0] == "An email failed" and sum(numbers(desk)[1:]) == leads


def test_an_alert_goes_ahead_of_leads_of_an_earlier_release(desk: Desk, redis: Redis) -> None:
    """Which kept both on one list; their leads are still sent."""
    many(desk, 30)
    redis.rename(ids.LEADS, ids.NOTICES)
    desk.clock.advance(seconds=1)
    desk.alerts.report("failed", "x")
    desk.tell(desk.notifier())
    assert (desk.titles()[0], numbers(desk)[1:]) == ("An email failed", [30])
    assert redis.zcard(ids.NOTICES) == redis.zcard(ids.LEADS) == redis.hlen("eg:notices:versions") == 0


def test_many_leads_are_one_message(desk: Desk) -> None:
    """How many, the first few as they are named one by one, and where all are."""
    many(desk, 37)
    desk.tell(desk.notifier())
    (embed,) = desk.told()
    assert embed["title"] == "37 urgent leads in the last minute"
    assert [field["name"] for field in embed["fields"]] == [f"CRITICAL lead: Lead{letter}" for letter in "ABCDE"]
    assert "lead0@example.org" in embed["fields"][0]["value"].replace("\\", "")
    assert "/console/enrollments?segment=CRITICAL" in embed["description"].replace("\\", "")


def test_ten_leads_a_minute_go_one_by_one(desk: Desk) -> None:
    """The others wait for the minute's end, and are one message if they are more than ten; none is lost."""
    notifier = desk.notifier()
    many(desk, 10)
    desk.clock.advance(seconds=1)
    notifier.drain(WITHIN)
    many(desk, 12, "late")
    notifier.drain(WITHIN)
    assert numbers(desk) == [1] * 10
    desk.alerts.report("failed", "x")
    notifier.drain(WITHIN)
    assert desk.titles()[10:] == ["An email failed"]
    desk.clock.advance(seconds=61)
    notifier.drain(WITHIN)
    assert numbers(desk)[11:] == [12]
    desk.clock.advance(seconds=61)
    many(desk, 3, "later")
    notifier.drain(WITHIN)
    assert numbers(desk)[12:] == [1] * 3


def test_no_lead_of_a_summary_is_lost_when_the_worker_dies(desk: Desk) -> None:
    """All come again after its lease, once, with what came meanwhile."""
    many(desk, 25)
    taken = desk.alerts.take()
    assert taken and len(taken.members) == 25
    assert desk.alerts.take() is None
    many(desk, 5, "late")
    desk.tell(desk.notifier())
    desk.tell(desk.notifier())
    desk.tell(desk.notifier())
    assert sum(numbers(desk)) == 30
    assert desk.ledger.redis.zcard(ids.LEADS) == 0


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "retry_after": 40}])
def test_a_summary_that_discord_does_not_take_comes_again(desk: Desk, fault: dict[str, Any]) -> None:
    """With the same leads, and no claim that they came just now."""
    many(desk, 25)
    desk.fault("status", **fault)
    notifier = desk.notifier()
    for _ in range(4):
        desk.tell(notifier)
    assert desk.titles() == ["25 urgent leads"]


def test_a_summary_names_nobody_who_was_forgotten(desk: Desk) -> None:
    """Nor counts them."""
    many(desk, 12)
    desk.ledger.forget(ids.digest("lead0@example.org"), enrollments=[], meetings=[])
    taken = desk.alerts.take()
    assert taken and len(taken.members) == 11
    desk.alerts.failed(taken, 0)
    desk.ledger.redis.delete(ids.contact_key(ids.digest("lead1@example.org")))
    desk.tell(desk.notifier())
    assert numbers(desk) == [10] and "lead1@" not in str(desk.told())


def test_many_leads_are_one_email(desk: Desk) -> None:
    """Without Discord."""
    many(desk, 37)
    desk.tell(desk.notifier(discord=False, alert_email=OWNER))
    (email,) = desk.box.get("/outbox.json")
    assert email["subject"] == "37 urgent leads in the last minute"
    assert "CRITICAL lead: LeadA: Email: lead0@example.org" in email["text"]


def test_many_leads_are_logged_by_their_digests(desk: Desk, logs: CapturingLogger) -> None:
    """Without Discord and without an address."""
    many(desk, 12)
    desk.tell(desk.notifier(discord=False))
    assert len(logged(logs, "lead")) == 12 and "@" not in str(logs.calls)


def test_raising_a_notice_wakes_the_worker(desk: Desk, redis: Redis) -> None:
    """One waiting job is enough for any number of notices."""
    for _ in range(3):
        desk.alerts.report("failed", "x")
    assert redis.llen("rq:queue:notify") == 1


def logged(logs: CapturingLogger, event: str) -> list[tuple[str, dict[str, Any]]]:
    """The level and the facts of each line of one event."""
    return [(call.method_name, dict(call.kwargs)) for call in logs.calls if call.args == (event,)]
