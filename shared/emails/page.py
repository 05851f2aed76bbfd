"""The HTML page of an email: the layout with the sender's brand, the text and its buttons, and the footer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from css_inline import CSSInliner
from markdown_it.token import Token

from shared.core.errors import SettingsError
from shared.emails import markdown
from shared.emails.colors import ink, readable
from shared.emails.slots import HTML, Fault, Placeholder, Slots

MAX_HTML_BYTES = 100_000  # Gmail cuts a message at 102 KB, the unsubscribe link first
_CARDS = {"light": "#fdfdfc", "dark": "#1f2427"}
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


def html_page(
    subject: str, preview: str, tokens: Sequence[Token], slots: Slots, brand: Brand, reason: str, unsubscribable: bool
) -> str:
    """One page, with words for its placeholders; raises Fault if mail programs would cut it."""
    page = _LAYOUT.render(
        subject=subject,
        preview=preview,
        body=markdown.html(_with_buttons(tokens)),
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
