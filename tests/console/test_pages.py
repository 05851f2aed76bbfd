"""The console's pages and forms over HTTP, on a real ledger; and that console, API and command line decide alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from local import valkey
from shared import services
from shared.console.actions import OF_RUN, OF_STEP
from shared.ledger import ids, limits
from shared.ledger.client import Ledger
from shared.ledger.health import read_health
from shared.ledger.notion_columns import NotionColumns
from shared.ledger.version import VERSION
from tests.support.console_desk import RUN, Desk, console, set_step, sign_up, signed_in
from tests.support.functions_client import NOWHERE
from tests.system.test_browser_console import PAGES, populate

HERE = f"/enrollments/{RUN}"


def state(redis: Redis, step: int | None = None) -> Any:
    """Of Ada's run, or of one of its steps."""
    return redis.hget(ids.enrollment_key(RUN), "state" if step is None else f"{step}.state")


class TestPages:
    """What is shown."""

    @pytest.mark.parametrize("path", [path for name, path in PAGES.items() if name not in ("enrollment", "cancel")])
    def test_every_page_works_with_an_empty_ledger(self, desk: Desk, path: str) -> None:
        """Having nothing to show is not an error, and each list says so."""
        answer = desk.get(path)
        assert (answer.status_code, answer.mimetype) == (200, "text/html")

    @pytest.mark.parametrize(
        ("path", "sentence"),
        [
            ("", "No email is scheduled."),
            ("/enrollments", "No one has signed up yet."),
            ("/failures", "No email failed or is in doubt."),
            ("/suppressions", "No address is suppressed."),
            ("/campaigns/busos", "No one is enrolled yet."),
        ],
    )
    def test_an_empty_page_says_so(self, desk: Desk, path: str, sentence: str) -> None:
        """In a sentence of its own."""
        assert sentence in desk.get(path).text

    def test_what_is_wrong_in_notion_is_named(self, desk: Desk, redis: Redis) -> None:
        """All of it, with the fix."""
        NotionColumns(Ledger(redis)).judge(
            {"a": "Contacts: Email is missing; add it", "b": "Email Log: Status is a date"}
        )
        shown = desk.get("").text
        assert "A database in Notion needs a correction" in shown
        assert "Contacts: Email is missing; add it. Email Log: Status is a date." in shown

    @pytest.mark.parametrize(
        "path", ["/nothing", "/enrollments/christmas-0-1", "/campaigns/easter", "/campaigns/christmas/easter_email_1"]
    )
    def test_what_does_not_exist_gets_a_page(self, desk: Desk, path: str) -> None:
        """404, with a way back."""
        answer = desk.get(path)
        assert answer.status_code == 404 and "Back to the overview" in answer.text

    def test_a_timeline_tells_each_emails_story(self, ada: Desk, redis: Redis) -> None:
        """What was sent, delivered, refused and skipped, and why; what comes next, in the contact's time zone and in
        UTC."""
        sent = 1_800_000_000_000
        set_step(
            redis,
            RUN,
            1,
            state="sent",
            sent=sent,
            by="website",
            id="re_7f3c",
            opened=sent + 60_000,
            note="greylisted once",
        )
        set_step(redis, RUN, 2, state="skipped", why="skipped manually")
        text = ada.get(HERE).text
        assert 'title="2027-01-15 08:00:00 UTC">Fri 15 Jan 2027, 00:00</time> by the website' in text
        for said in (
            "re_7f3c",
            "Opened <time",
            "greylisted once",
            "skipped manually",
            "America/Vancouver",
            "CRITICAL",
            "christmas_email_2",
        ):
            assert said in text
        assert re.search(r"Goes out <time[^>]*>[^<]*</time> <span class=\"quiet\">\(in 3 days\)", text)

    def test_lists_keep_their_filters(self, desk: Desk) -> None:
        """By address, campaign, state and segment; the link to older ones carries them."""
        for number in range(60):
            sign_up(
                {"email": f"c{number}@example.org", "red_systems": number % 2 * 2, "green_systems": 1}, number=number
            )
        first = desk.get("/enrollments?campaign=christmas&state=active")
        assert first.text.count('class="badge active"') == 50
        link = re.search(r'rel="next" href="/console([^"]*)"', first.text)
        assert link and link[1] == "/enrollments?page=50&amp;campaign=christmas&amp;state=active"
        assert desk.get(link[1].replace("&amp;", "&")).text.count('class="badge active"') == 10
        critical = desk.get("/enrollments?segment=CRITICAL").text
        assert (critical.count("<td>CRITICAL</td>"), critical.count("<td>OPTIMIZE</td>")) == (30, 0)
        assert desk.get("/enrollments?address=C7@example.org%20").text.count('class="badge active"') == 1
        assert "No enrollments match" in desk.get("/enrollments?state=paused").text

    def test_a_strangers_text_is_never_markup(self, desk: Desk, redis: Redis) -> None:
        """A name is never markup."""
        sign_up()
        redis.hset(
            ids.contact_key(ids.digest("ada@example.org")),
            mapping={"business_name": "<script>alert(1)</script>", "name": "<b>"},
        )
        for path in (HERE, "/enrollments", "", "/enrollments?address=%3Cscript%3E"):
            assert "<script>alert" not in desk.get(path).text
        assert "&lt;script&gt;" in desk.get(HERE).text

    def test_what_strangers_claimed_is_shown_as_such(self, ada: Desk, redis: Redis) -> None:
        """Under a heading of its own, as text and without invisible characters; without a claim there is none."""
        assert "<h2>Claimed</h2>" not in ada.get(HERE).text
        claimed = {"claimed.name": "<i>Eve</i>", "claimed.red_systems": "8", "claimed.timezone": "Asia\x1b[2J/Tokyo"}
        known: dict[Any, Any] = claimed | {"confirmed_at": 1_800_000_000_000}
        redis.hset(ids.contact_key(ids.digest("ada@example.org")), mapping=known)
        text = ada.get(HERE).text
        assert "<h2>Claimed</h2>" in text and "Nothing proves it" in text and "<dt>Address confirmed</dt>" in text
        for shown in ("<dd>&lt;i&gt;Eve&lt;/i&gt;</dd>", "<dt>Red systems</dt><dd>8</dd>", "<dd>Asia[2J/Tokyo</dd>"):
            assert shown in text

    def test_forms_with_the_hidden_field_filled_in_are_counted(self, desk: Desk, redis: Redis) -> None:
        """They do nothing else, so the overview shows them, once there are any."""
        assert "Hidden field filled in" not in desk.get("/").text
        redis.hset(limits.TRAPPED, mapping={"signup": "40", "assessment": "7"})
        assert re.search(r"Hidden field filled in</dt>\s*<dd[^>]*>47<", desk.get("/").text)

    def test_what_the_owner_should_know_of_an_enrollment(self, ada: Desk, redis: Redis) -> None:
        """The warning from its start, and which campaign a group has blocked; without them there is neither."""
        assert "Not enrolled" not in ada.get(HERE).text
        redis.hset(ids.enrollment_key(RUN), "warning", "email_1_sent_at is missing")
        redis.hset(ids.contact_key(ids.digest("ada@example.org")), "blocked.busos", f"1800000000000 {RUN}")
        text = ada.get(HERE).text
        assert "email_1_sent_at is missing" in text
        assert "<h2>Not enrolled</h2>" in text and "busos" in text and "Fri 15 Jan 2027, 00:00" in text

    def test_a_queued_enrollment_says_what_it_waits_for(self, ada: Desk, redis: Redis) -> None:
        """With a link to that, and until when; it can only be canceled."""
        contact = ids.digest("ada@example.org")
        redis.hset(ids.contact_key(contact), "group.nurture", f"{RUN[:-1]}2")
        redis.hset(ids.enrollment_key(RUN), mapping={"state": "queued", "steps": "", "queued_until": "1800000000000"})
        text = ada.get(HERE).text
        assert f'Queued: starts when <a href="/console/enrollments/{RUN[:-1]}2">' in text
        assert "at most until <time" in text and f"/enrollments/{RUN}/cancel" in text
        assert f"/enrollments/{RUN}/pause" not in text

    def test_a_preview_is_sandboxed(self, desk: Desk) -> None:
        """Each segment has its own text; only our own pages may frame it, and it runs no scripts."""
        page = desk.get("/campaigns/christmas/christmas_email_2?segment=URGENT")
        assert page.text.count("<iframe") == 2 and page.text.count(" sandbox>") == 2
        mail = desk.get("/campaigns/christmas/christmas_email_2/mail?segment=URGENT")
        assert "Take your red systems (1)" in mail.text
        assert mail.headers["Content-Security-Policy"].endswith("frame-ancestors 'self'; sandbox")

    def test_a_rejected_edit_is_shown(self, desk: Desk, redis: Redis) -> None:
        """With its sentence, wherever the email is listed."""
        redis.hset("eg:templates:rejected", "christmas/christmas_email_3", "line 4: a link's address is not safe.")
        for path in ("/campaigns", "/campaigns/christmas", "/campaigns/christmas/christmas_email_3"):
            assert "line 4: a link&#39;s address is not safe." in desk.get(path).text

    def test_the_funnel_counts(self, desk: Desk, redis: Redis) -> None:
        """What was delivered and opened, of what was sent."""
        redis.hset(
            "eg:tally:christmas", mapping={"enrolled": 9, "1.sent": 8, "1.delivered": 6, "1.opened": 2, "1.booked": 4}
        )
        text = desk.get("/campaigns/christmas").text
        assert (
            "9 enrolled" in text
            and '6 <span class="quiet">75%</span>' in text
            and '2 <span class="quiet">25%</span>' in text
        )
        assert '4 <span class="quiet">50%</span>' in text

    def test_health_says_what_to_do(self, lasting_tick: None, desk: Desk, redis: Redis) -> None:
        """Each problem with its reason and its fix; none when everything works."""
        assert "The scheduler is silent" in desk.get("/health").text
        desk.ledger.stop_sending("the key was refused")
        assert (
            "Sending is stopped" in desk.get("/health").text and "the key was refused" in desk.get("/enrollments").text
        )
        desk.ledger.start_sending()
        redis.set(ids.TICK, desk.ledger.now())
        redis.sadd(ids.workers_key("send"), "w")
        redis.sadd(ids.workers_key("record"), "r")
        assert "Everything is running." in desk.get("/health").text
        assert "Everything is OK" in desk.get("").text

    def test_without_redis_a_page_says_so(self, valkey_server: valkey.Valkey, tmp_path: Path) -> None:
        """503 with Retry-After, and that nothing is lost."""
        with console(valkey_server, tmp_path, REDIS_URL="redis://127.0.0.1:9/0") as app:
            answer = Desk(app).get_with(signed_in(), "/enrollments")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "Redis is unavailable" in answer.text and "none is lost" in answer.text


