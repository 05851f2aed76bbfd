"""The challenge of a form: what is issued, which solutions count, and what a stranger can make of the field."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import altcha
import altcha.v1
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from local import valkey
from shared.web import challenge
from tests.support.functions_client import SECRET, Functions, deployed, signed
from tests.support.webhook_calls import FORMS
from tests.support.world import ADA

KEY = "key of a test, long enough to be one"
NOW = 1_790_000_000_000
SITE = "https://www.example.org"
Change = Callable[[dict[str, Any]], Any]


def encoded(value: Any) -> str:
    """A value as the widget would write it into the form."""
    return base64.b64encode(json.dumps(value).encode()).decode()


def solution(issued: dict[str, Any]) -> dict[str, Any]:
    """The payload of a visitor who has done the work."""
    asked = altcha.Challenge.from_dict(issued)
    found = altcha.solve_challenge(asked)
    assert found
    return altcha.Payload(asked, found).to_dict()


@pytest.fixture(scope="module")
def issued() -> dict[str, Any]:
    """One challenge, issued at NOW."""
    return challenge.create(KEY, NOW)


@pytest.fixture(scope="module")
def payload(issued: dict[str, Any]) -> dict[str, Any]:
    """Its solution."""
    return solution(issued)


class TestCreate:
    """What a browser is asked."""

    def test_each_is_another_one_for_twenty_minutes(self, issued: dict[str, Any]) -> None:
        """Salt, nonce and signature are new each time; the time is the ledger's."""
        other = challenge.create(KEY, NOW)
        for name in ("salt", "nonce"):
            assert issued["parameters"][name] != other["parameters"][name]
        assert issued["signature"] != other["signature"]
        assert issued["parameters"]["data"] == {"expires": NOW + 20 * 60_000}

    def test_the_work_is_neither_nothing_nor_a_minute(self, payload: dict[str, Any]) -> None:
        """The tries are within their bounds, and the number is not told: the prefix is too long to be hit by luck."""
        parameters = payload["challenge"]["parameters"]
        assert 600 <= payload["solution"]["counter"] < 1200
        assert parameters["cost"] == 5000 and len(parameters["keyPrefix"]) == 32
        assert "counter" not in json.dumps(parameters)

    def test_the_form_has_room_for_it(self, payload: dict[str, Any]) -> None:
        """A solution is well below the field's limit."""
        assert len(encoded(payload)) < challenge.LONGEST / 2


