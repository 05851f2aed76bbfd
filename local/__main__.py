"""`python -m local`: all of Evergreen on one machine, with nothing else to install and no accounts."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from local import parts, secrets, stack, valkey, welcome
from local.supervisor import StartError, Supervisor
from shared.core import env_file, settings
from shared.core.errors import LedgerTooNew, SettingsError
from shared.core.stack_file import ROOT


def say(line: str) -> None:
    """Print to the terminal; the stack continues if the terminal is gone, or a file in its place is full.

    Args:
        line: the text.
    """
    with suppress(OSError):
        print(line, flush=True)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep a second stack out of the same directory: two Valkeys would corrupt each other's data."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("w")
    except OSError as error:
        raise SettingsError(
            f"{directory} cannot be written ({error.strerror}). Fix its permissions, or choose another folder: "
            "LOCAL_DIR=~/evergreen make run"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(
                f"a stack is already running in {directory}. Stop it, or choose another folder: "
                "LOCAL_DIR=.local-2 make run"
            ) from None
        yield


def _cut_zeros(directory: Path) -> None:
    """Repair Valkey's log after a power cut, and say so, also in the log of its part."""
    if line := valkey.cut_zeros(directory / "valkey"):
        say(line)
        log = directory / "logs" / "valkey.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def _say_ready(where: stack.Place, environ: Mapping[str, str]) -> None:
    chosen = settings.load(environ)
    sandboxed = chosen.resend_api_url.startswith(where.sandbox_url)
    troubles = parts.troubles(where)
    say(f"\nEvergreen is ready at {where.url}\n")
    notices_url = (
        f"{where.sandbox_url}/discord-page" if chosen.discord_webhook_url.startswith(where.sandbox_url) else None
    )
    for name, link in welcome.places(where, sandboxed, notices_url).items():
        say(f"  {name:<27}{link}")
    say(f"  {'Password for both pages':<27}{welcome.password_place(where.directory, chosen.console_password)}")
    say(f"  {'Logs and state':<27}{where.directory}\n")
    for trouble in troubles:
        say(f"PROBLEM: {trouble}. See `./evergreen fence` and the alerts for what to do.")
    if parts.waits_for_migration(where, chosen.redis_password):
        say("This ledger is from an older release and needs a migration: `make backup`, then `./evergreen migrate`.")
    if chosen.testing_mode and chosen.testing_step:
        say(f"TESTING_MODE is on: emails are sent {chosen.testing_step:g} s apart instead of days.")
    if not sandboxed:
        say(f"Emails go out through {chosen.resend_api_url}, to real people.")
    say(f"Try it:\n\n{welcome.curl(where.url)}\n\nCtrl-C stops it; scheduled emails are kept.")


def main() -> int:
    """Run the stack until Ctrl-C or SIGTERM.

    Returns:
        The exit status: 0, or 1 if it could not start.
    """
    os.chdir(ROOT)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # some terminals show only ASCII
    try:
        owner = {**env_file.read(Path(os.environ.get("ENV_FILE", ".env"))), **os.environ}
        where = stack.place(owner)
        with _alone_in(where.directory):
            stack.refuse_ports_in_use(where)
            environ = stack.environment(where, owner)
            secrets.write_settings(where.directory, environ)
            if owner.get("REDIS_URL") or owner.get("REDIS_URL_FILE"):
                say("REDIS_URL is not used: this stack has a Valkey of its own.")
            _cut_zeros(where.directory)
            supervisor = Supervisor(parts.stages(where, environ), where.directory, environ, say)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda *_: supervisor.ask_to_stop())
            supervisor.run(lambda: _say_ready(where, environ))
    except (SettingsError, StartError, LedgerTooNew) as error:
        print(f"Evergreen cannot start: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Evergreen cannot start: {error.filename}: {error.strerror}. Fix that and try again.", file=sys.stderr)
        return 1
    say("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
