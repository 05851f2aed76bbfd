"""Each webhook over its real app on a real Valkey: proofs, answers, and what is kept and enrolled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from structlog.testing import CapturingLogger

from local import valkey
from shared.core.errors import SettingsError
from shared.domain.enrollments import Enrollment
from shared.intake import enrolling
from shared.ledger import ids, limits
from shared.ledger.alerts import Alerts
from shared.web import guards
from tests.support import calendar_samples
from tests.support.functions_client import ADDRESS, SECRET, Functions, signed
from tests.support.webhook_calls import (
    CALENDARS,
    FORMS,
    OPERATOR,
    PROOFS,
    TOKEN,
    WEBHOOKS,
    good,
    kept,
    post,
    proof,
    webhooks,
)
from tests.support.world import ADA

SITE = "https://www.example.org"
CAMPAIGN = {"signup": None, "assessment": "busos", "christmas-signup": "christmas", "christmas-assessment": "five-day"}
CAMPAIGN |= {"postcall-maybe": "postcall-maybe", "onboarding-start": "onboarding"}
SIGNED_NAMES = {"calcom-booking": "X-Cal-Signature-256", "calendly-noshow": "Calendly-Webhook-Signature"}
SIGNED_NAMES |= {"resend-events": "svix-signature"}


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """All webhooks with their secrets, on an empty database."""
    with webhooks(valkey_server, monkeypatch) as ready:
        yield ready


def run(functions: Functions, slug: str, subject: str = ADDRESS, number: int = 1) -> Enrollment | None:
    """A contact's run through a campaign."""
    return functions.ledger.enrollment(f"{ids.enrollment_prefix(slug, subject)}-{number}")


def iso(instant: int) -> str:
    """An instant as a website reports it."""
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat()


def calcom(**changes: Any) -> dict[str, Any]:
    """BOOKING_CREATED of Ada, with changes in its payload."""
    event = calendar_samples.calcom_created(email=ADDRESS)
    return event | {"payload": event["payload"] | changes}


def calendly(**changes: Any) -> dict[str, Any]:
    """invitee.created of Ada, with changes in its payload."""
    event = calendar_samples.calendly_created(email=ADDRESS)
    return event | {"payload": event["payload"] | changes}


