"""The sandbox against what is known of Notion: recorded exchanges, facts and a part of its OpenAPI file, through the
real client.

Those files are not part of the project; the tests skip unless CONTRACTS_DIR says where they are.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import jsonschema
import pytest
from notion_client import APIResponseError

from local.sandbox.limits import DEFAULTS
from local.sandbox.notion import blocks, pagination, query, richtext, routes, users, values
from tests.support.sandbox_server import Sandbox, text

CONTRACTS = Path(os.environ.get("CONTRACTS_DIR", ""))
pytestmark = pytest.mark.skipif(
    "CONTRACTS_DIR" not in os.environ, reason="CONTRACTS_DIR does not say where Notion's contracts are"
)
RECORDED = (
    sorted(path.name for path in (CONTRACTS / "notion-recorded").glob("*.json"))
    if "CONTRACTS_DIR" in os.environ
    else ["none"]
)
API = "https://api.notion.com/v1/"
HOME = "393abc1e-edcd-80f3-813b-e205934558c6"  # the page in which everything was recorded
ID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)")
UNIMITATED = ("/v1/comments", "/v1/pages/{page_id}/move", "/v1/data_sources/{data_source_id}/templates")
ALL_TYPES: dict[str, Any] = {
    "Title": {"title": {}},
    **{kind: {kind: {}} for kind in values.TEXTS if kind != "title"},
    **{
        kind: {kind: {}}
        for kind in ("number", "checkbox", "select", "status", "multi_select", "date", *values.COMPUTED)
    },
}


def contract(name: str) -> Any:
    """One of the contracts' JSON files."""
    return json.loads((CONTRACTS / name).read_text(encoding="utf-8"))


class Replay:
    """Plays recorded exchanges against a sandbox, where each object has another id.

    Args:
        box: the sandbox.
        home: the sandbox's page that stands for HOME.
    """

    def __init__(self, box: Sandbox, home: str) -> None:
        self._box = box
        self._ids = {HOME: home, HOME.replace("-", ""): home.replace("-", "")}

    def _ours(self, recorded: str) -> str:
        return ID.sub(lambda found: self._ids.get(found[0], found[0]), recorded)

    def play(self, exchange: dict[str, Any]) -> None:
        """Send a request as it was recorded, and compare the answer."""
        url = urlparse(self._ours(exchange["uri"].removeprefix(API)))
        body = json.loads(self._ours(json.dumps(exchange["request_body"])))
        client = self._box.notion_client(auth="ntn_invalid" if exchange["status"] == 401 else "ntn_sandbox")
        try:
            answer = client.request(
                url.path, exchange["method"], {name: found[0] for name, found in parse_qs(url.query).items()}, body
            )
            status = 200
        except APIResponseError as error:
            answer, status = json.loads(error.body), error.status
        assert status == exchange["status"]
        self._compare(answer, exchange["response_body"], exchange["uri"])

    def _compare(self, ours: Any, theirs: Any, where: str) -> None:
        """Check that two answers say the same, except for ids, times and names; ids are remembered."""
        assert type(ours) is type(theirs) or where.endswith("avatar_url"), where
        if isinstance(theirs, dict):
            assert ours.keys() == theirs.keys(), where
            for key, value in theirs.items():
                self._compare(ours[key], value, f"{where} {key}")
        elif isinstance(theirs, list):
            assert len(ours) == len(theirs), where
            for index, value in enumerate(theirs):
                self._compare(ours[index], value, f"{where} [{index}]")
        elif isinstance(theirs, str):
            self._compare_text(ours, theirs, where)
        elif "workspace_limits" not in where:
            assert ours == theirs, where

    def _compare_text(self, ours: str, theirs: str, where: str) -> None:
        if ID.fullmatch(theirs):
            assert str(uuid.UUID(ours)) == ours, where
            self._ids |= {theirs: ours, theirs.replace("-", ""): ours.replace("-", "")}
        elif TIME.fullmatch(theirs):
            assert re.sub(r"\d", "0", ours) == re.sub(r"\d", "0", theirs), where
            assert ours.endswith(":00.000Z") == theirs.endswith(":00.000Z"), where
        elif theirs.startswith("https://app.notion.com/"):
            assert urlparse(ours).path == "/notion" + urlparse(self._ours(theirs)).path, where
        elif "/users" not in where or "message" in where:
            assert ours == self._ours(theirs).replace("notion-sdk-py", "Evergreen"), where


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_exchanges_give_the_same_answers(box: Sandbox, name: str) -> None:
    """Each request that Notion was seen to answer is answered alike: keys, types, texts and order, except for ids,
    times and names."""
    assert box.state
    with box.state.notion.transaction():
        content: dict[str, Any] = {"icon": None, "cover": None, "is_locked": False, "values": {}}
        home = box.state.notion.insert("page", None, content, by=users.PERSON)
    replay = Replay(box, home.id)
    exchanges = contract(f"notion-recorded/{name}")
    for exchange in exchanges if isinstance(exchanges, list) else [exchanges]:
        if exchange["uri"].startswith(API):
            replay.play(exchange)


