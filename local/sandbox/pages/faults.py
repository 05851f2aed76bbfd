"""The faults page, for people: set what should go wrong, see what is set, change the limit, start afresh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from local.sandbox.control import Wrong, read_fault, read_limits
from local.sandbox.faults import PROVIDERS
from local.sandbox.limits import DEFAULTS
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
    Card(
        "status",
        "Refuse with a status",
        "Nothing is accepted, and the response is an error.",
        ("status", "retry_after", "body"),
    ),
    Card(
        "timeout-before",
        "Time out before accepting",
        "The connection hangs, then closes. Nothing is done.",
        ("delay_ms",),
    ),
    Card(
        "timeout-after",
        "Time out after accepting",
        "The email is sent or the row is saved, but the caller gets no response.",
        ("delay_ms",),
    ),
    Card("slow", "Answer slowly", "The request is done, but the response comes late.", ("delay_ms",)),
    Card("disconnect", "Drop the connection", "The connection closes at once, without a response.", ("after",)),
    Card(
        "quota",
        "Exhaust the quota",
        "Further requests are refused with 429: Resend's sends, or the whole Notion workspace.",
        ("name", "limit", "retry_after"),
    ),
    Card(
        "commit-then-503",
        "Accept, then answer 503",
        "The email is sent or the row is saved, but the response says it was not.",
    ),
)
_TITLES = {"resend": "Resend", "notion": "Notion", "discord": "Discord"}
_NUMBERS = ("status", "count", "delay_ms", "limit")


def _fault_values(form: dict[str, str]) -> dict[str, Any]:
    """A form's texts as the JSON that `POST /faults` takes; an empty field is left out."""
    values: dict[str, Any] = {name: text.strip() for name, text in form.items() if name != "action" and text.strip()}
    values["rate"] = _number(values.pop("percent", "100")) / 100
    values["after"] = "after" in values
    if values.get("provider") == "notion" and values.get("kind") == "quota":
        values.pop("name", None)  # the form's names are Resend's
    if "retry_after" in values:
        seconds = _number(values["retry_after"])
        values["retry_after"] = int(seconds) if seconds.is_integer() else seconds
    return values | {name: int(_number(values[name])) for name in _NUMBERS if name in values}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Wrong(f"{text!r} is not a number") from None


def _act(state: State, form: dict[str, str]) -> None:
    match form.get("action"):
        case "set":
            state.faults.add(read_fault(_fault_values(form)))
        case "remove":
            state.faults.remove(int(_number(form.get("id", ""))))
        case "clear":
            state.faults.remove()
        case "limit":
            state.set_limits(read_limits({name: int(_number(form[name])) for name in DEFAULTS if name in form}))
        case "reset":
            state.reset()
        case _:
            raise Wrong("the form has no valid action")


def blueprint(state: State) -> Blueprint:
    """The faults page.

    Args:
        state: the sandbox's parts.
    """
    page = Blueprint("faults", __name__)

    def render(problem: str = "") -> str:
        titles = {card.kind: card.title for card in CARDS}
        now = {"faults": state.faults.all(), "limits": state.limits(), "problem": problem}
        return render_template(
            "faults.html", cards=CARDS, titles=titles, providers={name: _TITLES[name] for name in PROVIDERS}, **now
        )

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
