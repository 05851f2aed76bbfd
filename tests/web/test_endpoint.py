"""What every webhook shares, seen through christmas-signup: error answers, limits, proofs, CORS and request ids."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from local import valkey
from tests.support.functions_client import SECRET, Functions, deployed, signed
from tests.support.world import ADA

FORM = json.dumps(ADA).encode()
SITE = "https://www.example.org"


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """All functions, on an empty database."""
    with deployed(valkey_server, monkeypatch) as ready:
        yield ready


class TestRefusals:
    """The error answers."""

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"5",
            b'"x"',
            b"email=a",
            b"[" * 60_000,
            b'{"a":' * 10_000,
            *(FORM[:-1] + b', "x": %b}' % word for word in (b"NaN", b"Infinity", b"-Infinity", b"[NaN]", b"9" * 5000)),
        ],
    )
    def test_a_body_that_is_not_a_json_object_is_400(self, functions: Functions, body: bytes) -> None:
        """Anything but one JSON object is answered 400 with a reason."""
        answer = functions.post(body)
        assert (answer.status_code, answer.json) == (
            400,
            {"status": "error", "message": "the body is not a JSON object"},
        )

    @pytest.mark.parametrize("body", [b"\xff\xfe{}", FORM.decode().encode("utf-16")])
    def test_another_encoding_is_400(self, functions: Functions, body: bytes) -> None:
        """The answer names the one that counts."""
        answer = functions.post(body)
        assert (answer.status_code, (answer.json or {})["message"]) == (400, "the body is not JSON in UTF-8")

    def test_a_byte_order_mark_is_no_fault(self, functions: Functions) -> None:
        """Some tools begin every text with one."""
        assert functions.post(b"\xef\xbb\xbf" + FORM).status_code == 202
        assert functions.run()

    @pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE"])
    def test_another_method_is_405(self, functions: Functions, method: str) -> None:
        """Only POST is taken, and GET for a challenge; the answer says so."""
        answer = functions.client("christmas-signup").open("/", method=method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
        assert functions.contact() is None

    @pytest.mark.parametrize(
        "content_type",
        ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data"],
    )
    def test_another_content_type_is_415(self, functions: Functions, content_type: str) -> None:
        """A body that does not call itself JSON is not read."""
        answer = functions.post(FORM, content_type=content_type)
        assert answer.status_code == 415
        assert "application/json" in (answer.json or {})["message"]

    def test_json_may_name_its_character_set(self, functions: Functions) -> None:
        """A content type with parameters is JSON too."""
        assert functions.post(FORM, content_type="application/json; charset=utf-8").status_code == 202

    def test_wrong_fields_are_422_each_named(self, functions: Functions) -> None:
        """All faults are listed in pydantic's form, and none repeats what was posted."""
        answer = functions.sign_up(
            {"email": "secret-value", "assessment_score": 101, "red_systems": True, "timezone": []}
        )
        body = answer.json or {}
        assert (answer.status_code, body["status"]) == (422, "error")
        assert [fault["loc"] for fault in body["detail"]] == [["email"], ["assessment_score"], ["red_systems"]]
        assert all(fault.keys() == {"loc", "msg", "type"} for fault in body["detail"])
        assert "secret-value" not in answer.text and "101" not in answer.text

    def test_a_missing_address_is_422(self, functions: Functions) -> None:
        """The one field that is required is named."""
        answer = functions.sign_up({"email": None})
        assert (answer.status_code, (answer.json or {})["detail"][0]["loc"]) == (422, ["email"])

    @pytest.mark.parametrize("key", ["", "x" * 256, "two words", "schlüssel", "tab\tbed"])
    def test_a_malformed_idempotency_key_is_400(self, functions: Functions, key: str) -> None:
        """A key that is not visible ASCII of at most 255 characters is refused, and nothing is done."""
        assert functions.sign_up(headers={"Idempotency-Key": key}).status_code == 400
        assert functions.contact() is None

    def test_a_crash_reveals_nothing(self, functions: Functions, tmp_path: Path) -> None:
        """A handler that raises is answered 500 in JSON, with a request id and without a detail."""
        source = tmp_path / "main.py"
        source.write_text(
            "from shared.web import endpoint\n\n@endpoint.function('crash')\ndef handle(request):\n    raise "
            "RuntimeError('a secret')\n"
        )
        answer = functions.client(str(source)).post("/")
        assert (answer.status_code, answer.mimetype, (answer.json or {})["status"]) == (
            500,
            "application/json",
            "error",
        )
        assert "secret" not in answer.text and "Traceback" not in answer.text
        assert answer.headers["X-Request-Id"]


