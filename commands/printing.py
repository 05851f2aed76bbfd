"""How commands print: tables for people, `--json` for programs, one sentence and status 1 for errors."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, TypeVar

import click
from redis.exceptions import RedisError
from rich.console import Console

from shared.core.errors import EvergreenError
from shared.ledger.redis_errors import explained

Command = TypeVar("Command", bound=Callable[..., Any])
console = Console(highlight=False)
MARKS = {"fault": "[bold red]fault[/]", "note": "[yellow]note[/]", "ok": "[green]ok[/]"}  # of a check's findings
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def speaks_plainly(command: Command) -> Command:
    """Turn Evergreen's errors, and an unavailable Redis, into one sentence and exit status 1."""

    @functools.wraps(command)
    def spoken(*positional: Any, **options: Any) -> Any:
        try:
            return command(*positional, **options)
        except EvergreenError as error:
            raise click.ClickException(str(error)) from None
        except RedisError as error:
            raise click.ClickException(explained(error)) from None

    return spoken  # type: ignore[return-value]  # wraps keeps the signature, which its type does not express


def print_json(value: object) -> None:
    """Print JSON as `--json` does."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
