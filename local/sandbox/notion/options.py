"""The options of a select, a multi-select or a status: as configured, as chosen in a value, and as returned.

In every function a property is its entry in a data source's schema, and `path` is where the checked value is.
"""

from __future__ import annotations

import random
import secrets
import uuid
from typing import Any

from local.sandbox.notion.wording import a_text, an_array, an_object, invalid, only, should_be

COLORS = ("default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")
MAX_CHARS = 100
_STATUSES = (
    ("Not started", "default", "To-do", "gray"),
    ("In progress", "blue", "In progress", "blue"),
    ("Done", "green", "Complete", "green"),
)

Option = dict[str, Any]


def read(kind: str, given: dict[str, Any], path: str, known: list[Option]) -> list[Option]:
    """Check the options of a property's configuration.

    Args:
        kind: the property's type.
        given: the configuration; without `options`, the known ones stay.
        path: where it is.
        known: the property's options until now; one with the same id or name keeps its id.
    """
    if "options" not in given:
        return list(known)
    by_id, by_name = ({option[field]: option for option in known} for field in ("id", "name"))
    options = []
    for index, one in enumerate(an_array(given["options"], f"{path}.options")):
        option = an_object(one, f"{path}.options[{index}]")
        same = by_id.get(option.get("id")) or by_name.get(option.get("name"))
        if same:
            options.append(same | {field: option[field] for field in ("name", "color") if field in option})
        else:
            options.append(_new(option.get("name"), f"{path}.options[{index}].name", kind, option.get("color")))
    return options


def status_groups(options: list[Option], before: list[dict[str, Any]]) -> dict[str, Any]:
    """A status with its three groups.

    Args:
        options: all of them; new ones land in the first group.
        before: the groups until now.
    """
    placed = {id: group["name"] for group in before for id in group["option_ids"]}
    groups = {
        group: (color, [option["id"] for option in options if placed.get(option["id"], "To-do") == group])
        for _, _, group, color in _STATUSES
    }
    for name, color, group, _ in _STATUSES if not options else ():
        option = _new(name, "name", "status", color)
        options.append(option)
        groups[group][1].append(option["id"])
    return {
        "options": options,
        "groups": [
            {"id": secrets.token_hex(8), "name": name, "color": color, "option_ids": ids}
            for name, (color, ids) in groups.items()
        ],
    }


def _new(name: Any, path: str, kind: str, color: str | None = None) -> Option:
    if "," in a_text(name, path, MAX_CHARS, at_least=1):
        raise invalid(f"Invalid {kind} option, commas not allowed: {name}")
    chosen = color or random.choice(COLORS)  # noqa: S311 - a color, not a secret
    return {"id": str(uuid.uuid4()), "name": name, "color": chosen, "description": None}


def choose(prop: dict[str, Any], value: Any, path: str) -> str:
    """The id of the option that a value names by id or name; a select gets a new one for a new name."""
    given = an_object(value, path)
    only(given, ("id", "name", "color", "description"), path)
    kind = prop["type"]
    options: list[Option] = prop[kind]["options"]
    field = "id" if "id" in given else "name"
    for option in options:
        if option[field] == given.get(field):
            return str(option["id"])
    if kind == "status":
        raise invalid(f'Invalid status option. Status option "{given.get(field)}" does not exist".')
    if field == "id":
        raise should_be(f"{path}.id", "the id of an option", given["id"])
    added = _new(given.get("name"), f"{path}.name", kind, given.get("color"))
    options.append(added)
    return str(added["id"])


def default_status(prop: dict[str, Any]) -> str | None:
    """The id of a page's default status."""
    options = prop["status"]["options"]
    return options[0]["id"] if options else None


def shown(prop: dict[str, Any], option_id: str | None) -> Option | None:
    """A chosen option as Notion returns it; None if there is none."""
    for option in prop[prop["type"]]["options"]:
        if option["id"] == option_id:
            return {name: option[name] for name in ("id", "name", "color")}
    return None
