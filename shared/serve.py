"""The container's server: one function at `/`, or every function of stack.yml at its URL, behind gunicorn.

`python -m shared.serve` reads FUNCTION_SOURCE (such as functions/health/main.py) and FUNCTION_TARGET (such as handle);
without FUNCTION_SOURCE it serves every function. OpenFaaS probes `/_/health`; Kubernetes may probe `/_/ready` too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from shared.core import log
from shared.core import stack_file as functions
from shared.core.errors import SettingsError
from shared.core.settings import load
from shared.core.startup import or_exit
from shared.web.function_app import NoFunctionError, function_app
from shared.web.server import json_response, run

AT_THE_ROOT = ("health", "unsubscribe", "console")
CONFIRM = (
    "confirm"  # the page that confirms an address, also at the root: the function unsubscribe, at its path /confirm
)
APART = ("send-email", "health")  # with threads of their own, which no visitor's request can occupy
_logger = log.logger("serve")


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
        if words[0] == CONFIRM:
            words = ["unsubscribe", *words]
        for depth in (2, 1):
            if app := routes.get("/".join(words[:depth])):
                # Werkzeug's own mounting leaves PATH_INFO empty; Flask then redirects, which loses a POST.
                environ["PATH_INFO"] = "/" + "/".join(words[depth:])
                environ["SCRIPT_NAME"] = ""
                return app(environ, start_response)
        return json_response(HTTPStatus.NOT_FOUND, {"status": "error", "message": "There is nothing here."})(
            environ, start_response
        )

    return dispatch


def group(path: str) -> str:
    """Which threads answer a path where one process serves every function: "" are those that most functions share.

    Args:
        path: as it was sent.
    """
    first, _, rest = path.removeprefix("/").partition("/")
    name = rest.partition("/")[0] if first in ("function", "webhook") else first
    return name if name in APART else ""


def _apps(listed: list[functions.Function]) -> dict[str, WSGIApplication]:
    """The functions by name.

    A function that lacks a setting answers 503 and logs why, so that the others run; unless all lack one."""
    apps: dict[str, WSGIApplication] = {}
    lacking: dict[str, SettingsError] = {}
    for function in listed:
        try:
            apps[function.name] = function_app(function.source, function.target)
        except NoFunctionError:
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
    response = json_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        {"status": "error", "message": "This is not set up yet; the server's log says why."},
    )
    response.headers["Retry-After"] = "60"
    return response(environ, start_response)


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
    run(app, settings, apart=(lambda path: "") if source else group)


if __name__ == "__main__":
    main()
