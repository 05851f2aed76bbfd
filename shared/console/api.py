"""The operator's JSON API: what the console and other programs see and decide. Whoever calls has proved to be the operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from flask import Request, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule

from shared import services
from shared.core.errors import ActionError, WebhookError
from shared.domain.segments import SEGMENTS
from shared.domain.states import LISTED
from shared.operations.enrollment_actions import STOPPED, EnrollmentActions
from shared.operations.enrollment_queries import EnrollmentQueries
from shared.web import endpoint

ROUTES = Map(
    [
        Rule("/api/overview", endpoint="overview", methods=["GET"]),
        Rule("/api/enrollments", endpoint="list", methods=["GET"]),
        Rule("/api/enrollments/<enrollment>", endpoint="show", methods=["GET"]),
        Rule("/api/enrollments/<enrollment>/<any(pause, resume, cancel):decision>", endpoint="steer", methods=["POST"]),
        Rule("/api/enrollments/<enrollment>/steps/<int:step>/<any(skip, 'send-now', retry):decision>", endpoint="steer", methods=["POST"]),
        Rule("/api/sending/<any(stop, start):decision>", endpoint="sending", methods=["POST"]),
    ]
)


class Nothing(BaseModel):
    """The body of a decision that needs none. A misspelt field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Resume(Nothing):
    """The body of a resumption.

    Attributes:
        catch_up: keep the original dates and send what was missed, one email a day.
    """

    catch_up: bool = False


class Retry(Nothing):
    """The body of a retry.

    Attributes:
        as_new: send it as a new email even though the first may have arrived; `anew` is its older name.
        whole_batch: the same for every email in doubt that was posted in one request with it.
    """

    as_new: bool = Field(default=False, validation_alias=AliasChoices("as_new", "anew"))
    whole_batch: bool = False


class Stop(Nothing):
    """The body of a stop of all sending.

    Attributes:
        reason: what health and console show meanwhile.
    """

    reason: Annotated[str, Field(min_length=1, max_length=200)] = STOPPED


BODIES: Mapping[str, type[Nothing]] = {"resume": Resume, "retry": Retry, "stop": Stop}


def answer(request: Request) -> Response:
    """Do what a request asks for.

    Raises:
        WebhookError: 404 for what there is not, 405, 409 where a decision does not fit, 422 for a faulty field.
        LedgerTooNew: when a newer release has the ledger, so that what stands there may mean something else.
    """
    try:
        name, values = ROUTES.bind("", path_info=request.path).match(method=request.method)
    except MethodNotAllowed as error:
        raise WebhookError(405, f"use {' or '.join(sorted(set(error.valid_methods or ()) - {'HEAD'}))}") from None
    except HTTPException:
        raise WebhookError(404, "there is nothing here") from None
    services.ledger().check_version()
    return endpoint.answer(200, _ANSWERS[name](request, **values))


def _desk() -> EnrollmentQueries:
    return EnrollmentQueries(services.ledger(), services.catalog(), services.current_settings())


def _overview(_request: Request) -> dict[str, Any]:
    return _desk().overview()


def _list(request: Request) -> dict[str, Any]:
    asked = request.args
    page, state = asked.get("page", "0"), asked.get("state") or None
    if not page.isascii() or not page.isdigit() or len(page) > 9:
        raise _faulty("page", "must be 0 or the `next` of the page before")
    if state and state not in LISTED:
        raise _faulty("state", f"must be one of {', '.join(LISTED)}")
    segment = asked.get("segment") or None
    if segment and segment not in SEGMENTS:
        raise _faulty("segment", f"must be one of {', '.join(SEGMENTS)}")
    slug = asked.get("campaign") or None
    return _desk().page(int(page), address=asked.get("address") or None, slug=slug, state=state, segment=segment)


def _show(_request: Request, enrollment: str) -> dict[str, Any]:
    if not (found := _desk().detail(enrollment)):
        raise WebhookError(404, f"there is no enrollment {enrollment!r}")
    return found


def _steer(request: Request, enrollment: str, decision: str, step: int | None = None) -> dict[str, Any]:
    steps = [known["step"] for known in _show(request, enrollment)["steps"]]
    if step is not None and step not in steps:
        raise WebhookError(404, f"{enrollment} has no step {step}")
    options = _body(request, decision).model_dump()
    actions = EnrollmentActions(services.ledger(), services.catalog(), services.current_settings())
    decide: Callable[..., str] = getattr(actions, decision.replace("-", "_"))
    try:
        decide(enrollment, *([] if step is None else [step]), **options)
    except ActionError as error:
        raise WebhookError(409, str(error)) from None
    return _show(request, enrollment)


def _sending(request: Request, decision: str) -> dict[str, Any]:
    options = _body(request, decision).model_dump()
    actions = EnrollmentActions(services.ledger(), services.catalog(), services.current_settings())
    if decision == "stop":
        actions.stop_sending(**options)
    else:
        actions.start_sending()
    return {"sending_stopped": options.get("reason")}


def _body(request: Request, decision: str) -> Nothing:
    """What the request says beyond its path; an empty body says nothing."""
    model = BODIES.get(decision, Nothing)
    data = endpoint.body(request)
    return endpoint.parse(request, data, model) if data else model()


def _faulty(field: str, message: str) -> WebhookError:
    return WebhookError(422, "the request is not valid", details=[{"loc": [field], "msg": message}])


_ANSWERS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "overview": _overview,
    "list": _list,
    "show": _show,
    "steer": _steer,
    "sending": _sending,
}
