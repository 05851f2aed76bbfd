"""The benchmarks' own parts: the deliver stub, the comparison with the last run, the slope of the soak, and the
charts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import requests
from redis import Redis

import benchmarks.stub
from benchmarks import campaigns, chart, figures, load, provider, restore_size, size
from benchmarks.figures import Figure, Report
from benchmarks.provider import Provider
from benchmarks.soak import growth, slope
from shared.domain import campaign_files
from tests.support.waiting import WITHIN


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with provider.serve(tmp_path_factory.mktemp("stub")) as running:
        running.set()
        yield running


def email(name: str) -> dict[str, object]:
    return {"subject": "Hello", "tags": [{"name": "email_id", "value": name}]}


def test_the_stub_counts_copies_but_not_repetitions_under_a_key(stub: Provider) -> None:
    """The same request under its key is one email; without a key it is two."""
    stub.set()
    for key in ({"Idempotency-Key": "a"}, {"Idempotency-Key": "a"}, {}, {}):
        requests.post(f"{stub.url}/emails", json=email("c1-1"), headers=key, timeout=WITHIN).raise_for_status()
    requests.post(f"{stub.url}/emails/batch", json=[email("c2-1"), email("c3-1")], timeout=WITHIN).raise_for_status()
    arrivals, copies = stub.first_arrivals()
    assert set(arrivals) == {"c1-1", "c2-1", "c3-1"}
    assert copies == {"c1-1": 3, "c2-1": 1, "c3-1": 1}
    assert stub.unique() == 3


def test_the_stub_refuses_requests_over_its_limit(stub: Provider) -> None:
    """With a limit of zero, five requests are refused."""
    stub.set(per_second=0)
    answers = load.post_all(stub.port, "/emails", [email(f"c{number}-1") for number in range(5)])
    assert answers.statuses == {429: 5}
    assert stub.count() == dict.fromkeys(stub.count(), 0) | {"refused": 5}


def test_the_stub_takes_a_permissive_batch_without_the_wrong_addresses(stub: Provider) -> None:
    """And counts how often each of these is asked about; a strict batch, it refuses whole."""
    stub.set()
    batch = [email("c1-1"), email("c2-1") | {"to": ["refused-2@example.org"]}]
    for mode, status in (("permissive", 200), ("strict", 422)):
        answer = requests.post(
            f"{stub.url}/emails/batch", json=batch, headers={"x-batch-validation": mode}, timeout=WITHIN
        )
        assert answer.status_code == status
    found = stub.count()
    assert (found["count"], found["rejected"], found["asked_again"]) == (1, 1, 1)


def test_the_stubs_limit_is_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five requests at once two are taken, and two more a second later."""
    now = [100.0]
    monkeypatch.setattr(benchmarks.stub, "time", SimpleNamespace(monotonic=lambda: now[0]))
    mailbox = benchmarks.stub.Mailbox()
    mailbox.set({"per_second": 2})
    assert [mailbox.full() for _ in range(5)] == [False, False, True, True, True]
    now[0] += 1
    assert [mailbox.full() for _ in range(3)] == [False, False, True]


def test_the_load_generator_measures_from_the_planned_send_time(stub: Provider) -> None:
    """One connection to a slow server: each request waits for those before it, and its time includes that wait."""
    stub.set(delay_ms=40)
    answers = load.post_all(
        stub.port, "/emails", [email(f"c{number}-1") for number in range(4)], per_second=1000, connections=1
    )
    assert answers.statuses == {200: 4}
    assert answers.times[-1] >= 4 * 40 - 3 - 1


def test_the_load_generator_reports_a_refused_connection() -> None:
    """A closed port is status 0, not an exception."""
    assert load.post_all(1, "/emails", [email("c1-1")]).statuses == {0: 1}


@pytest.mark.parametrize(
    ("value", "yardstick", "verdict"),
    [(100, 1000, "same (+0%)"), (100, 2000, "WORSE (-50%)"), (200, 1000, "better (+100%)"), (200, 2000, "same (+0%)")],
)
def test_rates_are_compared_relative_to_the_yardstick(value: float, yardstick: float, verdict: str) -> None:
    """Twice as fast on a machine twice as fast is the same; as fast on it is worse."""
    last = {"value": 100, "ratio": 0.1}
    assert Figure("burst", value, "/s", "more").verdict(last, yardstick) == verdict


