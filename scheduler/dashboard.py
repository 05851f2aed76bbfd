"""rq-dashboard for Evergreen: `python -m scheduler.dashboard`.

Shows queues, jobs, both schedules and workers. Read-only.

rq-dashboard 0.9.0 as shipped unpickles what it finds, ignores rq-scheduler's schedule, reads far more than the page it
shows, opens a connection per request, has no login, and can requeue and delete, which only the ledger may. Its pages
and its JSON stay as they are; their access to Redis is replaced here. This is the only module that imports
rq_dashboard.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import rq_dashboard.web as web  # type: ignore[import-untyped]  # shipped without types
from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider
from markupsafe import escape
from redis import Redis
from redis.exceptions import RedisError
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.serializers import JSONSerializer

from scheduler import dashboard_jobs
from scheduler.dashboard_guards import read_only, refusal, require_login
from shared import services
from shared.core.settings import Settings
from shared.core.startup import or_exit
from shared.ledger.redis_errors import reason
from shared.web import server

# Its templates are compiled in the browser ('unsafe-eval') and carry style attributes.
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'nonce-{nonce}'; style-src-attr "
    "'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "
    "'none'"
)
NOT_OFFERED = (
    "#compact-btn, #requeue-all-btn, #requeue-job-btn, #jobs th:last-child, #jobs td.actions, #rq-instances-row"
)
_ADDRESS = re.compile(r"[^\s'\"<>()]+@[^\s'\"<>()]+")


def _page(*asked: Any) -> tuple[int, list[dict[str, Any]]]:
    total, jobs = dashboard_jobs.page(*asked)
    return total, [web.serialize_job(job) for job in jobs]


# Everything replaced in it; tests/scheduler/test_dashboard_release.py shows what another release no longer has.
REPLACED = {
    "Job": dashboard_jobs.ShownJob,
    "Queue": dashboard_jobs.ShownQueue,
    "Worker": dashboard_jobs.ShownWorker,
    "ScheduledJobRegistry": dashboard_jobs.Schedules,
    "get_queue_registry_jobs_count": _page,
}
for name, own in REPLACED.items():
    setattr(web, name, own)
web.config.serializer = JSONSerializer
REWRITTEN = {
    "<script": '<script nonce="{nonce}"',
    "<%= d.": "<%- d.",
    "<%= JSON": "<%- JSON",
}  # in its pages; the last two escape


class _WithoutAddresses(DefaultJSONProvider):
    """A job's exception may quote a person's address."""

    def dumps(self, obj: Any, **options: Any) -> str:
        return super().dumps(_masked(obj), **options)


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _ADDRESS.sub("(address)", value)
    if isinstance(value, dict):
        return {key: _masked(entry) for key, entry in value.items()}
    return [_masked(entry) for entry in value] if isinstance(value, list) else value


def create_app(settings: Settings, connection: Redis) -> Flask:
    """The dashboard.

    Args:
        settings: console_password is the login; public_url links to the console.
        connection: a Redis client that does not decode.

    Raises:
        SettingsError: without a password.
    """
    settings.require("console_password")
    app = Flask("evergreen-dashboard", static_folder=str(Path(web.__file__).parent / "static"))
    app.json = _WithoutAddresses(app)
    app.config.update(RQ_DASHBOARD_REDIS_URL=("redis",), RQ_DASHBOARD_DISABLE_DELETE=True)
    app.redis_conn = connection  # type: ignore[attr-defined]  # where rq-dashboard looks for it
    app.before_request(require_login(settings))
    app.before_request(read_only)
    app.register_blueprint(web.blueprint)
    app.before_request_funcs["rq_dashboard"] = []  # replaces one that opens a connection per request
    app.after_request(_dressed(settings))
    app.register_error_handler(
        RedisError,
        lambda error: refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"Redis {reason(error).what}. Try again soon."),
    )
    for cannot_be_read in (NoSuchJobError, InvalidJobOperation):
        app.register_error_handler(
            cannot_be_read, lambda _: refusal(HTTPStatus.NOT_FOUND, "There is no such job, or it cannot be read.")
        )
    return app


def _dressed(settings: Settings) -> Callable[[Response], Response]:
    """Give each page a policy that allows only its own scripts, escape its content, and hide actions that it must not
    offer."""
    note = (
        '<div class="container"><p class="alert alert-secondary">This page is read-only. '
        f'To retry, skip or stop emails, use <a href="{escape(settings.public_url)}/console">the console</a>.</p>'
    )

    def dress(response: Response) -> Response:
        nonce = secrets.token_urlsafe(16)
        if response.mimetype == "text/html" and not response.direct_passthrough:
            page = response.get_data(as_text=True)
            for theirs, ours in REWRITTEN.items():
                page = page.replace(theirs, ours.format(nonce=nonce))
            page = page.replace(
                "</head>", f'<style nonce="{nonce}">{NOT_OFFERED} {{ display: none !important }}</style></head>', 1
            )
            page = page.replace("all the queued jobs", f"the {(request.view_args or {}).get('registry_name')} jobs", 1)
            response.set_data(page.replace('<div class="container">', note, 1))
        response.headers["Content-Security-Policy"] = POLICY.format(nonce=nonce)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return dress


def main() -> None:
    """Serve the dashboard until SIGTERM."""
    with or_exit():
        settings = services.current_settings().require("redis_url", "console_password")
    app = create_app(settings, services.connect(settings, decode=False))
    server.run(app, settings.model_copy(update={"port": settings.dashboard_port}), threads=8)


if __name__ == "__main__":
    main()
