"""What an owner writes in Notion, what goes out of it, and the sentence for what does not go out; over HTTP against the
sandbox."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from shared.core.errors import NotionError
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.notion.column_watch import ColumnWatch
from shared.notion.template_pages import READ_AGAIN
from tests.conftest import Clock
from tests.support.owners_desk import NAME, TEMPLATE, OwnersDesk
from tests.support.sandbox_server import Sandbox, sandbox, text
from tests.support.world import World

GOOD = 'Hi \\{\\{ first_name \\| default("there") \\}\\},\nAll is well.'


@pytest.fixture
def box(clock: Clock) -> Iterator[Sandbox]:
    with sandbox(clock=lambda: clock.now / 1000) as running:
        yield running


@pytest.fixture
def desk(ledger: Ledger, clock: Clock, box: Sandbox) -> OwnersDesk:
    return OwnersDesk(World(ledger, clock), box)


def test_an_edit_shows_in_the_next_email(desk: OwnersDesk) -> None:
    """The owner's words, subject and preview are what the provider gets."""
    page = desk.writes(GOOD, "The {{ first_name }} letter", Preview="In short")
    assert desk.verdict().what == "adopted"
    world = desk.world
    world.sender = dataclasses.replace(world.sender, templates=desk.store())
    world.sign_up()
    world.work()
    (email,) = world.provider.accepted
    assert email["subject"] == "The Ada letter"
    assert email["text"].startswith("Hi Ada,\n\nAll is well.") and "In short" in email["html"]
    desk.rewrites(page, "Shorter.")
    assert desk.verdict().changed
    assert desk.store()["christmas", TEMPLATE].render({}, unsubscribe_url=None).text.startswith("Shorter.")


def test_two_edits_within_a_minute_are_both_seen(desk: OwnersDesk) -> None:
    """Notion gives the time of an edit to the minute only."""
    page = desk.writes("One.")
    desk.verdict()
    desk.rewrites(page, "Two.")
    assert desk.verdict().changed
    desk.world.clock.advance(seconds=120)
    desk.look()
    desk.fails_at(2, "status")
    assert desk.verdict().what == "adopted", "a page that rests is not read again"


def test_many_new_pages_delay_no_edit(desk: OwnersDesk) -> None:
    """Just after a push every page may change unseen; the one that the owner edits comes first, and a look stays
    short."""
    pages = [desk.writes("One.", template=template) for _, template in list(desk.world.sender.catalog.sources)[:20]]
    desk.look()
    desk.world.clock.advance(seconds=90)
    desk.rewrites(pages[-1], "Two.")
    before = desk.requests
    changed = [verdict for verdict in desk.look() if verdict.changed]
    assert len(changed) == 1 and desk.requests - before == 1 + 1 + READ_AGAIN, (
        "the rows, the edited page, and some of the others"
    )
    desk.rewrites(pages[-1], "Three.")
    assert len([verdict for verdict in desk.look() if verdict.changed]) == 1, (
        "the latest edit is first also among those read again"
    )
    for _ in range(10):
        desk.look()
    before = desk.requests
    desk.look()
    assert desk.requests - before == 1, "all rest now"


