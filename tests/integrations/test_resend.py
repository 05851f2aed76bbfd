"""Resend's integration: the real SDK over HTTP, and what each refusal, fault and silence means for the email."""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import resend

from shared.core.errors import SendError
from shared.integrations.resend import Resend
from tests.support import patience
from tests.support.own_port import own_port
from tests.support.raw_server import answer, raw
from tests.support.sandbox_server import EMAIL, Sandbox
from tests.support.tls_server import tls
from tests.support.waiting import SOON, WITHIN, until

BODY = EMAIL | {"to": ["jane@example.org"]}
Connect = Callable[..., Resend]

# What may happen next, by status and Resend's own code.
KINDS = {
    (400, "invalid_idempotency_key"): "refused",
    (400, "validation_error"): "refused",
    (401, "missing_api_key"): "closed",
    (401, "restricted_api_key"): "closed",
    (403, "invalid_api_key"): "closed",
    (403, "invalid_permission"): "closed",
    (403, "suspended_api_key"): "closed",
    (403, "validation_error"): "closed",
    (403, "email_above_quota"): "quota",
    (404, "not_found"): "closed",
    (405, "method_not_allowed"): "closed",
    (408, "request_timeout"): "ambiguous",
    (409, "concurrent_idempotent_requests"): "busy",
    (409, "invalid_idempotent_request"): "conflict",
    (409, "resource_locked"): "wait",
    (413, "content_too_large"): "refused",
    (422, "invalid_access"): "refused",
    (422, "invalid_attachment"): "refused",
    (422, "invalid_from_address"): "closed",
    (422, "invalid_parameter"): "refused",
    (422, "invalid_region"): "refused",
    (422, "missing_required_field"): "refused",
    (422, "missing_required_parameter"): "refused",
    (422, "validation_error"): "refused",
    (429, "daily_quota_exceeded"): "quota",
    (429, "monthly_quota_exceeded"): "quota",
    (429, "rate_limit_exceeded"): "rate",
    (429, "something_new"): "rate",
    (451, "security_error"): "refused",
    (499, "client_closed_request"): "ambiguous",
    (500, "application_error"): "ambiguous",
    (500, "internal_server_error"): "ambiguous",
    (500, "service_unavailable"): "ambiguous",
    (502, "application_error"): "ambiguous",
    (503, "service_unavailable"): "ambiguous",
    (504, "application_error"): "ambiguous",
    (520, "something_new"): "ambiguous",
}

OK = answer(b'{"id": "a"}')
UNENDING = (OK[:-3], b"HTTP/1.1 200 OK\r\n")  # a reader waits for more


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Makes clients; the SDK's globals are put back afterwards."""
    for name in ("api_key", "api_url", "default_http_client"):
        monkeypatch.setattr(resend, name, getattr(resend, name))
    monkeypatch.setenv("NO_PROXY", "*")

    def make(url: str, key: str = "re_sandbox", timeout: float = WITHIN) -> Resend:
        return Resend(key, url, timeout=timeout)

    return make


def trouble(client: Resend, batch: int = 0, key: str = "key") -> SendError:
    """The error that sending (a batch of this size) must raise."""
    with pytest.raises(SendError) as caught:
        client.send_batch([BODY] * batch, key=key, permissive=True) if batch else client.send(BODY, key=key)
    return caught.value


def told(client: Resend) -> list[str]:
    """The ids that a repetition gets; none while the provider is still working on the first request."""
    try:
        return client.send(BODY, key="key").ids
    except SendError as error:
        if error.kind != "busy":
            raise
        return []


