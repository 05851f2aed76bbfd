"""The faults page, for people: set what should go wrong, see what is set, change the limit, start afresh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from local.sandbox.control import Wrong, read_fault, read_limits
from local.sandbox.state import State


@dataclass(frozen=True)
class Card:
    """A kind of fault as the page explains it.

    Attributes:
        fields: which of the fault's own fields the form offers, beside count and rate.
    """

    kind: str
    title: str
    meaning: str
    fields: tuple[str, ...] = ()


CARDS = (
    Card("status", "Refuse with a status", "Nothing is accepted; the answer is an error.", ("status",)),
    Card("timeout-before", "Time out before accepting", "The connection hangs, then closes. Nothing was sent.", ("delay_ms",)),
    Card("timeout-after", "Time out after accepting", "The email is sent, but the caller never hears of it.", ("delay_ms",)),
    Card("slow", "Answer slowly", "The email is sent, and the answer comes late.", ("delay_ms",)),
    Card("disconnect", "Drop the connection", "The connection closes at once, without an answer.", ("after",)),
    Card("quota", "Exhaust the quota", "Sends are refused with 429 once the quota is used up.", ("name", "limit", "retry_after")),
    Card("commit-then-503", "Accept, then answer 503", "The email is sent, but the answer says that it was not."),
)
_NUMBERS = ("status", "count", "delay_ms", "limit", "retry_after")


def _fault_values(form: dict[str, str]) -> dict[str, Any]:
    """A form's texts as the JSON that `POST /faults` takes; an empty field is left out."""
    values: dict[str, Any] = {name: text.strip() for name, text in form.items() if name != "action" and text.strip()}
    values["rate"] = _number(values.pop("percent", "100")) / 100
    values["after"] = "after" in values
    return values | {name: int(_number(values[name])) for name in _NUMBERS if name in values}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Wrong(f"{text!r} is no number") from None


def _act(state: State, form: dict[str, str]) -> None:
    match form.get("action"):
        case "set":
            state.faults.add(read_fault(_fault_values(form)))
        case "remove":
            state.faults.remove(int(_number(form.get("id", ""))))
        case "clear":
            state.faults.remove()
        case "limit":
            state.set_limits(read_limits({"resend_per_second": int(_number(form.get("resend_per_second", "")))}))
        case "reset":
            state.reset()
        case _:
            raise Wrong("the form says nothing that can be done")


def blueprint(state: State) -> Blueprint:
    """The faults page.

    Args:
        state: the sandbox's parts.
    """
    page = Blueprint("faults", __name__)

    def render(problem: str = "") -> str:
        titles = {card.kind: card.title for card in CARDS}
        return render_template("faults.html", cards=CARDS, titles=titles, faults=state.faults.all(), limits=state.limits(), problem=problem)

    @page.get("/faults-page")
    def show() -> str:
        return render()

    @page.post("/faults-page")
    def change() -> Any:
        try:
            _act(state, request.form.to_dict())
        except Wrong as problem:
            return Response(render(str(problem)), 422)
        return redirect(url_for("faults.show"), 303)

    return page
