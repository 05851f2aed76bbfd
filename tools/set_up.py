"""Set up `.venv` from a lock: `python3 tools/set_up.py image`, `local` or `dev`. The Makefile runs it.

pip installs one pinned installer by hash, uv, and uv installs exactly what the lock names. Nothing is resolved, so
another pip or a newer release of a package changes nothing.

An older Python must be able to parse this file to report that it is too old: no syntax here is newer than Python 3.6.
"""

import os
import platform
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python runs only this line
    goals = os.environ.get("GOALS") or "run"
    sys.exit(f"Evergreen needs Python 3.11 or newer. Install it, or name it: make PYTHON=python3.12 {goals}")

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "set-up.log"
INSTALLER = ROOT / "requirements-installer.txt"
BUILD = ROOT / "requirements-build.txt"
LOCKS = {  # each includes the ones before it
    "image": ROOT / "requirements.txt",
    "local": ROOT / "requirements-local.txt",
    "dev": ROOT / "requirements-dev.txt",
}
WITHOUT_WHEEL = "crontab"  # built with what BUILD pins; everything else comes as wheels

# uv does not read pip's configuration. These are the options a company network needs, by uv's names.
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}

# What pip and uv print, and what it means. The first match counts.
CHECK_INDEX = "Check `index-url` in `pip config list`"
CAUSES = (
    (r"Errno 28|os error 28|No space left", "the disk is full. Free up space, then try again"),
    (r"[Pp]ermission denied|Read-only file system", f"{ROOT} cannot be written to. Change its owner, then try again"),
    (
        r"certificate|CERTIFICATE|UnknownIssuer",
        "the package index has a certificate that is not trusted. Check the clock, and `cert` in `pip config list`",
    ),
    (
        r"Hash mismatch|DO NOT MATCH THE HASHES",
        f"the package index sends a different file than the lock names. Do not trust it. {CHECK_INDEX}",
    ),
    (
        r"[Cc]onnection|connect error|timed out|error sending request|dns error|[Pp]roxy|status server error",
        f"the package index cannot be reached. {CHECK_INDEX}, the proxy (HTTPS_PROXY) and the network",
    ),
    (
        r"No matching distribution|no version of|no wheels|not found in|[Bb]uilding source distributions",
        f"the package index has no {{package}} for Python {{python}} on {{platform}}, or refuses it. {CHECK_INDEX} and "
        "its password. Evergreen installs on Python 3.11 to 3.14",
    ),
)


def ready(lock: Path) -> bool:
    """Whether what the lock names is installed, and the environment still works.

    Args:
        lock: one of LOCKS.
    """
    stamp = _stamp(lock)
    return stamp.exists() and stamp.read_text() == _wanted(lock) and _works(PYTHON, "-Ic", "import pip")


def make_environment() -> None:
    """Create the virtual environment, unless a working one exists."""
    new_enough = "import sys; sys.exit(sys.version_info < (3, 11))"
    if _works(PYTHON, "-ISc", new_enough) and _works(VENV / "bin" / "pip", "--version", prints=str(VENV)):
        return
    if find_spec("ensurepip") is None:
        sys.exit("Python's venv module is missing. On Debian and Ubuntu: sudo apt-get install python3-venv")
    incomplete = "The virtual environment in .venv is incomplete, or its Python is gone. Making it again ..."
    print(incomplete if VENV.exists() else "Making .venv ...", flush=True)
    _run([sys.executable, "-m", "venv", "--clear", str(VENV)], {})


