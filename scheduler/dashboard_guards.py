"""Who may see the dashboard, and what they may ask of it: login, read-only endpoints, and well-formed addresses."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from http import HTTPStatus
from threading import Lock
from typing import Any

from flask import Response, after_this_request, request
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from scheduler import dashboard_jobs
from shared.core import log, proofs
from shared.core.settings import Settings
from shared.web import guards, known_browser

USER = "evergreen"
WRONG_PASSWORDS = 5, "5 minutes"  # of one network; of the wider ones around it, twice and four times as many
OF_KNOWN = parse(known_browser.GUESSES)
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


def require_login(settings: Settings) -> Callable[[], Response | None]:
    """Ask for user and password; after too many wrong guesses, even the right password must wait, but not in a browser
    that has shown it before: through a port-forward everyone has the same address.

    Args:
        settings: console_password is the password.

    Returns:
        A check to run before each request.
    """
    limiter = FixedWindowRateLimiter(MemoryStorage())
    browsers = known_browser.KnownBrowsers([secrets.token_bytes(32)], cookie="evergreen_dashboard_known", path="/")
    one_at_a_time = Lock()  # guesses at the same time do not get past the limit

    def check() -> Response | None:
        networks, browser = guards.visitor(request).networks, browsers.name(request)
        with one_at_a_time:
            budgets = _budgets(networks, browser if browser and limiter.test(OF_KNOWN, browser) else None)
            if not all(limiter.test(*budget) for budget in budgets):
                _logger.warning("dashboard.limited", network=guards.network(request))
                return _too_many()
            if _is_right(settings):
                if not browser:
                    _logger.info("dashboard.signed_in", network=guards.network(request))
                    after_this_request(lambda response: browsers.remember(request, response))
                return None
            if request.authorization:
                for budget in budgets:
                    limiter.hit(*budget)
                _logger.warning("dashboard.refused", network=guards.network(request), known=bool(browser))
                _logger.warning("proof.failed", proof="password")
        response = refusal(HTTPStatus.UNAUTHORIZED, f"The user is {USER}, the password is CONSOLE_PASSWORD.")
        response.headers["WWW-Authenticate"] = 'Basic realm="Evergreen", charset="UTF-8"'
        return response

    return check


def _budgets(networks: Sequence[str], browser: str | None) -> list[tuple[RateLimitItem, str]]:
    """What a wrong password counts towards: a known browser's own budget, or those of the networks."""
    if browser:
        return [(OF_KNOWN, browser)]
    most, length = WRONG_PASSWORDS
    return [(parse(f"{most << wider}/{length}"), network) for wider, network in enumerate(networks)]


def _is_right(settings: Settings) -> bool:
    given = request.authorization
    user, password = (given.username, given.password) if given and given.type == "basic" else (None, None)
    right = [proofs.is_one_of(user or "", [USER]), proofs.is_one_of(password or "", [settings.console_password])]
    return all(right)


def _too_many() -> Response:
    response = refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong passwords. Wait five minutes.")
    response.headers["Retry-After"] = "300"
    return response


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
