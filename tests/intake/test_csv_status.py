"""Exports of other email tools: who unsubscribed, bounced or complained there gets no email from here."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.intake.csv_import import Result
from shared.ledger import ids
from shared.ledger.contacts import Contacts
from shared.operations import suppressions
from tests.support.spreadsheets import CAMPAIGN, bring, importing, people
from tests.support.world import World

MAILCHIMP = "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME"
SIGNED_UP = "2024-05-01 10:00:00"
LEFT = "2025-02-03 11:12:13"


def reasons(world: World, address: str) -> list[str]:
    """Why the ledger sends an address no email."""
    return sorted(Contacts(world.ledger).suppression(ids.digest(address)).reasons)


def is_enrolled(world: World, address: str) -> bool:
    """Whether an enrollment of theirs exists."""
    return world.ledger.enrollment(f"{ids.enrollment_prefix(CAMPAIGN, address)}-1") is not None


@pytest.mark.parametrize(
    ("header", "cells", "reason"),
    [
        # Mailchimp
        (f"{MAILCHIMP},UNSUB_TIME,UNSUB_REASON", f"{{}},Kim,,2,{SIGNED_UP},{LEFT},N/A (Unsubscribed)", "unsubscribed"),
        (f"{MAILCHIMP},CLEAN_TIME,CLEAN_CAMPAIGN_TITLE", f"{{}},Kim,,1,{SIGNED_UP},{LEFT},May", "bounced"),
        ("Email Address,Status", "{},Non-Subscribed", "unsubscribed"),
        ("Email Address,Status", "{},Cleaned", "bounced"),
        ("Email Address,Status", "{},archived", "unsubscribed"),
        # Kit
        ("id,first_name,email_address,state", "7,Kim,{},cancelled", "unsubscribed"),
        ("id,first_name,email_address,state", "7,Kim,{},bounced", "bounced"),
        ("first_name,email,status,tags", "Kim,{},complained,vip", "complained"),
        # Keila
        ("Email,First name,Last name,Data,Status", '{},Kim,,"{{""city"": ""Ulm""}}",unsubscribed', "unsubscribed"),
        ("Email,First name,Last name,Data,Status", "{},Kim,,,unreachable", "bounced"),
        # Ghost
        ("id,email,name,note,subscribed_to_emails,labels", "7,{},Kim,,false,", "unsubscribed"),
        ("id,email,name,subscribed_to_emails,email_disabled", "7,{},Kim,true,true", "bounced"),
        ("id;email;subscribed_to_emails", "7;{};FALSCH", "unsubscribed"),
        # listmonk
        ("uuid,email,name,attributes,status,created_at", "7-7,{},Kim,{{}},blocklisted,2024-01-01", "unsubscribed"),
        ("uuid,email,name,attributes,status,created_at", "7-7,{},Kim,{{}},disabled,2024-01-01", "unsubscribed"),
        # Brevo
        ("EMAIL;FIRSTNAME;EMAIL_BLACKLISTED;SMS_BLACKLISTED", "{};Kim;Yes;No", "unsubscribed"),
        ("EMAIL;FIRSTNAME;Subscription status", "{};Kim;Blocklisted", "unsubscribed"),
        ("Email;Do Not Contact;Email Opt-Out?", "{};0;1", "unsubscribed"),
        ("id,email,first_name,unsubscribed_at", f"7,{{}},Kim,{LEFT}", "unsubscribed"),
        # Loops, Resend, HubSpot, and Evergreen's own contacts in Notion
        ("Email,First Name,Subscribed", "{},Kim,FALSE", "unsubscribed"),
        ("id,email,first_name,unsubscribed", "7,{},Kim,true", "unsubscribed"),
        ("Record ID,Email,Unsubscribed from all email", "7,{},true", "unsubscribed"),
        ("Record ID,Email,Email hard bounce reason", "7,{},UNKNOWN_USER", "bounced"),
        ("Name,Email,Subscription", "Kim,{},complained", "complained"),
    ],
)
def test_who_left_another_tool_is_suppressed(
    tmp_path: Path, world: World, header: str, cells: str, reason: str
) -> None:
    """With the right reason; and neither the operator's word nor a consent in the file enrolls them or is recorded."""
    delimiter = ";" if ";" in header else ","
    head, line = f"{header}{delimiter}consent\n", cells.format("kim@example.org")
    found = people(tmp_path, f"{head}{line}{delimiter}yes\n")
    assert bring(world, found, consent_on_file=True) == [Result(2, "suppressed", message=reason)]
    assert reasons(world, "kim@example.org") == [reason]
    assert not is_enrolled(world, "kim@example.org")
    contact = world.ledger.contact(ids.digest("kim@example.org"))
    assert contact and contact.fields["email"] == "kim@example.org" and "consent_at" not in contact.fields


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        (f"{MAILCHIMP},LAST_CHANGED", f"{{}},Kay,,4,{SIGNED_UP},{LEFT}"),
        (f"{MAILCHIMP},UNSUB_TIME,CLEAN_TIME", f"{{}},Kay,,4,{SIGNED_UP},,"),
        ("id,first_name,email_address,state,canceled_at", "7,Kay,{},active,"),
        ("Email,First name,Last name,Data,Status", "{},Kay,,,active"),
        ("id,email,name,subscribed_to_emails,deleted_at,email_disabled", "7,{},Kay,true,,false"),
        ("uuid,email,name,attributes,status", "7-7,{},Kay,{{}},enabled"),
        ("EMAIL,FIRSTNAME,EMAIL_BLACKLISTED,SMS_BLACKLISTED", "{},Kay,No,Yes"),
        ("Email,First Name,Subscribed", "{},Kay,TRUE"),
        ("Email,First Name,State", "{},Kay,CA"),
    ],
)
def test_who_is_subscribed_there_is_enrolled(tmp_path: Path, world: World, header: str, cells: str) -> None:
    """A status that allows email keeps no one away; nor does a state that is a part of the country."""
    found = people(tmp_path, f"{header}\n{cells.format('kay@example.org')}\n")
    assert bring(world, found, consent_on_file=True) == [Result(2, "enrolled")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unsubscribed_members_export_1a2b.csv", "unsubscribed"),
        ("nonsubscribed_email_audience_export_1a2b.csv", "unsubscribed"),
        ("cleaned_email_audience_export_1a2b.csv", "bounced"),
        ("subscribed_email_audience_export_1a2b.csv", ""),
    ],
)
def test_the_names_of_mailchimps_files(tmp_path: Path, name: str, reason: str) -> None:
    """Nothing in the file of people who never subscribed says so, except for its name."""
    (row,) = people(tmp_path, f"{MAILCHIMP}\nkim@example.org,Kim,,2,\n", name=name)
    assert ", ".join(row.reasons) == reason