def install(lock: Path) -> None:
    """Install exactly what the lock names.

    Args:
        lock: one of LOCKS.
    """
    print(f"Installing what {lock.name} names ...", flush=True)
    pip = [str(PYTHON), "-Im", "pip", "--disable-pip-version-check", "--no-input", "--retries", "2"]
    exactly = ["install", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    # PIP_USER: some configurations say `user = true`, which pip refuses in a virtual environment.
    _run([*pip, *exactly, "-r", str(INSTALLER)], {"PIP_USER": "0"})
    options, environ = for_uv(subprocess.run([*pip, "config", "list"], stdout=subprocess.PIPE, text=True).stdout)
    options += ["--no-config", "--no-python-downloads", "--python", str(PYTHON)]
    options += ["--no-binary", WITHOUT_WHEEL, "--build-constraints", str(BUILD)]
    options += ["--compile-bytecode"] if lock == LOCKS["image"] else []  # a service's user cannot write there later
    _run([str(VENV / "bin" / "uv"), "pip", *exactly, *options, "-r", str(lock)], {**environ, **os.environ})
    for held in LOCKS.values():
        _stamp(held).write_text(_wanted(held))
        if held == lock:
            break


def for_uv(listed: str) -> tuple[list[str], dict[str, str]]:
    """Translate pip's configuration for uv.

    Args:
        listed: what `pip config list` prints; it includes the PIP_* variables of the environment.

    Returns:
        The options and the environment variables for uv.
    """
    values = _pip_settings(listed)
    environ = {UV_NAMES[name]: value for name, value in values.items() if name in UV_NAMES}
    environ["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # all indexes are equal, as in pip: the hashes make that safe
    if "UV_HTTP_TIMEOUT" in environ:
        environ["UV_HTTP_TIMEOUT"] = environ["UV_HTTP_TIMEOUT"].split(".")[0]
    if "UV_FIND_LINKS" in environ:  # a missing folder is a warning for pip and an error for uv
        places = [os.path.expanduser(place) for place in environ["UV_FIND_LINKS"].split()]
        environ["UV_FIND_LINKS"] = ",".join(place for place in places if "://" in place or os.path.exists(place))
    options = ["--no-index"] if values.get("no-index", "").lower() in ("1", "true", "yes", "on") else []
    return options, {**_certificates(), **environ}


def _pip_settings(listed: str) -> dict[str, str]:
    import ast  # here, like ssl: a setup with nothing to do need not load them

    found = re.findall(r"^(global|install|:env:)\.([a-z-]+)=(.+)$", listed, re.MULTILINE)
    found.sort(key=lambda line: ("global", "install", ":env:").index(line[0]))  # the last one counts, as in pip
    return {name: " ".join(ast.literal_eval(value).split()) for _, name, value in found}


def _certificates() -> dict[str, str]:
    """Where uv finds the certificates that pip would trust without a setting of its own."""
    import ssl

    environ: dict[str, str] = {}
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # pip reads these, uv does not
        bundle = os.environ.get(name, "")
        if os.path.isfile(bundle):
            environ.setdefault("SSL_CERT_FILE", bundle)
    store = ssl.get_default_verify_paths()
    if sys.platform == "darwin" or store.cafile or (store.capath and os.listdir(store.capath)):
        environ["UV_SYSTEM_CERTS"] = "true"  # what newer pips trust; uv refuses to start where the system has none
    return environ


def cause(output: str) -> str:
    """The reason why pip, uv or venv failed, and what to check.

    Args:
        output: what it printed.

    Returns:
        The sentence, without a full stop.
    """
    package = re.search(r"[A-Za-z0-9_.-]+==[0-9A-Za-z.]*[0-9A-Za-z]", output)
    for printed, meaning in CAUSES:
        if re.search(printed, output):
            return meaning.format(
                package=package.group() if package else "a package",
                python=platform.python_version(),
                platform=f"{platform.system()} {platform.machine()}",
            )
    return "the installer failed. Try again after `make clean`"


def main() -> None:
    """Set up what the command line names.

    Raises:
        SystemExit: if it fails; one sentence says why and what to do.
    """
    if len(sys.argv) != 2 or sys.argv[1] not in LOCKS:
        sys.exit(f"Say what to set up: python3 tools/set_up.py {'|'.join(LOCKS)}")
    lock = LOCKS[sys.argv[1]]
    try:
        if not ready(lock):
            make_environment()
            install(lock)
    except OSError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit("Setup was interrupted. Start it again: it continues where it can.")


def _stamp(lock: Path) -> Path:
    return VENV / f"installed-{lock.name}"


def _wanted(lock: Path) -> str:
    """The stamp's content, including the place, because an environment works only where it was created."""
    return f"# {VENV}\n{lock.read_text()}"


def _works(program: Path, *arguments: str, prints: str = "") -> bool:
    try:
        done = subprocess.run([str(program), *arguments], capture_output=True, text=True, errors="replace")
    except OSError:
        return False
    return done.returncode == 0 and prints in done.stdout


def _run(command: list[str], environ: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        _fail(done.stdout)


def _fail(output: str) -> None:
    try:
        LOG.write_text(output)
    except OSError as error:  # Python's venv does not report a full disk; this does
        sys.exit(f"Evergreen is not set up: {cause(str(error) + output)}.")
    sys.exit(f"Evergreen is not set up: {cause(output)}. The installer's output is in {LOG.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
