"""How much strangers may send: from one network, for one address, and all together; and what a held sign-up costs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from shared.core.errors import TooManyRequests
from shared.domain.timing import DAY, HOUR
from shared.domain.visitors import Visitor
from shared.intake import held_forms, visits
from shared.ledger import held, ids, script_runner, script_sources
from shared.ledger.client import Ledger
from shared.ledger.enroll_orders import Challenge
from tests.conftest import Clock
from tests.support.strangers import ADDRESS, CAFE, HOME, Door

SIX = ("2001:db8:1:2::/64", "2001:db8:1::/56", "2001:db8:1::/48")
SLOW = {"webhook_rate_per_ip": "2/second"}


@pytest.fixture
def door(ledger: Ledger, clock: Clock) -> Door:
    return Door(ledger, clock)


def rated(door: Door, **changes: Any) -> Door:
    """The same door with other limits."""
    door.settings = door.settings.model_copy(update=changes)
    return door


def later(door: Door, window: str) -> None:
    """A window is over for all limits that count in it; Redis's own clock cannot be moved."""
    for key in door.redis.scan_iter(f"eg:limit:sign-ups:{window}:*"):
        door.redis.delete(key)


def solved(number: int) -> Challenge:
    """A challenge that someone has solved."""
    return Challenge(id=f"challenge-{number}", keep=HOUR)


class TestNetworks:
    """One network."""

    def test_thirty_a_minute_are_let_through(self, door: Door) -> None:
        """With the default of ten a second; what is more is held, and enrolls no one."""
        assert door.outcomes(33) == ["enrolled"] * 30 + ["held"] * 3
        assert door.redis.hget("eg:tally:plain", "enrolled") == "30"
        limits = visits.visit(ADDRESS, None, Visitor("", (HOME,)), None, door.settings).networks
        assert [(limit.window, limit.most) for limit in limits] == [(60_000, 30), (HOUR, 100), (DAY, 300)]

    @pytest.mark.parametrize(("window", "most"), [(60_000, 6), (HOUR, 20), (DAY, 60)])
    def test_each_window_follows_the_rate(self, door: Door, window: int, most: int) -> None:
        """Three, ten and thirty times what WEBHOOK_RATE_PER_IP allows in a second, whichever window is full first."""
        rated(door, **SLOW)
        enrolled = 0
        for _ in range(most + 3):
            for shorter, _factor in visits.SUSTAINED:
                if shorter < window:
                    later(door, str(shorter))
            enrolled += door.outcomes(1) == ["enrolled"]
        assert enrolled == most

    def test_others_are_not_concerned(self, door: Door) -> None:
        """A network that sends too much holds up no other."""
        assert door.outcomes(31)[-1] == "held"
        assert door.outcomes(1, "plain", CAFE) == ["enrolled"]

    def test_a_v6_subscriber_counts_by_all_widths(self, door: Door) -> None:
        """A /64 has a /64's share; a /56 has four of them, and a /48 sixteen."""
        rated(door, webhook_rate_per_ip="1/second")

        def until_held(networks: Any) -> int:
            return sum(
                1 for _ in itertools.takewhile(lambda net: door.outcomes(1, "plain", *net) == ["enrolled"], networks)
            )

        assert until_held(itertools.repeat(SIX)) == 3
        door.redis.flushall()
        own = ((f"2001:db8:1:{number:x}::/64", *SIX[1:]) for number in itertools.count())
        assert until_held(own) == 12
        door.redis.flushall()
        wide = ((f"2001:db8:1:{number:x}::/64", f"2001:db8:1:{number:x}::/56", SIX[2]) for number in itertools.count())
        assert until_held(wide) == 48

    def test_who_sends_from_many_networks_of_one_makes_few_keys(self, door: Door) -> None:
        """Above the widest network's limit, its parts are not counted any more."""
        rated(door, webhook_rate_per_ip="1/second")
        for number in range(200):
            door.outcomes(1, "plain", f"2001:db8:1:{number:x}::/64", f"2001:db8:1:{number:x}::/56", SIX[2])
        assert len(door.redis.keys("eg:limit:sign-ups:60000:*")) <= 1 + 2 * 48

    def test_a_solved_challenge_is_let_through_once(self, door: Door) -> None:
        """It is worth a place above the network's limit; the same one again is worth nothing."""
        assert door.outcomes(31)[-1] == "held"
        first, again = (
            door.post(email=f"{name}@example.org", solved=solved(1)).outcome.what for name in ("eve", "bob")
        )
        assert (first, again) == ("enrolled", "held")

    def test_a_challenge_may_be_demanded(self, door: Door) -> None:
        """CHALLENGE=always: without a solved one a sign-up waits for its confirmation."""
        rated(door, challenge="always", challenge_key="x" * 40)
        assert door.outcomes(1) == ["held"]
        assert door.post(solved=solved(1)).outcome.what == "enrolled"

    def test_proof_is_exempt(self, door: Door) -> None:
        """The website's own server may send as much as it has."""
        rated(door, webhook_rate_per_ip="1/second", signups_per_hour=1)
        outcomes = [door.prove(email=f"c{number}@example.org").outcome.what for number in range(20)]
        assert outcomes == ["enrolled"] * 20