class TestBodyLimit:
    """413, however the body comes."""

    def test_64_kib_is_accepted_and_a_byte_more_is_not(self, functions: Functions) -> None:
        """With a length and without one, the limit is the same."""
        fits = FORM + b" " * (65_536 - len(FORM))
        for post in (functions.post, functions.post_chunked):
            assert post(fits).status_code == 202
            answer = post(fits + b" ")
            assert (answer.status_code, (answer.json or {})["message"]) == (413, "the body is larger than 65536 bytes")

    def test_a_chunked_form_arrives_whole(self, functions: Functions) -> None:
        """A body without Content-Length is read to its end."""
        assert functions.post_chunked(FORM).status_code == 202
        assert functions.run() is not None

    def test_the_limit_is_a_setting(self, functions: Functions) -> None:
        """WEBHOOK_BODY_LIMIT is obeyed."""
        functions.set(WEBHOOK_BODY_LIMIT="10")
        assert [functions.post(FORM).status_code, functions.post_chunked(FORM).status_code] == [413, 413]

    def test_the_size_is_checked_before_the_proof(self, functions: Functions) -> None:
        """A caller cannot make us compute the signature of a huge body."""
        functions.set(WEBSITE_WEBHOOK_SECRET=SECRET)
        assert functions.post_chunked(b"x" * 70_000).status_code == 413


class TestLimits:
    """How often a form may be posted."""

    def test_each_ip_has_its_own_rate(self, functions: Functions) -> None:
        """The request that is one too many gets 429 with Retry-After; another visitor is not affected."""
        functions.set(WEBHOOK_RATE_PER_IP="2/minute")
        answers = [functions.sign_up() for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 429]
        assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
        assert functions.sign_up(environ_overrides={"REMOTE_ADDR": "198.51.100.7"}).status_code == 202

    def test_what_is_too_often_for_one_address_does_nothing(self, functions: Functions) -> None:
        """However the address is written, the answer stays 202, so that no one learns of it; nothing is changed."""
        functions.set(WEBHOOK_RATE_PER_ADDRESS="2/hour")
        spellings = {"ada@example.org": "Ada", " ADA@Example.ORG ": "Augusta", "Ada@example.org": "Countess"}
        answers = [functions.sign_up({"email": email, "first_name": name}) for email, name in spellings.items()]
        assert [answer.status_code for answer in answers] == [202, 202, 202]
        known = functions.contact()
        assert known and known.fields["first_name"] == "Augusta"

    def test_another_network_has_a_rate_of_its_own(self, functions: Functions) -> None:
        """No stranger uses up what a person may post for their own address."""
        functions.set(WEBHOOK_RATE_PER_ADDRESS="1/hour")
        for name, network in (("Mallory", "198.51.100.1"), ("Mallory", "198.51.100.1"), ("Ada", "198.51.100.2")):
            functions.sign_up({"first_name": name}, environ_overrides={"REMOTE_ADDR": network})
        known = functions.contact()
        assert known and known.fields["first_name"] == "Ada"

    def test_a_signed_form_is_not_limited(self, functions: Functions) -> None:
        """A website's own server may post as often as it likes."""
        functions.set(WEBSITE_WEBHOOK_SECRET=SECRET, WEBHOOK_RATE_PER_IP="1/hour", WEBHOOK_RATE_PER_ADDRESS="1/hour")
        assert [functions.post(FORM, headers=signed(FORM)).status_code for _ in range(3)] == [202, 202, 202]

    @pytest.mark.parametrize(
        ("proxies", "forwarded", "statuses"),
        [
            ("", ["198.51.100.1", "198.51.100.2"], [202, 429]),
            ("203.0.113.0/24", ["198.51.100.1", "198.51.100.2"], [202, 429]),
            ("127.0.0.1", ["198.51.100.1", "198.51.100.2"], [202, 202]),
            ("127.0.0.0/8, 10.0.0.0/8", ["198.51.100.1, 10.0.0.9", "198.51.100.2,10.0.0.9"], [202, 202]),
            ("127.0.0.1", ["192.0.2.1, 198.51.100.1", "192.0.2.2, 198.51.100.1"], [202, 429]),
            ("127.0.0.1", ["2001:db8::1", "2001:db8::2"], [202, 429]),
            ("127.0.0.1", ["2001:db8:0:1::1", "2001:db8:0:2::1"], [202, 202]),
            ("127.0.0.1", ["198.51.100.1:40001", "198.51.100.1:40002"], [202, 429]),
            ("127.0.0.1", ["unknown", "192.0.2.1, unknown"], [202, 429]),
            ("127.0.0.1", ["", ", ,"], [202, 429]),
        ],
    )
    def test_x_forwarded_for_counts_behind_trusted_proxies_only(
        self, functions: Functions, proxies: str, forwarded: list[str], statuses: list[int]
    ) -> None:
        """The header is believed from the right, as far as the proxies are ours; what a stranger puts before it changes
        nothing."""
        functions.set(TRUSTED_PROXIES=proxies, WEBHOOK_RATE_PER_IP="1/hour")
        assert [functions.sign_up(headers={"X-Forwarded-For": value}).status_code for value in forwarded] == statuses


