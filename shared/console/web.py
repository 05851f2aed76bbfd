"""The console over HTTP: the session, the form's proof, the page or the decision, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Request, Response
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from shared import services
from shared.console import login, looks
from shared.console.decisions import Decisions, Done
from shared.console.login import Login, Session
from shared.console.looks import BASE, STATIC, Shown
from shared.console.views import Views
from shared.core import log
from shared.core.errors import ActionError, LedgerTooNew, RenderingError, SendError, WebhookError
from shared.core.settings import Settings
from shared.ledger import sessions
from shared.ledger.health import read_health
from shared.web import endpoint

SESSION = "evergreen_console"
VISITOR = "evergreen_visitor"  # before the password is shown; of its own, so that it never takes a session's place
SAID = "evergreen_said"
LONGEST_SAID = 1000  # a cookie holds four thousand bytes
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# A mail's styles are in its elements; it is shown in a frame of ours, without scripts, forms or an origin.
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; base-uri 'none'; frame-ancestors 'self'; sandbox"
_STEP = "/enrollments/<enrollment>/steps/<int:step>/<any('send-now', skip, retry, 'retry-anew', 'retry-batch'):decision>"
_RUN = "/enrollments/<enrollment>/<any(pause, resume, 'catch-up', cancel):decision>"
ROUTES = Map(
    [
        *(Rule(f"/{name}", endpoint=name, methods=["GET"]) for name in ("enrollments", "campaigns", "failures", "suppressions", "health")),
        Rule("/", endpoint="overview", methods=["GET"]),
        Rule("/enrollments/<enrollment>", endpoint="enrollment", methods=["GET"]),
        Rule("/campaigns/<slug>", endpoint="campaign", methods=["GET"]),
        Rule("/campaigns/<slug>/<template>", endpoint="email", methods=["GET"]),
        Rule("/campaigns/<slug>/<template>/mail", endpoint="mail", methods=["GET"]),
        Rule("/campaigns/<slug>/<template>/test", endpoint="test", methods=["POST"]),
        *(Rule(path, endpoint=way, methods=[method]) for path in (_RUN, _STEP) for method, way in (("GET", "ask"), ("POST", "decide"))),
        Rule("/sending/stop", endpoint="ask_stop", methods=["GET"]),
        Rule("/sending/<any(stop, start):decision>", endpoint="gate", methods=["POST"]),
        Rule("/suppressions/<any(add, lift):decision>", endpoint="suppress", methods=["POST"]),
        Rule("/logout", endpoint="logout", methods=["POST"]),
    ],
    strict_slashes=False,
)
_logger = log.logger("console")
Form = dict[str, str]


class Console:
    """The pages.

    Args:
        settings: without console_password there is only a page that says so.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._door = Login(settings)
        self._views = Views(settings)
        self._decisions = Decisions(settings, self._views)

    def answer(self, request: Request) -> Response:
        """Answer any request of a browser; whatever goes wrong becomes a page."""
        session = self._door.read(request.cookies.get(SESSION, ""))
        try:
            response = self._respond(request, session)
        except WebhookError as error:
            title = {401: "Not signed in", 403: "That form was not taken", 404: "There is nothing here", 429: "Too many attempts"}
            response = self._problem(session, error.status, title.get(error.status, "That did not work"), error.message)
            if error.retry_after:
                response.headers["Retry-After"] = str(error.retry_after)
        except LedgerTooNew as error:
            _logger.error("ledger.too_new", why=str(error))
            text = f"Nothing can be shown or decided here: {error}. Emails go out as that release sends them."
            response = self._problem(session, 503, "The ledger is of a newer release", text)
            response.headers["Retry-After"] = str(endpoint.REDIS_RETRY_AFTER)
        except RedisError as error:
            _logger.error("redis.unavailable", error=type(error).__name__)
            text = "Redis does not answer, so nothing can be shown or decided. Emails that are due wait until it is back; none is lost."
            response = self._problem(session, 503, "Redis is away", text)
            response.headers["Retry-After"] = str(endpoint.REDIS_RETRY_AFTER)
        except Exception:  # the last door: a page instead of a line of JSON; what happened is in the log
            _logger.exception("console.crashed")
            response = self._problem(session, 500, "Something went wrong here", "It is in the log of the console function.")
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response

    def _respond(self, request: Request, session: Session | None) -> Response:
        if request.method != "POST" and (file := request.path.removeprefix("/assets/")) in STATIC:
            return Response((looks.FOLDER / "static" / file).read_bytes(), mimetype=STATIC[file])
        if not self._settings.console_password:
            text = "Set CONSOLE_PASSWORD for the console function and start it again. The JSON API and the command line work without it."
            return self._problem(None, 401, "The console has no password yet", text)
        form = _form(request) if request.method == "POST" else {}
        if request.path == "/login" and request.method == "POST":
            return self._sign_in(request, form)
        if session is None or not session.signed_in or sessions.has_ended(services.ledger(), session.name):
            return self._login_page(request, over=request.method == "POST" or SESSION in request.cookies)
        if request.path == "/login":
            return _to(BASE)
        if request.method == "POST":
            self._door.check_form(request, session, form.get("token", ""))
        name, values = _matched(request)
        services.ledger().check_version()
        return self._routed(request, session, name, values, form)

    def _routed(self, request: Request, session: Session, name: str, values: dict[str, Any], form: Form) -> Response:
        if name == "logout":
            return self._sign_out(session)
        if name == "mail":
            return self._mail(request, **values)
        if request.method != "POST":
            view: Callable[..., Shown] = getattr(self._decisions if name.startswith("ask") else self._views, name)
            return self._page(request, session, view(request, **values))
        try:
            done: Done = getattr(self._decisions, name)(form, **values)
        except (ActionError, SendError, RenderingError) as error:
            done = Done(_back(request, form), error.reason if isinstance(error, SendError) else str(error), failed=True)
        return self._said(request, _to(done.where), ("!" if done.failed else "") + done.said)

    def _page(self, request: Request, session: Session, shown: Shown) -> Response:
        health = read_health(services.ledger())
        said = self._door.read_note(request.cookies.get(SAID, ""))
        common = {
            "token": self._door.form_token(session),
            "path": request.path,
            "now": services.ledger().now(),
            "zone": self._settings.business_timezone,
            "business": self._settings.business_name,
            "stopped": health.gate,
            "fenced": health.fence,
            "testing": self._settings.testing_mode,
            "said": said.removeprefix("!"),
            "said_badly": said.startswith("!"),
            "signed_in": True,
        }
        response = Response(looks.page(shown, **common), shown.status, mimetype="text/html")
        if SAID in request.cookies:
            response.delete_cookie(SAID, path=BASE)
        return response

    def _mail(self, request: Request, slug: str, template: str) -> Response:
        try:
            email = self._views.sample(self._views.key(slug, template), self._views.segment(request))
        except RenderingError as error:
            raise WebhookError(422, str(error)) from None
        response = Response(email.html, mimetype="text/html")
        response.headers["Content-Security-Policy"] = MAIL_POLICY
        return response

    def _login_page(self, request: Request, *, over: bool = False, problem: str = "", status: int = 401, back: str = "/") -> Response:
        """The door itself, at whatever address was asked for; signing in leads on to it."""
        visitor = self._door.read(request.cookies.get(VISITOR, "")) or Session()
        back = request.full_path.rstrip("?") if request.method != "POST" else back
        values = {"back": back, "over": over, "problem": problem}
        html = looks.page(Shown("login.html", "Sign in", values), **_bare(self._settings) | {"token": self._door.form_token(visitor)})
        response = Response(html, status, mimetype="text/html")
        self._cookie(request, response, VISITOR, self._door.written(visitor), login.LASTS)
        return response

    def _sign_in(self, request: Request, form: Form) -> Response:
        if VISITOR not in request.cookies:
            hint = "Open the console over https (or on this machine at 127.0.0.1), and allow its cookie."
            return self._login_page(request, problem=f"Your browser did not send the console's cookie. {hint}", status=400)
        try:
            visitor = self._door.read(request.cookies[VISITOR]) or Session()
            self._door.check_form(request, visitor, form.get("token", ""))
            opened = self._door.open(request, form.get("password", ""))
        except WebhookError as error:
            text = f"Too many attempts. Try again in {looks.span(error.retry_after)}." if error.retry_after else error.message
            response = self._login_page(request, problem=text, status=error.status, back=form.get("back", "/"))
            if error.retry_after:
                response.headers["Retry-After"] = str(error.retry_after)
            return response
        _logger.info("console.signed_in")
        response = _to(_within(form.get("back", "/")))
        self._cookie(request, response, SESSION, self._door.written(opened), login.LASTS)
        return response

    @staticmethod
    def _sign_out(session: Session) -> Response:
        sessions.end(services.ledger(), session.name, login.LASTS)
        response = _to(BASE)
        response.delete_cookie(SESSION, path=BASE)
        return response

    def _said(self, request: Request, response: Response, text: str) -> Response:
        if text:
            said = text if len(text) <= LONGEST_SAID else text[:LONGEST_SAID] + "…"
            self._cookie(request, response, SAID, self._door.note(said), 60)
        return response

    @staticmethod
    def _cookie(request: Request, response: Response, name: str, value: str, age: int) -> None:
        response.set_cookie(name, value, max_age=age, path=BASE, secure=not login.is_near(request), httponly=True, samesite="Strict")

    def _problem(self, session: Session | None, status: int, title: str, text: str) -> Response:
        common = _bare(self._settings) | {"signed_in": bool(session and session.signed_in and status not in (401, 503))}
        if session:
            common["token"] = self._door.form_token(session)
        html = looks.page(Shown("problem.html", title, {"text": text, "status": status}), **common)
        return Response(html, status, mimetype="text/html")


