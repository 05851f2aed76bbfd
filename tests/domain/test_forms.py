"""What a form may hold: each field's limits, and bodies made to break something."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from redis import Redis

from local import valkey
from shared.domain.enrollments import SCORES, Contact, Enrollment, Step
from shared.domain.forms import NewClient, NoShow, PostCall, ProvedSignUp, SignUp
from shared.domain.states import EnrollmentState, StepState
from tests.support.functions_client import ADDRESS, SECRET, Functions, deployed, signed

LONG = "x" * 10_000


def form(**fields: Any) -> SignUp:
    """A form from an address and some fields, read from JSON as a webhook does."""
    return SignUp.model_validate_json(json.dumps({"email": ADDRESS} | fields))


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """All functions, on an empty database."""
    with deployed(valkey_server, monkeypatch) as ready:
        yield ready


@pytest.mark.parametrize("given", ["ada@example.org", " Ada@EXAMPLE.org\t", "ADA@example.org"])
def test_an_address_is_trimmed_and_lower_case(given: str) -> None:
    """However a person writes an address, it is the same one."""
    assert form(email=given).email == "ada@example.org"


@pytest.mark.parametrize(
    "given", ["", " ", "ada", "ada@", "@example.org", "a b@example.org", "ada@example.org, bob@example.org",
    "ada@localhost",
              "ada@example.org\nBcc: bob@example.org", f"ada@{'a.' * 100}example.org", None, 5, [], {}, True]
)  # fmt: skip
def test_an_invalid_address_is_refused(given: Any) -> None:
    """One address, with a domain that can exist; everything else names the field."""
    with pytest.raises(ValidationError) as caught:
        form(email=given)
    assert {fault["loc"] for fault in caught.value.errors()} == {("email",)}


@pytest.mark.parametrize(
    ("given", "kept"),
    [*((name, name) for name in ("Ada", "O'Brien-Smith", "Dr. Özil", "李", "Smith Jr.", "A. B. C. Ltd.", "x" * 40)),
     ("  Ada \n Lovelace ", "Ada Lovelace"), ("", None), (" ", None), (None, None)],
)  # fmt: skip
def test_a_name_is_one_line(given: str | None, kept: str | None) -> None:
    """Names keep their letters and lose their line ends; an empty one is none."""
    assert [
        form(**{field: given}).contact_fields().get(field) for field in ("name", "first_name", "business_name")
    ] == [kept] * 3


@pytest.mark.parametrize(
    "given", ["https://evil.example.net", "HTTP://evil.net/x", "www.evil", "WWW.EVIL.EXAMPLE.NET", "evil.example.net",
    "купи.рф",
              "at evil.net now", "evil.net/win", "evil.net!", "EVIL.NET", "Evil.Net", "//evil", "<b>Ada</b>",
              "ada@evil.net", "{{ name }}"]
)  # fmt: skip
def test_a_name_with_a_link_is_only_claimed(given: str) -> None:
    """A stranger's advertisement never gets into our emails, in any form that mail programs would turn into a link; the
    owner still sees it."""
    posted = form(first_name=given)
    assert posted.contact_fields() == {"email": ADDRESS}
    assert posted.claimed_fields() == {"first_name": given}


def test_a_name_of_any_length_refuses_no_sign_up() -> None:
    """A name that is too long is not printed and not refused; the owner sees its beginning."""
    posted = form(name=LONG, first_name="x" * 41, business_name="x" * 80)
    assert posted.contact_fields() == {"email": ADDRESS, "business_name": "x" * 80}
    assert posted.claimed_fields() == {"name": "x" * 100, "first_name": "x" * 41}


@pytest.mark.parametrize("given", ["Visit evil.example/pay", "Order of $499, call 18885550100", "x" * 100])
def test_a_proved_name_counts_as_given(given: str) -> None:
    """What the operator imports or reports, and what the website's server signs, is as they say."""
    fields = {"email": ADDRESS, "first_name": given, "business_name": given}
    for model in (ProvedSignUp, NoShow, PostCall, NewClient):
        proved = model.model_validate(fields)
        assert proved.contact_fields() == fields
        assert proved.claimed_fields() == {}
        assert model.model_validate(fields | {"name": "x" * 101}).name == "x" * 99 + "…"


def test_only_a_proved_form_is_printed_as_given(functions: Functions) -> None:
    """A form that a visitor posts may print less than the same one that the website's server has signed."""
    given = "Ada of evil.example"
    body = json.dumps({"email": ADDRESS, "first_name": given, "red_systems": 1}).encode()
    assert functions.post(body).status_code == 202
    stranger = functions.contact()
    functions.set(WEBSITE_WEBHOOK_SECRET=SECRET)
    assert functions.post(body, headers=signed(body)).status_code == 202
    known = functions.contact()
    assert stranger and known and (stranger.fields.get("first_name"), known.fields["first_name"]) == (None, given)


