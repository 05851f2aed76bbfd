"""What a service does not load."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from shared.core.optional_imports import without
from shared.core.stack_file import ROOT
from tests.support.waiting import WITHIN


def test_an_import_continues_without_it() -> None:
    """Inside the block the module is missing; afterwards it is the same as before."""
    before = importlib.import_module("json")
    with without("json"), pytest.raises(ImportError):
        importlib.import_module("json")
    assert sys.modules["json"] is before


def test_a_skipped_module_can_be_loaded_afterwards() -> None:
    """The block leaves nothing behind."""
    name = "antigravity_that_nobody_has"
    with without(name):
        assert sys.modules[name] is None
    assert name not in sys.modules


@pytest.mark.parametrize(
    "module", ["scheduler.release", "scheduler.worker", "shared.serve", "shared.integrations.resend"]
)
def test_no_service_loads_terminal_libraries(module: str) -> None:
    """structlog and httpx used to load rich, 6 to 10 MB in each process."""
    program = f"import sys, {module}; print('rich' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN, check=True
    )
    assert done.stdout.strip() == "False"
