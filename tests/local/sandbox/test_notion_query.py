"""Querying the Notion stand-in: filters, sorts, pages of results and their limit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.sandbox.notion import query
from tests.support.sandbox_server import Sandbox, sandbox, text, wrong

BEGIN = 1_800_000_000.0  # 2027-01-15 08:00 UTC, a Friday
PROPERTIES: dict[str, Any] = {
    "Name": {"title": {}},
    "Note": {"rich_text": {}},
    "Email": {"email": {}},
    "Score": {"number": {}},
    "Pause": {"checkbox": {}},
    "Stage": {"select": {"options": [{"name": "New"}, {"name": "Hot"}, {"name": "Cold"}]}},
    "Tags": {"multi_select": {}},
    "Due": {"date": {}},
    "ID": {"unique_id": {"prefix": None}},
    "Made": {"created_time": {}},
    "Step": {"status": {"options": [{"name": "Not started"}, {"name": "Done"}]}},
}


@dataclass
class People:
    """A data source with four rows, each created an hour after the one before.

    Attributes:
        now: seconds since 1970; the sandbox's clock.
    """

    box: Sandbox
    now: list[float]
    source: str = ""
    client: Any = None
    names: dict[str, str] = field(default_factory=dict)

    def fill(self) -> None:
        """Make the rows: Anna has everything, Ben and Cleo something, and Dora nothing."""
        self.client = self.box.notion_client()
        parent = {"page_id": self.box.seed("page")["page_id"]}
        made = self.client.databases.create(
            parent=parent, title=text("People"), initial_data_source={"properties": PROPERTIES}
        )
        self.source = made["data_sources"][0]["id"]
        self.add("Anna", "first note", "anna@example.org", 1, True, "Hot", ["a", "b"], "2027-01-15")
        self.add("Ben", "Second NOTE", "ben@example.org", 20, False, "New", ["b"], "2027-01-14T23:30:00Z")
        self.add("Cleo", "", "cleo@example.org", 3.5, False, "Cold", [], "2027-01-20")
        self.add("Dora")

    def add(self, name: str, note: str = "", email: str = "", score: Any = None, *rest: Any) -> None:
        """Create a row."""
        pause, stage, tags, due = rest or (False, "", [], "")
        values = {
            "Name": {"title": text(name)},
            "Note": {"rich_text": text(note) if note else []},
            "Email": {"email": email or None},
            "Score": {"number": score},
            "Pause": {"checkbox": pause},
            "Stage": {"select": {"name": stage} if stage else None},
            "Tags": {"multi_select": [{"name": tag} for tag in tags]},
            "Due": {"date": {"start": due} if due else None},
            "Step": {"status": {"name": "Done" if pause else "Not started"}},
        }
        page = self.client.pages.create(parent={"data_source_id": self.source}, properties=values)
        self.names[page["id"]] = name
        self.now[0] += 3600

    def query(self, **body: Any) -> str:
        """The initials of what a query finds, in its order."""
        return "".join(
            self.names[page["id"]][0] for page in self.client.data_sources.query(self.source, **body)["results"]
        )


@pytest.fixture(name="people", scope="module")
def _people() -> Iterator[People]:
    """The rows, for tests that only read."""
    now = [BEGIN]
    with sandbox(clock=lambda: now[0]) as box:
        people = People(box, now)
        people.fill()
        yield people


@pytest.mark.parametrize(
    ("name", "kind", "condition", "found"),
    [
        ("Name", "title", {"equals": "Anna"}, "A"),
        ("Name", "title", {"equals": "anna"}, ""),
        ("Name", "title", {"does_not_equal": "Anna"}, "BCD"),
        ("Name", "title", {"contains": "AN"}, "A"),
        ("Note", "rich_text", {"contains": "note"}, "AB"),
        ("Note", "rich_text", {"does_not_contain": "first"}, "BCD"),
        ("Note", "rich_text", {"starts_with": "second"}, "B"),
        ("Note", "rich_text", {"ends_with": "note"}, "AB"),
        ("Note", "rich_text", {"is_empty": True}, "CD"),
        ("Email", "email", {"equals": "ben@example.org"}, "B"),
        ("Email", "email", {"is_not_empty": True}, "ABC"),
        ("Score", "number", {"equals": 20}, "B"),
        ("Score", "number", {"does_not_equal": 20}, "ACD"),
        ("Score", "number", {"greater_than": 1}, "BC"),
        ("Score", "number", {"less_than_or_equal_to": 3.5}, "AC"),
        ("Score", "number", {"is_empty": True}, "D"),
        ("Pause", "checkbox", {"equals": True}, "A"),
        ("Pause", "checkbox", {"equals": False}, "BCD"),
        ("Pause", "checkbox", {"does_not_equal": True}, "BCD"),
        ("Stage", "select", {"equals": "Hot"}, "A"),
        ("Stage", "select", {"equals": ["Hot", "Cold"]}, "AC"),
        ("Stage", "select", {"does_not_equal": "Hot"}, "BCD"),
        ("Stage", "select", {"is_empty": True}, "D"),
        ("Step", "status", {"equals": "Done"}, "A"),
        ("Tags", "multi_select", {"contains": "b"}, "AB"),
        ("Tags", "multi_select", {"does_not_contain": "a"}, "BCD"),
        ("Tags", "multi_select", {"is_empty": True}, "CD"),
        ("Due", "date", {"equals": "2027-01-15"}, "A"),
        ("Due", "date", {"before": "2027-01-15"}, "B"),
        ("Due", "date", {"on_or_before": "2027-01-15"}, "AB"),
        ("Due", "date", {"after": "2027-01-15"}, "C"),
        ("Due", "date", {"on_or_after": "2027-01-14T23:30:00+00:00"}, "ABC"),
        ("Due", "date", {"after": "2027-01-14T23:30:00Z"}, "AC"),
        ("Due", "date", {"equals": "today"}, "A"),
        ("Due", "date", {"equals": "yesterday"}, "B"),
        ("Due", "date", {"next_week": {}}, "AC"),
        ("Due", "date", {"past_week": {}}, "AB"),
        ("Due", "date", {"is_empty": True}, "D"),
        ("ID", "unique_id", {"greater_than": 2}, "CD"),
        ("Made", "created_time", {"on_or_after": "2027-01-15T10:00:00Z"}, "CD"),
    ],
)
def test_each_condition_finds_what_it_says(people: People, name: str, kind: str, condition: Any, found: str) -> None:
    """A condition alone, as one of two, and with a timestamp finds the same rows."""
    one = {"property": name, kind: condition}
    oldest_first = [{"timestamp": "created_time", "direction": "ascending"}]
    assert people.query(filter=one, sorts=oldest_first) == found
    since = {"timestamp": "created_time", "created_time": {"on_or_after": "2027-01-01"}}
    assert people.query(filter={"and": [since, one]}, sorts=oldest_first) == found
    nobody = {"property": "Name", "title": {"equals": "nobody"}}
    assert people.query(filter={"or": [nobody, {"and": [one]}]}, sorts=oldest_first) == found


@pytest.mark.parametrize(
    ("sorts", "found"),
    [
        ([], "DCBA"),
        ([{"timestamp": "created_time", "direction": "ascending"}], "ABCD"),
        ([{"timestamp": "last_edited_time", "direction": "descending"}], "DCBA"),
        ([{"property": "Name", "direction": "descending"}], "DCBA"),
        ([{"property": "Score", "direction": "ascending"}], "ACBD"),
        ([{"property": "Score", "direction": "descending"}], "BCAD"),
        ([{"property": "Stage", "direction": "ascending"}], "BACD"),
        ([{"property": "Due", "direction": "ascending"}], "BACD"),
        ([{"property": "ID", "direction": "descending"}], "DCBA"),
        ([{"property": "Made", "direction": "ascending"}], "ABCD"),
        ([{"property": "Pause", "direction": "descending"}, {"property": "Name", "direction": "ascending"}], "ABCD"),
    ],
)
def test_sorts_put_empty_values_last(people: People, sorts: list[dict[str, str]], found: str) -> None:
    """The newest come first unless sorted; several sorts count in their order."""
    assert people.query(sorts=sorts) == found


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"filter": {"property": "Nme", "title": {"equals": "x"}}}, "Could not find property with name or id: Nme"),
        (
            {"filter": {"property": "Score", "rich_text": {"equals": "5"}}},
            "The property type in the database does not match the property type of the filter provided: "
            "database property number does not match filter rich_text",
        ),
        (
            {"filter": {"property": "Name", "title": {"resembles": "x"}}},
            "body.filter.title.resembles should be not present",
        ),
        ({"filter": {"property": "Name", "title": {}}}, "body.filter.title.equals should be defined"),
        (
            {"filter": {"property": "Score", "number": {"equals": "5"}}},
            'body.filter.number.equals should be a number, instead was `"5"`',
        ),
        (
            {"filter": {"property": "Pause", "checkbox": {"equals": "x"}}},
            "body.filter.checkbox.equals should be a boolean",
        ),
        (
            {"filter": {"property": "Note", "rich_text": {"is_empty": False}}},
            "body.filter.rich_text.is_empty should be `true`",
        ),
        (
            {"filter": {"property": "Due", "date": {"before": "soon"}}},
            "body.filter.date.before should be a valid ISO 8601 date string",
        ),
        ({"filter": {"timestamp": "deleted_time", "deleted_time": {}}}, "body.filter.timestamp should be"),
        ({"filter": {"and": [{"or": [{"and": []}]}]}}, "body.filter.and[0].or[0].and should be not present"),
        ({"filter": {"Name": "x"}}, "body.filter.property should be a string"),
        (
            {"sorts": [{"property": "Nme", "direction": "ascending"}]},
            "Could not find sort property with name or id: Nme",
        ),
        ({"sorts": [{"property": "Name", "direction": "up"}]}, "body.sorts[0].direction should be"),
        ({"sorts": [{"timestamp": "read_time", "direction": "ascending"}]}, "body.sorts[0].timestamp should be"),
        ({"page_size": 101}, "body.page_size should be ≤ `100`, instead was `101`."),
        ({"page_size": "ten"}, "body.page_size should be a number or `undefined`"),
        ({"start_cursor": "x"}, "The start_cursor provided is invalid: x"),
    ],
)
def test_a_wrong_query_is_refused_in_notions_words(people: People, body: dict[str, Any], message: str) -> None:
    """What cannot be understood is named."""
    error = wrong(people.client.data_sources.query, people.source, **body)
    assert error.code == "validation_error" and message in str(error)


def test_results_come_in_pages(people: People) -> None:
    """The cursor of one page starts the next, in the order of the query; the last one says so; properties can be left
    out."""
    sorts = [{"property": "Score", "direction": "ascending"}]
    first = people.client.data_sources.query(people.source, sorts=sorts, page_size=3, filter_properties=["title"])
    assert (len(first["results"]), first["has_more"]) == (3, True)
    assert all(page["properties"].keys() == {"Name"} for page in first["results"])
    last = people.client.data_sources.query(people.source, sorts=sorts, page_size=3, start_cursor=first["next_cursor"])
    assert ([people.names[page["id"]] for page in last["results"]], last["has_more"], last["next_cursor"]) == (
        ["Dora"],
        False,
        None,
    )
    assert "request_status" not in last


@pytest.fixture
def limited(people: People) -> Iterator[Callable[[int], None]]:
    """Sets how many rows a query returns; the real limit comes back."""
    yield lambda rows: people.box.post("/limits", {"notion_query_rows": rows})
    people.box.post("/limits", {"notion_query_rows": query.ROWS})


def test_a_query_ends_at_its_limit_and_says_so(people: People, limited: Callable[[int], None]) -> None:
    """Past it there is no more, and every page of such a result is marked as incomplete."""
    limited(3)
    first = people.client.data_sources.query(people.source, page_size=2)
    last = people.client.data_sources.query(people.source, page_size=2, start_cursor=first["next_cursor"])
    assert [len(page["results"]) for page in (first, last)] == [2, 1]
    incomplete = {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}
    assert [page["request_status"] for page in (first, last)] == [incomplete] * 2
    assert (last["has_more"], last["next_cursor"]) == (False, None)


def test_the_limit_counts_what_matches_in_the_order_asked_for(people: People, limited: Callable[[int], None]) -> None:
    """A filter, also on the time of creation, begins a query of its own; a result just as long as the limit is
    whole."""
    limited(2)
    sorts = [{"timestamp": "created_time", "direction": "ascending"}]
    ask = functools.partial(people.client.data_sources.query, people.source, sorts=sorts)
    since = {"timestamp": "created_time", "created_time": {"on_or_after": "2027-01-15T10:00:00.000Z"}}
    scored = {"property": "Score", "number": {"greater_than": 2}}
    for filter, found, whole in [(None, "AB", False), (since, "CD", True), (scored, "BC", True)]:
        answer = ask(filter=filter) if filter else ask()
        assert "".join(people.names[page["id"]][0] for page in answer["results"]) == found
        assert ("request_status" not in answer) is whole


def test_a_cursor_past_the_limit_is_refused(people: People, limited: Callable[[int], None]) -> None:
    """What a query does not return cannot be reached by its cursors."""
    third = people.client.data_sources.query(people.source, page_size=2)["next_cursor"]
    limited(2)
    error = wrong(people.client.data_sources.query, people.source, page_size=2, start_cursor=third)
    assert "start_cursor provided is invalid" in str(error)


def test_pages_of_results_follow_changes() -> None:
    """A long result is searched once, and again if anything has changed before its next page."""
    now = [BEGIN]
    with sandbox(clock=lambda: now[0]) as box:
        people = People(box, now)
        people.fill()
        sorts = [{"property": "Name", "direction": "ascending"}]
        ask = functools.partial(people.client.data_sources.query, people.source, sorts=sorts, page_size=2)
        cursor = ask()["next_cursor"]
        assert [people.names[page["id"]] for page in ask(start_cursor=cursor)["results"]] == ["Cleo", "Dora"]
        people.add("Constance")
        dora = next(page_id for page_id, name in people.names.items() if name == "Dora")
        people.client.pages.update(dora, in_trash=True)
        assert [people.names[page["id"]] for page in ask(start_cursor=cursor)["results"]] == ["Cleo", "Constance"]


def test_a_keyed_query_sees_every_change() -> None:
    """What a page is found by follows its values, a property that was added later included."""
    now = [BEGIN]
    with sandbox(clock=lambda: now[0]) as box:
        people = People(box, now)
        people.fill()
        anna = next(page_id for page_id, name in people.names.items() if name == "Anna")
        keyed = {"property": "Email", "email": {"equals": "anna@example.org"}}
        people.client.pages.update(
            anna, properties={"Email": {"email": "new@example.org"}, "Pause": {"checkbox": False}}
        )
        assert people.query(filter=keyed) == ""
        assert people.query(filter={"property": "Email", "email": {"equals": "new@example.org"}}) == "A"
        assert people.query(filter={"property": "Pause", "checkbox": {"equals": True}}) == ""
        people.client.data_sources.update(people.source, properties={"Stop": {"checkbox": {}}})
        assert people.query(filter={"property": "Stop", "checkbox": {"equals": False}}) == "DCBA"
        people.client.pages.update(anna, archived=True)
        assert people.query(filter={"property": "Email", "email": {"equals": "new@example.org"}}) == ""