@pytest.mark.parametrize(
    ("subject", "body", "sentence"),
    [
        ("Hi", r"Hi \{\{ frist_name \}\},", "there is no placeholder 'frist_name'; use one of first_name"),
        ("Hi", r"Hi \{\{ first_name \| default(there) \}\},", "only a name, with or without a constant default"),
        ("Hi", r"Hi \{\{ first_name.upper() \}\},", "only a name, with or without a constant default"),
        ("Hi", r"\{% if red_systems %\}Red\{% endif %\}", "{% is not supported here"),
        ("", "Hi", 'there is no subject; fill in the column "Subject"'),
        ("Hi", r"\[Book a call\]()", "a link's address is not safe"),
        ("Hi", "[Book](javascript:alert(1))", "a link's address is not safe"),
        ("Hi", "Many words. " * 26_000, "characters, and Gmail would cut the email; keep it below 100,000"),
        ("Hi", r"Hi \<script\>alert(1)\</script\>", "<script> is an HTML tag, which an email would show as text"),
        ("Hi", "", "the page is empty; write the email on it"),
        (
            "Hi",
            "![Chart](https://prod-files-secure.s3.us-west-2.amazonaws.com/a.png?X-Amz-Expires=3600)",
            "expires within an hour",
        ),
    ],
)
def test_a_bad_edit_is_refused_and_the_last_good_text_stays_in_use(
    desk: OwnersDesk, subject: str, body: str, sentence: str
) -> None:
    """The row, Redis and one alert say the same; fixing it clears them."""
    page = desk.writes(GOOD, "Good")
    desk.look()
    desk.changes(page, Subject={"rich_text": [{"text": {"content": subject}}] if subject else []})
    desk.rewrites(page, body)
    found = desk.verdict()
    assert found.what == "rejected" and sentence in found.sentence
    assert desk.error(page) == found.sentence == desk.last_good.rejected()[NAME]
    assert desk.subject() == "Good"
    alert = Alerts(desk.world.ledger).take()
    assert alert and (alert.subject, alert.count) == ("template", 1) and sentence[:40] in alert.detail
    assert not desk.verdict().changed
    desk.changes(page, Subject={"rich_text": [{"text": {"content": "Better"}}]})
    desk.rewrites(page, GOOD)
    assert desk.verdict().what == "adopted" and desk.error(page) == "" and desk.last_good.rejected() == {}
    assert desk.subject() == "Better"


def test_the_sentence_quotes_the_line(desk: OwnersDesk) -> None:
    """An owner has no line numbers."""
    desk.writes("First.\nHi \\{\\{ frist_name \\}\\}, hello")
    assert desk.verdict().sentence.endswith("(in “Hi {{ frist_name }}, hello”)")


def test_without_a_good_text_the_file_is_used(desk: OwnersDesk) -> None:
    """A first edit that is bad changes nothing."""
    before = desk.subject()
    desk.writes("", "Bad")
    assert desk.verdict().what == "rejected" and desk.subject() == before


def test_a_deleted_row_is_reported_and_its_last_good_text_stays(desk: OwnersDesk) -> None:
    """Deleting may have been a slip; Draft is the way back to the file."""
    page = desk.writes(GOOD, "Good")
    desk.look()
    desk.box.notion("PATCH", f"/pages/{page}", json={"in_trash": True}).raise_for_status()
    assert desk.look() == [] and "no longer in Notion" in desk.last_good.rejected()[NAME] and desk.subject() == "Good"
    desk.box.notion("PATCH", f"/pages/{page}", json={"in_trash": False}).raise_for_status()
    assert desk.verdict().what == "adopted" and desk.last_good.rejected() == {}
    desk.sets_status(page, "Draft")
    assert desk.verdict().what == "not live" and desk.subject() != "Good"


def test_a_row_that_matches_no_email_says_why(desk: OwnersDesk) -> None:
    """A slip in Template ID, none at all, and the same one twice."""
    slip = desk.writes(GOOD, template="christmas_email_11")
    draft = desk.writes(GOOD, template="My notes", Status="Draft")
    desk.writes(GOOD, "First")
    desk.world.clock.advance(seconds=120)
    second = desk.writes(GOOD, "Second")
    desk.look()
    assert "no campaign has an email 'christmas_email_11'; did you mean 'christmas_email_1'" in desk.error(slip)
    assert "another row also has this Template ID" in desk.error(second)
    assert desk.error(draft) == "" and desk.subject() == "First"


@pytest.mark.parametrize("kind", ["status", "timeout-before", "disconnect"])
@pytest.mark.parametrize("request_number", [1, 2])
def test_an_unavailable_notion_changes_nothing(desk: OwnersDesk, kind: str, request_number: int) -> None:
    """Whether the rows or a page cannot be read: the texts stay, and the next look continues."""
    page = desk.writes(GOOD, "Good")
    desk.look()
    desk.rewrites(page, "")
    desk.fails_at(request_number, kind)
    if request_number == 1:
        with pytest.raises(NotionError):
            desk.look()
    else:
        assert desk.verdict().what == "unread"
    assert desk.subject() == "Good" and desk.last_good.rejected() == {}
    assert desk.verdict().what == "rejected"


