"""A copy of the project in which a test sets up, and packages that a test makes up."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.utils import canonicalize_name

from shared.core.stack_file import ROOT
from tools import set_up

WITHIN = 900  # seconds, for what takes a few with packages at hand, and minutes without
BASE = os.path.realpath(sys.executable)  # the Python that no environment was made for
CODE = ("commands", "functions", "local", "scheduler", "shared", "tools")
FILES = ("Makefile", "evergreen", "stack.yml", "pyproject.toml")
OF_THE_TESTS = ("COVERAGE_", "COV_", "MAKE", "PYTEST_", "GOALS", "NO_PROXY", "no_proxy")
LIST_ALL = "from importlib.metadata import distributions; [print(one.name, one.version) for one in distributions()]"
SIX = re.findall(r"^six==(?:.*\\\n)+.*$", set_up.LOCKS["image"].read_text(), re.MULTILINE)[0]


class Project:
    """A copy of the project, in which nothing is set up.

    Args:
        root: its folder, which must not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_TESTS)}
        for folder in CODE:
            shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in (*FILES, *(path.name for path in ROOT.glob("requirements*"))):
            shutil.copy(ROOT / file, root / file)

    @property
    def venv(self) -> Path:
        """Where its environment is, or will be."""
        return self.root / ".venv"

    def lock(self, entry: str) -> None:
        """Let every lock name this package only, so that a test costs little."""
        for lock in set_up.LOCKS.values():
            (self.root / lock.name).write_text(f"{entry}\n")

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        given = {**self.environ, **environ}
        return subprocess.run(command, cwd=self.root, env=given, capture_output=True, text=True, timeout=WITHIN)

    def must(self, *command: str) -> str:
        """Run a command there that succeeds.

        Returns:
            What it printed.
        """
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def set_up(self, what: str = "local", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the set-up as the Makefile does."""
        return self.run(sys.executable, "tools/set_up.py", what, **environ)

    def make_environment(self, pip: str | None = None) -> None:
        """Make its environment beforehand, with Python's own pip or the given one.

        Args:
            pip: the line of a lock that names it.
        """
        self.must(sys.executable, "-m", "venv", *(["--without-pip"] if pip else []), ".venv")
        if pip:
            (self.root / "pip.txt").write_text(pip)
            install = ["install", "--no-deps", "--require-hashes", "-r", "pip.txt"]
            self.must(sys.executable, "-m", "pip", "--python", ".venv/bin/python", *install)

    def installed(self) -> set[str]:
        """What is in its environment, as name==version."""
        lines = self.must(".venv/bin/python", "-Ic", LIST_ALL).splitlines()
        return {f"{canonicalize_name(line.split()[0])}=={line.split()[1]}" for line in lines}


def wheel(folder: Path, name: str, version: str, asks: str = "", tag: str = "py3-none-any") -> str:
    """Make up a package with one empty module.

    Args:
        folder: where its wheel goes.
        name: its name.
        version: its version.
        asks: more lines of its metadata.
        tag: which Python and system it is for.

    Returns:
        The line of a lock that names it.
    """
    folder.mkdir(exist_ok=True)
    plain = name.replace("-", "_")
    path = folder / f"{plain}-{version}-{tag}.whl"
    info = f"{plain}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{plain}_made_up.py", "")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{asks}")
        file.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        file.writestr(f"{info}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
