"""Enrollments: what the ledger holds about a contact, about one contact in one campaign, and about each of its
emails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.names import visible
from shared.domain.segments import SEGMENTS, Segment, segment
from shared.domain.states import EnrollmentState, Kind, StepState

SCORES = ("assessment_score", "red_systems", "orange_systems", "yellow_systems", "green_systems")


@dataclass(frozen=True)
class Step:
    """One email of one enrollment, as the ledger holds it. Instants are milliseconds since 1970 UTC."""

    number: int
    state: StepState
    due: int
    offset: int
    next: int | None = None
    attempts: int = 0
    posted: int | None = None
    ambiguous: bool = False
    frozen: str | None = None
    sent_at: int | None = None
    sent_by: str | None = None
    provider_id: str | None = None
    why: str | None = None
    delivered: int | None = None
    opened: int | None = None
    clicked: int | None = None
    bounced: int | None = None
    complained: int | None = None
    note: str | None = None
    anew: bool = False


@dataclass(frozen=True)
class Enrollment:
    """One contact in one campaign, as the ledger holds it."""

    id: str
    slug: str
    kind: Kind
    state: EnrollmentState
    anchor: int
    contact: str
    why: str | None = None
    request_id: str = ""
    paused_at: int | None = None
    steps: tuple[Step, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    queued_until: int | None = None
    warning: str | None = None

    def step(self, number: int) -> Step:
        """The step with that number; raises KeyError if there is none."""
        for step in self.steps:
            if step.number == number:
                return step
        raise KeyError(number)


@dataclass(frozen=True)
class Blocked:
    """A sign-up that enrolled no one, because another campaign of the same group was under way.

    Attributes:
        slug: the campaign that was asked for.
        by: the enrollment that was under way.
        at: the latest time, in milliseconds since 1970 UTC.
    """

    slug: str
    by: str
    at: int


@dataclass(frozen=True)
class Contact:
    """What is known about a person, as the ledger holds it: the fields of every webhook, merged."""

    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def email(self) -> str:
        """The address."""
        return self.fields["email"]

    def within(self, values: Mapping[str, str]) -> Contact:
        """The person as one enrollment sees them: with the scores of the form that started it.

        Args:
            values: the enrollment's.
        """
        scores = {name: values[name] for name in SCORES if name in values}
        others = {name: value for name, value in self.fields.items() if not (scores and name in SCORES)}
        return Contact(others | scores)

    def proves(self, *fields: str) -> bool:
        """Whether any of these fields is there and proved."""
        proved = self.fields.get("proved", "").split(",")
        return any(name in proved and name in self.fields for name in fields)

    @property
    def claimed(self) -> dict[str, str]:
        """What unproved forms wanted to change, or gave and must not be printed."""
        prefix = "claimed."
        found = {name.removeprefix(prefix): text for name, text in self.fields.items() if name.startswith(prefix)}
        return {name: visible(found[name]) for name in sorted(found)}

    def holder_of(self, group: str | None) -> str | None:
        """The enrollment that holds a group for them; None if none does."""
        return self.fields.get(f"group.{group}")

    @property
    def blocked(self) -> list[Blocked]:
        """The campaigns that they were not enrolled in, because another of the same group was under way."""
        prefix = "blocked."
        found = sorted((name, text) for name, text in self.fields.items() if name.startswith(prefix))
        split = [(name.removeprefix(prefix), *text.split(" ")) for name, text in found]
        return [Blocked(slug, by, int(at)) for slug, at, by in split]

    @property
    def segment(self) -> Segment:
        """How urgent the person's situation is, from the latest scores; without scores, as an earlier build stored
        it."""
        if not self.assessed and (known := self.fields.get("segment")) in SEGMENTS:
            return known
        return segment(int(self.fields.get("red_systems", 0)), int(self.fields.get("orange_systems", 0)))

    @property
    def assessed(self) -> bool:
        """Whether any score is known."""
        return any(name in self.fields for name in SCORES)

    @property
    def subscription(self) -> str:
        """Whether the person may get email: `subscribed`, or the strongest reason why not."""
        reason = next(
            (reason for reason in ("complained", "bounced", "unsubscribed", "manual") if reason in self.fields),
            "subscribed",
        )
        return "unsubscribed" if reason == "manual" else reason
