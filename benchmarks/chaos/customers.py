"""What customers, the owner and a calendar can do; each acknowledged request goes into the diary."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from standardwebhooks import Webhook

from benchmarks.chaos.diary import Diary, Entry, Inbox, What, now
from local.site import calcom
from shared.ledger import ids

FIRST_PAUSE, LONGEST_PAUSE, ATTEMPT = 0.5, 8.0, 10.0  # seconds, as in the website's evergreen.js
PATIENCE = 120.0  # seconds for which a customer keeps trying
ARRIVES_WITHIN = 240.0  # seconds: a first email that meets five faults in a row takes 150
STEPS = {
    "christmas": 7,
    "five-day": 5,
    "busos": 5,
    "noshow-recovery": 3,
    "postcall-maybe": 3,
    "onboarding": 3,
    "booking-reminder": 2,
}
FORMS = {"christmas-signup": "christmas", "christmas-assessment": "five-day", "assessment": "busos"}
SCORES: tuple[dict[str, int], ...] = (
    {"red_systems": 2, "assessment_score": 31},
    {"red_systems": 1},
    {"green_systems": 6},
)


class RefusedError(Exception):
    """A request was answered with a status that trying again does not change.

    Attributes:
        status: the answer's.
    """

    def __init__(self, url: str, status: int, text: str) -> None:
        super().__init__(f"{url.rpartition('/')[2]} answered {status}: {text[:200]}")
        self.status = status


@dataclass(frozen=True)
class World:
    """Where the stories take place.

    Attributes:
        url: of the gateway.
        secrets: `OPERATOR_TOKEN`, `CALCOM_WEBHOOK_SECRET` and `WEBSITE_WEBHOOK_SECRET`.
        width: seconds between two emails of a campaign.
    """

    url: str
    secrets: Mapping[str, str]
    diary: Diary
    inbox: Inbox
    width: float

    @property
    def operator(self) -> dict[str, str]:
        """The owner's proof."""
        return {"Authorization": f"Bearer {self.secrets['OPERATOR_TOKEN']}"}


