"""A large ledger: filling it by script, what a step takes in memory, releasing from it, and the console's pages on
it."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from redis import Redis

from benchmarks import campaigns
from local import ports, processes
from local.valkey import Valkey
from shared.core import log
from shared.core.settings import Settings
from shared.core.stack_file import ROOT
from shared.domain import campaign_files
from shared.domain.catalog import Catalog
from shared.domain.forms import SignUp
from shared.intake.context import Intake
from shared.intake.enrolling import sign_up
from shared.ledger import ids
from shared.ledger.answers import Enrolled
from shared.ledger.client import Ledger
from shared.ledger.enroll_orders import Enroll
from shared.ledger.listing import Listing

AT_ONCE = 200  # sign-ups in one pipeline
DUE = 5_000  # jobs that are released for one figure
PAGES = (
    "/",
    "/enrollments",
    "/enrollments?state=active&campaign=later",
    "/campaigns",
    "/campaigns/later",
    "/failures",
    "/suppressions",
    "/health",
)
LOOKS = 7  # at each page
SECRETS = {
    "CONSOLE_PASSWORD": "spoons and 41 teapots",
    "OPERATOR_TOKEN": "operator-5c2e9a7f1b",
    "INTERNAL_TOKEN": "internal-8f3b1d6c4e",
    "UNSUBSCRIBE_KEY": "unsubscribe-4d1f7a9c3e8b2056f1a3",
}


class Pipelined(Ledger):
    """A ledger whose scripts run when its pipeline does; no one waits for their answers."""

    def enroll(self, order: Enroll) -> Enrolled:
        """Put it into the pipeline."""
        self._decide("enroll", order)
        return Enrolled("enrolled", "")


class Filler:
    """Fills a ledger through the same use case that the webhooks call.

    Args:
        redis: a client that decodes answers.
        folder: where the benchmark's campaigns may be written.
    """

    def __init__(self, redis: Redis, folder: Path) -> None:
        log.configure("ERROR")
        self.redis = redis
        self.now = round(time.time() * 1000)
        self.ledger = Ledger(redis, clock=lambda: self.now)
        self.folder = campaigns.write(folder)
        self._catalog: Catalog = campaign_files.load(self.folder)
        self._settings = Settings(webhook_rate_per_ip="100000/second")
        self._signed_up = 0

    def fill(self, campaign: str, count: int, anchor: int, progress: Callable[[int], None] = lambda _: None) -> None:
        """Sign up this many more people.

        Args:
            campaign: which of `campaigns`.
            count: how many.
            anchor: from when the delays count, in milliseconds since 1970.
            progress: called with the number signed up by now.
        """
        for first in range(0, count, AT_ONCE):
            pipe = self.redis.pipeline(transaction=False)
            ledger = Pipelined(pipe, clock=lambda: self.now)
            intake = Intake(ledger, self._catalog, self._settings, anchor, "benchmark")
            for _ in range(min(AT_ONCE, count - first)):
                self._signed_up += 1
                form = SignUp(
                    email=f"c{self._signed_up}@example.org", first_name="Ada", red_systems=2, assessment_score=45
                )
                sign_up(form, trigger=campaigns.TRIGGERS[campaign], intake=intake)
            pipe.execute()
            progress(min(first + AT_ONCE, count))


def bytes_per_step(filler: Filler, customers: int) -> float:
    """Redis's memory for one scheduled step, with its share of enrollment and contact.

    Args:
        filler: of a ledger.
        customers: how many sign up for it.
    """

    def used() -> int:
        return int(filler.redis.info("memory")["used_memory"])

    before = used()
    filler.fill("later", customers, filler.now)
    return (used() - before) / (customers * campaigns.STEPS)


def release_rate(filler: Filler, due: int = DUE) -> float:
    """Due jobs that are released in a second, regardless of what else is scheduled; they are taken off the queue again.

    Args:
        filler: of a ledger; its clock moves on by a minute.
        due: how many.
    """
    filler.fill("once", due, filler.now + 30_000)
    filler.now += 60_000
    released, began = 0, time.perf_counter()
    while released < due:
        more, _, _ = filler.ledger.release()
        if not more:
            raise RuntimeError(f"only {released} of {due} due jobs were released")
        released += more
    took = time.perf_counter() - began
    filler.redis.delete(ids.QUEUE)
    return released / took


@contextmanager
def _functions(server: Valkey, folder: Path, directory: Path) -> Iterator[str]:
    """Every function in one process, as the container `plain` runs them, on this ledger; yields its URL."""
    (port,) = ports.free(1)
    own = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    redis = {"REDIS_URL": server.url, "REDIS_PASSWORD": server.password}
    resend = {
        "RESEND_API_KEY": "re_made_up",
        "RESEND_FROM_EMAIL": "hello@evergreen.example.org",
        "POSTAL_ADDRESS": "1 Main Street, Springfield",
    }
    proofs = {
        "CALCOM_WEBHOOK_SECRET": "calcom-7e4a1c9d5b",
        "CALENDLY_SIGNING_KEY": "calendly-2b8d6f0a4c",
        "RESEND_WEBHOOK_SECRET": "whsec_" + "bWVhc3VyZWQsIGFuZCBub2JvZHkncyBvd24=",
    }
    place = {"HOST": "127.0.0.1", "PORT": str(port), "DRAIN": "0s", "LOG_LEVEL": "ERROR", "CAMPAIGNS_DIR": str(folder)}
    environ = {**own, **redis, **resend, **proofs, **place, **SECRETS}
    process = processes.start([sys.executable, "-m", "shared.serve"], directory / "functions.log", environ, ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while not ports.in_use(port) or requests.get(f"{url}/_/ready", timeout=10).status_code != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"the functions did not start: {(directory / 'functions.log').read_text()[-500:]}")
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            processes.kill_all(process)


def console_pages(server: Valkey, filler: Filler, directory: Path) -> dict[str, float]:
    """Milliseconds (median) of each page of the console, and of one run found by chance, as a signed-in operator sees
    them.

    Args:
        server: where the ledger is.
        filler: which filled it.
        directory: for logs.
    """
    (run,) = Listing(filler.ledger).page(random.randrange(100), 1).enrollments
    medians = {}
    with _functions(server, filler.folder, directory) as url, requests.Session() as browser:
        found = re.search(r'name="token" value="([^"]+)"', browser.get(f"{url}/console", timeout=60).text)
        form = {"token": found[1] if found else "", "password": SECRETS["CONSOLE_PASSWORD"]}
        browser.post(f"{url}/console/login", data=form, timeout=60)
        for page in (*PAGES, f"/enrollments/{run}"):
            times = []
            for _ in range(LOOKS):
                began = time.perf_counter()
                answer = browser.get(f"{url}/console{page}", timeout=60, allow_redirects=False)
                times.append((time.perf_counter() - began) * 1000)
                if answer.status_code != 200:
                    raise RuntimeError(f"the console's page {page} was answered {answer.status_code}")
            medians["/enrollments/<one>" if page.endswith(run) else page] = sorted(times)[LOOKS // 2]
    return medians