class TestForms:
    """What is done."""

    def test_opening_a_page_decides_nothing(self, ada: Desk, redis: Redis) -> None:
        """Opening the address of any decision asks, and changes nothing."""
        before = redis.hgetall(ids.enrollment_key(RUN))
        for name in OF_RUN:
            assert ada.get(f"{HERE}/{name}").status_code == 200
        for name in OF_STEP:
            assert ada.get(f"{HERE}/steps/2/{name}").status_code == 200
        assert redis.hgetall(ids.enrollment_key(RUN)) == before

    def test_a_run_is_paused_resumed_and_cancelled(self, ada: Desk, redis: Redis) -> None:
        """Each form says what it did."""
        assert ada.said(f"{HERE}/pause") == "Paused: none of its emails is sent until you resume it."
        assert state(redis) == "paused" and "Paused <time" in ada.get(HERE).text
        assert ada.said(f"{HERE}/catch-up").startswith("Resumed with the original dates")
        assert ada.said(f"{HERE}/cancel").startswith("Cancelled")
        assert state(redis) == "cancelled" and "No more emails scheduled." in ada.get(HERE).text

    def test_an_impossible_decision_says_why(self, ada: Desk) -> None:
        """On the page of the run, as an alert; nothing is done."""
        assert ada.said(f"{HERE}/resume") == f"{RUN} is active, not paused"
        assert ada.post(f"{HERE}/steps/99/skip").status_code == 404
        assert ada.get(f"{HERE}/steps/99/skip").status_code == 404

    @pytest.mark.parametrize(
        ("path", "form"),
        [
            ("/enrollments/%00%ff/pause", {}),
            (f"{HERE}/steps/99999999999999999999999/send-now", {}),
            ("/campaigns/christmas/..%2f..%2fsettings/test", {"email": "me@example.org"}),
            ("/suppressions/add", {"email": "x" * 5000 + "@example.org"}),
            ("/suppressions/lift", {"email": "\x00"}),
            ("/sending/stop", {"reason": "\u202e" * 1000}),
            ("/sending/explode", {}),
            ("/pause", {str(number): "" for number in range(60)}),
        ],
    )
    def test_junk_never_crashes_a_page(self, ada: Desk, path: str, form: dict[str, str]) -> None:
        """It is refused, or does what it says; never a crash."""
        assert ada.post(path, form).status_code in (303, 400, 404)

    def test_a_failure_is_retried_from_the_list(self, ada: Desk, redis: Redis) -> None:
        """And the list is shown again, without it."""
        set_step(redis, RUN, 3, state="failed", why="the mailbox does not exist")
        assert "the mailbox does not exist" in ada.get("/failures").text
        assert ada.said(f"{HERE}/steps/3/retry", {"back": "/failures"}) == "Evergreen is trying again."
        assert state(redis, 3) == "scheduled" and "No email failed" in ada.get("/failures").text

    def test_a_failure_is_skipped_from_the_list(self, ada: Desk, redis: Redis) -> None:
        """An email in doubt whose enrollment has ended cannot be retried, but it can be skipped."""
        set_step(redis, RUN, 3, state="in-doubt", why="no answer", look=1)
        ada.said(f"{HERE}/cancel")
        listed = ada.get("/failures").text
        assert (
            "The enrollment is cancelled, so the email cannot be retried." in listed
            and f"{HERE}/steps/3/retry" not in listed
        )
        assert f"{HERE}/steps/3/skip?from=failures" in listed
        assert ada.said(f"{HERE}/steps/3/skip", {"back": "/failures"}) == "Skipped: this email will not be sent."
        assert state(redis, 3) == "skipped" and "No email failed" in ada.get("/failures").text

    def test_a_whole_batch_is_sent_as_new(self, ada: Desk, redis: Redis) -> None:
        """The question says how many emails these are; those that cannot be sent are named."""
        sign_up({"email": "bo@example.org", "assessment_score": 45})
        other = f"{ids.enrollment_prefix('christmas', 'bo@example.org')}-1"
        for run in (RUN, other):
            set_step(redis, run, 3, state="in-doubt", posted=1, frozen="batch-1", look=1)
            redis.zadd("eg:doubts", {f"{run}-3": 1})
        assert f"{HERE}/steps/3/retry-batch" in ada.get(HERE).text
        assert "2 emails are in doubt in this batch" in ada.get(f"{HERE}/steps/3/retry-batch").text
        ada.said(f"/enrollments/{other}/cancel")
        assert f"{other}-3: the enrollment is cancelled" in ada.said(f"{HERE}/steps/3/retry-batch")
        assert state(redis, 3) == "scheduled"

    def test_an_email_sent_alone_has_no_batch(self, ada: Desk, redis: Redis) -> None:
        """So none is offered."""
        set_step(redis, RUN, 3, state="in-doubt", posted=1, frozen=f"{RUN}-3")
        listed = ada.get(HERE).text
        assert f"{HERE}/steps/3/retry-anew" in listed and f"{HERE}/steps/3/retry-batch" not in listed

    def test_all_sending_is_stopped_and_started(self, desk: Desk) -> None:
        """Every page says so meanwhile."""
        desk.said("/sending/stop", {"reason": "  a wrong\nprice "})
        assert read_health(desk.ledger).gate == "a wrong price"
        assert "<strong>Sending is stopped:</strong> a wrong price." in desk.get("/campaigns").text
        desk.said("/sending/start")
        assert read_health(desk.ledger).gate is None

    def test_an_address_is_suppressed_and_unblocked(self, ada: Desk, redis: Redis) -> None:
        """Its run ends; unblocking it names what else you must do."""
        assert ada.said("/suppressions/add", {"email": " ADA@example.org "}).endswith("Enrollments ended: 1.")
        assert "by you" in ada.get("/suppressions").text and state(redis) == "exited"
        assert ada.said("/suppressions/lift", {"email": "ada@example.org"}) == "Unblocked. Removed: manual."
        assert ada.said("/suppressions/lift", {"email": "ada@example.org"}) == "This address was not suppressed."
        assert ada.said("/suppressions/add", {"email": "Ada <ada@example.org>"}).endswith("Enrollments ended: 0.")
        assert "No one with this address is known here" in ada.said("/suppressions/add", {"email": "bo@example.org"})
        assert ada.said("/suppressions/add", {"email": "nobody"}) == "That is not a valid email address."

    def test_lifting_an_unsubscribe_needs_consent(self, ada: Desk) -> None:
        """The operator must confirm that they have it."""
        ada.ledger.suppress(ids.digest("ada@example.org"), "unsubscribed")
        assert "only they can undo that" in ada.said("/suppressions/lift", {"email": "ada@example.org"})
        assert (
            ada.said("/suppressions/lift", {"email": "ada@example.org", "consent": "yes"})
            == "Unblocked. Removed: unsubscribed."
        )

    def test_a_test_email_needs_resend(self, valkey_server: valkey.Valkey, redis: Redis, tmp_path: Path) -> None:
        """Without its key there is no form, and the page names the command instead."""
        with console(valkey_server, tmp_path, RESEND_API_KEY="") as app:
            desk = Desk(app)
            desk.sign_in()
            text = desk.get("/campaigns/christmas/christmas_email_1").text
            assert (
                "evergreen templates preview christmas/christmas_email_1 --send-to" in text
                and "Send a test" not in text
            )
            assert "it cannot send" in desk.said(
                "/campaigns/christmas/christmas_email_1/test", {"email": "me@example.org"}
            )

    def test_a_test_email_that_fails_says_why(self, desk: Desk) -> None:
        """Here nothing listens at Resend's address."""
        assert services.current_settings().resend_api_url == NOWHERE
        said = desk.said(
            "/campaigns/christmas/christmas_email_1/test", {"email": "me@example.org", "segment": "URGENT"}
        )
        assert said == "Resend could not be reached"


