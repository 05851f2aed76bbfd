"""The locks are whole: everything that a locked package requires, in any extra, is locked too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.set_up import BUILD, INSTALLER, LOCKS

PYTHONS = ("3.11.2", "3.11.7", "3.12.1", "3.13.0", "3.14.0")
SYSTEMS = {"linux": "Linux", "darwin": "Darwin"}
Asks = Callable[[str, str], list[Requirement] | None]


def pins(lock: str) -> list[Requirement]:
    """The packages of a lock.

    Args:
        lock: its text.
    """
    return [Requirement(line.rstrip("\\ ")) for line in lock.splitlines() if re.match(r"[a-zA-Z0-9]", line)]


def roots(wanted: Path) -> Iterator[Requirement]:
    """What a `.in` file names, with what the files name that it includes."""
    for line in wanted.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            yield from roots(wanted.parent / text.removeprefix("-r "))
        elif text and not text.startswith("-"):
            yield Requirement(text)


def holds(requirement: Requirement, environment: dict[str, str], extra: str = "") -> bool:
    """Whether a requirement is one in this environment, when its owner is wanted with this extra."""
    return requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra})


def unpinned(lock: list[Requirement], wanted: list[Requirement], asks: Asks, environment: dict[str, str]) -> list[str]:
    """What would have to be looked for on an index, because the lock does not name it.

    Args:
        lock: its pins.
        wanted: where the search begins.
        asks: what a package of a name and version asks for; None when that is not known here.
        environment: the markers' values.
    """
    here = {canonicalize_name(pin.name): pin for pin in lock if holds(pin, environment)}
    left = [("the project", requirement) for requirement in wanted if holds(requirement, environment)]
    found: list[str] = []
    seen: set[tuple[str, str]] = set()
    while left:
        owner, requirement = left.pop()
        pin = here.get(canonicalize_name(requirement.name))
        version = pin and next(iter(pin.specifier)).version
        if not pin or not version or not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{owner} asks for {requirement}")
            continue
        for extra in {"", *requirement.extras} - {extra for name, extra in seen if name == pin.name}:
            seen.add((pin.name, extra))
            left += [(pin.name, more) for more in asks(pin.name, version) or [] if holds(more, environment, extra)]
    return found


def installed(name: str, version: str) -> list[Requirement] | None:
    """What an installed package requires; None for one that is locked for other systems or Pythons only."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return [Requirement(line) for line in distribution.requires or []] if distribution.version == version else None


def environment_of(python: str, platform: str) -> dict[str, str]:
    """The markers' values for a Python on a system."""
    own = {name: str(value) for name, value in default_environment().items()}
    short = ".".join(python.split(".")[:2])
    system = {"sys_platform": platform, "platform_system": SYSTEMS[platform]}
    return {**own, **system, "python_version": short, "python_full_version": python, "implementation_version": python}


@pytest.mark.parametrize("platform", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_every_requirement_is_pinned(lock: Path, python: str, platform: str) -> None:
    """Nothing is left to look for, extras included: a release that comes tomorrow cannot be taken."""
    wanted = list(roots(lock.with_suffix(".in")))
    assert unpinned(pins(lock.read_text()), wanted, installed, environment_of(python, platform)) == []


def test_what_is_locked_for_this_python_is_installed() -> None:
    """The test above reads what is installed; that is everything that the lock names for this Python."""
    here = {name: str(value) for name, value in default_environment().items()}
    locked = [pin for pin in pins(LOCKS["dev"].read_text()) if holds(pin, here)]
    assert len(locked) > 100
    assert [str(pin) for pin in locked if installed(pin.name, next(iter(pin.specifier)).version) is None] == []


@pytest.mark.parametrize(
    ("lock", "missing"),
    [
        ("cov==7.1\ncoverage==7.17\n", ["coverage asks for tomli>=2; extra == 'toml'"]),
        ("cov==7.1\ncoverage==7.17\ntomli==1.9\n", ["coverage asks for tomli>=2; extra == 'toml'"]),
        (
            "cov==7.1\ncoverage==7.17\ntomli==2.5 ; python_version < '3'\n",
            ["coverage asks for tomli>=2; extra == 'toml'"],
        ),
        ("cov==7.1\ntomli==2.5\n", ["cov asks for coverage[toml]>=7"]),
        ("cov==7.1\ncoverage==7.17\ntomli==2.5\n", []),
    ],
)
def test_an_unpinned_extra_is_found(lock: str, missing: list[str]) -> None:
    """What an extra requires is missing, too old, or there for another Python only; and a lock that is whole passes."""
    asked = {"cov": ["coverage[toml]>=7"], "coverage": ["tomli>=2; extra == 'toml'", "docs; extra == 'docs'"]}

    def asks(name: str, version: str) -> list[Requirement]:
        return [Requirement(line) for line in asked.get(name, [])]

    environment = environment_of("3.12.1", "linux")
    assert [line.replace('"', "'") for line in unpinned(pins(lock), [Requirement("cov")], asks, environment)] == missing


def test_the_extra_is_found_in_any_order() -> None:
    """A package that was met without its extra first is looked at again when another asks for it with one."""
    asked = {"a": ["b", "c"], "c": ["b[x]"], "b": ["d; extra == 'x'"]}

    def asks(name: str, version: str) -> list[Requirement]:
        return [Requirement(line) for line in asked.get(name, [])]

    for wanted in (["a"], ["b", "a"], ["a", "b"]):
        lock = pins("a==1\nb==1\nc==1\n")
        assert len(unpinned(lock, [Requirement(name) for name in wanted], asks, environment_of("3.12.1", "linux"))) == 1


@pytest.mark.parametrize("lock", [*LOCKS.values(), INSTALLER, BUILD], ids=lambda path: path.name)
def test_every_pin_is_exact_and_has_its_hashes(lock: Path) -> None:
    """Each package is locked to one version and to known files."""
    entries = re.split(r"\n(?=[a-zA-Z0-9])", lock.read_text())
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+ (; .+ )?\\\n +--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]


def test_each_lock_includes_the_one_before() -> None:
    """`make test` adds to what `make run` installed, and changes nothing of it."""
    image, local, dev = ({str(pin) for pin in pins(lock.read_text())} for lock in LOCKS.values())
    assert image < local < dev


def test_the_installer_needs_nothing_else() -> None:
    """uv and setuptools need no other package; both are pinned alone, and by the number that the `.in` file names."""
    for lock, name in ((INSTALLER, "uv"), (BUILD, "setuptools")):
        (pin,) = pins(lock.read_text())
        assert pin.name == name
        assert [str(root) for root in roots(lock.with_suffix(".in"))] == [str(pin)]
    assert [line for line in metadata.requires("uv") or [] if "extra ==" not in line] == []
