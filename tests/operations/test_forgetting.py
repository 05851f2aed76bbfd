"""What is left of a forgotten person: nothing in Redis, nothing in its files; and what Evergreen says where it cannot
know."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError
from structlog.testing import capture_logs

from local import valkey
from shared.core.errors import SendError
from shared.domain.addresses import to_ascii
from shared.domain.forms import MeetingEvent, SignUp
from shared.intake import enrolling, meetings
from shared.ledger import ids
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.rewriting import Log
from shared.operations import privacy
from shared.operations.privacy import BY_HAND
from tests.conftest import Clock
from tests.support.waiting import until
from tests.support.world import World

ADDRESS = "Zoe.O'Forgotten+list@Exämple.org"
NORMALIZED = ADDRESS.lower()
OTHER = "kept@example.org"
FORM = {
    "email": ADDRESS,
    "first_name": "Zebedina",
    "business_name": "Quixworth",
    "assessment_score": 5,
    "red_systems": 6,
    "consent": True,
    "consent_text": "Zebedina agrees",
}


def spellings(address: str) -> list[bytes]:
    """How an address may be written somewhere: as posted or stored, with an ASCII domain, in JSON, in HTML, packed."""
    return [
        spelled.encode()
        for each in {address, address.lower(), address.upper(), to_ascii(address), address.partition("@")[0]}
        for spelled in (
            each,
            json.dumps(each)[1:-1],
            quote(each, safe=""),
            quote(each),
            each.replace("'", "&#39;"),
            each.replace("'", "&#x27;").replace("@", "&#64;"),
            base64.b64encode(each.encode()).decode().rstrip("=")[:-1],
            each.encode().hex(),
        )
    ] + [b"Zebedina", b"Quixworth"]


def found_in(content: bytes) -> list[bytes]:
    """The spellings that a text holds, plain or compressed as RQ does it."""
    with suppress(zlib.error):
        content += zlib.decompress(content)
    return [word for word in spellings(ADDRESS) if word.lower() in content.lower()]


def found_in_keys(server: valkey.Valkey) -> set[bytes]:
    """The keys that name the person, or whose value does: everything in Redis, RQ's jobs included."""
    with Redis.from_url(server.url, password=server.password) as raw:
        read: dict[bytes, Any] = {
            b"string": raw.get,
            b"hash": lambda key: b"\n".join(part for pair in raw.hgetall(key).items() for part in pair),
            b"list": lambda key: b"\n".join(raw.lrange(key, 0, -1)),
            b"set": lambda key: b"\n".join(raw.smembers(key)),
            b"zset": lambda key: b"\n".join(raw.zrange(key, 0, -1)),
        }
        found = {key for key in raw.scan_iter() if found_in(key + b"\n" + (read[raw.type(key)](key) or b""))}
        slow = b"\n".join(entry["command"] for entry in raw.slowlog_get(-1))
        return found | ({b"the slow commands"} if found_in(slow) else set())


def found_in_files(directory: Path) -> set[str]:
    """The files that hold the address, in any folder."""
    return {path.name for path in directory.rglob("*") if path.is_file() and found_in(path.read_bytes())}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[valkey.Valkey]:
    """A Valkey of its own, whose files this test reads: nothing in them is compressed, and every command is slow."""
    with valkey.serve(tmp_path, 0, "secret") as found:
        with Redis.from_url(found.url, password=found.password) as redis:
            redis.config_set("rdbcompression", "no")
            redis.config_set("slowlog-max-len", 100_000)
            redis.config_set("slowlog-log-slower-than", 0)
        yield found


@pytest.fixture
def world(server: valkey.Valkey) -> Iterator[World]:
    """A small Evergreen on it."""
    clock = Clock()
    with Redis.from_url(server.url, password=server.password, decode_responses=True) as redis:
        yield World(Ledger(redis, clock=clock), clock)


