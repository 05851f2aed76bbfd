# ruff: noqa: RUF001  # full-width letters are typed, too
"""Rendering: what a template may hold, and what a contact's values can never do to an email."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import RenderingError, SettingsError
from shared.emails.page import Brand
from shared.emails.placeholders import TYPED
from shared.emails.rendering import Email, compile_template

BRAND = Brand("Northside & Sons", "48 Mill Street, Guelph", "#1f6f54")
UNSUBSCRIBE = "https://example.org/unsubscribe?token=a&kind=b"
HEAD = "Subject: Hello\nPreview: A word\n\n"


class Structure(HTMLParser):
    """Collects an HTML page's tags, its links and the text that is shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[str]]] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, [name for name, _ in attrs]))
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.words += data


def render(body: str, unsubscribe_url: str | None = UNSUBSCRIBE, head: str = HEAD, **values: object) -> Email:
    """One email from a body with the usual header."""
    return compile_template(head + body, name="sample", brand=BRAND).render(values, unsubscribe_url=unsubscribe_url)


def test_a_template_becomes_subject_preview_html_and_text() -> None:
    """Markdown turns into HTML and text; the header lines turn into subject and preview."""
    email = render(
        "Hi **{{ first_name }}**,\n\nwelcome.",
        head="Subject: For {{ first_name }}\nPreview: Look, {{ first_name }}\n\n",
        first_name="Zoë",
    )
    assert (email.subject, email.preview) == ("For Zoë", "Look, Zoë")
    assert ">Zoë</strong>" in email.html and "<title>For Zoë</title>" in email.html and "Look, Zoë" in email.html
    assert email.text.startswith("Hi Zoë,\n\nwelcome.\n\n--\n")


def test_the_compiled_template_knows_its_subject_and_placeholders() -> None:
    """The catalog and the console can ask what a template needs."""
    template = compile_template("Subject: {{ name }}!\n\n[Go]({{ booking_url }})", name="sample", brand=BRAND)
    assert (template.name, template.subject_source, template.placeholders) == (
        "sample",
        "{{ name }}!",
        frozenset({"name", "booking_url"}),
    )


@pytest.mark.parametrize("missing", [None, "", "  \n", "\x00"])
def test_an_empty_value_counts_as_missing(missing: str | None) -> None:
    """None, nothing and blanks are all greeted by the default."""
    assert render('Hi {{ first_name | default("there") }}!', first_name=missing).text.startswith("Hi there!")


def test_zero_is_a_value() -> None:
    """No red systems is a result, and no reason for the default."""
    assert render(
        '{{ red_systems | default("none") }} red, {{ assessment_score }}', red_systems=0, assessment_score=45.0
    ).text.startswith("0 red, 45\n")


def test_a_missing_value_without_a_default_is_named_without_the_person() -> None:
    """The error says which placeholder lacks a value and how to fix it, and nothing about the contact."""
    with pytest.raises(RenderingError) as error:
        render("{{ first_name }} of {{ business_name }}", first_name="Priya", email="priya@example.org")
    assert str(error.value).startswith('sample: no value for business_name; write {{ business_name | default("…") }}')
    assert "riya" not in str(error.value)


def test_the_sender_comes_from_the_brand() -> None:
    """`sender_name` comes from the brand."""
    assert render("the team at {{ sender_name }}").text.startswith("the team at Northside & Sons\n")


