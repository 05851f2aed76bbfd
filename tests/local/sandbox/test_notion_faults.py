"""The Notion stand-in's rate limit and faults, what a restart keeps, and what a reset forgets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from notion_client import APIResponseError
from notion_client.client import RetryOptions
from notion_client.errors import RequestTimeoutError, UnknownHTTPResponseError

from local.sandbox.limits import DEFAULTS
from tests.support.sandbox_server import Sandbox, sandbox, sandbox_process, stand_still, text, wrong
from tests.support.waiting import SOON, WITHIN, until


def fault(box: Sandbox, kind: str, **fields: Any) -> None:
    """Set a fault at Notion, for one request."""
    box.fault(kind, provider="notion", **fields)


def contact(box: Sandbox) -> dict[str, Any]:
    """What to create a contact with."""
    return {
        "parent": {"data_source_id": box.seed()["contacts"]["data_source_id"]},
        "properties": {"Name": {"title": text("Jane")}},
    }


def contacts(box: Sandbox) -> list[str]:
    """The ids of the contacts that were saved."""
    return [page["id"] for page in box.get("/notion.json")["Contacts"]]


def test_a_burst_passes_and_then_the_window_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """180 requests of a minute pass at once; the next one learns in whole seconds when to come back, and so does a
    wrong one."""
    stand_still(monkeypatch)
    with sandbox(rate=None) as box:
        answers = [box.notion("GET", "/users/me").status_code for _ in range(180)]
        assert answers == [200] * 180
        refused = box.notion("GET", "/nothing")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        seconds = int(refused.headers["retry-after"])
        assert seconds == 60
        assert refused.json()["additional_data"] == {
            "retry_after": seconds,
            "rate_limit_reason": "public_api_request_rate_limit",
        }


def test_the_window_and_the_rate_can_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two a second in a window of one second, the third is refused; the client waits as long as it should and then
    gets through."""
    with sandbox(rate=None) as box:
        assert box.post("/limits", {"notion_per_second": 2, "notion_window_seconds": 1})["notion_per_second"] == 2
        with monkeypatch.context() as still:
            stand_still(still)
            assert [box.notion("GET", "/users/me").status_code for _ in range(3)] == [200, 200, 429]
        patient = box.notion_client(retry=RetryOptions(max_retries=2))
        assert [patient.users.me()["type"] for _ in range(3)] == ["bot"] * 3


@pytest.mark.parametrize(
    ("status", "code", "raised"),
    [
        (400, "validation_error", APIResponseError),
        (401, "unauthorized", APIResponseError),
        (403, "restricted_resource", APIResponseError),
        (404, "object_not_found", APIResponseError),
        (409, "conflict_error", APIResponseError),
        (429, "rate_limited", APIResponseError),
        (500, "internal_server_error", APIResponseError),
        (502, "bad_gateway", UnknownHTTPResponseError),
        (503, "service_unavailable", APIResponseError),
        (504, "gateway_timeout", APIResponseError),
        (529, "service_overload", UnknownHTTPResponseError),
    ],
)
def test_a_status_fault_is_answered_as_notion_would(
    box: Sandbox, status: int, code: str, raised: type[Exception]
) -> None:
    """The real client raises what it raises there; nothing is saved; then everything works again."""
    row = contact(box)
    fault(box, "status", status=status)
    with pytest.raises(raised) as caught:
        box.notion_client().pages.create(**row)
    error: Any = caught.value
    body = json.loads(error.body)
    assert (error.status, body["code"], body["object"]) == (status, code, "error")
    assert error.headers.get("retry-after") == ("1" if status in (429, 529) else None)
    assert contacts(box) == []
    assert box.notion_client().pages.create(**row)["id"] == contacts(box)[0]


def test_the_code_of_a_fault_can_be_named(box: Sandbox) -> None:
    """For the codes that share a status."""
    fault(box, "status", status=503, name="database_connection_unavailable")
    assert box.notion("GET", "/users").json()["code"] == "database_connection_unavailable"


@pytest.mark.parametrize(("given", "header"), [(7, "7"), (1.5, "1.5")])
def test_a_quota_refuses_everything_and_says_when_to_retry(box: Sandbox, given: float, header: str) -> None:
    """Whole seconds or a fraction are in the header and in the body; the reason is the workspace's limit, or as
    named."""
    fault(box, "quota", retry_after=given)
    answer = box.notion("GET", "/users")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, header)
    assert answer.json()["additional_data"] == {
        "retry_after": given,
        "rate_limit_reason": "public_api_space_request_rate_limit",
    }
    fault(box, "quota", name="public_api_request_blocked")
    assert (
        box.notion("POST", "/search", json={}).json()["additional_data"]["rate_limit_reason"]
        == "public_api_request_blocked"
    )


@pytest.mark.parametrize(("kind", "saved"), [("timeout-before", 0), ("timeout-after", 1)])
def test_a_timeout_leaves_the_client_without_an_answer(box: Sandbox, kind: str, saved: int) -> None:
    """The client gives up, whether or not the page was saved; the fault after saving passes over what only reads."""
    row = contact(box)
    fault(box, kind)
    if saved:
        assert box.notion("POST", f"/data_sources/{row['parent']['data_source_id']}/query", json={}).status_code == 200
    with pytest.raises(RequestTimeoutError):
        box.notion_client(timeout_ms=SOON * 1000).pages.create(**row)
    until(lambda: box.get("/faults") == [] and (not saved or box.at_work() == 0))
    assert len(contacts(box)) == saved