@pytest.mark.parametrize("score", SCORES)
def test_scores_have_limits(score: str) -> None:
    """0 to 100, and 0 to 8; zero is a score, and what only looks like a number is read as one."""
    top = 100 if score == "assessment_score" else 8
    right: list[Any] = [0, top, str(top), float(top)]
    for value in right:
        assert getattr(form(**{score: value}), score) == int(value)
        assert form(**{score: value}).assessed
    wrong: list[Any] = [-1, top + 1, "many", 1e400, 10**30, float("nan"), [1], {"a": 1}, True, False]
    for value in wrong:
        with pytest.raises(ValidationError) as caught:
            form(**{score: value})
        assert caught.value.errors()[0]["loc"] == (score,)
    assert not form(**{score: ""}).assessed and not form(**{score: None}).assessed


def test_there_are_eight_systems() -> None:
    """All colors together are at most eight."""
    assert form(red_systems=2, orange_systems=2, yellow_systems=2, green_systems=2).assessed
    with pytest.raises(ValidationError, match="add up to at most 8"):
        form(red_systems=3, orange_systems=2, yellow_systems=2, green_systems=2)


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        ("2026-11-01T10:00:00Z", 10),
        ("2026-11-01T10:00:00.000+02:00", 8),
        ("2026-11-01T10:00:00", 10),
        (1793527200, 10),
        ("1793527200000", 10),
        (" 1793527200.0 ", 10),
        ("2026-11-01", 0),
        ("2026-11-01 10:00", 10),
    ],
)
def test_a_time_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch, given: Any, instant: int) -> None:
    """ISO 8601, seconds or milliseconds; never the server's own zone."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/Toronto")
        time.tzset()
        found = form(email_1_sent_at=given).email_1_sent_at
    time.tzset()
    assert found == datetime(2026, 11, 1, instant, tzinfo=UTC)


@pytest.mark.parametrize(
    "fields",
    [{"email_1_sent_at": "yesterday"}, {"email_1_sent_at": 10**30}, {"email_1_sent_at": []}, {"email_1_sent_at": True},
     {"email_1_status": "perhaps"}, {"email_1_status": 1}, {"consent": "perhaps"}, {"consent": 2}, {"consent": ["on"]},
     {"consent_text": ["I agree"]}, {"timezone": "x" * 65}, {"timezone": {}}, {"booking_url": "x" * 501},
     {"first_name": True}, {"business_name": ["a"]}, {"name": {"first": "Ada"}},
     {"assessment_score": "70 of 100"}, {"red_systems": "two"}, {"green_systems": "nan"}, {"orange_systems": [1]},
     {"yellow_systems": {"of": 8}}, {"assessment_score": "", "red_systems": "%"}],
)  # fmt: skip
def test_what_cannot_be_read_is_left_out(fields: dict[str, Any]) -> None:
    """It is refused where a person sees the error, and costs no visitor their sign-up; the owner sees what it was."""
    unread = {name: value for name, value in fields.items() if value != ""}
    with pytest.raises(ValidationError) as caught:
        form(**fields)
    assert {str(fault["loc"][0]) for fault in caught.value.errors()} == unread.keys()
    posted = SignUp.posted({"email": ADDRESS, "first_name": "Ada", "green_systems": 8} | fields)
    assert posted.left_out == sorted(unread)
    assert posted.claimed_fields() == {
        name: "(not text)" if isinstance(value, list | dict) else str(value)[:100] for name, value in unread.items()
    }
    assert {name: getattr(posted, name) for name in unread} == dict.fromkeys(unread)
    assert (posted.first_name or "first_name" in unread) and (posted.green_systems == 8 or "green_systems" in unread)


@pytest.mark.parametrize(
    "fields",
    [{"email": "ada"}, {"email": ["ada@example.org"]}, {"email": None}, *({score: True} for score in SCORES),
     {"assessment_score": "101"}, {"assessment_score": 100.5}, {"assessment_score": "-1%"}, {"red_systems": "9.0"},
     {"red_systems": 1e400}, {"email_1_sent_at": "0001-01-01T00:00:00Z"}, {"email_1_sent_at": 0}],
)  # fmt: skip
def test_a_posted_form_is_refused_for_few_things(fields: dict[str, Any]) -> None:
    """The address, a number or a time out of its range, a boolean for a number; each is named, and nothing else is."""
    with pytest.raises(ValidationError) as caught:
        SignUp.posted({"email": ADDRESS, "timezone": [], "consent": "perhaps"} | fields)
    assert [fault["loc"] for fault in caught.value.errors()] == [(name,) for name in fields]


@pytest.mark.parametrize(
    ("given", "score"),
    [(70.5, 71), ("70.5", 71), (70.4, 70), (0.5, 1), (99.6, 100), ("70%", 70), (" 70 ", 70), ("70 %", 70), ("70,0", 70),
     ("70.0", 70), ("69,5", 70), ("007", 7), ("+7", 7), ("-0", 0), ("70.%", None), ("4 5", None), ("0x10", None)],
)  # fmt: skip
def test_a_score_is_read_as_tools_write_it(given: Any, score: int | None) -> None:
    """Fractions are rounded, a half up; a percent sign, a decimal comma and spaces do no harm."""
    assert SignUp.posted({"email": ADDRESS, "assessment_score": given}).assessment_score == score


@pytest.mark.parametrize(
    ("given", "consent"),
    [*((yes, True) for yes in (True, 1, "on", "ON ", "yes", "true", "1", "Yes, keep me posted", "Yes!", "Sí",
      "I agree to get emails", "Ja, gerne", "oui", "accepted")),
     *((no, False) for no in (False, 0, "off", "no", "NO", "false", "0", "n")),
     *((unclear, None) for unclear in ("nein", "perhaps", "I do not agree", "I don't agree", "yes/no", "Yesterday",
      "Yes, but only once", "Yes, don\u2019t", "No, yes", "not yet", "one", 2, "🙂"))],
)  # fmt: skip
def test_a_consent_is_read_as_a_checkbox_sends_it(given: Any, consent: bool | None) -> None:
    """A yes counts in many words; what is unclear is none."""
    posted = SignUp.posted({"email": ADDRESS, "consent": given})
    assert posted.consent is consent
    assert posted.left_out == (["consent"] if consent is None else [])


@pytest.mark.parametrize(
    ("given", "status"),
    [("Sent", "sent"), ("SENT ", "sent"), ("delivered", "sent"), ("Failed", "failed"), ("error", "failed"),
     ("failure", "failed"), ("queued", None), ("", None)],
)  # fmt: skip
def test_the_first_emails_status_has_several_names(given: str, status: str | None) -> None:
    """In capitals or not; an unknown one is left out."""
    assert SignUp.posted({"email": ADDRESS, "email_1_status": given}).email_1_status == status


def test_what_is_too_long_is_cut() -> None:
    """A text that an email or the owner may see loses its end, and refuses no report either."""
    assert form(consent_text="x" * 2001).consent_text == "x" * 1999 + "…"
    assert NewClient.model_validate({"email": ADDRESS, "package": LONG}).package == "x" * 99 + "…"


def test_a_number_may_be_a_name() -> None:
    """Of a business, or of a missed call; of a person it is only claimed."""
    posted = form(business_name=4711, first_name=5)
    assert (posted.contact_fields()["business_name"], posted.claimed_fields()) == ("4711", {"first_name": "5"})
    assert NoShow.model_validate({"email": ADDRESS, "event_id": 17}).event_id == "17"


def test_half_an_emoji_costs_no_name() -> None:
    """A script that cuts a text may leave half a character."""
    posted = SignUp.posted(
        {"email": ADDRESS, "first_name": "Ada \ud83d", "business_name": "\udc00", "consent_text": "Yes \ud83d"}
    )
    assert posted.contact_fields() == {"email": ADDRESS, "first_name": "Ada"}
    assert (posted.consent_text, posted.left_out) == ("Yes ", [])


def test_unknown_fields_are_ignored() -> None:
    """A form may carry extra fields for the website's other scripts; of a repeated field, the last one counts."""
    assert form(utm_source="x", __proto__={"admin": True}, steps=[1]) == form()
    assert (
        SignUp.model_validate_json('{"email":"bob@example.org","email":"ada@example.org"}').email == "ada@example.org"
    )


