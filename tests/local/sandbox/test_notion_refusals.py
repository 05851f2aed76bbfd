"""What the Notion stand-in refuses, in Notion's words: tokens, versions, values and whole requests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.sandbox_server import NOTION, Sandbox, row, text, wrong

BODY = "body failed validation: body."
NOON = "2026-11-21T12:00"


@pytest.mark.parametrize(
    ("changes", "status", "code", "message"),
    [
        ({"Notion-Version": None}, 400, "missing_version", "should be defined, instead was `undefined`."),
        ({"Notion-Version": "2025-09"}, 400, "validation_error", 'or `"2026-03-11"`, instead was `"2025-09"`.'),
        ({"Notion-Version": "2022-06-28"}, 400, "validation_error", "the only one that this sandbox speaks"),
        ({"Authorization": None}, 401, "unauthorized", "API token is invalid."),
        ({"Authorization": "Basic ntn_sandbox"}, 401, "unauthorized", "API token is invalid."),
        ({"Authorization": "Bearer re_sandbox"}, 401, "unauthorized", "API token is invalid."),
        ({"Authorization": "Bearer ntn_invalid_1"}, 401, "unauthorized", "API token is invalid."),
    ],
)
def test_token_and_version_are_checked(
    box: Sandbox, changes: dict[str, Any], status: int, code: str, message: str
) -> None:
    """A request without a good token or with another version gets nowhere; both forms of token are good."""
    headers = {name: value for name, value in (NOTION | changes).items() if value is not None}
    answer = box.notion("GET", "/users/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert message in answer.json()["message"]
    assert box.notion("GET", "/users/me", headers=NOTION | {"Authorization": "Bearer secret_1"}).status_code == 200


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"Nme": {"title": []}}, "Nme is not a property that exists."),
        (
            {"email": {"email": "a"}, "Pause": {"select": None}},
            "email is not a property that exists. Pause is expected to be checkbox.",
        ),
        ({"Email": "jane@example.org"}, "Email is expected to be email."),
        ({"Email": {"email": "x" * 201}}, BODY + "properties.Email.email.length should be ≤ `200`, instead was `201`."),
        ({"Email": {"email": ""}}, BODY + "properties.Email.email.length should be ≥ `1`, instead was `0`."),
        ({"Email": {"email": 5}}, BODY + "properties.Email.email should be a string, instead was `5`."),
        ({"Pause": {"checkbox": "yes"}}, BODY + 'properties.Pause.checkbox should be a boolean, instead was `"yes"`.'),
        (
            {"Anchor": {"date": {"start": "soon"}}},
            BODY + 'properties.Anchor.date.start should be a valid ISO 8601 date string, instead was `"soon"`.',
        ),
        (
            {"Anchor": {"date": {"end": NOON}}},
            BODY + "properties.Anchor.date.start should be defined, instead was `undefined`.",
        ),
        (
            {"Campaign": {"select": {"name": "Now, or never"}}},
            "Invalid select option, commas not allowed: Now, or never",
        ),
        (
            {"Campaign": {"select": {"name": "x" * 101}}},
            BODY + "properties.Campaign.select.name.length should be ≤ `100`, instead was `101`.",
        ),
        (
            {"Campaign": {"select": {"title": "x"}}},
            BODY + 'properties.Campaign.select.title should be not present, instead was `"x"`.',
        ),
        (
            {"Last Error": {"rich_text": text("x") * 101}},
            BODY + "properties.Last Error.rich_text.length should be ≤ `100`, instead was `101`.",
        ),
        (
            {"Last Error": {"rich_text": text("🌲" * 1001)}},
            BODY + "properties.Last Error.rich_text[0].text.content.length should be ≤ `2000`, instead was `2002`.",
        ),
        ({"Name": {"title": "Jane"}}, BODY + 'properties.Name.title should be an array, instead was `"Jane"`.'),
        ({"Name": {"title": [{"text": {"content": "x", "link": {"url": "nowhere"}}}]}}, "Invalid URL for link."),
    ],
)
def test_a_wrong_value_is_refused_in_notions_words(
    box: Sandbox, notion: Any, tracker: str, properties: Any, message: str
) -> None:
    """Creating and updating say the same, and nothing is saved."""
    page = row(notion, tracker)
    for call, arguments in (
        (notion.pages.create, {"parent": {"data_source_id": tracker}}),
        (notion.pages.update, {"page_id": page["id"]}),
    ):
        error = wrong(call, properties=properties, **arguments)
        assert (error.status, error.code, str(error)) == (400, "validation_error", message)
    assert box.get("/notion/count")["Email Sequence"] == 1
    assert "Now" not in str(notion.data_sources.retrieve(tracker)["properties"]["Campaign"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/pages", {"properties": {}}, 400, BODY + "parent should be defined, instead was `undefined`."),
        (
            "POST",
            "/pages",
            {"parent": {"page_id": "x"}, "properties": {}},
            400,
            BODY + 'parent.page_id should be a valid uuid, instead was `"x"`.',
        ),
        (
            "POST",
            "/pages",
            {"parent": {"page_id": "{missing}"}, "properties": {}},
            404,
            "Could not find page with ID: {missing}.",
        ),
        ("POST", "/pages", {"parent": {"workspace": True}, "properties": {}}, 400, "internal integration"),
        (
            "POST",
            "/pages",
            {"parent": {"page_id": "{page}"}, "properties": {}, "color": 1},
            400,
            BODY + "color should be not present, instead was `1`.",
        ),
        (
            "GET",
            "/pages/1",
            None,
            400,
            'path failed validation: path.page_id should be a valid uuid, instead was `"1"`.',
        ),
        ("GET", "/pages/{missing}", None, 404, "Could not find page with ID: {missing}."),
        ("GET", "/databases/{source}", None, 404, "Could not find database with ID: {source}."),
        ("GET", "/data_sources/{page}", None, 404, "Could not find data_source with ID: {page}."),
        ("GET", "/blocks/{source}", None, 404, "Could not find block with ID: {source}."),
        ("GET", "/users/{page}", None, 404, "Could not find user with ID: {page}."),
        ("PUT", "/pages/{page}", {}, 400, "Invalid request URL."),
        ("POST", "/search", [], 400, "body failed validation: body should be an object, instead was `[]`."),
        ("POST", "/search", {"query": "x" * 500_000}, 400, BODY + "length should be ≤ `500000`, instead was"),
        (
            "POST",
            "/databases",
            {"parent": {"page_id": "{page}"}, "initial_data_source": {"properties": {}}},
            400,
            "Title is not provided",
        ),
        (
            "PATCH",
            "/data_sources/{source}",
            {"properties": {"X": {"color": {}}}},
            400,
            BODY + "properties.X.title should be defined, instead was",
        ),
        (
            "PATCH",
            "/blocks/{page}/children",
            {"children": [{"video": {}}]},
            400,
            BODY + "children[0].paragraph should be defined, instead was",
        ),
        (
            "PATCH",
            "/blocks/{page}/children",
            {"children": [{"paragraph": {}}] * 101},
            400,
            BODY + "children.length should be ≤ `100`, instead was",
        ),
    ],
)
def test_a_wrong_request_is_refused_in_notions_words(
    box: Sandbox, tracker: str, method: str, path: str, body: Any, status: int, message: str
) -> None:
    """Bodies, paths and ids are checked before anything is done."""
    places = {"{page}": box.seed()["page_id"], "{source}": tracker, "{missing}": "00000000-0000-4000-8000-000000000000"}

    def filled(value: str) -> str:
        for place, object_id in places.items():
            value = value.replace(place, object_id)
        return value

    if isinstance(body, dict) and "parent" in body:
        body = body | {
            "parent": {key: filled(value) if isinstance(value, str) else value for key, value in body["parent"].items()}
        }
    answer = box.notion(method, filled(path), json=body)
    assert answer.status_code == status
    assert filled(message) in answer.json()["message"]