def test_a_page_that_cannot_be_read_delays_no_other(desk: OwnersDesk) -> None:
    """It is read last the next time."""
    desk.writes(GOOD, "First")
    desk.writes(GOOD, "Third", template="christmas_email_3")
    desk.fails_at(4, "status")  # the first two find the data source and its columns, the third the rows
    desk.look()
    assert {desk.subject(), desk.subject("christmas_email_3")} & {"First", "Third"} != {"First", "Third"}
    desk.look()
    assert (desk.subject(), desk.subject("christmas_email_3")) == ("First", "Third")


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("Status", {"name": "State"}),
        ("Status", {"checkbox": {}}),
        ("Status", {"status": {}}),
        ("Preview", {"name": "Teaser"}),
        ("Subject", None),
    ],
)
def test_without_a_column_nothing_changes(desk: OwnersDesk, column: str, change: dict[str, Any] | None) -> None:
    """No draft goes out for want of a Status, no text is withdrawn, and the sentence names the column."""
    desk.writes(GOOD, "First", Preview="In short")
    desk.writes(GOOD, "Not yet", template="christmas_email_3", Status="Draft")
    desk.look()
    ColumnWatch(desk.world.ledger, desk.settings, desk.notion).check()
    before = desk.last_good.sources()
    properties = {column: change}
    desk.box.notion("PATCH", f"/data_sources/{desk.source}", json={"properties": properties}).raise_for_status()
    with pytest.raises(NotionError, match=f"^Templates: {column} is "):
        desk.look()
    assert desk.last_good.sources() == before and desk.last_good.rejected() == {}


BLOCKS = {
    "callout": ('<callout icon="💡">\n\tRemember\n</callout>', "> 💡 Remember"),
    "toggle in a toggle": (
        "<details>\n<summary>Outer *one*</summary>\n\t<details>\n\t<summary>Inner</summary>\n\t\tDeep\n\t</details>\n"
        "</details>",
        "**Outer *one***\n\n**Inner**\n\nDeep",
    ),
    "toggle heading": ('## More {toggle="true"}\n\tHidden', "## More\n\nHidden"),
    "columns": (
        "<columns>\n\t<column>\n\t\tLeft\n\t</column>\n\t<column>\n\t\t- Right\n\t</column>\n</columns>",
        "Left\n\n- Right",
    ),
    "table": (
        '<table header-row="true">\n<tr>\n<td>A</td>\n<td>B</td>\n</tr>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</table>',
        "- A · B\n- 1 · 2",
    ),
    "image": ("![A cup](https://example.org/cup.png)", "![A cup](https://example.org/cup.png)"),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_what_an_email_can_show_of_a_block_is_sent(desk: OwnersDesk, kind: str) -> None:
    """As the owner makes it in the sandbox, it comes out as text of the email, in order."""
    block, sent = BLOCKS[kind]
    desk.writes(f"Before.\n{block}\nAfter.")
    assert desk.verdict().what == "adopted"
    assert desk.last_good.sources()[NAME].endswith(f"\n\nBefore.\n\n{sent}\n\nAfter.\n")


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"bookmark": {"url": "https://example.org"}}, "a bookmark cannot be sent"),
        (
            {"toggle": {"rich_text": text("x"), "children": [{"bookmark": {"url": "https://example.org"}}]}},
            "a bookmark",
        ),
        (
            {"image": {"external": {"url": "https://prod-files-secure.s3.us-west-2.amazonaws.com/x.png"}}},
            "stored in Notion",
        ),
        ({"image": {"external": {"url": "http://example.org/x.png"}}}, "begins with https://"),
    ],
)
def test_what_an_email_cannot_show_rejects_the_edit(desk: OwnersDesk, block: dict[str, Any], sentence: str) -> None:
    """Never a silent loss: the sentence names the block, and the last good text is sent."""
    page = desk.writes(GOOD, "First")
    desk.look()
    body = {"children": [block]}
    desk.box.notion("PATCH", f"/blocks/{page}/children", json=body).raise_for_status()
    desk.world.clock.advance(seconds=120)
    verdict = desk.verdict()
    assert verdict.what == "rejected" and sentence in verdict.sentence
    assert desk.subject() == "First"
