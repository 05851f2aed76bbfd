"""A send function that does what a test says, and this process as the worker that calls it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from werkzeug import Request, Response
from werkzeug.serving import make_server

from local.valkey import Valkey
from scheduler import jobs
from shared import services
from tests.conftest import Clock
from tests.support.world import World


class SendFunction:
    """It keeps what it was asked, does `meanwhile`, and answers `status`, `result` and `why`."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, object], str | None, str | None]] = []
        self.status = 200
        self.result = "sent"
        self.why = "so it is"
        self.meanwhile: Callable[[], object] = lambda: None
        self.server = make_server("127.0.0.1", 0, self)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def __call__(self, environ, start_response):  # type: ignore[no-untyped-def]  # WSGI
        request = Request(environ)
        self.asked.append(
            (request.get_json(), request.headers.get("Authorization"), request.headers.get("X-Request-Id"))
        )
        self.meanwhile()
        body = f'{{"result": "{self.result}", "until": null, "why": "{self.why}"}}'
        return Response(body, self.status, mimetype="application/json")(environ, start_response)


@contextmanager
def serving() -> Iterator[SendFunction]:
    """One that answers for the length of a `with` block."""
    function = SendFunction()
    thread = threading.Thread(target=function.server.serve_forever, daemon=True)
    thread.start()
    yield function
    function.server.shutdown()
    thread.join()


@contextmanager
def calling(function: SendFunction, server: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world on Redis's own clock, whose worker process is this one.

    Args:
        function: what the worker calls.
        server: the ledger's, which is empty.
        monkeypatch: sets the worker's environment.
    """
    monkeypatch.setenv("REDIS_URL", server.url)
    monkeypatch.setenv("REDIS_PASSWORD", server.password)
    monkeypatch.setenv("INTERNAL_TOKEN", "internal-8f3b1d6c4e")
    monkeypatch.setenv("SEND_FUNCTION_URL", function.url)
    monkeypatch.delenv("DISCORD_WEBHOOK_URL", raising=False)
    caches = (services.current_settings, services.ledger, jobs._pool, jobs._notifier)
    for cached in caches:
        cached.cache_clear()
    yield World(services.ledger(), Clock(services.ledger().now()))
    for cached in caches:
        cached.cache_clear()