@dataclass
class Customer:
    """One person, and what is done to that person's runs."""

    world: World
    number: int
    address: str
    chance: random.Random
    _session: requests.Session = field(default_factory=requests.Session)

    @classmethod
    def operator_of(cls, world: World) -> Customer:
        """The owner, who posts like any customer."""
        return cls(world, -1, "", random.Random())

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, int]:
        """Post until it is acknowledged, as evergreen.js does, only longer; returns when it was first posted and when
        acknowledged.

        Raises:
            RefusedError: for an answer that will stay the same.
            TimeoutError: when it was not acknowledged in time.
        """
        asked, deadline, pause = now(), time.monotonic() + PATIENCE, FIRST_PAUSE
        while time.monotonic() < deadline:
            asked_to_wait = 0.0
            try:
                answer = self._session.post(
                    url, body, headers={"Content-Type": "application/json", **headers}, timeout=ATTEMPT
                )
                if answer.ok:
                    return asked, now()
                if answer.status_code < 500 and answer.status_code != 429:
                    raise RefusedError(url, answer.status_code, answer.text)
                asked_to_wait = float(answer.headers.get("Retry-After", 0))
            except (requests.ConnectionError, requests.Timeout):
                self._session = requests.Session()
            time.sleep(max(asked_to_wait, pause / 2) + self.chance.random() * pause / 2)
            pause = min(pause * 2, LONGEST_PAUSE)
        raise TimeoutError(f"nobody acknowledged a request to {url.rpartition('/')[2]}")

    def enrolled(self, enrollment: str, steps: tuple[int, ...], times: tuple[int, int]) -> str:
        """Write down that a run has begun; returns it."""
        self.world.diary.write(Entry("enrolled", enrollment, *times, steps))
        return enrollment

    def ended(self, enrollment: str, why: str, times: tuple[int, int]) -> None:
        """Write down that a run is over."""
        self.world.diary.write(Entry("ended", enrollment, *times, why=why))

    def sign_up(self, form: str, *, first: int = 1, blocked: bool = False, times: int = 1, **said: Any) -> str:
        """Post a form, which the website's server signs so that all are let through; returns the run.

        Args:
            form: the webhook.
            first: the first step that is ours to send.
            blocked: whether another run keeps this one from beginning.
            times: how often the person posts it, each time under a new key.
            said: further fields.
        """
        slug = FORMS[form]
        body = {"email": self.address, "first_name": "Ada", **SCORES[self.number % len(SCORES)], **said}
        for again in range(times):
            data, key = json.dumps(body), str(uuid.uuid4())
            headers = {"Idempotency-Key": key, **_signed(self.world.secrets["WEBSITE_WEBHOOK_SECRET"], key, data)}
            done = self.post(f"{self.world.url}/webhook/{form}", data.encode(), headers)
            if not again and not blocked:
                self.enrolled(
                    f"{ids.enrollment_prefix(slug, self.address)}-1", tuple(range(first, STEPS[slug] + 1)), done
                )
        return f"{ids.enrollment_prefix(slug, self.address)}-1"

    def reported(self, webhook: str, slug: str, ends: str = "") -> str:
        """The owner reports something of this person; returns the run."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        done = self.post(
            f"{self.world.url}/webhook/{webhook}",
            json.dumps({"email": self.address}).encode(),
            self.world.operator | key,
        )
        if ends:
            self.ended(ends, "client", done)
        return self.enrolled(f"{ids.enrollment_prefix(slug, self.address)}-1", tuple(range(1, STEPS[slug] + 1)), done)

    def calendar(self, action: str, uid: str, starts: datetime, old: str | None = None) -> tuple[int, int]:
        """Cal.com reports what became of a booking."""
        asked = {
            "action": action,
            "email": self.address,
            "name": "Ada Lovelace",
            "starts_at": starts,
            "uid": old,
            "previous_start": starts,
        }
        [event] = calcom.events(calcom.Request.model_validate(asked), uid, datetime.now(UTC))
        body, headers = calcom.signed(event, self.world.secrets["CALCOM_WEBHOOK_SECRET"])
        return self.post(f"{self.world.url}/webhook/calcom-booking", body, headers)

    def book(self, *, ends: str = "", old: str | None = None, old_run: str = "") -> tuple[str, datetime, str]:
        """Book a call, or move one; returns its uid, its start and the run of its reminders."""
        uid = uuid.uuid4().hex[:22]
        starts = (datetime.now(UTC) + timedelta(days=3, seconds=self.number)).replace(microsecond=0)
        done = self.calendar("reschedule" if old else "book", uid, starts, old)
        for run, why in ((ends, "booked"), (old_run, "moved")):
            if run:
                self.ended(run, why, done)
        return uid, starts, self.enrolled(reminders(uid, starts), (1, 2), done)

    def steer(self, decision: str, enrollment: str) -> None:
        """The owner pauses, resumes or cancels a run; after its last email nothing is left to steer."""
        asked = now()
        try:
            done = self.post(
                f"{self.world.url}/console/api/enrollments/{enrollment}/{decision}", b"", self.world.operator
            )
        except RefusedError as error:
            if error.status != 409:
                raise
            if decision == "cancel":
                return
            done = asked, now()  # or an attempt whose response was lost did it already
        became: dict[str, What] = {"pause": "paused", "resume": "resumed", "cancel": "ended"}
        self.world.diary.write(Entry(became[decision], enrollment, *done, why="cancelled"))

    def await_emails(self, count: int) -> None:
        """Wait until this many have come."""
        if not self.world.inbox.until(lambda _: len(self.world.inbox.to(self.address)) >= count, ARRIVES_WITHIN):
            raise TimeoutError("an email did not come")

    def await_exit(self, enrollment: str, why: str) -> None:
        """Wait until the owner sees that a run has ended; the report may come after the last email."""
        asked, deadline = now(), time.monotonic() + ARRIVES_WITHIN
        while time.monotonic() < deadline:
            try:
                shown = self._session.get(
                    f"{self.world.url}/console/api/enrollments/{enrollment}",
                    headers=self.world.operator,
                    timeout=ATTEMPT,
                )
                state = shown.json()["state"] if shown.ok else "unknown"
                if state == "exited":
                    self.ended(enrollment, why, (asked, now()))
                if state in ("exited", "completed"):
                    return
            except (requests.ConnectionError, requests.Timeout):
                self._session = requests.Session()
            time.sleep(1)
        raise TimeoutError(f"a run did not end although its address {why}")


def _signed(secret: str, id: str, data: str) -> dict[str, str]:
    signed_at = datetime.now(UTC)
    signature = Webhook(secret).sign(id, signed_at, data)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(signed_at.timestamp())),
        "webhook-signature": signature,
    }


def reminders(uid: str, starts: datetime) -> str:
    """The run of a booking's reminders."""
    return f"{ids.enrollment_prefix('booking-reminder', f'{uid}:{round(starts.timestamp() * 1000)}')}-1"
