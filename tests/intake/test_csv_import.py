"""A CSV file of people: what is read, what is refused line by line, and what becomes of each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.intake.csv_file import FileError, Sheet, read
from shared.intake.csv_import import NO_CONSENT, apply
from shared.intake.csv_rows import Fault
from shared.ledger import ids
from tests.conftest import START
from tests.support.world import World

TRIGGER, CAMPAIGN = "christmas-assessment", "five-day"
HEAD = "email,first_name,red_systems,consent\n"
DAY = 86_400_000


def sheet(tmp_path: Path, content: str | bytes, campaign: str | None = CAMPAIGN) -> Sheet:
    """Read a file with this content."""
    file = tmp_path / "people.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(file, campaign=campaign, now=START)


def bring(world: World, found: Sheet, trigger: str | None = TRIGGER, *, consent_on_file: bool = False) -> list[Fault]:
    """Import a sheet; returns the faults of its rows."""
    return [each for each in apply(found.rows, world.intake, trigger=trigger, consent_on_file=consent_on_file) if each]


def run_of(address: str) -> str:
    """A contact's first run in the five-day campaign."""
    return f"{ids.enrollment_prefix(CAMPAIGN, address)}-1"


def day(days: float) -> str:
    """The date this many days from now."""
    return datetime.fromtimestamp((START + days * DAY) / 1000, UTC).isoformat()


@pytest.mark.parametrize(
    "content",
    [
        "email,name,red_systems\nada@example.org,Ada,2\n",
        "\ufeffE-Mail;Name;Red Systems\r\nADA@example.org ; Ada;2\r\n\r\n",
        '"Email"\t"name"\t"red-systems"\t"Shoe size"\n"ada@example.org"\t"Ada"\t2\t39\n\n;;\n'.replace(";;", "\t\t\t"),
    ],
)
def test_common_spreadsheet_formats_are_read(tmp_path: Path, content: str) -> None:
    """BOM, semicolons, tabs, CRLF, quotes, blank lines and capitals are all fine."""
    found = sheet(tmp_path, content)
    assert [(row.form.email, row.form.name, row.form.red_systems) for row in found.rows] == [
        ("ada@example.org", "Ada", 2)
    ]
    assert found.faults == []
    assert found.unknown == (("shoe_size",) if "Shoe" in content else ())


def test_faulty_lines_are_named(tmp_path: Path) -> None:
    """Each fault has its line in the file, also after a line break within quotes, and its column; the rest is taken."""
    content = (
        "email,name,red_systems,consent,timezone\n"
        'ada@example.org,"Ada\nLovelace",2,yes,\n'  # lines 2 and 3
        "nobody,Bob,9,perhaps,\n"  # 4
        ",Eve,1,yes,\n"  # 5
        "bob@example.org,Bob,1,no,,,\n"  # 6
        "cy@example.org,Cy,1,no\n"  # 7
    )
    found = sheet(tmp_path, content)
    assert [row.form.email for row in found.rows] == ["ada@example.org", "cy@example.org"]
    assert found.rows[0].form.name == "Ada Lovelace"
    assert [(fault.line, fault.field) for fault in found.faults] == [
        (4, "email"),
        (4, "red_systems"),
        (4, "consent"),
        (5, "email"),
        (6, ""),
    ]
    assert found.faults[2].message == "write yes or no"
    assert not [fault for fault in found.faults if "nobody" in fault.message]


def test_duplicates_are_merged(tmp_path: Path) -> None:
    """A person on two lines has the values of the later one, and those that only the earlier one has."""
    found = sheet(tmp_path, "email,name,business_name,consent\na@example.org,Ann,Acorn,yes\nA@example.org,Anna,,\n")
    assert [(row.line, row.form.name, row.form.business_name, row.form.consent) for row in found.rows] == [
        (2, "Anna", "Acorn", True)
    ]
    assert found.doubles == 1


