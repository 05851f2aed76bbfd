"""The main job under load, on real processes: `python -m benchmarks.main_job [steady|silent|burst|limit] [--customers N]`.

- `steady`: customers sign up at an even rate; each gets seven emails, a TESTING_STEP apart. Shows the webhook's latency, how late each
  email reached the provider after its due instant, whether any came early, twice or not at all, the memory of the stack, and when
  Notion (its limit raised) knew everything.
- `silent`: the same without recording, so that one sees what recording costs.
- `burst`: all first emails are held back, then let go at once, with the provider's limit raised: the drain rate.
- `limit`: the same at the provider's real limit of 2 requests a second: batches, and no 429.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
import requests

from local.trial import Trial, running
from shared.ledger import ids

SIGN_UP = {"first_name": "Ada", "business_name": "Analytical Engines", "assessment_score": 45, "red_systems": 2, "orange_systems": 1}
STEPS = 7


@dataclass
class Webhooks:
    """The answers to the sign-ups: milliseconds each, and the statuses."""

    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


def sign_up(trial: Trial, customers: int, per_second: float) -> Webhooks:
    """Sign customers up at an even rate, whatever the answers take.

    Args:
        trial: the stack.
        customers: how many.
        per_second: how many a second; 0: one after the other, as fast as they go.
    """
    found = Webhooks()
    sessions = threading.local()

    def one(number: int) -> None:
        session = sessions.__dict__.setdefault("session", requests.Session())
        began = time.perf_counter()
        answer = session.post(f"{trial.url}/webhook/christmas-signup", json=SIGN_UP | {"email": f"c{number}@example.org"}, timeout=30)
        found.times.append((time.perf_counter() - began) * 1000)
        found.statuses[answer.status_code] += 1

    began, threads = time.monotonic(), []
    for number in range(customers):
        if not per_second:
            one(number)
            continue
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        threads.append(threading.Thread(target=one, args=(number,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return found


def await_emails(trial: Trial, wanted: int, within: float) -> None:
    """Wait until the provider has so many emails, showing how many it has; goes on after `within` seconds all the same."""
    deadline = time.monotonic() + within
    while (count := trial.outbox_count()) < wanted and time.monotonic() < deadline:
        if sys.stdout.isatty():
            print(f"\r  {count} of {wanted} emails", end="", flush=True)
        time.sleep(0.2)
    print(f"  {trial.outbox_count()} of {wanted} emails")


def lateness(trial: Trial) -> tuple[list[float], Counter[str]]:
    """How many milliseconds after its due instant each email reached the provider, sorted; and how often each email came."""
    ledger = trial.ledger()
    dues: dict[str, int] = {}
    late, copies = [], Counter[str]()
    for email in trial.outbox():
        email_id = next(str(tag["value"]) for tag in email["tags"] if tag["name"] == "email_id")
        copies[email_id] += 1
        enrollment, _ = ids.parse_email_id(email_id)
        if email_id not in dues and (run := ledger.enrollment(enrollment)):
            dues |= {ids.email_id(enrollment, step.number): step.due for step in run.steps}
        late.append(datetime.fromisoformat(str(email["received_at"])).timestamp() * 1000 - dues[email_id])
    return sorted(late), copies


def memory(trial: Trial) -> float:
    """Megabytes (PSS) of all processes of the stack but the sandbox."""
    total = 0
    for name, pid in (trial.pids() | {"supervisor": trial.process.pid}).items():
        if name == "sandbox":
            continue
        process = psutil.Process(pid)
        children = process.children(recursive=True) if name != "supervisor" else []
        total += sum(found.memory_full_info().pss for found in [process, *children])
    return total / 1e6


def at(values: list[float], share: float) -> float:
    """A percentile of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def table(title: str, rows: list[tuple[str, str]]) -> None:
    """Print a Markdown table."""
    print(f"\n### {title}\n\n| | |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")


def arrivals(trial: Trial, wanted: int) -> list[tuple[str, str]]:
    """The rows that every run has: what arrived, and when."""
    late, copies = lateness(trial)
    return [
        ("emails accepted", f"{sum(copies.values())} of {wanted}"),
        ("missing / twice", f"{wanted - len(copies)} / {sum(copies.values()) - len(copies)}"),
        ("lateness p50 / p99 / max", f"{at(late, 0.5):.0f} / {at(late, 0.99):.0f} / {late[-1]:.0f} ms"),
        ("earliest", f"{late[0]:+.0f} ms after its due"),
    ]


