"""The Notion stand-in behaves as Notion does, as seen through the real client and plain HTTP: databases, pages, blocks
and search."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.support.sandbox_server import Sandbox, row, sandbox, text, wrong

ARCHIVED = "Can't edit block that is archived. You must unarchive the block before editing."
NOON = "2026-11-21T12:00"


def test_a_database_holds_data_sources_and_they_hold_the_properties(box: Sandbox, notion: Any) -> None:
    """A database names its data sources and has no properties; those outside of `initial_data_source` are ignored, as
    they are there."""
    page_id = box.seed("page")["page_id"]
    database = notion.databases.create(
        parent={"page_id": page_id}, title=text("People"), initial_data_source={"properties": {"Who": {"title": {}}}}
    )
    assert "properties" not in database
    (source,) = database["data_sources"]
    assert source["name"] == "People"
    assert list(notion.data_sources.retrieve(source["id"])["properties"]) == ["Who"]
    ignored = box.notion(
        "POST", "/databases", json={"parent": {"page_id": page_id}, "properties": {"Who": {"title": {}}}}
    ).json()
    assert list(notion.data_sources.retrieve(ignored["data_sources"][0]["id"])["properties"]) == ["Name"]
    second = notion.data_sources.create(
        parent={"database_id": database["id"]}, title=text("More"), properties={"Name": {"title": {}}}
    )
    assert [one["id"] for one in notion.databases.retrieve(database["id"])["data_sources"]] == [
        source["id"],
        second["id"],
    ]
    page = {"parent": {"database_id": database["id"]}, "properties": {}}
    assert "multiple data sources" in box.notion("POST", "/pages", json=page).json()["message"]
    assert notion.databases.update(database["id"], title=text("Folk"))["title"][0]["plain_text"] == "Folk"


def test_a_schema_can_be_added_to_renamed_retyped_and_pruned(notion: Any, tracker: str) -> None:
    """Values stay under a new name, words stay words in another type, what cannot be converted is empty, and an added
    property is empty."""
    page = row(
        notion,
        tracker,
        Email={"email": "jane@example.org"},
        Last_Error={"rich_text": text("no answer")},
        Pause={"checkbox": True},
    )
    changes = {
        "Email": {"name": "Mail"},
        "Last Error": {"url": {}},
        "Pause": {"number": {}},
        "Paused At": None,
        "Extra": {"rich_text": {}},
    }
    schema = notion.data_sources.update(tracker, properties=changes)["properties"]
    assert {"Mail", "Extra"} <= schema.keys() and not {"Email", "Paused At"} & schema.keys()
    values = notion.pages.retrieve(page["id"])["properties"]
    assert (values["Mail"]["email"], values["Last Error"]["url"], values["Pause"]["number"]) == (
        "jane@example.org",
        "no answer",
        None,
    )
    assert values["Extra"]["rich_text"] == [] and values["Mail"]["id"] == page["properties"]["Email"]["id"]
    found = notion.data_sources.query(tracker, filter={"property": "Last Error", "url": {"equals": "no answer"}})[
        "results"
    ]
    assert [one["id"] for one in found] == [page["id"]]
    assert "Cannot delete title" in str(wrong(notion.data_sources.update, tracker, properties={"Name": None}))
    assert "already exists" in str(wrong(notion.data_sources.update, tracker, properties={"Mail": {"name": "Extra"}}))
    assert "title" in str(wrong(notion.data_sources.update, tracker, properties={"Two": {"title": {}}}))


def test_a_page_is_returned_in_full(notion: Any, tracker: str, box: Sandbox) -> None:
    """Every property of the schema is there with id, type and payload; a date is kept to the minute in UTC; the link
    leads to the page."""
    page = row(
        notion,
        tracker,
        Anchor={"date": {"start": f"{NOON}:59.999-05:00"}},
        Next_Email_At={"date": {"start": "2026-11-22"}},
    )
    assert page["properties"].keys() == notion.data_sources.retrieve(tracker)["properties"].keys()
    assert all(value["type"] in value for value in page["properties"].values())
    assert page["properties"]["Anchor"]["date"] == {
        "start": "2026-11-21T17:00:00.000+00:00",
        "end": None,
        "time_zone": None,
    }
    assert page["properties"]["Next Email At"]["date"]["start"] == "2026-11-22"
    assert page["properties"]["Name"]["title"][0]["plain_text"] == "Jane"
    assert (page["parent"]["data_source_id"], page["archived"], page["in_trash"], page["public_url"]) == (
        tracker,
        False,
        False,
        None,
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00\.000Z", page["created_time"])
    assert page["created_by"]["id"] == notion.users.me()["id"]
    again = notion.pages.retrieve(page["id"].replace("-", ""))
    assert again | {"request_id": ""} == page | {"request_id": ""}
    assert page["url"].startswith(f"{box.url}/notion/p/Jane-")
    some = notion.pages.retrieve(page["id"], filter_properties=[page["properties"]["Anchor"]["id"], "title"])
    assert some["properties"].keys() == {"Anchor", "Name"}


def test_one_property_can_be_read(notion: Any, tracker: str) -> None:
    """Texts come as a list of items, everything else as one item."""
    page = row(notion, tracker, Email={"email": "jane@example.org"})
    title = notion.pages.properties.retrieve(page["id"], "title")
    assert [item["title"]["plain_text"] for item in title["results"]] == ["Jane"]
    email = notion.pages.properties.retrieve(page["id"], page["properties"]["Email"]["id"])
    assert (email["object"], email["type"], email["email"]) == ("property_item", "email", "jane@example.org")


def test_writing_an_option_creates_it_but_not_a_status(box: Sandbox, notion: Any, tracker: str) -> None:
    """A new select option is in the schema afterward, once; a status must exist; both are answered with id, name and
    color."""
    first, second = (
        row(notion, tracker, Campaign={"select": {"name": "Christmas 2025"}})["properties"]["Campaign"]["select"]
        for _ in range(2)
    )
    assert first == second and first.keys() == {"id", "name", "color"}
    assert [
        option["name"]
        for option in notion.data_sources.retrieve(tracker)["properties"]["Campaign"]["select"]["options"]
    ] == ["Christmas 2025"]
    notion.data_sources.update(
        tracker, properties={"Stage": {"status": {"options": [{"name": "New"}]}}, "Tags": {"multi_select": {}}}
    )
    page = row(notion, tracker, Tags={"multi_select": [{"name": "a"}, {"name": "b"}]})
    assert [option["name"] for option in page["properties"]["Tags"]["multi_select"]] == ["a", "b"]
    assert page["properties"]["Stage"]["status"]["name"] == "New"
    error = wrong(row, notion, tracker, Stage={"status": {"name": "Old"}})
    assert str(error) == 'Invalid status option. Status option "Old" does not exist".'
    groups = notion.data_sources.retrieve(tracker)["properties"]["Stage"]["status"]["groups"]
    assert [(group["name"], len(group["option_ids"])) for group in groups] == [
        ("To-do", 1),
        ("In progress", 0),
        ("Complete", 0),
    ]


def test_a_unique_id_numbers_the_pages(notion: Any, tracker: str) -> None:
    """Those that are there already get theirs, too."""
    first = row(notion, tracker)
    notion.data_sources.update(tracker, properties={"ID": {"unique_id": {"prefix": "EV"}}})
    assert row(notion, tracker)["properties"]["ID"]["unique_id"] == {"prefix": "EV", "number": 2}
    assert notion.pages.retrieve(first["id"])["properties"]["ID"]["unique_id"]["number"] == 1


def test_a_trashed_page_is_not_found_and_cannot_be_edited_until_it_is_restored(notion: Any, tracker: str) -> None:
    """Queries leave it out (unless asked for the trash), reading still works, and each edit is refused, even trashing
    it again."""
    page = row(notion, tracker)
    assert notion.pages.update(page["id"], archived=True)["in_trash"] is True
    assert notion.data_sources.query(tracker)["results"] == []
    assert [one["id"] for one in notion.data_sources.query(tracker, in_trash=True)["results"]] == [page["id"]]
    assert notion.pages.retrieve(page["id"])["archived"] is True
    edits: list[dict[str, Any]] = [
        {"properties": {"Pause": {"checkbox": True}}},
        {"in_trash": True},
        {"archived": True},
    ]
    for edit in edits:
        assert str(wrong(notion.pages.update, page["id"], **edit)) == ARCHIVED
    assert str(wrong(notion.blocks.delete, page["id"])) == ARCHIVED
    assert str(wrong(notion.blocks.children.append, page["id"], children=[])) == ARCHIVED
    assert (
        str(wrong(notion.pages.update_markdown, page["id"], type="replace_content", replace_content={"new_str": "x"}))
        == ARCHIVED
    )
    assert notion.pages.update(page["id"], in_trash=False)["archived"] is False
    assert len(notion.data_sources.query(tracker)["results"]) == 1


def test_blocks_are_appended_where_they_should_be(notion: Any, tracker: str) -> None:
    """At the end, after a block, or at the start; nested ones lie in their parent; a deleted one is gone from the
    list."""
    page = row(notion, tracker)

    def append(words: str, **where: Any) -> str:
        added = notion.blocks.children.append(page["id"], children=[{"paragraph": {"rich_text": text(words)}}], **where)
        return str(added["results"][0]["id"])

    def listed(parent: str = "") -> list[str]:
        found = notion.blocks.children.list(parent or page["id"])["results"]
        return [block[block["type"]]["rich_text"][0]["plain_text"] for block in found]

    first, last = append("first"), append("last")
    append("second", after=first)
    append("zeroth", position={"type": "start"})
    append("end", after=last)
    assert listed() == ["zeroth", "first", "second", "last", "end"]
    inner = [{"bulleted_list_item": {"rich_text": text("inner")}}]
    outer = notion.blocks.children.append(
        page["id"], children=[{"bulleted_list_item": {"rich_text": text("outer"), "children": inner}}]
    )["results"][0]
    assert outer["has_children"] and listed(outer["id"]) == ["inner"]
    assert notion.blocks.delete(last)["in_trash"] is True
    assert "last" not in listed()
    assert (
        str(wrong(notion.blocks.update, first, heading_1={"rich_text": []}))
        == "Expected block type paragraph in request body"
    )
    assert notion.pages.update(page["id"], erase_content=True) and listed() == []


def test_an_edit_by_blocks_or_markdown_counts_as_an_edit_of_the_page() -> None:
    """`last_edited_time` moves with the content, so a changed template is noticed."""
    now = [1_800_000_000.0]
    with sandbox(clock=lambda: now[0]) as box:
        notion = box.notion_client()
        page = row(notion, box.seed()["tracker"]["data_source_id"])
        times = [page["last_edited_time"]]
        edits: list[Callable[[], Any]] = [
            lambda: notion.blocks.children.append(page["id"], children=[{"paragraph": {"rich_text": text("x")}}]),
            lambda: notion.pages.update_markdown(page["id"], type="replace_content", replace_content={"new_str": "y"}),
            lambda: notion.pages.update(page["id"], properties={"Pause": {"checkbox": True}}),
        ]
        for edit in edits:
            now[0] += 60
            edit()
            times.append(notion.pages.retrieve(page["id"])["last_edited_time"])
        assert times == sorted(set(times)) and page["created_time"] == notion.pages.retrieve(page["id"])["created_time"]


def test_search_finds_titles_after_a_lag() -> None:
    """New things are found after the lag only; pages and data sources by part of their title, the last edited first,
    page by page."""
    now = [1_800_000_000.0]
    with sandbox(clock=lambda: now[0]) as box:
        box.post("/limits", {"notion_search_lag_ms": 2000})
        notion, made = box.notion_client(), box.seed()
        row(notion, made["tracker"]["data_source_id"], "Jane Doe")
        assert notion.search(query="jane")["results"] == []
        now[0] += 2
        row(notion, made["contacts"]["data_source_id"], "Jane Roe")
        assert [
            one["properties"]["Name"]["title"][0]["plain_text"] for one in notion.search(query="jane")["results"]
        ] == ["Jane Doe"]
        now[0] += 2
        found = notion.search(
            query="JANE", sort={"timestamp": "last_edited_time", "direction": "descending"}, page_size=1
        )
        assert found["has_more"] and found["results"][0]["properties"]["Name"]["title"][0]["plain_text"] == "Jane Roe"
        assert not notion.search(query="JANE", start_cursor=found["next_cursor"])["has_more"]
        sources = notion.search(filter={"property": "object", "value": "data_source"})["results"]
        assert {one["id"] for one in sources} == {
            made[key]["data_source_id"] for key in ("contacts", "tracker", "email_log", "templates")
        }
        for bad in (
            {"filter": {"property": "object", "value": "database"}},
            {"sort": {"timestamp": "created_time"}},
            {"start_cursor": "x"},
        ):
            assert wrong(notion.search, **bad).code == "validation_error"
        notion.blocks.delete(found["results"][0]["id"])
        assert len(notion.search(query="jane")["results"]) == 1


def test_layouts_are_made_once(box: Sandbox) -> None:
    """A layout gives the same ids again; that of the earlier builds has the required properties only; two of one name
    are kept apart."""
    notion = box.notion_client()
    assert box.get("/notion.json") == {}
    made, old = box.seed("evergreen"), box.seed("earlier-builds")
    assert (box.seed("evergreen"), box.seed("earlier-builds")) == (made, old)
    schema = notion.data_sources.retrieve(old["tracker"]["data_source_id"])["properties"]
    assert schema.keys() == {
        "Name",
        "Email",
        "Campaign",
        "Segment",
        *(f"Email {number} Sent" for number in range(1, 8)),
    }
    assert (
        notion.databases.retrieve(made["templates"]["database_id"])["data_sources"][0]["id"]
        == made["templates"]["data_source_id"]
    )
    assert notion.pages.retrieve(made["page_id"])["parent"] == {"type": "workspace", "workspace": True}
    assert list(box.get("/notion/count")) == [
        "Contacts",
        "Email Sequence",
        "Email Log",
        "Templates",
        "BusinessX Canada",
        "Email Sequence 2",
    ]
    assert box.seed("page").keys() == {"layout", "page_id"}


def test_programs_read_everything_as_plain_values(box: Sandbox, notion: Any, tracker: str) -> None:
    """`/notion.json` has each page, oldest first, those in the trash too; `/notion/count` only counts the others."""
    values = {
        "Pause": {"checkbox": True},
        "Segment": {"select": {"name": "URGENT"}},
        "Anchor": {"date": {"start": f"{NOON}:00Z", "end": "2027-01-01"}},
    }
    ids = [row(notion, tracker, f"Row {number}", **values)["id"] for number in range(120)]
    notion.pages.update(ids[0], archived=True)
    pages = box.get("/notion.json")["Email Sequence"]
    assert [page["id"] for page in pages] == ids
    assert [page["in_trash"] for page in pages[:2]] == [True, False]
    plain = pages[1]["properties"]
    assert (plain["Name"], plain["Pause"], plain["Segment"], plain["Status"], plain["Email"]) == (
        "Row 1",
        True,
        "URGENT",
        None,
        None,
    )
    assert plain["Anchor"] == ["2026-11-21T12:00:00.000+00:00", "2027-01-01"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", pages[1]["created_time"])
    assert box.get("/notion/count")["Email Sequence"] == 119
