"""Notion's Markdown as emails get it, and back; placeholders fixed; and anything else that a page may hold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import CampaignError
from shared.core.stack_file import ROOT
from shared.domain.campaign_files import load
from shared.emails.placeholders import PLACEHOLDERS
from shared.emails.template_store import compile_source
from shared.notion.markdown import from_notion, to_notion
from shared.notion.placeholder_fixes import ALIASES, fixed
from shared.notion.template_rows import Row, fault_of, source_of
from tests.support.owners_desk import TEMPLATE
from tests.support.sandbox_server import Sandbox, sandbox
from tests.support.world import SETTINGS

CATALOG = load()
NOTION_PAGE = r"""# Your result {color="blue"}
Hi \{\{ **firstName** \}\}, costs \$5 (*really*) <span color="red">today</span>
<callout icon="💡" color="gray_bg">
	Remember:
	- one
		- inner
	- two
</callout>
<columns>
	<column>
		Left of <mention-user url="user://1">Ann</mention-user>
	</column>
	<column>
		Right on <mention-date start="2025-12-03"/>
	</column>
</columns>
<details>
<summary>More</summary>
	Hidden
</details>
- [x] done
- [ ] open
1. first
1. second
<synced_block url="https://notion.so/x">
	Synced
</synced_block>
<table header-row="true">
	<tr>
		<td>A</td>
		<td>**B**</td>
	</tr>
</table>
$$
x^2
$$
one<br>two, $y$, ~~old~~new
<empty-block/>
<table_of_contents/>
---
> said<br>again
```python
if a_b < c:
```
<file src="https://example.org/list.pdf">The list</file>
<page url="https://notion.so/y">Notes</page>
\[Book a call\](\{\{ calendlyLink \}\})"""
OURS = """# Your result

Hi {{ first_name | default("there") }}, costs \\$5 (*really*) today

> 💡 Remember:
>
> - one
>     - inner
> - two

Left of Ann

Right on December 3, 2025

**More**

Hidden

- ☑ done
- ☐ open

1. first
1. second

Synced

- A · **B**

```
x^2
```

one\\
two, `y`, new

---

> said\\
> again

```python
if a_b < c:
```

