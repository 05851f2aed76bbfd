"""What Resend reports about an email or an address, and its effect: on the real ledger, in every order."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from local import valkey
from shared.core.errors import SendError, SettingsError
from shared.domain.enrollments import Step
from shared.domain.states import Outcome
from shared.intake import delivery_events
from shared.integrations.resend_events import DeliveryEvent, event
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.orders import Ending
from shared.operations.enrollment_actions import EnrollmentActions
from tests.conftest import Clock
from tests.support.functions_client import Functions, deployed, signed
from tests.support.world import ADA, SETTINGS, World

ADDRESS = str(ADA["email"])
CONTACT = ids.digest(ADDRESS)
SECRET = "whsec_" + base64.b64encode(b"made-up secret of a shop for 43 teapots").decode()
_keys = itertools.count()


def tell(world: World, what: Any, run: str | None = None, step: int = 1, **changes: Any) -> str:
    """Have Resend report something of a step of Ada's run."""
    fields: dict[str, Any] = {
        "key": f"msg_{next(_keys)}",
        "address": ADDRESS,
        "provider_id": "id-0",
        "at": world.clock.now,
    }
    fields["email_id"] = ids.email_id(run, step) if run else None
    return delivery_events.receive(DeliveryEvent(what=what, **(fields | changes)), world.ledger)


def fields(world: World, run: str, step: int = 1) -> dict[str, str]:
    """What the ledger keeps of a step, by name."""
    kept = cast(dict[str, str], world.redis.hgetall(ids.enrollment_key(run)))
    return {name.split(".", 1)[1]: value for name, value in kept.items() if name.startswith(f"{step}.")}


def tally(world: World) -> dict[str, str]:
    """The campaign's funnel."""
    return cast(dict[str, str], world.redis.hgetall("eg:tally:christmas"))


def next_job(world: World) -> tuple[str, int]:
    """Release what is due and take the first look."""
    world.release()
    job = world.next_job()
    assert job
    return job


def in_doubt(world: World) -> str:
    """Sign Ada up, and let the first email arrive without the outcome being known within the window; returns the
    run."""
    run = world.sign_up()
    world.provider.faults.extend(["lost"] + [SendError("ambiguous", "no answer")] * 60)
    world.live(24)
    world.provider.faults.clear()
    assert world.run(run).step(1).state == "in-doubt"
    return run


def of(step: Step) -> tuple[str, str | None, str | None]:
    """What matters of a step: its state, the provider's id, and who sent it."""
    return step.state, step.provider_id, step.sent_by


