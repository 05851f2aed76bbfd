"""The command line's steering: what it prints, what it asks, and how it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from commands import main
from commands.overview import EXAMPLES, GROUPS
from local import valkey
from shared.ledger import ids
from shared.ledger.health import read_health
from tests.support.functions_client import ADDRESS, NOWHERE, Functions, deployed, fresh_services

RUN = f"{ids.enrollment_prefix('christmas', ADDRESS)}-1"


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """An Evergreen in which Ada has signed up."""
    monkeypatch.setenv("ENV_FILE", "no-such-file")
    monkeypatch.setenv("COLUMNS", "200")
    with deployed(valkey_server, monkeypatch) as ready:
        ready.sign_up({"timezone": "America/Vancouver"})
        yield ready


def evergreen(*words: str, answer: str | None = None) -> Result:
    """Run a command."""
    fresh_services()
    return CliRunner().invoke(main, words, input=answer)


def steps(result: Result) -> list[str]:
    """The states of the steps that a command printed as JSON."""
    assert result.exit_code == 0, result.output
    return [step["state"] for step in json.loads(result.stdout)[0]["steps"]]


def test_a_run_is_paused_and_resumed(functions: Functions) -> None:
    """By its id or by the address; the output shows the result."""
    paused = evergreen("pause", RUN)
    assert paused.exit_code == 0 and "paused" in paused.stdout and RUN in paused.stdout
    assert json.loads(evergreen("resume", f" {ADDRESS.upper()} ", "--json").stdout)[0]["state"] == "active"
    assert evergreen("pause", ADDRESS).exit_code == 0
    before = json.loads(evergreen("show", RUN, "--json").stdout)[0]["steps"][3]["due"]
    assert json.loads(evergreen("resume", RUN, "--catch-up", "--json").stdout)[0]["steps"][3]["due"] == before


def test_a_step_is_skipped_sent_now_and_retried(functions: Functions) -> None:
    """Each by the run and the step's number."""
    assert steps(evergreen("skip", ADDRESS, "2", "--json"))[1] == "skipped"
    assert evergreen("send-now", ADDRESS, "3").exit_code == 0
    assert functions.ledger.redis.hget(ids.enrollment_key(RUN), "3.forced") == "1"
    functions.ledger.redis.hset(ids.enrollment_key(RUN), "4.state", "failed")
    assert steps(evergreen("retry", ADDRESS, "4", "--json"))[3] == "scheduled"


def test_a_cancellation_asks_first(functions: Functions) -> None:
    """No is no; --yes does not ask."""
    refused = evergreen("cancel", ADDRESS, answer="n\n")
    assert refused.exit_code == 1 and "End it for good?" in refused.stderr
    assert functions.ledger.peek(RUN, 1).state == "scheduled"
    assert evergreen("cancel", ADDRESS, "--yes").exit_code == 0
    assert functions.ledger.peek(RUN, 1).state == "cancelled"


def test_resending_asks_first(functions: Functions) -> None:
    """A plain retry does not, because it cannot arrive twice."""
    key = ids.enrollment_key(RUN)
    functions.ledger.redis.hset(key, mapping={"1.state": "in-doubt", "1.posted": 1, "1.frozen": "gone"})
    plain = evergreen("retry", RUN, "1")
    assert plain.exit_code == 1 and "say so if it shall be sent as new" in plain.stderr
    assert evergreen("retry", RUN, "1", "--as-new", answer="n\n").exit_code == 1
    assert functions.ledger.peek(RUN, 1).state == "in-doubt"
    assert evergreen("retry", RUN, "1", "--anew", answer="y\n").exit_code == 0, "the older spelling of --as-new"
    assert functions.ledger.redis.hget(key, "1.anew") == "1"