def test_no_page_costs_more_with_very_many_enrollments(ada: Desk, redis: Redis) -> None:
    """No page makes Redis do or return more than the page and its filter need; the benchmarks measure how long it
    takes."""
    populate(redis)
    pipe = redis.pipeline(transaction=False)
    fields: Any = redis.hgetall(ids.enrollment_key(RUN))
    for number in range(100_000):
        name = f"christmas-{number:020x}-1"
        for kept in ("eg:recent", "eg:of:christmas", "eg:in:active"):
            pipe.zadd(kept, {name: number})
        if number % 20 == 0 or number > 99_800:
            pipe.hset(ids.enrollment_key(name), mapping=fields)
        if number % 1000 == 0:
            pipe.execute()
    pipe.execute()
    redis.zadd(ids.OPEN, {f"christmas-{number:020x}-1-2": number for number in range(0, 100_000, 20)})
    assert ada.get("/enrollments").text.count("<tr>") == 51
    much = {}
    filtered = ("/enrollments?state=active", "/enrollments?segment=OPTIMIZE", "/enrollments?page=99000")
    for path in (*PAGES.values(), *filtered):
        before: Any = redis.info("stats")
        assert ada.get(path).status_code == 200
        after: Any = redis.info("stats")
        commands, answered = (
            after[name] - before[name] for name in ("total_commands_processed", "total_net_output_bytes")
        )
        if (
            commands > (2500 if "segment=" in path else 500) or answered > 200_000
        ):  # a filter looks at 2,000 at most, health at 50
            much[path] = commands, answered
    assert not much


