"""The container's server: one function or all of them, whole bodies, probes, and an end that loses nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from werkzeug.test import Client

from shared import serve
from shared.core import stack_file
from shared.core.errors import SettingsError
from shared.web.function_app import function_app
from tests.support.served import get, served
from tests.support.waiting import WITHIN, until

ECHO = """
def handle(request):
    return {"name": NAME, "path": request.path, "length": len(request.get_data()), "args": request.args}
"""
STACK = """
functions:
  echo:
    environment: {FUNCTION_SOURCE: functions/echo/main.py, FUNCTION_TARGET: handle}
    annotations: {evergreen/public: "true"}
  health:
    environment: {FUNCTION_SOURCE: functions/health/main.py, FUNCTION_TARGET: handle}
    annotations: {evergreen/public: "true"}
  inner:
    environment: {FUNCTION_SOURCE: functions/inner/main.py, FUNCTION_TARGET: handle}
  unsubscribe:
    environment: {FUNCTION_SOURCE: functions/unsubscribe/main.py, FUNCTION_TARGET: handle}
    annotations: {evergreen/public: "true"}
"""
# Tells the test that a request is being handled, and continues when the test says so.
WAITING = """
import os
import socket

def handle(request):
    if request.args.get("wait"):
        with socket.create_connection(("127.0.0.1", int(os.environ["TEST_PORT"])), timeout=120) as test:
            test.recv(1)
    return "done"
"""
LIMITED = """
def handle(request):
    return "too long", 413 if len(request.stream.read(11)) > 10 else 200