class TestAccepted:
    """What Resend takes."""

    def test_an_email(self, box: Sandbox, connect: Connect) -> None:
        """The id and the rate come back; the email and its key have arrived; the same key again sends nothing."""
        client = connect(f"{box.url}/resend/")
        first, again = client.send(BODY, key="key-1"), client.send(BODY, key="key-1")
        (entry,) = box.outbox()
        assert first.ids == again.ids == [entry["id"]]
        assert (first.rate, entry["idempotency_key"], entry["to"]) == (10_000, "key-1", ["jane@example.org"])

    def test_a_batch(self, box: Sandbox, connect: Connect) -> None:
        """A hundred emails, one request, an id for each in their order."""
        accepted = connect(f"{box.url}/resend").send_batch(
            [BODY | {"subject": str(n)} for n in range(100)], key="batch", permissive=True
        )
        assert accepted.ids == [entry["id"] for entry in sorted(box.outbox(), key=lambda entry: int(entry["subject"]))]

    def test_a_batch_with_a_wrong_address(self, box: Sandbox, connect: Connect) -> None:
        """The others are accepted, each with its own id; the wrong one has its reason."""
        batch = [BODY | {"subject": "0"}, BODY | {"to": ["jane@example.com"]}, BODY | {"subject": "2"}]
        found = connect(f"{box.url}/resend").send_batch(batch, key="batch", permissive=True)
        subjects = {entry["id"]: entry["subject"] for entry in box.outbox()}
        assert [subjects.get(id) for id in found.ids] == ["0", None, "2"]
        assert found.others[1].rejected and found.others[1].reason.startswith("Resend refuses it: Invalid `to` field.")

    def test_a_strict_batch_with_a_wrong_address(self, box: Sandbox, connect: Connect) -> None:
        """As an earlier release posted it: nothing of it is accepted."""
        client = connect(f"{box.url}/resend")
        with pytest.raises(SendError, match=r"^rejected: "):
            client.send_batch([BODY, BODY | {"to": ["jane@example.com"]}], key="batch", permissive=False)
        assert box.outbox() == []

    def test_connections_are_reused(self, connect: Connect) -> None:
        """Ten emails go over one connection; one that the server has closed is replaced."""
        with raw(*[OK] * 10, None, OK) as server:
            client = connect(server.url)
            assert {client.send(BODY, key="key").ids[0] for _ in range(10)} == {"a"}
            assert server.accepted == 1
            assert trouble(client).kind == "ambiguous"
            assert client.send(BODY, key="key").ids == ["a"]
            assert (server.accepted, len(server.requests)) == (2, 12)

    def test_each_thread_gets_its_own_answers(self, box: Sandbox, connect: Connect) -> None:
        """Sixteen threads send at once, and every answer belongs to its email."""
        client = connect(f"{box.url}/resend")
        with ThreadPoolExecutor(16) as pool:
            ids = dict(zip(range(64), pool.map(lambda n: client.send(BODY, key=str(n)).ids[0], range(64)), strict=True))
        assert {int(entry["idempotency_key"]): entry["id"] for entry in box.outbox()} == ids


