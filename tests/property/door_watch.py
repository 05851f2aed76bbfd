"""What the public door has let in, as the property test sees it: who proved what, what is held, who was asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from redis import Redis

from shared.domain.visitors import mailbox

if TYPE_CHECKING:
    from tests.property.watch import Watch

HOUR = 3_600_000
WEEK = 7 * 24 * HOUR
REMEMBERED = ("enrolled", "queued", "exists", "blocked", "tracked")
SUPPRESSED = ("bounced", "complained", "manual", "unsubscribed")
MARKS = ("eg:runs", "eg:suppressed", "eg:mailbox:")  # what may name a contact who was forgotten

_OWN = """
return {redis.call('HGETALL', KEYS[1]), redis.call('SMEMBERS', KEYS[2]), redis.call('LRANGE', KEYS[3], 0, -1),
  redis.call('HGETALL', 'eg:runs')}
"""
# Every key that names any of the texts, itself or in what it holds.
_TOLD = """
local reads = {string = {'GET'}, hash = {'HGETALL'}, list = {'LRANGE', 0, -1}, set = {'SMEMBERS'},
  zset = {'ZRANGE', 0, -1}}
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local read = reads[redis.call('TYPE', key).ok]
  local held = redis.call(read[1], key, read[2], read[3])
  local all = key .. ' ' .. (type(held) == 'table' and table.concat(held, ' ') or held)
  for _, text in ipairs(ARGV) do
    if string.find(all, text, 1, true) then found[#found + 1] = key; break end
  end
end
return found
"""


def own(redis: Redis, contact: str) -> Any:
    """All that a sign-up can change about a contact."""
    keys = (f"eg:contact:{contact}", f"eg:enrollments:{contact}", f"eg:consents:{contact}")
    fields, runs, consents, numbers = cast(list[list[str]], redis.eval(_OWN, len(keys), *keys))
    return _pairs(fields), set(runs), consents, _pairs(numbers)


def told_of(redis: Redis, contact: str, email: str) -> list[str]:
    """The keys that name a contact, but for the marks that stay; a contact's hash holds only why it gets no email."""
    keys = cast(list[str], redis.eval(_TOLD, 0, contact, email))
    fields = set(cast(list[str], redis.hkeys(f"eg:contact:{contact}")))
    marks = (*MARKS, f"eg:contact:{contact}") if fields <= set(SUPPRESSED) else MARKS
    return [key for key in keys if not key.startswith(marks)]


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


@dataclass
class Door:
    """What was seen at the door. Contacts are digests, instants are milliseconds since 1970 UTC by Redis's clock.

    Attributes:
        proved: the fields that a proved input set, by contact.
        before: the same, of a ledger that was lost.
        consents: the latest consent that was proved or confirmed: how, and its words.
        held: since when each sign-up is held, by id; some may be gone already.
        unsubscribed: when a contact did, if it still is.
        confirmed: the contacts whose address was confirmed.
        forgotten: the contacts who were erased.
        written: the contacts of whom an email was accepted.
        links: the links that emails brought: contact, and since when it was asked.
        mails: which emails a mailbox got that asked, as (since, number).
        asked: when a contact was asked for the first time, by contact and since.
        stopped: whether first emails to unproved addresses were stopped.
        confirmations: how many held sign-ups were confirmed.
        latest: the latest time that was seen.
        steady: whether Redis's clock was never set: by another clock, the provider forgets a key and the ledger a week
            too early.
    """

    proved: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    before: dict[str, dict[str, str]] = field(default_factory=dict)
    consents: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    unsubscribed: dict[str, int] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    links: list[tuple[str, int]] = field(default_factory=list)
    mails: defaultdict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    asked: dict[tuple[str, int], int] = field(default_factory=dict)
    stopped: bool = False
    confirmations: int = 0
    latest: int = 0
    steady: bool = True

    def decided(self, script: str, asked: Mapping[str, Any], answer: Any, now: int) -> None:
        """The ledger has decided something that may concern the door."""
        match script:
            case "enroll":
                self._enrolled(asked, answer[0], now)
            case "suppress" if asked["reason"] == "unsubscribed":
                self.unsubscribed.setdefault(asked["contact"], now)
            case "receive" if answer == "suppressed" and asked["what"] == "unsubscribed":
                self.unsubscribed.setdefault(asked["contact"], now)
            case "lift" if "unsubscribed" in answer:
                self.unsubscribed.pop(asked["contact"], None)
                self.consents[asked["contact"]] = "proved", asked.get("consent")
            case "gate" if "reason" not in asked:
                self.stopped = False
            case "forget":
                self._forgotten(asked["contact"])
        self.latest = max(self.latest, now)

    def _enrolled(self, asked: Mapping[str, Any], what: str, now: int) -> None:
        contact, confirms = asked["contact"], asked.get("confirms")
        if confirms and what != "gone":
            assert confirms in self.held, f"{confirms} is confirmed, and was not held"
            since = self.held.pop(confirms)
            assert now < since + WEEK + 1000, f"{confirms} is confirmed after a week"
            self.confirmed.add(contact)
            self.mails.pop(mailbox(asked["fields"]["email"]), None)  # its owner has answered, and may be asked again
            self.confirmations += 1
        if what in ("held", "asks"):
            self.held[asked["hold"]["id"]] = now
        booked = asked.get("meeting", {}).get("what") == "booked"
        if "visit" in asked or not (what in REMEMBERED or (booked and what == "ignored")):
            return
        if not confirms:
            self.proved[contact].update(asked["fields"])
        if asked.get("consent"):
            withdrawn = self.unsubscribed.pop(contact, None) is not None
            is_kept = confirms and not withdrawn and self.consents.get(contact, ("", None))[0] == "proved"
            if not is_kept:
                self.consents[contact] = "confirmed" if confirms else "proved", asked["consent"].get("text")

    def _forgotten(self, contact: str) -> None:
        for known in (self.proved, self.consents, self.before):
            known.pop(contact, None)
        self.forgotten.add(contact)
        self.confirmed.discard(contact)
        self.written.discard(contact)
        self._let_go(contact)

    def _let_go(self, contact: str) -> None:
        for id in [id for id in self.held if id.startswith(contact)]:
            del self.held[id]

    def visited(self, contact: str, what: str, before: Any, after: Any) -> None:
        """A stranger has come, and the contact was like this before, and is like that."""
        if what not in REMEMBERED:
            assert before == after, f"a sign-up of {contact} is {what}, and has changed {before} to {after}"
        reasons = [{name: fields.get(name) for name in SUPPRESSED} for fields in (before[0], after[0])]
        assert reasons[0] == reasons[1], f"a stranger changes why {contact} gets no email: {reasons}"
        lists = [before[0].get(rank, ",").split(",") for rank in ("proved", "unproved")]
        for name, value in before[0].items():
            if name in ("first_name", "business_name", "assessment_score", "email") and name not in lists[1]:
                assert after[0][name] == value, f"a stranger changes {name} of {contact}, which is on {lists}"

    def asks(self, watch: Watch, answer: Sequence[Any], now: int) -> None:
        """A worker is told to ask a contact."""
        contact, number, since = str(answer[0]), int(answer[1]), int(answer[2])
        assert not watch.fenced and not watch.by_hand, f"{contact} is asked, and all sending is stopped"
        assert not self.stopped, f"{contact} is asked, and first emails are stopped"
        reasons = watch.suppressed[contact] - {"unsubscribed"}
        assert not reasons, f"{contact} is asked, and is {reasons}"
        left = self.unsubscribed.get(contact)
        assert left is None or left < since, f"{contact} is asked, and has unsubscribed since"
        assert answer[3], f"{contact} is asked, and nothing is held"
        mine = [at for id, at in self.held.items() if id.startswith(contact)]
        assert any(now < at + WEEK + 1000 for at in mine), f"{contact} is asked, and nothing is held any longer"
        assert number in (1, 2), f"{contact} is asked for the {number}. time"
        first = self.asked.setdefault((contact, since), now)
        soon = number == 2 and self.latest <= now < first + 23 * HOUR
        assert not soon, f"{contact} is reminded within a day"

    def mailed(self, email: Mapping[str, Any], key: str) -> None:
        """The provider has taken an email that asks."""
        _, contact, since, number = key.split("-")
        self.links.append((contact, int(since)))
        mails = self.mails[mailbox(email["to"][0])]
        again = (int(since), int(number)) in mails and self.steady
        assert not again, f"{contact} gets the same confirmation email twice"
        other = [at for at, _ in mails if at != int(since) and abs(at - int(since)) < WEEK]
        assert not (other and self.steady), f"{contact} is asked again in the same week"
        mails.append((int(since), int(number)))

    def claimed(self, contact: str) -> None:
        """An email to a contact may leave."""
        known = "email" in self.proved[contact] or contact in self.confirmed | self.written
        assert known or not self.stopped, f"first emails are stopped, and one to {contact} leaves"

    def lose(self) -> None:
        """The ledger is gone."""
        self.before = {**self.before, **self.proved}
        self.proved.clear()
        for known in (self.consents, self.held, self.unsubscribed, self.mails, self.asked):
            known.clear()
        self.confirmed.clear()
        self.stopped = False

    def restore(self) -> None:
        """The ledger is back; what was proved since stays so."""
        for contact, fields in self.before.items():
            self.proved[contact] = {**fields, **self.proved[contact]}
        self.before = {}
