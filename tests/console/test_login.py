"""The console's login: the password, the throttle, the session, and the proof of each form."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from wsgiref.types import WSGIApplication

import pytest
import time_machine
from redis import Redis
from structlog.testing import CapturingLogger

from local import valkey
from shared.console import session
from shared.console.session import LASTS
from shared.ledger.health import read_health
from tests.support.console_desk import PASSWORD, TOKEN, Desk, console
from tests.support.refusing import refusing


def is_in(desk: Desk) -> bool:
    """Whether the overview is shown."""
    return desk.get().status_code == 200


@pytest.fixture
def desk(app: WSGIApplication, redis: Redis) -> Desk:
    """A stranger's browser, and an empty database."""
    return Desk(app)


def test_without_the_password_nothing_is_shown(desk: Desk) -> None:
    """Every page is the login page with 401, and continues to the requested page."""
    for path in ("", "/enrollments?state=paused", "/campaigns/christmas", "/nothing"):
        answer = desk.get(path)
        assert (answer.status_code, "Christmas" in answer.text) == (401, False)
    assert 'name="back" value="/enrollments?state=paused"' in desk.get("/enrollments?state=paused").text


def test_the_password_opens_the_requested_page(desk: Desk) -> None:
    """To the requested page."""
    answer = desk.post("/login", {"password": PASSWORD, "back": "/enrollments?state=paused"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/enrollments?state=paused")
    assert is_in(desk)


@pytest.mark.parametrize(
    "back", ["//evil.example.org", "https://evil.example.org", "/\\evil.example.org", "javascript:alert(1)", ""]
)
def test_it_redirects_to_no_other_site(desk: Desk, back: str) -> None:
    """It does not redirect to another site that the form names."""
    assert desk.post("/login", {"password": PASSWORD, "back": back}).headers["Location"] == "/console"


def test_a_wrong_password_is_refused(desk: Desk) -> None:
    """401 with a sentence, and the attempt is counted."""
    answer = desk.sign_in("guess")
    assert (answer.status_code, "Wrong password." in answer.text) == (401, True)
    assert not is_in(desk)
    assert desk.ledger.redis.hget("eg:limit:refused", "console") == "1"


def test_guessing_is_slowed_down(desk: Desk) -> None:
    """After five attempts in five minutes even the right password waits."""
    for _ in range(5):
        assert desk.sign_in("guess").status_code == 401
    answer = desk.sign_in()
    assert answer.status_code == 429
    assert 200 < int(answer.headers["Retry-After"]) <= 300
    assert "Too many attempts. Try again in " in answer.text and "signed in here before" in answer.text


def at(app: WSGIApplication, address: str) -> Desk:
    """Another browser, somewhere else."""
    return Desk(app, address=address)


def test_the_right_password_opens_while_others_guess(app: WSGIApplication, redis: Redis) -> None:
    """From a network that has not guessed, however many others do: strangers cannot lock the owner out."""
    for number in range(120):
        assert at(app, f"198.18.{number}.7").sign_in("guess").status_code == 401
    assert at(app, "192.0.2.9").sign_in().status_code == 303


def test_guessing_from_many_networks_is_slowed_down(app: WSGIApplication, redis: Redis) -> None:
    """After a hundred wrong passwords in an hour each network has two, not twenty; those that have had them wait."""
    assert [at(app, "198.18.0.1").sign_in("guess").status_code for _ in range(3)] == [401] * 3
    for number in range(97):
        at(app, f"198.18.1.{number}").sign_in("guess")
    assert [at(app, "192.0.2.9").sign_in("guess").status_code for _ in range(3)] == [401, 401, 429]
    answer = at(app, "198.18.0.1").sign_in()
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 3000) == (429, True)


def test_simultaneous_guesses_do_not_get_past_the_limit(app: WSGIApplication, redis: Redis) -> None:
    """Each is counted before its password is looked at."""
    forms = [(desk, desk.token()) for desk in (at(app, "198.18.0.1") for _ in range(16))]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda form: form[0].post("/login", {"password": "guess"}, token=form[1]), forms)
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 11


def test_right_passwords_do_not_count(app: WSGIApplication, redis: Redis) -> None:
    """However many, and wrong ones before them still do."""
    assert [at(app, "198.18.0.1").sign_in("guess").status_code for _ in range(4)] == [401] * 4
    assert [at(app, "198.18.0.1").sign_in().status_code for _ in range(8)] == [303] * 8
    assert [at(app, "198.18.0.1").sign_in("guess").status_code for _ in range(2)] == [401, 429]


