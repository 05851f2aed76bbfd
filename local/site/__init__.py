"""The demo website of the local stack: the funnel that feeds the webhooks, of a made-up firm that assesses eight
business systems."""

from __future__ import annotations

import math
from wsgiref.types import WSGIApplication

from flask import Flask, Response, render_template, request

from local import stack
from local.site import demo
from local.site.questions import QUESTIONS
from shared.core.settings import Settings

_CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
PAGES = {
    "/": "home",
    "/assessment": "assessment",
    "/christmas": "assessment",
    "/book": "book",
    "/operator": "operator",
    "/thank-you": "thanks",
}


def create(settings: Settings, where: stack.Place, webhooks: WSGIApplication) -> Flask:
    """Build the app.

    Args:
        settings: of the stack.
        where: the stack's place.
        webhooks: what answers /webhook/<name>.
    """
    app = Flask(__name__)
    app.register_blueprint(demo.blueprint(settings, where, webhooks))
    app.jinja_env.globals.update(
        sandbox_url=where.sandbox_url if demo.sandboxed(settings, where) else None,
        can_book=demo.may_prove(settings, where, "calcom_webhook_secret"),
        can_operate=demo.may_prove(settings, where, "operator_token"),
        step=math.ceil(settings.testing_step or 60) if settings.testing_mode else None,
        questions=QUESTIONS,
        challenges=bool(settings.challenge_key),
    )

    def show() -> str:
        return render_template(f"{PAGES[request.path]}.html", path=request.path)

    for path, name in PAGES.items():
        app.add_url_rule(path, f"{name}:{path}", show)
    app.register_error_handler(404, lambda error: (render_template("not_found.html", path=""), 404))
    app.after_request(_protect)
    return app


def _protect(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _CONTENT_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    return response