class TestRefused:
    """What Resend refuses."""

    @pytest.mark.parametrize(("status", "code"), KINDS)
    def test_each_answer_has_its_meaning(self, box: Sandbox, connect: Connect, status: int, code: str) -> None:
        """By status and code, singly and in a batch, with the reason for the owner and the time to come again."""
        client = connect(f"{box.url}/resend")
        for batch in (0, 2):
            box.fault("status", status=status, name=code, retry_after=7)
            error = trouble(client, batch)
            assert (error.kind, error.retry_after) == (KINDS[status, code], 7)
            assert error.reason.startswith(f"Resend answered {status} {code}: ")
        assert box.outbox() == []

    def test_the_table_is_complete(self) -> None:
        """Every error that Resend documents is in the table."""
        folder = os.environ.get("CONTRACTS_DIR")
        if not folder:
            pytest.skip("CONTRACTS_DIR does not say where Resend's contracts are")
        facts = json.loads((Path(folder) / "resend-facts.json").read_text(encoding="utf-8"))
        documented = {(int(status[:3]), code) for status, code, *_ in facts["errors"] + facts["errors_older_docs"]}
        assert documented <= KINDS.keys()

    def test_a_reason_names_no_one(self, box: Sandbox, connect: Connect) -> None:
        """If Resend repeats parts of the email, addresses are masked, and the reason is short and one line."""
        with raw(
            answer(
                json.dumps(
                    {"name": "x", "message": f"Invalid `to`:\n{BODY['to'][0]}, <a@b.org>. {'x' * 500}"}
                ).encode(),
                "422 No",
            )
        ) as server:
            reason = trouble(connect(server.url)).reason
        assert "@" not in reason and "(address)" in reason and "\n" not in reason and len(reason) < 250

    def test_the_sandbox_refuses_as_resend_does(self, box: Sandbox, connect: Connect) -> None:
        """A wrong key, a wrong place, a wrong recipient, a used key."""
        assert trouble(connect(f"{box.url}/resend", key="sk_other")).kind == "closed"
        assert trouble(connect(f"{box.url}/nothing")).kind == "closed"
        client = connect(f"{box.url}/resend")
        with pytest.raises(SendError, match=r"^rejected: Resend answered 422 validation_error: "):
            client.send(BODY | {"to": ["jane@example.com"]}, key="key")
        client.send(BODY, key="key")
        with pytest.raises(SendError, match=r"^conflict: "):
            client.send(BODY | {"subject": "Another"}, key="key")

    def test_a_key_in_progress_is_busy(self, box: Sandbox, connect: Connect) -> None:
        """While the first request is unanswered, its repetition waits."""
        client = connect(f"{box.url}/resend")
        box.fault("slow", delay_ms=60_000)
        with ThreadPoolExecutor() as pool:
            first = pool.submit(client.send, BODY, key="key")
            until(lambda: len(box.outbox()) == 1)
            assert trouble(client).kind == "busy"
            assert box.state
            box.state.faults.stopping.set()  # ends the wait of the first
            assert first.result().ids == [box.outbox()[0]["id"]]

    @pytest.mark.parametrize("text", ["soon", "Wed, 21 Oct 2026 07:28:00 GMT", "-5", "nan", "inf", ""])
    def test_an_invalid_retry_after_is_ignored(self, connect: Connect, text: str) -> None:
        """Only a number of seconds that is short enough to wait counts."""
        with raw(answer(b'{"name": "rate_limit_exceeded", "message": "x"}', "429 No", Retry_After=text)) as server:
            error = trouble(connect(server.url))
        assert (error.kind, error.retry_after) == ("rate", None)


