"""Notion as it is: rows are written, found and moved to the trash; a template goes there and comes back; the databases
fit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from local import valkey
from shared.domain import campaign_files
from shared.domain.enrollments import Contact, Enrollment, Step
from shared.domain.states import EnrollmentState, StepState
from shared.integrations.notion_values import Value, plain
from shared.notion.database_setup import init
from shared.notion.row_values import contact_values, email_values, tracker_values
from shared.notion.schema import CONTACTS, EMAIL_LOG, TEMPLATES, TRACKER, Source, fitting, own_name
from tests.live.conftest import Workspace, evergreen

CAMPAIGN = """slug: {slug}
name: Evergreen live test
trigger: {slug}
late: {{after: 1h, policy: send}}
steps:
  - {{number: 1, after: 0h, template: live_email_1}}
"""
EMAIL = (
    'Subject: A test, {{ first_name | default("there") }}\n\nHi {{ first_name | default("there") }},\n\n[Book a '
    "call]({{ booking_url }})\n"
)
TEXTS = ("title", "rich_text", "select", "email")


def rows(marked: str) -> list[tuple[Source, str, dict[str, Value]]]:
    """A row for each database as Evergreen writes them, and the column by which it finds each again."""
    now = round(time.time() * 1000)
    contact = Contact(
        {
            "email": f"{marked}@example.org",
            "first_name": "Live",
            "name": "Live Test",
            "red_systems": "2",
            "assessment_score": "45",
        }
    )
    step = Step(1, StepState.SENT, due=now, offset=0, sent_at=now, sent_by="evergreen", provider_id="re_live")
    run = Enrollment(
        f"christmas-{marked}-1", "christmas", "marketing", EnrollmentState.COMPLETED, now, "", steps=(step,)
    )
    campaign = campaign_files.load().campaigns["christmas"]
    return [
        (CONTACTS, "Email", contact_values(contact, new=True)),
        (TRACKER, "Email", tracker_values(run, contact, campaign)),
        (EMAIL_LOG, "Email ID", email_values(run, step, contact, campaign)),
    ]


def test_the_databases_fit(workspace: Workspace) -> None:
    """`evergreen notion check` finds no fault."""
    assert [finding for finding in evergreen("notion", "check") if finding["level"] == "fault"] == []


@pytest.mark.parametrize("place", range(3), ids=["contact", "tracker", "email log"])
def test_a_row_is_written_found_and_trashed(workspace: Workspace, marked: str, place: int) -> None:
    """What Evergreen writes is found by its key, reads as it was written, and is gone from the search once it is in the
    trash."""
    kind, key, values = rows(marked)[place]
    notion, names = workspace.notion, workspace.settings.notion_property_names
    source = workspace.source(kind)
    known = notion.schema(source)
    own = fitting(values, kind, known, names)
    page = notion.create(source, own)
    workspace.made.append(page)
    keys = {own_name(key, kind, names): str(values[key])}
    assert workspace.find(source, keys) == page
    notion.update(page, source, own)
    kept = notion.page(page)["properties"]
    texts = {name: str(value) for name, value in own.items() if value is not None and known[name].type in TEXTS}
    assert {name: plain(kept[name]) for name in texts} == texts
    notion.trash(page)
    assert workspace.find(source, keys, there=False) is None


def test_a_template_goes_to_notion_and_comes_back(
    workspace: Workspace, marked: str, valkey_server: valkey.Valkey, tmp_path: Path
) -> None:
    """On a page of its own, which is removed with all that is on it: pushed, edited manually, and taken over."""
    notion, contacts = workspace.notion, workspace.source(CONTACTS)
    key = own_name("Email", CONTACTS, workspace.settings.notion_property_names)
    page = notion.create(contacts, {key: f"{marked}@example.org"})
    workspace.made.append(page)
    [(_, database, _)] = init(
        notion, workspace.settings.model_copy(update={TEMPLATES.setting: ""}), parent=page, add=False
    )
    folder = tmp_path / marked
    folder.mkdir()
    (folder / "campaign.yaml").write_text(CAMPAIGN.format(slug=marked))
    (folder / "live_email_1.md").write_text(EMAIL)
    own = {
        "NOTION_TEMPLATES_DB_ID": database,
        "CAMPAIGNS_DIR": str(tmp_path),
        "REDIS_URL": valkey_server.url,
        "REDIS_PASSWORD": valkey_server.password,
        "NOTION_PROPERTY_NAMES": "",  # the new database has our own names
    }
    assert [entry["what"] for entry in evergreen("templates", "push", **own)] == ["created"]
    pushed = workspace.find(next(iter(notion.data_sources(database))), {"Template ID": "live_email_1"})
    assert pushed
    workspace.made.append(pushed)
    assert "Book a call" in notion.markdown(pushed)
    notion.rewrite(pushed, "Hi {{ first_name }},\n\nthis was written in Notion.")
    assert [entry["what"] for entry in evergreen("templates", "pull", **own)] == ["adopted"]
    shown = evergreen("templates", "preview", "live_email_1", **own)
    assert (shown["from"], shown["subject"]) == ("notion", "A test, Maria")
    assert shown["text"].startswith("Hi Maria,\n\nthis was written in Notion.")
