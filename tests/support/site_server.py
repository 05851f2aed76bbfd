"""The demo site for a test, with a stand-in for the webhooks that keeps what it is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, Request, Response, jsonify, request
from werkzeug.serving import make_server

from local import gateway, site, stack
from shared.core.settings import Settings
from shared.web import challenge

CALCOM_SECRET = "calcom-7e4a1c9d5b"
OPERATOR_TOKEN = "operator-5c2e9a7f1b"


@dataclass
class Received:
    """What a webhook was sent: its name, the raw body, the JSON in it, and the headers."""

    name: str
    data: bytes
    body: dict[str, Any]
    headers: dict[str, str]

    @classmethod
    def of(cls, name: str, request: Request) -> Received:
        """As in a request."""
        return cls(name, request.get_data(), request.get_json(), dict(request.headers))


@dataclass
class Webhooks:
    """The stand-in: it accepts everything, or answers with the status of `refuse_with`. With a key it has challenges,
    and counts who asks for one."""

    received: list[Received] = field(default_factory=list)
    refuse_with: int | None = None
    challenge_key: str = ""
    asked: int = 0

    @property
    def app(self) -> Flask:
        """It as a WSGI app."""
        app = Flask("webhooks")

        @app.get("/webhook/<name>")
        def ask(name: str) -> Response:
            self.asked += 1
            if not self.challenge_key:
                return Response(status=404)
            return jsonify(challenge.create(self.challenge_key, round(time.time() * 1000)))

        @app.post("/webhook/<name>")
        def accept(name: str) -> Response:
            self.received.append(Received.of(name, request))
            answer = jsonify(status="accepted" if self.refuse_with is None else "error", message="as the test wants it")
            answer.status_code = self.refuse_with or 202
            if self.refuse_with == 503:
                answer.headers["Retry-After"] = "5"
            return answer

        return app


def place(directory: Path) -> stack.Place:
    """Where a stack would live; nothing is started there."""
    return stack.place({"LOCAL_DIR": str(directory), "PORT": "18080", "SANDBOX_PORT": "18090", "VALKEY_PORT": "16390"})


def settings(where: stack.Place, **changes: Any) -> Settings:
    """Of a stack whose email goes to the sandbox."""
    own = {
        "resend_api_url": f"{where.sandbox_url}/resend",
        "calcom_webhook_secret": CALCOM_SECRET,
        "operator_token": OPERATOR_TOKEN,
    }
    return Settings.model_validate({**own, "testing_mode": True, "testing_step": "5s", **changes})


@contextmanager
def serving(directory: Path, challenge_key: str = "") -> Iterator[tuple[str, Webhooks]]:
    """The site and the stand-in behind one gateway on a free port, for the length of a `with` block: its URL, and the
    stand-in."""
    where, webhooks = place(directory), Webhooks(challenge_key=challenge_key)
    website = site.create(settings(where, challenge_key=challenge_key), where, webhooks.app)
    app = gateway.with_site(webhooks.app, website)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", webhooks
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