class TestSilence:
    """What is known when there is no good answer."""

    @pytest.mark.parametrize(
        ("fault", "taken"),
        [({"kind": "timeout-before"}, 0), ({"kind": "timeout-after"}, 1), ({"kind": "disconnect"}, 0),
         ({"kind": "disconnect", "after": True}, 1), ({"kind": "commit-then-503"}, 1)],
    )  # fmt: skip
    @pytest.mark.usefixtures("connect")
    def test_no_answer_may_mean_accepted(self, box: Sandbox, fault: dict[str, Any], taken: int) -> None:
        """A timeout, a lost connection, a 503: it is unknown whether the email was accepted, and the same request finds
        out."""
        client = patience.resend(box)
        box.fault(**fault)
        assert trouble(client).kind == "ambiguous"
        assert len(box.outbox()) == taken
        until(lambda: told(client) == [box.outbox()[0]["id"]])
        assert len(box.outbox()) == 1

    @pytest.mark.parametrize(
        ("said", "kind"),
        [
            (answer(b"<html>", kind="text/html"), "ambiguous"),
            (answer(b"<html>", "403 No", "text/html"), "closed"),
            (answer(b"<html>", "429 No", "text/html"), "rate"),
            (answer(b"<html>", "502 No", "text/html"), "ambiguous"),
            *((broken, "ambiguous") for broken in (*UNENDING, b"garbage\r\n\r\n")),
            *(
                (answer(body), "ambiguous")
                for body in (b"", b"{", b"\xff", b"{}", b"null", b"[]", b"5", b'"a"', b'["a"]', b'{"id": 5}')
            ),
            *(
                (answer(body), "ambiguous")
                for body in (b'{"id": ""}', b'{"data": null}', b'{"data": [null]}', b'{"data": [{}]}')
            ),
        ],
    )
    @pytest.mark.parametrize("batch", [0, 1])
    def test_an_invalid_answer(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch, said: bytes, kind: str, batch: int
    ) -> None:
        """Anything but Resend's JSON with an id proves nothing, except by its status."""
        with raw(said) as server:
            client, connection = connect(server.url), resend.default_http_client
            if said in UNENDING:
                monkeypatch.setattr(connection, "_timeout", (WITHIN, SOON))
            assert trouble(client, batch).kind == kind

    @pytest.mark.parametrize("ids", [["a"], ["a", "b", "c"]])
    def test_a_batch_answer_with_the_wrong_number_of_ids(self, connect: Connect, ids: list[str]) -> None:
        """It is unknown which of the emails were accepted, and no repetition can tell."""
        with raw(answer(json.dumps({"data": [{"id": id} for id in ids]}).encode())) as server:
            assert trouble(connect(server.url), batch=2).kind == "conflict"

    @pytest.mark.parametrize(
        ("ids", "indexes"),
        [
            (["a", "b"], [1]),  # three answers for two emails
            ([], [0]),  # one is missing
            (["a"], [0, 0]),
            (["a"], [2]),
            (["a"], [-1]),
            (["a"], ["1"]),
            (["a"], [True]),
            (["a"], [None]),
        ],
    )
    def test_a_batch_answer_that_is_not_about_each_email_once(
        self, connect: Connect, ids: list[str], indexes: list[object]
    ) -> None:
        """With errors, too: the batch is in doubt as a whole, and no id is given to another's email."""
        errors = [{"index": index, "message": "Invalid `to` field."} for index in indexes]
        with raw(answer(json.dumps({"data": [{"id": id} for id in ids], "errors": errors}).encode())) as server:
            assert trouble(connect(server.url), batch=2).kind == "conflict"

    @pytest.mark.parametrize("errors", ["no", 5, {"index": 1}, ["no"], [None], [{"message": "Invalid `to` field."}]])
    def test_a_batch_answer_whose_errors_cannot_be_read(self, connect: Connect, errors: object) -> None:
        """They may be about any email of the batch."""
        with raw(answer(json.dumps({"data": [{"id": "a"}], "errors": errors}).encode())) as server:
            assert trouble(connect(server.url), batch=2).kind == "conflict"

    def test_an_error_about_the_sender_beside_accepted_emails(self, connect: Connect) -> None:
        """What was accepted stays accepted."""
        said = {"data": [{"id": "a"}], "errors": [{"index": 0, "message": "Invalid `from` field."}]}
        with raw(answer(json.dumps(said).encode())) as server:
            found = connect(server.url).send_batch([BODY] * 2, key="key", permissive=True)
        assert (found.ids, list(found.others)) == (["", "a"], [0])
        assert not found.others[0].rejected

    def test_a_redirect_is_not_followed(self, connect: Connect) -> None:
        """It would turn the POST into a GET, whose answer says nothing about the email."""
        with raw(answer(b"", "301 Moved", Location="/elsewhere"), OK) as server:
            assert trouble(connect(server.url)).kind in ("closed", "ambiguous")
            assert server.requests == [b"POST /emails HTTP/1.1"]


class TestUnreachable:
    """When the request surely never left, it can wait without a doubt."""

    def test_connection_refused(self, connect: Connect) -> None:
        """Nothing listens on the port."""
        with own_port() as port:
            assert str(trouble(connect(f"http://127.0.0.1:{port}"))) == "wait: Resend could not be reached"

    def test_unknown_host_name(self, connect: Connect) -> None:
        """The name cannot be resolved (RFC 6761 keeps .invalid free)."""
        assert trouble(connect("http://resend.invalid")).kind == "wait"

    def test_connection_timed_out(self, connect: Connect) -> None:
        """A host whose queue of connections is full does not answer in time."""
        with ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            stack.enter_context(socket.create_connection(listener.getsockname()))
            assert trouble(connect(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=SOON)).kind == "wait"

    def test_an_untrusted_certificate(self, connect: Connect, certificate: Path) -> None:
        """Nothing is sent to a server that cannot prove who it is."""
        with tls(certificate, lambda _: None) as url:
            assert trouble(connect(url)).kind == "wait"