class TestProofs:
    """Who may call."""

    @pytest.mark.parametrize(
        "given", ["", "Bearer ", "Bearer wrong", PROOFS["OPERATOR_TOKEN"], "Basic b3A6dG9rZW4=", "bearer ü"]
    )
    @pytest.mark.parametrize("name", [*OPERATOR, "calendly-noshow"])
    def test_a_wrong_token_is_401(self, functions: Functions, name: str, given: str) -> None:
        """Only the operator's own token reports on people."""
        answer = post(functions, name, {"email": ADDRESS}, headers={"Authorization": given})
        assert (answer.status_code, kept(functions)) == (401, {})

    @pytest.mark.parametrize("name", [*OPERATOR, *CALENDARS, "resend-events"])
    def test_no_proof_is_401(self, functions: Functions, name: str) -> None:
        """A request without a proof leaves nothing behind."""
        assert post(functions, name, good(name), headers={}).status_code == 401
        assert kept(functions) == {}

    @pytest.mark.parametrize("name", SIGNED_NAMES)
    @pytest.mark.parametrize(
        "value", ["", "0", "v1=", "t=1,v1=2", "t=1,t=2,v1=3", "no-secret-provided", "ü", "t=" + "9" * 400]
    )
    def test_a_wrong_signature_is_401(self, functions: Functions, name: str, value: str) -> None:
        """Missing, malformed and wrong signatures are refused alike."""
        answer = post(functions, name, good(name), headers=proof(name, good(name)) | {SIGNED_NAMES[name]: value})
        assert (answer.status_code, kept(functions)) == (401, {})

    @pytest.mark.parametrize("name", SIGNED_NAMES)
    def test_the_signature_of_another_secret_is_401(self, functions: Functions, name: str) -> None:
        """A secret that was changed on only one side is noticed."""
        headers = proof(name, good(name))
        functions.set(
            CALCOM_WEBHOOK_SECRET="another-calcom-7e4a1c9d5b",
            CALENDLY_SIGNING_KEY="another-calendly-2b8d6f0a4c",
            RESEND_WEBHOOK_SECRET="whsec_" + "dGhlIGtleSBvZiBzb21lYm9keSBlbHNlLCBub3Qgb3Vycw==",
        )
        assert post(functions, name, good(name), headers=headers).status_code == 401

    @pytest.mark.parametrize(
        ("name", "missing"),
        [
            ("calcom-booking", "CALCOM_WEBHOOK_SECRET"),
            ("postcall-maybe", "OPERATOR_TOKEN"),
            ("onboarding-start", "OPERATOR_TOKEN"),
            ("resend-events", "RESEND_WEBHOOK_SECRET"),
        ],
    )
    def test_without_its_secret_a_webhook_does_not_start(self, functions: Functions, name: str, missing: str) -> None:
        """The error names the setting."""
        functions.set(**{missing: ""})
        with pytest.raises(SettingsError, match=missing):
            functions.client(name)

    def test_calendly_noshow_starts_with_one_of_its_two_proofs(self, functions: Functions) -> None:
        """The other one is then refused, and with neither it does not start."""
        functions.set(CALENDLY_SIGNING_KEY="")
        assert post(functions, "calendly-noshow", good("calendly-noshow")).status_code == 401
        assert post(functions, "calendly-noshow", {"email": ADDRESS}, headers=TOKEN).status_code == 202
        functions.set(CALENDLY_SIGNING_KEY=PROOFS["CALENDLY_SIGNING_KEY"], OPERATOR_TOKEN="")
        assert post(functions, "calendly-noshow", good("calendly-noshow")).status_code == 200
        assert (
            post(functions, "calendly-noshow", {"email": ADDRESS}, headers={"Authorization": "Bearer "}).status_code
            == 401
        )
        functions.set(CALENDLY_SIGNING_KEY="")
        with pytest.raises(SettingsError, match="OPERATOR_TOKEN"):
            functions.client("calendly-noshow")

    @pytest.mark.parametrize("name", [*FORMS, *OPERATOR])
    def test_a_servers_signature_is_a_proof(self, functions: Functions, name: str) -> None:
        """With WEBSITE_WEBHOOK_SECRET set, forms need a Standard Webhooks signature and reports may carry one."""
        functions.set(WEBSITE_WEBHOOK_SECRET=SECRET)
        body = good(name)
        assert post(functions, name, body, headers={}).status_code == 401
        assert post(functions, name, body, headers=signed(body + b" ")).status_code == 401
        assert post(functions, name, body, headers=signed(body)).status_code == 202


