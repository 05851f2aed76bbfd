# ruff: noqa: RUF001  # the names are written in their own scripts
"""Which names of strangers an email prints: real ones in many scripts, and nothing that could be anything else."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.names import carries_link, first_name, read_name

PEOPLE = """
Ada | Ada Lovelace | O'Brien-Smith | O’Neil | D’Arcy | d'Angelo | N'Golo Kanté | Ngũgĩ wa Thiong'o | van der Berg
Jean-Luc | Anne–Marie | María José | Iñigo | Étienne | Zoë | Björk Guðmundsdóttir | Þórður | Łukasz Żółć | Şule İpek
Gal·la Placídia | Dvořák | Szőke Ágnes | Ștefan Țîru | Müller-Lüdenscheidt | Ōno | ʻOkina Kaʻahumanu | ǃXóõ
Sinéad Ní Mhurchú | Dr. Özil | Dr.Ahmed | dr.ahmed | mrs.smith | Prof.Smith | Mohd.Ali | Md.Rahman | R.Karthik
r.karthik | K.P.S.Gill | J.R.R.Tolkien | J. R. R. Tolkien | A. B. C. Ltd. | Mary St.John | St. John-Smythe
Maria.Rossi | Sri.Ramesh | M.Sc Meier | J.Li | Dr.Xu | Smith Jr. | Robert, Jr. | Henry VIII | Jennifer 8. Lee
X Æ A-12 | Ph.D. Weber | А.П.Чехов | Ольга Петровна | Ελένη Παπαδοπούλου | Նարեկ Անի | გიორგი | Дарья Щёкина
Їжакевич Ґалаґан | Ђорђе Љубичић | Мөнхбат | محمد بن سلمان | فاطمة الزهراء | د.أحمد | می‌خواهم | علی‌رضا | اُسامہ
نۇرمۇھەممەت | דוד בן־גוריון | ג׳ורג׳ | יוֹסֵף | ܝܘܚܢܢ | श्रीमती क्ष्मा | डॉ॰ राम | र‍्याकुरेल | ஆர்.கார்த்திக்
தமிழ்ச்செல்வி | ක්‍රි ශ්‍රී | അവന്‍ | ശ്രീകുമാർ | శ్రీనివాస్ | ಕೃಷ್ಣ | ਗੁਰਪ੍ਰੀਤ | ક્ષિતિજ | সৌরভ | สมชาย ใจดี
ดร.สมชาย | ໄຊຍະ | မောင်မောင် | សុខា | བསྟན་འཛིན | Nguyễn Thị Minh Khai | Đặng Văn Hưng | 김철수 | 이 순신 | 李 | 王小明
阿卜杜拉·艾哈迈德 | 山田 太郎 | マリア・ロッシ | さくら | 𠮷田 | አበበ ቢቂላ | ᐃᓄᒃ | ⵎⴰⵙⵉⵏ | ߞߊ߲ߕߍ
"""
BUSINESSES = """
Müller GmbH & Co.KG | müller gmbh & co.kg | Booking.com | Booking.com B.V. | Amazon.com, Inc. | amazon.de
Check24.de | 1-800-Flowers.com | 7-Eleven | C&A | AT&T | Yahoo! | Toys "R" Us | 24/7 Fitness | Sportverein e.V.
S.p.A. Rossi | 3M | 4711 | Hotel St.Gallen | Dr.med.Schmidt | Smith + Sons | Procter & Gamble (UK) Ltd.
Ben & Jerry’s | L'Oréal | Guess? | Acme, Inc. | 100% Bio | Smith | Doe: Consulting | Ø Studio® | 株式会社トヨタ
ООО «Ромашка» | شركة النور | דלק מוטורס בע״מ
"""
TYPED_BY_NOBODY = [
    "Your order of $499.99 is confirmed. To cancel call +1 888 555 0100", "call 12345", "٠١٢٣٤", "①②③④⑤", "1 2 3 4 5",
    "€100", "5 ￥", "₿ free", "Ada (work)", "Ada 🌸", "-", "...", "<b>Ada</b>", "{{ name }}", "Ada\\nLovelace",
    "x" * 81, "ada@evil.net", "ada＠evil", "ada﹫evil", "ada (at) evil", "ada[at]evil",
]  # fmt: skip
LINKS = [
    "https://evil.example.net", "HTTP://evil.net/x", "https:evil.net", "ｈｔｔｐｓ：//evil", "//evil", "www.evil",
    "WWW.EVIL.DE", "tel:+18885550100", "tel: 123", "sms:123", "mailto:ada", "evil.example.net", "ftp.evil.net",
    "a.b.c.evil.com", "at evil.net now", "visit evil.example", "evil.example/pay", "evil.com/", "evil.com:80",
    "evil .com", "evil. com", "evil . net", "evil[.]example", "evil(.)com", "evil(dot)com", "evil{dot}com",
    "evil.co.kg", "x.xn--p1ai", "купи домен.рф", "visit 网站.中国", "192.0.2.7/pay", "192.0.2.7", "1.1.1.1",
]  # fmt: skip
DISGUISED = [
    "visit evil\u3002example", "evil\u3002com", "evil\uff61com", "evil\uff0ecom", "evil\uff0eexample/pay",
    "evil\u2024com", "evil\ufe52com", "evil\u00ad.com", "evil\u200b.com", "evil\u200c.com", "evil\u200d.com",
    "evil\u2060.com", "evil\ufeff.com", "evil\u034f.com", "evil\u3164.com", "evil\uffa0.com", "evil\u115f.com",
    "e\ufe0fvil.com", "evil\U000e0061.com", "evil\U000e0100.com", "ev\u202eil.com", "evil\ue000.com",
    "evil\u061c.com", "evil\u180e.com", "evil\u2800.com", "w\u00adww.evil", "h\u200bttps://evil", "ⓔvil.com",
    "𝐞𝐯𝐢𝐥.𝐜𝐨𝐦", "ｅｖｉｌ.com",
]  # fmt: skip


def names(table: str) -> list[str]:
    """The names of a table, one by one."""
    return [name for line in table.strip().split("\n") for name in line.strip().split(" | ") if name.strip()]


@pytest.mark.parametrize("name", names(PEOPLE))
def test_real_names_of_people_are_printed(name: str) -> None:
    """In every script: with marks, joiners, apostrophes, hyphens, initials and titles, also without a space after
    the dot."""
    assert read_name(name).printed == unicodedata.normalize("NFKC", name)
    assert read_name(name).claimed is None
    assert not carries_link(name)


@pytest.mark.parametrize("name", names(BUSINESSES))
def test_real_names_of_businesses_are_printed(name: str) -> None:
    """Also with signs that no person's name has, and if the business is called like its website."""
    assert read_name(name, business=True).printed == unicodedata.normalize("NFKC", name)


