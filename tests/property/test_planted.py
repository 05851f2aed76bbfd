"""The property test finds planted bugs, of the public door and of the queue, within few stories."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, Phase, settings

from local.valkey import Valkey
from tests.property.test_property import look_for_a_story

# What stands in the scripts, what is planted instead, and what the test says then.
PLANTED: dict[str, tuple[Mapping[str, str], str]] = {
    "a form changes what is proved": (
        {"return known[field] and not listed(unproved, field)": "return false"},
        "was proved to be|stranger changes",
    ),
    "a form replaces a proved consent": (
        {"before > STRENGTH[consent.proof]": "false"},
        "has agreed as",
    ),
    "a form lifts an unsubscribe": (
        {"return a.visit and a.consent and redis.call": "return false and redis.call"},
        "why .* gets no email|and the ledger does not know",
    ),
    "a confirmation lifts every suppression": (
        {"if redis.call('HDEL', contact, 'unsubscribed') == 1": "if redis.call('HDEL', contact, 'bounced', 'manual')"},
        "and the ledger does not know|address is suppressed|has agreed as",
    ),
    "what was confirmed stays held": (
        {"  drop_held(member)\n  if #held_ids(a.contact)": "  if #held_ids(a.contact)"},
        "are held|is confirmed, and was not held",
    ),
    "what is held is remembered, too": (
        {"  a.hold.contact = a.contact": "  a.hold.contact = a.contact remember()"},
        "is held, and has",
    ),
    "a mailbox is asked each time": (
        {".. h.mailbox, h.contact, 'NX', 'PX'": ".. h.mailbox, h.contact, 'PX'"},
        "in the same week|confirmation email twice",
    ),
    "who has left is asked": ({"if refuses(contact) then": "if false then"}, "has unsubscribed since|is asked, and is"),
    "asking goes on while sending is stopped": (
        {"local stopped = shut(gate()) or": "local stopped ="},
        "all sending is stopped",
    ),
    "first emails go on": (
        {"if is_stopped_first(enrollment) then": "if false then", "or is_stopped_first(enrollment))": ")"},
        "first emails are stopped",
    ),
    "forget leaves what is held": (
        {"return runs, requests, notes, drop_contacts_held(contact)": "return runs, requests, notes, 0"},
        "name them|are held",
    ),
    "too many are held": (
        {"if redis.call('ZCARD', HELD) >= MOST_HELD then": "if false then"},
        "3 are held",
    ),
    "the end of another starts no queued one": (
        {"    start_next(e.contact, e.group)": ""},
        "its group is free|still queued",
    ),
    "a queued one starts beside another": (
        {"if not is_open(other) then return": "if plan.queue_for or not is_open(other) then return"},
        "two open runs in one group",
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(valkey_server: Valkey, monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    """A bug does not survive the stories of the property test, and it is said what is wrong."""
    planted, words = PLANTED[bug]
    chosen = settings(
        max_examples=400,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        report_multiple_bugs=False,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError, match=words):
        look_for_a_story(valkey_server, monkeypatch, chosen, planted)