def sign_up(world: World, key: str) -> None:
    """The person fills in a form, with an Idempotency-Key."""
    intake = replace(world.intake, key=key, page="https://www.example.org/", leads=True)
    enrolling.sign_up(SignUp.model_validate(FORM), trigger="christmas-signup", intake=intake)


def live(world: World) -> None:
    """The person signs up twice, books a meeting, gets an email, and one stays unsettled; another person's life goes
    on."""
    sign_up(world, "key-1")
    world.provider.faults.append(SendError("ambiguous", "no answer"))
    world.work()
    world.sign_up(email=OTHER)
    sign_up(world, "key-2")
    now = world.clock.now
    booking = MeetingEvent("booked", "key", "uid", now, starts=now + 3 * 86_400_000, contact={"email": NORMALIZED})
    meetings.report(booking, trigger="calcom-booking", intake=world.intake)
    world.work()
    Alerts(world.ledger).take()


def test_a_person_leaves_traces_until_forgotten(world: World, server: valkey.Valkey, tmp_path: Path) -> None:
    """In the contact, in a frozen request, in the file; what follows would find them."""
    live(world)
    keys = {key.decode().split(":")[1] for key in found_in_keys(server) if b":" in key}
    assert keys >= {"contact", "frozen"}
    assert b"the slow commands" in found_in_keys(server)
    assert [name for name in found_in_files(tmp_path) if name.endswith(".incr.aof")]


def test_no_trace_is_left_in_redis_or_its_files(world: World, server: valkey.Valkey, tmp_path: Path) -> None:
    """In every spelling, and in every key, value, job and file; others keep theirs."""
    live(world)
    told: list[str] = []
    with capture_logs() as logs:
        done = privacy.forget(
            f" {ADDRESS.upper()} ", world.ledger, world.settings, None, progress=lambda: told.append("rewriting")
        )
    assert found_in_keys(server) == set()
    until(lambda: not found_in_files(tmp_path))  # Redis removes the old files a moment later
    assert (done.log, told) == (Log.REWRITTEN, ["rewriting"])
    assert done.left[-len(BY_HAND) :] == BY_HAND and len(done.left) == 1 + len(BY_HAND)  # the first: no Notion
    assert not found_in(str(logs).encode())
    contact = world.ledger.contact(ids.digest(OTHER))
    assert contact and contact.email == OTHER


def test_what_an_earlier_release_answered_is_forgotten_too(world: World, server: valkey.Valkey) -> None:
    """It stored the address with the answer; afterwards a repeat of the request still has no second effect."""
    live(world)
    seen = f"eg:seen:{ids.digest('christmas-signup:key-1')}"
    other = f"eg:seen:{ids.digest('christmas-signup:key-3')}"
    world.redis.set(seen, json.dumps([NORMALIZED, "christmas"]), keepttl=True)
    world.redis.set(other, json.dumps([OTHER, None]))
    privacy.forget(ADDRESS, world.ledger, world.settings, None)
    assert found_in_keys(server) == set()
    assert (world.redis.get(seen), world.redis.get(other)) == ("christmas", json.dumps([OTHER, None]))
    assert 0 < world.redis.pttl(seen) <= 24 * 3_600_000
    sign_up(world, "key-1")
    assert world.ledger.contact(ids.digest(NORMALIZED)) is None


def test_a_repeat_gets_the_same_answer_from_both_releases(world: World) -> None:
    """With the address of the request."""
    intake = replace(world.intake, key="key-1")
    form = SignUp.model_validate(FORM)
    first = enrolling.sign_up(form, trigger="christmas-signup", intake=intake)
    assert enrolling.sign_up(form, trigger="christmas-signup", intake=intake).body == first.body
    world.redis.set(f"eg:seen:{ids.digest('christmas-signup:key-1')}", json.dumps(["x@example.org", "christmas"]))
    assert enrolling.sign_up(form, trigger="christmas-signup", intake=intake).body == first.body


