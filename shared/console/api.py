"""The operator's JSON API: what the console and other programs see and decide.

The caller has proved to be the operator."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Any, TypeVar

from flask import Blueprint, Response, request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from shared.console import session
from shared.console.actions import enrollment_actions
from shared.console.pages import queries
from shared.core.errors import ActionError, WebhookError
from shared.domain.addresses import canonical
from shared.domain.segments import SEGMENTS
from shared.domain.states import LISTED
from shared.operations.enrollment_actions import STOPPED, EnrollmentActions
from shared.web import endpoint

api = Blueprint("api", __name__, url_prefix="/api")
session.csrf.exempt(api)  # browsers never send the token by themselves


class Nothing(BaseModel):
    """The body of a decision without fields. A misspelled field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


Body = TypeVar("Body", bound=Nothing)


class Resume(Nothing):
    """The body of a resume.

    Attributes:
        catch_up: keep the original dates and send missed emails one a day.
    """

    catch_up: bool = False


class Retry(Nothing):
    """The body of a retry.

    Attributes:
        as_new: send it as a new email even though the first may have arrived; `anew` is its older name.
        whole_batch: retry every email in doubt that was posted in the same request.
    """

    as_new: bool = Field(default=False, validation_alias=AliasChoices("as_new", "anew"))
    whole_batch: bool = False


class Stop(Nothing):
    """The body of a request to stop all sending.

    Attributes:
        reason: shown by health and console meanwhile.
    """

    reason: Annotated[str, Field(min_length=1, max_length=200)] = STOPPED


@api.get("/overview")
def overview() -> Response:
    """The current state."""
    return endpoint.answer(200, queries().overview())


@api.get("/enrollments")
def enrollments() -> Response:
    """A page of enrollments, filtered."""
    address, slug = request.args.get("address") or None, request.args.get("campaign") or None
    if address and not canonical(address):
        raise _faulty("address", "is not a valid email address")
    start, state, segment = _page(), _choice("state", LISTED), _choice("segment", SEGMENTS)
    return endpoint.answer(200, queries().page(start, address=address, slug=slug, state=state, segment=segment))


@api.get("/enrollments/<enrollment>")
def show(enrollment: str) -> Response:
    """One enrollment, with its steps."""
    return endpoint.answer(200, _detail(enrollment))


@api.post("/enrollments/<enrollment>/pause")
def pause(enrollment: str) -> Response:
    """Hold an enrollment."""
    _body(Nothing)
    return _decided(enrollment, lambda actions: actions.pause(enrollment))


@api.post("/enrollments/<enrollment>/resume")
def resume(enrollment: str) -> Response:
    """Resume a paused enrollment."""
    said = _body(Resume)
    return _decided(enrollment, lambda actions: actions.resume(enrollment, catch_up=said.catch_up))


@api.post("/enrollments/<enrollment>/cancel")
def cancel(enrollment: str) -> Response:
    """End an enrollment for good."""
    _body(Nothing)
    return _decided(enrollment, lambda actions: actions.cancel(enrollment))


@api.post("/enrollments/<enrollment>/steps/<int:step>/skip")
def skip(enrollment: str, step: int) -> Response:
    """Skip a step."""
    _body(Nothing)
    return _decided(enrollment, lambda actions: actions.skip(enrollment, step), step)


@api.post("/enrollments/<enrollment>/steps/<int:step>/send-now")
def send_now(enrollment: str, step: int) -> Response:
    """Send a step before its time."""
    _body(Nothing)
    return _decided(enrollment, lambda actions: actions.send_now(enrollment, step), step)


@api.post("/enrollments/<enrollment>/steps/<int:step>/retry")
def retry(enrollment: str, step: int) -> Response:
    """Retry a step that failed or is in doubt."""
    said = _body(Retry)
    return _decided(
        enrollment,
        lambda actions: actions.retry(enrollment, step, as_new=said.as_new, whole_batch=said.whole_batch),
        step,
    )


@api.post("/sending/stop")
def stop_sending() -> Response:
    """Stop all sending."""
    reason = _body(Stop).reason
    enrollment_actions().stop_sending(reason)
    return endpoint.answer(200, {"sending_stopped": reason})


@api.post("/sending/start")
def start_sending() -> Response:
    """Start sending again."""
    _body(Nothing)
    enrollment_actions().start_sending()
    return endpoint.answer(200, {"sending_stopped": None})


def _page() -> int:
    """The page that is asked for; raises WebhookError 422."""
    page = request.args.get("page", "0")
    if not page.isascii() or not page.isdigit() or len(page) > 9:
        raise _faulty("page", "must be 0 or the previous page's `next`")
    return int(page)


def _choice(name: str, known: Collection[str]) -> str | None:
    """A filter that has only these values, or None; raises WebhookError 422."""
    value = request.args.get(name) or None
    if value and value not in known:
        raise _faulty(name, f"must be one of {', '.join(known)}")
    return value


def _detail(enrollment: str) -> dict[str, Any]:
    if not (found := queries().detail(enrollment)):
        raise WebhookError(404, f"there is no enrollment {enrollment!r}")
    return found


def _decided(enrollment: str, decide: Callable[[EnrollmentActions], object], step: int | None = None) -> Response:
    """Carry out a decision, and show the resulting enrollment; raises WebhookError 404, or 409 if it does not fit."""
    if step is not None and step not in [known["step"] for known in _detail(enrollment)["steps"]]:
        raise WebhookError(404, f"{enrollment} has no step {step}")
    _detail(enrollment)
    try:
        decide(enrollment_actions())
    except ActionError as error:
        raise WebhookError(409, str(error)) from None
    return show(enrollment)


def _body(model: type[Body]) -> Body:
    """The request's body; an empty one has no fields."""
    data = endpoint.body(request)
    return endpoint.parse(request, data, model.model_validate) if data else model()


def _faulty(field: str, message: str) -> WebhookError:
    return WebhookError(422, "the request is not valid", details=[{"loc": [field], "msg": message}])