class TestDelivery:
    """Reports of our own emails."""

    def test_the_first_time_of_each_event_is_kept(self, world: World) -> None:
        """Delivered, opened and clicked are recorded once each, with their first instant, and sent to Notion; a repeat
        changes nothing."""
        run = world.sign_up()
        world.work()
        world.redis.delete(ids.OUTBOX)
        first = world.clock.now
        for what in ("delivered", "opened", "clicked", "opened"):
            assert tell(world, what, run) == ("ignored" if world.clock.now > first + 2000 else "recorded")
            world.clock.advance(seconds=1)
        step = fields(world, run)
        assert [int(step[what]) - first for what in ("delivered", "opened", "clicked")] == [0, 1000, 2000]
        assert {what: tally(world)[f"1.{what}"] for what in ("delivered", "opened", "clicked")} == dict.fromkeys(
            ("delivered", "opened", "clicked"), "1"
        )
        assert world.redis.zrange(ids.OUTBOX, 0, -1) == [f"email:{run}-1"]

    def test_the_same_message_has_one_effect(self, world: World) -> None:
        """A repeated delivery is recognized by its id, for a week."""
        run = world.sign_up()
        world.work()
        assert [tell(world, "opened", run, key="msg") for _ in range(2)] == ["recorded", "duplicate"]
        assert 0 < world.redis.pttl(f"eg:seen:{ids.digest('resend:msg')}") <= 7 * 86_400_000

    @pytest.mark.parametrize(
        "what", ["accepted", "delivered", "opened", "delayed", "bounced-for-now", "bounced", "complained", "suppressed"]
    )
    def test_a_proof_ends_the_doubt(self, world: World, what: Any) -> None:
        """A report that only an accepted email can have makes it sent, with Resend's id and time, and takes it off the
        failed list."""
        run = in_doubt(world)
        sent = world.clock.now - 24 * 3_600_000
        world.redis.zadd("rq:failed:send", {f"{run}-1-{fields(world, run)['look']}": 1})
        assert tell(world, what, run, sent=sent) in ("recorded", "suppressed")
        step = world.run(run).step(1)
        assert of(step) == ("sent", "id-0", "evergreen")
        assert (step.sent_at, step.why) == (sent, None)
        assert world.redis.zcard("rq:failed:send") == 0
        assert world.provider.twice == []

    def test_a_proof_ends_the_repetitions(self, world: World) -> None:
        """An email that waits to be repeated, because its outcome was not learned, is sent; the next one follows at its
        time."""
        run = world.sign_up()
        world.provider.faults.append("lost")
        world.work()
        assert world.run(run).step(1).ambiguous
        assert tell(world, "delivered", run) == "recorded"
        world.live(25)
        assert world.states(run)[:2] == ["sent", "sent"]
        assert world.provider.email_ids == [f"{run}-1", f"{run}-2"]
        assert len(world.provider.requests) == 2

    def test_a_proof_overtakes_the_answer(self, world: World) -> None:
        """A report may arrive while the request is still open: the step is sent then, and is so once when the answer
        comes."""
        run = world.sign_up()
        job = next_job(world)
        taken = world.provider.send

        def overtaken(email: dict[str, Any], *, key: str) -> Any:
            answer = taken(email, key=key)
            assert tell(world, "delivered", run) == "recorded"
            assert world.run(run).step(1).state == "sent"
            return answer

        world.provider.send = overtaken  # type: ignore[method-assign]  # this very race
        assert world.sender.send(*job).result == "sent"
        assert of(world.run(run).step(1)) == ("sent", "id-0", "evergreen")
        assert tally(world)["1.sent"] == "1"
        world.work()
        assert world.provider.email_ids == [f"{run}-1"]

    def test_a_failure_waits_for_the_answer(self, world: World) -> None:
        """A failure report that overtakes the answer must come again later, so that the answer does not undo it."""
        run = world.sign_up()
        job = next_job(world)
        world.ledger.claim(*job, token="t", late={"christmas": 3_600_000}, rate=1000)
        assert world.ledger.post([f"{run}-1"], token="t", request=f"{run}-1", body="{}", spare=1)
        assert tell(world, "failed", run, key="msg", reason="quota") == "busy"
        world.ledger.settle([f"{run}-1"], Ending(Outcome.ACCEPTED, ids=["id-0"]), token="t")
        assert tell(world, "failed", run, key="msg", reason="quota") == "recorded"
        assert world.run(run).step(1).state == "failed"

    def test_a_batch_is_accepted_whole(self, ledger: Ledger, clock: Clock) -> None:
        """The proof for one email of a batch counts for all; the others learn their ids from their own reports, and
        none is repeated."""
        world = World(ledger, clock, SETTINGS.model_copy(update={"resend_batch_above": 1}))
        people = [f"c{number}@example.org" for number in range(4)]
        runs = [world.sign_up(email=address) for address in people]
        world.provider.faults.append("lost")
        job = next_job(world)
        world.sender.send(*job)
        assert world.provider.requests == [4]
        assert tell(world, "delivered", runs[2], address=people[2], provider_id="id-2") == "recorded"
        assert {world.run(run).step(1).state for run in runs} == {"sent"}
        assert tell(world, "accepted", runs[0], address=people[0], provider_id="id-0") == "recorded"
        assert [world.run(run).step(1).provider_id for run in runs] == ["id-0", None, "id-2", None]
        world.live(2)
        assert world.provider.requests == [4] and world.provider.twice == []

    def test_an_email_resend_gives_up_on_is_failed(self, world: World) -> None:
        """The step is failed with the reason and an alert, the run continues, and the operator's retry sends a new
        email."""
        run = world.sign_up()
        world.work()
        assert tell(world, "failed", run, reason="Resend gave up: reached_daily_quota") == "recorded"
        step = world.run(run).step(1)
        assert (step.state, step.why, step.sent_at) == ("failed", "Resend gave up: reached_daily_quota", None)
        assert world.redis.hget("eg:alert:failed", "detail") == f"{run}-1: {step.why}"
        EnrollmentActions(world.ledger, world.sender.catalog, world.settings).retry(run, 1)
        world.work()
        assert of(world.run(run).step(1)) == ("sent", "id-1", "evergreen")

    def test_an_old_report_does_not_affect_a_retried_email(self, world: World) -> None:
        """A report about a failed attempt neither ends nor fails the one that follows it."""
        run = world.sign_up()
        world.work()
        tell(world, "failed", run, reason="quota")
        EnrollmentActions(world.ledger, world.sender.catalog, world.settings).retry(run, 1)
        for what in ("accepted", "failed"):
            tell(world, what, run)
            assert world.run(run).step(1).state == "scheduled"
        world.work()
        tell(world, "failed", run)
        assert of(world.run(run).step(1)) == ("sent", "id-1", "evergreen")

    def test_a_proof_comes_before_the_second_email(self, world: World) -> None:
        """A doubtful email that a person has sent again is not sent again when the first turns out to have arrived."""
        run = in_doubt(world)
        world.ledger.stop_sending("a pause, so that the new one waits")
        EnrollmentActions(world.ledger, world.sender.catalog, world.settings).retry(run, 1, as_new=True)
        assert world.run(run).step(1).state == "scheduled"
        tell(world, "delivered", run)
        world.ledger.start_sending()
        world.work()
        assert of(world.run(run).step(1)) == ("sent", "id-0", "evergreen")
        assert world.provider.twice == []

    def test_a_waiting_step_is_left_alone(self, world: World) -> None:
        """Another installation's report cannot mark as sent what was never posted here."""
        run = world.sign_up()
        tell(world, "delivered", run)
        assert of(world.run(run).step(1)) == ("scheduled", None, None)

    def test_a_report_about_another_person_changes_nothing(self, world: World) -> None:
        """A report whose address is not the run's changes nothing in it."""
        run = in_doubt(world)
        assert tell(world, "delivered", run, address="bob@example.org") == "ignored"
        assert world.run(run).step(1).state == "in-doubt"

    @pytest.mark.parametrize("email_id", ["x", "x-1", "christmas-1-99999999999999999999", "-", "1"])
    def test_a_foreign_tag_is_ignored(self, world: World, email_id: str) -> None:
        """Other programs may send through the same account."""
        assert tell(world, "delivered", email_id=email_id) == "ignored"

    def test_a_delay_is_only_noted(self, world: World) -> None:
        """A delay or a temporary bounce is only recorded, and a delivery clears it, in any order."""
        run = world.sign_up()
        world.work()
        for what in ("delayed", "bounced-for-now"):
            tell(world, what, run, reason=what)
            assert fields(world, run)["note"] == what
        tell(world, "delivered", run)
        tell(world, "delayed", run, reason="delayed")
        assert "note" not in fields(world, run)
        assert world.run(run).state == "active"


