"""Each way in which the set-up fails or begins again, really provoked, and its one sentence."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import ports
from tests.tools.project_copy import BASE, SIX, WITHIN, Project, wheel
from tools import set_up

MADE_AGAIN = "The virtual environment in .venv is incomplete, or its Python is gone. Making it again ..."
UNREACHABLE = "Evergreen is not set up: the package index cannot be reached. Check `index-url`"
NO_HASH = f"--hash=sha256:{'0' * 64}"
DISGUISE = (
    "import runpy, sys; sys.version_info = (3, 10, 0, 'final', 0); sys.argv[:1] = []; runpy.run_path(sys.argv[0])"
)
NO_ENSUREPIP = """
import runpy, sys
sys.modules["ensurepip"] = None
sys.argv[1:] = ["local"]
runpy.run_path("tools/set_up.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy that stays without an environment."""
    return Project(tmp_path_factory.mktemp("untouched") / "project")


@pytest.fixture(scope="module")
def without_uv(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy whose environment has pip only: pip is what fails."""
    project = Project(tmp_path_factory.mktemp("pip") / "project")
    project.make_environment()
    project.lock(SIX)
    return project


@pytest.fixture(scope="module")
def with_uv(tmp_path_factory: pytest.TempPathFactory, index: None) -> Project:
    """A copy whose environment has uv already, and nothing else: uv is what fails."""
    project = Project(tmp_path_factory.mktemp("uv") / "project")
    project.make_environment()
    project.must(".venv/bin/pip", "install", "--no-deps", "--require-hashes", "-r", set_up.INSTALLER.name)
    return project


@pytest.fixture(scope="module")
def finished(with_uv: Project) -> Project:
    """A copy that is set up."""
    with_uv.lock(SIX)
    assert with_uv.set_up().returncode == 0
    return with_uv


@pytest.mark.parametrize("tool", ["pip", "uv"])
@pytest.mark.parametrize("setting", ["PIP_INDEX_URL", "PIP_PROXY", "HTTPS_PROXY"])
def test_an_index_or_proxy_that_does_not_answer(
    request: pytest.FixtureRequest, tmp_path: Path, tool: str, setting: str
) -> None:
    """One sentence, regardless of which tool meets it; what the tool printed is in the log."""
    project: Project = request.getfixturevalue("with_uv" if tool == "uv" else "without_uv")
    project.lock(SIX)
    (port,) = ports.free(1)
    closed = f"http://127.0.0.1:{port}{'/simple' if setting == 'PIP_INDEX_URL' else ''}"
    environ = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1"}
    environ |= {"PIP_INDEX_URL": "https://index.invalid/simple", "UV_CACHE_DIR": str(tmp_path), "UV_HTTP_RETRIES": "0"}
    done = project.set_up(**{**environ, setting: closed})
    assert done.returncode == 1
    assert done.stderr.startswith(UNREACHABLE)
    assert done.stderr.count("\n") == 1
    log = (project.venv / "set-up.log").read_text()
    assert ("cause: " in log) == (tool == "uv")
    assert "refused" in log


def test_an_index_that_accepts_the_call_and_is_silent(without_uv: Project) -> None:
    """The set-up gives up, with the same sentence."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        done = without_uv.set_up(PIP_INDEX_URL=silent, PIP_CONFIG_FILE=os.devnull, PIP_DEFAULT_TIMEOUT="1")
    assert done.returncode == 1
    assert done.stderr.startswith(UNREACHABLE)


def test_ctrl_c_shows_no_traceback(without_uv: Project) -> None:
    """Interrupted while it waits for the index, it ends with a sentence."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(WITHIN)
        index = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        environ = {**without_uv.environ, "PIP_INDEX_URL": index, "PIP_CONFIG_FILE": os.devnull}
        process = subprocess.Popen(
            [sys.executable, "tools/set_up.py", "local"],
            cwd=without_uv.root,
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # as a terminal gives it to all of the group
        )
        with process, server.accept()[0]:
            os.killpg(process.pid, signal.SIGINT)
            _, said = process.communicate(timeout=WITHIN)
    assert (process.returncode, said) == (1, "Setup was interrupted. Start it again: it continues where it can.\n")


@pytest.mark.parametrize("entry", [f"six==1.16.99 {NO_HASH}", f"other-system==1.0 {NO_HASH}", f"six==1.17.0 {NO_HASH}"])
def test_an_index_without_the_file(with_uv: Project, tmp_path: Path, entry: str) -> None:
    """A version that the index does not have, one without a wheel for this system, and a file with a different hash."""
    wheel(tmp_path / "links", "other-system", "1.0", tag="cp39-cp39-win_arm64")
    with_uv.lock(entry)
    done = with_uv.set_up(PIP_FIND_LINKS=str(tmp_path / "links"))
    assert done.returncode == 1
    missing = f"Evergreen is not set up: the package index has no {entry.split()[0]} for Python 3."
    other = "Evergreen is not set up: the package index sends a different file than the lock names."
    assert done.stderr.startswith(other if "1.17.0" in entry else missing)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("printed", "sentence"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("error: Failed to install: x\n  cause: Failed to copy\n  cause: (os error 28)", "the disk is full"),
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))",
            "certificate that is not trusted",
        ),
        (
            "cause: client error (Connect)\ncause: invalid peer certificate: UnknownIssuer",
            "certificate that is not trusted",
        ),
        ("  cause: HTTP status server error (503 Service Unavailable) for url (x)", "cannot be reached"),
        ("Something else happened.", "the installer failed. Try again after `make clean`"),
    ],
)
def test_each_cause_has_its_sentence(printed: str, sentence: str) -> None:
    """What pip and uv have printed in trials that a test cannot repeat."""
    assert sentence in set_up.cause(printed)


def test_pips_own_configuration_counts(with_uv: Project, tmp_path: Path) -> None:
    """Only pip's own file says where packages come from; uv takes them from there, too."""
    with_uv.lock(wheel(tmp_path / "house", "only-in-this-house", "1.0"))
    links = f"find-links =\n  /nowhere\n  {tmp_path}/house\n"
    (tmp_path / "pip.conf").write_text(f"[global]\nno-index = true\n[install]\nuser = true\n{links}")
    done = with_uv.set_up(PIP_CONFIG_FILE=str(tmp_path / "pip.conf"), PIP_FIND_LINKS=f"/nowhere {tmp_path}/house")
    assert (done.returncode, done.stderr) == (0, "")
    assert "only-in-this-house==1.0" in with_uv.installed()


def test_pips_configuration_is_translated_for_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in pip, the environment counts more than `[install]`, and that more than `[global]`."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    listed = rf"""
:env:.index-url='https://ada:secret@c.example.org/simple'
:env:.default-timeout='180'
global.cert='/etc/house.pem'
global.constraint='/etc/constraints.txt'
global.extra-index-url='\nhttps://d.example.org/simple\nhttps://e.example.org/simple'
global.index-url='https://a.example.org/simple'
install.find-links='/nowhere {tmp_path}'
install.index-url='https://b.example.org/simple'
install.trusted-host='d.example.org e.example.org'
install.proxy='http://proxy.example.org:3128'
download.no-index='true'
"""
    options, environ = set_up.for_uv(listed)
    environ.pop("UV_SYSTEM_CERTS", None)  # as this machine is
    assert options == []
    assert environ == {
        "UV_DEFAULT_INDEX": "https://ada:secret@c.example.org/simple",
        "UV_INDEX": "https://d.example.org/simple https://e.example.org/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": str(tmp_path),
        "UV_INSECURE_HOST": "d.example.org e.example.org",
        "UV_HTTP_TIMEOUT": "180",
        "SSL_CERT_FILE": "/etc/house.pem",
        "ALL_PROXY": "http://proxy.example.org:3128",
    }
    assert set_up.for_uv("global.no-index='true'\n")[0] == ["--no-index"]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", __file__)
    assert set_up.for_uv("")[1]["SSL_CERT_FILE"] == __file__
    assert set_up.for_uv(listed)[1]["SSL_CERT_FILE"] == "/etc/house.pem"


@pytest.mark.parametrize("harm", ["no pip", "no Python", "half a pip", "another folder"])
def test_a_half_made_environment_is_made_again(finished: Project, harm: str) -> None:
    """Interrupted, its Python gone, its pip broken, the project's folder renamed: it is made again, and says so."""
    finished.lock(SIX)
    python = finished.venv / "bin" / "python"
    if harm == "no pip":
        finished.must(sys.executable, "-m", "venv", "--clear", "--without-pip", ".venv")
    elif harm == "no Python":
        python.unlink()
        python.symlink_to("/nowhere/python3")
    elif harm == "half a pip":
        shutil.rmtree(next(finished.venv.glob("lib/python*/site-packages/pip")) / "_vendor")
        next(finished.venv.glob("installed-requirements-local.txt")).unlink()
    else:
        finished.root = finished.root.rename(finished.root.with_name("renamed"))
    done = finished.set_up()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == MADE_AGAIN
    assert "six==1.17.0" in finished.installed()
    assert finished.set_up().stdout == ""


def _older() -> list[str]:
    """Pythons of this machine that are too old."""
    names = [shutil.which(f"python3.{minor}") or "" for minor in range(6, 11)]
    found = [*filter(None, names), *map(str, Path.home().glob(".pyenv/versions/3.*/bin/python"))]
    ask = "import sys; print((3, 6) <= sys.version_info < (3, 11))"
    return [one for one in found if subprocess.run([one, "-c", ask], capture_output=True, text=True).stdout == "True\n"]


@pytest.mark.parametrize("make", [True, False])
def test_an_old_python_is_refused_with_a_sentence(untouched: Project, tmp_path: Path, make: bool) -> None:
    """One sentence, from each older Python that is here, and from this one when it says that it is old."""
    disguised = tmp_path / "python3.10"
    disguised.write_text(f'#!/bin/sh\nexec {BASE} -c "{DISGUISE}" "$@"\n')
    disguised.chmod(0o755)
    sentence = "Evergreen needs Python 3.11 or newer. Install it, or name it: make PYTHON=python3.12"
    for python in [str(disguised), *_older()]:
        command = ["make", f"PYTHON={python}", "test"] if make else [python, "tools/set_up.py", "local"]
        done = untouched.run(*command)
        assert done.returncode != 0
        assert re.sub(r"make: \*\*\* .*\n", "", done.stderr) == f"{sentence} {'test' if make else 'run'}\n"
    assert not untouched.venv.exists()


def test_an_old_python_can_read_the_script() -> None:
    """Its grammar is that of Python 3.6, or the sentence above would be a syntax error."""
    ast.parse(Path(set_up.__file__).read_text(), feature_version=(3, 6))


def test_no_python_at_all(untouched: Project) -> None:
    """make says the same when there is none of that name."""
    done = untouched.run("make", "PYTHON=/nowhere/python3", "run")
    assert done.returncode != 0
    assert done.stdout == "Evergreen needs Python 3.11 or newer. Install it, or name it: make PYTHON=python3.12 run\n"


def test_debian_without_venv(untouched: Project) -> None:
    """Python is there, and its venv is a package of its own that is not."""
    done = untouched.run(sys.executable, "-c", NO_ENSUREPIP)
    missing = "Python's venv module is missing. On Debian and Ubuntu: sudo apt-get install python3-venv\n"
    assert (done.returncode, done.stderr) == (1, missing)


@pytest.mark.parametrize("half_made", [True, False])
def test_evergreen_before_the_set_up(tmp_path: Path, half_made: bool) -> None:
    """`./evergreen` says what to do, with no environment and with one that holds nothing yet."""
    project = Project(tmp_path / "project")
    where = project.venv if half_made else tmp_path / "bare"
    project.must(sys.executable, "-m", "venv", "--without-pip", str(where))
    done = project.run(BASE if half_made else str(where / "bin" / "python"), "evergreen", "list")
    assert (done.returncode, done.stdout) == (1, "")
    missing = r"Evergreen is not set up yet \(No module named '\w+'\)\. Run `make setup` in \S+, then try again\.\n"
    assert re.fullmatch(missing, done.stderr)


def test_a_bug_of_ours_is_not_hidden(tmp_path: Path) -> None:
    """An import that fails inside the project is not a missing set-up."""
    project = Project(tmp_path / "project")
    (project.root / "commands" / "__init__.py").write_text("import shared.nothing_of_that_name\n")
    done = project.run(sys.executable, "evergreen", "list")
    assert "Traceback" in done.stderr
    assert "not set up" not in done.stderr