class TestCampaigns:
    """What a campaign wants confirmed."""

    def test_never_is_refused_above_the_limit(self, door: Door) -> None:
        """It holds no one, so a visitor is asked to come back."""
        assert door.outcomes(30, "never") == ["enrolled"] * 30
        with pytest.raises(TooManyRequests):
            door.post("never")
        assert door.held() == [] and door.fields() == {}

    def test_always_holds_everyone(self, door: Door) -> None:
        """Also the first, and also with a solved challenge: the address is what must be proved."""
        assert door.outcomes(2, "always") == ["held"] * 2
        assert door.post("always", solved=solved(1)).outcome.what == "held"

    def test_a_webhook_without_a_campaign_holds_under_load(self, door: Door) -> None:
        """What it remembers is a person's data, too."""
        assert door.outcomes(31, "signup") == ["tracked"] * 30 + ["held"]

    def test_a_held_sign_up_touches_no_one(self, door: Door) -> None:
        """No contact, no enrollment, no number, no group, no row for Notion, no alert of a lead."""
        door.post("nurture", name="Ada", consent=True, red_systems=5)
        for kind in ("contact", "enrollment", "enrollments", "consents", "runs", "outbox", "notices"):
            assert door.redis.keys(f"eg:{kind}*") == []


class TestAddresses:
    """One address from one network."""

    def test_the_sixth_in_an_hour_has_no_effect(self, door: Door) -> None:
        """It is answered like the others, and nothing that it says is remembered."""
        bodies = [door.post(first_name=f"Ada{'a' * number}").body for number in range(6)]
        assert len({json.dumps(body) for body in bodies}) == 1
        assert door.fields()["first_name"] == "Adaaaaa"

    def test_another_network_is_not_locked_out(self, door: Door) -> None:
        """A stranger who uses up an address keeps no one from signing up with it."""
        for _ in range(6):
            door.post()
        assert door.post("other", CAFE, first_name="Ada").outcome.what == "enrolled"

    @pytest.mark.parametrize(
        "others", [("2001:db8:1:3::/64", *SIX[1:]), ("2001:db8:1:ff::/64", "2001:db8:1:f0::/56", SIX[2])]
    )
    def test_a_v6_subscriber_is_one_network(self, door: Door, others: tuple[str, ...]) -> None:
        """A /48 has no more tries for an address than an IPv4 address has."""
        outcomes = [door.post("plain", *networks).outcome.what for networks in (SIX, others) for _ in range(3)]
        assert outcomes[0] == "enrolled" and outcomes[-1] == "repeated"


class TestCeilings:
    """All together."""

    @pytest.mark.parametrize("which", ["signups_per_hour", "signups_per_day"])
    def test_above_the_ceiling_everyone_is_held_and_the_owner_told_once(self, door: Door, which: str) -> None:
        """Wherever they come from; one alert, however many come."""
        rated(door, **{which: 4})
        outcomes = [door.outcomes(1, "plain", f"192.0.2.{number}/32")[0] for number in range(9)]
        assert outcomes == ["enrolled"] * 4 + ["held"] * 5
        assert door.redis.zrange("eg:notices", 0, -1) == ["alert:held"]

    def test_solved_challenges_have_a_ceiling_of_their_own(self, door: Door) -> None:
        """A flood of forms leaves room for those who solved one; a flood of solved ones has an end, too."""
        rated(door, signups_per_hour=4)
        for number in range(9):
            door.outcomes(1, "plain", f"192.0.2.{number}/32")
        outcomes = [
            door.post(
                "plain", f"198.51.100.{number}/32", solved=solved(number), email=f"s{number}@example.org"
            ).outcome.what
            for number in range(9)
        ]
        assert outcomes == ["enrolled"] * 4 + ["held"] * 5

    def test_what_is_held_takes_no_place(self, door: Door) -> None:
        """Sign-ups that wait for their confirmation do not fill the ceiling of those that are let through."""
        rated(door, signups_per_hour=4)
        door.outcomes(9, "always")
        assert door.outcomes(4) == ["enrolled"] * 4

    def test_zero_is_no_ceiling(self, door: Door) -> None:
        """For those who have none."""
        rated(door, signups_per_hour=0, signups_per_day=0)
        assert [door.outcomes(1, "plain", f"192.0.2.{number}/32")[0] for number in range(9)] == ["enrolled"] * 9


