"""The console's Flask app: pages behind the password, a JSON API behind the operator's token, and the headers of every
response.

Neither proof gives access to the other part.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask, Response, g, render_template, request
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from shared import services
from shared.console import looks, session
from shared.console.api import api
from shared.console.campaign_pages import campaign_pages
from shared.console.decisions import decisions
from shared.console.login import door, login
from shared.console.looks import BASE
from shared.console.pages import pages
from shared.core import log
from shared.core.errors import LedgerTooNew, WebhookError
from shared.core.settings import Settings
from shared.ledger.health import read_health
from shared.ledger.redis_errors import explained, reason
from shared.web import endpoint, guards

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_TITLES = {403: "That form was not accepted", 404: "There is nothing here", 429: "Too many attempts"}
_logger = log.logger("console")


def create_app(settings: Settings) -> Flask:
    """The app.

    Args:
        settings: operator_token gives access to the API; without console_password there is only a page that says so.
    """
    keys = session.secret_keys(settings)
    app = Flask("shared.console", static_url_path="/assets")
    app.config.update(
        SECRET_KEY=keys[-1],
        SECRET_KEY_FALLBACKS=keys[:-1],
        SESSION_COOKIE_PATH=BASE,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=session.LASTS),
        WTF_CSRF_FIELD_NAME="token",
        WTF_CSRF_TIME_LIMIT=None,  # a form is valid as long as its session
        WTF_CSRF_CHECK_DEFAULT=False,  # `_admit` checks it, after the password
        WTF_CSRF_SSL_STRICT=False,  # a browser may withhold the referrer; the origin is checked
        PROPAGATE_EXCEPTIONS=True,
        EVERGREEN=settings,
    )
    app.session_interface = session.Sessions()
    session.csrf.init_app(app)
    looks.set_up(app.jinja_env)
    app.jinja_env.globals["form_token"] = session.form_token
    for part in (login, pages, campaign_pages, decisions, api):
        app.register_blueprint(part)
    app.before_request(_admit)
    app.after_request(_harden)
    app.context_processor(_common)
    app.register_error_handler(Exception, _failed)
    return app


def _is_for_programs() -> bool:
    return "Authorization" in request.headers or request.path.startswith("/api/")


def _admit() -> Any:
    """Admit requests with the right proof; others get a page that says what to do."""
    if _is_for_programs():
        _admit_program()
    elif request.endpoint == "static":
        return None
    elif (instead := _admit_person()) is not None:
        return instead
    if request.endpoint != "login.sign_in":
        services.ledger().check_version()
    return None


def _admit_program() -> None:
    guards.require_bearer(request, services.current_settings().accepted("operator_token"))
    if request.blueprint != "api":
        raise request.routing_exception or WebhookError(404, "there is nothing here")


def _admit_person() -> Response | None:
    """The page that a person gets instead of the requested one, or None if they may have it."""
    settings: Settings = services.current_settings()
    if not settings.console_password:
        text = (
            "Set CONSOLE_PASSWORD for the console function and restart it. The JSON API and the command line work "
            "without it."
        )
        return _problem(401, "The console has no password yet", text)
    if request.endpoint == "login.sign_in":
        return None
    if not session.is_signed_in():
        return door(over=request.method == "POST" or session.COOKIE in request.cookies)
    if request.method == "POST":
        session.check_form(settings)
    g.signed_in = True
    return None


def _common() -> dict[str, Any]:
    """The data of every page. Redis is used only behind the password, and not if it has just failed."""
    settings, signed_in = services.current_settings(), g.get("signed_in", False)
    health = read_health(services.ledger()) if signed_in and "failure" not in g else None
    return {
        "path": request.path,
        "now": services.ledger().now() if health else 0,
        "zone": settings.business_timezone,
        "business": settings.business_name,
        "stopped": health.gate if health else None,
        "fenced": health.fence if health else None,
        "testing": settings.testing_mode,
        "signed_in": signed_in,
    }


def _failed(error: Exception) -> Response:
    """Turn an error into a page; programs get their JSON from the function."""
    if _is_for_programs():
        raise _for_programs(error)
    g.failure = error
    match error:
        case WebhookError():
            response = _problem(error.status, _TITLES.get(error.status, "That did not work"), error.message)
            retry_after = error.retry_after
        case HTTPException():
            return _problem(404, _TITLES[404], "The address may be misspelled, or the page is gone.")
        case LedgerTooNew():
            _logger.error("ledger.too_new", why=str(error))
            text = f"The console cannot show or change anything: {error}. That release keeps sending emails."
            response, retry_after = (
                _problem(503, "The ledger is from a newer release", text),
                endpoint.REDIS_RETRY_AFTER,
            )
        case RedisError():
            _logger.error("redis.unavailable", why=explained(error))
            text = (
                f"Redis {reason(error).what}, so the console cannot show or change anything. Due emails wait until it "
                "is back; none is lost."
            )
            response, retry_after = _problem(503, "Redis is unavailable", text), endpoint.REDIS_RETRY_AFTER
        case _:
            _logger.exception("console.crashed")
            return _problem(500, "Something went wrong here", "The log of the console function has the details.")
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _for_programs(error: Exception) -> Exception:
    if isinstance(error, MethodNotAllowed):
        methods = sorted({*(error.valid_methods or ())} - {"HEAD", "OPTIONS"})
        return WebhookError(405, f"use {' or '.join(methods)}")
    return WebhookError(404, "there is nothing here") if isinstance(error, HTTPException) else error


def _problem(status: int, title: str, text: str) -> Response:
    if status in (401, 503):
        g.signed_in = False
    return Response(render_template("problem.html", title=title, text=text, status=status), status)


def _harden(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return response
