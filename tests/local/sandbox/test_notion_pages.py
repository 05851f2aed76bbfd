"""Notion's pages for people: tables, rows, and what can be changed there, all without JavaScript."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import requests

from tests.support.sandbox_server import Sandbox, text
from tests.support.waiting import WITHIN


def page(box: Sandbox, path: str) -> str:
    """A page's HTML."""
    answer = requests.get(box.url + path, timeout=WITHIN)
    answer.raise_for_status()
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.text


def form_of(html: str, action: str) -> dict[str, str]:
    """What a browser would send for the form with this button, before a person changes anything."""
    (form,) = [one for one in re.findall(r"<form.*?</form>", html, re.DOTALL) if f'value="{action}"' in one]
    fields = {"action": action}
    for tag in re.findall(r"<input[^>]*>", form):
        if "checkbox" not in tag or "checked" in tag:
            fields[_attribute(tag, "name")] = _attribute(tag, "value")
    for name, options in re.findall(r'<select[^>]*name="([^"]*)".*?>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r"<option selected>([^<]*)", options)
        fields[name] = unescape(chosen[1]) if chosen else ""
    for name, words in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        fields[name] = unescape(words).replace("\n", "\r\n")
    return fields


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""


def submit(box: Sandbox, path: str, form: dict[str, str], site: str = "same-origin") -> requests.Response:
    """Send a form."""
    return requests.post(box.url + path, data=form, timeout=WITHIN, headers={"Sec-Fetch-Site": site})


def tracked(box: Sandbox, name: str = "Jane", **more: Any) -> Any:
    """Create a row in the tracker."""
    values = {
        "Name": {"title": text(name)},
        "Email": {"email": "jane@example.org"},
        "Status": {"select": {"name": "Active"}},
        **more,
    }
    return box.notion_client().pages.create(
        parent={"data_source_id": box.seed()["tracker"]["data_source_id"]}, properties=values
    )


def test_an_empty_workspace_offers_to_create_the_databases(box: Sandbox) -> None:
    """The button makes the four databases; before that the page says what there is to do."""
    assert "An empty workspace" in page(box, "/notion")
    assert "Email Sequence" in submit(box, "/notion", {"layout": "evergreen"}).text
    assert submit(box, "/notion", {"layout": "other"}).status_code == 422
    assert submit(box, "/notion", {"layout": "evergreen"}, site="cross-site").status_code == 403
    assert 'href="/notion"' in page(box, "/")


def test_a_table_shows_every_row_newest_first(box: Sandbox) -> None:
    """The title leads to the row, nothing is unescaped, and fifty rows make a page."""
    source = box.seed()["tracker"]["data_source_id"]
    assert "No rows yet" in page(box, f"/notion/sources/{source}")
    for number in range(60):
        row = tracked(box, f"<b>Row {number:02}")
    html = page(box, f"/notion/sources/{source}")
    assert html.index("Row 59") < html.index("Row 10") and "Row 09" not in html and "<b>Row" not in html
    assert f'href="/notion/pages/{row["id"]}">' in html and "jane@example.org" in html
    older = re.search(r'href="([^"]*beyond=[^"]*)">Older', html)
    assert older and "Row 09" in page(box, unescape(older[1])) and "Row 10" not in page(box, unescape(older[1]))
    assert "60 rows" in page(box, "/notion")


def test_pause_is_ticked_and_cleared_with_a_plain_form(box: Sandbox) -> None:
    """The box changes that one property, as an edit by the owner; what the integration wrote meanwhile stays."""
    row = tracked(box)
    path, notion = f"/notion/pages/{row['id']}", box.notion_client()
    pause = row["properties"]["Pause"]["id"]
    form = form_of(page(box, path), "properties")
    notion.pages.update(row["id"], properties={"Status": {"select": {"name": "Paused"}}})
    assert "Saved." in submit(box, path, form | {pause: "True"}).text
    now = notion.pages.retrieve(row["id"])
    assert (now["properties"]["Pause"]["checkbox"], now["properties"]["Status"]["select"]["name"]) == (True, "Paused")
    assert now["last_edited_by"]["id"] != now["created_by"]["id"]
    form = form_of(page(box, path), "properties")
    assert form.pop(pause) == "True"
    submit(box, path, form)
    assert notion.pages.retrieve(row["id"])["properties"]["Pause"]["checkbox"] is False
    assert submit(box, path, form, site="cross-site").status_code == 403


def test_a_template_is_edited_as_its_owner_would(box: Sandbox) -> None:
    """Subject and body are shown as a person writes them, without backslashes, and read through the API as Notion gives
    them."""
    notion = box.notion_client()
    properties = {"Template ID": {"title": text("christmas_email_1")}, "Subject": {"rich_text": text("Hello")}}
    parent = {"data_source_id": box.seed()["templates"]["data_source_id"]}
    template = notion.pages.create(parent=parent, properties=properties, markdown="Hi {{ first_name }},\n\n- one")
    path = f"/notion/pages/{template['id']}"
    html = page(box, path)
    body = form_of(html, "body")
    assert body["markdown"] == "Hi {{ first_name }},\r\n- one"
    submit(box, path, body | {"markdown": "# News\r\n\r\nHi **{{ first_name }}**,"})
    assert notion.pages.retrieve_markdown(template["id"])["markdown"] == "# News\nHi **\\{\\{ first_name \\}\\}**,"
    subject = template["properties"]["Subject"]["id"]
    submit(box, path, form_of(html, "properties") | {subject: "x" * 2500})
    assert len(notion.pages.retrieve(template["id"])["properties"]["Subject"]["rich_text"][0]["plain_text"]) == 1000
    assert box.get("/notion.json")["Templates"][0]["properties"]["Subject"] == "x" * 2500


def test_an_unchanged_form_changes_nothing(box: Sandbox) -> None:
    """Saving what is shown is not an edit, regardless of the values."""
    values: dict[str, Any] = {
        "Last Error": {"rich_text": text("two\nlines  and spaces")},
        "Anchor": {"date": {"start": "2027-01-01"}},
        "Pause": {"checkbox": True},
    }
    row = tracked(box, **values)
    path = f"/notion/pages/{row['id']}"
    submit(box, path, form_of(page(box, path), "properties"))
    now = box.notion_client().pages.retrieve(row["id"])
    assert (now["properties"], now["last_edited_by"]) == (row["properties"], row["created_by"])


def test_numbers_and_choices_can_be_changed_and_a_wrong_one_is_explained(box: Sandbox) -> None:
    """A number, a select and an empty field are saved; the page says what is refused, and nothing is saved."""
    parent = {"data_source_id": box.seed()["contacts"]["data_source_id"]}
    row = box.notion_client().pages.create(
        parent=parent, properties={"Name": {"title": text("Jane")}, "Email": {"email": "jane@example.org"}}
    )
    ids = {name: value["id"] for name, value in row["properties"].items()}
    path = f"/notion/pages/{row['id']}"
    form = form_of(page(box, path), "properties")
    submit(box, path, form | {ids["Assessment Score"]: "85", ids["Segment"]: "URGENT", ids["Email"]: ""})
    values = box.get("/notion.json")["Contacts"][0]["properties"]
    assert (values["Assessment Score"], values["Segment"], values["Email"]) == (85, "URGENT", None)
    submit(box, path, form_of(page(box, path), "properties") | {ids["Red Systems"]: "0"})
    values["Red Systems"] = 0
    assert form_of(page(box, path), "properties")[ids["Red Systems"]] == "0"
    wrong = submit(box, path, form_of(page(box, path), "properties") | {ids["Email"]: "x" * 201})
    assert wrong.status_code == 422 and "length should be ≤ `200`" in unescape(wrong.text)
    for number in ("many", "nan"):
        assert (
            submit(box, path, form_of(page(box, path), "properties") | {ids["Assessment Score"]: number}).status_code
            == 422
        )
    assert box.get("/notion.json")["Contacts"][0]["properties"] == values


def test_a_row_goes_into_the_trash_and_comes_back(box: Sandbox) -> None:
    """In the trash it is not in the table and its form is disabled."""
    row = tracked(box)
    path = f"/notion/pages/{row['id']}"
    assert "in the trash" in submit(box, path, form_of(page(box, path), "trash")).text
    assert "Jane" not in page(box, f"/notion/sources/{row['parent']['data_source_id']}")
    assert "disabled" in page(box, path)
    submit(box, path, form_of(page(box, path), "restore"))
    assert "Jane" in page(box, f"/notion/sources/{row['parent']['data_source_id']}")


def test_the_link_of_an_object_leads_to_its_page(box: Sandbox) -> None:
    """A page's `url` shows the row, a database's its table; an unknown one is not found."""
    row = tracked(box, "Jane Doe")
    assert "Jane Doe" in page(box, row["url"].removeprefix(box.url))
    database = box.notion_client().databases.retrieve(row["parent"]["database_id"])
    assert "<table>" in page(box, database["url"].removeprefix(box.url))
    for path in ("/notion/p/nothing", "/notion/pages/1", "/notion/sources/1"):
        assert requests.get(box.url + path, timeout=WITHIN).status_code == 404


def test_every_field_has_a_label_and_every_page_a_heading(box: Sandbox) -> None:
    """What a screen reader needs is there: labels by id, one h1, column headers with a scope, a named region."""
    row = tracked(box)
    html = page(box, f"/notion/pages/{row['id']}")
    ids = re.findall(r'<(?:input|select|textarea) id="([^"]*)"', html)
    assert len(ids) > 5 and all(f'<label for="{one}">' in html for one in ids)
    table = page(box, f"/notion/sources/{row['parent']['data_source_id']}")
    assert table.count('<th scope="col">') == len(row["properties"])
    assert re.search(r'role="region" aria-label="Email Sequence" tabindex="0"', table)
    assert all(one.count("<h1") == 1 for one in (html, table, page(box, "/notion")))
