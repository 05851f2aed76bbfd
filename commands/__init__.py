"""The operator's command line: `evergreen`.

Each module is a group of commands; each command calls one use case in `shared`."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from pathlib import Path

import click

from commands.diff import diff
from commands.doctor import doctor
from commands.enroll import completion, enroll, up
from commands.enrollments import list_runs, show
from commands.fence import fence
from commands.importing import import_people
from commands.migrate import migrate_ledger
from commands.notion import notion
from commands.overview import Overview
from commands.people import export, forget, suppress, unsuppress
from commands.planning import plan
from commands.purge import purge
from commands.restore import restore
from commands.simulating import simulate
from commands.steering import COMMANDS as STEERING
from commands.templates import templates
from commands.verify import verify
from shared.core import env_file
from shared.core.errors import SettingsError

ROOT = Path(__file__).parents[1]
REDIS = {"REDIS_URL", "REDIS_URL_FILE"}


@click.group(cls=Overview, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Manage Evergreen.

    Settings come from the environment and from .env. Without REDIS_URL, and while `make run` is running, commands use
    its stack; with REDIS_URL in the environment, or in a file that ENV_FILE names, they use that Redis."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # some terminals show only ASCII
    try:
        _read_settings(Path(os.environ.get("LOCAL_DIR", ROOT / ".local")))
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _read_settings(stack: Path) -> None:
    """Add the owner's settings to the environment, and those of the stack if its Redis is the one to use."""
    found = env_file.read(Path(os.environ.get("ENV_FILE", ROOT / ".env")))
    is_running = (stack / "pids.json").exists()
    if is_running and REDIS & found.keys() and not {*REDIS, "ENV_FILE"} & os.environ.keys():
        found = {name: value for name, value in found.items() if name not in REDIS}  # `make run` does not use it either
        click.echo(f"`make run` is running in {stack}: commands use its Redis, not REDIS_URL of .env.", err=True)
    env_file.add(found)
    if not REDIS & os.environ.keys():
        env_file.add(env_file.read(stack / "settings.env"))
    elif is_running:
        click.echo(f"REDIS_URL is set, so commands do not use the stack of `make run` in {stack}.", err=True)


main.add_command(notion)
main.add_command(templates)
for command in (forget, purge, export, import_people, suppress, unsuppress):
    main.add_command(command)
for steering in (*STEERING, show, list_runs):
    main.add_command(steering)
for recovery in (restore, fence, verify, migrate_ledger):
    main.add_command(recovery)
for daily in (plan, simulate, diff, doctor, enroll, up, completion):
    main.add_command(daily)
