"""Console, JSON API and command line decide alike: each decision is one method of EnrollmentActions, however it is
made."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from commands.people import suppress, unsuppress
from commands.steering import COMMANDS
from shared import services
from shared.console import actions
from shared.console.actions import OF_RUN, OF_STEP, Decision
from shared.core.errors import ActionError
from shared.ledger import ids
from shared.ledger.health import read_health
from shared.operations.enrollment_actions import EnrollmentActions
from tests.support.console_desk import RUN, TOKEN, Desk, set_step, sign_up

HERE = f"/enrollments/{RUN}"
KEPT = ("state", "why", "forced", "anew", "attempts")  # of a run and its steps; the rest are instants


def by_form(desk: Desk, decision: Decision, step: int | None) -> None:
    """In the console."""
    where = HERE if step is None else f"{HERE}/steps/{step}"
    assert desk.said(f"{where}/{decision.name}") == decision.done


def by_api(desk: Desk, decision: Decision, step: int | None) -> None:
    """Through the JSON API."""
    where = HERE if step is None else f"{HERE}/steps/{step}"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    name, *options = decision.command.split()
    body = {"json": {option.removeprefix("--").replace("-", "_"): True for option in options}} if options else {}
    answer = desk.client.post(f"/console/api{where}/{name}", headers=bearer, **body)
    assert answer.status_code == 200, answer.text


def by_command(desk: Desk, decision: Decision, step: int | None) -> None:
    """On the command line."""
    name, *options = decision.command.split()
    command = next(command for command in COMMANDS if command.name == name)
    asks = any(parameter.name == "yes" for parameter in command.params)
    given = [RUN, *([] if step is None else [str(step)]), *options, *(["--yes"] if asks else [])]
    done = CliRunner().invoke(command, given, catch_exceptions=False)
    assert done.exit_code == 0, done.output


class TestOneUseCase:
    """Console, API and command line do the same."""

    @staticmethod
    def arranged(desk: Desk, decision: Decision) -> int | None:
        """Ada's run in a state that allows the decision; returns the step that it is about."""
        desk.ledger.redis.flushall()
        desk.sign_in()
        sign_up()
        if decision in (actions.RESUME, actions.CATCH_UP):
            desk.ledger.pause(RUN)
        if decision in (actions.RETRY, actions.RETRY_AS_NEW, actions.BATCH_AS_NEW):
            state = "failed" if decision is actions.RETRY else "in-doubt"
            set_step(desk.ledger.redis, RUN, 2, state=state, attempts=3, frozen="batch-1")
        return None if decision.name in OF_RUN else 2

    @pytest.mark.parametrize("decision", [*OF_RUN.values(), *OF_STEP.values()], ids=lambda decision: decision.name)
    def test_each_decision_leaves_the_same_ledger(self, desk: Desk, decision: Decision) -> None:
        """Regardless of who makes it; and it is offered where it is allowed."""
        left = []
        for do in (by_form, by_api, by_command):
            step = self.arranged(desk, decision)
            assert f"{HERE}{'' if step is None else '/steps/2'}/{decision.name}" in desk.get(HERE).text
            do(desk, decision, step)
            fields = desk.ledger.redis.hgetall(ids.enrollment_key(RUN))
            left.append({name: text for name, text in fields.items() if str(name).rpartition(".")[2] in KEPT})
        assert left[0] == left[1] == left[2]

    @pytest.mark.parametrize("decision", [*OF_RUN.values(), *OF_STEP.values()], ids=lambda decision: decision.name)
    def test_each_decision_is_a_method_of_steering_and_a_command(self, decision: Decision) -> None:
        """By the same name."""
        name = decision.command.split()[0]
        assert callable(getattr(EnrollmentActions, name.replace("-", "_")))
        command = next(command for command in COMMANDS if command.name == name)
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(decision.command.split()[1:]) <= options

    def test_the_gate_and_suppressions_too(self, desk: Desk) -> None:
        """Stop and start of all sending, suppress and unsuppress."""
        commands = {command.name: command for command in COMMANDS}
        assert CliRunner().invoke(commands["stop-sending"], ["a wrong price"]).exit_code == 0
        by_hand = read_health(desk.ledger).gate
        desk.said("/sending/start")
        desk.said("/sending/stop", {"reason": "a wrong price"})
        assert read_health(desk.ledger).gate == by_hand == "a wrong price"
        assert CliRunner().invoke(commands["start-sending"]).exit_code == 0
        assert read_health(desk.ledger).gate is None
        assert CliRunner().invoke(suppress, ["a@example.org"]).exit_code == 1  # done, and not known here
        desk.said("/suppressions/add", {"email": "b@example.org"})
        listed = json.loads(CliRunner().invoke(suppress, ["--list", "--json"]).output)
        assert [sorted(each["reasons"]) for each in listed] == [["manual"], ["manual"]]
        assert desk.said("/suppressions/lift", {"email": "a@example.org"}) == "Unblocked. Removed: manual."
        assert CliRunner().invoke(unsuppress, ["b@example.org"]).output == "Unblocked. Removed: manual.\n"

    def test_a_refusal_is_the_same_sentence(self, ada: Desk) -> None:
        """Word for word."""
        with pytest.raises(ActionError) as caught:
            EnrollmentActions(services.ledger(), services.catalog(), services.current_settings()).resume(RUN)
        said = ada.said(f"{HERE}/resume")
        answer = ada.client.post(f"/console/api{HERE}/resume", headers={"Authorization": f"Bearer {TOKEN}"})
        assert said == str(caught.value) == (answer.json or {})["message"]