@pytest.mark.parametrize(
    ("another", "guesses"),
    [("2001:db8:1:100::{:x}", 5), ("2001:db8:1:1{:02x}::1", 10), ("2001:db8:1:{:x}00::1", 20)],
    ids=["one /64", "one /56", "one /48"],
)
def test_another_address_of_a_network_is_no_other_visitor(
    app: WSGIApplication, redis: Redis, another: str, guesses: int
) -> None:
    """IPv6 addresses cost nothing: a /64 is counted as one, and so are a /56 and a /48, with more guesses."""
    statuses = [at(app, another.format(number + 1)).sign_in("guess").status_code for number in range(guesses + 1)]
    assert statuses == [401] * guesses + [429]
    assert at(app, "2001:db8:2::1").sign_in().status_code == 303


def test_an_attempt_that_was_refused_counts_nowhere(app: WSGIApplication, redis: Redis) -> None:
    """One /64 that goes on guessing locks out no neighbor in its /56."""
    assert [at(app, "2001:db8::1").sign_in("guess").status_code for _ in range(20)] == [401] * 5 + [429] * 15
    assert at(app, "2001:db8:0:1::1").sign_in().status_code == 303


class TestKnownBrowsers:
    """A browser that has signed in before."""

    @pytest.fixture
    def known(self, desk: Desk) -> Desk:
        """One that has signed in and out."""
        desk.sign_in()
        desk.post("/logout")
        return desk

    def test_others_do_not_lock_it_out(self, app: WSGIApplication, known: Desk) -> None:
        """Not even those in its own network."""
        assert [Desk(app).sign_in("guess").status_code for _ in range(6)] == [401] * 5 + [429]
        assert (Desk(app).sign_in().status_code, known.sign_in().status_code) == (429, 303)

    def test_its_cookie_opens_nothing(self, app: WSGIApplication, known: Desk) -> None:
        """It is no session, under either name, and it is hidden from scripts and other sites."""
        cookie = known.cookie("evergreen_known")
        assert cookie and not is_in(known)
        assert Desk(app).get_with(cookie).status_code == 401
        (line,) = (line for line in known.sign_in().headers.getlist("Set-Cookie") if line.startswith("evergreen_known"))
        assert {"HttpOnly", "SameSite=Strict", "Path=/console"} <= set(line.split("; "))

    def test_a_stolen_cookie_allows_a_few_guesses(self, app: WSGIApplication, known: Desk) -> None:
        """Ten an hour in all copies together; then it is as if there were none, and the owner's password still
        works."""
        cookie = known.cookie("evergreen_known") or ""
        statuses = []
        for _ in range(16):
            thief = at(app, "198.18.0.1")
            thief.client.set_cookie("evergreen_known", cookie, domain="127.0.0.1", path="/console")
            statuses.append(thief.sign_in("guess").status_code)
        assert statuses == [401] * 15 + [429]
        assert known.sign_in().status_code == 303

    @pytest.mark.parametrize("cookie", ["", "x", "ImEi.aaaa.bbbb", "." * 500])
    def test_a_made_up_cookie_is_none(self, app: WSGIApplication, redis: Redis, cookie: str) -> None:
        """Its guesses count as everyone's."""
        desk = Desk(app)
        desk.client.set_cookie("evergreen_known", cookie, domain="127.0.0.1", path="/console")
        assert [desk.sign_in("guess").status_code for _ in range(6)] == [401] * 5 + [429]

    def test_a_new_password_ends_it(self, valkey_server: valkey.Valkey, redis: Redis, tmp_path: Path) -> None:
        """A browser that knew the old one is a stranger."""
        with console(valkey_server, tmp_path, CONSOLE_PASSWORD="the first one of two") as first:
            desk = Desk(first)
            desk.sign_in("the first one of two")
        with console(valkey_server, tmp_path, CONSOLE_PASSWORD="the second one of two") as second:
            desk.app = desk.client.application = second
            assert [desk.sign_in("guess").status_code for _ in range(6)] == [401] * 5 + [429]

    def test_it_lasts_half_a_year(self, app: WSGIApplication, known: Desk) -> None:
        """From the last time that it signed in."""
        start = datetime.now(UTC)
        for days, status in ((179, 303), (181, 429)):
            with time_machine.travel(start + timedelta(days=days), tick=False):
                browser = Desk(app)
                value = known.cookie("evergreen_known") or ""
                browser.client.set_cookie("evergreen_known", value, domain="127.0.0.1", path="/console")
                for _ in range(6):
                    Desk(app).sign_in("guess")
                assert browser.sign_in().status_code == status


