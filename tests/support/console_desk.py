"""The console for a test: its own app at /console, as a gateway mounts it, signed in, with people in the ledger."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import pytest
from redis import Redis
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client, TestResponse

from local import valkey
from shared import serve, services
from shared.console import session
from shared.console.app import create_app
from shared.domain.forms import SignUp
from shared.intake import enrolling
from shared.intake.context import Intake
from shared.ledger import ids
from shared.ledger.client import Ledger
from tests.support.functions_client import ROOT, deployed

PASSWORD = "correct horse battery staple"
TOKEN = "operator-5c2e9a7f1b"
ADA: dict[str, Any] = {
    "email": "ada@example.org",
    "name": "Ada Lovelace",
    "timezone": "America/Vancouver",
    "assessment_score": 45,
    "red_systems": 2,
}
RUN = f"{ids.enrollment_prefix('christmas', 'ada@example.org')}-1"


@contextmanager
def console(server: valkey.Valkey, directory: Path, **settings: str) -> Iterator[WSGIApplication]:
    """The console's app, behind the dispatch that serves every function, until the block ends.

    Args:
        server: the Valkey that it uses.
        directory: for its own stack file.
        settings: what differs from those of all functions.
    """
    stack = directory / "console.yml"
    source = ROOT / "functions/console/main.py"
    annotations = '{evergreen/public: "true"}'
    stack.write_text(
        f"functions:\n  console:\n    annotations: {annotations}\n    environment: {{FUNCTION_SOURCE: {source}, "
        "FUNCTION_TARGET: handle}\n"
    )
    own = {"OPERATOR_TOKEN": TOKEN, "CONSOLE_PASSWORD": PASSWORD, "BUSINESS_TIMEZONE": "America/Toronto"} | settings
    with pytest.MonkeyPatch.context() as patch, deployed(server, patch, **own):
        yield serve.every_function(stack)


@dataclass
class Desk:
    """A person with a browser that has no screen.

    Attributes:
        app: the console's.
        host: where the browser believes to be.
        address: where its requests come from.
    """

    app: WSGIApplication
    host: str = "127.0.0.1:8080"
    address: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self.client = Client(self.app)

    @property
    def _from(self) -> dict[str, Any]:
        return {"base_url": f"http://{self.host}", "environ_overrides": {"REMOTE_ADDR": self.address}}

    @property
    def ledger(self) -> Ledger:
        """The console's."""
        return services.ledger()

    def get(self, path: str = "", **options: Any) -> TestResponse:
        """Open a page, by its address below /console."""
        return self.client.get(f"/console{path}", **self._from | options)

    def token(self, path: str = "") -> str:
        """What the forms of a page carry."""
        found = re.search(r'name="token" value="([^"]+)"', self.get(path).text)
        assert found, path
        return found[1]

    def post(
        self, path: str, form: dict[str, str] | None = None, *, token: str | None = None, **options: Any
    ) -> TestResponse:
        """Send a form of a page, with its token unless there is another one."""
        proof = self.token("") if token is None else token
        return self.client.post(f"/console{path}", data={"token": proof} | (form or {}), **self._from | options)

    def cookie(self, name: str = "evergreen_console") -> str | None:
        """The session's, or another, as the browser keeps it."""
        found = self.client.get_cookie(name, self.host.partition(":")[0], "/console")
        return found.value if found else None

    def get_with(self, cookie: str, path: str = "") -> TestResponse:
        """Open a page as a browser that has just this cookie."""
        headers = {"Cookie": f"evergreen_console={cookie}"}
        return Client(self.app, use_cookies=False).get(f"/console{path}", headers=headers, **self._from)

    def sign_in(self, password: str = PASSWORD) -> TestResponse:
        """Show the password."""
        return self.post("/login", {"password": password, "back": "/"})

    def said(self, path: str, form: dict[str, str] | None = None) -> str:
        """What the page after a form says."""
        answer = self.post(path, form)
        assert answer.status_code == 303, answer.text
        page = self.get(answer.headers["Location"].removeprefix("/console"))
        found = re.search(r'role="(?:status|alert)">([^<]*)<', page.text)
        assert found, page.text
        return found[1]


def signed_in() -> str:
    """The cookie of a browser that has just shown the password."""
    app = create_app(services.current_settings())
    serializer = session.Sessions().get_signing_serializer(app)
    assert serializer
    return str(serializer.dumps({"name": "made up", "since": int(time.time()), "_permanent": True}))


def sign_up(form: dict[str, Any] | None = None, *, trigger: str = "christmas-signup", number: int = 0) -> str:
    """Enroll a person in Christmas (Ada by default); returns the enrollment's id."""
    body = form or ADA
    ledger = services.ledger()
    intake = Intake(ledger, services.catalog(), services.current_settings(), ledger.now(), f"request-{number}")
    enrolling.sign_up(SignUp.model_validate(body), trigger=trigger, intake=intake)
    return f"{ids.enrollment_prefix('christmas', body['email'])}-1"


def set_step(redis: Redis, enrollment: str, step: int, **fields: Any) -> None:
    """Write a step's fields as if its story had been so; a step that ended badly is on RQ's failed list, too."""
    redis.hset(ids.enrollment_key(enrollment), mapping={f"{step}.{name}": str(value) for name, value in fields.items()})
    if fields.get("state") in ("failed", "in-doubt"):
        redis.zrem(ids.OPEN, ids.email_id(enrollment, step))
        redis.zadd("rq:failed:send", {f"{enrollment}-{step}-1": services.ledger().now()})


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Do not log requests."""


@contextmanager
def listening(app: WSGIApplication) -> Iterator[str]:
    """The app on a free port of this machine, for a real browser; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