def test_a_no_outweighs_a_yes(tmp_path: Path) -> None:
    """If one of a person's two lines refuses, the refusal counts."""
    found = sheet(tmp_path, HEAD + "a@example.org,A,1,no\na@example.org,A,1,yes\n")
    assert [row.form.consent for row in found.rows] == [False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column `email`"),
        (b"name\nAda\n", "no column `email`"),
        (b"email,email\na@example.org,b@example.org\n", "two columns `email`"),
        ("email,name\na@example.org,J\xf6rg\n".encode("latin-1"), "UTF-8"),
        ("email\na@example.org\n".encode("utf-16"), "UTF-8"),
        (b'email,name\n"a@example.org" x,Ada\n', "is not a CSV file"),
        (b'email\n"a@example.org\n', "is not a CSV file"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """The message says what to do about it."""
    with pytest.raises(FileError, match=message):
        sheet(tmp_path, content)


def test_a_missing_file(tmp_path: Path) -> None:
    """The error is a sentence, not a traceback."""
    with pytest.raises(FileError, match="cannot be read"):
        read(tmp_path / "none.csv", campaign=None, now=START)


@pytest.mark.parametrize("start", ["soon", "2020-01-01", day(-31), day(400)])
def test_an_impossible_start_is_a_fault(tmp_path: Path, start: str) -> None:
    """A start is a date of the last 30 days or the next year."""
    found = sheet(tmp_path, f"email,start\na@example.org,{start}\n")
    assert [(fault.line, fault.field) for fault in found.faults] == [(2, "start")]


def test_a_line_for_another_campaign_is_a_fault(tmp_path: Path) -> None:
    """A line for another campaign than the one that is enrolled in is a fault; without enrolling it does not matter."""
    content = "email,campaign\na@example.org,five-day\nb@example.org,busos\n"
    assert [(fault.line, fault.field) for fault in sheet(tmp_path, content).faults] == [(3, "campaign")]
    assert sheet(tmp_path, content, campaign=None).faults == []


def test_people_who_agreed_are_enrolled(tmp_path: Path, world: World) -> None:
    """People who agreed are enrolled and get every email from us, including the first; the consent is recorded."""
    found = sheet(
        tmp_path,
        "email,red_systems,consent,consent_text\na@example.org,1,yes,At the "
        "fair\nb@example.org,1,no,\nc@example.org,1,,\n",
    )
    assert bring(world, found) == [Fault(3, "", NO_CONSENT), Fault(4, "", NO_CONSENT)]
    assert {step.state for step in world.run(run_of("a@example.org")).steps} == {"scheduled"}
    contact = world.ledger.contact(ids.digest("a@example.org"))
    assert contact and (contact.fields["consent_text"], contact.fields["consent_at"]) == ("At the fair", str(START))
    for address in ("b@example.org", "c@example.org"):
        assert world.ledger.enrollment(run_of(address)) is None
        contact = world.ledger.contact(ids.digest(address))
        assert contact and "consent_at" not in contact.fields
    assert bring(world, sheet(tmp_path, "email\nc@example.org\n"), consent_on_file=True) == []
    assert world.run(run_of("c@example.org")).state == "active"


def test_consent_on_file_does_not_overrule_a_refusal(tmp_path: Path, world: World) -> None:
    """A person marked `no` is not enrolled by the operator's general statement."""
    assert bring(world, sheet(tmp_path, HEAD + "b@example.org,B,1,no\n"), consent_on_file=True) == [
        Fault(2, "", NO_CONSENT)
    ]


def test_a_campaign_can_start_in_the_past_or_later(tmp_path: Path, world: World) -> None:
    """A campaign may have begun in the past or begin later; its dates count from there."""
    found = sheet(
        tmp_path,
        f"email,consent,start\npast@example.org,yes,{day(-2)}\nlater@example.org,yes,{day(5)}\nnow@example.org,yes,\n",
    )
    assert bring(world, found) == []
    anchors = [world.run(run_of(f"{name}@example.org")).anchor - START for name in ("past", "later", "now")]
    assert anchors == [-2 * DAY, 5 * DAY, 0]
    world.work()
    assert f"{run_of('later@example.org')}-1" not in world.provider.email_ids


def test_an_import_lifts_no_suppression(tmp_path: Path, world: World) -> None:
    """A person who unsubscribed stays unsubscribed, although an old list says yes, and is not enrolled."""
    world.ledger.suppress(ids.digest("a@example.org"), "unsubscribed")
    (note,) = bring(world, sheet(tmp_path, HEAD + "a@example.org,A,1,yes\n"))
    assert (note.line, note.message) == (2, "gets no email (unsubscribed): remembered, not enrolled")
    contact = world.ledger.contact(ids.digest("a@example.org"))
    assert contact and contact.subscription == "unsubscribed" and "consent_at" not in contact.fields


def test_without_a_trigger_contacts_are_only_remembered(tmp_path: Path, world: World) -> None:
    """Without a trigger no one is enrolled, regardless of consent."""
    assert bring(world, sheet(tmp_path, HEAD + "a@example.org,Ann,1,yes\n", campaign=None), trigger=None) == []
    contact = world.ledger.contact(ids.digest("a@example.org"))
    assert contact and (contact.fields["first_name"], contact.fields["source"]) == ("Ann", "import")
    assert world.redis.keys("eg:enrollment:*") == []


def test_importing_twice_enrolls_once(tmp_path: Path, world: World) -> None:
    """The same file again enrolls no one again."""
    for _ in range(2):
        assert bring(world, sheet(tmp_path, HEAD + "a@example.org,Ann,1,yes\n")) == []
        world.live(150)
    assert len(world.provider.accepted) == 5 and world.provider.twice == []