class TestSuppression:
    """Reports that stop email to an address."""

    @pytest.mark.parametrize(
        ("what", "reason"), [("bounced", "bounced"), ("suppressed", "bounced"), ("complained", "complained")]
    )
    def test_a_bounce_or_complaint_stops_all_email(self, world: World, what: Any, reason: str) -> None:
        """A permanent bounce, Resend's own suppression and a complaint end every run and keep later ones from
        starting."""
        run = world.sign_up()
        world.work()
        assert tell(world, what, run, reason="why") == "suppressed"
        found = world.run(run)
        assert (found.state, found.why, found.step(1).state) == ("exited", reason, "sent")
        assert {step.state for step in found.steps[1:]} == {"cancelled"}
        assert world.redis.zscore("eg:suppressed", CONTACT) == world.clock.now
        world.live(300)
        assert world.provider.email_ids == [f"{run}-1"]

    @pytest.mark.parametrize("what", ["complained", "bounced", "suppressed", "unsubscribed"])
    @pytest.mark.parametrize("enrollment", [None, "christmas-0123456789abcdef0123-1"])
    def test_an_unknown_address_is_suppressed(self, world: World, what: Any, enrollment: str | None) -> None:
        """A report about a foreign email, or a forgotten one, counts for the address: a later sign-up is only
        tracked."""
        assert tell(world, what, enrollment) == "suppressed"
        assert world.redis.zscore("eg:suppressed", CONTACT) == world.clock.now
        run = world.sign_up()
        assert world.ledger.enrollment(run) is None
        world.live(1)
        assert world.provider.accepted == []

    def test_unsubscribed_at_resend(self, world: World) -> None:
        """A person who unsubscribes at Resend is unsubscribed here; a report older than a new consent changes
        nothing."""
        run = world.sign_up()
        world.clock.advance(seconds=10)
        before = world.clock.now
        assert tell(world, "unsubscribed") == "suppressed"
        assert world.run(run).why == "unsubscribed"
        world.clock.advance(seconds=10)
        world.sign_up(consent=True)
        assert tell(world, "unsubscribed", at=before) == "ignored"
        contact = world.ledger.contact(CONTACT)
        assert contact and contact.subscription == "subscribed"
        assert world.redis.zcard("eg:suppressed") == 0

    def test_the_first_complaint_counts(self, world: World) -> None:
        """A second complaint does not move the first."""
        first = world.clock.now
        for _ in range(2):
            tell(world, "complained")
            world.clock.advance(seconds=1)
        assert world.redis.hget(ids.contact_key(CONTACT), "complained") == str(first)

    def test_a_report_without_an_address_suppresses_no_one(self, world: World) -> None:
        """A report about an email to several people suppresses no one."""
        assert tell(world, "complained", address=None) == "ignored"
        assert world.redis.zcard("eg:suppressed") == 0


