"""The console's JSON API as a program sees it: every decision, every refusal, and lists that read little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from werkzeug.test import TestResponse

from local import valkey
from shared import services
from shared.ledger import ids
from shared.ledger.listing import Listing
from shared.ledger.version import VERSION
from shared.operations.enrollment_actions import EnrollmentActions
from tests.support.functions_client import ADDRESS, Functions, deployed

TOKEN = "operator-5c2e9a7f1b"
RUN = f"{ids.enrollment_prefix('christmas', ADDRESS)}-1"
HERE = f"/api/enrollments/{RUN}"


@pytest.fixture
def functions(redis: Redis, valkey_server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """All functions, with Ada signed up."""
    with deployed(valkey_server, monkeypatch, OPERATOR_TOKEN=TOKEN) as ready:
        ready.sign_up({"name": "Ada Lovelace", "timezone": "America/Vancouver"})
        yield ready


def ask(functions: Functions, method: str, path: str, **options: Any) -> TestResponse:
    """Call the API as the operator."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return functions.client("console").open(path, method=method, **{"headers": headers} | options)


def get(functions: Functions, path: str) -> Any:
    """The response to a GET."""
    answer = ask(functions, "GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json


def decide(functions: Functions, path: str, **body: Any) -> Any:
    """The response to a decision."""
    answer = ask(functions, "POST", f"{HERE}{path}", **{"json": body} if body else {})
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
def test_only_the_operator_is_let_in(functions: Functions, headers: dict[str, str]) -> None:
    """401 for anyone else, regardless of the request, and nothing is done."""
    for method, path in (("GET", "/api/overview"), ("GET", HERE), ("POST", f"{HERE}/cancel"), ("GET", "/nothing")):
        assert ask(functions, method, path, headers=headers).status_code == 401
    assert functions.ledger.peek(RUN, 1).state == "scheduled"


def test_one_enrollment_is_shown_with_its_timeline(functions: Functions) -> None:
    """The person, the run's state, and every step with its times."""
    found = get(functions, HERE)
    run = functions.run()
    assert run
    assert {
        name: found[name]
        for name in ("id", "email", "name", "campaign", "state", "sent", "of", "timezone", "subscription")
    } == {
        "id": RUN,
        "email": ADDRESS,
        "name": "Ada Lovelace",
        "campaign": "christmas",
        "state": "active",
        "sent": 0,
        "of": 7,
        "timezone": "America/Vancouver",
        "subscription": "subscribed",
    }
    assert [step["step"] for step in found["steps"]] == [1, 2, 3, 4, 5, 6, 7]
    assert found["next_email_at"] == found["steps"][0]["due"] == found["anchor"]
    assert found["anchor"].endswith("Z")


def test_a_run_is_paused_resumed_and_cancelled(functions: Functions) -> None:
    """Each returns the updated run."""
    paused = decide(functions, "/pause")
    assert (paused["state"], paused["next_email_at"]) == ("paused", None) and paused["paused_at"]
    assert decide(functions, "/resume", catch_up=True)["state"] == "active"
    cancelled = decide(functions, "/cancel")
    assert cancelled["state"] == "cancelled"
    assert {step["state"] for step in cancelled["steps"]} == {"cancelled"}


def test_resume_says_which_dates_count(functions: Functions) -> None:
    """With catch_up the dates stay, without it they move."""
    before = get(functions, HERE)["steps"][1]["due"]
    decide(functions, "/pause")
    assert decide(functions, "/resume", catch_up=True)["steps"][1]["due"] == before
    decide(functions, "/pause")
    assert decide(functions, "/resume")["steps"][1]["due"] > before


def test_what_strangers_claimed_is_apart_from_the_facts(functions: Functions) -> None:
    """A program sees both, and which is which."""
    known: dict[Any, Any] = {
        "business_name": "Engines",
        "claimed.business_name": "Spies",
        "confirmed_at": "1800000000000",
    }
    functions.ledger.redis.hset(ids.contact_key(ids.digest(ADDRESS)), mapping=known)
    found = get(functions, HERE)
    assert (found["facts"]["business_name"], found["claimed"]) == ("Engines", {"business_name": "Spies"})
    assert found["confirmed_at"] == "2027-01-15T08:00:00.000Z"


def test_a_step_is_skipped_sent_now_and_retried(functions: Functions) -> None:
    """The three decisions about one step."""
    assert decide(functions, "/steps/2/skip")["steps"][1]["why"] == "skipped manually"
    assert decide(functions, "/steps/3/send-now")["steps"][2]["next"] < get(functions, HERE)["steps"][2]["due"]
    functions.ledger.redis.hset(ids.enrollment_key(RUN), "4.state", "failed")
    assert (
        decide(functions, "/steps/4/retry", anew=False)["steps"][3]["state"] == "scheduled"
    )  # the older name of as_new


def test_all_sending_is_stopped_and_started(functions: Functions) -> None:
    """The overview says why nothing goes out."""
    stopped = ask(functions, "POST", "/api/sending/stop", json={"reason": "wrong price in email 2"})
    assert (stopped.status_code, stopped.json) == (200, {"sending_stopped": "wrong price in email 2"})
    assert get(functions, "/api/overview")["sending_stopped"] == "wrong price in email 2"
    ask(functions, "POST", "/api/sending/start")
    assert get(functions, "/api/overview")["sending_stopped"] is None


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("/resume", f"{RUN} is active, not paused"), ("/steps/1/retry", f"{RUN}: the step is scheduled")],
)
def test_an_impossible_decision_is_409(functions: Functions, path: str, sentence: str) -> None:
    """With the sentence that says why."""
    answer = ask(functions, "POST", f"{HERE}{path}")
    assert (answer.status_code, answer.json) == (409, {"status": "error", "message": sentence})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/enrollments/christmas-0-1"),
        ("POST", "/api/enrollments/christmas-0-1/pause"),
        ("POST", f"{HERE}/steps/99/skip"),
        ("POST", f"{HERE}/explode"),
        ("GET", "/api/"),
        ("GET", "/"),
    ],
)
def test_what_does_not_exist_is_404(functions: Functions, method: str, path: str) -> None:
    """Runs, steps, decisions and pages."""
    assert ask(functions, method, path).status_code == 404


