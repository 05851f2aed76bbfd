"""The words that scripts and code share: each state, refusal and outcome of a script is in states.py, and no other
is."""

from __future__ import annotations

import re

import pytest

from shared.core.stack_file import ROOT
from shared.domain.states import EnrollmentState, Outcome, Refusal, StepState, _State
from shared.ledger.script_sources import FOLDER

LUA = {file.stem: re.sub(r"--[^\n]*", "", file.read_text(encoding="utf-8")) for file in FOLDER.glob("*/*.lua")}
STATES = {*EnrollmentState, *StepState}
OTHERS = {"evergreen", "website", "transactional", "1"}  # compared in the same way, but not states
COMPARED = re.compile(r"(?:\bstate|\bbefore|\brun|\bv\[\d\]) [=~]= '([^']+)'")
GIVEN = re.compile(
    r"\bstate(?:, s\.why)? = ([^,}\n]*)|'HSET', [^\n]*'state', ('[^']+')"
    r"|\b(?:enter|end_step|end_enrollment|stop_enrollment|finish)\(([^{}\n]*)"
)
WORD = re.compile(r"(?<!= )'([a-z-]+)'")


def given(source: str) -> set[str]:
    """The words that a source sets as a state, or passes to what sets one."""
    return {word for found in GIVEN.findall(source) for part in found for word in WORD.findall(part)}


def test_every_state_of_a_script_is_known() -> None:
    """Each that a script gives, or asks for."""
    assert {
        name: wrong
        for name, code in LUA.items()
        if (wrong := {*COMPARED.findall(code), *given(code)} - STATES - OTHERS)
    } == {}


def test_every_state_is_given_by_a_script() -> None:
    """One that no script gives would only be clutter."""
    assert set().union(*map(given, LUA.values())) >= STATES


@pytest.mark.parametrize(
    "line",
    [
        "set_step(run, 1, {state = 'sended', due = 1})",
        "end_step(run, 1, why and 'sent' or 'sended')",
        "if s.state ~= 'sended' then",
    ],
)
def test_a_misspelled_state_is_found(line: str) -> None:
    """Wherever it is."""
    assert {*COMPARED.findall(line), *given(line)} - STATES == {"sended"}


def test_a_claim_gives_only_known_refusals() -> None:
    """Each that claim.lua answers, and no other."""
    assert {*re.findall(r"\bstop\('([^']+)'", LUA["claim"])} == {*Refusal}


def test_a_request_has_only_known_outcomes() -> None:
    """Each that settle.lua decides, and no other."""
    assert {"accepted", *re.findall(r"^function decide\.(\w+)", LUA["settle"], re.M)} == {*Outcome}


def table(states: type[_State]) -> str:
    """The states as docs/ledger.md shows them."""
    head = "| state | what it means | what moves it on |\n|---|---|---|\n"
    return head + "".join(f"| `{state}` | {state.meaning} | {state.moved_by} |\n" for state in states)


@pytest.mark.parametrize(("heading", "states"), [("Of an enrollment", EnrollmentState), ("Of a step", StepState)])
def test_the_document_matches_the_code(heading: str, states: type[_State]) -> None:
    """Change states.py, and put the table of the message into docs/ledger.md."""
    document = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
    assert f"### {heading}\n\n{table(states)}" in document, f"docs/ledger.md, {heading}:\n{table(states)}"
