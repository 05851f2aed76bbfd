"""Who may see the dashboard, and what they may ask of it: login, read-only endpoints, and well-formed addresses."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Response, request
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from scheduler import dashboard_jobs
from shared.core import log
from shared.core.settings import Settings
from shared.web import guards

USER = "evergreen"
WRONG_PASSWORDS = parse("5/5 minutes")  # of one IP
LONGEST_PAGE = 200
PAGES = {"queues_overview", "jobs_overview", "job_view", "workers_overview"}
DATA = {"list_queues", "list_jobs", "job_info", "list_workers"}
SHOWN = {"static", "favicon"} | PAGES | DATA
NAME, NUMBER = re.compile(r"[A-Za-z0-9_-]{0,200}"), re.compile(r"[1-9]\d{0,8}")
# What each part of an address may be; rq-dashboard fails on anything else.
PARAMETERS: dict[str, Callable[[Any], object]] = {
    "instance_number": lambda given: given == 0,
    "queue_name": NAME.fullmatch,
    "job_id": NAME.fullmatch,
    "registry_name": ("queued", *dashboard_jobs.REGISTRIES).__contains__,
    "order": ("asc", "dsc").__contains__,
    "page": lambda given: NUMBER.fullmatch(str(given)),
    "per_page": lambda given: NUMBER.fullmatch(str(given)) and int(given) <= LONGEST_PAGE,
}
_logger = log.logger("dashboard")


def refusal(status: HTTPStatus, sentence: str) -> Response:
    """A response in plain text.

    Args:
        status: the HTTP status.
        sentence: what is wrong and what to do.
    """
    return Response(sentence + "\n", status, mimetype="text/plain")


def _digest(text: str | None) -> bytes:
    return hashlib.sha256((text or "").encode()).digest()


def require_login(settings: Settings) -> Callable[[], Response | None]:
    """Ask for user and password; after too many wrong guesses, even the right password must wait.

    Args:
        settings: console_password is the password.

    Returns:
        A check to run before each request.
    """
    limiter = FixedWindowRateLimiter(MemoryStorage())

    def check() -> Response | None:
        who = guards.client_ip(request)
        if not limiter.test(WRONG_PASSWORDS, who):
            response = refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong passwords. Wait five minutes.")
            response.headers["Retry-After"] = str(WRONG_PASSWORDS.get_expiry())
            return response
        given = request.authorization
        user, password = (given.username, given.password) if given and given.type == "basic" else (None, None)
        right_user = hmac.compare_digest(_digest(user), _digest(USER))
        if hmac.compare_digest(_digest(password), _digest(settings.console_password)) and right_user:
            return None
        if given:
            limiter.hit(WRONG_PASSWORDS, who)
            _logger.warning("proof.failed", proof="password")
        response = refusal(HTTPStatus.UNAUTHORIZED, f"The user is {USER}, the password is CONSOLE_PASSWORD.")
        response.headers["WWW-Authenticate"] = 'Basic realm="Evergreen", charset="UTF-8"'
        return response

    return check


def read_only() -> Response | None:
    """Refuse what changes something, and addresses that rq-dashboard fails on."""
    if request.endpoint is None:
        return None
    if request.method not in ("GET", "HEAD") or request.endpoint.removeprefix("rq_dashboard.") not in SHOWN:
        return refusal(HTTPStatus.FORBIDDEN, "This dashboard is read-only. Manage emails in the console.")
    asked = {name: value for name, value in (request.view_args or {}).items() if value is not None}
    if not all(fits(asked[name]) for name, fits in PARAMETERS.items() if name in asked):
        return refusal(HTTPStatus.NOT_FOUND, f"There is no such page; one holds at most {LONGEST_PAGE} jobs.")
    return None