def test_a_get_decides_nothing(functions: Functions) -> None:
    """A GET on a decision is 405: no link and no prefetching browser can make one."""
    answer = ask(functions, "GET", f"{HERE}/cancel")
    assert (answer.status_code, answer.json["message"] if answer.json else "") == (405, "use POST")
    assert functions.ledger.peek(RUN, 1).state == "scheduled"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/resume", {"catchup": True}),
        ("/resume", {"catch_up": "yes"}),
        ("/steps/1/retry", {"anew": 1}),
        ("/pause", {"until": "monday"}),
    ],
)
def test_a_misspelled_or_mistyped_field_is_422(functions: Functions, path: str, body: dict[str, Any]) -> None:
    """It names the field, and nothing is decided."""
    answer = ask(functions, "POST", f"{HERE}{path}", json=body)
    assert answer.status_code == 422 and answer.json
    assert answer.json["detail"][0]["loc"] == [next(iter(body))]
    assert get(functions, HERE)["state"] == "active"


def test_a_body_that_is_not_json_is_refused(functions: Functions) -> None:
    """By the same rules as a webhook's."""
    assert ask(functions, "POST", f"{HERE}/pause", data=b"{}", content_type="text/plain").status_code == 415
    assert ask(functions, "POST", f"{HERE}/pause", data=b"{", content_type="application/json").status_code == 400


def test_a_list_is_filtered_by_address_campaign_and_state(functions: Functions) -> None:
    """The latest first; filters combine; an address is found however it is written."""
    functions.sign_up({"email": "bo@example.org"})
    functions.ledger.pause(RUN)

    def emails(query: str) -> list[str]:
        return [row["email"] for row in get(functions, f"/api/enrollments?{query}")["enrollments"]]

    assert sorted(emails("")) == [ADDRESS, "bo@example.org"]
    assert emails("state=paused") == emails(f"address={ADDRESS.upper()}") == [ADDRESS]
    assert emails("campaign=christmas&state=active") == ["bo@example.org"]
    assert (
        emails(f"address={ADDRESS}&state=active")
        == emails("campaign=busos")
        == emails("address=nobody@example.org")
        == []
    )