class TestSignature:
    """A Standard Webhooks signature, where its secret is set."""

    def test_it_is_required_and_accepted(self, functions: Functions) -> None:
        """With the secret set, only a signed form passes; without it, no signature is needed."""
        functions.set(WEBSITE_WEBHOOK_SECRET=SECRET)
        assert functions.post(FORM).status_code == 401
        assert functions.contact() is None
        assert functions.post(FORM, headers=signed(FORM)).status_code == 202
        assert functions.run() is not None

    @pytest.mark.parametrize(
        "changes",
        [
            *({name: ""} for name in signed(b"")),
            signed(FORM, secret="whsec_" + "dGhlIGtleSBvZiBzb21lYm9keSBlbHNlLCBub3Qgb3Vycw=="),
            signed(FORM, at=time.time() - 600),
            signed(FORM, at=time.time() + 600),
            signed(FORM + b" "),
            {"webhook-id": "msg_2"},
            {"webhook-timestamp": "nan"},
            {"webhook-timestamp": "soon"},
            {"webhook-timestamp": "9" * 400},
            {"webhook-signature": "v1"},
            {"webhook-signature": "v1,%%%"},
            {"webhook-signature": "v1,ü"},
            {"webhook-signature": signed(FORM)["webhook-signature"].replace("v1", "v2")},
            {"webhook-signature": "v1," * 1000},
            {"webhook-signature": signed(FORM)["webhook-signature"].replace("v1", "v1a")},
            {"webhook-signature": f"{signed(FORM + b' ')['webhook-signature']} v1,"},
        ],
    )  # fmt: skip
    def test_an_invalid_one_is_401(self, functions: Functions, changes: dict[str, str]) -> None:
        """Missing, wrong, old and malformed signatures are refused alike, and nothing is done."""
        functions.set(WEBSITE_WEBHOOK_SECRET=SECRET)
        answer = functions.post(FORM, headers=signed(FORM) | changes)
        assert (answer.status_code, (answer.json or {})["message"]) == (
            401,
            "the signature is missing, wrong or too old",
        )
        assert functions.contact() is None

    @pytest.mark.parametrize(
        "listed",
        ["v1,??? {}", "v1 {}", "{} v1,%%%", "v1a,AAAA  {}", "v1, {} v2,a,b", "v1,a,{}", ",,, {} ü"],
    )
    def test_of_several_the_valid_one_decides(self, functions: Functions, listed: str) -> None:
        """Regardless of what else is in the list, before it or after it."""
        functions.set(WEBSITE_WEBHOOK_SECRET=SECRET)
        headers = signed(FORM)
        headers["webhook-signature"] = listed.format(headers["webhook-signature"])
        assert functions.post(FORM, headers=headers).status_code == 202

    @pytest.mark.parametrize("body", [b"", b"{", b"hello", b"[" * 50_000])
    def test_a_signed_body_that_is_not_json_is_400(self, functions: Functions, body: bytes) -> None:
        """The response to a right signature around a wrong body says what is wrong: the body."""
        functions.set(WEBSITE_WEBHOOK_SECRET=SECRET)
        assert functions.post(body, headers=signed(body)).status_code == 400


