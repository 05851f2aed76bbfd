"""Who may import whom: functions, scheduler → shared; local → anything; shared none of them; integrations next to nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("benchmarks", "functions", "local", "scheduler", "shared", "tests")
ALLOWED = {
    "functions": ("shared",),
    "scheduler": ("scheduler", "shared"),
    "commands": ("commands", "shared"),
    "shared": ("shared",),
}
INTEGRATIONS_MAY = ("shared.errors", "shared.lean", "shared.models", "shared.posted", "shared.settings")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, inside functions too: the line and the full name, `from a import b` as a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(ROOT).parts[: -node.level]) if node.level else ""
            module = ".".join(filter(None, (package, node.module)))
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is one of the packages or lies in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def breaches(path: Path) -> list[str]:
    """The imports of a file that the rule forbids."""
    parts = path.relative_to(ROOT).parts
    allowed = INTEGRATIONS_MAY if parts[:2] == ("shared", "integrations") else ALLOWED[parts[0]]
    return [
        f"{path.relative_to(ROOT)}:{line} {name}" for line, name in imports(path) if is_within(name, OURS) and not is_within(name, allowed)
    ]


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    """No file reaches into a folder that must not be below it."""
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    assert [breach for path in files for breach in breaches(path)] == []


def test_the_rule_finds_a_breach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every spelling of a forbidden import is found, also inside a function, and an allowed one is not."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    integration = tmp_path / "shared" / "integrations" / "resend.py"
    integration.parent.mkdir(parents=True)
    integration.write_text(
        "from shared.errors import SendError\nfrom shared import settings\n"
        "from shared import ledger\nfrom shared.integrations import notion\nfrom . import discord\n"
        "def late():\n    import scheduler.jobs\n    from ..sending import send\n"
    )
    assert breaches(integration) == [
        "shared/integrations/resend.py:3 shared.ledger",
        "shared/integrations/resend.py:4 shared.integrations.notion",
        "shared/integrations/resend.py:5 shared.integrations.discord",
        "shared/integrations/resend.py:7 scheduler.jobs",
        "shared/integrations/resend.py:8 shared.sending.send",
    ]
