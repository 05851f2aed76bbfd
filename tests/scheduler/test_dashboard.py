"""The dashboard on real jobs: what it shows, what it refuses, and that looking changes nothing."""

from __future__ import annotations

import pickle
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from flask.testing import FlaskClient
from redis import Redis
from rq import Queue
from structlog.testing import CapturingLogger
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from local.valkey import Valkey
from scheduler import dashboard, dashboard_guards
from scheduler.dashboard_guards import SHOWN
from scheduler.dashboard_jobs import REGISTRIES
from scheduler.rq_schedule import QUEUE, Job
from scheduler.worker import Worker
from shared.core.errors import SettingsError
from shared.core.settings import Settings
from shared.ledger import ids
from tests.support import browser
from tests.support.send_function import SendFunction, calling, serving
from tests.support.waiting import WITHIN
from tests.support.world import World

PASSWORD = "the right one, 41 teapots"
RIGHT = ("evergreen", PASSWORD)
SETTINGS = Settings(console_password=PASSWORD, public_url="https://evergreen.example.org")
ADDRESS = "ada@example.org"


@pytest.fixture
def send_function() -> Iterator[SendFunction]:
    with serving() as function:
        function.result, function.why = "failed", f"<b>no mailbox</b> {ADDRESS}"
        yield function


