"""How an alert is worded: what happened, how often, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.settings import Settings
from shared.domain.enrollments import Contact
from shared.integrations.discord import Embed
from shared.ledger.alerts import Alert

COLORS = {"CRITICAL": 0xB3261E, "URGENT": 0xC77700, "OPTIMIZE": 0x1F6F54}
ALERT = 0xC77700
NAMED = 5  # leads of a summary that are named


@dataclass(frozen=True)
class Cause:
    """Why an alert is raised, in one line, and how to fix it, in one sentence."""

    title: str
    help: str


CAUSES = {
    "failed": Cause("An email failed", "Open it in the console, fix what the reason names, and retry the step."),
    "in-doubt": Cause(
        "It is unknown whether an email was sent",
        "Evergreen checks Resend's list of emails by itself. If the email is still under Failures in the console after "
        "a few minutes, check the list yourself; retry the step only if the email is not there.",
    ),
    "slow": Cause(
        "An email waited because this machine slept or Redis was slow",
        "If the machine was asleep, do nothing. If it continues, check whether Redis's disk is slow: emails that take "
        "more than a second are tried again.",
    ),
    "retrying": Cause(
        "An email could not be sent in three attempts",
        "Evergreen keeps trying every hour. Check whether Resend has an outage, and what the reason says.",
    ),
    "closed": Cause(
        "Sending has stopped",
        "Nothing is lost, and sending resumes by itself once Resend accepts an email again. Fix the key or the domain "
        "there; if a quota is used up, wait for its reset or raise it.",
    ),
    "silent": Cause(
        "The scheduler is silent",
        "No email is sent until it is back. Restart the scheduler and read the end of its log.",
    ),
    "memory": Cause(
        "The ledger is filling up",
        "At 90 % your forms are refused; when it is full, no email is sent. Give Redis more memory (maxmemory). If a "
        "flood of sign-ups fills it, `evergreen purge --since 2h --unconfirmed` removes those that no one confirmed.",
    ),
    "full": Cause(
        "The ledger is full",
        "No sign-up is accepted and no email is sent, but nothing is lost, and stopping, unsubscribing and forgetting "
        "work. Give Redis more memory (maxmemory). If a flood of sign-ups filled it, "
        "`evergreen purge --since 2h --unconfirmed` removes those that no one confirmed.",
    ),
    "held": Cause(
        "More sign-ups than usual: new ones wait for a confirmation",
        "Nothing is lost: each person gets an email with a button, and is enrolled once they press it. If this is your "
        "own success, raise SIGNUPS_PER_HOUR or SIGNUPS_PER_DAY. If it is a flood, "
        "`evergreen purge --since 2h --unconfirmed` removes those that no one confirmed.",
    ),
    "first-emails": Cause(
        "First emails to new addresses have stopped, because too many bounced",
        "Someone may be signing up addresses that do not exist, which harms your domain's reputation. People you know "
        "get their emails as before; new sign-ups wait. Look at the latest sign-ups, remove what is false "
        "(`evergreen purge --since 2h --unconfirmed`), then run `evergreen start-sending`.",
    ),
    "unlisted": Cause(
        "An email was on no list",
        "It is back on its list, and goes out when it is due, or now. No part of Evergreen removes an email from the "
        "list early: check in Redis's log whether it lost writes, and whether someone changed its keys.",
    ),
    "template": Cause(
        "An edited template was rejected",
        "The last good text is still sent. Fix the page in Notion as the reason says.",
    ),
    "record": Cause(
        "Notion needs a correction",
        "Emails still go out. `evergreen notion check` lists what is missing or misspelled in the databases.",
    ),
    "fence": Cause(
        "Another copy of Evergreen holds the fence",
        "This one sends nothing, so that no email is sent twice. Stop the other copy, or let this one take over.",
    ),
    "calendar": Cause(
        "A calendar reported something that could not be read",
        "It had no effect, but was answered 200, so that the calendar keeps reporting. Look at your latest bookings: a "
        "person whose address is not valid gets no reminders, so write to them yourself. If Cal.com's webhook has a "
        "custom payload template, remove it.",
    ),
    "discord": Cause(
        "The Discord webhook no longer exists",
        "Create a new webhook in the channel's settings and set DISCORD_WEBHOOK_URL to its address. Until then, alerts "
        "are sent another way.",
    ),
}
_SCORES = {
    "assessment_score": ("Assessment score", 100),
    "red_systems": ("Red systems", 8),
    "orange_systems": ("Orange systems", 8),
    "yellow_systems": ("Yellow systems", 8),
    "green_systems": ("Green systems", 8),
}


def lead(contact: Contact, settings: Settings) -> Embed:
    """A contact whose assessment is urgent. It goes to the owner's own channel, so it may contain the address.

    Args:
        contact: the person.
        settings: for the business's name.
    """
    known = contact.fields
    name = known.get("name") or known.get("first_name") or ""
    fields = [
        ("Email", contact.email),
        ("Name", name),
        ("Business", known.get("business_name", "")),
        *((title, f"{known[score]} of {most}") for score, (title, most) in _SCORES.items() if score in known),
        ("Time zone", known.get("timezone", "")),
    ]
    return Embed(
        title=f"{contact.segment} lead: {name or contact.email}",
        description="This result warrants a quick call.",
        color=COLORS[contact.segment],
        fields=tuple((title, value) for title, value in fields if value),
        footer=settings.business_name,
    )


def leads(contacts: Sequence[Contact], settings: Settings, *, delayed: bool) -> Embed:
    """More urgent contacts in a minute than are told one by one: how many, the first few, and where all are.

    Args:
        contacts: the people, the first first.
        settings: for the business's name, and where the console is.
        delayed: whether they could not be told at once, so that some came earlier.
    """
    shown = [lead(contact, settings) for contact in contacts[:NAMED]]
    fields = [(each.title, ", ".join(f"{name}: {value}" for name, value in each.fields)) for each in shown]
    more = f" The first {NAMED} are below." if len(contacts) > NAMED else ""
    return Embed(
        title=f"{len(contacts)} urgent leads{'' if delayed else ' in the last minute'}",
        description=f"So many at once come as one message.{more} If these are not real people, a flood of sign-ups may "
        f"be under way. All of them: {settings.public_url.rstrip('/')}/console/enrollments?segment=CRITICAL",
        color=COLORS["CRITICAL"],
        fields=tuple(fields),
        footer=settings.business_name,
    )


def alert(alert: Alert, settings: Settings) -> Embed:
    """Something that needs attention.

    Args:
        alert: what happened.
        settings: for the business's name.
    """
    cause = CAUSES.get(alert.subject, Cause(f"Needs attention: {alert.subject}", "See the console and the logs."))
    latest = "Latest: " if alert.count > 1 else ""
    return Embed(
        title=cause.title,
        description=f"{latest}{alert.detail}\n\n{cause.help}".strip(),
        color=ALERT,
        fields=(("Since the last message", "once" if alert.count <= 1 else f"{alert.count} times"),),
        footer=settings.business_name,
    )


def as_text(embed: Embed) -> str:
    """The same text for a plain email.

    Args:
        embed: the message.
    """
    facts = "\n".join(f"{name}: {value}" for name, value in embed.fields)
    return (
        "\n\n".join(part for part in (embed.description, facts, f"-- \n{embed.footer}" if embed.footer else "") if part)
        + "\n"
    )
