"""What was posted to Discord: as JSON for programs, and as a channel shows it for people."""

from __future__ import annotations

import re

from flask import Blueprint, Response, render_template

from local.sandbox.control import json_answer
from local.sandbox.discord.messages import Messages

NEWEST = 100
_ESCAPE = re.compile(r"\\([^0-9A-Za-z\s])")


def blueprint(messages: Messages) -> Blueprint:
    """The routes.

    Args:
        messages: the channel.
    """
    page = Blueprint("discord", __name__)
    page.add_app_template_filter(lambda text: _ESCAPE.sub(r"\1", text), "unescaped")

    @page.get("/discord.json")
    def everything() -> Response:
        return json_answer([message.as_entry() for message in messages.all()])

    @page.get("/discord-page")
    def show() -> str:
        return render_template(
            "discord.html", messages=[message.as_object() for message in messages.all()[: -NEWEST - 1 : -1]]
        )

    return page
