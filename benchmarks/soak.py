"""`python -m benchmarks.soak [--minutes 20] [--contacts 300]`: a week's work compressed, and whether anything grows.

Contacts sign up evenly over the first two thirds of the time; each gets seven emails, a 24th of the time apart, so that
all are out by the end, and all is recorded in the sandbox's Notion. Meanwhile the memory of each process, the keys and
bytes of Redis and its append-only file are looked at. The first fifth, in which everything is loaded and first filled,
does not count. Memory is flat where it would grow by less than 10 % over the rest; what Redis holds grows with the
contacts, as it must, and is shown for each.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import provider
from benchmarks.campaigns import STEPS
from benchmarks.figures import RESULTS
from benchmarks.machine import machine
from benchmarks.subject import Subject, at, evergreen

COMING, GAPS = 2 / 3, 24  # the share of the time in which contacts come; their emails follow after this part of it
LOOKS = 60  # at the stack, over the whole time
SETTLING = 0.2  # the share of the time that does not count
FLAT = 0.1  # of the mean, over the time that counts
FLAT_MB = 3.0  # this little is no growth, regardless of its share


@dataclass(frozen=True)
class Look:
    """The stack at one instant.

    Attributes:
        seconds: since the beginning.
        memory: megabytes (RSS) by part.
        keys: of Redis.
        redis: its bytes of data.
        log: bytes of its append-only file.
        contacts: who have signed up.
        emails: that are out.
    """

    seconds: float
    memory: dict[str, float]
    keys: int
    redis: int
    log: int
    contacts: int
    emails: int


def look(subject: Subject, began: float) -> Look:
    """Look at a stack now."""
    redis = subject.trial.redis()
    parts = subject.processes()
    files = (subject.trial.directory / "valkey" / "appendonlydir").glob("*")
    return Look(
        round(time.monotonic() - began, 1),
        {name: round(sum(one.memory_info().rss for one in processes) / 1e6, 1) for name, processes in parts.items()},
        redis.dbsize(),
        int(redis.info("memory")["used_memory"]),
        sum(file.stat().st_size for file in files),
        subject.customers,
        subject.provider.unique(),
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The least-squares slope of y over x; 0 for fewer than two different x."""
    count = len(points)
    middle_x, middle_y = (sum(point[axis] for point in points) / max(count, 1) for axis in (0, 1))
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def growth(points: Sequence[tuple[float, float]]) -> float:
    """By how much the straight line through the points rises from the first to the last."""
    return slope(points) * (points[-1][0] - points[0][0]) if points else 0.0


def come(subject: Subject, contacts: int, seconds: float) -> None:
    """Let contacts sign up evenly over this many seconds."""
    began = time.monotonic()
    for number in range(contacts):
        time.sleep(max(0.0, began + number * seconds / contacts - time.monotonic()))
        subject.sign_up("later", [None], connections=1)


def soak(subject: Subject, contacts: int, seconds: float) -> list[Look]:
    """Let a week pass; returns the looks.

    Args:
        subject: the stack.
        contacts: how many sign up.
        seconds: for everything.
    """
    began, looks = time.monotonic(), list[Look]()
    coming = threading.Thread(target=come, args=(subject, contacts, seconds * COMING), daemon=True)
    coming.start()
    while (passed := time.monotonic() - began) < seconds:
        looks.append(look(subject, began))
        if sys.stdout.isatty() or len(looks) % 6 == 1:
            last = looks[-1]
            total = sum(last.memory.values())
            print(
                f"  {passed / 60:4.1f} min: {last.contacts} contacts, {last.emails} emails, {total:.0f} MB, "
                f"{last.keys} keys",
                flush=True,
            )
        time.sleep(max(0.0, min(seconds, len(looks) * seconds / LOOKS) - (time.monotonic() - began)))
    coming.join(60)
    return looks


def verdicts(looks: Sequence[Look]) -> list[tuple[str, str, bool]]:
    """For each part: how its memory went, and whether that is flat."""
    counted = [one for one in looks if one.seconds >= looks[-1].seconds * SETTLING]
    rows = []
    for part in sorted(counted[-1].memory):
        points = [(one.seconds, one.memory[part]) for one in counted if part in one.memory]
        mean, rise = sum(value for _, value in points) / len(points), growth(points)
        flat = part == "valkey" or rise <= max(
            FLAT_MB, FLAT * mean
        )  # valkey holds the contacts: see its bytes for each
        rows.append((part, f"{points[0][1]:.0f} → {points[-1][1]:.0f} MB, rises by {rise:+.1f} MB", flat))
    return rows


def show(subject: Subject, looks: Sequence[Look], cpu: float, seconds: float, contacts: int) -> bool:
    """Print what was seen; returns whether everything was flat and every email came once."""
    print("\n| memory (RSS) | | |\n|---|---|---|")
    rows = verdicts(looks)
    for part, said, flat in rows:
        print(f"| {part} | {said} | {'flat' if flat else 'GROWS'} |")
    first, last = next(one for one in looks if one.contacts), looks[-1]
    more = max(1, last.contacts - first.contacts)
    copies = subject.provider.first_arrivals()[1]
    late = subject.lateness()
    lost, twice = contacts * STEPS + 1 - len(copies), copies.total() - len(copies)
    print(f"| Redis keys | {first.keys} → {last.keys}, {(last.keys - first.keys) / more:.1f} for each contact | |")
    each = (last.redis - first.redis) / more / 1000
    print(f"| Redis data | {first.redis / 1e6:.1f} → {last.redis / 1e6:.1f} MB, {each:.1f} kB for each contact | |")
    print(
        f"| append-only file | {first.log / 1e6:.1f} → {last.log / 1e6:.1f} MB; at most "
        f"{max(one.log for one in looks) / 1e6:.1f} MB | |"
    )
    print(f"| CPU | {cpu / seconds:.1%} of a core on average | |")
    print(
        f"| emails | {len(copies)}: {lost} lost, {twice} twice; lateness p50 {at(late, 0.5):.0f}, p99 "
        f"{at(late, 0.99):.0f} ms | |"
    )
    return all(flat for _, _, flat in rows) and not lost and not twice


def main() -> int:
    """Run it; the status is 1 where something grew, was lost or came twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--contacts", type=int, default=300)
    asked = parser.parse_args()
    seconds = asked.minutes * 60
    # No token of its own: the sandbox's Notion. Its rate is for a week's work in minutes.
    settings = {
        "TESTING_MODE": "true",
        "TESTING_STEP": f"{seconds / GAPS:.3f}s",
        "NOTION_TOKEN": "",
        "NOTION_RATE": "100",
    }
    about = machine()
    print(
        f"{about['machine']}, Python {about['python']}: {asked.contacts} contacts in {asked.minutes:g} minutes",
        flush=True,
    )
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        stub = stack.enter_context(provider.serve(directory))
        subject = stack.enter_context(evergreen(directory, stub, **settings))
        subject.trial.limit(notion=10_000)
        before = subject.spent().total
        looks = soak(subject, asked.contacts, seconds)
        stub.wait_for(asked.contacts * STEPS + 1, quiet=30)
        good = show(subject, looks, subject.spent().total - before, seconds, asked.contacts)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "soak.json").write_text(
        json.dumps({**about, "looks": [asdict(one) for one in looks]}, indent=1) + "\n", encoding="utf-8"
    )
    print(f"\n{'Everything is flat.' if good else 'NOT FLAT, or not every email came once: see above.'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