EMOJI = "\N{FAMILY}"
LARGE: dict[str, dict[str, Any]] = {
    "plain": {},
    "usual": {
        "name": "Ada Lovelace",
        "business_name": "Analytical Engines",
        "timezone": "America/Vancouver",
        "assessment_score": 45,
        "red_systems": 2,
        "consent": True,
        "consent_text": "Yes, send me the emails about my result. I can unsubscribe at any time.",
    },
    "fitting": {"consent": True, "consent_text": "F" * 60},  # with a long address, just what is kept whole
    "long": {
        "name": "A" * 40,
        "first_name": "B" * 40,
        "business_name": "C" * 80,
        "timezone": "D" * 64,
        "booking_url": "https://cal.com/" + "e" * 480,
        "consent": True,
        "consent_text": "F" * 2000,
        "assessment_score": 100,
        "red_systems": 2,
        "orange_systems": 2,
        "yellow_systems": 2,
        "green_systems": 2,
        "email_1_status": "failed",
        "fax_number": "",
    },
    "emoji": {
        "name": EMOJI * 5000,
        "first_name": EMOJI * 5000,
        "business_name": EMOJI * 5000,
        "timezone": EMOJI * 64,
        "booking_url": EMOJI * 500,
        "consent": True,
        "consent_text": EMOJI * 2000,
    },
    "escapes": {
        "name": '"\\\x01' * 5000,
        "first_name": '"\\\x01' * 5000,
        "business_name": "\x01" * 5000,
        "timezone": "\x01" * 63 + "x",
        "booking_url": "\x01\x7f" * 250,
        "consent": True,
        "consent_text": "\x01\x02" * 1000,
    },
}


class TestSize:
    """What a held sign-up costs."""

    @pytest.mark.parametrize("form", LARGE)
    @pytest.mark.parametrize("one_network", [True, False])
    def test_it_takes_a_kilobyte_at_most(self, door: Door, form: str, one_network: bool) -> None:
        """Measured with a thousand of them, with all their keys, and what belongs to no one of them counted in."""
        many = 1000
        email = "x" * 40 + "{}@" + "y" * 60 + "." + "z" * 60 + ".example.org"

        def hold(number: int) -> None:
            network = HOME if one_network else f"10.{number // 250}.{number % 250}.1/32"
            form_ = LARGE[form] | {"email": email.format(number)}
            assert door.post("always", network, **form_).outcome.what == "held"

        hold(10_000)
        before = door.redis.info("memory")["used_memory"]
        for number in range(many):
            hold(number)
        assert (door.redis.info("memory")["used_memory"] - before) / many <= 1024

    @pytest.mark.parametrize("form", LARGE)
    def test_it_keeps_what_enrolls(self, door: Door, form: str) -> None:
        """No matter what is left out, the address, the consent and the scores are there, and it can be read again."""
        door.post("always", **LARGE[form])
        (record,) = held.of_contact(door.ledger, ids.digest(ADDRESS)).records.values()
        assert len(record.encode()) <= held_forms.MOST
        kept = held_forms.read(record).form
        assert (kept.email, kept.consent) == (ADDRESS, LARGE[form].get("consent"))
        assert kept.assessment_score == LARGE[form].get("assessment_score")
        assert door.confirm()

    def test_a_long_consent_is_kept_as_its_start_and_a_digest(self, door: Door) -> None:
        """Which proves what the words were, to anyone who has them."""
        door.post("always", **LARGE["long"])
        assert door.confirm()
        assert door.fields()["consent_text"].startswith("F" * 40 + "… (sha256 ")

    def test_a_usual_form_is_kept_whole(self, door: Door) -> None:
        """Nothing that an honest visitor types is lost."""
        door.post("always", **LARGE["usual"])
        assert door.confirm()
        known = door.fields()
        for name in ("name", "business_name", "timezone", "consent_text"):
            assert known[name] == LARGE["usual"][name]