def test_the_limits_match_the_facts() -> None:
    """The limits that the facts name are the sandbox's."""
    limits = contract("notion-facts.json")["limits"]
    assert limits["rich_text.text.content"] == richtext.MAX_CHARS
    assert limits["text.link.url"] == richtext.MAX_URL
    assert {name: limits[name] for name in values.LINES} == values.LINES
    assert limits["payload_blocks"] == blocks.MAX_BLOCKS
    assert limits["payload_bytes"] == routes.MAX_BODY
    assert (limits["page_size_max"], limits["rows_per_query"]) == (pagination.PAGE, query.ROWS)
    assert DEFAULTS["notion_query_rows"] == query.ROWS
    assert "180 requests / 60 s" in contract("notion-facts.json")["rate"]["per_connection"]
    assert DEFAULTS["notion_per_second"] * DEFAULTS["notion_window_seconds"] == 180


def everything(client: Any, page_id: str) -> Any:
    """A data source with a property of each type."""
    database = client.databases.create(
        parent={"page_id": page_id}, title=text("All"), initial_data_source={"properties": ALL_TYPES}
    )
    return database["data_sources"][0]["id"]


def test_every_filter_and_sort_of_the_facts_is_understood(box: Sandbox) -> None:
    """Each condition that the facts list for a type is accepted for it, and so are the examples, in a list of the known
    form."""
    facts = contract("notion-facts.json")
    client = box.notion_client()
    source = everything(client, box.seed("page")["page_id"])
    client.data_sources.update(source, properties={"Name": {"rich_text": {}}, "Email": {"email": {}}})
    wanted: dict[str, Any] = {
        "checkbox": True,
        "number": 1,
        "unique_id": 1,
        "date": "today",
        "created_time": "2026-11-01",
        "last_edited_time": "today",
    }
    tried = 0
    for types, conditions in facts["filters"].items():
        for kind in (
            types.split("|")
            if types not in ("compound", "relative_date_strings", "timestamp_filter", "example")
            else ()
        ):
            for condition in (one.partition(" ")[0] for one in conditions):
                value: Any = wanted.get(kind, "a")
                if condition.startswith("is_"):
                    value = True
                elif condition.startswith(("this_", "past_", "next_")):
                    value = {}
                one = {
                    "property": "Title" if kind == "title" else kind,
                    kind: {condition: value},
                }
                client.data_sources.query(source, filter={"and": [one]})
                tried += 1
    assert tried > 80
    for day in facts["filters"]["relative_date_strings"]:
        client.data_sources.query(source, filter={"property": "date", "date": {"equals": day}})
    client.data_sources.query(source, filter=facts["filters"]["timestamp_filter"], sorts=facts["sorts"])
    answer = client.data_sources.query(source, filter=facts["filters"]["example"])
    assert answer.keys() == facts["list_envelope"].keys()
    assert all(
        answer[name] == facts["list_envelope"][name]
        for name in ("object", "results", "next_cursor", "has_more", "type")
    )


def test_every_written_value_and_property_of_the_facts_is_accepted(box: Sandbox) -> None:
    """The facts' examples of a schema and of values are accepted, and each value is answered with its id, type and
    payload."""
    facts = contract("notion-facts.json")
    client = box.notion_client()
    page_id = box.seed("page")["page_id"]
    schema = facts["schema_create"]
    schema["Customer"]["relation"]["data_source_id"] = box.seed()["contacts"]["data_source_id"]
    made = client.databases.create(parent={"page_id": page_id}, initial_data_source={"properties": schema})[
        "data_sources"
    ][0]["id"]
    assert client.data_sources.retrieve(made)["properties"].keys() == schema.keys()
    source = everything(client, page_id)
    client.data_sources.update(
        source, properties={"relation": schema["Customer"], "status": {"status": {"options": [{"name": "Active"}]}}}
    )
    given = {kind: value for kind, value in facts["write_values"].items() if kind != "clear"}
    given["relation"]["relation"][0]["id"] = page_id
    given["Title"] = given.pop("title")
    page = client.pages.create(parent={"data_source_id": source}, properties=given)
    for name, value in page["properties"].items():
        assert value.keys() - {"has_more"} == {"id", "type", value["type"]}, name
    assert page["properties"]["date"]["date"]["start"].startswith("2026-11-21T21:50:00.000")
    assert (
        page["properties"]["rich_text"]["rich_text"][0]["plain_text"]
        == given["rich_text"]["rich_text"][0]["text"]["content"]
    )
    empty: dict[str, Any] = {
        kind: {kind: [] if isinstance(value[kind], list) else None}
        for kind, value in given.items()
        if kind not in ("Title", "checkbox")
    }
    cleared = client.pages.update(page["id"], properties=empty)["properties"]
    assert all(not cleared[kind][kind] for kind in empty if kind != "status")