def test_only_the_given_fields_are_remembered() -> None:
    """The address, the names, the scores, the zone and the link, as text; nothing that was left out."""
    given = {"name": "Ada Lovelace", "red_systems": 0, "timezone": "Europe/London", "booking_url": "https://cal.com/x"}
    assert form(**given, consent=True, fax_number="5").contact_fields() == {"email": ADDRESS} | {
        k: str(v) for k, v in given.items()
    }


def test_a_step_is_found_by_its_number() -> None:
    """An enrollment finds a step by its number, and raises KeyError when there is none."""
    step = Step(number=3, state=StepState.SCHEDULED, due=0, offset=0)
    run = Enrollment("christmas-1", "christmas", "marketing", EnrollmentState.ACTIVE, 0, "contact", steps=(step,))
    assert run.step(3) is step
    with pytest.raises(KeyError):
        run.step(1)


@pytest.mark.parametrize(
    ("fields", "segment"),
    [({}, "OPTIMIZE"), ({"red_systems": "2"}, "CRITICAL"), ({"red_systems": "1"}, "URGENT"), ({"orange_systems": "2"},
    "URGENT"),
     ({"orange_systems": "1"}, "OPTIMIZE"), ({"red_systems": "0", "green_systems": "8"}, "OPTIMIZE")],
)  # fmt: skip
def test_a_contact_has_a_segment(fields: dict[str, str], segment: str) -> None:
    """From the latest scores, as the ledger keeps them."""
    assert Contact(fields).segment == segment