def body(type: str = "email.delivered", **data: Any) -> bytes:
    """What Resend posts."""
    return json.dumps(
        {"type": type, "created_at": "2026-11-21T21:50:14.823Z", "data": {"to": [ADDRESS]} | data}
    ).encode()


class TestReading:
    """Which parts of a body count."""

    @pytest.mark.parametrize("signed_up", ["mia@käse.example.org", "mia@xn--kse-qla.example.org"])
    @pytest.mark.parametrize("reported", ["mia@xn--kse-qla.example.org", "Mia <MIA@KÄSE.example.org>"])
    def test_an_address_is_the_same_however_it_is_written(self, world: World, signed_up: str, reported: str) -> None:
        """A complaint ends the run, in whichever form the domain was typed and is reported."""
        world.sign_up(email=signed_up)
        found = event(body("email.complained", to=[reported]), "msg")
        assert found and delivery_events.receive(found, world.ledger) == "suppressed"
        run = world.run(f"{ids.enrollment_prefix('christmas', 'mia@käse.example.org')}-1")
        assert (run.state, run.why) == ("exited", "complained")

    @pytest.mark.parametrize("tags", [{"email_id": "x-1"}, [{"name": "email_id", "value": "x-1"}, {"value": "y"}, "z"]])
    def test_tags_come_in_two_shapes(self, tags: Any) -> None:
        """As an object, or as the list that was sent."""
        found = event(body(tags=tags), "msg")
        assert found and found.email_id == "x-1"

    @pytest.mark.parametrize(
        "tags", [None, {}, [], "x", 7, {"email_id": 7}, {"email_id": None}, [{"name": "email_id"}]]
    )
    def test_no_tag(self, tags: Any) -> None:
        """A tag that is missing or odd names no email."""
        found = event(body(tags=tags), "msg")
        assert found and found.email_id is None

    @pytest.mark.parametrize(
        ("to", "address"),
        [
            ([" Ada <ADA@example.org> "], ADDRESS),
            (ADDRESS, ADDRESS),
            ([ADDRESS, "bob@example.org"], None),
            ([], None),
            (["nobody"], None),
            ([7], None),
            (None, None),
        ],
    )
    def test_the_recipient_is_recognized(self, to: Any, address: str | None) -> None:
        """The one recipient, without name and capitals; of several, Resend does not say which."""
        found = event(body(to=to), "msg")
        assert found and found.address == address

    @pytest.mark.parametrize(
        ("bounce", "what"),
        [
            ("Permanent", "bounced"),
            ("Transient", "bounced-for-now"),
            ("Undetermined", "bounced-for-now"),
            (7, "bounced-for-now"),
        ],
    )
    def test_only_permanent_bounces_are_final(self, bounce: Any, what: str) -> None:
        """Only a permanent one; the reason quotes no address."""
        found = event(
            body(
                "email.bounced", bounce={"type": bounce, "subType": "General", "message": f"no such user <{ADDRESS}>"}
            ),
            "msg",
        )
        assert found and found.what == what and found.reason and ADDRESS not in found.reason

    @pytest.mark.parametrize("type", ["email.scheduled", "email.received", "contact.created", "domain.updated", "x"])
    def test_other_events_are_ignored(self, type: str) -> None:
        """Every other event is ignored."""
        assert event(body(type), "msg") is None

    def test_a_contact_that_stays_subscribed_is_ignored(self) -> None:
        """A change of a contact at Resend counts only when it is unsubscribed."""
        assert event(body("contact.updated", email=ADDRESS, unsubscribed=False), "msg") is None
        assert event(b'{"type": "contact.updated"}', "msg") is None


