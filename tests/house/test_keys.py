"""A key of Redis is named in the ledger, or in the scheduler, which adapts RQ; everyone else asks the ledger."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from shared.core.stack_file import ROOT

ELSEWHERE = ("benchmarks", "commands", "functions", "local", "shared", "tools")
AT_HOME = ("shared/ledger/", "benchmarks/peers/")  # the peers are other programs, with keys of their own
KEY = re.compile(r"\b(eg|rq):[\w{]")
ASKS_THE_SERVER = "shared/doctor/redis_checks.py"  # how it is set up, not what it holds


def files() -> Iterator[Path]:
    """The sources that must not name a key."""
    for folder in ELSEWHERE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".html", ".js") and not str(path.relative_to(ROOT)).startswith(AT_HOME):
                yield path


def named(source: str) -> list[str]:
    """The lines that name a key."""
    return [line.strip() for line in source.splitlines() if KEY.search(line)]


def test_no_key_is_named_outside_the_ledger() -> None:
    """No literal `eg:…` or `rq:…` is anywhere else, comments and templates included."""
    assert {
        str(path.relative_to(ROOT)): found for path in files() if (found := named(path.read_text(encoding="utf-8")))
    } == {}


def test_a_planted_key_is_found() -> None:
    """In a text, in an f-string, and inside a template."""
    assert (
        len(named('a = "eg:contact:1"\nb = f"rq:{queue}"\n{{ redis.get("eg:gate") }}\nc = "leg:x"\n"e.g. this"')) == 3
    )


def test_only_the_ledger_uses_its_client() -> None:
    """In shared, no other package reaches through the ledger to Redis itself."""
    reaching = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files()
        if path.suffix == ".py"
        and path.is_relative_to(ROOT / "shared")
        and str(path.relative_to(ROOT)) != ASKS_THE_SERVER
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("redis", "_redis")
    ]
    assert reaching == []
