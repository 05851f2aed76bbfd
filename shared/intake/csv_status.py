"""Whether a person may get email, as the export of another email tool says it.

Where each tool says it (column: values):

- Mailchimp: three or four files. UNSUB_TIME and CLEAN_TIME are in the unsubscribed and the cleaned one (sample files in
  TryGhost/migrate, packages/mg-mailchimp-members); the nonsubscribed one is known only by its name. In its API, a
  `status` is subscribed, unsubscribed, cleaned, pending, transactional (not subscribed) or archived.
- Kit (ConvertKit), `state` or `status`: active, cancelled, bounced, complained, inactive (not confirmed)
  (developers.kit.com, subscribers; help.kit.com, "Subscriber types").
- Keila, `Status`: active, unsubscribed, unreachable (pentacent/keila, ContactsCsvExport).
- Ghost: `subscribed_to_emails` true or false; `email_disabled` after a bounce or a complaint (TryGhost/Ghost,
  members-csv/lib/unparse.js and pull request 29598).
- listmonk, `status`: enabled, disabled, blocklisted (cmd/subscribers.go). The subscription to a list (confirmed,
  unconfirmed, unsubscribed) is not in the export: knadh/listmonk issue 2855.
- Brevo: a subscription status subscribed or blocklisted (developers.brevo.com, contacts/export; help.brevo.com, "Manage
  the subscription status"), in other exports `EMAIL_BLACKLISTED`.
- Loops: `Subscribed` true or false (loops.so/docs/add-users/csv-upload). Resend: `unsubscribed` true or false.
- HubSpot: "Unsubscribed from all email", "Email hard bounce reason" (knowledge.hubspot.com). Sendportal:
  `unsubscribed_at`. Other CRMs: "Email Opt Out", "Do Not Contact".
- Evergreen's own contacts in Notion, `Subscription`: subscribed, unsubscribed, bounced, complained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.intake.csv_columns import Fault, normalized

MAY_GET_EMAIL = "may get email"
NOT_CONFIRMED = "has not confirmed the subscription; they can sign up again"
UNCLEAR = "not a known status; write active or unsubscribed, or rename the column if it means something else"
MISSING = "empty; write active or unsubscribed, or rename the column if it means something else"
UNSUBSCRIBED, BOUNCED, COMPLAINED = REASONS = ("unsubscribed", "bounced", "complained")

# A status in words, and what it means.
_WORDS = {
    **dict.fromkeys(("active", "subscribed", "enabled", "confirmed"), MAY_GET_EMAIL),
    **dict.fromkeys(
        ("unsubscribed", "cancelled", "canceled", "opted_out", "disabled", "archived", "deleted", "transactional"),
        UNSUBSCRIBED,
    ),
    **dict.fromkeys(
        ("blocklisted", "blacklisted", "blocked", "nonsubscribed", "non_subscribed", "not_subscribed"), UNSUBSCRIBED
    ),
    **dict.fromkeys(("bounced", "cleaned", "unreachable", "hard_bounced"), BOUNCED),
    **dict.fromkeys(("complained", "spam", "marked_as_spam", "junk"), COMPLAINED),
    **dict.fromkeys(("unconfirmed", "pending", "inactive"), NOT_CONFIRMED),
}
# Columns that must say something about each person.
_IN_WORDS = frozenset(
    {"status", "subscription", "subscription_status", "subscriber_status", "email_marketing", "email_marketing_status"}
)
_SUBSCRIBED = frozenset({"subscribed", "subscribed_to_emails", "is_subscribed"})
# What a yes means; a no, or nothing, leaves the others to decide.
_OBJECTIONS = {
    "unsubscribed": UNSUBSCRIBED,
    "unsubscribed_from_all_email": UNSUBSCRIBED,
    "opted_out": UNSUBSCRIBED,
    "opt_out": UNSUBSCRIBED,
    "email_opt_out": UNSUBSCRIBED,
    "do_not_contact": UNSUBSCRIBED,
    "do_not_email": UNSUBSCRIBED,
    "email_blacklisted": UNSUBSCRIBED,
    "email_blocklisted": UNSUBSCRIBED,
    "blacklisted": UNSUBSCRIBED,
    "blocklisted": UNSUBSCRIBED,
    "email_disabled": BOUNCED,
    "bounced": BOUNCED,
    "complained": COMPLAINED,
}
# What it means if there is anything: a time, a reason.
_RECORDS = {
    "unsub_time": UNSUBSCRIBED,
    "unsubscribed_at": UNSUBSCRIBED,
    "unsubscribe_date": UNSUBSCRIBED,
    "cancelled_at": UNSUBSCRIBED,
    "canceled_at": UNSUBSCRIBED,
    "deleted_at": UNSUBSCRIBED,
    "clean_time": BOUNCED,
    "bounced_at": BOUNCED,
    "email_hard_bounce_reason": BOUNCED,
    "complained_at": COMPLAINED,
}
# `state` may also be a part of a country: there, a word that is not a status means nothing.
COLUMNS = frozenset({*_IN_WORDS, *_SUBSCRIBED, *_OBJECTIONS, *_RECORDS, "state"})
# Excel writes the booleans of a file that it saves in its own language.
_YES = frozenset({"yes", "true", "1", "y", "t", "wahr", "ja", "vrai", "oui"})
_NO = frozenset({"no", "false", "0", "n", "f", "falsch", "nein", "faux", "non"})
_NOTHING = frozenset({"", "null", "none", "n/a"})
_FILES = {UNSUBSCRIBED: re.compile(r"(non|un)subscribed_\w*export"), BOUNCED: re.compile(r"cleaned_\w*export")}


def of_file(name: str) -> frozenset[str]:
    """Why no one in a file gets email, as its name says: Mailchimp's `unsubscribed_email_audience_export_….csv`."""
    return frozenset(reason for reason, pattern in _FILES.items() if pattern.match(name))


def read(line: int, cells: Mapping[str, str]) -> tuple[frozenset[str], Fault | None]:
    """Why a person gets no email: each of `unsubscribed`, `bounced`, `complained` that applies; and why it is not known
    whether they may get email.

    Args:
        line: where the person's line begins in the file, from 1.
        cells: its cells by column, empty ones too.
    """
    said = {column: _meaning(column, normalized(cells[column])) for column in cells if column in COLUMNS}
    reasons = frozenset(meaning for meaning in said.values() if meaning in REASONS)
    doubts = (Fault(line, *each) for each in said.items() if each[1] not in (*REASONS, MAY_GET_EMAIL))
    return reasons, next(doubts, None)


def _meaning(column: str, word: str) -> str:
    if word in _NOTHING:
        return MISSING if column in _IN_WORDS | _SUBSCRIBED else MAY_GET_EMAIL
    if column in _RECORDS:
        return _RECORDS[column]
    if column in _SUBSCRIBED and word in _YES | _NO:
        return MAY_GET_EMAIL if word in _YES else UNSUBSCRIBED
    if column in _OBJECTIONS and word in _YES | _NO:
        return _OBJECTIONS[column] if word in _YES else MAY_GET_EMAIL
    return _WORDS.get(word, MAY_GET_EMAIL if column == "state" else UNCLEAR)
