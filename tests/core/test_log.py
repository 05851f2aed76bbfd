"""What the processes log: JSON on stderr, one request id from webhook to provider, and no addresses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from local import valkey
from shared.core import log
from shared.ledger import ids
from tests.support.functions_client import (
    ADDRESS,
    BEARER,
    LINK,
    NOWHERE,
    ROOT,
    SECRET,
    Call,
    drive,
    environment,
    signed,
)
from tests.support.sandbox_server import sandbox
from tests.support.waiting import WITHIN
from tests.support.world import ADA

FORM = json.dumps(ADA).encode()
REQUEST = "request-0001"
BOB = "bob.private@mail.example.org"
CAROL = "carol.private@mail.example.org"
DAVE = "dave.private@example.com"  # Resend rejects this domain, and its message repeats the address


def logged(code: str, **environ: str) -> list[dict[str, Any]]:
    """The lines that a separate Python program writes to stderr, which must all be JSON; stdout must stay empty."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "", **environ},
        capture_output=True,
        text=True,
        timeout=WITHIN,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def sign_up(form: dict[str, Any] | bytes, **headers: str) -> Call:
    """A post to christmas-signup."""
    body = form if isinstance(form, bytes) else json.dumps(form).encode()
    options = {"method": "POST", "data": body.decode(), "content_type": "application/json", "headers": headers}
    return Call("christmas-signup", options)


def send(email: str, headers: dict[str, str] = BEARER) -> Call:
    """A request to send-email for a contact's first email."""
    order = {"enrollment": run(email), "step": 1}
    return Call("send-email", {"method": "POST", "json": order, "headers": headers})


def run(email: str) -> str:
    """The id of a contact's run."""
    return f"{ids.enrollment_prefix('christmas', email)}-1"


class TestForm:
    """How a line looks."""

    def test_a_line_is_an_object(self) -> None:
        """Level, UTC time, component and event; also from a logger that is older than the configuration."""
        (line,) = logged(
            "from shared.core import log; old = log.logger('old'); log.configure(); old.info('hello', count=1)"
        )
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
        assert line == {"event": "hello", "level": "info", "part": "old", "count": 1}

    def test_libraries_log_json_too(self) -> None:
        """Their warnings are shown in the same form, their chatter only at DEBUG."""
        chat = "import logging; x = logging.getLogger('urllib3'); x.debug('a'); x.warning('b %s', 'c')"
        for level, shown in (("INFO", ["b c"]), ("DEBUG", ["a", "b c"])):
            assert [
                line["event"] for line in logged(f"from shared.core import log; log.configure({level!r}); {chat}")
            ] == shown

    @pytest.mark.parametrize(
        ("level", "shown"), [("debug", 4), ("INFO", 3), ("WARNING", 2), ("error", 1), ("nonsense", 3)]
    )
    def test_levels(self, level: str, shown: int) -> None:
        """LOG_LEVEL is the lowest that is shown; an unknown one is INFO."""
        say = "x = log.logger('a'); [x.debug(''), x.info(''), x.warning(''), x.error('')]"
        assert len(logged(f"from shared.core import log; log.configure({level!r}); {say}")) == shown

    def test_the_setting_is_used(self) -> None:
        """The first use of the settings sets up the log as they say."""
        assert (
            len(
                logged(
                    "from shared import services as s; from shared.core import log; s.current_settings(); "
                    "log.logger('a').info('b')",
                    LOG_LEVEL="WARNING",
                )
            )
            == 0
        )

    def test_an_exception_is_one_line_without_an_address(self) -> None:
        """A traceback is a field of its line, and addresses in the exception are masked."""
        raising = f"try: raise ValueError('bad: {BOB}')\nexcept ValueError: log.logger('a').exception('oh')"
        (line,) = logged(f"from shared.core import log; log.configure()\n{raising}")
        assert "ValueError: bad: " in line["exception"] and BOB not in line["exception"]


class TestRequestId:
    """The id to use."""

    def test_a_harmless_one_is_kept(self) -> None:
        """8 to 64 letters, digits, hyphens and underscores."""
        for offered in ("12345678", "a_B-" * 16):
            assert log.request_id(offered) == offered

    @pytest.mark.parametrize(
        "offered", [None, "", "1234567", "a" * 65, "12345678\n", "1234 678", "ada@example.org", "١٢٣٤٥٦٧٨", "../../etc"]
    )
    def test_any_other_is_replaced(self, offered: str | None) -> None:
        """Anything else gives way to a new id that can be passed on."""
        new = log.request_id(offered)
        assert new != offered and log.request_id(new) == new


