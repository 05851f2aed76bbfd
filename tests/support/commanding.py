"""The command line in a test: its settings are the test's own, and nothing of this machine's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from commands import main
from local import valkey
from shared.core.settings import Settings
from tests.support.functions_client import fresh_services


class Commands:
    """Runs commands, one after the other, in one environment.

    Args:
        monkeypatch: the test's.
        folder: a folder of the test's own.
        server: its Valkey; None for commands that need none.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, server: valkey.Valkey | None = None) -> None:
        self._monkeypatch = monkeypatch
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        self.set(ENV_FILE=str(folder / "none"), REDIS_URL="redis://127.0.0.1:1/0")
        if server:
            self.set(REDIS_URL=server.url, REDIS_PASSWORD=server.password)

    def set(self, **settings: str) -> None:
        """Change settings."""
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)

    def __call__(self, *arguments: str, answer: str | None = None) -> Result:
        """Run one as a new process would; `answer` is the response where it asks."""
        fresh_services()
        try:
            return CliRunner(env={"COLUMNS": "160"}).invoke(main, list(arguments), input=answer)
        finally:
            fresh_services()

    def json(self, *arguments: str) -> Any:
        """What a command prints with --json."""
        result = self(*arguments, "--json")
        assert result.stdout, result.output
        return json.loads(result.stdout)
