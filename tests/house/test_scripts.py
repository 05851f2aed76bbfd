"""The Lua scripts: each names what it uses and no more, what it uses comes in one direction, and luacheck has nothing
to say."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shared.ledger.script_sources import FOLDER, flags, included_by, sources

INCLUDES = [
    "base",
    "rq_jobs",
    "outbox",
    "gate",
    "wakeups",
    "lists",
    "suppression",
    "queue",
    "erasure",
    "lifecycle",
    "ranks",
    "consents",
    "contacts",
    "limits",
    "first_emails",
    "visits",
    "holding",
    "meetings",
    "forgetting",
    "turns",
    "clocks",
]
FILES = sorted([*FOLDER.glob("lua/*.lua"), *FOLDER.glob("scripts/*.lua")])
GIVEN = ("redis", "cjson", "KEYS", "ARGV")
by_name = pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")


def body(file: Path) -> str:
    """A file without the line of its flags."""
    text = file.read_text(encoding="utf-8")
    return text.removeprefix(flags(text))


def defined(source: str) -> set[str]:
    """The names that a file defines for others: its local functions and constants at the margin."""
    functions = re.findall(r"^local function (\w+)", source, re.M)
    constants = re.findall(r"^local ([\w, ]+) =", source, re.M)
    return {*functions, *(name.strip() for names in constants for name in names.split(","))}


TEXTS = {name: (FOLDER / "lua" / f"{name}.lua").read_text(encoding="utf-8") for name in INCLUDES}
DEFINED = {name: defined(text) for name, text in TEXTS.items()}


def used(source: str) -> list[str]:
    """The includes that define names which a file uses but does not define itself, in their order."""
    code = re.sub(r"'[^'\n]*'", "''", re.sub(r"--[^\n]*", "", source))
    own = set(re.findall(r"\blocal function (\w+)", code)) | {
        name.strip() for names in re.findall(r"\blocal ([\w, ]+) =", code) for name in names.split(",")
    }
    words = set(re.findall(r"(?<![\w.])\w+\b(?!\s*=[^=])", code)) - own
    return [name for name in INCLUDES if words & DEFINED[name]]


def test_every_include_is_known() -> None:
    """The list above, which gives their direction, has them all."""
    assert sorted(INCLUDES) == sorted(file.stem for file in FOLDER.glob("lua/*.lua"))


@by_name
def test_a_file_names_the_includes_it_uses(file: Path) -> None:
    """Its first line has each include that it uses, and no other, in their one direction."""
    source = file.read_text(encoding="utf-8")
    assert included_by(source) == used(source)
    if file.parent.name == "lua":
        assert all(INCLUDES.index(name) < INCLUDES.index(file.stem) for name in included_by(source))


@pytest.mark.parametrize("script", sorted(sources({})))
def test_a_script_gets_each_include_once_and_in_order(script: str) -> None:
    """What an include needs comes before it, and nothing is included twice."""
    whole = sources({})[script]
    at = {name: whole.find(text) for name, text in TEXTS.items() if text in whole}
    assert at and all(whole.count(TEXTS[name]) == 1 for name in at)
    assert all(at[needed] < at[name] for name in at for needed in included_by(TEXTS[name]))


@by_name
def test_a_header_says_what_the_script_keeps_true(file: Path) -> None:
    """A decision's head says what it keeps true; an include's says what it is for."""
    head = [line for line in body(file).split("\n", 3) if line.startswith("-- ") and "@include" not in line]
    assert head
    if file.parent.name == "scripts" and file.stem != "empty":
        comment = re.match(r"(?:--[^\n]*\n)+", body(file))
        assert comment and "Keeps true:" in comment[0]


READS = {
    "EXISTS",
    "GET",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HMGET",
    "INFO",
    "LLEN",
    "SMEMBERS",
    "TIME",
    "TYPE",
    "ZRANGE",
    "ZSCORE",
}


def commands(name: str, bodies: dict[str, str]) -> set[str]:
    """The Redis commands and functions that a function calls; for anything that is not ours, its name."""
    if name not in bodies:
        return {name.strip("'")}
    inner = set(re.findall(r"(?<![\w.])(\w+)\(", bodies[name])) & bodies.keys() - {name}
    return set(re.findall(r"redis\.p?call\('(\w+)'", bodies[name])).union(*(commands(other, bodies) for other in inner))


def swallowed(source: str) -> list[str]:
    """The lines that catch an error around a possible write, without the reason in a line `-- pcall: ...` above."""
    lines = source.splitlines()
    bodies = dict(
        re.findall(r"^local function (\w+)([^\n]+ end$|.+?^end$)", "\n".join([*TEXTS.values(), source]), re.M | re.S)
    )
    found = []
    for above, line in zip(["", *lines], lines, strict=False):
        for what in re.findall(r"\bpcall\(([^,)]+)", line.partition("--")[0]):
            if not commands(what, bodies) <= READS and "-- pcall: " not in above:
                found.append(line.strip())
    return found


@by_name
def test_no_refusal_is_swallowed(file: Path) -> None:
    """A Redis that is full refuses one command and takes the next; a script that went on would be half done."""
    assert swallowed(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "pcall(wake, id)",
        "redis.pcall('SET', key, 1)",
        "local fine = pcall(unknown)",
        "pcall(step_of, e, s) pcall(push)",
    ],
)
def test_the_scan_finds_a_swallowed_refusal(line: str) -> None:
    """Around a function of ours that writes, a command, and what the scan does not know; a reason on another line does
    not count."""
    assert swallowed(f"-- pcall: for the line below\nlocal x = 1\n{line}") == [line]
    assert swallowed(f"-- pcall: for the line below\n{line}") == []


@pytest.mark.parametrize(
    "line", ["local fine, s = pcall(step_of, enrollment, step)", "redis.pcall('GET', key)", "-- pcall(wake)"]
)
def test_a_call_that_only_reads_may_fail(line: str) -> None:
    """Redis does not refuse reads."""
    assert swallowed(line) == []


@by_name
def test_luacheck_finds_nothing(file: Path) -> None:
    """No unknown name, no shadowed one, nothing unused; Debian's package lua-check brings it."""
    if not (luacheck := shutil.which("luacheck")):
        pytest.skip("luacheck is not installed (Debian: lua-check)")
    names = (
        {name for include in INCLUDES for name in DEFINED[include]}
        if file.parent.name == "scripts"
        else {name for include in INCLUDES[: INCLUDES.index(file.stem)] for name in DEFINED[include]}
    )
    ignored = ["211"] if file.parent.name == "lua" else []  # an include defines for others
    source = re.sub(r"\$[A-Z_]+", "0", body(file))
    command = [
        luacheck,
        "-",
        "--no-color",
        "--std",
        "lua51",
        "--max-line-length=120",
        "--read-globals",
        *GIVEN,
        *sorted(names),
    ]
    found = subprocess.run(
        [*command, *(["--ignore", *ignored] if ignored else [])],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout
