"""A CSV file of people: the shapes in which spreadsheets and other programs write it, and what is refused line by
line."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.intake import csv_people
from shared.intake.csv_file import FileError
from tests.conftest import START
from tests.support.spreadsheets import addresses, people

HEAD = "email,first_name,red_systems,consent\n"
DAY = 86_400_000
WINTER = round(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000)


def day(days: float) -> str:
    """The date this many days from now."""
    return datetime.fromtimestamp((START + days * DAY) / 1000, UTC).isoformat()


@pytest.mark.parametrize(
    "content",
    [
        "email,name,red_systems\nada@example.org,Ada,2\n",
        "\ufeffE-Mail*;Name:;Red Systems\r\nADA@example.org ; Ada;2\r\n\r\n",
        '"Email"\t"name"\t"red-systems"\t"Shoe size"\n"ada@example.org"\t"Ada"\t2\t39\n\n\t\t\t\n',
        "email|name|red_systems\nada@example.org|Ada|2\n",
        "email,name,red_systems\rada@example.org,Ada,2\r",
        'email, name, red_systems\nada@example.org, "Ada", 2\n',
        "email,name,red_systems,,\nada@example.org,Ada,2,,\n",
        "email,name,red_systems\nada@example.org,Ada,2,\n",
        "sep=;\nemail;name;red_systems\nada@example.org;Ada;2\n",
        "\ufeffsep=\t\r\nemail\tname\tred_systems\r\nada@example.org\tAda\t2\r\n",
        "\n,,\n# exported today\n\nemail,name,red_systems\n\nada@example.org,Ada,2\n",
        '"# exported, for you",,\nemail,name,red_systems\nada@example.org,Ada,2\n',
        "#,email,name,red_systems\n1,ada@example.org,Ada,2\n",
        'email,name,red_systems,"notes; old; and; new; and; more"\nada@example.org,Ada,2,\n',
        'email;name;red_systems;"one, two, three,\nfour"\nada@example.org;Ada;2;x\n',
    ],
)
def test_common_spreadsheet_formats_are_read(tmp_path: Path, content: str) -> None:
    """BOM, delimiters, line ends, quotes, blank lines, comments, `sep=`, trailing commas and capitals are all fine."""
    found = people(tmp_path, content)
    assert found.faults == []
    assert [(row.form.email, row.form.name, row.form.red_systems) for row in found] == [("ada@example.org", "Ada", 2)]


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("First Name,Middle Name,Last Name,E-mail Address,Company", "Ada,,Lovelace,ada@example.org,Engines"),
        (
            "Given Name,Family Name,E-mail 1 - Type,E-mail 1 - Value,Organization 1 - Name",
            "Ada,L,*,ada@example.org,Engines",
        ),
        ("First Name,Last Name,E-mail 1 - Label,E-mail 1 - Value,Organization Name", "Ada,L,*,ada@example.org,Engines"),
        ("Record ID,First Name,Last Name,Email,Company name", "7,Ada,Lovelace,ada@example.org,Engines"),
        ("Email Address,First Name,Last Name,Company,MEMBER_RATING", "ada@example.org,Ada,Lovelace,Engines,2"),
        ("CONTACT ID;EMAIL;LASTNAME;FIRSTNAME;COMPANY;SMS", "7;ada@example.org;Lovelace;Ada;Engines;"),
        ("Vorname;Nachname;Firma;E-Mail-Adresse", "Ada;Lovelace;Engines;ada@example.org"),
        ("Business Name,Company,First Name,Email,E-mail", "Engines,Other,Ada,ada@example.org,other@example.org"),
    ],
)
def test_headers_of_other_programs(tmp_path: Path, header: str, line: str) -> None:
    """Outlook, Google Contacts, HubSpot, Mailchimp, Brevo and Excel name the columns in their own way. A column of our
    own name goes first."""
    (row,) = people(tmp_path, f"{header}\n{line}\n")
    assert (row.form.email, row.form.first_name, row.form.business_name) == ("ada@example.org", "Ada", "Engines")


def test_columns_that_are_ignored_are_named(tmp_path: Path) -> None:
    """With the one that has no name."""
    found = people(tmp_path, ",Email,Shoe size,E-mail\n0,ada@example.org,39,\n")
    assert found.file.ignored == ("(no name)", "shoe_size", "e_mail")


@pytest.mark.parametrize(
    ("encoding", "known"),
    [("utf-8", "utf-8-sig"), ("utf-8-sig", "utf-8-sig"), ("cp1252", "cp1252"), ("utf-16", "utf-16")],
)
def test_encodings(tmp_path: Path, encoding: str, known: str) -> None:
    """As Excel saves CSV UTF-8, CSV, and Unicode text."""
    found = people(tmp_path, "email\tname\nada@example.org\tZoë “Ada” Žák\n".encode(encoding))
    assert [row.form.name for row in found] == ["Zoë “Ada” Žák"]
    assert found.file.encoding == known


def test_utf_16_in_the_other_byte_order(tmp_path: Path) -> None:
    """A BOM says which one it is."""
    content = "\ufeffemail,name\r\nada@example.org,Zoë\r\n".encode("utf-16-be")
    assert [row.form.name for row in people(tmp_path, content)] == ["Zoë"]


def test_faulty_lines_are_named(tmp_path: Path) -> None:
    """Each fault has its line in the file, also after a line break within quotes, and its column; the rest is taken."""
    content = (
        "# a comment\n"
        "email,name,red_systems,consent,timezone\n"
        'ada@example.org,"Ada\nLovelace",2,yes,\n'  # lines 3 and 4
        "no-address,Bob,9,yes,\n"  # 5
        "eve@example.org,Eve,1,perhaps,\n"  # 6
        ",Eve,1,yes,\n"  # 7
        "bob@example.org,Bob,1,no,,,more\n"  # 8
        "dan\0@example.org,Dan,1,no\n"  # 9
        "cy@example.org,Cy,1,no,,,\n"  # 10
    )
    found = people(tmp_path, content)
    assert addresses(found) == ["ada@example.org", "cy@example.org"]
    assert next(iter(found)).form.name == "Ada Lovelace"
    assert {(fault.line, fault.field) for fault in found.faults} >= {
        (5, "email"),
        (6, "consent"),
        (7, "email"),
        (8, ""),
    }
    assert {fault.line for fault in found.faults} == {5, 6, 7, 8, 9}
    assert "write yes or no" in [fault.message for fault in found.faults]
    assert not [fault for fault in found.faults if "no-address" in fault.message]


def test_duplicates_are_merged(tmp_path: Path) -> None:
    """A person on several lines has the values of the latest one, and those that only an earlier one has."""
    content = (
        "email,name,business_name\na@example.org,Ann,Acorn\nb@example.org,Bob,\nA@example.org,Anna,\n a@example.org,,\n"
    )
    found = people(tmp_path, content)
    for _ in range(2):  # as often as it is read
        merged = [(row.line, row.form.name, row.form.business_name) for row in found]
        assert sorted(merged) == [(2, "Anna", "Acorn"), (3, "Bob", None)]
    assert (found.count, found.doubles) == (2, 2)


def test_a_no_outweighs_a_yes(tmp_path: Path) -> None:
    """If one of a person's two lines refuses, the refusal counts."""
    found = people(tmp_path, HEAD + "a@example.org,A,1,no\na@example.org,A,1,yes\n")
    assert [row.form.consent for row in found] == [False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n \n", "is empty"),
        (b"name\nAda\n", "no column `email`"),
        (b"ada@example.org,Ada\n", "no column `email`"),
        (b"# email,name\n", "no column `email`"),
        (b"email,email\na@example.org,b@example.org\n", "two columns `email`"),
        (b"email,Status,status\na@example.org,active,unsubscribed\n", "two columns `status`"),
        ("email,name\na@example.org,A\n".encode("utf-16-le"), "NUL characters; save it as 'CSV UTF-8'"),
        (b"\xef\xbb\xbfemail,name\na@example.org,J\xf6rg\n", "'CSV UTF-8'"),
        ("email,name\na@example.org,A\n".encode("utf-16") + b"x", "'CSV UTF-8'"),
        (b"email,name\na@example.org,\x8d\n", "'CSV UTF-8'"),
        (b'email,name\n"a@example.org" x,Ada\n', "is not a CSV file near line 2"),
        (b'email\n"a@example.org\n', "is not a CSV file near line 2"),
        (b"sep=;\nemail,name\na@example.org,Ada\n", "no column `email`"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """The message says what to do about it."""
    with pytest.raises(FileError, match=message):
        people(tmp_path, content)


def test_a_missing_file(tmp_path: Path) -> None:
    """The error is a sentence, not a traceback."""
    with pytest.raises(FileError, match="cannot be read"):
        csv_people.read(tmp_path / "none.csv", campaign=None, now=START, zone="UTC")


def test_only_a_header(tmp_path: Path) -> None:
    """There is no one in it, and nothing is wrong with it."""
    found = people(tmp_path, HEAD)
    assert (list(found), found.count, found.faults) == ([], 0, [])


@pytest.mark.parametrize(
    "start", ["soon", "2020-01-01", day(-31), day(400), "12/24/2026", "24.12.2026", "03/04/2027", "46380"]
)
def test_an_impossible_start_is_a_fault(tmp_path: Path, start: str) -> None:
    """A start is a date of the last 30 days or the next year, year first: 03/04 is March here and April there."""
    found = people(tmp_path, f"email,start\na@example.org,{start}\n")
    assert [(fault.line, fault.field) for fault in found.faults] == [(2, "start")]


@pytest.mark.parametrize(
    ("start", "zone", "instant"),
    [
        ("2026-12-24", "America/Toronto", "2026-12-24T05:00:00+00:00"),
        ("2026-12-24 09:30", "Pacific/Auckland", "2026-12-23T20:30:00+00:00"),
        ("2026-12-24T09:30:00Z", "America/Toronto", "2026-12-24T09:30:00+00:00"),
        ("2026-12-24T09:30+05:30", "America/Toronto", "2026-12-24T04:00:00+00:00"),
        ("2027-03-14", "America/Toronto", "2027-03-14T05:00:00+00:00"),  # the clock goes forward in the night after
        ("2027-03-15", "America/Toronto", "2027-03-15T04:00:00+00:00"),
        ("2027-03-14T02:30", "America/Toronto", "2027-03-14T07:30:00+00:00"),  # no such time: 03:30
        ("2027-11-07T01:30", "America/Toronto", "2027-11-07T05:30:00+00:00"),  # twice: the first
    ],
)
def test_a_start_without_a_zone_is_where_the_business_is(tmp_path: Path, start: str, zone: str, instant: str) -> None:
    """A date begins at midnight there, also on the days of daylight saving; a zone in the file goes first."""
    (row,) = people(tmp_path, f"email,start\na@example.org,{start}\n", zone=zone, now=WINTER)
    assert row.start is not None
    assert datetime.fromtimestamp(row.start / 1000, UTC).isoformat() == instant


def test_a_line_for_another_campaign_is_a_fault(tmp_path: Path) -> None:
    """A line for another campaign than the one that is enrolled in is a fault; without enrolling it does not matter."""
    content = "email,campaign\na@example.org,five-day\nb@example.org,busos\n"
    assert [(fault.line, fault.field) for fault in people(tmp_path, content).faults] == [(3, "campaign")]
    assert people(tmp_path, content, campaign=None).faults == []


def test_a_long_file_needs_little_memory(tmp_path: Path) -> None:
    """What is kept of each person is a digest, not the line."""
    file = tmp_path / "people.csv"
    with file.open("w") as writing:
        writing.write("email,name,notes\n")
        writing.writelines(f"n{number}@example.org,Ada,{'x' * 1000}\n" for number in range(5000))

    def read() -> Iterator[int]:
        found = csv_people.read(file, campaign=None, now=START, zone="UTC")
        yield found.count
        yield sum(1 for _ in found)

    tracemalloc.start()
    try:
        assert list(read()) == [5000, 5000]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000 < file.stat().st_size
