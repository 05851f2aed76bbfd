"""Purging: what a flood of sign-ups has left goes in one go, and nothing else does."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from shared.core.errors import SendError
from shared.domain.forms import MeetingEvent, SignUp
from shared.domain.visitors import Visitor
from shared.intake import confirming, enrolling, meetings
from shared.ledger import held, ids
from shared.ledger.answers import Purged
from shared.ledger.contacts import Contacts
from shared.ledger.rewriting import Log
from shared.operations import purging
from tests.support.world import World

SLUGS = ["christmas", "booking-reminder"]
HOUR = 3_600_000


def shown(items: Iterable[Any], _label: str) -> Iterable[Any]:
    """No progress bar."""
    return items


def visits(world: World, email: str, **form: Any) -> str:
    """A stranger signs an address up for Christmas; returns what became of it."""
    intake = replace(world.intake, visitor=Visitor("192.0.2.7", (f"{email}/32",)))
    given = SignUp.model_validate({"email": email, "assessment_score": 45} | form)
    return enrolling.sign_up(given, trigger="christmas-signup", intake=intake).outcome.what


def purged(world: World, since: int) -> Purged:
    """Purge, and say how much that was."""
    return purging.purge(world.ledger, since, SLUGS, None, shown).purged


def an_hour_later(world: World) -> None:
    """Redis lets the counts of the hour go, which the test's clock does not move."""
    world.clock.advance(hours=1)
    world.redis.delete(*world.redis.scan_iter("eg:limit:*"))


@pytest.fixture
def flooded(world: World) -> World:
    """A customer of the day before; then 300 sign-ups of strangers, of which those above a ceiling are held."""
    world.settings = world.settings.model_copy(update={"signups_per_hour": 201})
    visits(world, "before@example.org")
    world.clock.advance(hours=24)
    outcomes = [visits(world, f"flood{n}@example.org") for n in range(300)]
    assert (outcomes.count("enrolled"), outcomes.count("held")) == (200, 100)
    return world


def keys(world: World) -> set[str]:
    """All keys but those of RQ, of limits and of counters."""
    passing = ("rq:", "eg:limit:", "eg:tally:", "eg:alert:")
    return {key for key in world.redis.scan_iter(count=1000) if not key.startswith(passing)}


def test_a_flood_is_gone_as_if_it_had_never_been(flooded: World) -> None:
    """Contacts, enrollments, wake-ups, marks and held sign-ups: no key is left that names one of them."""
    since = flooded.clock.now - HOUR
    assert purging.count(flooded.ledger, since, SLUGS, shown) == Purged(200, 200, 100)
    assert purged(flooded, since) == Purged(200, 200, 100)
    flood = {ids.digest(f"flood{n}@example.org") for n in range(300)}
    assert not [key for key in keys(flooded) if any(digest in key for digest in flood)]
    assert flooded.redis.hlen("eg:runs") == 1
    assert flooded.redis.zcard("eg:recent") == flooded.redis.zcard("eg:open") // 7 == 1
    flooded.work()
    assert {email["to"][0] for email in flooded.provider.accepted} == {"before@example.org"}


def test_a_purged_person_may_sign_up_again(flooded: World) -> None:
    """A real visitor among them was never sent to, so nothing keeps them out."""
    purged(flooded, flooded.clock.now - HOUR)
    an_hour_later(flooded)
    assert visits(flooded, "flood7@example.org") == "enrolled"
    assert visits(flooded, "flood299@example.org") == "enrolled"


def test_no_id_stands_for_two_emails(flooded: World) -> None:
    """Who was sent an email keeps the mark of the enrollment: it does not begin again under the same id."""
    flooded.work()
    purged(flooded, flooded.clock.now - HOUR)
    an_hour_later(flooded)
    assert visits(flooded, "flood7@example.org") == "exists"
    flooded.work()
    assert len(flooded.provider.email_ids) == len(set(flooded.provider.email_ids))


def test_an_email_in_flight_keeps_its_mark(flooded: World) -> None:
    """Its request may have been accepted already: the same id must not be posted with another content."""
    email = "flood7@example.org"
    flooded.provider.faults.append(SendError("ambiguous", "no answer"))
    run = f"{ids.enrollment_prefix('christmas', email)}-1"
    flooded.sender.send(run, 1)
    assert flooded.states(run)[0] == "sending"
    purged(flooded, flooded.clock.now - HOUR)
    assert flooded.ledger.enrollment(run) is None
    an_hour_later(flooded)
    assert visits(flooded, email) == "exists"


@pytest.mark.parametrize("how", ["confirmed", "booked", "imported", "earlier", "unsubscribed"])
def test_what_is_proved_or_decided_stays(flooded: World, how: str) -> None:
    """Who confirmed the address, booked a call, came by a proved way or was there before; and that one unsubscribed."""
    email, since = "flood250@example.org", flooded.clock.now - HOUR
    contact = ids.digest(email)
    match how:
        case "confirmed":
            asked = held.of_contact(flooded.ledger, contact)
            assert confirming.confirm(contact, asked.since, flooded.intake)
        case "booked":
            now = flooded.clock.now
            event = MeetingEvent("booked", "key", "uid", now, now + 48 * HOUR, contact={"email": email})
            meetings.report(event, trigger="calcom-booking", intake=flooded.intake)
        case "imported":
            flooded.sign_up(email=email)
        case "earlier":
            contact = ids.digest("before@example.org")
        case _:
            contact = ids.digest("flood7@example.org")
            flooded.ledger.suppress(contact, "unsubscribed")
    purged(flooded, since)
    known = flooded.ledger.contact(contact)
    assert known and ("unsubscribed" in known.fields if how == "unsubscribed" else "email" in known.fields)


def test_memory_is_given_back(flooded: World) -> None:
    """Redis's append-only file is rewritten, and the ledger holds no more than before."""
    done = purging.purge(flooded.ledger, flooded.clock.now - HOUR, SLUGS, None, shown)
    assert done.log in (Log.REWRITTEN, Log.ABSENT)
    left = sum(int(flooded.redis.memory_usage(key) or 0) for key in keys(flooded))
    assert left < 20_000


def test_it_ends_even_where_a_record_has_expired(flooded: World) -> None:
    """A place on the list whose record Redis has already let go is taken off, too."""
    for key in list(flooded.redis.scan_iter("eg:held:*-christmas-signup"))[:50]:
        flooded.redis.delete(key)
    steps = itertools.islice(Contacts(flooded.ledger).purge(flooded.clock.now - HOUR, SLUGS), 50)
    assert len(list(steps)) < 50
    assert flooded.redis.zcard(ids.HELD) == 0