@pytest.mark.parametrize(("after", "saved"), [(False, 0), (True, 1)])
def test_a_dropped_connection_raises_what_httpx_raises(box: Sandbox, after: bool, saved: int) -> None:
    """The client does not wrap it; an update that is dropped after saving is saved."""
    row = contact(box)
    fault(box, "disconnect", after=after)
    with pytest.raises(httpx.TransportError):
        box.notion_client().pages.create(**row)
    assert len(contacts(box)) == saved
    page = box.notion_client().pages.create(**row)
    fault(box, "disconnect", after=after)
    with pytest.raises(httpx.TransportError):
        box.notion_client().pages.update(page["id"], properties={"Consent": {"checkbox": True}})
    assert box.get("/notion.json")["Contacts"][-1]["properties"]["Consent"] is bool(saved)


def test_a_saved_write_that_is_answered_503_says_what_was_saved(box: Sandbox) -> None:
    """A created page's id, an append's child ids, and for an update only the advice not to repeat it."""
    notion, row = box.notion_client(), contact(box)
    fault(box, "commit-then-503")
    error = wrong(notion.pages.create, **row)
    page_id = contacts(box)[0]
    assert (error.status, error.code, error.additional_data and error.additional_data["committed_resource_id"]) == (
        503,
        "service_unavailable",
        page_id,
    )
    fault(box, "commit-then-503")
    appended: Any = wrong(
        notion.blocks.children.append, page_id, children=[{"paragraph": {"rich_text": text("x")}}]
    ).additional_data
    assert appended["committed_child_ids"] == [block["id"] for block in notion.blocks.children.list(page_id)["results"]]
    fault(box, "commit-then-503")
    updated: Any = wrong(notion.pages.update, page_id, properties={"Consent": {"checkbox": True}}).additional_data
    assert updated.keys() == {"retry_guidance"} and all(isinstance(advice, str) for advice in updated["retry_guidance"])
    assert notion.pages.retrieve(page_id)["properties"]["Consent"]["checkbox"] is True


def test_a_refused_write_is_not_saved(box: Sandbox) -> None:
    """A fault after accepting leaves a request alone that was refused for itself."""
    fault(box, "commit-then-503")
    row = contact(box) | {"properties": {"Nme": {"title": []}}}
    assert wrong(box.notion_client().pages.create, **row).status == 400


def test_html_comes_instead_of_json(box: Sandbox) -> None:
    """As from a proxy on the way: with 200 the client fails to decode it, with 502 it raises its own error; a 200 must
    be HTML."""
    fault(box, "status", status=200, body="html")
    with pytest.raises(json.JSONDecodeError):
        box.notion_client().users.me()
    fault(box, "status", status=502, body="html")
    with pytest.raises(UnknownHTTPResponseError):
        box.notion_client().users.me()
    answer = requests.post(
        f"{box.url}/faults", json={"provider": "notion", "kind": "status", "status": 200}, timeout=WITHIN
    )
    assert answer.status_code == 422


def test_a_fault_of_one_provider_leaves_the_other_alone(box: Sandbox) -> None:
    """Each has its own."""
    fault(box, "status", count=None)
    assert box.resend("GET", "/emails").status_code == 200
    assert box.notion("GET", "/users").status_code == 500


def test_a_failed_request_leaves_nothing_behind(box: Sandbox) -> None:
    """A page whose body is refused is not there at all: a request is saved whole or not."""
    row = contact(box) | {"children": [{"paragraph": {"rich_text": text("x" * 2001)}}]}
    assert wrong(box.notion_client().pages.create, **row).status == 400
    assert contacts(box) == []


def test_state_survives_the_process(tmp_path: Path) -> None:
    """Pages, bodies, layouts and limits are there again after kill -9; emails and Notion share the file."""
    with sandbox_process(tmp_path) as (box, _):
        made = box.seed()
        page = box.notion_client().pages.create(**contact(box), markdown="# Hi")
        box.post("/limits", {"notion_per_second": 500, "notion_search_lag_ms": 0})
    with sandbox_process(tmp_path) as (box, _):
        assert (box.seed(), contacts(box)) == (made, [page["id"]])
        assert box.notion_client().pages.retrieve_markdown(page["id"])["markdown"] == "# Hi"
        assert box.notion_client().search(query="Jane")["results"][0]["id"] == page["id"]
        assert box.get("/limits")["notion_per_second"] == 500
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".db"] == ["sandbox.db"]


def test_reset_empties_the_workspace(box: Sandbox) -> None:
    """Nothing is left, the limits are the real ones, the window is empty, and a layout is made again with other ids."""
    made = box.seed()
    box.notion_client().pages.create(**contact(box))
    fault(box, "status", count=None)
    box.post("/reset")
    assert (box.get("/notion.json"), box.get("/faults"), box.get("/limits")) == ({}, [], DEFAULTS)
    assert box.notion("GET", f"/pages/{made['page_id']}").status_code == 404
    assert box.seed() != made


@pytest.mark.parametrize(
    "limits",
    [{"notion_per_second": 0}, {"notion_window_seconds": 0.5}, {"notion_search_lag_ms": -1}, {"notion_query_rows": 0}],
)
def test_a_wrong_limit_is_refused(box: Sandbox, limits: dict[str, Any]) -> None:
    """What makes no sense changes nothing; no lag at all is fine."""
    before = box.get("/limits")
    assert requests.post(f"{box.url}/limits", json=limits, timeout=WITHIN).status_code == 422
    assert box.get("/limits") == before


def test_an_unknown_layout_is_refused(box: Sandbox) -> None:
    """And the ones that there are get named."""
    answer = requests.post(f"{box.url}/notion/seed", json={"layout": "other"}, timeout=WITHIN)
    assert answer.status_code == 422 and "earlier-builds" in answer.json()["error"]