def recorded(trial: Trial, customers: int) -> list[tuple[str, str]]:
    """Wait until Notion knows everything, and count its rows."""
    began, redis = time.monotonic(), trial.redis()
    while redis.zcard(ids.OUTBOX) and time.monotonic() < began + 300:
        time.sleep(0.1)
    rows = trial.notion()
    log = Counter(row["Email ID"] for row in rows["Email Log"])
    complete = sum(all(row[f"Email {number} Sent"] for number in range(1, STEPS + 1)) for row in rows["Email Sequence"])
    return [
        ("Notion knew everything", f"{time.monotonic() - began:.1f} s after the last email"),
        ("contacts / complete tracker rows", f"{len(rows['Contacts'])} / {complete} of {customers}"),
        ("log rows / twice", f"{len(log)} of {customers * STEPS} / {sum(log.values()) - len(log)}"),
    ]


def steady(trial: Trial, customers: int, *, recording: bool = True) -> None:
    """Sign-ups at 10 a second, seven emails each."""
    trial.limit(resend=10_000, notion=10_000)
    found = sign_up(trial, customers, per_second=10)
    idle = memory(trial)
    await_emails(trial, customers * STEPS, within=120)
    times = sorted(found.times)
    rows = [
        ("answers", ", ".join(f"{count} x {status}" for status, count in found.statuses.items())),
        ("webhook p50 / p99", f"{at(times, 0.5):.1f} / {at(times, 0.99):.1f} ms"),
        *arrivals(trial, customers * STEPS),
        ("memory (PSS) of the stack without the sandbox", f"{idle:.0f} MB"),
        *(recorded(trial, customers) if recording else []),
    ]
    table(f"{customers} sign-ups at 10/s, {STEPS} emails each, {'with' if recording else 'without'} recording in Notion", rows)


def silent(trial: Trial, customers: int) -> None:
    """The same, with nothing recorded in Notion."""
    steady(trial, customers, recording=False)


def release_at_once(trial: Trial, customers: int, within: float) -> list[tuple[str, str]]:
    """Hold sending back, sign everybody up, let go, and measure until the last email arrived."""
    trial.stop_sending()
    found = sign_up(trial, customers, per_second=0)
    trial.start_sending()
    began = time.monotonic()
    await_emails(trial, customers, within)
    took = time.monotonic() - began
    times = sorted(found.times)
    requests_made = len({email["idempotency_key"] for email in trial.outbox()})
    limited = [event for event in trial.events("email.not_sent") if "429" in str(event.get("why"))]
    return [
        ("webhook, one after the other", f"{1000 * len(times) / sum(times):.0f}/s, p50 {at(times, 0.5):.1f} ms"),
        ("drained in", f"{took:.1f} s = {customers / took:.0f} emails/s"),
        ("requests to the provider", f"{requests_made} ({len(limited)} answered 429)"),
        *arrivals(trial, customers)[:2],
    ]


def burst(trial: Trial, customers: int) -> None:
    """Everything due at once, the provider without a limit."""
    trial.limit(resend=10_000)
    table(f"{customers} emails due at once, provider unlimited", release_at_once(trial, customers, within=120))


def limit(trial: Trial, customers: int) -> None:
    """Everything due at once, the provider at its real limit."""
    trial.limit(resend=2)
    table(f"{customers} emails due at once, 2 requests/s", release_at_once(trial, customers, within=120))


def main() -> None:
    """Run one measurement, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", nargs="?", choices=["steady", "silent", "burst", "limit"])
    parser.add_argument("--customers", type=int, default=0)
    asked = parser.parse_args()
    print(f"{platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}, fsync always")
    for run, customers, settings in (
        (steady, 300, {"TESTING_STEP": "10s", "NOTION_RATE": "1000"}),
        (silent, 300, {"TESTING_STEP": "10s", "NOTION_TOKEN": "none"}),  # without ids of databases nothing is asked of Notion
        (burst, 2100, {"TESTING_STEP": "1h"}),
        (limit, 2000, {"TESTING_STEP": "1h"}),
    ):
        if asked.what in (None, run.__name__):
            with tempfile.TemporaryDirectory() as directory, running(Path(directory), **settings) as trial:
                run(trial, asked.customers or customers)


if __name__ == "__main__":
    main()