def test_there_are_a_hundred_real_names() -> None:
    """Enough, of enough scripts."""
    assert len(names(PEOPLE)) >= 100
    scripts = {unicodedata.name(letter).split()[0] for name in names(PEOPLE) for letter in name if letter.isalpha()}
    assert len(scripts) >= 30


@pytest.mark.parametrize("business", [False, True])
@pytest.mark.parametrize("text", [*LINKS, *DISGUISED])
def test_a_link_is_only_claimed(text: str, business: bool) -> None:
    """No form of a link, and no disguise, is printed; the owner sees what was typed, without what is invisible."""
    name = read_name(text, business=business)
    assert name.printed is None
    assert name.claimed
    assert carries_link(text)


@pytest.mark.parametrize("text", TYPED_BY_NOBODY)
def test_what_is_no_name_is_only_claimed(text: str) -> None:
    """Digits, currencies, at signs, markup, pictures, and what is too long."""
    assert read_name(text).printed is None
    assert read_name(text).claimed == text


@pytest.mark.parametrize(
    "text", ["Booking.com", "evil.com", "Evil.Net", "EVIL.NET", "evil.example", "купи.рф", "t.co", "maria.rossi"]
)
def test_a_person_is_not_called_like_a_website(text: str) -> None:
    """What may be the name of a business is none for a person."""
    assert read_name(text).claimed == text