class TestVerified:
    """Which solutions count."""

    def test_the_right_solution_counts_until_it_expires(self, payload: dict[str, Any]) -> None:
        """With the time until which it must be remembered as spent."""
        text = encoded(payload)
        solved = challenge.verified(text, KEY, NOW)
        assert solved and solved.expires == NOW + 20 * 60_000
        assert challenge.verified(text, KEY, solved.expires - 1) == solved
        assert challenge.verified(text, KEY, solved.expires) is None

    def test_it_counts_once_however_it_is_written(self, payload: dict[str, Any]) -> None:
        """Spaces, another order, more fields or junk in the base64 do not make a spent one a new one."""
        solved = challenge.verified(encoded(payload), KEY, NOW)
        reordered = dict(reversed(payload.items())) | {"took": 5}
        indented = base64.b64encode(json.dumps(payload, indent=1).encode()).decode()
        spellings = [encoded(reordered), indented, f"\n{encoded(payload)}", "!".join(encoded(payload))]
        renumbered = json.dumps(payload).replace(str(NOW + challenge.LIFETIME), f"{NOW + challenge.LIFETIME}.0")
        spellings.append(base64.b64encode(renumbered.encode()).decode())
        assert solved and {challenge.verified(text, KEY, NOW) for text in spellings} <= {solved, None}
        assert challenge.verified(indented, KEY, NOW) == solved

    def test_nothing_longer_than_the_field_is_read(self, payload: dict[str, Any]) -> None:
        """Padding does not get past the limit."""
        padding = " " * (challenge.LONGEST - len(encoded(payload)))
        assert challenge.verified(encoded(payload) + padding, KEY, NOW)
        assert challenge.verified(encoded(payload) + padding + " ", KEY, NOW) is None

    def test_two_challenges_have_two_ids(self, payload: dict[str, Any]) -> None:
        """Another visitor's is not taken for the spent one."""
        other = challenge.verified(encoded(solution(challenge.create(KEY, NOW))), KEY, NOW)
        first = challenge.verified(encoded(payload), KEY, NOW)
        assert first and other and first.id != other.id

    @pytest.mark.parametrize("key", ["", f"{KEY} ", "another key"])
    def test_another_key_knows_it_not(self, payload: dict[str, Any], key: str) -> None:
        """Neither another installation's, nor none."""
        assert challenge.verified(encoded(payload), key, NOW) is None

    def test_one_from_the_future_does_not_count(self, payload: dict[str, Any]) -> None:
        """After the ledger's clock was set back, no challenge outlives its twenty minutes."""
        assert challenge.verified(encoded(payload), KEY, NOW - 1) is None

    @pytest.mark.parametrize(
        "parameters",
        [
            {"data": {"expires": NOW + 10**9}},
            {"data": None},
            {"data": {}},
            {"cost": 1},
            {"cost": 5000.0},
            {"cost": True},
            {"keyPrefix": ""},
            {"keyPrefix": "00"},
            {"keyLength": 32.0},
            {"algorithm": "SHA-256"},
            {"algorithm": "PBKDF2/SHA-1"},
            {"algorithm": "ARGON2ID"},
            {"algorithm": "none"},
            {"algorithm": None},
            {"salt": ""},
            {"salt": "zz"},
            {"nonce": 7},
            {"expiresAt": 1},
            {"expiresAt": float("inf")},
            {"keySignature": "00"},
            {"memoryCost": 10**9},
        ],
        ids=str,
    )
    def test_forged_parameters_do_not_count(self, payload: dict[str, Any], parameters: dict[str, Any]) -> None:
        """What was signed is what was asked; a number in another spelling is at best no solution."""
        asked = payload["challenge"]
        forged = payload | {"challenge": asked | {"parameters": asked["parameters"] | parameters}}
        assert challenge.verified(encoded(forged), KEY, NOW) is None

    @pytest.mark.parametrize("mark", [None, "", "00" * 32, 7, ["x"], {"a": 1}, "\ud800", "é" * 64], ids=repr)
    def test_a_forged_signature_does_not_count(self, payload: dict[str, Any], mark: Any) -> None:
        """Nor a missing one, nor one of another type."""
        forged = payload | {"challenge": payload["challenge"] | {"signature": mark}}
        assert challenge.verified(encoded(forged), KEY, NOW) is None

    @pytest.mark.parametrize(
        "wrong",
        [
            {"counter": 0},
            {"counter": -1},
            {"counter": 2**32},
            {"counter": 1e308},
            {"counter": True},
            {"counter": "600"},
            {"counter": None},
            {"derivedKey": ""},
            {"derivedKey": "00" * 32},
            {"derivedKey": None},
            {"derivedKey": ["00"]},
        ],
        ids=str,
    )
    def test_a_wrong_solution_does_not_count(self, payload: dict[str, Any], wrong: dict[str, Any]) -> None:
        """The challenge is real, the work is not done."""
        assert challenge.verified(encoded(payload | {"solution": payload["solution"] | wrong}), KEY, NOW) is None

    def test_an_unsigned_one_of_the_same_library_does_not_count(self) -> None:
        """Anyone can make an easy challenge and solve it."""
        easy = altcha.create_challenge("SHA-256", 1, key_prefix="", data={"expires": NOW + 1000})
        assert challenge.verified(encoded(solution(easy.to_dict())), KEY, NOW) is None

    def test_the_older_format_does_not_count(self) -> None:
        """Version 1 of the widget's format, even signed with the key."""
        options = altcha.v1.ChallengeOptions(hmac_key=KEY, max_number=1, number=0)
        old = altcha.v1.create_challenge(options)
        fields = {name: getattr(old, name) for name in ("algorithm", "challenge", "salt", "signature")}
        assert challenge.verified(encoded(fields | {"number": 0}), KEY, NOW) is None


