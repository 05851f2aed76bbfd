"""The Lua scripts as Redis gets them: each decision in `scripts/`, preceded by what its head includes from `lua/`.

A file names what it uses: `-- @include base outbox`. An include may name others; each is added once, before what needs
it. A script that must also run on a full ledger begins with `#!lua flags=allow-oom`, which stays its first line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent
_FLAGS = re.compile(r"#!lua [^\n]*\n")
_INCLUDE = re.compile(r"-- @include ([\w ]+)\n")


def sources(constants: Mapping[str, int]) -> dict[str, str]:
    """Every complete script, by file name.

    Args:
        constants: the values of `$NAME` in the files.
    """
    included = {file.stem: file.read_text(encoding="utf-8") for file in (FOLDER / "lua").glob("*.lua")}
    for name, value in constants.items():
        included = {stem: text.replace(f"${name}", str(value)) for stem, text in included.items()}
    return {
        file.stem: _whole(file.read_text(encoding="utf-8"), included) for file in (FOLDER / "scripts").glob("*.lua")
    }


def flags(text: str) -> str:
    """The line with a script's flags; empty if it has none."""
    match = _FLAGS.match(text)
    return match[0] if match else ""


def included_by(text: str) -> list[str]:
    """What a file's first line includes; the line with a script's flags stands before it."""
    match = _INCLUDE.match(text.removeprefix(flags(text)))
    return match[1].split() if match else []


def _whole(script: str, included: Mapping[str, str]) -> str:
    order: dict[str, str] = {}

    def add(text: str) -> None:
        for name in included_by(text):
            if name not in order:
                add(included[name])
                order[name] = included[name]

    add(script)
    head = flags(script)
    return "".join([head, *order.values(), script.removeprefix(head)])