@pytest.fixture
def world(
    valkey_server: Valkey, redis: Redis, send_function: SendFunction, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A world whose worker process is this one."""
    with calling(send_function, valkey_server, monkeypatch) as world:
        yield world


@pytest.fixture
def visitor(world: World, raw: Redis) -> FlaskClient:
    """A browser that knows the password."""
    client = dashboard.create_app(SETTINGS, raw).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = _basic(*RIGHT)
    return client


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def read(visitor: FlaskClient, what: str) -> dict[str, Any]:
    """An answer of the JSON API."""
    answer = visitor.get(f"/0/data/{what}.json")
    assert answer.status_code == 200, answer.text
    return cast(dict[str, Any], answer.get_json())


def work(raw: Redis) -> None:
    """Let a real worker empty the queue."""
    Worker([Queue(QUEUE, connection=raw, job_class=Job)], connection=raw, job_class=Job).work(
        burst=True, logging_level="CRITICAL"
    )


def everything(raw: Redis) -> dict[bytes, Any]:
    """All that Redis holds."""
    return {key: raw.dump(key) for key in cast(list[bytes], raw.keys("*"))}


class TestWhatItShows:
    """Queues, jobs, both schedules, workers."""

    def test_both_schedules_are_counted(self, visitor: FlaskClient, world: World, raw: Redis) -> None:
        """A sign-up has one email on the queue and six on rq-scheduler's schedule; RQ's own counts too."""
        world.sign_up()
        raw.zadd("rq:scheduled:send", {"other": time.time() + 60})
        (notify, record, send) = read(visitor, "queues")["queues"]
        assert (send["name"], send["count"], send["scheduled_job_registry_count"]) == ("send", 1, 7)
        assert (record["name"], record["scheduled_job_registry_count"], notify["name"]) == ("record", 0, "notify")

    def test_our_queues_are_there_before_their_first_job(self, visitor: FlaskClient, world: World) -> None:
        """What is only scheduled must be found too."""
        assert [queue["name"] for queue in read(visitor, "queues")["queues"]] == ["notify", "record", "send"]

    @pytest.mark.parametrize(
        ("order", "page", "steps"), [("asc", 1, [2, 3, 4, 5]), ("asc", 2, [6, 7]), ("dsc", 1, [7, 6, 5, 4])]
    )
    def test_the_schedule_page_by_page(
        self, visitor: FlaskClient, world: World, order: str, page: int, steps: list[int]
    ) -> None:
        """Earliest or latest first, each with its time."""
        run = world.sign_up()
        found = read(visitor, f"jobs/send/scheduled/4/{order}/{page}")
        assert [job["id"] for job in found["jobs"]] == [f"{run}-{step}-1" for step in steps]
        assert found["pagination"]["num_pages"] == 2
        assert re.fullmatch(
            rf"send step {steps[0]} of {run}, due 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", found["jobs"][0]["description"]
        )

    @pytest.mark.parametrize(
        ("page", "wanted"), [("5/asc/2", ["7", "other"]), ("3/dsc/1", ["other", "7", "6"]), ("3/dsc/3", ["2"])]
    )
    def test_rqs_own_schedule_comes_after_ours(
        self, visitor: FlaskClient, world: World, raw: Redis, page: str, wanted: list[str]
    ) -> None:
        """A page that has both continues from one to the other."""
        run = world.sign_up()
        raw.hset("rq:job:other", mapping={"data": "[]", "origin": "send", "description": "other"})
        raw.zadd("rq:scheduled:send", {"other": time.time()})
        found = [
            job["id"].removeprefix(f"{run}-").removesuffix("-1")
            for job in read(visitor, f"jobs/send/scheduled/{page}")["jobs"]
        ]
        assert found == wanted

    def test_the_queue_page_by_page(self, visitor: FlaskClient, world: World) -> None:
        """In the order in which they will run, or the other way round."""
        runs = [world.sign_up(email=f"{name}@example.org") for name in "abcde"]
        for order, page, wanted in (
            ("asc", 1, [0, 1]),
            ("asc", 3, [4]),
            ("dsc", 1, [4, 3]),
            ("dsc", 3, [0]),
            ("dsc", 4, []),
        ):
            found = read(visitor, f"jobs/send/queued/2/{order}/{page}")["jobs"]
            assert [job["id"] for job in found] == [f"{runs[number]}-1-1" for number in wanted]

    def test_a_busy_worker(self, visitor: FlaskClient, world: World, raw: Redis, send_function: SendFunction) -> None:
        """While a worker asks the send function, its job is shown by its description, and as started."""
        run = world.sign_up()
        seen: list[Any] = []
        send_function.meanwhile = lambda: seen.append(
            (read(visitor, "workers"), read(visitor, "jobs/send/started/8/asc/1"))
        )
        work(raw)
        ((busy, started),) = seen
        (worker,) = busy["workers"]
        assert (worker["state"], worker["queues"], worker["current_job"]["job_id"]) == ("busy", ["send"], f"{run}-1-1")
        assert worker["current_job"]["call_string"] == f"send step 1 of {run}"
        assert [job["id"] for job in started["jobs"]] == [f"{run}-1-1"]

    def test_a_failed_job(self, visitor: FlaskClient, world: World, raw: Redis) -> None:
        """With the reason, and without the address that it quotes."""
        run = world.sign_up()
        work(raw)
        (job,) = read(visitor, "jobs/send/failed/8/asc/1")["jobs"]
        shown = read(visitor, f"job/{run}-1-1")
        for found in (job, shown):
            assert "step 1 is failed: <b>no mailbox</b> (address)" in found["exc_info"]
        assert shown["status"] == "failed"

    def test_nothing_personal_is_shown(self, visitor: FlaskClient, world: World, raw: Redis) -> None:
        """No address and no name on any page or in any answer of a whole life."""
        run = world.sign_up()
        work(raw)
        listings = ("queued", *REGISTRIES)
        paths = [
            "/",
            "/0/view/workers",
            "/0/view/jobs",
            f"/0/view/job/{run}-1-1",
            "/0/data/queues.json",
            "/0/data/workers.json",
        ]
        paths += [f"/0/data/jobs/send/{listing}/200/asc/1.json" for listing in listings]
        paths += [f"/0/data/job/{run}-{step}-1.json" for step in (1, 2)]
        for path in paths:
            answer = visitor.get(path)
            assert answer.status_code == 200, path
            assert not re.search(r"@example|Ada|redis://|password", answer.text), path


class TestOddJobs:
    """What is not ours, or is broken, stops nothing else."""

    def test_pickle_is_not_read(self, visitor: FlaskClient, world: World, raw: Redis, tmp_path: Path) -> None:
        """A job that would do something when it is unpickled is shown by its description."""

        class Bomb:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (tmp_path / "boom",)

        bomb = pickle.dumps(Bomb())
        hidden = dict.fromkeys(("data", "meta", "result"), bomb)
        raw.hset(
            "rq:job:bomb",
            mapping=cast(Any, hidden | {"origin": b"send", "description": b"a bomb", "status": b"finished"}),
        )
        raw.xadd("rq:results:bomb", {"type": 1, "return_value": b64encode(bomb)})
        raw.rpush("rq:queue:send", "bomb")
        (job,) = read(visitor, "jobs/send/queued/8/asc/1")["jobs"]
        assert job["description"] == "a bomb"
        assert read(visitor, "job/bomb")["id"] == "bomb"
        assert not (tmp_path / "boom").exists()

    def test_a_broken_job_is_labeled(self, visitor: FlaskClient, world: World, raw: Redis) -> None:
        """One that cannot be read is labeled so, one whose hash is gone is left out, and the others stay."""
        run = world.sign_up()
        raw.hset("rq:job:broken", mapping={"data": "[]", "created_at": "yesterday"})
        raw.rpush("rq:queue:send", "broken", "no valid id!", "gone")
        assert [job["description"] for job in read(visitor, "jobs/send/queued/8/asc/1")["jobs"]] == [
            f"send step 1 of {run}",
            "this job cannot be read",
        ]
        assert visitor.get("/0/data/job/broken.json").status_code == 404

    @pytest.mark.parametrize("path", ["/0/view/job/gone", "/0/data/job/gone.json", "/0/view/job/no%20id!", "/nowhere"])
    def test_what_does_not_exist_is_404(self, visitor: FlaskClient, path: str) -> None:
        """Also an id that no job can have."""
        assert visitor.get(path).status_code == 404

    @pytest.mark.parametrize(
        "page",
        ["0/asc/1", "201/asc/1", "8/asc/0", "x/asc/1", "8/up/1", "8/asc/-1"],
    )
    def test_an_impossible_page_is_404(self, visitor: FlaskClient, page: str) -> None:
        """What rq-dashboard would stumble over, or read whole."""
        assert visitor.get(f"/0/data/jobs/send/queued/{page}.json").status_code == 404
        assert visitor.get(f"/0/view/jobs/send/queued/{page}").status_code == 404

    @pytest.mark.parametrize("where", ["send/odd", "a'b/queued", "a%3Cb/queued"])
    def test_an_impossible_list_is_404(self, visitor: FlaskClient, where: str) -> None:
        """A queue's name would be written into a script as it is."""
        assert visitor.get(f"/0/data/jobs/{where}/8/asc/1.json").status_code == 404
        assert visitor.get(f"/0/view/jobs/{where}/8/asc/1").status_code == 404

    def test_another_redis_cannot_be_chosen(self, visitor: FlaskClient) -> None:
        """There is one."""
        assert visitor.get("/1/view/queues").status_code == 404


class TestReadOnly:
    """Only the ledger decides."""

    def test_viewing_changes_nothing(self, visitor: FlaskClient, world: World, raw: Redis) -> None:
        """RQ itself takes what it does not find off a queue when it is listed; the dashboard must not."""
        run = world.sign_up()
        work(raw)
        raw.rpush("rq:queue:send", "gone")
        before = everything(raw)
        for listing in ("queued", *REGISTRIES):
            read(visitor, f"jobs/send/{listing}/8/asc/1")
        for what in ("queues", "workers", f"job/{run}-1-1", f"job/{run}-2-1"):
            read(visitor, what)
        assert everything(raw) == before

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize(
        "path",
        ["/job/{job}/delete", "/job/{job}/requeue", "/requeue/send", "/queue/send/failed/empty", "/queue/send/compact"],
    )
    def test_every_change_is_refused(
        self, visitor: FlaskClient, world: World, raw: Redis, method: str, path: str
    ) -> None:
        """A failed job stays where it is."""
        run = world.sign_up()
        work(raw)
        before = everything(raw)
        answer = visitor.open(path.format(job=f"{run}-1-1"), method=method)
        assert answer.status_code in ((403,) if method == "POST" or path == "/requeue/send" else (403, 405))
        assert everything(raw) == before

    def test_any_route_that_rq_dashboard_adds_is_refused(self, visitor: FlaskClient) -> None:
        """Only listed routes are shown; every other route is closed."""
        names = {str(rule.endpoint).removeprefix("rq_dashboard.") for rule in visitor.application.url_map.iter_rules()}
        assert names - SHOWN == {
            "delete_job_view",
            "requeue_job_view",
            "requeue_all",
            "empty_queue",
            "compact_queue",
        }
        assert names >= SHOWN


class TestLogin:
    """The password."""

    @pytest.fixture
    def stranger(self, world: World, raw: Redis) -> Callable[..., TestResponse]:
        """A stranger who asks for a page, with the given credentials."""
        client = dashboard.create_app(SETTINGS, raw).test_client()

        def ask(*auth: str, path: str = "/0/data/queues.json") -> TestResponse:
            return client.get(path, headers={"Authorization": _basic(*auth)} if auth else {})

        return ask

    @pytest.mark.parametrize("auth", [(), ("evergreen", "wrong"), ("evergreen", ""), ("admin", PASSWORD), ("", "")])
    @pytest.mark.parametrize("path", ["/", "/0/data/queues.json", "/static/css/main.css", "/nowhere"])
    def test_no_one_gets_in_without_it(
        self, stranger: Callable[..., TestResponse], auth: tuple[str, ...], path: str
    ) -> None:
        """Not to a page, nor data, nor a file."""
        answer = stranger(*auth, path=path)
        assert (answer.status_code, answer.headers["WWW-Authenticate"][:5]) == (401, "Basic")

    def test_the_password_lets_you_in(self, stranger: Callable[..., TestResponse]) -> None:
        """As user evergreen."""
        assert stranger(*RIGHT).status_code == 200

    def test_guessing_is_slowed_down(self, stranger: Callable[..., TestResponse]) -> None:
        """After five wrong ones even the right one does not help for a while, so that guessing reveals nothing."""
        assert [stranger("evergreen", f"guess {number}").status_code for number in range(5)] == [401] * 5
        answer = stranger(*RIGHT)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "300")

    def test_a_browser_that_has_shown_it_is_not_locked_out(
        self, world: World, raw: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Through a port-forward everyone has the same address; its own guesses count, and the cookie alone opens
        nothing. Each decision is logged with its network, never with the password."""
        logger = CapturingLogger()
        monkeypatch.setattr(dashboard_guards, "_logger", logger)
        app = dashboard.create_app(SETTINGS, raw)
        owner, guesser = app.test_client(), app.test_client()

        def ask(client: FlaskClient, *auth: str) -> int:
            headers = {"Authorization": _basic(*auth)} if auth else {}
            return client.get("/0/data/queues.json", headers=headers).status_code

        assert ask(owner, *RIGHT) == 200
        assert [ask(guesser, "evergreen", "tell-tale") for _ in range(6)] == [401] * 5 + [429]
        assert (ask(guesser, *RIGHT), ask(owner, *RIGHT), ask(owner)) == (429, 200, 401)
        assert [ask(owner, "evergreen", "tell-tale") for _ in range(11)] == [401] * 10 + [429]
        told = [(call.args[0], call.kwargs["network"]) for call in logger.calls if call.args != ("proof.failed",)]
        here = "127.0.0.1/32"
        assert told[:6] == [("dashboard.signed_in", here), *[("dashboard.refused", here)] * 5]
        assert set(told[6:]) == {("dashboard.refused", here), ("dashboard.limited", here)}
        assert "tell-tale" not in str(logger.calls) and PASSWORD not in str(logger.calls)

    def test_another_address_of_a_network_is_no_other_visitor(self, world: World, raw: Redis) -> None:
        """IPv6 addresses cost nothing; somewhere else the right password opens at once."""
        client = dashboard.create_app(SETTINGS, raw).test_client()
        statuses = [
            client.get(
                "/", headers={"Authorization": _basic(*auth)}, environ_overrides={"REMOTE_ADDR": address}
            ).status_code
            for *auth, address in (
                *[("evergreen", "guess", f"2001:db8::{number}") for number in range(1, 6)],
                (*RIGHT, "2001:db8::6"),
                (*RIGHT, "2001:db8:0:1::1"),
            )
        ]
        assert statuses == [401] * 5 + [429, 200]

    def test_a_request_without_a_password_is_not_a_guess(self, stranger: Callable[..., TestResponse]) -> None:
        """Each browser does so first."""
        assert [stranger().status_code for _ in range(9)] == [401] * 9
        assert stranger(*RIGHT).status_code == 200

    def test_it_does_not_start_without_a_password(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """The refusal names the setting."""
        monkeypatch.delenv("CONSOLE_PASSWORD", raising=False)
        with pytest.raises(SystemExit) as ended:
            dashboard.main()
        assert "CONSOLE_PASSWORD" in str(ended.value.__context__)
        with Redis() as anybody, pytest.raises(SettingsError, match="CONSOLE_PASSWORD"):
            dashboard.create_app(Settings(), anybody)


def test_a_page_runs_its_own_scripts_only(visitor: FlaskClient) -> None:
    """Each script carries the nonce of the policy, which is another each time, and no page is kept or framed."""
    policies = set()
    for _ in range(2):
        answer = visitor.get("/0/view/jobs")
        policy = answer.headers["Content-Security-Policy"]
        (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
        scripts = re.findall(r"<script[^>]*>", answer.text)
        assert scripts and all(f'nonce="{nonce}"' in script for script in scripts)
        assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy
        assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        policies.add(policy)
    assert len(policies) == 2


def test_a_hundred_thousand_are_scheduled(visitor: FlaskClient, world: World, raw: Redis) -> None:
    """A page in the middle costs Redis no more than its eight jobs."""
    now = time.time()
    raw.zadd(ids.SCHEDULED, {f"christmas-{number:020x}-1-2-1": now + number for number in range(100_000)})
    for number in range(50_000, 50_008):
        raw.hset(
            f"rq:job:christmas-{number:020x}-1-2-1",
            mapping={"data": "[]", "origin": "send", "description": str(number)},
        )
    before = cast(Any, raw.info("stats"))
    found = read(visitor, "jobs/send/scheduled/8/asc/6251")
    after = cast(Any, raw.info("stats"))
    assert [job["description"].split(",")[0] for job in found["jobs"]] == [
        str(number) for number in range(50_000, 50_008)
    ]
    assert after["total_commands_processed"] - before["total_commands_processed"] < 30
    assert after["total_net_output_bytes"] - before["total_net_output_bytes"] < 20_000
    assert [queue["scheduled_job_registry_count"] for queue in read(visitor, "queues")["queues"]] == [0, 0, 100_000]


def test_while_redis_is_unavailable(world: World) -> None:
    """A sentence instead of a fault, and the page asks again by itself."""
    with Redis(port=1, socket_connect_timeout=1) as nobody:
        client = dashboard.create_app(SETTINGS, nobody).test_client()
        answer = client.get("/0/data/queues.json", headers={"Authorization": _basic(*RIGHT)})
    assert (answer.status_code, answer.text) == (503, "Redis does not answer. Try again soon.\n")


def test_in_a_browser(world: World, raw: Redis) -> None:
    """Every page fills its table under the policy, what a job raised stays text, and no button that changes something
    is seen."""
    run = world.sign_up()
    work(raw)
    server = make_server("127.0.0.1", 0, dashboard.create_app(SETTINGS, raw), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with browser.launched() as chromium:
            context = chromium.new_context(
                base_url=f"http://127.0.0.1:{server.server_port}",
                http_credentials={"username": RIGHT[0], "password": RIGHT[1]},
            )
            page = context.new_page()
            faults: list[str] = []
            page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: faults.append(str(error)))
            for path, row, text in (
                ("/", "[data-role=queue]", "send"),
                ("/0/view/jobs/send/scheduled/8/asc/1", "[data-role=job]", f"send step 2 of {run}, due"),
                ("/0/view/jobs/send/failed/8/asc/1", "[data-role=job]", "<b>no mailbox</b> (address)"),
                (f"/0/view/job/{run}-1-1", "#job-data", "<b>no mailbox</b> (address)"),
                ("/0/view/workers", "#workers tbody", "No workers."),
            ):
                page.goto(path)
                page.locator(row, has_text=text).first.wait_for(timeout=WITHIN * 1000)
                assert "all the queued jobs" not in page.content()
                assert (
                    page.locator("text=the console").first.get_attribute("href")
                    == "https://evergreen.example.org/console"
                )
                seen = page.locator("text=/^(Delete|Requeue|Requeue All|Compact|Empty queue)$/")
                assert not any(button.is_visible() for button in seen.all())
            assert faults == []
    finally:
        server.shutdown()
        thread.join()