@pytest.mark.parametrize(
    "text",
    ["visit Booking.com", "Booking.com is great now", "shop.booking.com", "Booking.com/pay", "Booking.com evil.de"],
)
def test_a_business_called_like_its_website_has_no_more_to_say(text: str) -> None:
    """A website within a sentence, below another name or with a path is a link."""
    assert read_name(text, business=True).claimed == text


@pytest.mark.parametrize("text", ["\u200b", "\u3164\u00ad", "  ", "\ue000", "\u2028"])
def test_nothing_visible_is_no_name(text: str) -> None:
    """Neither printed nor shown."""
    assert (read_name(text).printed, read_name(text).claimed) == (None, None)


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("Ada\u200b Love\u00adlace", "Ada Lovelace"),
        ("  Ada \n Lovelace\u2029", "Ada Lovelace"),
        ("R\u200b.Karthik", "R.Karthik"),
        ("Ｊ．スミス", "J.スミス"),
        ("O´Neil", "O'Neil"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("a\u200dda", "ada"),
        ("\u202eAda\u202c", "Ada"),
        ("Ada\U000e0041\ufe0f", "Ada"),
    ],
)
def test_invisible_characters_are_left_out(given: str, printed: str) -> None:
    """And what is written in several ways is printed in one."""
    assert read_name(given).printed == printed


def test_limits_are_those_of_what_is_printed() -> None:
    """40 and 80 characters after all that is invisible has gone; of more, the owner sees 100."""
    assert read_name("x" * 40 + "\u200b" * 50).printed == "x" * 40
    assert read_name("x" * 41).claimed == "x" * 41
    assert read_name("x" * 80, business=True).printed == "x" * 80
    assert read_name("x" * 100_000, business=True).claimed == "x" * 100
    assert read_name("\ufdfa" * 40).printed is None, "a ligature that is eighteen letters"


@pytest.mark.parametrize(
    ("full", "first"),
    [*((full, "Grace") for full in ("Grace Hopper", "Hopper, Grace", "Hopper,Grace B.", "Grace,", ", Grace",
      "– Grace Hopper", "Mrs. Grace Hopper", "Prof. Dr. Grace Hopper", "Grace Hopper, PhD, MBA", "Hopper, Grace, Ph.D.",
      "Grace Hopper Jr.")),
     ("李", "李"), ("Mary St.John", "Mary"), ("R.Karthik", "R.Karthik"), ("Mary-Ann O'Neil", "Mary-Ann"),
     *((unclear, None) for unclear in ("Mrs Hopper", "Dr. Özil", "Herr Müller", "MR", "the Hopper family", "-", ",",
      "Hopper, Mrs", "Familie Hopper", "Mr. & Mrs. Hopper", "Grace and Vincent Hopper", "J. R. R. Tolkien", "", "&"))],
)  # fmt: skip
def test_a_greeting_names_one_person_or_no_one(full: str, first: str | None) -> None:
    """Where the first name is clear, in any order and with any title."""
    assert first_name(full) == first


@given(st.text())
def test_any_text_may_be_greeted(text: str) -> None:
    """A greeting has one word of the name, and no comma after it."""
    found = first_name(text)
    assert found is None or (found in text and found.split() == [found.strip(",;")])


@given(st.text(), st.booleans())
def test_any_text_is_read(text: str, business: bool) -> None:
    """What is printed is a name again, short, in one line; nothing is both printed and claimed."""
    name = read_name(text, business=business)
    assert name.printed is None or name.claimed is None
    if name.printed:
        assert read_name(name.printed, business=business) == name
        assert len(name.printed) <= (80 if business else 40)
        assert name.printed.splitlines() == [name.printed]
        assert not any(unicodedata.category(each) == "Sc" or each == "@" for each in name.printed)