def _bare(settings: Settings) -> dict[str, Any]:
    """What a page says that needs no Redis."""
    empty = {"token": "", "path": "", "stopped": None, "fenced": None, "said": "", "said_badly": False, "signed_in": False, "now": 0}
    return empty | {"zone": settings.business_timezone, "business": settings.business_name, "testing": settings.testing_mode}


def _form(request: Request) -> Form:
    """The fields of a posted form; of one that comes twice the last."""
    try:
        fields = parse_qs(endpoint.body(request).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise WebhookError(400, "That is no form of the console.") from None
    return {name: values[-1] for name, values in fields.items()}


def _matched(request: Request) -> tuple[str, dict[str, Any]]:
    try:
        method = "GET" if request.method == "HEAD" else request.method
        name, values = ROUTES.bind("", path_info=request.path).match(method=method)
    except HTTPException:
        raise WebhookError(404, "The address may be misspelled, or what it showed is gone.") from None
    return name, dict(values)


def _within(back: str) -> str:
    """An address of this console, and no other, from what a form says."""
    parts = urlsplit(back)
    fits = back.startswith("/") and not back.startswith("//") and "\\" not in back and not parts.netloc
    return f"{BASE}{back}" if fits and back != "/" else BASE


def _back(request: Request, form: Form) -> str:
    """Where a decision that did not fit leads."""
    if form.get("back"):
        return _within(form["back"])
    parts = request.path.strip("/").split("/")
    return f"{BASE}/{'/'.join(parts[: {'campaigns': 3, 'enrollments': 2}.get(parts[0], 1)])}" if parts[0] != "sending" else BASE


def _to(where: str) -> Response:
    return Response(status=303, headers={"Location": where})