def test_a_single_lost_email_counts_as_worse() -> None:
    """One lost email after none is worse; a millisecond within the slack is not."""
    assert Figure("lost", 1, "emails", fixed=True).verdict({"value": 0, "ratio": 0}, 500) == "WORSE"
    assert Figure("lost", 0, "emails", fixed=True).verdict({"value": 0, "ratio": 0}, 500) == "same"
    assert Figure("p50", 2, "ms", slack=1).verdict({"value": 1, "ratio": 0.5}, 500) == "same"
    assert Figure("p50", 2, "ms").verdict(None, 500) == "new"


def test_a_run_is_compared_with_the_last_recorded_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded figures are read back, and the table says what changed."""
    monkeypatch.setattr(figures, "LAST", tmp_path / "last.json")
    report = Report(1000)
    report.add(Figure("burst", 100, "/s", "more"))
    assert "new" in report.table()
    report.keep(figures.LAST, machine="a small one")
    assert json.loads(figures.LAST.read_text())["machine"] == "a small one"
    assert "| burst | 100 /s |  | same (+0%) |" in report.table()


@pytest.mark.parametrize(
    ("figure", "aim"),
    [
        (Figure("burst", 100, "/s", "more", target=100), "≥ 100"),
        (Figure("burst", 99, "/s", "more", target=100), "≥ 100, MISSED"),
        (Figure("lost", 0, "emails", target=0), "≤ 0"),
        (Figure("lost", 1, "emails", target=0), "≤ 0, MISSED"),
        (Figure("lateness", float("nan"), "ms", target=15), "≤ 15, MISSED"),
        (Figure("CPU", 1, "s"), ""),
    ],
)
def test_a_missed_target_is_reported(figure: Figure, aim: str) -> None:
    """A figure that was not measured has missed its target, too."""
    assert figure.aim == aim


def test_growth_is_the_rise_of_the_line_through_the_points() -> None:
    """A line of slope two over ten seconds rises by twenty; a constant by nothing."""
    assert slope([(0, 1), (5, 11), (10, 21)]) == pytest.approx(2)
    assert growth([(0, 1), (5, 11), (10, 21)]) == pytest.approx(20)
    assert growth([(0, 7), (10, 7)]) == 0
    assert growth([]) == slope([(3, 1)]) == 0


def test_charts_are_well_formed_and_show_each_value() -> None:
    """A chart is XML, with names escaped and a bar for each value, also for one that was not measured."""
    values = [("Evergreen", 1000.0), ("a & b", 2.5), ("none", float("nan"))]
    # parses the chart that was just drawn
    drawn = ElementTree.fromstring(chart.bars("A <title>", "a second", values))  # noqa: S314
    text = "".join(drawn.itertext())
    assert all(part in text for part in ("A <title>", "a & b", "1,000", "2.5", "not measured", "logarithmic"))
    assert [one.get("class") for one in drawn.iter("{http://www.w3.org/2000/svg}rect")] == [
        "ground",
        "ours",
        "bar",
        "bar",
    ]


def test_the_benchmarks_campaigns_are_valid_and_triggered(tmp_path: Path) -> None:
    """Each loads like an owner's own campaign, and its webhook triggers it."""
    loaded = campaign_files.load(campaigns.write(tmp_path))
    found = {slug: loaded.triggered_by(trigger) for slug, trigger in campaigns.TRIGGERS.items()}
    assert {slug: campaign.slug if campaign else None for slug, campaign in found.items()} == {
        slug: slug for slug in campaigns.TRIGGERS
    }


def test_filling_enrolls_and_releasing_finds_due_emails(redis: Redis, tmp_path: Path) -> None:
    """Ten people with seven later emails are scheduled; of twenty more, whose email is due, all are released."""
    filler = size.Filler(redis, tmp_path)
    assert size.bytes_per_step(filler, 10) > 100
    assert filler.redis.zcard("eg:open") == 70
    assert size.release_rate(filler, due=20) > 0
    assert filler.redis.zcard("eg:open") == 90


def test_a_section_of_the_page_is_replaced_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text between the marks is replaced, the text around them stays; a page without marks is refused."""
    monkeypatch.setattr(figures, "DOCUMENT", page := tmp_path / "page.md")
    page.write_text("# A\n<!-- bench -->\nold\n<!-- /bench -->\n## B\n")
    figures.write_section("bench", "new")
    assert page.read_text() == "# A\n<!-- bench -->\nnew\n<!-- /bench -->\n## B\n"
    with pytest.raises(ValueError, match="has no <!-- soak -->"):
        figures.write_section("soak", "new")


def test_a_ledger_is_restored_and_verified_at_a_given_size() -> None:
    """Every email that was sent is known again, and nothing differs; otherwise there is no figure."""
    assert restore_size.measure(7, 17).startswith("| 7 | 17 | ")