"""

# Mounts what a stack.yml lists, asks each path and prints the answers.
ASK_EACH = """
import json, pathlib, sys
from werkzeug.test import Client
from shared import serve
from shared.core import log
log.configure()
client = Client(serve.every_function(pathlib.Path(sys.argv[1])))
paths = ("/function/echo", "/webhook/echo", "/function/inner", "/health")
answers = {path: client.post(path, data=b"12345") for path in paths}
assert not any("RESEND" in answer.text for answer in answers.values())
print(json.dumps({path: [answer.status_code, answer.headers.get("Retry-After")] for path, answer in answers.items()}))
"""


@pytest.fixture
def all_functions(tmp_path: Path) -> Client:
    """Four tiny functions behind the app of every function."""
    for name in ("echo", "health", "inner", "unsubscribe"):
        (tmp_path / "functions" / name).mkdir(parents=True)
        (tmp_path / "functions" / name / "main.py").write_text(f"NAME = {name!r}\n{ECHO}")
    (tmp_path / "stack.yml").write_text(STACK)
    return Client(serve.every_function(tmp_path / "stack.yml"))


def announces_the_end(connection: http.client.HTTPConnection) -> bool:
    """Whether an answer over this connection says that it is the last one."""
    connection.request("GET", "/_/health")
    answer = connection.getresponse()
    answer.read()
    return answer.getheader("Connection") == "close"


def _started_with(directory: Path, missing: str, by: set[str]) -> subprocess.CompletedProcess[str]:
    """A process that mounts four functions, of which some require a setting that is not given, and asks each of
    them."""
    for name in ("echo", "health", "inner", "unsubscribe"):
        (directory / "functions" / name).mkdir(parents=True)
        requires = (
            f"from shared.core import settings\nsettings.load().require({missing.lower()!r})\n" if name in by else ""
        )
        (directory / "functions" / name / "main.py").write_text(f"{requires}NAME = {name!r}\n{ECHO}")
    (directory / "stack.yml").write_text(STACK)
    return subprocess.run(
        [sys.executable, "-c", ASK_EACH, str(directory / "stack.yml")],
        cwd=stack_file.ROOT,
        env={name: value for name, value in os.environ.items() if name != missing},
        capture_output=True,
        text=True,
        timeout=WITHIN,
    )


class TestEveryFunction:
    """The app that serves all functions of stack.yml."""

    @pytest.mark.parametrize("path", ["/function/echo", "/function/echo/", "/webhook/echo", "/webhook/echo/"])
    def test_a_post_reaches_the_function_without_a_redirect(self, all_functions: Client, path: str) -> None:
        """Both public URLs answer a POST at once, with the function seeing `/`."""
        answer = all_functions.post(path, data=b"12345")
        assert (answer.status_code, answer.json) == (200, {"name": "echo", "path": "/", "length": 5, "args": {}})

    def test_the_rest_of_the_url_is_the_functions_path(self, all_functions: Client) -> None:
        """A function sees the rest of its URL and the query."""
        assert all_functions.get("/function/echo/a/b?c=d").json == {
            "name": "echo",
            "path": "/a/b",
            "length": 0,
            "args": {"c": "d"},
        }

    def test_health_is_at_the_root_too(self, all_functions: Client) -> None:
        """`/health` is the function of that name."""
        assert all_functions.get("/health").json == {"name": "health", "path": "/", "length": 0, "args": {}}

    @pytest.mark.parametrize("path", ["/confirm", "/confirm/", "/function/unsubscribe/confirm"])
    def test_confirm_is_a_page_of_unsubscribe(self, all_functions: Client, path: str) -> None:
        """At the root it reaches that function, which can tell it from its other paths."""
        answer = all_functions.get(f"{path}?token=t").json
        assert answer and (answer["name"], answer["path"].rstrip("/"), answer["args"]) == (
            "unsubscribe",
            "/confirm",
            {"token": "t"},
        )

    @pytest.mark.parametrize("path", ["/unsubscribe", "/unsubscribe/", "/webhook/unsubscribe"])
    def test_unsubscribe_has_its_own_path(self, all_functions: Client, path: str) -> None:
        """As before."""
        answer = all_functions.get(path).json
        assert answer and (answer["name"], answer["path"]) == ("unsubscribe", "/")

    def test_an_inner_function_has_no_public_url(self, all_functions: Client) -> None:
        """A function that stack.yml does not call public is reached under /function only."""
        assert all_functions.get("/function/inner").status_code == 200
        assert all_functions.get("/webhook/inner").status_code == 404

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/function/none",
            "/webhook/none",
            "/function",
            "/echo",
            "/console",
            "//function/echo",
            "/confirmed",
            "/webhook/confirm",
            "/function/confirm",
        ],
    )
    def test_an_unknown_path_is_a_404_that_lists_nothing(self, all_functions: Client, path: str) -> None:
        """A wrong URL gets JSON that names no function."""
        answer = all_functions.post(path)
        assert (answer.status_code, answer.json) == (404, {"status": "error", "message": "There is nothing here."})

    def test_a_missing_function_is_named(self, tmp_path: Path) -> None:
        """A stack.yml that lists what is not there does not start."""
        (tmp_path / "stack.yml").write_text(STACK)
        with pytest.raises(SettingsError, match=r"no function at .*functions/echo/main\.py"):
            serve.every_function(tmp_path / "stack.yml")

    def test_a_function_missing_a_setting_is_503_and_the_others_work(self, tmp_path: Path) -> None:
        """The log says once which setting is missing, the caller does not; the other functions answer."""
        ended = _started_with(tmp_path, "RESEND_WEBHOOK_SECRET", {"echo"})
        (warning,) = [json.loads(line) for line in ended.stderr.splitlines()]
        assert (warning["level"], warning["part"]) == ("warning", "serve")
        assert warning["event"].startswith("echo answers 503")
        assert "missing: RESEND_WEBHOOK_SECRET. Set it in the environment" in warning["event"]
        answers = json.loads(ended.stdout)
        assert answers == {
            "/function/echo": [503, "60"],
            "/webhook/echo": [503, "60"],
            "/function/inner": [200, None],
            "/health": [200, None],
        }

    def test_a_setting_that_all_functions_lack_prevents_the_start(self, tmp_path: Path) -> None:
        """A process in which nothing could answer ends, and says why."""
        ended = _started_with(tmp_path, "INTERNAL_TOKEN", {"echo", "health", "inner", "unsubscribe"})
        assert ended.returncode == 1
        assert "SettingsError: missing: INTERNAL_TOKEN." in ended.stderr

    @pytest.mark.parametrize(
        ("text", "says"),
        [(None, "there is no"), ("a: [", "is not YAML"), ("functions: {a: {image: b}}", "FUNCTION_SOURCE")],
    )
    def test_a_broken_stack_file_is_explained(self, tmp_path: Path, text: str | None, says: str) -> None:
        """A missing or wrong stack.yml says what it needs."""
        if text is not None:
            (tmp_path / "stack.yml").write_text(text)
        with pytest.raises(SettingsError, match=says):
            stack_file.listed(tmp_path / "stack.yml")


class TestOneFunction:
    """The app around a single function."""

    def test_the_signature_type_does_not_leak(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another signature type in the environment changes nothing, and nothing is left there for the next
        function."""
        monkeypatch.setenv("FUNCTION_SIGNATURE_TYPE", "cloudevent")
        monkeypatch.delenv("FUNCTION_TARGET", raising=False)
        (tmp_path / "main.py").write_text(f"NAME = 'one'\n{ECHO}")
        assert Client(function_app(tmp_path / "main.py", "handle")).get("/").status_code == 200
        assert os.environ["FUNCTION_SIGNATURE_TYPE"] == "cloudevent"
        assert "FUNCTION_TARGET" not in os.environ

    def test_a_missing_target_is_named(self, tmp_path: Path) -> None:
        """A file without the function says which setting is wrong."""
        (tmp_path / "main.py").write_text(ECHO)
        with pytest.raises(SettingsError, match=r"'other'.*Correct FUNCTION_TARGET"):
            function_app(tmp_path / "main.py", "other")

    def test_an_exception_reveals_nothing(self, tmp_path: Path) -> None:
        """An exception answers 500 in JSON, without its text."""
        (tmp_path / "main.py").write_text("def handle(request):\n    raise RuntimeError('a secret')")
        answer = Client(function_app(tmp_path / "main.py", "handle")).get("/")
        assert (answer.status_code, answer.mimetype) == (500, "application/json")
        assert "secret" not in answer.text


