"""What a template may not hold: each refusal names the template, the line and the fix."""

from __future__ import annotations

import pytest

from shared.core.errors import CampaignError
from shared.emails.page import Brand
from shared.emails.placeholders import PLACEHOLDERS
from shared.emails.rendering import compile_template

BRAND = Brand("Northside & Sons", "48 Mill Street, Guelph", "#1f6f54")
HEAD = "Subject: Hello\nPreview: A word\n\n"


def refusal(source: str) -> str:
    """What the compiler says about a source that it must refuse."""
    with pytest.raises(CampaignError) as error:
        compile_template(source, name="sample", brand=BRAND)
    return str(error.value)


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("", 1, "no subject"),
        ("Hello\n\nBody", 1, "before the first blank line"),
        ("Subject: A\nSubject: B\n\nBody", 2, "before the first blank line"),
        ("Subject: A\nBcc: someone\n\nBody", 2, "before the first blank line"),
        ("Preview: A\n\nBody", 1, "no subject"),
        ("Subject: A\n\n \n", 4, "no text"),
        ("Subject: {{ nickname }}\n\nBody", 1, "there is no placeholder 'nickname'"),
        ("Subject: A\nPreview: {{ unsubscribe_url }}\n\nBody", 2, "there is no placeholder 'unsubscribe_url'"),
        (HEAD + "\nHi\n\n{{ first_name.upper }}", 7, "only a name"),
        (HEAD + "{{ first_name.__class__ }}", 4, "only a name"),
        (HEAD + "{{ first_name() }}", 4, "only a name"),
        (HEAD + "{{ first_name | upper }}", 4, "only a name"),
        (HEAD + "{{ first_name | default(name) }}", 4, "only a name"),
        (HEAD + '{{ first_name | default("a", true) }}', 4, "only a name"),
        (HEAD + '{{ first_name | default(none) }}', 4, "only a name"),
        (HEAD + '{{ first_name | default("a") | default("b") }}', 4, "only a name"),
        (HEAD + '{{ "a" }}', 4, "only a name"),
        (HEAD + "{{ 1 + 1 }}", 4, "only a name"),
        (HEAD + '{{ first_name | default("{{ name }}") }}', 4, "cannot contain braces"),
        (HEAD + "Hi\n{{ first_name", 5, "not well-formed"),
        (HEAD + "Hi\n{{ }}", 5, "not well-formed"),
        (HEAD + "{{ " + "(" * 5000, 4, "not well-formed"),
        (HEAD + "{{ " + "9" * 5000 + " }}", 4, "not well-formed"),
        (HEAD + "Hi\n{% if name %}x{% endif %}", 5, "{% is not supported"),
        (HEAD + "Hi\n{# a note #}", 5, "{# is not supported"),
        (HEAD + "Hi\n\n{{ name -}}\n\nyou", 6, "-}} is not supported"),
        (HEAD + "{% raw %}{{ name }}{% endraw %}", 4, "{% is not supported"),
        (HEAD + "Hi\n\n\\{\\{ name }}", 6, "braces are left over"),
        (HEAD + "&#123;&#123; name }}", 4, "braces are left over"),
        (HEAD + '[a](https://example.org "&#123;&#123;")', 4, "braces are left over"),
        (HEAD + "Hi\n\n{*{* name }}", 6, "braces are left over"),
        (HEAD + "Hi\n[a](javascript:alert(1))", 5, "address is not safe"),
        (HEAD + "[a](data:text/html,x)", 4, "address is not safe"),
        (HEAD + "[a](/relative)", 4, "address is not safe"),
        (HEAD + "- x\n- <vbscript:x>", 5, "address is not safe"),
        (HEAD + "[a]\n\n[a]: javascript:x", 4, "address is not safe"),
        (HEAD + "[a]({{ first_name }})", 4, "address is not safe"),
        (HEAD + "[a](https://{{ first_name }}.example.org/)", 4, "address is not safe"),
        (HEAD + "[a](mailto:{{ name }})", 4, "address is not safe"),
        (HEAD + '[a]({{ booking_url | default("javascript:x") }})', 4, "booking_url is not a web address"),
        (HEAD + "![a](http://example.org/a.png)", 4, "an image needs"),
        (HEAD + "![a](https://example.org/{{ name }}.png)", 4, "an image needs"),
        (HEAD + "long " * 25_000, 1, "larger than"),
    ],
)  # fmt: skip
def test_an_error_in_a_template_is_refused_with_its_line(source: str, line: int, reason: str) -> None:
    """Each refusal names the template, the line and the reason."""
    message = refusal(source)
    assert message.startswith(f"sample:{line}: ")
    assert reason in message


def test_an_unknown_placeholder_lists_the_known_ones() -> None:
    """The fix lists every name that a template may use."""
    assert all(name in refusal(HEAD + "{{ firstname }}") for name in PLACEHOLDERS)


def test_windows_line_endings_and_a_byte_order_mark_are_read() -> None:
    """A file from any editor compiles, and its lines count the same."""
    assert "{% is not" in refusal("\ufeffSubject: A\r\n\r\nHi\r\n{% x %}")
    assert refusal("\ufeffSubject: A\r\n\r\nHi\r\n{% x %}").startswith("sample:4:")
