"""Runs a WSGI app behind gunicorn: probes, deadlines, draining on SIGTERM, and finishing what is in flight."""

from __future__ import annotations

import gc
import json
import math
import mmap
import signal
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from werkzeug import Response

from shared.core.settings import Settings
from shared.web.worker import CONNECTIONS, Worker

# seconds; longer than the worker and common proxies keep an idle connection, so that none sends into a closing one
KEEP_ALIVE = 120
PROBES = ("/_/health", "/_/ready")


def json_response(status: HTTPStatus, body: dict[str, str]) -> Response:
    """A JSON response that needs no Flask app.

    Args:
        status: the HTTP status.
        body: the content.
    """
    return Response(json.dumps(body), status, mimetype="application/json")


def with_probes(app: WSGIApplication, draining: Callable[[], bool]) -> WSGIApplication:
    """The app with `/_/health` (200 while the process lives) and `/_/ready` (503 once it is asked to stop).

    Args:
        app: handles everything else.
        draining: whether the process has been asked to stop.
    """

    def probed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/_/health":
                return json_response(HTTPStatus.OK, {"status": "alive"})(environ, start_response)
            case "/_/ready" if draining():
                return json_response(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "draining"})(environ, start_response)
            case "/_/ready":
                return json_response(HTTPStatus.OK, {"status": "ready"})(environ, start_response)
        return app(environ, start_response)

    return probed


class _PlainLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's messages through the root logger: as JSON, warnings and worse."""

    def setup(self, cfg: Any) -> None:
        self._access_log_enabled = False
        self.error_log.propagate = True


class _DrainingArbiter(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's main process, which on SIGTERM first reports "not ready" and keeps serving until requests stop."""

    def __init__(self, app: _Server) -> None:
        self.draining = app.draining
        self.drain = app.settings.drain
        super().__init__(app)

    def handle_term(self) -> None:
        if self.draining[0] or not self.drain:
            super().handle_term()
        self.draining[0] = 1
        again = threading.Timer(self.drain, self.SIG_QUEUE.put, [signal.SIGTERM])
        again.daemon = True
        again.start()


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    def __init__(
        self, app: WSGIApplication, settings: Settings, apart: Callable[[str], str], options: dict[str, Any]
    ) -> None:
        self.settings = settings
        self.options = options
        self.apart = apart
        self.draining = mmap.mmap(-1, 1)  # one byte that gunicorn's main process and its worker share
        self.app = with_probes(app, lambda: bool(self.draining[0]))
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"{self.settings.host}:{self.settings.port}",
            "workers": 1,
            "worker_class": Worker,
            "worker_connections": CONNECTIONS,
            "threads": self.settings.threads,
            "keepalive": KEEP_ALIVE,
            "graceful_timeout": math.ceil(self.settings.http_timeout),  # as long as any caller waits for a response
            "logger_class": _PlainLogger,
            "control_socket_disable": True,
            "sendfile": False,  # it would make a thread wait for its caller
            **self.options,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        return self.app

    def group(self, path: str) -> str:
        """The threads that answer a path; the worker reads this."""
        return "probes" if path in PROBES else self.apart(path)

    def run(self) -> None:
        _DrainingArbiter(self).run()


def run(
    app: WSGIApplication, settings: Settings, *, apart: Callable[[str], str] = lambda path: "", **options: Any
) -> None:
    """Serve until SIGTERM; then drain, finish requests in flight and exit with status 0.

    Args:
        app: handles the requests.
        settings: host, port, threads, drain, provider_timeout and webhook_body_limit are read.
        apart: names the group of threads that answers a path; "" is the one for most. Groups never wait for each other.
        options: gunicorn's settings, overriding those above.
    """
    # exempt loaded modules from GC scans: these would hold up requests for 80 ms, and unshare memory after the
    # fork
    gc.freeze()
    _Server(app, settings, apart, options).run()
