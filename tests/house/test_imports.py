"""Who may import whom: `lint-imports` holds the contract in pyproject.toml; here is what it cannot see, and that it
works."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.core.stack_file import ROOT

PACKAGES = ("shared", "scheduler", "commands", "local", "tools")
OURS = (*PACKAGES, "functions", "benchmarks", "tests")
LINT = Path(sys.executable).with_name("lint-imports")


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


@pytest.mark.parametrize("entry", sorted(ROOT.glob("functions/*/main.py")), ids=lambda entry: str(entry.parent.name))
def test_a_function_imports_only_our_shared_package(entry: Path) -> None:
    """A function's folder is not a package, so the contract cannot see it."""
    assert {name.split(".")[0] for name in imported(entry)} & {*OURS, ""} == {"shared"}


@pytest.mark.parametrize("package", ["shared", "scheduler", "commands", "local", "tools"])
def test_no_package_imports_functions_tests_or_benchmarks(package: str) -> None:
    """Functions, tests and benchmarks are not packages to build on; the contract does not know them."""
    beside = {"functions", "tests", "benchmarks"} - ({"tests"} if package == "tools" else set())
    found = {
        str(path): {name.split(".")[0] for name in imported(path)} & beside for path in (ROOT / package).rglob("*.py")
    }
    assert {path: names for path, names in found.items() if names} == {}


def test_the_contract_names_every_outside_system() -> None:
    """A new integration cannot be forgotten there; payloads and provider are what several share."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (named,) = [contract["modules"] for contract in contracts if contract["name"] == "one outside system a module"]
    there = {path.stem for path in (ROOT / "shared" / "integrations").glob("*.py")} - {
        "__init__",
        "payloads",
        "provider",
    }
    assert sorted(named) == sorted(f"shared.integrations.{name}" for name in there)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contract, to be broken."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("shared/domain/timing.py", "from shared.ledger import ids", "one way through"),
        (
            "shared/doctor/redis_checks.py",
            "def late() -> None:\n    from shared.preview import plan",
            "one way through",
        ),
        ("shared/integrations/discord.py", "import shared.integrations.notion", "one outside system a module"),
        ("shared/core/log.py", "from scheduler import jobs", "shared imports none of those that use it"),
        ("shared/sending/sender.py", "from flask import request", "only web, console and the server know Flask"),
    ],
)
def test_an_import_in_the_wrong_direction_breaks_the_contract(
    copy: Path, module: str, statement: str, contract: str
) -> None:
    """Up, sideways, out of shared, or to Flask, also inside a function."""
    with (copy / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{statement}\n")
    found = subprocess.run([LINT, "--no-cache"], cwd=copy, capture_output=True, text=True, check=False)
    assert found.returncode == 1 and f"{contract} BROKEN" in found.stdout, found.stdout + found.stderr


def test_a_module_without_a_place_breaks_the_contract(copy: Path) -> None:
    """Every new module in shared needs a place among the others."""
    (copy / "shared" / "helpers.py").write_text('"""Anything."""\n')
    found = subprocess.run([LINT, "--no-cache"], cwd=copy, capture_output=True, text=True, check=False)
    assert found.returncode == 1 and "helpers" in found.stdout, found.stdout + found.stderr
