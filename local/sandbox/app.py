"""The sandbox as one WSGI app: a provider at each mount, the sandbox's own JSON and pages at the root."""

from __future__ import annotations

from flask import Flask, Response, abort, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from local.sandbox import control
from local.sandbox.discord.api import DiscordApp
from local.sandbox.notion import api, export, person
from local.sandbox.pages import discord as discord_page
from local.sandbox.pages import faults, outbox
from local.sandbox.resend.api import ResendApp
from local.sandbox.state import State

_CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def create(state: State) -> DispatcherMiddleware:
    """Build the app.

    Args:
        state: the sandbox's parts.
    """
    root = Flask("local.sandbox")
    root.register_blueprint(control.blueprint(state))
    root.register_blueprint(outbox.blueprint(state))
    root.register_blueprint(faults.blueprint(state))
    root.register_blueprint(export.blueprint(state.notion))
    root.register_blueprint(person.blueprint(state.notion))
    root.register_blueprint(discord_page.blueprint(state.discord))
    root.before_request(_refuse_other_sites)
    root.after_request(_protect)
    resend = ResendApp(state.store, state.resend_limiter, state.faults, state.events)
    discord = DiscordApp(state.discord, state.faults)
    return DispatcherMiddleware(root, {"/resend": resend.app, "/notion/v1": api.create(state), "/discord": discord.app})


def _refuse_other_sites() -> None:
    """A page from another site in the same browser must not be able to empty the outbox or set faults."""
    if request.method not in ("GET", "HEAD") and request.headers.get("Sec-Fetch-Site", "none") not in (
        "none",
        "same-origin",
    ):
        abort(403)


def _protect(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", _CONTENT_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    return response
