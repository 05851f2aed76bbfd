"""The functions as they are deployed, for tests: the real app of each, its settings in the environment, on a given
Valkey.

As a program it is a driver for tests of what a process logs: it makes the requests that stdin lists and prints what was
answered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from local import valkey
from shared import services
from shared.core.settings import Settings
from shared.domain.enrollments import Contact, Enrollment
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.sending import unsubscribe_link
from tests.support.waiting import WITHIN
from tests.support.world import ADA

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_" + base64.b64encode(b"made-up secret of a shop for 41 teapots").decode()
ADDRESS = str(ADA["email"])
NOWHERE = "http://127.0.0.1:9"  # the discard port, on which nothing listens
DEFAULTS = {
    "RESEND_API_KEY": "re_sandbox",
    "RESEND_API_URL": NOWHERE,
    "RESEND_FROM_EMAIL": "Evergreen <hello@evergreen.example.org>",
    "RESEND_RATE": "1000",
    "INTERNAL_TOKEN": "internal-8f3b1d6c4e",
    "UNSUBSCRIBE_KEY": "unsubscribe-4d1f7a9c3e8b2056f1a3",
    "POSTAL_ADDRESS": "1 Main Street, Springfield",
    "BOOKING_URL": "https://cal.com/evergreen/call",
    "WEBHOOK_RATE_PER_IP": "10000/second",
    "WEBHOOK_RATE_PER_ADDRESS": "5000/hour",
    "SIGNUPS_PER_HOUR": "0",
    "SIGNUPS_PER_DAY": "0",
}
LINK = unsubscribe_link.link(ids.digest(ADDRESS), key=DEFAULTS["UNSUBSCRIBE_KEY"], public_url="")
BEARER = {"Authorization": f"Bearer {DEFAULTS['INTERNAL_TOKEN']}"}


def environment(server: valkey.Valkey, **settings: str) -> dict[str, str]:
    """The settings of a test's functions, as environment variables."""
    return DEFAULTS | {"REDIS_URL": server.url, "REDIS_PASSWORD": server.password} | settings


def fresh_services() -> None:
    """Forget the clients and settings that this process has made."""
    if services.ledger.cache_info().currsize:
        services.ledger().redis.close()
    for made_once in vars(services).values():
        if hasattr(made_once, "cache_clear"):
            made_once.cache_clear()


def load(name: str) -> FlaskClient:
    """A client of one function's app, which is made again from the environment.

    Args:
        name: the folder in functions/, or the path of a Python file.
    """
    source = Path(name) if name.endswith(".py") else ROOT / "functions" / name / "main.py"
    # shipped without types
    app = functions_framework.create_app("handle", str(source), "http")  # type: ignore[no-untyped-call]
    client: FlaskClient = app.test_client()
    return client


@dataclass
class Functions:
    """The functions on one Valkey, and what the ledger there says."""

    server: valkey.Valkey
    monkeypatch: pytest.MonkeyPatch
    _clients: dict[str, FlaskClient] = field(default_factory=dict)

    def set(self, **settings: str) -> None:
        """Deploy everything again with these settings changed."""
        for name, value in settings.items():
            self.monkeypatch.setenv(name, value)
        self._clients.clear()
        fresh_services()

    def client(self, name: str) -> FlaskClient:
        """A client of one function; see `load`."""
        if name not in self._clients:
            self._clients[name] = load(name)
        return self._clients[name]

    def sign_up(self, changes: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        """Post Ada's Christmas form.

        Args:
            changes: fields that differ; None leaves one out.
            options: of the request, such as headers.
        """
        form = {name: value for name, value in (ADA | (changes or {})).items() if value is not None}
        return self.client("christmas-signup").post("/", json=form, **options)

    def post(
        self, body: bytes, name: str = "christmas-signup", content_type: str = "application/json", **options: Any
    ) -> TestResponse:
        """Post bytes."""
        return self.client(name).post("/", data=body, content_type=content_type, **options)

    def post_chunked(self, body: bytes, **options: Any) -> TestResponse:
        """Post bytes to christmas-signup without a length, as a gateway does that sends chunks."""
        environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        client = self.client("christmas-signup")
        return client.post(
            "/", input_stream=BytesIO(body), content_type="application/json", environ_overrides=environ, **options
        )

    def send(self, enrollment: str, step: int, **options: Any) -> TestResponse:
        """Ask send-email for one step, with the internal token unless there are other headers."""
        order = {"enrollment": enrollment, "step": step}
        return self.client("send-email").post("/", json=order, **{"headers": BEARER} | options)

    @property
    def ledger(self) -> Ledger:
        """The ledger that the functions use."""
        return services.ledger()

    def run(self, email: str = ADDRESS, number: int = 1) -> Enrollment | None:
        """A contact's run through the Christmas campaign."""
        return self.ledger.enrollment(f"{ids.enrollment_prefix('christmas', email)}-{number}")

    def contact(self, email: str = ADDRESS) -> Contact | None:
        """What is known about a contact."""
        return self.ledger.contact(ids.digest(email))


@contextmanager
def deployed(server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Iterator[Functions]:
    """The functions with the settings of `DEFAULTS` and no others, until the block ends.

    Args:
        server: the Valkey that they use.
        monkeypatch: gives the environment back.
        settings: what differs from the defaults.
    """
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
    for name in ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE"):  # which functions_framework leaves behind
        monkeypatch.setenv(name, "")
    functions = Functions(server, monkeypatch)
    functions.set(**environment(server, **settings))
    try:
        yield functions
    finally:
        fresh_services()


def signed(body: bytes, *, secret: str = SECRET, at: float | None = None, message: str = "msg_1") -> dict[str, str]:
    """The headers of a Standard Webhooks signature, computed manually (https://www.standardwebhooks.com, "Signature
    scheme").

    Args:
        body: what is signed.
        secret: with its prefix.
        at: seconds since 1970; now by default.
        message: the message's id.
    """
    timestamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256)).decode()
    return {"webhook-id": message, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}


@dataclass(frozen=True)
class Call:
    """One request to one function, for `drive`.

    Attributes:
        function: see `load`.
        options: of werkzeug's test client: method, json, data, headers, query_string.
    """

    function: str
    options: dict[str, Any]


def drive(calls: list[Call], environ: dict[str, str]) -> tuple[list[tuple[int, str]], list[str]]:
    """Make requests in a process of their own.

    Args:
        calls: the requests, in order.
        environ: the process's settings.

    Returns:
        Status and body of each answer, and the lines that the process wrote to stderr.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.functions_client"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields} | environ,
        input=json.dumps([[call.function, call.options] for call in calls]),
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1, f"a log belongs on stderr, and stdout has {lines[:-1]}"
    return json.loads(lines[0]), done.stderr.splitlines()


def _main() -> None:
    answers = []
    clients: dict[str, FlaskClient] = {}
    for name, options in json.load(sys.stdin):
        clients[name] = clients.get(name) or load(name)
        response = clients[name].open("/", **options)
        answers.append((response.status_code, response.text))
    print(json.dumps(answers))


if __name__ == "__main__":
    _main()
