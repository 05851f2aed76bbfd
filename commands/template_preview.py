"""`evergreen templates preview`: one email as it goes out now, shown or sent to you."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from commands import arguments, clients
from commands.overview import Command
from commands.printing import as_json, console, print_json, speaks_plainly
from shared import services
from shared.domain.catalog import Catalog
from shared.domain.segments import SEGMENTS, Segment
from shared.emails.template_store import Key, Store, name_of
from shared.preview import test_email


@click.command(
    cls=Command,
    epilog="evergreen templates preview christmas_email_1 --segment urgent\n"
    "evergreen templates preview christmas_email_1 --send-to ada@example.org",
)
@click.argument("template")
@click.option(
    "--segment",
    type=click.Choice(SEGMENTS, case_sensitive=False),
    default="CRITICAL",
    show_default=True,
    help="The person's segment.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the HTML to this file.")
@click.option(
    "--send-to",
    metavar="ADDRESS",
    callback=arguments.address,
    help="Send it to this address through Resend, marked [Test].",
)
@as_json
@speaks_plainly
def preview(template: str, segment: Segment, out: Path | None, send_to: str | None, as_json: bool) -> None:
    """Show an email as it goes out now, for a sample person.

    TEMPLATE is its id, such as christmas_email_1, or christmas/christmas_email_1 with its campaign."""
    found = clients.settings(*(("resend_api_key", "resend_from_email") if send_to else ()))
    campaigns = services.catalog()
    key = _key(template, campaigns)
    store = Store(campaigns, found, services.ledger())
    email = test_email.sample(key, segment, templates=store, catalog=campaigns, settings=found)
    if out:
        _write(out, email.html)
    sent = test_email.send_test(email, send_to, found) if send_to else None
    origin = "notion" if store.edited(key) else "file"
    if as_json:
        shown = {"subject": email.subject, "preview": email.preview, "text": email.text, "html": email.html}
        print_json({"template": name_of(key), "segment": segment, "from": origin, "sent": sent} | shown)
        return
    console.print(f"[dim]{name_of(key)}, for {segment}, from {'Notion' if origin == 'notion' else 'the file'}[/]")
    console.print(f"Subject: {email.subject}\nPreview: {email.preview}\n\n{email.text}", markup=False)
    if out:
        console.print(f"[green]The HTML is in {out}.[/]")
    if sent:
        console.print(f"[green]Sent; its Resend ID is {sent}.[/]")


def _write(out: Path, html: str) -> None:
    try:
        out.write_text(html, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}") from None


def _key(template: str, campaigns: Catalog) -> Key:
    """The template with this id or name."""
    wanted = template.removesuffix(".md")
    found = [key for key in campaigns.sources if wanted in (key[1], name_of(key))]
    if len(found) == 1:
        return found[0]
    if found:
        raise click.ClickException(f"several campaigns have it; use {' or '.join(map(name_of, found))}")
    close = difflib.get_close_matches(wanted, [template for _, template in campaigns.sources], n=3)
    raise click.ClickException(
        f"no campaign has an email {template!r}" + (f"; did you mean {' or '.join(close)}?" if close else "")
    )
