"""`evergreen pause|resume|cancel|skip|send-now|retry|stop-sending|start-sending`: manage enrollments."""

from __future__ import annotations

from collections.abc import Callable

import click

from commands.enrollments import print_enrollments, queries, who
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared.operations.enrollment_actions import STOPPED, EnrollmentActions

step_number = click.argument("step", type=click.IntRange(min=1))
yes = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


def _decide(who: str, as_json: bool, decision: Callable[[EnrollmentActions, str], object], question: str = "") -> None:
    """Find the enrollment, ask for confirmation if needed, act, and show the result."""
    enrollments = queries()
    enrollment = enrollments.find(who)
    if question:
        click.confirm(f"{question} ({enrollment})", abort=True, err=True)
    decision(EnrollmentActions(enrollments.ledger, enrollments.catalog, enrollments.settings), enrollment)
    print_enrollments([enrollments.detail(enrollment) or {}], as_json)


@click.command(cls=Command, epilog="evergreen pause ada@example.org")
@who
@as_json
@speaks_plainly
def pause(who: str, as_json: bool) -> None:
    """Hold an enrollment until you resume it."""
    _decide(who, as_json, lambda actions, run: actions.pause(run))


@click.command(cls=Command, epilog="evergreen resume ada@example.org --catch-up")
@who
@click.option("--catch-up", is_flag=True, help="Keep the original dates, and send missed emails one a day.")
@as_json
@speaks_plainly
def resume(who: str, catch_up: bool, as_json: bool) -> None:
    """Continue a paused enrollment; its remaining emails move by the length of the pause."""
    _decide(who, as_json, lambda actions, run: actions.resume(run, catch_up=catch_up))


@click.command(cls=Command, epilog="evergreen cancel ada@example.org")
@who
@yes
@as_json
@speaks_plainly
def cancel(who: str, yes: bool, as_json: bool) -> None:
    """End an enrollment for good."""
    _decide(who, as_json, lambda actions, run: actions.cancel(run), "" if yes else "End it for good?")


@click.command(cls=Command, epilog="evergreen skip ada@example.org 3")
@who
@step_number
@as_json
@speaks_plainly
def skip(who: str, step: int, as_json: bool) -> None:
    """Skip one email that is waiting, failed or in doubt."""
    _decide(who, as_json, lambda actions, run: actions.skip(run, step))


@click.command("send-now", cls=Command, epilog="evergreen send-now ada@example.org 3")
@who
@step_number
@as_json
@speaks_plainly
def send_now(who: str, step: int, as_json: bool) -> None:
    """Send one email now, before its time and ahead of the queue."""
    _decide(who, as_json, lambda actions, run: actions.send_now(run, step))


@click.command(
    cls=Command, epilog="evergreen retry ada@example.org 3\nevergreen retry ada@example.org 3 --as-new --whole-batch"
)
@who
@step_number
@click.option("--as-new", is_flag=True, help="Send it as a new email, even though the first may have arrived.")
@click.option("--anew", "as_new", is_flag=True, hidden=True)
@click.option("--whole-batch", is_flag=True, help="Retry every email in doubt that was posted in the same request.")
@yes
@as_json
@speaks_plainly
def retry(who: str, step: int, as_new: bool, whole_batch: bool, yes: bool, as_json: bool) -> None:
    """Retry an email that failed or is in doubt."""

    def decide(actions: EnrollmentActions, run: str) -> None:
        if whole_batch and not yes:
            twice = "; each may arrive twice" if as_new else ""
            click.confirm(
                f"{len(actions.batch(run, step))} emails of the batch are in doubt{twice}. Try them again?",
                abort=True,
                err=True,
            )
        actions.retry(run, step, as_new=as_new, whole_batch=whole_batch)

    _decide(who, as_json, decide, "It may arrive twice. Send it again?" if as_new and not (yes or whole_batch) else "")


@click.command("stop-sending", cls=Command, epilog='evergreen stop-sending "the price in the emails is wrong"')
@click.argument("reason", default=STOPPED)
@as_json
@speaks_plainly
def stop_sending(reason: str, as_json: bool) -> None:
    """Stop all email until `start-sending`. Health and console show REASON meanwhile."""
    _set_gate(reason, as_json)


@click.command("start-sending")
@as_json
@speaks_plainly
def start_sending(as_json: bool) -> None:
    """Start sending again after any stop."""
    _set_gate(None, as_json)


def _set_gate(reason: str | None, as_json: bool) -> None:
    enrollments = queries()
    actions = EnrollmentActions(enrollments.ledger, enrollments.catalog, enrollments.settings)
    if reason:
        actions.stop_sending(reason)
    else:
        actions.start_sending()
    if as_json:
        print_json({"sending_stopped": reason})
    else:
        console.print(
            "Nothing is sent until `evergreen start-sending`." if reason else "Sending resumed: due emails go out now."
        )


COMMANDS = (pause, resume, cancel, skip, send_now, retry, stop_sending, start_sending)