class TestServer:
    """The real process."""

    def test_it_serves_bodies_of_every_kind_over_one_connection(self, tmp_path: Path) -> None:
        """A body with a length and one in chunks both arrive whole, and the connection stays open."""
        with served(tmp_path, f"NAME = 'one'\n{ECHO}") as (_, port):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)
            for body, chunked in ((b"x" * 70_000, False), (iter([b"x" * 60_000] * 20), True), (None, False)):
                connection.request(
                    "POST",
                    "/",
                    body,
                    encode_chunked=chunked,
                    headers={"Transfer-Encoding": "chunked"} if chunked else {},
                )
                first_socket = connection.sock
                answer = json.loads(connection.getresponse().read())
                assert answer["length"] == (1_200_000 if chunked else 70_000 if body else 0)
                assert connection.sock is first_socket
            assert get(port, "/_/health") == 200
            connection.close()

    def test_a_body_that_is_too_long_gets_a_413(self, tmp_path: Path) -> None:
        """What a function leaves unread is discarded, so that its caller sees the 413 and may continue."""
        with served(tmp_path, LIMITED) as (_, port):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)
            connection.request(
                "POST", "/", iter([b"x" * 50_000] * 10), headers={"Transfer-Encoding": "chunked"}, encode_chunked=True
            )
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (413, b"too long")
            connection.request("POST", "/", b"short")
            assert connection.getresponse().status == 200
            connection.close()

    @pytest.mark.parametrize("drain", ["0s", "1h"])
    def test_sigterm_finishes_what_is_in_flight(self, tmp_path: Path, drain: str) -> None:
        """A request that is being handled when the process is stopped gets its answer, and the exit status is 0."""
        with socket.create_server(("127.0.0.1", 0)) as test:
            test.settimeout(WITHIN)
            with served(tmp_path, WAITING, TEST_PORT=str(test.getsockname()[1]), DRAIN=drain) as (process, port):
                answers: list[int | None] = []
                caller = threading.Thread(target=lambda: answers.append(get(port, "/?wait=1")))
                caller.start()
                handling, _ = test.accept()
                kept_alive = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)
                assert not announces_the_end(kept_alive)
                process.send_signal(signal.SIGTERM)
                if drain == "1h":
                    until(lambda: get(port, "/_/ready") == 503)
                    assert get(port, "/_/health") == 200
                    assert get(port, "/") == 200, "while it drains it still serves"
                    process.send_signal(signal.SIGTERM)
                until(lambda: announces_the_end(kept_alive))
                handling.close()
                caller.join(WITHIN)
                assert answers == [200]
                assert process.wait(WITHIN) == 0

    def test_a_missing_source_ends_the_process_with_a_reason(self) -> None:
        """One line of JSON says which setting is wrong."""
        ended = subprocess.run(
            [sys.executable, "-m", "shared.serve"],
            cwd=stack_file.ROOT,
            env={**os.environ, "FUNCTION_SOURCE": "functions/none/main.py"},
            capture_output=True,
            text=True,
            timeout=WITHIN,
        )
        assert ended.returncode == 1
        assert "Correct FUNCTION_SOURCE" in json.loads(ended.stderr)["event"]
