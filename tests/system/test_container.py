"""The image's steps without Docker: its files and no others, read-only, as a user without rights, by the container's
own command.

The packages are this environment's. With CLEAN_IMAGE=1 they are installed from requirements.txt, by hash, as the
Dockerfile does it.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from local import valkey
from shared.core.stack_file import ROOT
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.health import read_health
from tests.support.functions_client import environment
from tests.support.own_port import own_port
from tests.support.waiting import WITHIN, until
from tests.support.world import ADA

DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
NOBODY = 65534
READY = b"GET /_/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
CLEAN = bool(os.environ.get("CLEAN_IMAGE"))


def _instructions(word: str) -> list[str]:
    """What the final stage of the Dockerfile says after a word."""
    final = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    return [line.removeprefix(f"{word} ") for line in final.splitlines() if line.startswith(f"{word} ")]


@pytest.fixture(scope="module")
def ground() -> Iterator[Path]:
    """A folder that users other than its owner may enter; pytest's own may not be."""
    with tempfile.TemporaryDirectory() as name:
        ground = Path(name)
        ground.chmod(0o755)
        (ground / "home").mkdir()
        (ground / "home").chmod(0o777)
        yield ground


@pytest.fixture(scope="module")
def image(ground: Path) -> Iterator[Path]:
    """The container's /app, as COPY and .dockerignore make it, with nothing in it that could be written to."""
    app = ground / "app"
    left_out = [
        line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("**/")
    ]
    for line in _instructions("COPY"):
        if not line.startswith("--from"):
            *sources, target = line.split()
            for source in sources:
                _copy(ROOT / source, app / source if target == "./" else app / target, left_out)
    paths = [app, *app.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444)
    yield app
    for path in paths:
        path.chmod(0o755)


def _copy(source: Path, target: Path, left_out: list[str]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*left_out))
    else:
        shutil.copy(source, target)


@pytest.fixture(scope="module")
def python(ground: Path) -> Path:
    """The interpreter with the image's packages."""
    if not CLEAN:
        return Path(sys.executable)
    (install,) = [part for part in re.findall(r"pip install ([^&]+)", DOCKERFILE)]
    base, venv = ground / "base", ground / "venv"
    for_all = "/usr/bin/python3"  # one that other users may run; a Python in a home folder is not
    own = (
        for_all
        if subprocess.run([for_all, "-c", "import ensurepip"], capture_output=True).returncode == 0
        else sys.executable
    )
    subprocess.run([own, "-m", "venv", str(base)], check=True)
    subprocess.run([own, "-m", "venv", "--without-pip", str(venv)], check=True)
    # The base image brings a setuptools; which one must not change from one day to the next.
    pinned = ["--no-deps", "--require-hashes", "-r", str(ROOT / "requirements-build.txt")]
    subprocess.run([str(base / "bin/pip"), "install", "--quiet", *pinned], check=True)
    words = [str(venv) if word == "/opt/venv" else word for word in shlex.split(install) if word != "--no-cache-dir"]
    subprocess.run([str(base / "bin/pip"), "install", "--quiet", *words], cwd=ROOT, check=True)
    return venv / "bin/python"


@cache
def without_rights(python: Path) -> list[str]:
    """What to put before a command so that root's rights are gone: nobody where that one may run this Python, else no
    capabilities."""
    if os.getuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed, and for root nothing is read-only")
    nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    version = [str(python), "-c", "import sys; print(sys.version)"]
    if (
        subprocess.run([*nobody, *version], capture_output=True).stdout
        == subprocess.run(version, capture_output=True).stdout
    ):
        return nobody
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


