"""Columns and databases as owners change them: what can be written is written, the rest is named once, and written when
it is fixed. The real client over HTTP against the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.errors import NotionError
from shared.domain.states import EnrollmentState
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.health import Problem, read_health
from shared.ledger.notion_columns import MISSED_FOR, NotionColumns
from shared.notion.column_watch import ColumnWatch
from shared.notion.data_sources import locate
from shared.notion.schema import CONTACTS, EMAIL_LOG, TEMPLATES, TRACKER
from shared.notion.setup_check import Finding, check
from tests.conftest import Clock
from tests.notion.test_recorder import Desk
from tests.support.sandbox_server import Sandbox, text
from tests.support.world import World

DATE: dict[str, Any] = {"date": {}}


def status(*names: str) -> dict[str, Any]:
    """A status with these options."""
    return {"status": {"options": [{"name": name} for name in names]}}


class Owner(Desk):
    """An owner who changes databases, and the watch over them."""

    def __init__(self, world: World, box: Sandbox) -> None:
        super().__init__(world, box, "evergreen")
        assert self.recorder.notion is not None
        self.notion = self.recorder.notion
        templates = {"notion_templates_db_id": self.made["templates"]["database_id"]}
        self.recorder.settings = self.recorder.settings.model_copy(update=templates)

    @property
    def settings(self) -> Any:
        """The settings now."""
        return self.recorder.settings

    def sets(self, **ids: str) -> None:
        """Change settings, and restart."""
        self.recorder.settings = self.settings.model_copy(update=ids)
        self.recorder._sources.clear()

    def asks(self, method: str, path: str, **body: Any) -> Any:
        """A request to Notion, as the owner's clicks would make it."""
        answer = self.box.notion(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    def changes(self, name: str, **columns: Any) -> None:
        """Change columns of a database; an underscore stands for a space."""
        properties = {column.replace("_", " "): change for column, change in columns.items()}
        self.asks("PATCH", f"/data_sources/{self.made[name]['data_source_id']}", properties=properties)

    def watched(self) -> tuple[str, ...]:
        """What is wrong, after a check by the scheduler."""
        ColumnWatch(self.world.ledger, self.settings, self.notion).check()
        return read_health(self.world.ledger).notion

    def alerts(self) -> list[str]:
        """The details of the alerts that the owner gets."""
        found = iter(Alerts(self.world.ledger).take, None)
        return [alert.detail for alert in found if alert.subject == "record"]

    def faults(self) -> list[Finding]:
        """What `evergreen notion check` finds that must be fixed."""
        found = check(self.notion, self.settings, NotionColumns(self.world.ledger))
        return [finding for finding in found if finding.level == "fault"]

    def records(self) -> int:
        """Record, as a recorder does that has looked at the columns again."""
        self.notion._schemas.clear()
        return self.record()


@pytest.fixture
def owner(ledger: Ledger, clock: Clock, box: Sandbox) -> Owner:
    return Owner(World(ledger, clock), box)


def test_a_missing_option_of_a_status_costs_only_its_value(owner: Owner) -> None:
    """The row of a new person is written, with the status's own default; one alert names the option and the fix."""
    owner.changes("contacts", Status={"status": {}})
    owner.world.sign_up()
    owner.records()
    assert (owner.row("contacts")["Email"], owner.row("contacts")["Status"]) == ("ada@example.org", "Not started")
    (trouble,) = owner.watched()
    assert trouble == (
        "Contacts: Status is a status without the option “Lead”, so that value is left out; add “Lead” to its options "
        "in Notion, or make it a select"
    )
    assert Problem.NOTION in read_health(owner.world.ledger).problems
    assert [finding.column for finding in owner.faults()] == ["Status"]
    assert owner.watched() == (trouble,) and owner.alerts() == [f"{trouble}."], "one alert"
    owner.changes("contacts", Status=status("Lead"))
    assert owner.watched() == () and owner.faults() == [], "it goes away by itself"


def test_the_options_of_a_status_are_found_in_any_case(owner: Owner) -> None:
    """The owner's spelling is written, and a state for which there is no option is left out."""
    owner.changes("tracker", Status=status("Not started", "ACTIVE", "Done"))
    run = owner.world.sign_up()
    owner.records()
    assert owner.row("tracker")["Status"] == "ACTIVE"
    owner.world.ledger.suppress(ids.digest("ada@example.org"), "unsubscribed")
    assert owner.world.run(run).state == EnrollmentState.EXITED
    owner.records()
    assert (owner.row("tracker")["Status"], owner.row("contacts")["Subscription"]) == ("ACTIVE", "unsubscribed")
    (trouble,) = owner.watched()
    assert trouble.startswith("Email Sequence: Status is a status without the option “Paused”, “Queued”")


@pytest.mark.parametrize(
    ("source", "column", "change", "kept"),
    [
        ("contacts", "Segment", {"multi_select": {}}, ["CRITICAL"]),
        ("contacts", "Segment", {"rich_text": {}}, "CRITICAL"),
        ("contacts", "First Name", {"select": {}}, "Ada"),
        ("contacts", "Assessment Score", {"rich_text": {}}, "45"),
        ("tracker", "Campaign", {"rich_text": {}}, "Christmas 2025"),
        ("tracker", "Campaign", {"multi_select": {}}, ["Christmas 2025"]),
        ("tracker", "Enrollment ID", {"select": {}}, "{run}"),
        ("email_log", "Status", status("Sent"), "Sent"),
        ("email_log", "Sent By", {"rich_text": {}}, "evergreen"),
    ],
)
def test_a_value_is_written_in_the_type_that_is_there(
    owner: Owner, source: str, column: str, change: dict[str, Any], kept: Any
) -> None:
    """A text in a select, a select as text, a number as text; and the row is found again."""
    owner.asks("PATCH", f"/data_sources/{owner.made[source]['data_source_id']}", properties={column: change})
    run = owner.world.sign_up()
    owner.world.work()
    owner.records()
    assert owner.row(source)[column] == (kept.format(run=run) if isinstance(kept, str) else kept)
    owner.world.redis.hdel(ids.enrollment_key(run), "page")
    owner.world.ledger.skip(run, 2, "by hand")
    owner.records()
    assert len(owner.rows("tracker")) == 1


@pytest.mark.parametrize("change", [{"name": "Sent 3"}, {"checkbox": {}}, None])
def test_a_value_without_a_column_is_written_once_there_is_one(owner: Owner, change: dict[str, Any] | None) -> None:
    """A renamed, retyped or deleted column holds up no row; fixed, it is filled in, though nothing else changes."""
    owner.watched()
    owner.changes("tracker", Email_3_Sent=change)
    owner.world.sign_up()
    owner.world.live(hours=100)
    owner.records()
    row = owner.row("tracker")
    assert row["Email 2 Sent"] and row["Status"] == "Active" and not row.get("Email 3 Sent")
    (trouble,) = owner.watched()
    assert trouble.startswith("Email Sequence: Email 3 Sent is ") and owner.alerts() == [f"{trouble}."]
    now = "Sent 3" if change and "name" in change else "Email 3 Sent"
    owner.asks(
        "PATCH",
        f"/data_sources/{owner.made['tracker']['data_source_id']}",
        properties={now: {"name": "Email 3 Sent", "date": {}}},
    )
    assert owner.watched() == ()
    owner.records()
    assert owner.row("tracker")["Email 3 Sent"]
    assert owner.records() == 0, "once is enough"


@pytest.mark.parametrize("column", ["Next Email At", "Pause"])
def test_a_column_that_was_there_is_missed_for_a_week(owner: Owner, column: str) -> None:
    """Also one that is optional: renamed, it is named with its new name; after a week, that is the owner's choice."""
    owner.watched()
    owner.asks(
        "PATCH", f"/data_sources/{owner.made['tracker']['data_source_id']}", properties={column: {"name": "Mine"}}
    )
    assert owner.watched() == (
        f"Email Sequence: {column} is now called 'Mine'; rename it to {column!r} in Notion, or set "
        f"NOTION_PROPERTY_NAMES=tracker.{column}=Mine",
    )
    owner.world.clock.advance(seconds=MISSED_FOR / 1000 + 1)
    assert owner.watched() == ()


def test_a_column_that_was_never_there_is_no_problem(ledger: Ledger, clock: Clock, box: Sandbox) -> None:
    """The databases of the earlier builds are healthy."""
    desk = Desk(World(ledger, clock), box, "earlier-builds")
    assert desk.recorder.notion
    ColumnWatch(ledger, desk.recorder.settings, desk.recorder.notion).check()
    assert read_health(ledger).notion == ()


def test_an_outage_is_no_trouble_and_hides_none(owner: Owner) -> None:
    """What is known stays until Notion answers."""
    owner.changes("contacts", Status={"status": {}})
    before = owner.watched()
    owner.fault("status", status=503, count=1)
    with pytest.raises(NotionError):
        owner.watched()
    assert read_health(owner.world.ledger).notion == before != ()


@pytest.mark.parametrize(
    ("setting", "given", "title"),
    [
        ("notion_businessx_db_id", "tracker", "Email Sequence"),
        ("notion_businessx_db_id", "email_log", "Email Log"),
        ("notion_email_sequence_db_id", "contacts", "Contacts"),
        ("notion_email_log_db_id", "templates", "Templates"),
        ("notion_templates_db_id", "email_log", "Email Log"),
    ],
)
def test_a_mixed_up_id_is_named_as_such(owner: Owner, setting: str, given: str, title: str) -> None:
    """One sentence in place of ten columns, and nothing is written into the wrong database."""
    owner.sets(**{setting: owner.made[given]["database_id"]})
    (fault,) = owner.faults()
    assert fault.message == f"{setting.upper()} is the id of your {title}"
    before = len(owner.rows(given))
    owner.world.sign_up()
    owner.world.work()
    owner.records()
    written = 0 if given == "templates" else 1
    assert len(owner.rows(given)) - before == written, "only its own rows"


def test_an_id_is_read_in_every_form(owner: Owner) -> None:
    """With dashes, in a link to the database or to a view of it; and the id of the data source."""
    database, source = (owner.made["tracker"][name] for name in ("database_id", "data_source_id"))
    plain = database.replace("-", "")
    for given in (database, plain.upper(), f"https://www.notion.so/me/{plain}?v={'0' * 32}", f" {source} "):
        owner.sets(notion_email_sequence_db_id=given)
        assert locate(owner.notion, TRACKER, owner.settings) == source
        assert owner.faults() == []


def test_the_id_of_a_page_is_named_as_such(owner: Owner) -> None:
    """Of the page that the database is on, or of one of its rows."""
    owner.world.sign_up()
    owner.records()
    for page in (owner.made["page_id"], owner.row("contacts")["id"]):
        owner.sets(notion_businessx_db_id=page)
        (fault,) = owner.faults()
        assert "is the id of a page; open the database on it" in fault.message
        assert "correct NOTION_BUSINESSX_DB_ID" in fault.fix


def test_the_trash_and_a_lost_share_are_told_apart(owner: Owner) -> None:
    """Each has its own fix; restored, everything is written, and once."""
    owner.world.sign_up()
    owner.records()
    database = f"/databases/{owner.made['contacts']['database_id']}"
    owner.asks("PATCH", database, in_trash=True)
    owner.world.ledger.suppress(ids.digest("ada@example.org"), "unsubscribed")
    owner.records()
    (trouble,) = owner.watched()
    assert trouble == (
        "Contacts: the database is in Notion's trash; restore it there, or set NOTION_BUSINESSX_DB_ID to another "
        "database"
    )
    owner.asks("PATCH", database, in_trash=False)
    assert owner.watched() == ()
    owner.world.clock.advance(hours=1)
    owner.records()
    assert owner.row("contacts")["Subscription"] == "unsubscribed"
    owner.sets(notion_businessx_db_id="0" * 32)
    (trouble,) = owner.watched()
    assert "404" in trouble and "share the database with the integration" in trouble


def add_source(owner: Owner, title: str, columns: dict[str, Any]) -> str:
    """Add a data source to the database of contacts; returns its id."""
    parent = {"type": "database_id", "database_id": owner.made["contacts"]["database_id"]}
    made = owner.asks("POST", "/data_sources", parent=parent, title=text(title), properties=columns)
    return str(made["id"])


def test_of_several_data_sources_the_right_one_is_taken(owner: Owner) -> None:
    """By its columns; where these do not decide, by its name; else both are named, with what to do."""
    add_source(owner, "Companies", {"Company": {"title": {}}, "Email": {"email": {}}})
    assert locate(owner.notion, CONTACTS, owner.settings) == owner.made["contacts"]["data_source_id"]
    columns = owner.asks("GET", f"/data_sources/{owner.made['contacts']['data_source_id']}")["properties"]
    twin = add_source(owner, "Old people", {name: {one["type"]: {}} for name, one in columns.items()})
    assert locate(owner.notion, CONTACTS, owner.settings) == owner.made["contacts"]["data_source_id"]
    owner.asks("PATCH", f"/data_sources/{owner.made['contacts']['data_source_id']}", title=text("People"))
    (fault,) = owner.faults()
    assert "its database has 3 data sources (People, Companies, Old people)" in fault.message
    assert "set NOTION_BUSINESSX_DB_ID to its own id" in fault.message
    owner.sets(notion_businessx_db_id=twin)
    assert owner.faults() == []
    owner.world.sign_up()
    owner.records()
    assert owner.asks("POST", f"/data_sources/{twin}/query")["results"]


def test_all_four_may_be_in_one_database(owner: Owner) -> None:
    """The same id four times, and each finds its own."""
    for source, name in ((TRACKER, "tracker"), (EMAIL_LOG, "email_log"), (TEMPLATES, "templates")):
        columns = owner.asks("GET", f"/data_sources/{owner.made[name]['data_source_id']}")["properties"]
        id = add_source(owner, source.title, {column: {one["type"]: {}} for column, one in columns.items()})
        owner.sets(**{source.setting: owner.made["contacts"]["database_id"]})
        assert locate(owner.notion, source, owner.settings) == id
    assert owner.faults() == []