[The list](https://example.org/list.pdf)

[Book a call]({{ booking_url }})"""


def test_notions_own_blocks_become_plain_markdown() -> None:
    """Each degrades to something an email can show, and no tag is left."""
    assert fixed(from_notion(NOTION_PAGE)) == OURS


def test_no_tag_of_any_kind_reaches_the_email() -> None:
    """Also tags that came after this was written."""
    body = from_notion('<new_block a="1">\n\tword <new-mention x="y"/> and <u>this</u>\n</new_block>\n2 \\< 3')
    page = compile_source(f"Subject: Hi\n\n{body}", ("christmas", TEMPLATE), load(), SETTINGS).render(
        {}, unsubscribe_url=None
    )
    assert page.text.startswith("word  and this\n\n2 < 3")


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ('<unknown url="https://notion.so/x" alt="bookmark"/>', "a bookmark cannot be sent.*replace it with a link"),
        ('\t<unknown url="https://notion.so/x" alt="link_preview"/>', "a link preview cannot be sent"),
        ('<unknown url="https://notion.so/x" alt="ai_block"/>', "a block of the kind “ai block” cannot be sent"),
        ("<unknown/>", "one of the page's blocks cannot be sent"),
        ('<database url="https://notion.so/x" inline="true">Prices</database>', "a database cannot be sent"),
        ("<meeting-notes>\n\tTitle\n</meeting-notes>", "meeting notes cannot be sent"),
    ],
)
def test_a_block_that_an_email_cannot_show_is_named(block: str, sentence: str) -> None:
    """Silently dropping it would spoil the email."""
    with pytest.raises(CampaignError, match=sentence):
        from_notion(f"Hi\n{block}")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{{firstName}}", '{{ first_name | default("there") }}'),
        ("{{ customer_name }}", '{{ name | default("there") }}'),
        ("{{businessName}}", '{{ business_name | default("your business") }}'),
        ("{{score}}/{{ Assessment_Score }}", "{{ assessment_score }}/{{ assessment_score }}"),
        (
            "{{calendlyLink}} {{booking_link}} {{ calcom_link }}",
            "{{ booking_url }} {{ booking_url }} {{ booking_url }}",
        ),
        ("{{ $json.first_name }}", '{{ first_name | default("there") }}'),
        ("{{ first_name | default(“friend”) }}", '{{ first_name | default("friend") }}'),
        ("{{\u00a0first_name | default(\u2018friend\u2019)\u00a0}}", "{{ first_name | default('friend') }}"),
        ("“{{ nobody }}”", "“{{ nobody }}”"),
        ("{{ 7*7 }}", "{{ 7*7 }}"),
    ],
)
def test_placeholders_are_fixed(written: str, meant: str) -> None:
    """Curly quotes in braces, names of the earlier builds; what is unknown stays for the check to name."""
    assert fixed(written) == meant


def test_every_plain_placeholder_stays_as_it_is() -> None:
    """The fixes change none of the names that a template may use."""
    for name in PLACEHOLDERS:
        assert fixed(f"{{{{ {name} }}}}").startswith(f"{{{{ {name} ")


@pytest.mark.parametrize("key", load().sources)
def test_every_file_survives_the_round_trip_through_notion(
    key: tuple[str, str], shared_page: tuple[Sandbox, str]
) -> None:
    """Pushed, written back by Notion and read, it makes the same email."""
    box, page = shared_page
    catalog = load()
    headers, _, body = catalog.sources[key].partition("\n\n")
    asked = {"type": "replace_content", "replace_content": {"new_str": to_notion(body)}}
    box.notion("PATCH", f"/pages/{page}/markdown", json=asked).raise_for_status()
    back = fixed(from_notion(box.notion("GET", f"/pages/{page}/markdown").json()["markdown"]))
    values = dict.fromkeys(PLACEHOLDERS, "https://example.org/value")
    emails = [
        compile_source(f"{headers}\n\n{text}", key, catalog, SETTINGS).render(
            values, unsubscribe_url="https://example.org/u"
        )
        for text in (body, back)
    ]
    assert emails[0].text == emails[1].text
    assert emails[0].html == emails[1].html


@pytest.fixture(scope="module")
def shared_page() -> Iterator[tuple[Sandbox, str]]:
    """A sandbox, and a page in it."""
    with sandbox() as box:
        parent = {"page_id": box.seed("page")["page_id"]}
        made = box.notion(
            "POST", "/pages", json={"parent": parent, "properties": {"title": [{"text": {"content": "x"}}]}}
        )
        yield box, made.json()["id"]


def test_the_documentation_names_every_alias() -> None:
    """The table of names in docs/notion.md is the one that is used."""
    text = (ROOT / "docs" / "notion.md").read_text().lower().replace("_", "")
    missing = [
        alias for aliases in ALIASES.values() for alias in aliases if f"`{alias.lower().replace('_', '')}`" not in text
    ]
    assert [alias for alias in missing if alias.partition("_")[0] not in ("orange", "yellow", "green")] == []


WORDS = r"""\{\{ \}\} {{ }} first_name \| default " “ ( ) \[ \] [ ] ]( $ $$ ~~ ** ` ``` <br> \<b\>
<span> </span> {% \ x ---
</callout> <columns> </columns> <details> <summary> </summary> <table> <tr> <td> </td> </tr> </table> <unknown/>"""
LINES = [
    "\n",
    "\n\t",
    "\n- ",
    "\n1. ",
    "\n> ",
    '<callout icon="💡">\n',
    '<mention-date start="2025-13-99"/>',
    "\ue0000\ue001",
]
FRAGMENTS = st.sampled_from([*WORDS.split(), *LINES])


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(FRAGMENTS, max_size=25))
def test_any_page_becomes_an_email_or_an_error_message(parts: list[str]) -> None:
    """No page makes reading it fail."""
    try:
        source = source_of(Row("page", subject="Hi"), "".join(parts))
    except CampaignError as error:
        assert str(error)
        return
    fault_of(source, ("christmas", TEMPLATE), CATALOG, SETTINGS)


@pytest.mark.parametrize("piece", [r"\{\{", r"\[a\](", "`", "%7B%7B", "$a", '<file src="', r"\<a ", "<callout>\n"])
def test_reading_time_grows_in_proportion_to_the_page(piece: str) -> None:
    """Even with text that is costly to read, a page ten times as long takes about ten times as long."""

    def took(length: int) -> float:
        began = time.process_time()
        with suppress(CampaignError):
            source_of(Row("page", subject="Hi"), piece * (length // len(piece)))
        return time.process_time() - began

    assert took(99_000) < 30 * max(took(9_900), 0.2), "ten times the length should take about ten times as long"