class TestBrokenTls:
    """A connection that broke after the handshake may have carried the request: only a certificate comes surely before
    it."""

    @staticmethod
    def read(connection: ssl.SSLSocket) -> None:
        """Take the request."""
        while b"jane@example.org" not in connection.recv(65_536):
            pass

    @pytest.mark.parametrize("record", [b"", b"\x17\x03\x03\x00\x20" + b"x" * 32, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
    @pytest.mark.parametrize("batch", [0, 2])
    def test_after_the_request(self, connect: Connect, certificate: Path, record: bytes, batch: int) -> None:
        """The provider has it; then the line goes dead, or what comes back is no answer of that connection."""

        def talk(connection: ssl.SSLSocket) -> None:
            self.read(connection)
            with socket.socket(fileno=connection.detach()) as plain:
                plain.sendall(record)

        with tls(certificate, talk) as url:
            client = connect(url)
            session = resend.default_http_client._session  # type: ignore[union-attr]  # it is ours, and has one
            session.verify, session.trust_env = str(certificate / "cert.pem"), False
            assert trouble(client, batch).kind == "ambiguous"


NOON = "Sun, 29 Nov 2026 12:00:00 GMT"
NOON_MS = 1_795_953_600_000
ERROR = b'{"statusCode": 401, "name": "restricted_api_key", "message": "may only send"}'


class TestTime:
    """What time it is by Resend's clock, as each of its own answers says."""

    def test_an_acceptance_gives_it(self, connect: Connect) -> None:
        """The header Date is read."""
        with raw(answer(b'{"id": "a"}', Date=NOON)) as server:
            assert connect(server.url).send(BODY, key="key").date == NOON_MS

    def test_a_refusal_gives_it_too(self, connect: Connect) -> None:
        """The error carries it."""
        with raw(answer(ERROR, "401 Unauthorized", Date=NOON)) as server:
            assert trouble(connect(server.url)).date == NOON_MS

    @pytest.mark.parametrize(
        ("said", "heard"),
        [
            (answer(b'{"object": "list", "data": []}', Date=NOON), NOON_MS),
            (answer(ERROR, "401 Unauthorized", Date=NOON), NOON_MS),
            (
                answer(b'{"statusCode": 429, "name": "rate_limit_exceeded", "message": ""}', "429 Too Many", Date=NOON),
                NOON_MS,
            ),
            (answer(b"<h1>Sign in to the network</h1>", "200 OK", "text/html", Date=NOON), None),
            (answer(b"<h1>Bad gateway</h1>", "502 Bad Gateway", "text/html", Date=NOON), None),
            (answer(b'{"error": "blocked by the proxy"}', "403 Forbidden", Date=NOON), None),
            (answer(b'{"object": "list", "data": []}', Date="yesterday"), None),
            (answer(b'{"object": "list", "data": []}', Date="Sun, 29 Nov 2026 12:00:00 +99999999999999"), None),
            (answer(b'{"object": "list", "data": []}', Date="Sun, 29 Nov 2026 12:00:00 -0000"), NOON_MS),
            (answer(b'{"object": "list", "data": []}'), None),
            (None, None),
        ],
    )
    def test_it_can_be_requested(self, connect: Connect, said: bytes | None, heard: int | None) -> None:
        """Any response from Resend itself counts, even to a refused key; a proxy's own does not, because its clock may
        differ."""
        with raw(said) as server:
            assert connect(server.url).time() == heard
            assert server.requests[0].startswith(b"GET /domains ")

    def test_unknown_without_an_answer(self, connect: Connect) -> None:
        """Nothing listens on the port."""
        with own_port() as port:
            assert connect(f"http://127.0.0.1:{port}").time() is None

    def test_the_sandbox_gives_it(self, box: Sandbox, connect: Connect) -> None:
        """As the real service does, with any key."""
        assert connect(f"{box.url}/resend").time() is not None
        assert connect(f"{box.url}/resend", key="re_restricted").time() is not None