def fewer(door: Door, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """A ledger that holds at most that many."""

    def changed(constants: Mapping[str, int]) -> dict[str, str]:
        known = script_sources.sources(constants)
        assert "MOST_HELD = 20000\n" in known["enroll"]
        return {name: text.replace("MOST_HELD = 20000\n", f"MOST_HELD = {most}\n") for name, text in known.items()}

    monkeypatch.setattr(script_runner, "sources", changed)
    door.ledger = Ledger(door.redis, clock=door.clock, durable=True)


class TestRoom:
    """How many are held, and for how long."""

    def test_the_largest_networks_oldest_makes_room(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        """When all places are taken, a flood makes room for itself, and not others for it."""
        fewer(door, monkeypatch, 10)
        door.post("always", CAFE, email="honest@example.org")
        door.outcomes(30, "always")
        assert int(door.redis.zcard("eg:held")) == 10
        assert door.held("honest@example.org") and door.held("p30@example.org")
        assert not door.held("p1@example.org") and not door.held("p21@example.org")
        assert len(door.redis.keys("eg:held:*-always")) == 10

    def test_a_flood_from_many_networks_costs_no_search(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no network has many, the oldest of all goes at once: one look at one place for each sign-up."""
        fewer(door, monkeypatch, 1000)
        networks = [f"10.0.{number // 250}.{number % 250}/32" for number in range(1010)]
        for network in networks[:1000]:
            door.outcomes(1, "always", network)
            door.clock.advance(seconds=1)
        door.redis.config_resetstat()
        for network in networks[1000:]:
            door.outcomes(1, "always", network)
        assert [bool(door.held(f"p{number}@example.org")) for number in (1, 10, 11, 1000, 1010)] == [False] * 2 + [
            True
        ] * 3
        assert door.redis.info("commandstats")["cmdstat_zrange"]["calls"] == 10

    def test_one_network_among_many_makes_room_for_itself(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those who came before it, each from a network of their own, stay."""
        fewer(door, monkeypatch, 400)
        for number in range(350):
            door.outcomes(1, "always", f"10.0.{number // 250}.{number % 250}/32")
            door.clock.advance(seconds=1)
        for _ in range(100):
            door.outcomes(1, "always")
            door.clock.advance(seconds=1)
        kept = [bool(door.held(f"p{number}@example.org")) for number in (1, 350, 351, 400, 401, 450)]
        assert kept == [True, True, False, False, True, True]

    def test_what_made_room_leaves_nothing(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither a mark of its mailbox nor a place in the line: a flood that goes on for days takes no more room."""
        fewer(door, monkeypatch, 10)
        door.outcomes(30, "always")
        held_then = sorted(door.redis.keys("eg:*"))
        for number in range(3):
            door.outcomes(30, "always", f"198.51.100.{number}/32")
            assert len(door.redis.keys("eg:asking:*")) == len(door.redis.keys("eg:mailbox:*")) == 10
            assert int(door.redis.zcard("eg:ask")) + int(door.redis.zcard("eg:ask:later")) == 10
            assert len(door.redis.keys("eg:*")) <= len(held_then) + 3 * 3  # the limits of three networks

    def test_a_mailbox_that_was_asked_is_not_asked_again_for_having_made_room(
        self, door: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once a week, however often its sign-up is pushed out and comes again."""
        fewer(door, monkeypatch, 10)
        door.post("always", email="ada@example.org")
        assert door.ask() == ["ada@example.org"]
        door.clock.advance(seconds=1)
        door.outcomes(10, "always")
        assert not door.held("ada@example.org")
        door.post("always", email="ada@example.org")
        assert "ada@example.org" not in door.ask()

    def test_another_sign_up_of_the_same_person_stays(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only the one that makes room is forgotten; the person is still asked for the other."""
        fewer(door, monkeypatch, 10)
        door.post("always", email="ada@example.org")
        door.clock.advance(seconds=1)
        door.post("again", CAFE, email="ada@example.org")
        door.clock.advance(seconds=1)
        door.outcomes(9, "always")
        assert [id.partition("-")[2] for id in door.held("ada@example.org")] == ["again"]
        assert "ada@example.org" in door.ask()

    def test_those_whose_week_is_over_leave_the_line(self, door: Door) -> None:
        """However many were never asked."""
        door.outcomes(20, "always")
        door.clock.advance(hours=7 * 24)
        door.ledger.sweep(set())
        assert int(door.redis.zcard("eg:ask")) == int(door.redis.zcard("eg:ask:later")) == 0
        assert door.redis.keys("eg:mailbox:*") == door.redis.keys("eg:asking:*") == []

    def test_room_is_made_after_a_quiet_week_too(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those whose week is over leave first, and what is left of their networks stops no one."""
        fewer(door, monkeypatch, 150)
        door.outcomes(150, "always")
        for key in door.redis.keys("eg:held:*"):  # as Redis's own clock would
            if door.redis.pttl(key) > 0:
                door.redis.delete(key)
        door.clock.advance(hours=7 * 24)
        assert door.outcomes(5, "always", CAFE) == ["held"] * 5

    def test_the_same_form_again_takes_no_second_place(self, door: Door) -> None:
        """The latest counts, from wherever it comes."""
        for network in (HOME, HOME, CAFE):
            door.post("always", network, name=f"Ada {network[0]}")
        assert int(door.redis.zcard("eg:held")) == 1
        assert door.redis.zrange("eg:held:networks", 0, -1, withscores=True)[0][1] == 1

    def test_it_is_gone_after_a_week(self, door: Door) -> None:
        """Every key of it has an end or is emptied; nothing of the person is left."""
        for network in (HOME, CAFE):
            door.post("always", network, email=f"x{network[:3]}@example.org", name="Ada")
        door.ask()
        lasting = {key for key in door.redis.scan_iter("*") if door.redis.pttl(key) < 0}
        for key in set(door.redis.keys("*")) - lasting:
            assert door.redis.pttl(key) <= 7 * DAY, key
            door.redis.delete(key)  # as Redis's own clock would
        door.clock.advance(hours=7 * 24 + 1)
        door.ledger.sweep(())
        door.ask()
        door.ledger.sweep(())
        kinds = ("eg:held", "eg:ask", "eg:mailbox")
        assert not [key for key in map(str, door.redis.keys("eg:*")) if key.startswith(kinds) and key != "eg:ask:job"]


class TestReview:
    """What a stranger could still do at the limits, and no longer can."""

    def test_a_fourth_spelling_of_a_mailbox_is_held(self, door: Door) -> None:
        """Plus-tags and Gmail's dots would bring the same person one sequence after the other."""
        spellings = ("ada@gmail.com", "a.da@gmail.com", "ada+1@gmail.com", "ad.a+2@googlemail.com")
        outcomes = [door.post(email=email).outcome.what for email in spellings]
        assert outcomes == ["enrolled", "enrolled", "enrolled", "held"]
        assert door.post("other", email=spellings[0]).outcome.what == "enrolled"

    def test_a_replayed_challenge_takes_no_place_of_those_who_solve(self, door: Door) -> None:
        """A spent one counts as none, also in the ceiling that it counts towards."""
        rated(door, signups_per_hour=2)
        replayed = [door.post(email=f"eve{n}@example.org", solved=solved(1)).outcome.what for n in range(6)]
        assert replayed == ["enrolled", "enrolled", "enrolled", "held", "held", "held"]
        assert door.post(email="bob@example.org", solved=solved(2)).outcome.what == "enrolled"

    def test_one_subscriber_does_not_use_up_the_share_of_a_wider_network(self, door: Door) -> None:
        """What its own /64 holds back counts in no wider network."""
        mine, other = "2001:db8:1:1::/64", "2001:db8:1:2::/64"
        wider = ("2001:db8:1::/56", "2001:db8:1::/48")
        door.outcomes(300, "plain", mine, *wider)
        assert door.outcomes(30, "plain", other, *wider) == ["enrolled"] * 30

    def test_what_is_held_keeps_no_key_of_its_answer(self, door: Door) -> None:
        """Else a new Idempotency-Key with each form would fill the ledger; the same one holds the same form again."""
        assert [door.post("always", key="key-1").outcome.what for _ in range(2)] == ["held", "held"]
        assert door.redis.keys("eg:seen:*") == [] and door.redis.zcard("eg:held") == 1