@pytest.mark.parametrize(
    "words",
    [
        ("pause", "christmas-0-1"),
        ("pause", "nobody@example.org"),
        ("show", "nobody@example.org"),
        ("resume", RUN),
        ("skip", RUN, "99"),
        ("retry", RUN, "1"),
    ],
)
def test_an_impossible_command_is_one_sentence(functions: Functions, words: tuple[str, ...]) -> None:
    """On stderr, with exit status 1, and without the address."""
    result = evergreen(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1 and "nobody" not in result.stderr


@pytest.mark.parametrize("words", [("pause",), ("skip", RUN), ("skip", RUN, "second"), ("list", "--state", "asleep")])
def test_wrong_usage_is_status_2(functions: Functions, words: tuple[str, ...]) -> None:
    """As in any command line tool."""
    assert evergreen(*words).exit_code == 2


def test_an_address_with_two_open_runs_is_ambiguous(functions: Functions) -> None:
    """It says which ones there are; with one of them ended it is clear again."""
    functions.set(OPERATOR_TOKEN="operator-5c2e9a7f1b")
    functions.client("postcall-maybe").post(
        "/", json={"email": ADDRESS}, headers={"Authorization": "Bearer operator-5c2e9a7f1b"}
    )
    other = f"{ids.enrollment_prefix('postcall-maybe', ADDRESS)}-1"
    result = evergreen("pause", ADDRESS)
    assert result.exit_code == 1 and RUN in result.stderr and other in result.stderr
    assert evergreen("cancel", RUN, "--yes").exit_code == 0
    assert json.loads(evergreen("pause", ADDRESS, "--json").stdout)[0]["id"] == other


def test_show_uses_the_persons_time_zone(functions: Functions) -> None:
    """Every email with its state and its time in the person's time zone."""
    functions.ledger.redis.hset(
        ids.enrollment_key(RUN), mapping={"2.due": 1_800_000_000_000, "2.next": 1_800_000_000_000, "2.why": "[red]"}
    )
    shown = evergreen("show", ADDRESS).stdout
    assert "Christmas 2025" in shown and "When (America/Vancouver)" in shown
    assert "Fri 2027-01-15 00:00:00" in shown
    assert shown.count("scheduled") == 7 and "[red]" in shown


def test_show_names_what_strangers_claimed(functions: Functions) -> None:
    """As text: no markup of the terminal's, and no control character."""
    claimed: dict[Any, Any] = {"claimed.name": "[red]Eve[/]", "claimed.timezone": "\x1b[2JAsia/Tokyo"}
    functions.ledger.redis.hset(ids.contact_key(ids.digest(ADDRESS)), mapping=claimed)
    shown = evergreen("show", ADDRESS).stdout
    assert "Claimed in a form, not used: name “[red]Eve[/]”" in shown
    assert "timezone “[2JAsia/Tokyo”" in shown and "\x1b" not in shown
    assert json.loads(evergreen("show", RUN, "--json").stdout)[0]["claimed"]["name"] == "[red]Eve[/]"


def test_show_names_the_warning(functions: Functions) -> None:
    """What the owner should know about the start of an enrollment, also as JSON."""
    functions.ledger.redis.hset(ids.enrollment_key(RUN), "warning", "email_1_sent_at is missing")
    assert "Warning: email_1_sent_at is missing" in evergreen("show", ADDRESS).stdout
    assert json.loads(evergreen("show", RUN, "--json").stdout)[0]["warning"] == "email_1_sent_at is missing"


def test_show_names_what_a_group_blocked(functions: Functions) -> None:
    """Which campaign, when in the person's time zone, and by which enrollment; also as JSON."""
    assert evergreen("enroll", "busos", ADDRESS, "--red", "2").exit_code == 1
    shown = evergreen("show", ADDRESS).stdout
    assert re.search(rf"Not enrolled in busos on \w{{3}} [\d-]+ [\d:]+: {RUN} was under way\.", shown)
    (blocked,) = json.loads(evergreen("show", ADDRESS, "--json").stdout)[0]["blocked"]
    assert (blocked["campaign"], blocked["by"]) == ("busos", RUN)


def test_show_names_what_a_queued_one_waits_for(functions: Functions) -> None:
    """Which enrollment, and until when."""
    run = f"{ids.enrollment_prefix('busos', ADDRESS)}-1"
    known: dict[Any, Any] = {"slug": "busos", "kind": "marketing", "contact": ids.digest(ADDRESS), "group": "nurture"}
    known |= {"state": "queued", "anchor": 0, "steps": "", "queued_until": 1_800_000_000_000}
    functions.ledger.redis.hset(ids.enrollment_key(run), mapping=known)
    shown = evergreen("show", run).stdout
    assert f"Waits until {RUN} ends, at most until Fri 2027-01-15 00:00:00." in shown


def test_list_filters_and_pages(functions: Functions) -> None:
    """The latest first, a page at a time."""
    for number in range(55):
        functions.sign_up({"email": f"c{number}@example.org"})
    evergreen("pause", RUN)
    paused = json.loads(evergreen("list", "--state", "paused", "--campaign", "christmas", "--json").stdout)
    assert [row["id"] for row in paused["enrollments"]] == [RUN]
    first = evergreen("list").stdout
    assert first.count("@example.org") == 50 and "--page 50" in first
    second = evergreen("list", "--page", "50").stdout
    assert second.count("@example.org") == 6 and "--page" not in second


def test_all_sending_is_stopped_and_started(functions: Functions) -> None:
    """With a reason, if there is one to give."""
    assert evergreen("stop-sending", "wrong price").exit_code == 0
    assert read_health(functions.ledger).gate == "wrong price"
    assert json.loads(evergreen("start-sending", "--json").stdout) == {"sending_stopped": None}
    assert read_health(functions.ledger).gate is None
    assert json.loads(evergreen("stop-sending", "--json").stdout) == {"sending_stopped": "stopped manually"}


def test_an_unavailable_redis_is_one_sentence(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do."""
    monkeypatch.setenv("REDIS_URL", NOWHERE.replace("http", "redis"))
    fresh_services()
    result = evergreen("list")
    assert result.exit_code == 1 and result.stderr.startswith("Error: Redis does not answer")


def test_a_whole_batch_in_doubt_is_retried_after_one_question(functions: Functions) -> None:
    """It says how many emails these are; those that cannot be sent are named, with exit status 1."""
    redis = functions.ledger.redis
    functions.sign_up({"email": "bo@example.org"})
    other = f"{ids.enrollment_prefix('christmas', 'bo@example.org')}-1"
    for run in (RUN, other):
        redis.hset(ids.enrollment_key(run), mapping={"2.state": "in-doubt", "2.posted": 1, "2.frozen": "batch-1"})
        redis.zadd("eg:doubts", {f"{run}-2": 1})
    refused = evergreen("retry", RUN, "2", "--whole-batch", "--as-new", answer="n\n")
    assert refused.exit_code == 1 and "2 emails of the batch are in doubt; each may arrive twice" in refused.output
    assert functions.ledger.peek(other, 2).state == "in-doubt"
    assert evergreen("cancel", other, "--yes").exit_code == 0
    done = evergreen("retry", RUN, "2", "--whole-batch", "--as-new", "--yes")
    assert done.exit_code == 1 and f"{other}-2: the enrollment is cancelled" in done.output
    assert [functions.ledger.peek(run, 2).state for run in (RUN, other)] == ["scheduled", "in-doubt"]


def test_a_doubtful_email_is_skipped(functions: Functions) -> None:
    """As docs/restore.md says."""
    functions.ledger.redis.hset(ids.enrollment_key(RUN), "2.state", "in-doubt")
    assert steps(evergreen("skip", RUN, "2", "--json"))[1] == "skipped"


class TestOverview:
    """`evergreen --help`."""

    def test_every_command_is_in_one_group(self) -> None:
        """And none that does not exist."""
        named = [name for lines in GROUPS.values() for name in lines]
        assert sorted(named) == sorted(main.commands)

    def test_each_line_fits_a_narrow_terminal(self) -> None:
        """At 80 columns no sentence is cut off or wrapped."""
        shown = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["--help"]).output
        assert max(map(len, shown.splitlines())) <= 80
        for name, line in [pair for lines in GROUPS.values() for pair in lines.items()]:
            assert re.search(rf"^  {name} +{re.escape(line)}$", shown, re.M), name

    def test_its_examples_are_valid_commands(self) -> None:
        """Each can be typed."""
        assert {example.split()[1] for example in EXAMPLES} <= set(main.commands)


def test_ids_and_addresses_are_not_cut_off_on_a_narrow_terminal(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are there to be copied."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = evergreen("list").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[1:3]] == [ADDRESS, RUN]