HOSTILE = [
    b'{"email":"ada@example.org","name":"\\u0000"}',
    b'{"email":"ada@example.org","first_name":"a\\u0007\\u001b[31m\\u2028b"}',
    b'{"email":"ada@example.org","name":"\\ud800","red_systems":1}',
    b'{"email":"ada@example.org","name":"\\udc00\\ud800"}',
    b'{"email":"\\u0000ada@example.org"}', b'{"email":"ada@example.org","red_systems":1e999}',
    b'{"email":"ada@example.org","x":NaN}',
    b'{"email":"ada@example.org","red_systems":NaN}',
    b'{"email":"ada@example.org","email_1_sent_at":Infinity,"red_systems":1}',
    b'{"email":"ada@example.org","red_systems":' + b"9" * 5000 + b"}",
    b'{"email":"ada@example.org","x":' + b"[" * 150 + b"]" * 150 + b"}",
    *(b'{"email":"ada@example.org","consent":' + b"[" * deep + b"]" * deep + b"}" for deep in (800, 990, 20_000)),
    b'{"email":"ada@example.org","timezone":' + b"9" * 4000 + b"}", b'{"email":"ada@example.org","\\ud800":1}',
    b'{"email":"ada@example.org","email":{"email":"bob@example.org"}}',
    b'{"email":"ada@example.org","red_systems":1,"red_systems":1}',
    b'{"email":"ada@example.org","name":"\xff\xfe"}', b'{"email":"ada@example.org","name":"\xed\xa0\x80"}',
    b"\x00" * 1000,
    json.dumps({"email": "ada@example.org", "name": LONG}).encode(),
    json.dumps({"email": f"{LONG}@example.org"}).encode(),
    json.dumps({"email": "ada@example.org", "red_systems": 1, "email_1_sent_at": "0001-01-01T00:00:00+14:00"}).encode(),
    json.dumps({"email": "ada@example.org", "red_systems": 1, "email_1_sent_at": "9999-12-31T23:59:59-14:00"}).encode(),
    *(json.dumps({"email": "ada@example.org", "red_systems": 1, "timezone": zone}).encode() for zone in
      ("", "/etc/passwd", "../../etc/passwd", "America", "a\0b", "zone.tab", "a//b", "..a/x", "\u00fc", ".",
      "America/Toronto")),
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE)
def test_a_hostile_body_breaks_nothing(functions: Functions, body: bytes) -> None:
    """Any body is accepted or refused; and what is accepted can be sent."""
    answer = functions.post(body)
    assert answer.status_code in (202, 400, 422)
    if run := functions.run():
        assert (functions.send(run.id, 1).json or {})["result"] == "parked"
        after = functions.run()
        assert after and after.step(1).attempts == 0, "only the provider was missing"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["0", "8", "true", "sent", "2026-11-01", "UTC"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    fields=st.fixed_dictionaries({}, optional={name: VALUES for name in SignUp.model_fields if name != "email"}),
    known=st.booleans(),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_no_field_causes_a_crash(functions: Functions, fields: dict[str, Any], known: bool) -> None:
    """Any JSON in any field is answered 202 or 422, in JSON, and the same when it comes again."""
    body = json.dumps({"email": ADDRESS if known else "?"} | fields).encode()
    first, second = functions.post(body), functions.post(body)
    assert first.status_code in (202, 400, 422) and first.is_json
    assert first.status_code == second.status_code
    if first.status_code == 202:
        assert first.data == second.data


def test_an_address_that_no_provider_takes_is_refused_with_a_sentence(functions: Functions) -> None:
    """422, in words for the visitor; the others of the form are not to blame."""
    answer = functions.sign_up({"email": "jürgen@example.org"})
    assert answer.status_code == 422
    [fault] = answer.json["detail"]  # type: ignore[index]  # mypy takes the JSON for an optional
    assert fault["loc"] == ["email"]
    assert "before the @ it has “ü”" in fault["msg"] and "Please use another address." in fault["msg"]