class TestAWholeRun:
    """Everything that the functions log while people sign up, get emails, fail to get them, and leave."""

    def test_the_request_id_goes_from_webhook_to_provider(self, redis: Redis, valkey_server: valkey.Valkey) -> None:
        """The caller's id is on the line of the sign-up and of the email, and a tag of what the provider got."""
        with sandbox() as box:
            calls = [
                sign_up(ADA, **{"X-Request-Id": REQUEST}),
                send(ADDRESS, headers=BEARER | {"X-Request-Id": "another-id"}),
            ]
            answers, lines = drive(calls, environment(valkey_server, RESEND_API_URL=f"{box.url}/resend"))
            assert [status for status, _ in answers] == [202, 200]
            (email,) = box.outbox()
        assert {"name": "request_id", "value": REQUEST} in email["tags"]
        events = {line["event"]: line["request_id"] for line in map(json.loads, lines)}
        assert events["signed_up"] == events["email.sent"] == REQUEST

    def test_no_line_carries_an_address(self, redis: Redis, valkey_server: valkey.Valkey, tmp_path: Path) -> None:
        """Accepted, refused, limited, sent, failed, unsubscribed, crashed: each leaves a line, and none names a person
        or a secret."""
        crash = tmp_path / "main.py"
        crash.write_text(
            "from shared.web import endpoint\n\n@endpoint.function('crash')\ndef handle(request):\n    raise "
            f"RuntimeError('no {BOB}')\n"
        )
        bob = ADA | {"email": BOB, "first_name": "Roberta", "email_1_status": "sent"}
        with sandbox() as box:
            box.fault("status", status=500)
            calls = [
                sign_up(ADA),
                sign_up(ADA | {"email_1_sent_at": "2099-01-01"}),
                sign_up(ADA | {"email": CAROL}),
                sign_up(ADA | {"email": DAVE}),
                sign_up(bob),
                sign_up(bob, **{"Idempotency-Key": BOB, "X-Request-Id": BOB}),
                sign_up({"email": f"{BOB} "} | {"red_systems": 99}),
                sign_up({"email": f"x{BOB}@", "first_name": "Roberta"}),
                sign_up(b'{"email": "' + BOB.encode()),
                Call("christmas-signup", {"method": "PUT", "query_string": {"email": BOB}}),
                send(ADDRESS),
                send(ADDRESS),
                send(BOB),
                send(CAROL),
                send(DAVE),
                send(ADDRESS, headers={"Authorization": f"Bearer {BOB}"}),
                Call("unsubscribe", {"method": "POST", "query_string": {"token": BOB}}),
                Call("unsubscribe", {"method": "POST", "query_string": LINK.partition("?")[2]}),
                Call("health", {}),
                Call(str(crash), {"method": "POST", "data": BOB}),
            ]
            settings = environment(valkey_server, RESEND_API_URL=f"{box.url}/resend", LOG_LEVEL="INFO")
            answers, lines = drive(calls, settings)
            limited, more = drive([sign_up(bob)] * 2, settings | {"WEBHOOK_RATE_PER_IP": "1/hour"})
        answers, lines = answers + limited, lines + more
        statuses = [status for status, _ in answers]
        assert statuses == [*[202] * 6, 422, 422, 400, 405, *[200] * 5, 401, 401, 200, 503, 500, 202, 429]
        events = [json.loads(line)["event"] for line in lines]
        assert {"signed_up", "anchor.replaced", "proof.failed", "rate.limited", "function.crashed"} <= set(events)
        assert {"email.sent", "email.not_sent", "email.trouble"} <= set(events)
        assert all("request_id" in json.loads(line) for line in lines)
        private = [ADDRESS, ".private", "@", "Roberta", "Ada", *environment(valkey_server).values()]
        assert not [(line, word) for line in lines for word in private if word not in ("", "0") and word in line]

    def test_a_failed_proof_is_logged(self, redis: Redis, valkey_server: valkey.Valkey) -> None:
        """Each refused signature and token leaves a warning that says which proof it was."""
        bad = sign_up(FORM, **signed(FORM + b" "))
        good = sign_up(FORM, **signed(FORM))
        answers, lines = drive(
            [bad, good, send(ADDRESS, headers={})], environment(valkey_server, WEBSITE_WEBHOOK_SECRET=SECRET)
        )
        assert [status for status, _ in answers] == [401, 202, 401]
        failed = [line for line in map(json.loads, lines) if line["event"] == "proof.failed"]
        assert [(line["level"], line["proof"]) for line in failed] == [
            ("warning", "signature"),
            ("warning", "bearer token"),
        ]

    def test_an_address_in_a_providers_message_is_masked(self, redis: Redis, valkey_server: valkey.Valkey) -> None:
        """The provider's message about a wrong address is logged and stored without the address."""
        with sandbox() as box:
            calls = [sign_up(ADA | {"email": DAVE}), send(DAVE)]
            answers, lines = drive(calls, environment(valkey_server, RESEND_API_URL=f"{box.url}/resend"))
        assert json.loads(answers[1][1])["result"] == "failed"
        (reason,) = [line["why"] for line in map(json.loads, lines) if line["event"] == "email.trouble"]
        kept = str(redis.hget(ids.enrollment_key(run(DAVE)), "1.why"))
        assert reason == kept and reason.startswith("Resend answered 422 ") and DAVE not in reason

    def test_an_unavailable_redis_is_logged_without_its_password(self, tmp_path: Path) -> None:
        """The line names the kind of error, no address of the server and no password."""
        # no process
        away = environment(valkey.Valkey("redis://127.0.0.1:1/0", "a-password", 1, None), RESEND_API_URL=NOWHERE)  # type: ignore[arg-type]
        answers, lines = drive([sign_up(ADA)], away)
        assert answers[0][0] == 503
        assert [json.loads(line)["event"] for line in lines] == ["redis.unavailable", "answered"]
        assert "a-password" not in "".join(lines)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_full_disk_ends_nothing() -> None:
    """A line that cannot be written is lost."""
    code = (
        "from shared.core import log; log.configure(); log.logger('a').error('b'); log.logger('a').error('c'); print(1)"
    )
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-uc", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=full, timeout=WITHIN
        )
    assert (ended.returncode, ended.stdout) == (0, b"1\n")