class TestCors:
    """Browsers on the owner's own pages may post."""

    def test_an_allowed_page_may_ask_and_post(self, functions: Functions) -> None:
        """The preflight answers 204 with what a form needs, and changes nothing; the post carries the header too."""
        functions.set(CORS_ORIGINS=f"https://other.example.org, {SITE}")
        asks = {
            "Origin": SITE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,idempotency-key",
        }
        preflight = functions.client("christmas-signup").options("/", headers=asks)
        assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, SITE)
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        assert {"content-type", "idempotency-key"} <= {
            name.strip().lower() for name in preflight.headers["Access-Control-Allow-Headers"].split(",")
        }
        assert functions.contact() is None
        assert functions.sign_up(headers={"Origin": SITE}).headers["Access-Control-Allow-Origin"] == SITE

    @pytest.mark.parametrize(
        ("asked", "allowed"),
        [
            ("baggage,content-type,sentry-trace", "baggage,content-type,sentry-trace"),
            ("Traceparent, Tracestate", "Traceparent, Tracestate"),
            ("x-datadog-origin", "x-datadog-origin"),
            ("", "Content-Type, Idempotency-Key, X-Request-Id"),
            ("two words", "Content-Type, Idempotency-Key, X-Request-Id"),
            ("größe", "Content-Type, Idempotency-Key, X-Request-Id"),
        ],
    )
    def test_a_page_may_send_the_headers_that_it_asks_for(self, functions: Functions, asked: str, allowed: str) -> None:
        """Scripts that trace requests add headers of their own, and a browser then asks for each."""
        functions.set(CORS_ORIGINS=SITE)
        asks = {"Origin": SITE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
        preflight = functions.client("christmas-signup").options("/", headers=asks)
        assert preflight.headers["Access-Control-Allow-Headers"] == allowed
        assert "Access-Control-Request-Headers" in preflight.headers["Vary"]

    @pytest.mark.parametrize(
        "origin",
        ["https://evil.example.net", f"{SITE}.example.net", SITE.upper(), SITE.replace("https", "http"), "null", "*"],
    )
    def test_a_foreign_page_may_not(self, functions: Functions, origin: str) -> None:
        """A page that is not on the list gets no permission, by preflight or by post."""
        functions.set(CORS_ORIGINS=SITE)
        client = functions.client("christmas-signup")
        for answer in (client.options("/", headers={"Origin": origin}), functions.sign_up(headers={"Origin": origin})):
            assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]
            assert "Origin" in answer.headers["Vary"]

    def test_a_page_can_read_refusals_too(self, functions: Functions) -> None:
        """An error without the header would look to the page's script like a broken network."""
        functions.set(CORS_ORIGINS=SITE, WEBHOOK_RATE_PER_IP="3/hour")
        page = {"Origin": SITE}
        refused = [functions.post(b"{", headers=page), functions.sign_up({"email": "?"}, headers=page)]
        refused += [functions.sign_up(headers=page) for _ in range(2)][1:]
        assert [answer.status_code for answer in refused] == [400, 422, 429]
        assert {answer.headers.get("Access-Control-Allow-Origin") for answer in refused} == {SITE}
        exposed = refused[-1].headers.get("Access-Control-Expose-Headers", "")
        assert "Retry-After" in exposed, "without it the page's script cannot see when to come back"

    def test_other_functions_allow_no_page(self, functions: Functions) -> None:
        """Only the forms are for browsers on other sites."""
        functions.set(CORS_ORIGINS=SITE)
        for name in ("health", "unsubscribe", "send-email"):
            answer = functions.client(name).options("/", headers={"Origin": SITE})
            assert (answer.status_code, answer.headers.get("Access-Control-Allow-Origin")) == (405, None)


class TestRequestId:
    """The id that follows a request."""

    @pytest.mark.parametrize("offered", ["abcdefgh", "A-Z_0-9-" * 8])
    def test_a_harmless_one_is_kept(self, functions: Functions, offered: str) -> None:
        """The caller's id comes back and is kept with the enrollment."""
        assert functions.sign_up(headers={"X-Request-Id": offered}).headers["X-Request-Id"] == offered
        run = functions.run()
        assert run and run.request_id == offered

    @pytest.mark.parametrize(
        "offered", ["", "short", "x" * 65, "two words", '"};drop()', "ada@example.org", "<script>", "größer-als-acht"]
    )
    def test_a_strange_one_is_replaced(self, functions: Functions, offered: str) -> None:
        """Anything else is replaced by an id of our own, a new one each time."""
        given = [functions.sign_up(headers={"X-Request-Id": offered}).headers["X-Request-Id"] for _ in range(2)]
        assert all(len(id) == 32 and id.isalnum() for id in given)
        assert given[0] != given[1]