class TestNewerLedger:
    """The ledger belongs to a newer release."""

    @pytest.mark.parametrize(
        "path", ["", "/enrollments", HERE, "/failures", "/suppressions", "/health", f"{HERE}/cancel"]
    )
    def test_a_page_says_so(self, ada: Desk, redis: Redis, path: str) -> None:
        """Instead of showing what it may misread; 503, so that a monitor sees it."""
        redis.set(ids.VERSION, VERSION + 1)
        answer = ada.get(path)
        assert (answer.status_code, answer.mimetype, int(answer.headers["Retry-After"]) > 0) == (503, "text/html", True)
        assert (
            "The ledger is from a newer release" in answer.text and f"this program reads up to {VERSION}" in answer.text
        )

    @pytest.mark.parametrize("path", [f"{HERE}/cancel", "/sending/stop", "/suppressions/add"])
    def test_no_decision_is_taken(self, ada: Desk, redis: Redis, path: str) -> None:
        """From a form that was open before."""
        token = ada.token(HERE)
        redis.set(ids.VERSION, VERSION + 1)
        before = {key: redis.dump(key) for key in redis.scan_iter()}
        answer = ada.post(path, {"reason": "x", "email": "ada@example.org"}, token=token)
        assert (answer.status_code, "newer release" in answer.text) == (503, True)
        assert {key: redis.dump(key) for key in redis.scan_iter()} == before

    def test_signing_in_says_so_too(self, desk: Desk, redis: Redis) -> None:
        """Also where the login attempt itself cannot be counted."""
        another = Desk(desk.app)
        token = another.token()
        redis.set(ids.VERSION, VERSION + 1)
        answer = another.post("/login", {"password": "anything", "back": "/"}, token=token)
        assert (answer.status_code, "newer release" in answer.text) == (503, True)
