"""What must be true of the public door between any two decisions, regardless of who came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

from redis import Redis

from tests.property.watch import Watch

MOST_HELD = 2  # instead of 20,000
RANKED = ("email", "first_name", "business_name", "assessment_score")

_READ = """
local contacts, held = {}, redis.call('ZRANGE', 'eg:held', 0, -1)
for i, contact in ipairs(ARGV) do contacts[i] = redis.call('HGETALL', 'eg:contact:' .. contact) end
return {contacts, held, redis.call('KEYS', 'eg:held:*'), redis.call('ZRANGE', 'eg:held:networks', 0, -1, 'WITHSCORES')}
"""


def check_door(redis: Redis, watch: Watch) -> None:
    """Raise AssertionError with what is wrong."""
    door = watch.door
    people = list({*door.proved, *door.consents, *watch.suppressed})
    contacts, held, keys, networks = cast(list[list[str]], redis.eval(_READ, 0, *people))
    for contact, flat in zip(people, contacts, strict=True):
        _check_contact(contact, dict(zip(flat[::2], flat[1::2], strict=True)), watch)
    ids = {key.removeprefix("eg:held:") for key in keys if not key.startswith("eg:held:networks")}
    assert ids <= set(door.held), f"{ids - set(door.held)} are held, and were confirmed or forgotten"
    assert ids <= {member.partition("@")[0] for member in held}, "a sign-up is held that is on no list"
    assert len(held) <= MOST_HELD, f"{len(held)} are held"
    _check_networks(held, networks)


def _check_contact(contact: str, fields: Mapping[str, str], watch: Watch) -> None:
    for name, value in watch.door.proved[contact].items():
        if name in RANKED:
            assert fields.get(name) == value, f"{name} of {contact} was proved to be {value}, and is {fields.get(name)}"
    if consent := watch.door.consents.get(contact):
        now = fields.get("consent_proof"), fields.get("consent_text")
        assert now == consent, f"{contact} has agreed as {consent}, and it is {now}"
    if not watch.unknown:
        missing = watch.suppressed[contact] - set(fields)
        assert not missing, f"{contact} is {missing}, and the ledger does not know"


def _check_networks(held: Sequence[str], networks: Sequence[str]) -> None:
    counted = {network: int(count) for network, count in zip(networks[::2], networks[1::2], strict=True)}
    really = Counter(member.partition("@")[2] for member in held)
    assert counted == really, f"the networks hold {really}, and {counted} are counted"
