"""What `evergreen --help` shows: every command by purpose, a line each, with examples."""

from __future__ import annotations

import click

GROUPS: dict[str, dict[str, str]] = {
    "Every day": {
        "list": "List enrollments, latest first",
        "show": "Show an enrollment with its emails",
        "pause": "Hold an enrollment until you resume it",
        "resume": "Continue a paused enrollment",
        "cancel": "End an enrollment for good",
        "skip": "Skip one email",
        "send-now": "Send one email now, before its time",
        "retry": "Retry an email that failed or is in doubt",
    },
    "Campaigns": {
        "plan": "Show every email of a campaign and when it goes out",
        "simulate": "Simulate many sign-ups",
        "diff": "Show whom your changes to the campaigns affect",
        "templates": "Check, preview, push and pull the emails",
        "enroll": "Enroll a person in a campaign, as a webhook would",
    },
    "People": {
        "import": "Import people from a CSV file",
        "export": "Print everything stored about a person",
        "forget": "Erase a person, here and in Notion",
        "purge": "Erase the sign-ups of a flood",
        "suppress": "Stop all email to an address",
        "unsuppress": "Allow email to an address again",
    },
    "Troubleshooting": {
        "doctor": "Check settings and services, and say how to fix them",
        "stop-sending": "Stop all email",
        "start-sending": "Start sending again",
        "verify": "Compare the ledger with Resend and Notion",
        "fence": "Show whether this copy may send",
        "restore": "Rebuild a lost ledger from Notion",
        "migrate": "Update the ledger after an upgrade",
    },
    "Setup and development": {
        "notion": "Create or check the Notion databases",
        "up": "Start everything on this machine",
        "completion": "Set up shell completion",
    },
}
EXAMPLES = (
    "evergreen list --state paused",
    "evergreen show ada@example.org",
    "evergreen plan christmas --timezone Europe/Rome",
    "evergreen doctor",
)


class Command(click.Command):
    """A command whose help ends with examples: its epilog, an example a line."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, never wrapped, so that they can be copied."""
        with formatter.section("Examples"):
            formatter.write_text(f"\b\n{self.epilog}")


class Overview(click.Group):
    """The whole command line; its help is grouped."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, by purpose."""
        for title, lines in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(list(lines.items()), col_max=14)
        with formatter.section("Examples"):
            for example in EXAMPLES:
                formatter.write_text(example)
        formatter.write_paragraph()
        formatter.write_text("Run `evergreen COMMAND --help` for one command. docs/commands.md has them all.")
