"""What a changed campaign folder means for enrolled people, before it is deployed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from shared.domain.catalog import Campaign, CampaignStep, Catalog
from shared.domain.enrollments import Contact, Enrollment
from shared.domain.segments import SEGMENTS
from shared.domain.states import EnrollmentState
from shared.emails.template_store import name_of

_AT_ONCE = "applies to everyone at once"
_NEW_RUNS = "applies only to enrollments that start from now on"
_KEYS = {  # of a campaign, and to whom a change applies
    "name": "Notion's rows show it when they are next written",
    "kind": _NEW_RUNS,
    "group": _NEW_RUNS,
    "queue_for": _NEW_RUNS,
    "trigger": _NEW_RUNS,
    "requires": _NEW_RUNS,
    "reentry": _NEW_RUNS,
    "testing_step": _NEW_RUNS,
    "reason": _AT_ONCE,
    "exit_on": _AT_ONCE,
    "late": _AT_ONCE,
    "window": "due times stay; it applies when an enrollment moves (resumed, or late), and to new ones",
}


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        campaign: its slug.
        step: its number, if it is about one.
        what: `text`, `step-gone`, `step-new`, `time`, `setting`, `campaign-gone` or `campaign-new`.
        meaning: to whom it applies, in a sentence.
        people: how many open enrollments it affects; None without a ledger.
        diff: the changed lines of a text.
    """

    campaign: str
    step: int | None
    what: str
    meaning: str
    people: int | None = None
    diff: str = ""

    @property
    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Participant:
    """An open enrollment, and its contact."""

    enrollment: Enrollment
    contact: Contact

    def waits_for(self, number: int) -> bool:
        """Whether a step is still to be sent. A queued enrollment waits for all of them."""
        return self.enrollment.state == EnrollmentState.QUEUED or any(
            step.number == number and step.state.is_open for step in self.enrollment.steps
        )


def diff(
    old: Catalog, new: Catalog, participants: Collection[Participant] | None, edited: Collection[str] = ()
) -> list[Change]:
    """What changes, by campaign and step.

    Args:
        old: the campaigns as they are deployed.
        new: the campaigns as they will be.
        participants: the open enrollments; None without a ledger.
        edited: names of templates that are sent with Notion's text instead of the file's.
    """
    changes: list[Change] = []
    for slug in sorted({*old.campaigns, *new.campaigns}):
        own = None if participants is None else [one for one in participants if one.enrollment.slug == slug]
        changes += _Campaigns(slug, old, new, own, edited).changes()
    return changes


@dataclass(frozen=True)
class _Campaigns:
    """One campaign, before and after."""

    slug: str
    old: Catalog
    new: Catalog
    participants: list[Participant] | None
    edited: Collection[str]

    def changes(self) -> Iterator[Change]:
        """All differences."""
        before, after = self.old.campaigns.get(self.slug), self.new.campaigns.get(self.slug)
        if before is None:
            yield self._change(None, "campaign-new", "no one is enrolled yet", [])
        elif after is None:
            yield self._change(None, "campaign-gone", "their remaining emails are skipped", self.participants)
        else:
            yield from self._settings(before, after)
            for number in sorted({step.number for step in (*before.steps, *after.steps)}):
                yield from self._step(number, before.step(number), after.step(number))

    def _change(
        self, step: int | None, what: str, meaning: str, concerned: Collection[Participant] | None, diff: str = ""
    ) -> Change:
        people = None if self.participants is None or concerned is None else len(concerned)
        return Change(self.slug, step, what, meaning, people, diff)

    def _those(self, concerned: Callable[[Participant], bool]) -> list[Participant] | None:
        return None if self.participants is None else [one for one in self.participants if concerned(one)]

    def _settings(self, before: Campaign, after: Campaign) -> Iterator[Change]:
        was, now = before.model_dump(mode="json"), after.model_dump(mode="json")
        for key, meaning in _KEYS.items():
            if was[key] != now[key]:
                concerned = [] if meaning == _NEW_RUNS else self.participants
                yield self._change(None, "setting", f"{key}: {meaning}", concerned)

    def _step(self, number: int, before: CampaignStep | None, after: CampaignStep | None) -> Iterator[Change]:
        if before is None:
            without = self._those(lambda one: number not in [step.number for step in one.enrollment.steps])
            yield self._change(number, "step-new", "enrollments that have started do not get it", without)
        elif after is None:
            yield self._change(number, "step-gone", "it is skipped", self._waiting(number))
        else:
            if before.delay != after.delay:
                said = f"{_hours(before)} becomes {_hours(after)}: enrollments that have started keep their time"
                yield self._change(number, "time", said, self._waiting(number))
            yield from self._text(number, before, after)

    def _text(self, number: int, before: CampaignStep, after: CampaignStep) -> Iterator[Change]:
        """The texts that differ, counted by the segment of the people waiting for each."""
        pairs: dict[tuple[str, str], list[str]] = {}
        for segment in SEGMENTS:
            pairs.setdefault((before.template_for(segment), after.template_for(segment)), []).append(segment)
        for (was, now), segments in pairs.items():
            lines = _lines(self.old.sources[self.slug, was], self.new.sources[self.slug, now], was, now)
            if lines and name_of((self.slug, now)) in self.edited:
                yield self._change(number, "text", f"{now}: no one gets it, because Notion's text is sent", [], lines)
            elif lines:
                yield self._change(
                    number, "text", f"{now}: the new text is sent", self._waiting(number, segments), lines
                )

    def _waiting(self, number: int, segments: Collection[str] | None = None) -> list[Participant] | None:
        """Those who wait for a step, of all segments or only of some."""
        return self._those(lambda one: one.waits_for(number) and (segments is None or one.contact.segment in segments))


def _hours(step: CampaignStep) -> str:
    hours = abs(step.delay.milliseconds) / 3_600_000
    return f"{hours:g} h before" if step.before is not None else f"{hours:g} h after"


def _lines(was: str, now: str, old_name: str, new_name: str) -> str:
    return "\n".join(
        difflib.unified_diff(was.splitlines(), now.splitlines(), f"{old_name}.md", f"{new_name}.md", lineterm="", n=1)
    )
