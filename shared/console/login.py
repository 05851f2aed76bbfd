"""The console's login page, and logging out."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request
from flask import session as browser
from werkzeug.wrappers import Response as Redirect

from shared import services
from shared.console import session
from shared.console.looks import BASE, span
from shared.core.errors import WebhookError

login = Blueprint("login", __name__)
_LIMITED = "Too many attempts. Try again in {}. A browser that has signed in here before does not have to wait."


def door(*, over: bool = False, problem: str = "", status: int = 401, back: str = "/") -> Response:
    """The login page, at the requested address; signing in leads there.

    Args:
        over: whether a session has ended, or a form was sent without one.
        problem: why signing in failed.
        status: the HTTP status.
        back: where signing in leads, after a form.
    """
    browser.permanent = True
    back = request.full_path.rstrip("?") if request.method != "POST" else back
    return Response(render_template("login.html", title="Sign in", back=back, over=over, problem=problem), status)


@login.post("/login")
def sign_in() -> Response | Redirect:
    """Take the password; raises LedgerTooNew, RedisError."""
    settings = services.current_settings()
    if "token" not in browser:
        hint = "Open the console over https (or on this machine at 127.0.0.1), and allow its cookies."
        return door(problem=f"Your browser did not send the console's cookie. {hint}", status=400)
    try:
        session.check_form(settings)
        session.sign_in(request.form.get("password", ""), settings)
    except WebhookError as error:
        text = _LIMITED.format(span(error.retry_after)) if error.retry_after else error.message
        response = door(problem=text, status=error.status, back=request.form.get("back", "/"))
        if error.retry_after:
            response.headers["Retry-After"] = str(error.retry_after)
        return response
    signed_in = redirect(within(request.form.get("back", "/")), 303)
    session.remember_browser(signed_in, settings)
    return signed_in


@login.get("/login")
def signed_in() -> Redirect:
    """Redirect a user who is already signed in."""
    return redirect(BASE, 303)


@login.post("/logout")
def sign_out() -> Redirect:
    """End the session."""
    session.sign_out()
    return redirect(BASE, 303)


def within(back: str) -> str:
    """An address within this console, from a form's value."""
    parts = urlsplit(back)
    fits = back.startswith("/") and not back.startswith("//") and "\\" not in back and not parts.netloc
    return f"{BASE}{back}" if fits and back != "/" else BASE
