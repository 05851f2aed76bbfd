"""Notion's Markdown as the sandbox reads and writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.sandbox.notion import markdown, markdown_lines, richtext
from local.sandbox.notion.blocks import Block, block
from tests.support.sandbox_server import sandbox, text, wrong

EMAIL = """# Your results

Hi {{ first_name | default("there") }},

Thank you for the **assessment**: it costs $5 (*really*), ~~not~~ `x*y`.

- one
- two
\t- inner
1. first
2. second
- [x] done
> said
---
[Book a call]({{ booking_url }})
"""
AS_NOTION_WRITES = r"""# Your results
Hi \{\{ first_name \| default("there") \}\},
Thank you for the **assessment**: it costs \$5 (*really*), ~~not~~ `x*y`.
- one
- two
	- inner
1. first
2. second
- [x] done
> said
---
[Book a call]({{ booking_url }})"""


@pytest.fixture(name="notion", scope="module")
def _notion() -> Iterator[Any]:
    """The real client of a sandbox in memory, whose empty page is `notion.home`."""
    with sandbox() as box:
        client = box.notion_client()
        client.home = box.seed("page")["page_id"]
        yield client


def page(notion: Any, body: str = "") -> str:
    """A page with a body; its id."""
    return str(
        notion.pages.create(parent={"page_id": notion.home}, properties={"title": text("Hi")}, markdown=body)["id"]
    )


def test_an_email_comes_back_as_notion_writes_it(notion: Any) -> None:
    """Empty lines are gone, special characters have a backslash, and what came back means the same again."""
    page_id = page(notion, EMAIL)
    assert notion.pages.retrieve_markdown(page_id)["markdown"] == AS_NOTION_WRITES
    kinds = [one["type"] for one in notion.blocks.children.list(page_id)["results"]]
    lists = ["bulleted_list_item"] * 2 + ["numbered_list_item"] * 2 + ["to_do"]
    assert kinds == ["heading_1", "paragraph", "paragraph", *lists, "quote", "divider", "paragraph"]
    notion.pages.update_markdown(page_id, type="replace_content", replace_content={"new_str": AS_NOTION_WRITES})
    assert notion.pages.retrieve_markdown(page_id)["markdown"] == AS_NOTION_WRITES


def test_the_style_of_words_is_kept_as_rich_text(notion: Any) -> None:
    """Bold, italic, code and links become annotations; a placeholder is plain words."""
    (only,) = notion.blocks.children.list(page(notion, "a **b *c*** `d` [e](https://example.org)<br>{{ f }}"))[
        "results"
    ]
    pieces = only["paragraph"]["rich_text"]
    assert [(one["plain_text"], one["annotations"]["bold"], one["annotations"]["italic"]) for one in pieces[:3]] == [
        ("a ", False, False),
        ("b ", True, False),
        ("c", True, True),
    ]
    assert [one["plain_text"] for one in pieces if one["annotations"]["code"]] == ["d"]
    assert [one["plain_text"] for one in pieces if one["href"] == "https://example.org"] == ["e"]
    assert pieces[-1]["plain_text"] == "\n{{ f }}"


def test_code_is_literal(notion: Any) -> None:
    """Nothing in a code block is escaped or read as Markdown, and its empty lines stay."""
    body = "```python\n{{ x }} * 2\n\n# no heading\n```"
    assert notion.pages.retrieve_markdown(page(notion, body))["markdown"] == body


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"type": "replace_content", "replace_content": {"new_str": "new"}}, "new"),
        (
            {"type": "update_content", "update_content": {"content_updates": [{"old_str": "a b", "new_str": "x"}]}},
            "x\na b\nc",
        ),
        (
            {
                "type": "update_content",
                "update_content": {
                    "content_updates": [{"old_str": "a b", "new_str": "x", "replace_all_matches": True}]
                },
            },
            "x\nx\nc",
        ),
        ({"type": "insert_content", "insert_content": {"content": "new"}}, "a b\na b\nc\nnew"),
        (
            {"type": "insert_content", "insert_content": {"content": "new", "position": {"type": "start"}}},
            "new\na b\na b\nc",
        ),
        ({"type": "insert_content", "insert_content": {"content": "new", "after": "a...b"}}, "a b\nnew\na b\nc"),
        (
            {"type": "replace_content_range", "replace_content_range": {"content": "new", "content_range": "a b...c"}},
            "new",
        ),
    ],
)
def test_each_operation_edits_the_page(notion: Any, operation: dict[str, Any], result: str) -> None:
    """Replacing, finding, inserting and replacing a range give what they say."""
    page_id = page(notion, "a b\n\na b\n\nc")
    assert notion.pages.update_markdown(page_id, **operation)["markdown"] == result


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({}, "body.type should be one of"),
        ({"type": "replace_content"}, "body.replace_content should be defined"),
        ({"type": "replace_content", "replace_content": {}}, "body.replace_content.new_str should be defined"),
        (
            {"type": "update_content", "update_content": {"content_updates": [{"old_str": "z", "new_str": "x"}]}},
            "Could not find old_str",
        ),
        (
            {"type": "insert_content", "insert_content": {"content": "x", "after": "z...z"}},
            "Could not find the selection",
        ),
    ],
)
def test_a_wrong_operation_is_refused_and_changes_nothing(notion: Any, operation: dict[str, Any], message: str) -> None:
    """The error names what is missing or incomplete."""
    page_id = page(notion, "a b")
    assert message in str(wrong(notion.pages.update_markdown, page_id, **operation))
    assert notion.pages.retrieve_markdown(page_id)["markdown"] == "a b"


def shapes(blocks: list[Block]) -> list[Any]:
    """Blocks in a form that can be compared."""
    return [(one.kind, one.content, shapes(one.children)) for one in blocks]


WORDS = st.text(st.sampled_from("ab {}*_[]()#->!.1\\`~$|^<"), max_size=24)


@given(lines=st.lists(WORDS, max_size=6))
def test_what_is_written_reads_the_same_again(lines: list[str]) -> None:
    """For anything that a person types, Notion's own form of it gives the same blocks, and so does the form for
    people."""
    blocks = markdown.parse("\n".join(lines))
    for for_people in (False, True):
        assert shapes(markdown.parse(markdown_lines.render(blocks, for_people=for_people))) == shapes(blocks)


@given(words=st.text(st.sampled_from("ab{}*_[]()#->!1\\`~$|^<."), min_size=1, max_size=24))
def test_any_plain_words_survive(words: str) -> None:
    """A paragraph without style comes back as exactly these words, regardless of what they look like."""
    written = markdown_lines.render([block("paragraph", [richtext.piece(words)])])
    (again,) = markdown.parse(written)
    assert (again.kind, richtext.plain(again.content["rich_text"])) == ("paragraph", words)


BOXES = """<callout icon="💡" color="gray_bg">
\tRemember
\t<details>
\t<summary>Inner</summary>
\t\tDeep
\t</details>
</callout>
<columns>
\t<column>
\t\t![A cup](https://example.org/cup.png)
\t</column>
\t<column>
\t\t<table header-row="true">
\t\t<tr>
\t\t<td>A</td>
\t\t<td>**B**</td>
\t\t</tr>
\t\t</table>
\t</column>
</columns>
## Heading {toggle="true"}
\tinside"""


def test_blocks_that_hold_others_come_back_as_they_were(notion: Any) -> None:
    """Callouts, toggles, columns and tables, also in each other."""
    page_id = page(notion, BOXES)
    assert notion.pages.retrieve_markdown(page_id)["markdown"] == BOXES
    callout, columns, heading, *_ = notion.blocks.children.list(page_id)["results"]
    assert callout["callout"]["icon"] == {"type": "emoji", "emoji": "💡"} and callout["has_children"]
    assert heading["heading_2"]["is_toggleable"]
    assert [one["type"] for one in notion.blocks.children.list(columns["id"])["results"]] == ["column", "column"]


def test_the_api_makes_the_same_blocks(notion: Any) -> None:
    """A bookmark is unknown to Notion's Markdown, and can be edited by people in the sandbox."""
    page_id = page(notion)
    cells = [text("A"), text("B")]
    row = {"table_row": {"cells": cells}}
    children = [
        {"bookmark": {"url": "https://example.org", "caption": text("Here")}},
        {"image": {"external": {"url": "https://example.org/cup.png"}, "caption": text("A cup")}},
        {"table": {"table_width": 2, "children": [row]}},
        {"column_list": {"children": [{"column": {"children": [{"paragraph": {"rich_text": text("Left")}}]}}]}},
    ]
    notion.blocks.children.append(page_id, children=children)
    written = notion.pages.retrieve_markdown(page_id)["markdown"]
    assert 'alt="bookmark"/>\n![A cup](https://example.org/cup.png)\n<table>\n<tr>\n<td>A</td>' in written
    people = [block("bookmark", url="https://example.org", caption=[richtext.piece("Here")])]
    assert shapes(markdown.parse(markdown_lines.render(people, for_people=True))) == shapes(people)


@pytest.mark.parametrize(
    ("child", "message"),
    [
        ({"table_row": {"cells": []}}, "table_row is not supported as a child of page"),
        ({"column": {}}, "column is not supported as a child of page"),
        ({"table": {"table_width": 1, "children": [{"paragraph": {"rich_text": []}}]}}, "as a child of table"),
        ({"image": {"caption": []}}, "image.external should be defined"),
        ({"bookmark": {}}, "bookmark.url should be defined"),
    ],
)
def test_a_block_in_the_wrong_place_is_refused(notion: Any, child: dict[str, Any], message: str) -> None:
    """As Notion does, in words that name the field."""
    assert message in str(wrong(notion.blocks.children.append, page(notion), children=[child]))