class TestAnswers:
    """What each webhook answers."""

    @pytest.mark.parametrize("name", [*FORMS, *OPERATOR])
    def test_a_good_form_is_202(self, functions: Functions, name: str) -> None:
        """The body says what it is about, and the campaign's first step is due as its file says."""
        answer = post(functions, name, good(name))
        message = "Thank you. Your details have arrived."
        expected = {"status": "accepted", "message": message, "email": ADDRESS, "campaign": CAMPAIGN[name]}
        assert (answer.status_code, answer.json) == (202, expected)
        assert functions.contact()
        slug = CAMPAIGN[name]
        assert slug is None or run(functions, slug)

    @pytest.mark.parametrize("name", CALENDARS)
    def test_a_good_event_is_200_and_again_a_duplicate(self, functions: Functions, name: str) -> None:
        """The second delivery changes nothing."""
        first = post(functions, name, good(name))
        before = kept(functions)
        again = post(functions, name, good(name))
        assert [(a.status_code, (a.json or {})["outcome"]) for a in (first, again)] == [
            (200, "enrolled"),
            (200, "duplicate"),
        ]
        assert kept(functions) == before

    @pytest.mark.parametrize(
        "event", [calendar_samples.calcom_ping(), {"triggerEvent": "OOO_CREATED", "payload": None}]
    )
    def test_an_ignored_event_is_200(self, functions: Functions, event: dict[str, Any]) -> None:
        """A ping and unknown events are understood, and ignored."""
        answer = post(functions, "calcom-booking", event)
        assert (answer.status_code, answer.json, kept(functions)) == (
            200,
            {"status": "accepted", "outcome": "ignored"},
            {},
        )

    @pytest.mark.parametrize("name", [*FORMS, *OPERATOR, "resend-events"])
    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"[" * 50_000, b'{"email": "a@b.org", "type": NaN}'])
    def test_a_body_that_is_not_a_json_object_is_400(self, functions: Functions, name: str, body: bytes) -> None:
        """Proved or not, it must be a JSON object."""
        assert (post(functions, name, body).status_code, kept(functions)) == (400, {})

    @pytest.mark.parametrize(
        ("name", "calendar", "body", "why"),
        [
            ("calcom-booking", "Cal.com", b"", "the body is not a JSON object"),
            ("calcom-booking", "Cal.com", b"\xff[", "the body is not JSON in UTF-8"),
            ("calcom-booking", "Cal.com", {}, "triggerEvent is missing"),
            ("calcom-booking", "Cal.com", {"triggerEvent": "BOOKING_CREATED"}, "payload is missing"),
            ("calcom-booking", "Cal.com", calcom(uid=None), "payload.uid is not valid"),
            ("calcom-booking", "Cal.com", calcom(attendees=[]), "payload.attendees is not valid"),
            (
                "calcom-booking",
                "Cal.com",
                calcom(attendees=[{"email": "jo..hn@example.org"}]),
                "payload.attendees.0.email is not valid",
            ),
            ("calendly-noshow", "Calendly", b"triggerEvent=BOOKING", "the body is not a JSON object"),
            ("calendly-noshow", "Calendly", calendly(email="taro.@example.org"), "payload.email is not valid"),
            ("calendly-noshow", "Calendly", calendly(email='"jane doe"@example.org'), "payload.email is not valid"),
            ("calendly-noshow", "Calendly", calendly(email="jane@corp.local"), "payload.email is not valid"),
            ("calendly-noshow", "Calendly", calendly(scheduled_event=None), "payload.scheduled_event is not valid"),
        ],
    )
    def test_a_signed_event_that_cannot_be_read_is_200(
        self, functions: Functions, name: str, calendar: str, body: bytes | dict[str, Any], why: str
    ) -> None:
        """A calendar that is refused stops posting. The owner gets one alert, which names the calendar and what is
        wrong, and no address."""
        answers = [post(functions, name, body) for _ in range(3)]
        assert {(answer.status_code, (answer.json or {})["outcome"]) for answer in answers} == {(200, "ignored")}
        assert not [key for key in kept(functions) if key.startswith(("eg:contact", "eg:meeting", "eg:seen"))]
        alerts = Alerts(functions.ledger)
        alert = alerts.take()
        assert alert and (alert.subject, alert.count) == ("calendar", 3)
        assert alert.detail.startswith(f"{calendar}: {why} (request ") and "@" not in alert.detail
        alerts.told(alert)
        assert alerts.take() is None

    def test_an_attendee_who_cannot_be_read_costs_no_other(self, functions: Functions) -> None:
        """The others are enrolled, and the owner is told of the one."""
        attendees = [{"email": "jane@corp.local"}, {"email": ADDRESS}]
        answer = post(functions, "calcom-booking", calcom(seatsPerTimeSlot=6, attendees=attendees))
        assert (answer.status_code, (answer.json or {})["outcome"]) == (200, "enrolled")
        alert = Alerts(functions.ledger).take()
        assert alert and alert.detail.startswith("Cal.com: payload.attendees.0.email is not valid")

    @pytest.mark.parametrize("name", CALENDARS)
    @pytest.mark.parametrize("body", [b"", b"[]", b'{"event": "invitee.created"}'])
    def test_what_is_not_signed_is_401(self, functions: Functions, name: str, body: bytes) -> None:
        """Whether or not it could be read."""
        assert (post(functions, name, body, headers={}).status_code, kept(functions)) == (401, {})

    @pytest.mark.parametrize("name", WEBHOOKS)
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
    def test_another_method_is_405(self, functions: Functions, name: str, method: str) -> None:
        """Only POST is taken; a form has a challenge for GET, once it has the key."""
        answer = functions.client(name).open("/", method=method)
        if name in FORMS and method == "GET":
            assert (answer.status_code, (answer.json or {})["status"]) == (404, "error")
        else:
            assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST" if name in FORMS else "POST")

    @pytest.mark.parametrize("name", WEBHOOKS)
    def test_a_body_over_64_kib_is_413(self, functions: Functions, name: str) -> None:
        """Padding does not get past it, and it is refused before a signature is computed."""
        body = good(name) + b" " * 65_536
        assert [post(functions, name, body, headers=headers).status_code for headers in (proof(name, body), {})] == [
            413,
            413,
        ]

    @pytest.mark.parametrize("name", [*FORMS, *OPERATOR])
    def test_another_content_type_is_415(self, functions: Functions, name: str) -> None:
        """A form encoding is not read."""
        assert post(functions, name, good(name), content_type="application/x-www-form-urlencoded").status_code == 415

    @pytest.mark.parametrize(
        ("name", "body", "places"),
        [
            ("assessment", {"email": "x", "red_systems": 9}, [["email"], ["red_systems"]]),
            ("assessment", {"email": ADDRESS, "red_systems": 5, "green_systems": 4}, [[]]),
            ("signup", {"name": "Ada"}, [["email"]]),
            ("christmas-assessment", {"email": ADDRESS, "red_systems": True, "consent": "?"}, [["red_systems"]]),
            ("postcall-maybe", {"email": ADDRESS, "call_at": "soon"}, [["call_at"]]),
            ("postcall-maybe", {"email": ADDRESS, "call_at": "2020-01-01T00:00:00Z"}, [["call_at"]]),
        ],
    )
    def test_wrong_fields_are_422(
        self, functions: Functions, name: str, body: dict[str, Any], places: list[list[str]]
    ) -> None:
        """Each fault is listed with its place, and nothing is kept."""
        answer = post(functions, name, body)
        detail = (answer.json or {})["detail"]
        assert (answer.status_code, kept(functions)) == (422, {})
        assert [fault["loc"] for fault in detail] == places

    @pytest.mark.parametrize("name", FORMS)
    def test_too_many_requests_are_429(self, functions: Functions, name: str) -> None:
        """By IP, with the time to retry; reports and events are not limited."""
        functions.set(WEBHOOK_RATE_PER_IP="1/hour")
        first, again = (post(functions, name, good(name)) for _ in range(2))
        assert (first.status_code, again.status_code) == (202, 429)
        assert 1 <= int(again.headers["Retry-After"]) <= 3600
        for other in (*OPERATOR, *CALENDARS):
            assert {post(functions, other, good(other)).status_code for _ in range(3)} <= {200, 202}

    def test_503_while_redis_is_unavailable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every webhook says so and when to retry, within seconds."""
        with valkey.serve(tmp_path, 0, "secret") as server, webhooks(server, monkeypatch) as functions:
            for name in WEBHOOKS:
                functions.client(name)
            server.process.kill()
            server.process.wait()
            slept: list[float] = []
            monkeypatch.setattr("redis.retry.sleep", slept.append)
            answers = [post(functions, name, good(name)) for name in WEBHOOKS]
            assert 0 < sum(slept) / len(answers) < 10
        assert {(answer.status_code, answer.headers["Retry-After"]) for answer in answers} == {(503, "5")}


class TestForms:
    """What the website's forms share."""

    @pytest.mark.parametrize("name", FORMS)
    @pytest.mark.parametrize("fax", ["555 0100", 5550100, True, ["555"]])
    def test_a_bot_is_thanked_and_ignored(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch, name: str, fax: Any
    ) -> None:
        """A form with the hidden field filled in does nothing, which the owner can find; the answer is the usual."""
        logger = CapturingLogger()
        monkeypatch.setattr(guards, "_logger", logger)
        answer = post(functions, name, ADA | {"fax_number": fax})
        assert (answer.status_code, kept(functions)) == (202, {})
        assert [call.args for call in logger.calls] == [("honeypot.filled",)]
        assert functions.ledger.redis.hgetall(limits.TRAPPED) == {name: "1"}
        assert answer.json == post(functions, name, ADA).json

    @pytest.mark.parametrize("name", FORMS)
    def test_what_cannot_be_read_costs_no_sign_up(
        self, functions: Functions, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """The rest of the form counts; the log names the fields, and the owner sees what was given."""
        logger = CapturingLogger()
        monkeypatch.setattr(enrolling, "_logger", logger)
        odd = {"timezone": "x" * 65, "consent": "perhaps", "green_systems": "a few", "booking_url": ["x"]}
        assert post(functions, name, ADA | odd).json == post(functions, name, ADA).json
        contact = functions.contact()
        assert contact and contact.claimed == odd | {"booking_url": "(not text)"}
        assert contact.fields["first_name"] == ADA["first_name"] and "consent_at" not in contact.fields
        assert [call.kwargs.get("left_out") for call in logger.calls if call.args == ("signed_up",)] == [
            sorted(odd),
            None,
        ]

    @pytest.mark.parametrize("name", FORMS)
    def test_the_owners_pages_may_post(self, functions: Functions, name: str) -> None:
        """The preflight of an allowed page passes, another's does not."""
        functions.set(CORS_ORIGINS=SITE)
        for origin, allowed in ((SITE, SITE), ("https://evil.example.net", None)):
            answer = functions.client(name).options(
                "/", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
            )
            assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (204, allowed)

    @pytest.mark.parametrize("name", [*OPERATOR, *SIGNED_NAMES])
    def test_no_page_may_report(self, functions: Functions, name: str) -> None:
        """Webhooks that are not for browsers allow no page."""
        functions.set(CORS_ORIGINS=SITE)
        answer = functions.client(name).options("/", headers={"Origin": SITE})
        assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (405, None)

    @pytest.mark.parametrize("name", [*FORMS, *OPERATOR])
    def test_one_idempotency_key_has_one_effect(self, functions: Functions, name: str) -> None:
        """The same key has no second effect; with another body it is refused, and no answer holds another's address."""
        first, again, other = (
            post(functions, name, {"email": email}, headers=proof(name, b"") | {"Idempotency-Key": "key-1"})
            for email in (ADDRESS, ADDRESS, "bob@example.org")
        )
        assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
        assert first.json == again.json and ADDRESS not in other.text
        assert functions.contact("bob@example.org") is None

    @pytest.mark.parametrize("name", [*FORMS, *OPERATOR])
    def test_the_response_does_not_reveal_who_is_known(self, functions: Functions, name: str) -> None:
        """New, enrolled, unsubscribed and complained addresses get the same answer."""
        answers = [post(functions, name, good(name)).data for _ in range(2)]
        for reason in ("unsubscribed", "complained"):
            functions.ledger.suppress(ids.digest(ADDRESS), reason)
            answers.append(post(functions, name, good(name)).data)
        assert len(set(answers)) == 1

    @pytest.mark.parametrize(
        "referer", ["https://[", "https://[::1", "http://[v1.]/", "\xff", "about:blank", "https://x/" + "y" * 5000]
    )
    def test_a_malformed_referer_does_no_harm(self, functions: Functions, referer: str) -> None:
        """The form counts, regardless of the page that a browser names."""
        assert post(functions, "signup", ADA | {"consent": True}, headers={"Referer": referer}).status_code == 202
        contact = functions.contact()
        assert contact and len(contact.fields.get("consent_page", "")) <= 300

    def test_consent_is_kept_with_its_wording_time_and_page(self, functions: Functions) -> None:
        """The consent can be shown later; the page is kept without its query, which may name people."""
        before = functions.ledger.now()
        form = {"email": ADDRESS, "consent": True, "consent_text": "I agree to receive emails."}
        post(functions, "signup", form, headers={"Referer": f"{SITE}/join?email={ADDRESS}#top", "Origin": SITE})
        contact = functions.contact()
        assert contact
        assert (contact.fields["consent_text"], contact.fields["consent_page"]) == (
            "I agree to receive emails.",
            f"{SITE}/join",
        )
        assert before <= int(contact.fields["consent_at"]) <= functions.ledger.now()
        post(functions, "signup", {"email": "bob@example.org", "consent": False, "consent_text": "No"})
        bob = functions.contact("bob@example.org")
        assert bob and not [name for name in bob.fields if name.startswith("consent")]
