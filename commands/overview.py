"""What `evergreen --help` shows: every command by what it is for, a line each, with examples."""

from __future__ import annotations

import click

GROUPS: dict[str, dict[str, str]] = {
    "Every day": {
        "list": "List enrollments, the latest first",
        "show": "Show an enrollment with its emails",
        "pause": "Hold an enrollment until you resume it",
        "resume": "Let a paused enrollment go on",
        "cancel": "End an enrollment for good",
        "skip": "Leave one email out",
        "send-now": "Send one email before its time",
        "retry": "Try an email again that failed or is in doubt",
    },
    "Campaigns": {
        "plan": "Show every email of a campaign, and when it goes out",
        "simulate": "See what many sign-ups would do",
        "diff": "See whom your changes to the campaigns affect",
        "templates": "Check, preview, push and pull the emails",
        "enroll": "Put a person into a campaign, as a webhook would",
    },
    "People": {
        "import": "Import people from a CSV file",
        "export": "Print everything that is kept about a person",
        "forget": "Erase a person, here and in Notion",
        "suppress": "Stop all email to an address",
        "unsuppress": "Allow email to an address again",
    },
    "Trouble": {
        "doctor": "Check settings and services, and say how to fix them",
        "stop-sending": "Stop all email",
        "start-sending": "Send again",
        "verify": "Compare the ledger with Resend and Notion",
        "fence": "Say whether this copy may send",
        "restore": "Rebuild a lost ledger from Notion",
        "migrate": "Update the ledger after an upgrade",
    },
    "Setup and development": {
        "notion": "Create or check the Notion databases",
        "up": "Start everything on this machine",
        "completion": "Complete commands in your shell",
    },
}
EXAMPLES = (
    "evergreen list --state paused",
    "evergreen show ada@example.org",
    "evergreen plan christmas --timezone Europe/Rome",
    "evergreen doctor",
)


class Overview(click.Group):
    """The command line as a whole; its help is grouped."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, by what they are for."""
        for title, lines in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(list(lines.items()), col_max=14)
        with formatter.section("Examples"):
            for example in EXAMPLES:
                formatter.write_text(example)
        formatter.write_paragraph()
        formatter.write_text("`evergreen COMMAND --help` explains a command; docs/commands.md explains them all.")
