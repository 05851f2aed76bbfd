"""Initial layouts: what an owner of Evergreen, or of an earlier build, has in Notion."""

from __future__ import annotations

from typing import Any

from local.sandbox.notion import databases, richtext
from local.sandbox.notion.records import Records
from local.sandbox.notion.users import PERSON

_SEGMENTS = ("CRITICAL", "URGENT", "OPTIMIZE")
_STATUSES = ("Tracking", "Active", "Paused", "Completed", "Failed", "Exited", "Cancelled")
_SENT = {f"Email {number} Sent": "date" for number in range(1, 8)}


def _select(*names: str) -> dict[str, Any]:
    return {"select": {"options": [{"name": name} for name in names]}}


def _properties(**types: Any) -> dict[str, Any]:
    """A schema by name: a type's name if it needs no settings."""
    return {name.replace("_", " "): {kind: {}} if isinstance(kind, str) else kind for name, kind in types.items()}


_CONTACTS = _properties(
    Name="title",
    Email="email",
    First_Name="rich_text",
    Business_Name="rich_text",
    Segment=_select(*_SEGMENTS),
    Assessment_Score="number",
    Red_Systems="number",
    Orange_Systems="number",
    Yellow_Systems="number",
    Green_Systems="number",
    Status="select",
    Last_Email_Sent="date",
    Source="select",
    Consent="checkbox",
    Subscription=_select("subscribed", "unsubscribed", "bounced", "complained"),
    Proof="rich_text",
)
_TRACKER = _properties(
    Name="title",
    Email="email",
    Campaign="select",
    Segment=_select(*_SEGMENTS),
    Status=_select(*_STATUSES),
    Pause="checkbox",
    Next_Email_At="date",
    Anchor="date",
    Paused_At="date",
    **_SENT,
    Last_Error="rich_text",
    Enrollment_ID="rich_text",
)
_EMAIL_LOG = _properties(
    Email_ID="title",
    Email="email",
    Campaign="select",
    Email_Number="number",
    Template="rich_text",
    Sent_At="date",
    Status="select",
    Delivered_At="date",
    Opened_At="date",
    Clicked_At="date",
    Resend_ID="rich_text",
    Sent_By=_select("website", "evergreen"),
    Error="rich_text",
)
_TEMPLATES = _properties(
    Template_ID="title",
    Campaign="select",
    Subject="rich_text",
    Preview="rich_text",
    Status=_select("Live", "Draft"),
    Error="rich_text",
)
_OLD_CONTACTS = _properties(Name="title", Email="email", Business_Name="rich_text", Assessment_Score="number")
_OLD_TRACKER = _properties(Name="title", Email="email", Campaign="select", Segment=_select(*_SEGMENTS), **_SENT)

LAYOUTS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "evergreen": {
        "contacts": ("Contacts", _CONTACTS),
        "tracker": ("Email Sequence", _TRACKER),
        "email_log": ("Email Log", _EMAIL_LOG),
        "templates": ("Templates", _TEMPLATES),
    },
    "earlier-builds": {"contacts": ("BusinessX Canada", _OLD_CONTACTS), "tracker": ("Email Sequence", _OLD_TRACKER)},
    "page": {},
}
_PAGES = {"evergreen": "Evergreen", "earlier-builds": "BusinessX", "page": "An empty page"}


def plant(records: Records, layout: str) -> dict[str, Any]:
    """Create a layout once: a page and its databases.

    Args:
        records: the workspace.
        layout: one of LAYOUTS.

    Returns:
        `{"layout", "page_id"}`, and for each database its name, database id and data source id. Repeated calls return
        the same ones.
    """
    with records.transaction():
        answer = records.layout(layout)
        if answer is None:
            answer = _make(records, layout)
            records.set_layout(layout, answer)
    return answer


def _make(records: Records, layout: str) -> dict[str, Any]:
    content = {"icon": {"type": "emoji", "emoji": "🌲"}, "cover": None, "is_locked": False}
    title = [richtext.piece(_PAGES[layout])]
    page = records.insert("page", None, content | {"values": {"title": title}}, by=PERSON, title=_PAGES[layout])
    answer: dict[str, Any] = {"layout": layout, "page_id": page.id}
    for key, (name, properties) in LAYOUTS[layout].items():
        body = {
            "parent": {"page_id": page.id},
            "title": [{"text": {"content": name}}],
            "initial_data_source": {"properties": properties},
        }
        database = databases.create_database(records, body, PERSON)
        (source,) = records.children(database.id, "data_source")
        answer[key] = {"name": name, "database_id": database.id, "data_source_id": source.id}
    return answer
