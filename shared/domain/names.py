"""Names that a stranger types into a form: which of them an email may print."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import dropwhile

PERSON, BUSINESS = 40, 80  # characters
CLAIMED = 100  # characters of what is only shown to the owner
_LONGEST = 400  # no real name is longer before it is cleaned

# Invisible, though their categories do not say so: fillers, blanks, and marks that select a variant.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_JOINERS = "\u200c\u200d"
_JOINED = re.compile("[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\u0900-\u0dff\u1000-\u109f]")  # Arabic, Indic, Burmese
_APOSTROPHES = str.maketrans(dict.fromkeys("\u00b4`\u2032\u201b", "'"))  # NFKC would make a space of the first
# What names have besides letters, marks and digits: apostrophes, hyphens, dots, and signs of Hebrew, Hindi, Tibetan.
_PERSON = " '\u2018\u2019-\u2010\u2012\u2013.,\u00b7\u30fb\u05be\u05f3\u05f4\u0970\u0f0b"
_BUSINESS = _PERSON + '&+/()!?#:;*%|\u00b0\u00ae\u00a9"\u201c\u201d\u201e\u00ab\u00bb\u2014'

_OTHER_DOTS = str.maketrans(dict.fromkeys("\u3002\uff61\u06d4", "."))
_LINK = re.compile(
    r"//|\bwww\.|\S@\S|\b(?:https?|ftp|tel|sms|mailto|callto)\s*:"
    r"|[\[({]\s*(?:\.|dot|at)\s*[\])}]"
    r"|\s\.\s*[^\W\d_]{2}|\.\s+(?:com|net|org|example)\b"
    r"|(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"[\w\u00b7'\u2019-]+(?:\.[\w\u00b7'\u2019-]+)+")
# Common ends of domains that end no real name; those of two letters are countries' and are looked at otherwise.
_COMMON = """
com net org info biz edu gov mil app xyz shop store site online top club live link click vip web blog tech space website
cloud page win loan bid zip mov icu buzz email download money cash bank onion local localhost example test invalid
中国 中國 公司 网络 网址 在线 香港 台灣 한국 닷컴 닷넷 コム みんな भारत ไทย рф ком орг онлайн сайт бел укр срб
قطر مصر السعودية امارات ایران عمان موقع شبكة بازار
"""  # noqa: RUF001  # Cyrillic domains are written in Cyrillic
_DOMAINS = frozenset(_COMMON.split())
_BEFORE = "mr mrs ms miss mx dr prof sir madam lord lady rev herr frau hr fru mme mlle señor señora sra"
_AFTER = "jr sr ii iii iv phd md dds esq mba cpa rn inc ltd llc gmbh"  # after a comma
_SEVERAL = "the family families familie familia famille team and und & +"
_TITLES, _SUFFIXES, _MANY = (frozenset(words.split()) for words in (_BEFORE, _AFTER, _SEVERAL))
_LEGAL_FORMS = ("co.kg", "co.ohg", "co.kgaa")


@dataclass(frozen=True)
class Name:
    """A name as it was understood.

    Attributes:
        printed: what an email may print, in Unicode's form NFKC; None if nothing.
        claimed: what was given instead, for the owner only; None if it is printed.
    """

    printed: str | None
    claimed: str | None


def read_name(given: str, *, business: bool = False) -> Name:
    """A name from a stranger. What could be anything but a name is not printed.

    A name has at most 40 characters (a business 80): letters, marks, spaces, at most four digits and the signs that
    names have. It contains no link, and nothing that a mail program makes a link of, however it is disguised. A dot
    alone is no reason: `R.Karthik` and `Dr.Ahmed` are names, and `Booking.com` is the name of a business.

    Args:
        given: what was typed.
        business: whether it names a business, not a person.
    """
    if len(given) > _LONGEST:
        return Name(None, claimed(given))
    name = normal(given)
    if not name:
        return Name(None, None)
    plain = " ".join(given.split()) == name  # nothing in it was disguised
    printable = _is_name(name, business) and (not carries_link(name) or (business and plain and _is_website_name(name)))
    return Name(name, None) if printable else Name(None, claimed(given))


def claimed(given: str) -> str | None:
    """The beginning of what a stranger typed, for the owner to see; None if nothing in it is visible."""
    return visible(given[:_LONGEST])[:CLAIMED] or None


def called(first: str, full: str) -> str | None:
    """What a greeting may call a person; None if nothing is clear.

    Args:
        first: what was given as the first name; empty if nothing.
        full: what was given as the full name.
    """
    typed = first.strip(" ,;")
    if typed and "," not in typed and _plain(typed) not in _TITLES:
        return typed
    return first_name(typed) or first_name(full)


def first_name(full: str) -> str | None:
    """The word of a full name that a greeting may use; None if that is unclear, as in `Mrs Hopper`.

    Args:
        full: as people type it: `Grace Hopper`, `Hopper, Grace` or `Dr. Grace Hopper`.
    """
    last, _, first = full.partition(",")
    used = last if not first.strip() or _plain(first.split()[0]) in _SUFFIXES else first
    words = [word for word in used.split() if word in _MANY or any(each.isalnum() for each in word)]
    given = list(dropwhile(lambda word: _plain(word) in _TITLES, words))
    if not given or len(given) == 1 < len(words) or any(_plain(word) in _MANY for word in words):
        return None
    return None if given[0].endswith(".") else given[0].strip(",;")


def _plain(word: str) -> str:
    return word.strip(".,").replace(".", "").lower()


def carries_link(text: str) -> bool:
    """Whether a text contains a link or what a mail program may make one of, however it is disguised."""
    seen = normal(text).translate(_OTHER_DOTS)
    return bool(_LINK.search(seen)) or any(_is_domain(word[0]) for word in _DOTTED.finditer(seen))


def normal(text: str) -> str:
    """A text in form NFKC, in one line, without invisible characters."""
    folded = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES))
    return unicodedata.normalize("NFKC", visible(folded))


def visible(text: str) -> str:
    """A text in one line, without the characters that no reader sees; Arabic's and Indic's joiners stay where they
    shape a word."""
    line = " ".join(text.split())
    kept = "".join(each for index, each in enumerate(line) if not _is_invisible(line, index))
    return " ".join(kept.split())


def _is_invisible(line: str, index: int) -> bool:
    character = line[index]
    if character in _JOINERS:
        before, after = line[index - 1 : index], line[index + 1 : index + 2]
        ends_half_form = before != "" and unicodedata.combining(before) == 9
        return not (ends_half_form or (_JOINED.match(before) and _JOINED.match(after)))
    return unicodedata.category(character)[0] == "C" or bool(_BLANK.match(character))


def _is_name(name: str, business: bool) -> bool:
    """Whether all characters are those of a name, and not too many of them."""
    kinds = [unicodedata.category(each)[0] for each in name]
    signs = (_BUSINESS if business else _PERSON) + _JOINERS
    return (
        len(name) <= (BUSINESS if business else PERSON)
        and all(kind in "LMN" or each in signs for kind, each in zip(kinds, name, strict=True))
        and ("L" in kinds or (business and "N" in kinds))
        and kinds.count("N") < 5
        and not re.search(r":\S", name)
    )


def _is_domain(word: str) -> bool:
    """Whether a word with dots may be an address and not abbreviations before a name, as in Dr.Ahmed or Co.KG.

    An abbreviation has up to three letters; a longer word is part of a name only if it and the last one are written
    with a capital, or in a script that has none.
    """
    *before, last = word.split(".")
    if len(last) < 2 or not any(each.isalpha() for each in last) or word.lower() in _LEGAL_FORMS:
        return False
    if last.lower() in _DOMAINS or last.lower().startswith("xn--"):
        return True
    short = all(len(label) <= 3 for label in before)
    capital = not last[0].islower()
    if len(last) == 2:
        return not (short and capital)
    return not short and not (capital and not any(label[0].islower() for label in before))


def _is_website_name(name: str) -> bool:
    """Whether a business is called like its website, as Booking.com or Amazon.com, Inc.: two parts, then at most two
    words, each with a capital."""
    first, *others = name.split(" ")
    return (
        re.fullmatch(r"[^\W_][\w-]*\.[^\W\d_]{2,},?", first) is not None
        and not first.lower().startswith("www.")
        and len(others) <= 2
        and not any(word[0].islower() for word in others)
        and not carries_link(" ".join(others))
    )