@pytest.fixture
def functions(valkey_server: valkey.Valkey, redis: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """The functions on an empty ledger."""
    with deployed(valkey_server, monkeypatch, RESEND_WEBHOOK_SECRET=SECRET) as found:
        yield found


def svix(data: bytes, message: str = "msg_1", secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """Resend's headers."""
    return {
        name.replace("webhook-", "svix-"): value
        for name, value in signed(data, secret=secret, message=message, at=at).items()
    }


class TestFunction:
    """The webhook as Resend sees it."""

    def test_a_complaint(self, functions: Functions) -> None:
        """The response is 200 with the outcome, the run ends, and a repetition is recognized."""
        functions.sign_up()
        data = body("email.complained")
        answers = [functions.post(data, "resend-events", headers=svix(data)) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert [answer.json for answer in answers] == [
            {"status": "accepted", "outcome": outcome} for outcome in ("suppressed", "duplicate")
        ]
        run = functions.run()
        assert run and (run.state, run.why) == ("exited", "complained")

    def test_an_ignored_event_is_200(self, functions: Functions) -> None:
        """Otherwise Resend would send it again for a day."""
        data = body("domain.created")
        assert functions.post(data, "resend-events", headers=svix(data)).json == {
            "status": "accepted",
            "outcome": "ignored",
        }

    @pytest.mark.parametrize("data", [b"", b"x", b"[]", b"7", b"{}", b'{"type": 7}', b"[" * 50_000])
    def test_not_json(self, functions: Functions, data: bytes) -> None:
        """Anything that is not an event is 400."""
        assert functions.post(data, "resend-events", headers=svix(data)).status_code == 400

    def test_a_bad_signature_is_401(self, functions: Functions) -> None:
        """Missing, wrong, old or malformed headers are 401, and nothing happens."""
        functions.sign_up()
        data = body("email.complained")
        good = svix(data)
        bad = [
            {},
            svix(data, secret="whsec_" + base64.b64encode(b"the key of another sender, not ours").decode()),
            svix(data, at=time.time() - 301),
            svix(data, at=time.time() + 600),
            svix(data + b" "),
            good | {"svix-id": "msg_2"},
            *(
                good | {"svix-signature": value}
                for value in ("v1", "v1,", "v1,x", "v1,ü", ",", "v2," + good["svix-signature"][3:])
            ),
            *(good | {"svix-timestamp": value} for value in ("x", "1e400", "-1", "nan", "99999999999999999")),
        ]
        for headers in bad:
            assert functions.post(data, "resend-events", headers=headers).status_code == 401, headers
        assert functions.post(b"\xff", "resend-events", headers=good).status_code == 401
        run = functions.run()
        assert run and run.state == "active"

    def test_several_signatures(self, functions: Functions) -> None:
        """While the secret is being changed, Svix signs with both."""
        data = body("email.complained")
        good = svix(data)
        other = svix(data, secret="whsec_" + base64.b64encode(b"the key of another sender, not ours").decode())
        both = good | {"svix-signature": f"{other['svix-signature']} {good['svix-signature']}"}
        assert functions.post(data, "resend-events", headers=both).status_code == 200

    def test_without_a_secret_it_does_not_start(self, functions: Functions) -> None:
        """An unproved complaint could suppress any address."""
        functions.set(RESEND_WEBHOOK_SECRET="")
        with pytest.raises(SettingsError, match="RESEND_WEBHOOK_SECRET"):
            functions.client("resend-events")

    def test_an_unavailable_redis_is_503(self, functions: Functions) -> None:
        """Resend sends it again."""
        functions.set(REDIS_URL="redis://127.0.0.1:9/0")
        data = body("email.complained")
        answer = functions.post(data, "resend-events", headers=svix(data))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
