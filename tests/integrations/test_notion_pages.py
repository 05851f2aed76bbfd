"""Reading a data source whole: the real client against the sandbox, whose limit for one query is lowered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.sandbox.notion import pages
from shared.core.errors import NotionError
from shared.integrations.notion import Notion
from tests.support import patience
from tests.support.sandbox_server import Sandbox, sandbox, text

BEGIN = 1_800_000_000.0  # a full minute
TICKED = {"property": "Pause", "checkbox": {"equals": True}}


@dataclass
class Table:
    """A data source of many rows.

    Attributes:
        now: the sandbox's clock, in seconds since 1970.
        requests: how many were sent.
    """

    box: Sandbox
    now: list[float]
    requests: int = 0
    made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = self.box.seed()["tracker"]["data_source_id"]

    def limit(self, rows: int) -> None:
        """Set how many rows a query returns."""
        self.box.post("/limits", {"notion_query_rows": rows})

    def fill(self, rows: int, *, each: float, ticked: int = 1) -> list[str]:
        """Create rows, this many seconds apart; every so many of them is ticked. Returns the ids of all rows."""
        assert self.box.state
        records = self.box.state.notion
        with records.transaction():
            for number in range(rows):
                values = {"Name": {"title": text(str(number))}, "Pause": {"checkbox": number % ticked == 0}}
                body = {"parent": {"data_source_id": self.source}, "properties": values}
                self.made.append(pages.create(records, body, "a test").id)
                self.now[0] += each
        return self.made

    def client(self) -> Notion:
        """Evergreen's client, whose requests are counted."""
        return patience.notion(self.box, turn=self._count)

    def read(self, filter: Any = None, **options: Any) -> list[str]:
        """The ids of what Evergreen reads."""
        return [page["id"] for page in self.client().pages(self.source, filter, **options)]

    def _count(self) -> None:
        self.requests += 1


@pytest.fixture
def table() -> Iterator[Table]:
    now = [BEGIN]
    with sandbox(clock=lambda: now[0]) as box:
        yield Table(box, now)


@pytest.mark.parametrize("each", [61, 30, 7, 6.7], ids=lambda each: f"{each} s apart")
@pytest.mark.parametrize("rows", [9, 10, 11, 30])
def test_every_row_is_read_once(table: Table, rows: int, each: float) -> None:
    """Oldest first, whether a minute has one row or nearly as many as a query returns."""
    table.limit(10)
    made = table.fill(rows, each=each)
    assert table.read() == made


def test_a_query_below_the_limit_is_asked_once(table: Table) -> None:
    """No window is opened without need."""
    table.fill(250, each=1)
    assert (len(table.read()), table.requests) == (250, 3)


def test_windows_and_pages_of_results_fit_together(table: Table) -> None:
    """A window of several pages ends within a minute."""
    table.limit(150)
    made = table.fill(500, each=0.7)
    assert table.read() == made


@pytest.mark.parametrize(
    "filter",
    [TICKED, {"and": [TICKED]}, {"or": [TICKED, {"property": "Email", "email": {"equals": "no one"}}]}],
    ids=["one condition", "and", "or"],
)
def test_a_filter_holds_in_every_window(table: Table, filter: Any) -> None:
    """Only the limit counts rows that match."""
    table.limit(10)
    made = table.fill(90, each=5, ticked=3)
    assert table.read(filter) == made[::3]


@pytest.mark.parametrize(("before", "within", "after"), [(0, 11, 0), (4, 11, 0), (12, 30, 5), (4, 10, 1)])
def test_a_minute_that_no_query_can_return_is_an_error(table: Table, before: int, within: int, after: int) -> None:
    """It ends, and says that rows are missing, since when, and what to do."""
    table.limit(10)
    table.fill(before, each=30)
    table.now[0] = BEGIN + 600
    table.fill(within, each=1)
    table.now[0] = BEGIN + 900
    table.fill(after, each=61)
    with pytest.raises(NotionError, match=r"left out rows.*2027-01-15T08:10.*duplicate some") as caught:
        table.read()
    assert (caught.value.kind, table.requests < 6) == ("incomplete", True)


def test_a_marked_answer_without_rows_is_an_error(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be continued is not taken for the end."""
    answer = {"results": [], "has_more": False, "request_status": {"type": "incomplete", "incomplete_reason": "other"}}
    client = table.client()
    monkeypatch.setattr(client._client.data_sources, "query", lambda *_, **__: answer)
    with pytest.raises(NotionError, match="left out rows"):
        list(client.pages(table.source))


@pytest.mark.parametrize("limit", [10_000, 150])
def test_rows_that_come_while_reading_are_read(table: Table, limit: int) -> None:
    """They are the newest, and so come last."""
    table.limit(limit)
    table.fill(250, each=1)
    reading = table.client().pages(table.source)
    found = [next(reading)["id"] for _ in range(120)]
    made = table.fill(30, each=1)
    assert found + [page["id"] for page in reading] == made


@pytest.mark.parametrize("limit", [10_000, 150])
@pytest.mark.parametrize("change", [{"in_trash": True}, {"properties": {"Pause": {"checkbox": False}}}], ids=str)
def test_a_row_that_goes_while_reading_costs_no_other(table: Table, limit: int, change: Any) -> None:
    """Deleted, or no longer a match, even if the next page of results would have begun with it."""
    table.limit(limit)
    made = table.fill(450, each=1)
    found = []
    for page in table.client().pages(table.source, TICKED):
        found.append(page["id"])
        if len(found) == 100:
            table.box.notion("PATCH", f"/pages/{made[100]}", json=change).raise_for_status()
    assert found == made[:100] + made[101:]


def test_a_refused_query_is_not_asked_again(table: Table) -> None:
    """Only a cursor may go out of date."""
    table.fill(1, each=1)
    with pytest.raises(NotionError, match="Could not find property"):
        table.read({"property": "Nme", "title": {"equals": "x"}})
    assert table.requests == 1


@pytest.mark.parametrize("kind", ["status", "disconnect"])
def test_a_long_reading_survives_a_failure(table: Table, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The request is repeated as often as allowed; by default, the caller hears of the first failure."""
    slept: list[float] = []
    monkeypatch.setattr("shared.integrations.notion.time.sleep", slept.append)
    made = table.fill(250, each=1)
    table.box.fault(kind, provider="notion", count=2)
    assert (table.read(tries=3), slept) == (made, [1.0, 1.0])
    table.box.fault(kind, provider="notion", count=3)
    with pytest.raises(NotionError):
        table.read(tries=3)
    table.box.fault(kind, provider="notion", count=1)
    with pytest.raises(NotionError):
        table.read()