hostile = st.one_of(
    st.text(),
    st.text(alphabet="{}%#|<>\"'&*_[]()!`\\\r\n\t =/:ab\u2028\u202e\ud800"),
    st.sampled_from(
        [
            "{{ booking_url }}",
            "{% raw %}",
            "</p><script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "[click](https://example.org/evil)",
            "**bold** _it_ `code`\n\n# Head\n\n---",
            "Bob\r\nBcc: victim@example.org",
            "-->",
        ]
    ),
)


EVERYWHERE = """Subject: Hi NAME
Preview: To NAME

# NAME

Hi *NAME*, see [NAME](https://example.org/?who=NAME "NAME")

- NAME

> `NAME`

[Book]({{ booking_url }}#NAME)
""".replace("NAME", '{{ name | default("you") }}')
EVERYWHERE_COMPILED = compile_template(EVERYWHERE, name="everywhere", brand=BRAND)


@given(hostile)
def test_a_name_changes_nothing_but_itself(name: str) -> None:
    """Regardless of what a name contains, the email has the same tags, links, lines and header as with a harmless
    one."""
    booking = "https://cal.com/demo"
    plain = EVERYWHERE_COMPILED.render({"name": "Bob", "booking_url": booking}, unsubscribe_url=UNSUBSCRIBE)
    email = EVERYWHERE_COMPILED.render({"name": name, "booking_url": booking}, unsubscribe_url=UNSUBSCRIBE)
    page, expected = Structure(email.html), Structure(plain.html)
    assert page.tags == expected.tags
    assert [link.split("?")[0].split("#")[0] for link in page.links] == [
        link.split("?")[0].split("#")[0] for link in expected.links
    ]
    assert page.words.count(booking) == 0
    assert len(email.text.splitlines()) == len(plain.text.splitlines())
    assert len(email.subject.splitlines()) == len(email.preview.splitlines()) == 1
    for part in (email.subject, email.preview, email.html, email.text):
        part.encode()
        assert "{{" in name or "{{" not in part


def test_a_name_with_braces_is_shown_and_never_filled_in() -> None:
    """A contact called `{{ booking_url }}` is greeted like that, and learns nothing."""
    email = render("Hi {{ name }}", name="{{ booking_url }} {{ 7 * 7 }}", booking_url="https://cal.com/demo")
    assert email.text.startswith("Hi {{ booking_url }} {{ 7 * 7 }}\n")
    assert "cal.com" not in email.html + email.text


def test_a_value_in_a_link_is_url_encoded() -> None:
    """A value in a link is URL-encoded, in both parts."""
    email = render("Go to [the page](https://example.org/?n={{ name }}).", name='a&b="c" d')
    assert Structure(email.html).links[0] == "https://example.org/?n=a%26b%3D%22c%22%20d"
    assert email.text.startswith("Go to the page: https://example.org/?n=a%26b%3D%22c%22%20d.")


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//example.org", "cal.com", "https://"])
def test_an_invalid_booking_address_is_refused(address: str) -> None:
    """The button leads to a web address or there is no email."""
    with pytest.raises(RenderingError, match="booking_url is not a web address"):
        render("[Book]({{ booking_url }})", booking_url=address)


def test_a_booking_address_cannot_leave_its_attribute() -> None:
    """Quotes in the button's address are escaped."""
    page = Structure(render("[Book]({{ booking_url }})", booking_url='https://cal.com/"onclick="x').html)
    assert page.links[0] == 'https://cal.com/"onclick="x'
    assert all("onclick" not in names for _, names in page.tags)


def test_raw_html_is_shown_as_text() -> None:
    """Tags in a template are letters, not markup."""
    email = render("<script>x</script> and <b>bold</b>")
    assert "&lt;script&gt;x&lt;/script&gt;" in email.html
    assert email.text.startswith("<script>x</script> and <b>bold</b>\n")


def test_only_a_paragraph_of_one_link_is_a_button() -> None:
    """Only a link that stands alone becomes the padded table cell that Outlook understands."""
    html = render(
        "[Book *now*]({{ booking_url }})\n\nSee [this](https://example.org/).\n\n- [in a "
        "list](https://example.org/)\n\n# [a heading](https://example.org/)",
        booking_url="https://cal.com/x",
    ).html
    assert html.count('class="button"') == 1
    button = html[html.index('class="button"') : html.index("See ")]
    assert (
        "mso-padding-alt" in button
        and f"background-color:{BRAND.color}" in button
        and 'href="https://cal.com/x"' in button
    )


def test_the_subject_is_one_line_without_doubled_spaces() -> None:
    """White space in the source, the values and around an empty default collapses."""
    email = render("x", head='Subject:  Hi  {{ first_name | default("") }}\t, {{ name }} \n\n', name="A\n\nB")
    assert email.subject == "Hi , A B"


def test_without_a_preview_nothing_is_hidden() -> None:
    """A template may leave its preview out, as one that is written in Notion does."""
    email = render("x", head="Subject: A\n\n")
    assert email.preview == "" and "mso-hide" not in email.html


def test_the_preview_is_hidden_and_padded() -> None:
    """The inbox shows the preview, and not the email's first words after it."""
    html = render("x").html
    hidden = html[html.index("A word") : html.index("</div>")]
    assert "display:none" in html[: html.index("A word")] and hidden.count("\u034f") == 100


def test_the_text_part_keeps_the_structure() -> None:
    """Headings, lists in lists, quotes, links, rules and line breaks can be read without HTML."""
    email = render(
        "# A *title*\n\none\ntwo  \nthree\n\n- a\n- b\n  - c\n\n    more\n\n3. x\n4. [y](https://example.org/y)\n\n"
        "> quoted\n>\n> twice\n\n---\n\n    code  here\n\n<https://example.org/z> [mail](mailto:a@example.org) "
        "<b@example.org> ![a *cat*](https://example.org/c.png)"
    )
    assert email.text.split("\n\n--\n")[0] == (
        "A title\n\none two\nthree\n\n- a\n- b\n  - c\n\n    more\n\n3. x\n4. y: https://example.org/y\n\n"
        "> quoted\n>\n> twice\n\n* * *\n\ncode  here\n\nhttps://example.org/z mail: a@example.org b@example.org a cat"
    )


def test_the_footer_says_who_why_and_how_to_stop() -> None:
    """Both parts carry name, postal address, reason and the unsubscribe link."""
    email = render("x")
    page = Structure(email.html)
    for part in (email.text, page.words):
        assert all(
            words in part
            for words in (BRAND.name, BRAND.postal_address, "You are receiving this email because", "Unsubscribe")
        )
    assert UNSUBSCRIBE in page.links
    assert email.text.endswith(f"\nUnsubscribe: {UNSUBSCRIBE}\n")


def test_a_transactional_email_has_no_unsubscribe_link() -> None:
    """Without a link neither part speaks of unsubscribing, and the rest of the footer stays."""
    email = render("x", unsubscribe_url=None)
    assert "nsubscribe" not in email.html + email.text
    assert BRAND.postal_address in email.html and BRAND.postal_address in email.text


def test_a_missing_postal_address_leaves_no_empty_line() -> None:
    """The local stack has no postal address."""
    text = (
        compile_template(HEAD + "x", name="sample", brand=Brand("A", "", "#000000"))
        .render({}, unsubscribe_url=None)
        .text
    )
    assert "--\nA\nYou are receiving" in text


def test_the_layout_suits_mail_clients() -> None:
    """Inline styles, layout tables without a role, a language, dark mode and phone rules, and nothing that loads or
    runs."""
    html = render("Hi\n\n[Go](https://example.org/)").html
    page = Structure(html)
    assert '<html lang="en"' in html and 'name="color-scheme" content="light dark"' in html
    assert (
        "@media (prefers-color-scheme: dark)" in html
        and "@media (max-width: 620px)" in html
        and "max-width:600px" in html
    )
    assert all("role" in names for tag, names in page.tags if tag == "table")
    assert not {"script", "link", "img", "iframe", "form"} & {tag for tag, _ in page.tags}
    assert "#000000" not in html  # some clients turn pure black into pure white


def test_a_logo_replaces_the_name() -> None:
    """The image shows the name where it is not loaded, and is not too tall for the header; without an image the name is
    there."""
    brand = Brand(BRAND.name, BRAND.postal_address, BRAND.color, "https://example.org/logo.png?a=1&b=2")
    html = compile_template(HEAD + "x", name="sample", brand=brand).render({}, unsubscribe_url=None).html
    page, plain = Structure(html), Structure(render("x").html)
    assert 'src="https://example.org/logo.png?a=1&amp;b=2"' in html and 'alt="Northside &amp; Sons" height="40"' in html
    assert (page.words.count(BRAND.name), plain.words.count(BRAND.name)) == (1, 2)
    assert "max-height:40px" in html and "max-height:40px" not in render("x").html


@pytest.mark.parametrize(
    "address",
    ["http://example.org/a.png", "data:image/png;base64,x", "https://", "https:///a.png", "https://example.org/a b"],
)
def test_a_logo_that_a_mail_program_would_not_load_is_refused(address: str) -> None:
    """Only a whole https address is a logo."""
    with pytest.raises(SettingsError, match="begin it with https://"):
        Brand("A", "", "#000000", address)


def test_a_long_word_does_not_widen_the_page() -> None:
    """A meeting's address may be longer than a phone is wide, so it is broken: a table cell grows with what can't
    be."""
    card = render("x").html.split('class="card"')[1].split(">")[0]
    assert "word-break:break-word" in card


def test_the_same_input_gives_the_same_bytes() -> None:
    """A step that is rendered again, by another process even, is the same request."""
    values = {"name": "Bob", "booking_url": "https://cal.com/x"}
    again = compile_template(EVERYWHERE, name="everywhere", brand=BRAND)
    assert again.render(values, unsubscribe_url=UNSUBSCRIBE) == EVERYWHERE_COMPILED.render(
        values, unsubscribe_url=UNSUBSCRIBE
    )


LINKED = re.compile(  # what mail programs find in a text
    r"https?:|//|www\.|\w[.\u3002\uff0e\uff61]\w|\w[@\uff20]\w|\w:\S|\+?\d(?:[ .()/-]{0,3}\d){6,}", re.IGNORECASE
)
TYPED_TEXTS = [
    "R.Karthik",
    "Booking.com",
    "Müller GmbH & Co.KG",
    "https://evil.example/pay?a=b",
    "http:evil",
    "www.evil.com",
    "a.b.c.evil.com:8080/x",
    "evil。com ｅｖｉｌ．com",
    "ada@evil.net, ada＠evil.net",
    "tel:+18885550100",
    "call +1 (888) 555-0100 or 030 1234 567",
    "192.0.2.7",
    "[evil](//evil.com)",
]


@pytest.mark.parametrize("text", TYPED_TEXTS)
@pytest.mark.parametrize("field", TYPED)
def test_no_mail_program_makes_a_link_of_what_people_typed(field: str, text: str) -> None:
    """In subject, preview, HTML and text alike, and a reader sees it as it was typed, proved or not."""
    head = f"Subject: To {{{{ {field} }}}}\nPreview: To {{{{ {field} }}}}\n\n"
    if field == "meeting_place" and text.startswith("https://"):
        text = f"at {text}"  # alone, it is the video app's own: the calendars' readers let no other through
    email = render(f"Hi {{{{ {field} }}}}, **{{{{ {field} }}}}**", head=head, unsubscribe_url=None, **{field: text})
    words = Structure(email.html).words.split(BRAND.postal_address)[0].partition("To ")[2]
    for part in (email.subject, email.preview, email.text.split("\n--\n")[0], words):
        assert not LINKED.search(part.removeprefix("To "))
        assert text in part.replace("\u2060", "")


def test_a_link_in_the_template_stays_one() -> None:
    """The author's own words and addresses are never changed: neither defaults, nor what fills an address."""
    email = render(
        'Write to hi@us.org or {{ first_name | default("call us.org") }}: '
        "[{{ name }}](https://us.org/?who={{ name }})\n\n"
        "[{{ meeting_title }}]({{ booking_url }}) {{ booking_url }} {{ sender_name }}",
        name="Booking.com",
        meeting_title="Talk",
        booking_url="https://cal.com/us.org/call",
        sender_name="Us.org",
    )
    assert "https://us.org/?who=Booking.com" in Structure(email.html).links
    assert "https://cal.com/us.org/call" in Structure(email.html).links
    assert "Write to hi@us.org or call us.org: Booking\u2060.\u2060com: https://us.org/?who=Booking.com\n" in email.text
    assert "Talk: https://cal.com/us.org/call https://cal.com/us.org/call Us.org\n" in email.text


@pytest.mark.parametrize(
    "link", ["https://meet.google.com/abc-defg-hij", "https://us05web.zoom.us/j/1234567?pwd=a.b:c@d"]
)
def test_the_link_of_a_video_call_stays_one(link: str) -> None:
    """People click it to join."""
    email = render("Where: {{ meeting_place }}", meeting_place=link)
    assert f"Where: {link}\n" in email.text
    assert link in Structure(email.html).words


@pytest.mark.parametrize(
    "harmless",
    ["Dr. Ada O’Neil, Jr.", "Smith: Sons", "7-Eleven", "December 3, 2026", "10:", "می‌خواهم", "A / B", "a. b"],
)
def test_other_words_are_not_touched(harmless: str) -> None:
    """Nothing stands in a name that no mail program would make a link of."""
    assert f"Hi {harmless}!" in render("Hi {{ name }}!", name=harmless).text
