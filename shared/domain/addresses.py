"""Email addresses: the one form in which an address is compared, digested and stored, and the one that providers take.

The stored form has its domain in Unicode, not in ASCII (`ada@bücher.example.org`, not `xn--bcher-kva`). Earlier
releases stored it so, and the digest of what is stored is the contact's id, in enrollments, suppressions and the links
to unsubscribe. So each address that an earlier release accepted keeps its form here, or a person who unsubscribed would
be a stranger after an update. People read this form, too. Only what is posted to a provider has the ASCII domain.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

import idna
from email_validator import EmailNotValidError, validate_email

from shared.domain.names import visible

LONGEST, LONGEST_LOCAL = 200, 64  # characters of an address that a form may have, and of the part before its @
LONGEST_TEXT = 2000  # characters that are read to find one
INVALID = "This is not a valid email address. Write one such as name@example.org."
_ENDS = " .,;:!?\u3002\uff0c\uff1b\u3001"  # what stays behind an address that is copied from a sentence
_WRAPPED = re.compile("""'(.*)'|"(.*)"|\\((.*)\\)|\\[(.*)\\]|\u201c(.*)\u201d|\u2018(.*)\u2019""")
_ONE = re.compile(r"""([^\s@<>()\[\]\\,;:"]+)@([^\s@<>()\[\]\\,;:"]+)""")
_DOMAIN = re.compile(r"@([^\s@<>]+)(?=>?\s*$)")


def canonical(text: str) -> str:
    """An address in the form that is compared, digested and stored, however it was written; "" if it is not one.

    Lower case, without invisible characters, the domain in Unicode (IDNA 2008: an ß stays one). Taken out of
    `Ada <ada@example.org>`, a mailto link, quotes, and the punctuation of a sentence. Several addresses give none. An
    address that no form accepts has a form, too: it may be stored by an earlier release or come from Notion.
    """
    if len(text) > LONGEST_TEXT:
        return ""
    found = _ONE.fullmatch(_bare(_legible(text)))
    return f"{unicodedata.normalize('NFC', found[1])}@{_in_unicode(found[2])}" if found else ""


def accepted(text: str) -> str:
    """The canonical form of an address that providers take.

    Raises:
        ValueError: a sentence for the person who typed it.
    """
    address = canonical(text)
    local, _, domain = address.rpartition("@")
    if domain and not local.isascii():
        odd = "".join(sorted({each for each in local if not each.isascii()}))
        raise ValueError(
            f"Email cannot be sent to this address: before the @ it has “{odd}”, where only a to z without accents, "
            "digits and signs can be. Please use another address."
        )
    if len(local) > LONGEST_LOCAL:
        raise ValueError(
            f"Email cannot be sent to this address: before the @ it has more than {LONGEST_LOCAL} characters."
        )
    if len(address) > LONGEST:
        raise ValueError(f"This address is too long: it has more than {LONGEST} characters.")
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        raise ValueError(INVALID) from None
    return address


def to_ascii(mailbox: str) -> str:
    """A canonical address, or a name with one in angle brackets, as providers take it: its domain is in ASCII."""
    return _DOMAIN.sub(lambda found: f"@{_in_ascii(found[1])}", mailbox)


def spellings(address: str) -> tuple[str, ...]:
    """How a canonical address may be written in other systems: with the domain in Unicode, and in ASCII."""
    return tuple(dict.fromkeys((address, to_ascii(address))))


def _legible(text: str) -> str:
    line = visible(text).lower()
    return line if "@" in line else unicodedata.normalize("NFKC", line)  # an @ may come from a full-width keyboard


def _bare(text: str) -> str:
    """The address alone. Of several, or beside another in a name, none."""
    text = text.rstrip(_ENDS)
    name, bracket, inner = text.rpartition("<")
    if bracket:
        name = re.sub('"[^"]*"', "", name)
        if not inner.endswith(">") or re.search("[<>]", name) or ("@" in name and re.search("[,;]", name)):
            return ""
        text = inner[:-1].strip()
    if wrapped := _WRAPPED.fullmatch(text):
        text = wrapped[wrapped.lastindex or 0].strip()
    if text.startswith("mailto:"):
        text = _legible(unquote(text.removeprefix("mailto:").partition("?")[0]))
    return re.sub(r"\s*@\s*", "@", text.rstrip(_ENDS))


def _in_unicode(domain: str) -> str:
    if domain.isascii() and "xn--" not in domain:
        return domain
    try:
        return idna.decode(idna.encode(domain, uts46=True))
    except idna.IDNAError:
        return domain


def _in_ascii(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode() if not domain.isascii() else domain
    except idna.IDNAError:
        return domain