@contextmanager
def container(image: Path, python: Path, command: list[str], **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A process as the platform starts it: the image's environment and the given one, nothing of this machine's, and no
    rights."""
    given = dict(part.split("=", 1) for line in _instructions("ENV") for part in line.split())
    home = str(image.parent / "home")
    own = {"PYTHONPATH": str(image), "PATH": f"{python.parent}:/usr/bin:/bin", "HOME": home, "TMPDIR": home}
    process = subprocess.Popen(
        [*without_rights(python), str(python), *command],
        cwd=image,
        env={**given, **own, **environ},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_nothing_private_is_in_the_image(image: Path) -> None:
    """No test, sandbox, deployment, setting or cache: only the five folders and three files that are named."""
    names = {str(path.relative_to(image)) for path in image.rglob("*")}
    assert {name.split("/")[0] for name in names} == {
        "shared",
        "functions",
        "scheduler",
        "commands",
        "stack.yml",
        "evergreen",
    }
    assert not [
        name
        for name in names
        if fnmatch.fnmatch(name, "*.env*") or "__pycache__" in name or "sandbox" in name or ".local" in name
    ]


def test_the_image_runs_as_an_unprivileged_user() -> None:
    """A numeric user ID, so that Kubernetes can see that it is not root."""
    assert _instructions("USER") == ["10001:10001"]
    assert json.loads(_instructions("CMD")[0]) == ["python", "-m", "shared.serve"]


def test_packages_are_pinned_by_hash() -> None:
    """Every package of the image is named with its hash, and pip must insist on it and look for no other."""
    assert "--no-deps --require-hashes" in DOCKERFILE
    required = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.txt").read_text())
    assert len(required) > 40
    assert all("--hash=sha256:" in package for package in required)


def test_a_stopped_function_finishes_the_request_in_flight(
    image: Path, python: Path, valkey_server: valkey.Valkey, ledger: Ledger
) -> None:
    """Started as its container is, it enrolls; stopped in the middle of a request, it still answers it and ends
    with 0."""
    command = json.loads(_instructions("CMD")[0])[1:]
    settings = environment(
        valkey_server, HOST="127.0.0.1", DRAIN="1s", FUNCTION_SOURCE="functions/christmas-signup/main.py"
    )
    with own_port() as port, container(image, python, command, **settings, PORT=str(port)) as process:
        until(lambda: b" 200 " in _answer(port, READY))
        body = json.dumps(ADA).encode()
        with socket.create_connection(("127.0.0.1", port), timeout=WITHIN) as caller:
            head = [
                "POST / HTTP/1.1",
                "Host: a",
                "Content-Type: application/json",
                f"Content-Length: {len(body)}",
                "Expect: 100-continue",
            ]
            caller.sendall("\r\n".join([*head, "", ""]).encode())
            assert caller.recv(100).startswith(b"HTTP/1.1 100"), "it waits for the body: the request is in flight"
            process.send_signal(signal.SIGTERM)
            until(lambda: b" 503 " in _answer(port, READY))
            caller.sendall(body)
            assert caller.recv(65536).startswith(b"HTTP/1.1 202")
        assert process.wait(WITHIN) == 0
    assert ledger.enrollment(f"{ids.enrollment_prefix('christmas', str(ADA['email']))}-1") is not None


def _answer(port: int, request: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=WITHIN) as caller:
            caller.sendall(request)
            return caller.recv(65536)
    except ConnectionError:
        return b""


def _at_work(ledger: Ledger) -> bool:
    """Whether the scheduler has ticked, or a worker waits for jobs: before that, RQ does not listen to SIGTERM."""
    workers = [str(key) for key in ledger.redis.keys("rq:worker:*")]
    return read_health(ledger).tick_age is not None or any(
        ledger.redis.hget(worker, "state") == "idle" for worker in workers
    )


@pytest.mark.parametrize(
    "command", [["-m", "scheduler.release"], ["-m", "scheduler.worker", "send"], ["-m", "scheduler.worker", "notify"]]
)
def test_scheduler_and_workers_run_and_stop(
    image: Path, python: Path, valkey_server: valkey.Valkey, ledger: Ledger, command: list[str]
) -> None:
    """The other commands of the manifests work in the very same image, and end with 0 when stopped."""
    with container(image, python, command, **environment(valkey_server)) as process:
        until(lambda: _at_work(ledger))
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(WITHIN) == 0


def test_the_operators_commands_are_in_the_image(image: Path, python: Path) -> None:
    """`kubectl exec deploy/scheduler -- ./evergreen` would work."""
    with container(image, python, ["evergreen", "--help"]) as process:
        assert process.wait(WITHIN) == 0


def test_a_function_without_its_settings_says_which(image: Path, python: Path) -> None:
    """A missing secret ends the container at once, with a line that names it."""
    with container(image, python, ["-m", "shared.serve"], FUNCTION_SOURCE="functions/send-email/main.py") as process:
        _, log = process.communicate(timeout=WITHIN)
        assert process.returncode == 1
        assert "RESEND_API_KEY" in json.loads(log.splitlines()[-1])["event"]
