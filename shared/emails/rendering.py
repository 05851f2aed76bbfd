"""Markdown with placeholders → the subject, HTML and text of one person's email.

A template is compiled once and rendered often."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import jinja2

from shared.core.errors import CampaignError, RenderingError
from shared.emails import markdown
from shared.emails.page import Brand, html_page
from shared.emails.placeholders import cleaned, one_line
from shared.emails.plaintext import plain_text
from shared.emails.slots import HTML, TEXT, Fault, Slots

_REASON = "You are receiving this email because you signed up, took an assessment or booked a call with us."


@dataclass(frozen=True)
class Email:
    """One person's email, ready to send."""

    subject: str
    html: str
    text: str
    preview: str


@dataclass(frozen=True)
class Template:
    """A compiled template: `render` is cheap, and the same values always give the same bytes."""

    name: str
    subject_source: str
    placeholders: frozenset[str]
    _needed: frozenset[str]
    _sender_name: str
    _subject: jinja2.Template
    _preview: jinja2.Template
    _text: jinja2.Template
    _html: Mapping[bool, jinja2.Template]  # with an unsubscribe link, or without

    def render(self, values: Mapping[str, object], *, unsubscribe_url: str | None) -> Email:
        """Make one person's email.

        Args:
            values: what is known about the person, by the names in `PLACEHOLDERS`; other names are ignored, None and ""
                count as missing.
            unsubscribe_url: the person's own link, or None for an email that has none, such as a reminder.

        Raises:
            RenderingError: if a value without a default is missing, or a link's value is not a web address.
        """
        try:
            known = {name: text for name in self.placeholders if (text := cleaned(name, values.get(name)))}
        except ValueError as error:
            raise RenderingError(f"{self.name}: {error}") from None
        known.setdefault("sender_name", self._sender_name)
        if missing := sorted(self._needed - known.keys()):
            fix = f'write {{{{ {missing[0]} | default("…") }}}} in the template, or send it with the sign-up'
            raise RenderingError(f"{self.name}: no value for {', '.join(missing)}; {fix}")
        return Email(
            subject=one_line(self._subject.render(known)),
            html=self._html[bool(unsubscribe_url)].render(known, unsubscribe_url=unsubscribe_url),
            text=self._text.render(known) + (f"Unsubscribe: {unsubscribe_url}\n" if unsubscribe_url else ""),
            preview=one_line(self._preview.render(known)),
        )


def compile_template(source: str, *, name: str, brand: Brand, reason: str | None = None) -> Template:
    """Check a template and make it ready to render.

    Args:
        source: the lines `Subject: …` and `Preview: …` (which may be left out), a blank line, then Markdown with
            placeholders.
        name: the template's id, for errors.
        brand: the sender.
        reason: why the person gets it, for the footer; a general sentence if left out.

    Raises:
        CampaignError: `<name>:<line>: ` what is wrong and how to fix it.
    """
    try:
        return _compiled(source, name, brand, reason or _REASON)
    except Fault as fault:
        raise CampaignError(f"{name}:{fault.line}: {fault}") from None


def _compiled(source: str, name: str, brand: Brand, reason: str) -> Template:
    subject_source, preview_source, body_source = _parts(source)
    slots = Slots(source)
    subject, preview = slots.fill(subject_source).strip(), slots.fill(preview_source).strip()
    tokens = markdown.parse(slots.fill(body_source), slots)
    used = list(slots.used)
    footer = [brand.name, brand.postal_address, reason]
    text = "\n".join([plain_text(tokens), "", "--", *filter(None, footer), ""])
    pages = {
        unsubscribable: html_page(subject, preview, tokens, slots, brand, reason, unsubscribable)
        for unsubscribable in (True, False)
    }
    return Template(
        name=name,
        subject_source=subject_source.strip(),
        placeholders=frozenset(placeholder.name for placeholder in used),
        _needed=frozenset(placeholder.name for placeholder in used if placeholder.default is None),
        _sender_name=brand.name,
        _subject=slots.template(subject, TEXT),
        _preview=slots.template(preview, TEXT),
        _text=slots.template(text, TEXT),
        _html={unsubscribable: slots.template(page, HTML) for unsubscribable, page in pages.items()},
    )


def _parts(source: str) -> tuple[str, str, str]:
    """Subject, preview and body, each after enough empty lines to keep its line numbers."""
    lines = re.split(r"\r\n|\r|\n", source.removeprefix("\ufeff"))
    end = next((index for index, line in enumerate(lines) if not line.strip()), len(lines))
    headers: dict[str, str] = {}
    for index, line in enumerate(lines[:end]):
        header = re.fullmatch(r"(Subject|Preview):(.*)", line)
        if not header or header[1] in headers:
            raise Fault(
                index + 1, 'only one line "Subject: …" and one line "Preview: …" may come before the first blank line'
            )
        headers[header[1]] = "\n" * index + header[2]
    if not headers.get("Subject", "").strip():
        raise Fault(1, 'there is no subject; begin with a line "Subject: …"')
    if not any(line.strip() for line in lines[end:]):
        raise Fault(len(lines), "there is no text; write it after a blank line")
    return headers["Subject"], headers.get("Preview", ""), "\n" * end + "\n".join(lines[end:])