@pytest.mark.parametrize(
    ("header", "cell", "good"),
    [
        ("status", "unconfirmed", "active"),
        ("state", "inactive", "active"),
        ("status", "Pending", "Subscribed"),
        ("status", "customer", "enabled"),
        ("status", "", "active"),
        ("subscribed", "perhaps", "yes"),
        ("subscribed_to_emails", "", "true"),
        ("unsubscribed", "2024-01-01", ""),
    ],
)
def test_no_one_gets_email_on_a_guess(tmp_path: Path, world: World, header: str, cell: str, good: str) -> None:
    """A person who has not confirmed, or whose status is not understood, is refused with the line."""
    found = people(tmp_path, f"email,{header}\nkim@example.org,{cell}\nkay@example.org,{good}\n")
    refused, taken = bring(world, found, consent_on_file=True)
    assert (refused.line, refused.what, refused.field) == (2, "refused", header)
    assert (taken.what, world.ledger.contact(ids.digest("kim@example.org"))) == ("enrolled", None)


def test_a_doubt_on_one_line_is_enough(tmp_path: Path, world: World) -> None:
    """Another line that says active does not settle it."""
    for lines in ("kim@example.org,active\nKim@Example.org,pending\n", "kim@example.org,\nkim@example.org,active\n"):
        found = people(tmp_path, f"email,status\n{lines}")
        assert [each.what for each in bring(world, found, consent_on_file=True)] == ["refused"]


def test_the_word_of_each_line_counts(tmp_path: Path, world: World) -> None:
    """Who is active on one line and gone on another, however it is written and whichever comes first, is gone; each
    reason counts. Their other cells may be wrong."""
    content = (
        "email,status,consent,start,red_systems\n"
        "kim@example.org,active,yes,,1\n"
        " KIM@example.org ,unsubscribed,yes,,1\n"
        "lee@example.org,bounced,yes,,1\n"
        "lee@example.org,active,yes,,1\n"
        "Lee@EXAMPLE.org,complained,,,1\n"
        "max@example.org,unsubscribed,perhaps,yesterday,99\n"
        "sue@example.org,unsubscribed,,,\n"
        "sue@example.org,pending,,,\n"
    )
    done = bring(world, people(tmp_path, content))
    assert {each.what for each in done} == {"suppressed"} and len(done) == 4
    found = {name: reasons(world, f"{name}@example.org") for name in ("kim", "lee", "max", "sue")}
    gone = ["unsubscribed"]
    assert found == {"kim": gone, "lee": ["bounced", "complained"], "max": gone, "sue": gone}


def test_suppressions_come_first(tmp_path: Path, world: World) -> None:
    """Also those at the end of the file, if the import is interrupted at its first person; what is running ends."""
    running = world.sign_up(email="kim@example.org")
    content = "email,status\nkay@example.org,active\nkim@example.org,unsubscribed\nlee@example.org,cleaned\n"
    started = importing(world, people(tmp_path, content), consent_on_file=True).apply()
    assert next(started) == Result(2, "enrolled")
    assert (reasons(world, "kim@example.org"), reasons(world, "lee@example.org")) == (["unsubscribed"], ["bounced"])
    assert world.run(running).state == "exited"


def test_an_imported_unsubscribe_is_lifted_as_any_other(tmp_path: Path, world: World) -> None:
    """By the person or by the operator with their consent, and by no import; the history says where it came from."""
    bring(world, people(tmp_path, "email,status\nkim@example.org,unsubscribed\n", campaign=None), trigger=None)
    (entry,) = Contacts(world.ledger).held(ids.digest("kim@example.org")).consents
    assert (entry["what"], entry["source"]) == ("withdrawn", "import")
    active = people(tmp_path, "email,status,consent,red_systems\nkim@example.org,active,yes,1\n")
    (stored,) = bring(world, active, consent_on_file=True)
    assert (stored.what, stored.message) == ("stored", "gets no email (unsubscribed)")
    assert suppressions.unsuppress("kim@example.org", world.ledger, has_consent=True) == ["unsubscribed"]
    assert bring(world, active) == [Result(2, "enrolled")]
