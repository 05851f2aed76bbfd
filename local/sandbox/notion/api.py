"""The WSGI app of the stand-in, to be mounted at `/notion/v1`.

A request is counted against the rate limit first, then meets a fault if one is set, then is authenticated, and runs as
one transaction.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from local.sandbox import injection
from local.sandbox.limits import Limiter
from local.sandbox.notion.answers import answer, rate_limited, refuse, refuse_by_fault, refuse_http
from local.sandbox.notion.records import Records
from local.sandbox.notion.routes import Routes
from local.sandbox.notion.wording import invalid
from local.sandbox.refusal import Refusal
from local.sandbox.state import State

VERSION = "2025-09-03"
VERSIONS = ("2021-05-11", "2021-05-13", "2021-08-16", "2022-02-22", "2022-06-28", VERSION, "2026-03-11")
_READS = ("/query", "/search")


def create(state: State) -> Flask:
    """Build the app.

    Args:
        state: the sandbox's parts.
    """
    app = Flask("local.sandbox.notion", static_folder=None)
    app.before_request(lambda: _admit(state.notion_limiter))
    injection.install(state.faults, app, "notion", refuse_by_fault, _writes)
    app.before_request(_authenticate)
    app.register_error_handler(Refusal, refuse)
    app.register_error_handler(HTTPException, refuse_http)
    routes = Routes(state.notion, state.limits)
    for rule, method, view in routes.table():
        app.add_url_rule(rule, f"{method} {rule}", _in_transaction(state.notion, view), methods=[method])
    return app


def _in_transaction(records: Records, view: Callable[..., dict[str, Any]]) -> Callable[..., Response]:
    def run(**arguments: str) -> Response:
        with records.transaction():
            return answer(view(**arguments))

    return run


def _admit(limiter: Limiter) -> Response | None:
    admission = limiter.admit(time.monotonic())
    return None if admission.accepted else refuse(rate_limited(str(admission.reset)))


def _writes() -> bool:
    return request.method in ("POST", "PATCH", "DELETE") and not request.path.endswith(_READS)


def _authenticate() -> None:
    if request.routing_exception:
        return  # an unknown path is refused as such, with or without authentication
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(("ntn_", "secret_")) or token.startswith("ntn_invalid"):
        raise Refusal(401, "unauthorized", "API token is invalid.")
    _check_version(request.headers.get("Notion-Version"))


def _check_version(version: str | None) -> None:
    header = "Notion-Version header failed validation: Notion-Version header should be"
    if version is None:
        raise Refusal(400, "missing_version", f"{header} defined, instead was `undefined`.")
    if version not in VERSIONS:
        known = ", ".join(f'`"{one}"`' for one in VERSIONS[:-1])
        raise invalid(f'{header} {known}, or `"{VERSIONS[-1]}"`, instead was `{json.dumps(version)}`.')
    if version != VERSION:
        raise invalid(f'{header} `"{VERSION}"`, the only one that this sandbox speaks, instead was `"{version}"`.')
