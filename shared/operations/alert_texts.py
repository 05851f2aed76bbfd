"""How an alert is worded: what happened, how often, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.settings import Settings
from shared.domain.enrollments import Contact
from shared.integrations.discord import Embed
from shared.ledger.alerts import Alert

COLORS = {"CRITICAL": 0xB3261E, "URGENT": 0xC77700, "OPTIMIZE": 0x1F6F54}
ALERT = 0xC77700


@dataclass(frozen=True)
class Cause:
    """Why an alert is raised: in one line, and in one sentence what fixes it."""

    title: str
    help: str


CAUSES = {
    "failed": Cause("An email failed", "Open it in the console, correct what the reason names, and retry the step."),
    "in-doubt": Cause(
        "Nobody knows whether an email went out",
        "Evergreen looks for it in Resend's list of emails by itself. If it is still under Failures in the console "
        "after some minutes, look there yourself; only if it is not there, retry the step.",
    ),
    "slow": Cause(
        "An email waited, as this machine slept or Redis was slow",
        "Nothing, if the machine was asleep. If it goes on, see whether Redis's disk is slow: what takes more than a "
        "second is tried again.",
    ),
    "retrying": Cause(
        "An email did not go out in three attempts",
        "Evergreen goes on trying each hour; see whether Resend has an outage, and what the reason says.",
    ),
    "closed": Cause(
        "Sending has stopped",
        "Nothing is lost, and sending goes on by itself once Resend takes an email again: correct the key or the "
        "domain there; where a quota is used up, wait for its reset or raise it.",
    ),
    "silent": Cause(
        "The scheduler is silent",
        "No email is released until it is back: start the scheduler again and read the end of its log.",
    ),
    "unlisted": Cause(
        "An email was on no list",
        "It is back on its list, and goes out when it is due, or now. No part of Evergreen takes an email off the "
        "list before its end: see in the log of Redis whether it lost writes, and whether anybody changed its keys.",
    ),
    "template": Cause(
        "An edited template was rejected",
        "The last good text is sent meanwhile; correct the page in Notion as the reason says.",
    ),
    "record": Cause(
        "Notion refuses a row",
        "Emails go out all the same; `evergreen notion check` names what is missing or misspelled in the database.",
    ),
    "fence": Cause(
        "Another copy of Evergreen holds the fence",
        "This one sends nothing, so that nobody gets an email twice: stop the other copy, or make this one take over.",
    ),
    "discord": Cause(
        "Discord's webhook is gone",
        "Make a new webhook in the channel's settings and put its address into DISCORD_WEBHOOK_URL; until then alerts "
        "come another way.",
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
    """A contact whose assessment is urgent. This goes to the owner's own channel: the address belongs there.

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
        description="An assessment that asks for a call soon.",
        color=COLORS[contact.segment],
        fields=tuple((title, value) for title, value in fields if value),
        footer=settings.business_name,
    )


def alert(alert: Alert, settings: Settings) -> Embed:
    """Something that a person must look at.

    Args:
        alert: what happened.
        settings: for the business's name.
    """
    cause = CAUSES.get(
        alert.subject, Cause(f"Something needs a look: {alert.subject}", "The console and the logs say more.")
    )
    latest = "Latest: " if alert.count > 1 else ""
    return Embed(
        title=cause.title,
        description=f"{latest}{alert.detail}\n\n{cause.help}".strip(),
        color=ALERT,
        fields=(("Since the last message", "once" if alert.count <= 1 else f"{alert.count} times"),),
        footer=settings.business_name,
    )


def as_text(embed: Embed) -> str:
    """The same words for a plain email.

    Args:
        embed: the message.
    """
    facts = "\n".join(f"{name}: {value}" for name, value in embed.fields)
    return (
        "\n\n".join(part for part in (embed.description, facts, f"-- \n{embed.footer}" if embed.footer else "") if part)
        + "\n"
    )
