"""What the tests of the set-up need."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.tools.project_copy import WITHIN


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A package index that answers this machine's pip; without one nothing can be installed from nothing."""
    download = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "six==1.17.0"]
    folder = tmp_path_factory.mktemp("six")
    asked = subprocess.run(download, cwd=folder, capture_output=True, text=True, timeout=WITHIN)
    if asked.returncode:
        pytest.skip(f"no package index answers pip: {asked.stderr.strip().splitlines()[-1:]}")