def test_the_messages_match_the_facts(box: Sandbox) -> None:
    """What the facts quote is what the sandbox says."""
    examples = contract("notion-facts.json")["message_examples"]
    client = box.notion_client()
    source = everything(client, box.seed("page")["page_id"])
    client.data_sources.update(source, properties={"X": {"rich_text": {}}})
    row = {"parent": {"data_source_id": source}}
    answers = {
        "missing_field": box.notion("POST", "/pages", json=row),
        "too_long": box.notion("POST", "/pages", json=row | {"properties": {"X": {"rich_text": text("x" * 2242)}}}),
        "bad_url": box.notion("GET", "/nothing"),
        "json": box.notion("POST", "/pages", data=b"{"),
        "bad_token": box.notion("GET", "/users/me", headers={"Authorization": "Bearer ntn_invalid"}),
    }
    assert {name: answer.json()["message"] for name, answer in answers.items()} == examples


def test_every_error_is_one_of_the_facts(box: Sandbox) -> None:
    """Each refusal has a status and a code that Notion uses, in Notion's shape; rate limits and overload say when to
    come back."""
    facts = contract("notion-facts.json")
    known = {(int(status), code) for status, code in facts["errors"]}
    answers = [
        box.notion("GET", f"/pages/{uuid.uuid4()}"),
        box.notion("GET", "/pages/1"),
        box.notion("GET", "/nothing"),
    ]
    answers += [
        box.notion("GET", "/users", headers=headers) for headers in ({}, {"Authorization": "Bearer ntn_sandbox"})
    ]
    answers.append(box.notion("POST", "/search", data=b"{"))
    for status in (400, 401, 403, 404, 409, 429, 500, 502, 503, 504, 529):
        box.fault("status", provider="notion", status=status)
        answers.append(box.notion("GET", "/users"))
    box.fault("quota", provider="notion")
    answers.append(box.notion("GET", "/users"))
    for answer in answers:
        body = answer.json()
        assert body.keys() - {"additional_data"} == facts["error_body"].keys() - {"additional_data"}
        assert body["status"] == answer.status_code
        assert (answer.status_code, body["code"]) in known
        if answer.status_code == 429:
            assert body["additional_data"]["rate_limit_reason"] in facts["rate"]["rate_limit_reason"]
            assert body["additional_data"].keys() == set(facts["rate"]["429"]["additional_data"])
        assert ("retry-after" in answer.headers) == (answer.status_code in (429, 529))


def test_every_path_in_the_openapi_file_exists(box: Sandbox) -> None:
    """Each route that Evergreen may need is known, and the answers about Markdown conform to their schema."""
    paths = contract("notion-openapi-mcp-subset-2025-09-03.json")["paths"]
    for path, operations in paths.items():
        for method in operations if path not in UNIMITATED else ():
            route = re.sub(r"\{\w+\}", str(uuid.uuid4()), path.removeprefix("/v1"))
            assert box.notion(method.upper(), route, json={}).json().get("code") != "invalid_request_url", (
                method,
                path,
            )
    client = box.notion_client()
    page = client.pages.create(
        parent={"page_id": box.seed("page")["page_id"]}, properties={"title": text("Hi")}, markdown="# Hi"
    )
    edits = {"type": "replace_content", "replace_content": {"new_str": "Hello"}}
    for method, answer in (
        ("get", client.pages.retrieve_markdown(page["id"])),
        ("patch", client.pages.update_markdown(page["id"], **edits)),
    ):
        schema = paths["/v1/pages/{page_id}/markdown"][method]["responses"]["200"]["content"]["application/json"][
            "schema"
        ]
        jsonschema.validate(answer, schema | {"required": list(schema["properties"])})