def test_a_rewrite_that_began_before_does_not_count(world: World, tmp_path: Path) -> None:
    """It holds what was there when it began."""
    live(world)
    world.redis.config_set("rdb-key-save-delay", 20_000)  # microseconds for each key: it takes a while
    world.redis.bgrewriteaof()
    world.redis.config_set("rdb-key-save-delay", 0)
    assert world.redis.info("persistence")["aof_rewrite_in_progress"]
    assert privacy.forget(ADDRESS, world.ledger, world.settings, None).log == Log.REWRITTEN
    until(lambda: not found_in_files(tmp_path))


def test_it_does_not_wait_forever(world: World) -> None:
    """A large file takes its time; what that means is said, and the person is erased from the ledger."""
    live(world)
    world.redis.config_set("rdb-key-save-delay", 1_000_000)
    try:
        done = privacy.forget(ADDRESS, world.ledger, world.settings, None, wait=0.1)
    finally:
        world.redis.config_set("rdb-key-save-delay", 0)
    assert done.log == Log.UNFINISHED
    assert any("aof_rewrite_in_progress:0" in sentence for sentence in done.left)
    assert world.ledger.contact(ids.digest(NORMALIZED)) is None


@pytest.mark.parametrize("forbidden", ["bgrewriteaof", "config|get", "slowlog"])
def test_a_redis_that_forbids_it(world: World, server: valkey.Valkey, forbidden: str) -> None:
    """A managed one, or an ACL: where the address may still be is said, and how to end that."""
    live(world)
    world.redis.acl_setuser(
        "limited", enabled=True, passwords=["+word"], keys=["*"], categories=["+@all"], commands=[f"-{forbidden}"]
    )
    with Redis.from_url(server.url, username="limited", password="word", decode_responses=True) as limited:
        with pytest.raises(NoPermissionError):
            limited.execute_command(*forbidden.split("|"), *(["get", "save"] if forbidden != "bgrewriteaof" else []))
        done = privacy.forget(ADDRESS, Ledger(limited, clock=world.clock), world.settings, None)
    words = {"bgrewriteaof": "BGREWRITEAOF", "config|get": "BGSAVE", "slowlog": "SLOWLOG RESET"}
    assert any(words[forbidden] in sentence for sentence in done.left)
    assert done.log == (Log.REFUSED if forbidden == "bgrewriteaof" else Log.REWRITTEN)
    assert done.erased.enrollments


def test_snapshots_are_named(world: World) -> None:
    """A Redis that writes them has an older one."""
    world.redis.config_set("save", "3600 1")
    assert any("dump.rdb" in sentence for sentence in privacy.forget(ADDRESS, *sides(world)).left)


def test_a_redis_without_an_append_only_file(world: World) -> None:
    """Has nothing to rewrite."""
    world.redis.config_set("appendonly", "no")
    assert privacy.forget(ADDRESS, *sides(world)).log == Log.ABSENT


def test_a_rewrite_that_fails_is_said(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example with a full disk."""
    info = world.redis.info

    def failing(section: str) -> dict[str, Any]:
        found = info(section)
        return found | ({"aof_last_bgrewrite_status": "err"} if section == "persistence" else {})

    monkeypatch.setattr(world.redis, "info", failing)
    done = privacy.forget(ADDRESS, *sides(world))
    assert done.log == Log.FAILED and any("its log says why" in sentence for sentence in done.left)


def test_an_unknown_command_is_a_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Managed services rename it away."""

    def unknown() -> None:
        raise ResponseError("unknown command 'BGREWRITEAOF', with args beginning with: ")

    monkeypatch.setattr(world.redis, "bgrewriteaof", unknown)
    assert privacy.forget(ADDRESS, *sides(world)).log == Log.REFUSED


def sides(world: World) -> tuple[Ledger, Any, None]:
    """What forgetting needs beside the address."""
    return world.ledger, world.settings, None
