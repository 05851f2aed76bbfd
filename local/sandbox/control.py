"""The sandbox's own JSON, for programs: accepted emails, faults and limits, and resets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request
from pydantic import ValidationError

from local.sandbox.faults import PROVIDERS, Fault
from local.sandbox.limits import AT_LEAST, DEFAULTS
from local.sandbox.state import State
from local.sandbox.store import Store

_PAGE = 100


class Wrong(ValueError):
    """An invalid request to the sandbox itself; the message says why."""


def read_fault(values: dict[str, Any]) -> Fault:
    """Build a fault from JSON or a form.

    Args:
        values: the fields of `Fault`.

    Raises:
        Wrong: naming every invalid field.
    """
    try:
        fault = Fault.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'fault'}: {fault['msg']}" for fault in error.errors()
        ]
        raise Wrong("; ".join(problems)) from None
    if fault.provider not in PROVIDERS:
        raise Wrong(f"provider: must be one of {', '.join(PROVIDERS)}")
    return fault


def read_limits(values: Any) -> dict[str, int]:
    """Check limits.

    Args:
        values: whole numbers by name, as in `limits.DEFAULTS`.

    Raises:
        Wrong: naming what is wrong.
    """
    if not isinstance(values, dict) or not values.keys() <= DEFAULTS.keys():
        raise Wrong(f"limits: must be an object with any of {', '.join(DEFAULTS)}")
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < AT_LEAST[name]:
            raise Wrong(f"{name}: must be a whole number, at least {AT_LEAST[name]}")
    return values


def blueprint(state: State) -> Blueprint:
    """The JSON routes.

    Args:
        state: the sandbox's parts.
    """
    control = Blueprint("control", __name__)

    @control.errorhandler(Wrong)
    def wrong(error: Wrong) -> Response:
        return json_answer({"error": str(error)}, 422)

    @control.get("/outbox.json")
    def outbox() -> Response:
        since = request.args.get("since", 0, type=int)
        return Response(_entries(state.store, since), content_type="application/json")

    @control.get("/outbox/count")
    def count() -> Response:
        return json_answer({"count": state.store.count()})

    @control.get("/faults")
    def list_faults() -> Response:
        return json_answer(state.faults.all())

    @control.post("/faults")
    def add_fault() -> Response:
        return json_answer(state.faults.add(read_fault(body())).model_dump(), 201)

    @control.delete("/faults")
    def remove_faults() -> Response:
        state.faults.remove()
        return json_answer([])

    @control.delete("/faults/<int:fault_id>")
    def remove_fault(fault_id: int) -> Response:
        state.faults.remove(fault_id)
        return json_answer(state.faults.all())

    @control.get("/limits")
    def limits() -> Response:
        return json_answer(state.limits())

    @control.post("/limits")
    def set_limits() -> Response:
        state.set_limits(read_limits(body()))
        return json_answer(state.limits())

    @control.post("/reset")
    def reset() -> Response:
        state.reset()
        return json_answer({"count": 0, "faults": [], "limits": state.limits()})

    return control


def _entries(store: Store, index: int) -> Iterator[str]:
    """The outbox as the text of a JSON array, a page at a time, so that a long one never fills memory."""
    start = "["
    while emails := store.since(index, _PAGE):
        yield start + ", ".join(json.dumps(email.as_outbox_entry()) for email in emails)
        start, index = ", ", emails[-1].position
    yield "[]" if start == "[" else "]"


def json_answer(value: Any, status: int = 200) -> Response:
    """A response of the sandbox itself."""
    return Response(json.dumps(value), status, content_type="application/json")


def body() -> Any:
    """The JSON object that was posted to the sandbox itself.

    Raises:
        Wrong: if it is not a JSON object.
    """
    try:
        values = json.loads(request.get_data())
    except ValueError:
        raise Wrong("body: must be JSON") from None
    if not isinstance(values, dict):
        raise Wrong("body: must be a JSON object")
    return values