@pytest.mark.parametrize("query", ["page=-1", "page=x", "page=%C2%B2", "state=asleep"])
def test_an_invalid_query_is_422(functions: Functions, query: str) -> None:
    """It names what is wrong."""
    answer = ask(functions, "GET", f"/api/enrollments?{query}")
    assert answer.status_code == 422 and answer.json and answer.json["detail"][0]["loc"] == [query.partition("=")[0]]


def test_a_page_continues_where_the_previous_one_ended(functions: Functions) -> None:
    """Every enrollment is on exactly one page."""
    for number in range(60):
        functions.sign_up({"email": f"c{number}@example.org"})
    first = get(functions, "/api/enrollments")
    second = get(functions, f"/api/enrollments?page={first['next']}")
    names = [row["id"] for page in (first, second) for row in page["enrollments"]]
    assert (len(first["enrollments"]), len(names), len(set(names)), second["next"]) == (50, 61, 61, None)


def test_a_filtered_list_reads_only_what_it_shows(functions: Functions) -> None:
    """Every state and campaign has a list of its own, which a run enters and leaves with its state."""
    listing, actions = (
        Listing(functions.ledger),
        EnrollmentActions(functions.ledger, services.catalog(), services.current_settings()),
    )
    assert listing.page(slug="christmas", state="active").enrollments == [RUN]
    actions.pause(RUN)
    assert (listing.page(state="active").enrollments, listing.page(state="paused").enrollments) == ([], [RUN])
    actions.resume(RUN)
    actions.cancel(RUN)
    assert (
        listing.page(slug="christmas", state="cancelled").enrollments
        == listing.page(slug="christmas").enrollments
        == [RUN]
    )
    functions.ledger.redis.delete(ids.enrollment_key(RUN))
    functions.ledger.sweep(())
    assert [
        listing.page(slug=slug, state=state).enrollments
        for slug in (None, "christmas")
        for state in (None, "cancelled")
    ] == [[]] * 4


def test_the_overview_counts_and_names_what_needs_attention(functions: Functions) -> None:
    """What is due, what is late, and each step that ended badly with its reason."""
    redis = functions.ledger.redis
    redis.hset(ids.enrollment_key(RUN), mapping={"3.state": "failed", "3.why": "no such mailbox"})
    redis.zadd(
        "rq:failed:send", {f"{RUN}-3-1": 1, f"{RUN}-3-2": 2, f"{RUN}-1-1": 3}
    )  # the last was delivered after all
    found = get(functions, "/api/overview")
    assert (found["enrollments"], found["due_within_a_day"], found["late"], found["to_look_at"]) == (1, 2, 0, 3)
    assert found["fenced"] is None
    assert [(step["enrollment"], step["step"], step["why"]) for step in found["failures"]] == [
        (RUN, 3, "no such mailbox")
    ]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/overview"), ("GET", HERE), ("POST", f"{HERE}/pause"), ("POST", "/api/sending/stop")],
)
def test_a_newer_ledger_is_neither_shown_nor_changed(
    functions: Functions, redis: Redis, method: str, path: str
) -> None:
    """The data may mean something else: 503 with Retry-After, as while Redis is unavailable."""
    get(functions, "/api/overview")
    redis.set(ids.VERSION, VERSION + 1)
    before = {key: redis.dump(key) for key in redis.scan_iter()}
    answer = ask(functions, method, path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert {key: redis.dump(key) for key in redis.scan_iter()} == before


@pytest.mark.parametrize("written", [f"Ada <{ADDRESS}>", f"mailto:{ADDRESS}", f"{ADDRESS}."])
def test_a_person_is_found_however_the_address_is_written(functions: Functions, written: str) -> None:
    """An address that is none is a fault of the request; an unknown one has no enrollments."""
    assert [run["id"] for run in get(functions, f"/api/enrollments?address={written}")["enrollments"]] == [RUN]
    assert get(functions, "/api/enrollments?address=bo@example.org")["enrollments"] == []
    answer = ask(functions, "GET", "/api/enrollments?address=a@example.org,b@example.org")
    assert (answer.status_code, answer.json["detail"][0]["loc"]) == (422, ["address"])  # type: ignore[index]  # as above
