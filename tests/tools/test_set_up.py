"""The set-up from nothing, with old pips and new releases about."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import default_environment

from shared.core.stack_file import ROOT
from tests.tools.project_copy import BASE, Project, wheel
from tests.tools.test_locks import holds, pins
from tools import set_up

PIPS = {
    "22.3": "pip==22.3 --hash=sha256:1daab4b8d3b97d1d763caeb01a4640a2250a0ea899e257b1e44b9eded91e15ab",
    "23.2.1": "pip==23.2.1 --hash=sha256:7ccf472345f20d35bdc9d1841ff5f313260c2c33fe417f48c30ac46cccabf5be",
    "shipped": None,
}
TOO_NEW_FOR_22 = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="pip 22.3 does not start on Python 3.12 or newer"
)
IMPORT_ALL = """
import importlib, pkgutil
for package in ("commands", "local", "scheduler", "shared"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        importlib.import_module(module.name)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The project's files, copied."""
    return Project(tmp_path / "project")


def locked(*locks: Path) -> set[str]:
    """What these locks name for this Python, as name==version."""
    here = {name: str(value) for name, value in default_environment().items()}
    return {f"{pin.name}{pin.specifier}" for lock in locks for pin in pins(lock.read_text()) if holds(pin, here)}


def newer_releases(folder: Path) -> str:
    """A newer release of every package that any lock names, for pip and uv to take if they look for one."""
    for lock in (set_up.LOCKS["dev"], set_up.INSTALLER, set_up.BUILD):
        for pin in pins(lock.read_text()):
            wheel(folder, pin.name, "9999")
    return str(folder)


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("pip", "what"), [pytest.param("22.3", "local", marks=TOO_NEW_FOR_22), ("23.2.1", "dev"), ("shipped", "image")]
)
def test_from_nothing(project: Project, tmp_path: Path, pip: str, what: str) -> None:
    """Each pip installs exactly the lock, though a newer release of every package is there to be taken."""
    if PIPS[pip]:
        project.make_environment(PIPS[pip])
        assert f"pip {pip} " in project.must(".venv/bin/pip", "--version")
    done = project.set_up(what, PIP_FIND_LINKS=newer_releases(tmp_path / "newer"))
    assert (done.returncode, done.stderr) == (0, "")
    assert ("Making .venv" in done.stdout) == (pip == "shipped")
    wanted, installed = locked(set_up.LOCKS[what], set_up.INSTALLER), project.installed()
    assert wanted <= installed
    assert {name.partition("==")[0] for name in installed - wanted} <= {
        "pip",
        "setuptools",
    }  # Python's venv brought these

    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "UV_OFFLINE": "1"}
    again = project.set_up("image", **nowhere)  # what is held in what is there already
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    if what == "local":
        imported = project.run(".venv/bin/python", "-c", IMPORT_ALL)
        assert imported.returncode == 0, imported.stderr
        assert "Usage: evergreen" in project.must(BASE, "evergreen", "--help")


@pytest.mark.usefixtures("index")
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="pip 23.2.1 is the one of Python 3.12 and older")
def test_the_fault_that_the_set_up_avoids(project: Project) -> None:
    """An old pip that resolves takes the newest release for an extra, and then refuses it: the lock rots by itself."""
    project.make_environment(PIPS["23.2.1"])
    links = project.root / "links"
    entries = [
        wheel(links, "asks", "1.0", "Requires-Dist: asked[more]>=1\n"),
        wheel(links, "asked", "1.0", "Provides-Extra: more\n"),
    ]
    (project.root / "made-up.txt").write_text("\n".join(entries))
    install = [
        ".venv/bin/pip",
        "install",
        "--no-index",
        "--find-links",
        "links",
        "--require-hashes",
        "-r",
        "made-up.txt",
    ]
    assert project.run(*install, "--dry-run").returncode == 0, "as long as the locked release is the newest"
    wheel(links, "asked", "2.0", "Provides-Extra: more\n")
    assert "all requirements must have their versions pinned" in project.run(*install).stderr
    assert project.run(*install, "--no-deps").returncode == 0


@pytest.mark.parametrize(
    ("target", "what"), [("run", "local"), ("backup", "local"), ("test", "dev"), ("check", "dev"), ("lock", "dev")]
)
def test_a_target_sets_up_what_it_needs(target: str, what: str) -> None:
    """`make run` installs nothing of what only the tests need."""
    printed = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"tools/set_up\.py (\w+)", printed) == [what]


def test_the_checks_of_a_change_begin_from_nothing() -> None:
    """An environment that is there already would hide a set-up that no longer works."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    first_make = next(number for number, line in enumerate(lines) if line.startswith("make "))
    assert any(line.startswith("rm -rf .venv") for line in lines[:first_make])