def test_the_cookie_is_hidden_from_scripts_other_sites_and_plain_http(app: WSGIApplication, redis: Redis) -> None:
    """HttpOnly, SameSite=Strict, 12 hours, this path; Secure unless the browser is on this machine."""
    near, far = (Desk(app, host).get().headers["Set-Cookie"] for host in ("127.0.0.1:8080", "evergreen.example.org"))
    for cookie in (near, far):
        parts = set(cookie.split("; "))
        assert {"HttpOnly", "SameSite=Strict", "Path=/console"} <= parts
        (expires,) = (
            parsedate_to_datetime(part.removeprefix("Expires=")) for part in parts if part.startswith("Expires=")
        )
        assert abs((expires - datetime.now(UTC)).total_seconds() - LASTS) < 60
    assert ("Secure" in near, "Secure" in far) == (False, True)


def test_a_browser_without_the_cookie_is_told_why(desk: Desk) -> None:
    """Over plain http elsewhere the cookie is not kept; the page says what to do."""
    token = desk.token()
    desk.client.delete_cookie("evergreen_visitor", domain="127.0.0.1", path="/console")
    answer = desk.post("/login", {"password": PASSWORD}, token=token)
    assert answer.status_code == 400 and "Open the console over https" in answer.text


def test_a_session_ends_after_twelve_hours(desk: Desk) -> None:
    """Even if it is used all the time; and the page says that it has ended."""
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False) as clock:
        desk.sign_in()
        for _ in range(LASTS // 1200 - 1):
            clock.shift(timedelta(minutes=20))
            assert is_in(desk)
        clock.shift(timedelta(seconds=1199))
        assert is_in(desk)
        clock.shift(timedelta(seconds=2))
        answer = desk.get()
        assert (answer.status_code, "Your session has ended" in answer.text) == (401, True)


@pytest.mark.parametrize("minutes", [31, 60 * 11])
def test_a_session_ends_if_it_is_not_used(desk: Desk, minutes: int) -> None:
    """After half an hour without a request, and a form that is then sent does nothing."""
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        desk.sign_in()
        kept = desk.cookie() or ""
        token = desk.token()
        for _ in range(3):
            clock.shift(timedelta(minutes=29))
            assert is_in(desk)
        assert desk.get_with(kept).status_code == 401, "an old copy of the cookie has ended"
        clock.shift(timedelta(minutes=minutes))
        answer = desk.post("/sending/stop", {"reason": "mischief"}, token=token)
        assert (answer.status_code, "Your session has ended" in answer.text) == (401, True)
        assert not is_in(desk) and read_health(desk.ledger).gate is None


def test_every_decision_is_logged_with_its_network(
    app: WSGIApplication, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed in, refused, limited, signed out and ended; never with what was entered."""
    logger = CapturingLogger()
    monkeypatch.setattr(session, "_logger", logger)
    desk, stranger = at(app, "192.0.2.9"), at(app, "2001:db8::7")
    desk.sign_in()
    kept = desk.cookie() or ""
    desk.post("/logout")
    for _ in range(6):
        stranger.sign_in("tell-tale")
    desk.sign_in()
    desk.get_with(kept)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=False):
        desk.get()
        desk.get()
    assert [(*call.args, call.kwargs["network"], call.kwargs.get("why")) for call in logger.calls] == [
        ("console.signed_in", "192.0.2.9/32", None),
        ("console.signed_out", "192.0.2.9/32", None),
        *[("console.refused", "2001:db8::/64", None)] * 5,
        ("console.limited", "2001:db8::/64", None),
        ("console.signed_in", "192.0.2.9/32", None),
        ("console.session_ended", "192.0.2.9/32", "signed out"),
        ("console.session_ended", "192.0.2.9/32", "idle"),
    ]
    assert "tell-tale" not in str(logger.calls) and PASSWORD not in str(logger.calls)


def test_logging_out_ends_the_session_for_every_copy(desk: Desk) -> None:
    """A copy of the cookie no longer opens anything."""
    desk.sign_in()
    kept = desk.cookie()
    assert kept and desk.get_with(kept).status_code == 200
    assert desk.post("/logout").status_code == 303
    assert not is_in(desk)
    assert desk.get_with(kept).status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", "W3RydWUsICJ4Il0.aaaa.bbbb", "." * 500])
def test_a_made_up_cookie_opens_nothing(app: WSGIApplication, redis: Redis, cookie: str) -> None:
    """Regardless of its content."""
    assert Desk(app).get_with(cookie).status_code == 401


def test_a_new_password_logs_everyone_out(valkey_server: valkey.Valkey, redis: Redis, tmp_path: Path) -> None:
    """The cookies are signed with a key that is derived from it."""
    with console(valkey_server, tmp_path, CONSOLE_PASSWORD="the first one of two") as first:
        desk = Desk(first)
        desk.sign_in("the first one of two")
        assert is_in(desk)
    with console(valkey_server, tmp_path, CONSOLE_PASSWORD="the second one of two") as second:
        desk.app = desk.client.application = second
        assert not is_in(desk)


@pytest.mark.parametrize(("previous", "status"), [(TOKEN, 200), ("", 401)])
def test_a_session_outlives_a_token_that_is_replaced(
    valkey_server: valkey.Valkey, redis: Redis, tmp_path: Path, previous: str, status: int
) -> None:
    """As long as the previous one is accepted; without it every session ends, as when a token has leaked."""
    with console(valkey_server, tmp_path) as first:
        desk = Desk(first)
        desk.sign_in()
    new = {"OPERATOR_TOKEN": f"new-{TOKEN}", "OPERATOR_TOKEN_PREVIOUS": previous}
    with console(valkey_server, tmp_path, **new) as second:
        desk.app = desk.client.application = second
        assert desk.get().status_code == status
        bearers = [{"Authorization": f"Bearer {token}"} for token in (f"new-{TOKEN}", TOKEN)]
        assert [desk.get("/api/overview", headers=bearer).status_code for bearer in bearers] == [200, status]


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("0" * 64, {}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
        (None, {"Sec-Fetch-Site": "same-site"}),
        (None, {"Origin": "https://evil.example.org"}),
        (None, {"Origin": "null"}),
    ],
)
def test_a_form_from_another_site_does_nothing(desk: Desk, token: str | None, headers: dict[str, str]) -> None:
    """403 without this session's token, or where the browser says that it comes from elsewhere."""
    desk.sign_in()
    answer = desk.post("/sending/stop", {"reason": "mischief"}, token=token, headers=headers)
    assert answer.status_code == 403 and "Nothing was done" in answer.text
    assert read_health(desk.ledger).gate is None


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://127.0.0.1:8080"}])
def test_our_own_form_works(desk: Desk, headers: dict[str, str]) -> None:
    """In old browsers, too."""
    desk.sign_in()
    assert desk.post("/sending/stop", {"reason": "a wrong price"}, headers=headers).status_code == 303
    assert read_health(desk.ledger).gate == "a wrong price"


def test_the_owner_can_stop_a_full_ledger(desk: Desk, redis: Redis) -> None:
    """Sign in, see what is wrong, stop all sending and sign out, which ends every copy of the cookie."""
    with refusing(redis, "OOM"):
        assert desk.sign_in("wrong").status_code == 401
        assert desk.sign_in().status_code == 303
        cookie = desk.cookie() or ""
        assert "The ledger is full" in desk.get("/health").text
        assert desk.post("/sending/stop", {"reason": "a flood"}).status_code == 303
        assert read_health(desk.ledger).gate == "a flood"
        assert desk.get_with(cookie).status_code == 200
        assert desk.post("/logout").status_code == 303
        assert desk.get_with(cookie).status_code == 401


def test_the_token_of_another_session_is_refused(app: WSGIApplication, desk: Desk) -> None:
    """Each session has its own."""
    desk.sign_in()
    other = Desk(app)
    other.sign_in()
    assert desk.post("/sending/stop", token=other.token()).status_code == 403


def test_the_cookie_and_the_token_are_separate(desk: Desk) -> None:
    """The cookie does not open the API, and the token does not open a page."""
    desk.sign_in()
    assert desk.get("/api/overview").status_code == 401
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert desk.get("/api/overview", headers=bearer).status_code == 200
    assert desk.get("", headers=bearer).json == {"status": "error", "message": "there is nothing here"}


def test_the_login_page_elsewhere_does_not_end_the_session(desk: Desk) -> None:
    """The cookie is not sent to the console's other address; opening the login page there does not log you out."""
    desk.sign_in()
    assert desk.client.get("/webhook/console", base_url="http://127.0.0.1:8080").status_code == 401
    assert is_in(desk)


def test_every_page_has_strict_headers(desk: Desk) -> None:
    """No inline script or style, no framing, no caching, no guessing of types; on the login page, on pages and on
    refusals."""
    stranger = desk.get()
    desk.sign_in()
    for answer in (stranger, desk.get(), desk.get("/nothing"), desk.get("/assets/console.css")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "same-origin"


def test_without_a_password_in_the_settings_there_are_no_pages(
    valkey_server: valkey.Valkey, redis: Redis, tmp_path: Path
) -> None:
    """An empty password opens nothing; the page says what to set, and the API works."""
    with console(valkey_server, tmp_path, CONSOLE_PASSWORD="") as app:
        desk = Desk(app)
        answer = desk.get()
        assert (answer.status_code, "Set CONSOLE_PASSWORD" in answer.text) == (401, True)
        assert desk.client.post("/console/login", data={"password": ""}).status_code == 401
        assert desk.get("/api/overview", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
