"""The container's server: one function at `/`, or every function of stack.yml at its URL, behind gunicorn.

`python -m shared.serve` reads FUNCTION_SOURCE (such as functions/health/main.py) and FUNCTION_TARGET (such as handle);
without FUNCTION_SOURCE it serves every function. OpenFaaS probes `/_/health`; Kubernetes may probe `/_/ready` too.
"""

from __future__ import annotations

import gc
import json
import math
import mmap
import os
import signal
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import flask
import functions_framework
from functions_framework.exceptions import InvalidTargetTypeException, MissingTargetException
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from werkzeug import Response
from werkzeug.exceptions import HTTPException

from shared.core import log
from shared.core import stack_file as functions
from shared.core.errors import SettingsError
from shared.core.settings import Settings, load
from shared.core.startup import or_exit

AT_THE_ROOT = ("health", "unsubscribe", "console")
READ_ON = 1 << 20  # bytes
# seconds; longer than the worker and common proxies keep an idle connection, so that none sends into a closing one
KEEP_ALIVE = 120
# What functions_framework writes into the environment for the next call of create_app.
_LEFT_BEHIND = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE")
_logger = log.logger("serve")


class _NoFunctionError(SettingsError):
    """The code that stack.yml or FUNCTION_SOURCE names does not exist."""


def function_app(source: Path, target: str) -> WSGIApplication:
    """One function, answering on every path.

    Args:
        source: the Python file.
        target: the name of the function in it, which takes a flask.Request.

    Raises:
        SettingsError: if the file or function does not exist, or lacks a setting.
    """
    if not source.is_file():
        raise _NoFunctionError(
            f"there is no function at {source}. Correct FUNCTION_SOURCE: it names a file such as "
            "functions/health/main.py."
        )
    before = {name: os.environ.get(name) for name in _LEFT_BEHIND}
    try:
        # shipped without types
        app = functions_framework.create_app(target, str(source), "http")  # type: ignore[no-untyped-call]
    except (MissingTargetException, InvalidTargetTypeException) as error:
        raise _NoFunctionError(f"{error}. Correct FUNCTION_TARGET.") from None
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    app.after_request_funcs[None] = [_read_on]  # replaces one that reads everything a caller sends into memory
    app.register_error_handler(HTTPException, _error_as_json)
    app.register_error_handler(500, _error_as_json)  # replaces one that returns the exception's text
    wsgi: WSGIApplication = app
    return wsgi


def _read_on(response: flask.Response) -> flask.Response:
    """Read the rest of the body, up to a limit: a caller that cannot send it all does not see the response."""
    for _ in range(READ_ON // 65536):
        if not flask.request.stream.read(65536):
            break
    return response


def _error_as_json(error: HTTPException) -> Any:
    response = error.get_response()
    response.data = json.dumps({"status": "error", "message": error.description})
    response.content_type = "application/json"
    return response


def every_function(stack_file: Path = functions.STACK_FILE) -> WSGIApplication:
    """Every function of stack.yml at /function/<name>; public ones also at /webhook/<name> and at their own root path.

    Args:
        stack_file: see `shared.core.stack_file.listed`.

    Raises:
        SettingsError: if stack.yml or a function it lists is missing, or if every function lacks a setting.
    """
    listed = functions.listed(stack_file)
    apps = _apps(listed)
    routes: dict[str, WSGIApplication] = {}
    for function in listed:
        app = routes[f"function/{function.name}"] = apps[function.name]
        if function.public:
            routes[f"webhook/{function.name}"] = app
        if function.public and function.name in AT_THE_ROOT:
            routes[function.name] = app

    def dispatch(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        words = environ["PATH_INFO"].removeprefix("/").split("/")
        for depth in (2, 1):
            if app := routes.get("/".join(words[:depth])):
                # Werkzeug's own mounting leaves PATH_INFO empty; Flask then redirects, which loses a POST.
                environ["PATH_INFO"] = "/" + "/".join(words[depth:])
                environ["SCRIPT_NAME"] = ""
                return app(environ, start_response)
        return _answer(HTTPStatus.NOT_FOUND, {"status": "error", "message": "There is nothing here."})(
            environ, start_response
        )

    return dispatch


def _apps(listed: list[functions.Function]) -> dict[str, WSGIApplication]:
    """The functions by name.

    A function that lacks a setting answers 503 and logs why, so that the others run; unless all lack one."""
    apps: dict[str, WSGIApplication] = {}
    lacking: dict[str, SettingsError] = {}
    for function in listed:
        try:
            apps[function.name] = function_app(function.source, function.target)
        except _NoFunctionError:
            raise
        except SettingsError as error:
            lacking[function.name] = error
            apps[function.name] = _not_set_up
    if lacking and len(lacking) == len(listed):
        raise next(iter(lacking.values()))
    for name, reason in lacking.items():
        _logger.warning(f"{name} answers 503 until it is set up and this process is restarted. {reason}")
    return apps


def _not_set_up(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    response = _answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        {"status": "error", "message": "This is not set up yet; the server's log says why."},
    )
    response.headers["Retry-After"] = "60"
    return response(environ, start_response)


def with_probes(app: WSGIApplication, draining: Callable[[], bool]) -> WSGIApplication:
    """The app with `/_/health` (200 while the process lives) and `/_/ready` (503 once it is asked to stop).

    Args:
        app: handles everything else.
        draining: whether the process has been asked to stop.
    """

    def probed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/_/health":
                return _answer(HTTPStatus.OK, {"status": "alive"})(environ, start_response)
            case "/_/ready" if draining():
                return _answer(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "draining"})(environ, start_response)
            case "/_/ready":
                return _answer(HTTPStatus.OK, {"status": "ready"})(environ, start_response)
        return app(environ, start_response)

    return probed


def _answer(status: HTTPStatus, body: dict[str, str]) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")


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
    def __init__(self, app: WSGIApplication, settings: Settings, options: dict[str, Any]) -> None:
        self.settings = settings
        self.options = options
        self.draining = mmap.mmap(-1, 1)  # one byte that gunicorn's main process and its worker share
        self.app = with_probes(app, lambda: bool(self.draining[0]))
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"{self.settings.host}:{self.settings.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": self.settings.threads,
            "keepalive": KEEP_ALIVE,
            "graceful_timeout": math.ceil(self.settings.http_timeout),  # as long as any caller waits for a response
            "logger_class": _PlainLogger,
            "control_socket_disable": True,
            **self.options,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        return self.app

    def run(self) -> None:
        _DrainingArbiter(self).run()


def run(app: WSGIApplication, settings: Settings, **options: Any) -> None:
    """Serve until SIGTERM; then drain, finish requests in flight and exit with status 0.

    Args:
        app: handles the requests.
        settings: host, port, threads, drain and provider_timeout are read.
        options: gunicorn's settings, overriding those above.
    """
    # exempt loaded modules from GC scans: these would hold up requests for 80 ms, and unshare memory after the
    # fork
    gc.freeze()
    _Server(app, settings, options).run()


def main() -> None:
    """Serve what the environment names."""
    with or_exit():
        settings = load()
        log.configure(settings.log_level)
        source = os.environ.get("FUNCTION_SOURCE")
        app = (
            function_app(functions.ROOT / source, os.environ.get("FUNCTION_TARGET", "handle"))
            if source
            else every_function()
        )
    run(app, settings)


if __name__ == "__main__":
    main()
