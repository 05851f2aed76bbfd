"""Markdown with placeholders → the subject, HTML and text of one person's email.

A template is compiled once and rendered often."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from css_inline import CSSInliner
from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.core.errors import CampaignError, RenderingError, SettingsError
from shared.emails.colors import ink, readable
from shared.emails.placeholders import HTML, LINKS, PLACEHOLDERS, TEXT, Fault, Placeholder, Slots, cleaned, one_line
from shared.emails.plaintext import plain_text

__all__ = ["PLACEHOLDERS", "Brand", "Email", "Template", "compile_template"]

MAX_HTML_BYTES = 100_000  # Gmail cuts a message at 102 KB, the unsubscribe link first
_CARDS = {"light": "#fdfdfc", "dark": "#1f2427"}
_REASON = "You receive this email because you signed up, took an assessment or booked a call with us."
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "typographer": True}).enable("smartquotes")
# markdown-it would print a bad link as text; _check refuses it
_MARKDOWN.validateLink = lambda url: True  # type: ignore[method-assign]
_INLINER = CSSInliner(load_remote_stylesheets=False, minify_css=True)
_LAYOUT = HTML.from_string(Path(__file__).with_name("layout.html").read_text(encoding="utf-8"))
_BUTTON = (
    '<table role="presentation" class="button" cellpadding="0" cellspacing="0" border="0"><tr><td>',
    "</td></tr></table>\n",
)


@dataclass(frozen=True)
class Brand:
    """The sender: what every email shows about the business.

    Attributes:
        name: at the top, if there is no logo, and in the footer.
        postal_address: in the footer.
        color: of the button and the links, as `#rrggbb`.
        logo_url: the full https:// address of an image for the top, shown 40 pixels high; "" for none.

    Raises:
        SettingsError: if the logo has another kind of address, which a mail program would not load.
    """

    name: str
    postal_address: str
    color: str
    logo_url: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(https://[^\s/]\S*)?", self.logo_url):
            raise SettingsError(
                "the logo's address is not a web address; begin it with https://, or leave BRAND_LOGO_URL empty"
            )


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
    tokens = _MARKDOWN.parse(slots.fill(body_source))
    _check(tokens, slots)
    used = list(slots.used)
    footer = [brand.name, brand.postal_address, reason]
    text = "\n".join([plain_text(tokens), "", "--", *filter(None, footer), ""])
    pages = {
        unsubscribable: _page(subject, preview, tokens, slots, brand, reason, unsubscribable)
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


def _check(tokens: Sequence[Token], slots: Slots) -> None:
    for token in tokens:
        line = token.map[0] + 1 if token.map else 1
        if "{{" in _html([token]) or (token.type == "inline" and "{{" in plain_text([token])):
            raise Fault(line, "braces are left over; write a placeholder without backslashes or entities")
        for child in token.children or ():
            if child.type in ("softbreak", "hardbreak"):
                line += 1
            elif child.type == "link_open":
                child.attrs["href"] = _address(str(child.attrs["href"]), slots, line)
            elif child.type == "image" and not re.fullmatch(
                rf"https://(?:(?!{slots.word.pattern}).)+", str(child.attrs["src"])
            ):
                raise Fault(line, "an image needs a full address that begins with https:// and contains no placeholder")


def _address(href: str, slots: Slots, line: int) -> str:
    if first := slots.word.match(href):
        usable = slots.used[int(first[1])].name in LINKS
    else:
        start = re.match(r"https?://[^/?#]+|mailto:[^?]+|tel:.+", href)
        usable = start is not None and not slots.word.search(start[0])
    if not usable:
        raise Fault(
            line,
            "a link's address is not safe; begin it with https://, mailto: or tel:, or use {{ booking_url }}",
        )
    return slots.address(href)


def _page(
    subject: str, preview: str, tokens: Sequence[Token], slots: Slots, brand: Brand, reason: str, unsubscribable: bool
) -> str:
    page = _LAYOUT.render(
        subject=subject,
        preview=preview,
        body=_html(_with_buttons(tokens)),
        brand=brand,
        reason=reason,
        unsubscribe_url=slots.add(Placeholder("unsubscribe_url")) if unsubscribable else None,
        card=_CARDS,
        accent={mode: readable(brand.color, card) for mode, card in _CARDS.items()},
        ink=ink(brand.color),
    )
    page = _INLINER.inline(page)
    if len(page.encode()) > MAX_HTML_BYTES:
        raise Fault(1, f"the email is larger than {MAX_HTML_BYTES} bytes, and Gmail would cut it; shorten it")
    return page


def _html(tokens: Sequence[Token]) -> str:
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def _with_buttons(tokens: Sequence[Token]) -> list[Token]:
    """The tokens, with each paragraph that is only a link turned into a button: a table, because Outlook pads only
    cells."""
    shown = list(tokens)
    for index, token in enumerate(tokens):
        kinds = [child.type for child in token.children or ()]
        alone = kinds.count("link_open") == 1 and (kinds[0], kinds[-1]) == ("link_open", "link_close")
        if alone and token.level == 1 and tokens[index - 1].type == "paragraph_open":
            shown[index - 1], shown[index + 1] = (Token("html_block", "", 0, content=part) for part in _BUTTON)
    return shown