class TestHostile:
    """What a stranger may put into the field: it counts as not solved, and nothing is raised."""

    @pytest.mark.parametrize(
        "text",
        [
            None,
            "",
            " ",
            "x",
            "=",
            "\x00",
            "é" * 100,
            "\ud800",
            "A" * 2_001,
            "A" * 2_000,
            "A" * 10_000_000,
            encoded(None),
            encoded([]),
            encoded(7),
            encoded("challenge"),
            encoded({}),
            encoded({"challenge": {}, "solution": {}}),
            encoded({"challenge": {"parameters": []}, "solution": []}),
            base64.b64encode(b"[" * 1400).decode(),
            base64.b64encode(b'{"a":' * 280).decode(),
            base64.b64encode(b"9" * 1400).decode(),
            base64.b64encode(b"\xff\xfe\x00").decode(),
        ],
        ids=lambda text: repr(text)[:20],
    )
    def test_nonsense(self, text: str | None) -> None:
        """Of each kind."""
        assert challenge.verified(text, KEY, NOW) is None

    @given(text=st.text(max_size=2_100))
    def test_any_text(self, text: str) -> None:
        """Any at all."""
        assert challenge.verified(text, KEY, NOW) is None

    @given(data=st.data())
    def test_any_part_replaced(self, issued: dict[str, Any], data: st.DataObject) -> None:
        """A payload of the right form with anything in any of its places."""
        junk = st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
        )
        changed: dict[str, Any] = json.loads(
            json.dumps({"challenge": issued, "solution": {"counter": 600, "derivedKey": "00" * 32}})
        )
        places = [
            changed,
            changed["challenge"],
            changed["challenge"]["parameters"],
            changed["challenge"]["parameters"]["data"],
            changed["solution"],
        ]
        place = data.draw(st.sampled_from(places))
        place[data.draw(st.sampled_from(sorted(place)) | st.text(max_size=9))] = data.draw(junk)
        assert challenge.verified(encoded(changed), KEY, NOW) is None


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """All functions, on an empty database, with a key."""
    with deployed(valkey_server, monkeypatch) as ready:
        ready.set(CHALLENGE_KEY=KEY, CORS_ORIGINS=SITE)
        yield ready


class TestWebhook:
    """GET of a form, and the form's field."""

    @pytest.mark.parametrize("name", FORMS)
    def test_each_form_has_challenges(self, functions: Functions, name: str) -> None:
        """In JSON, never cached, readable by the owner's pages; a solution of it counts by the ledger's clock."""
        answer = functions.client(name).get("/", headers={"Origin": SITE})
        assert (answer.status_code, answer.mimetype) == (200, "application/json")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Access-Control-Allow-Origin"] == SITE
        now = functions.ledger.now()
        assert abs((answer.json or {})["parameters"]["data"]["expires"] - now - challenge.LIFETIME) < 60_000

    def test_what_a_form_is_given_can_be_solved(self, functions: Functions) -> None:
        """From the answer to a solution that counts."""
        issued = functions.client("signup").get("/").json or {}
        assert challenge.verified(encoded(solution(issued)), KEY, functions.ledger.now())

    @pytest.mark.parametrize("name", FORMS)
    def test_without_a_key_there_are_none(self, functions: Functions, name: str) -> None:
        """A form that asks is told so, and its page may read it."""
        functions.set(CHALLENGE_KEY="")
        answer = functions.client(name).get("/", headers={"Origin": SITE})
        assert (answer.status_code, (answer.json or {})["status"]) == (404, "error")
        assert answer.headers["Access-Control-Allow-Origin"] == SITE

    def test_a_foreign_page_cannot_read_one(self, functions: Functions) -> None:
        """Nor have its visitors' browsers solve them here."""
        answer = functions.client("signup").get("/", headers={"Origin": "https://evil.example.net"})
        assert "Access-Control-Allow-Origin" not in answer.headers

    def test_the_preflight_allows_both_methods(self, functions: Functions) -> None:
        """GET for a challenge, POST for the form."""
        answer = functions.client("signup").options("/", headers={"Origin": SITE})
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"

    def test_asking_is_limited_and_leaves_the_form_its_own_limit(self, functions: Functions) -> None:
        """Each challenge costs us work, too; who asked too often can still post."""
        functions.set(WEBHOOK_RATE_PER_IP="1/hour")
        answers = [functions.client("signup").get("/") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert int(answers[1].headers["Retry-After"]) > 0
        assert functions.sign_up().status_code == 202

    @pytest.mark.parametrize("field", ["", "nonsense", "A" * 2_001, None, 7, ["x"], {"challenge": 1}])
    def test_a_form_with_a_wrong_one_is_a_form_without(self, functions: Functions, field: Any) -> None:
        """Whether it needs one is not decided here."""
        assert functions.sign_up({"altcha": field}).status_code == 202
        assert functions.contact()

    def test_a_server_that_signs_needs_none(self, functions: Functions) -> None:
        """Its signature proves more."""
        functions.set(WEBSITE_WEBHOOK_SECRET=SECRET)
        body = json.dumps(ADA | {"altcha": "nonsense"}).encode()
        assert functions.post(body, headers=signed(body)).status_code == 202
