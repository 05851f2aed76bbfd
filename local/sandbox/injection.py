"""Fault injection: makes a provider's app misbehave as the faults that are set say."""

from __future__ import annotations

import threading
from collections.abc import Callable

from flask import Flask, Response, g, request

from local.sandbox import connection
from local.sandbox.faults import Fault, Faults

Refuse = Callable[[Fault, Response | None], Response]
_PAGE = "<!doctype html><title>Hold on</title><h1>We are just checking your connection</h1>"


def install(
    faults: Faults,
    app: Flask,
    provider: str,
    refuse: Refuse,
    writes: Callable[[], bool],
    aside: Callable[[], bool] = lambda: False,
) -> None:
    """Make an app misbehave as set. Its views find the fault they met as `flask.g.fault`.

    Args:
        faults: the faults that are set.
        app: the provider's app.
        provider: its name.
        refuse: builds the provider's own refusal from the fault and, if the request was accepted, the withheld
            response.
        writes: whether the current request changes anything.
        aside: whether it is unrelated to emails.
    """

    @app.before_request
    def before() -> Response | None:
        g.fault = fault = faults.take(provider, writes(), aside())
        return _before(fault, refuse, faults.stopping) if fault and fault.before_accepting else None

    @app.after_request
    def after(response: Response) -> Response:
        fault: Fault | None = g.get("fault")
        if not fault or fault.before_accepting or response.status_code >= 400:
            return response
        return _after(fault, response, refuse, faults.stopping)


def _before(fault: Fault, refuse: Refuse, stopping: threading.Event) -> Response:
    """The response instead of accepting the request."""
    if fault.body == "html":
        return Response(_PAGE, fault.status, fault.headers, content_type="text/html; charset=utf-8")
    return refuse(fault, None) if fault.kind in ("status", "quota") else _drop(fault, stopping)


def _after(fault: Fault, response: Response, refuse: Refuse, stopping: threading.Event) -> Response:
    """The response to a request that was accepted."""
    match fault.kind:
        case "slow":
            connection.hold(request.environ, fault.delay_seconds, stopping)
            return response
        case "commit-then-503":
            return refuse(fault, response)
        case "quota":
            return response
    return _drop(fault, stopping)


def _drop(fault: Fault, stopping: threading.Event) -> Response:
    connection.hold(request.environ, fault.delay_seconds, stopping)
    connection.drop(request.environ)
    return Response(status=503)  # reaches no one: the connection is closed
