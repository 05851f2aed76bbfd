"""The campaigns: what each `campaign.yaml` can define, and the catalog of them all. `campaign_files.py` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from shared.core.value_types import Duration
from shared.domain.segments import SEGMENTS, Segment
from shared.domain.send_window import SendWindow
from shared.domain.states import Confirm, Kind, Reentry
from shared.domain.timing import Delay


def _with_unit(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value:
        raise ValueError(f"{value:g} has no unit; write {value:g}s, {value:g}m, {value:g}h or {value:g}d")
    return value


_Written = Annotated[Duration, BeforeValidator(_with_unit)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CampaignStep(_Data):
    """One email of a campaign: when it is due, which text it uses, and who may have sent it already."""

    number: int = Field(ge=1, le=99)
    after: _Written | None = None
    before: _Written | None = None
    template: str | dict[Literal["CRITICAL", "URGENT", "OPTIMIZE", "default"], str]
    sent_by: Literal["evergreen", "website", "website-if-reported"] = "evergreen"

    @model_validator(mode="after")
    def _complete(self) -> CampaignStep:
        if (self.after is None) == (self.before is None):
            raise ValueError("a step needs either `after` or `before`, such as `after: 24h`")
        if isinstance(self.template, dict) and "default" not in self.template and set(self.template) != set(SEGMENTS):
            raise ValueError(
                f"step {self.number}: a template by segment needs a `default`, or all of {', '.join(SEGMENTS)}"
            )
        return self

    @property
    def delay(self) -> Delay:
        """The step's distance from its anchor."""
        seconds = self.after if self.after is not None else -(self.before or 0)
        return Delay(self.number, round(seconds * 1000))

    def template_for(self, segment: Segment) -> str:
        """The template id for a contact in this segment."""
        if isinstance(self.template, str):
            return self.template
        return self.template.get(segment) or self.template["default"]

    @property
    def templates(self) -> list[str]:
        """Every template id that the step can use."""
        return [self.template] if isinstance(self.template, str) else list(self.template.values())


class Late(_Data):
    """What happens to a step that could not be sent on time: after how long it counts as late, and what then."""

    after: _Written
    policy: Literal["send", "skip", "shift"]


class Campaign(_Data):
    """A campaign as its `campaign.yaml` defines it; docs/campaigns.md explains every key, and docs/ledger.md what
    `per-event` means."""

    slug: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)
    name: str = Field(min_length=1, max_length=100)
    kind: Kind = "marketing"
    reason: str | None = Field(default=None, min_length=1, max_length=200)
    group: str | None = None
    queue_for: Annotated[_Written, Field(gt=0)] | None = None
    trigger: str
    requires: list[Literal["assessment", "consent"]] = []
    confirm: Confirm = "under-load"
    reentry: Reentry = "never"
    exit_on: list[Literal["booked", "client", "unsubscribed", "bounced", "complained"]] = []
    late: Late
    window: SendWindow | None = None
    testing_step: Annotated[_Written, Field(gt=0)] = 60
    steps: list[CampaignStep] = Field(min_length=1)

    @field_validator("steps")
    @classmethod
    def _steps_in_order(cls, steps: list[CampaignStep]) -> list[CampaignStep]:
        numbers = [step.number for step in steps]
        if numbers != sorted(set(numbers)):
            raise ValueError("steps must be in ascending order, and each number may appear only once")
        delays = [step.delay.milliseconds for step in steps]
        if delays != sorted(delays):
            raise ValueError("steps must be in the order they are due")
        return steps

    @model_validator(mode="after")
    def _meetings_stay(self) -> Campaign:
        if any(step.before is not None for step in self.steps) and (self.late.policy == "shift" or self.window):
            raise ValueError("steps before a meeting cannot be moved: use the late policy skip or send, and no window")
        return self

    @model_validator(mode="after")
    def _queues(self) -> Campaign:
        if self.queue_for and self.group is None:
            raise ValueError("queue_for is only for a campaign with a `group`, whose other campaigns it waits for")
        is_before = any(step.before is not None for step in self.steps)
        if self.queue_for and (self.window or is_before):
            raise ValueError("leave out queue_for: neither a campaign with a window nor a meeting's reminders can wait")
        return self

    def step(self, number: int) -> CampaignStep | None:
        """The step with that number, or None if the file no longer has it."""
        return next((step for step in self.steps if step.number == number), None)

    def late_after(self, divisor: int) -> int:
        """How many milliseconds after its due time a step is late; TESTING_MODE divides it."""
        return round(self.late.after * 1000 / divisor)


@dataclass(frozen=True)
class Catalog:
    """All campaigns, and the source of every template they name.

    Attributes:
        campaigns: by slug.
        sources: template text by campaign and template id.
    """

    campaigns: Mapping[str, Campaign]
    sources: Mapping[tuple[str, str], str]

    def ending_on(self, reason: str) -> list[str]:
        """The campaigns that list a reason in `exit_on`."""
        return [slug for slug, campaign in self.campaigns.items() if reason in campaign.exit_on]

    def triggered_by(self, trigger: str) -> Campaign | None:
        """The campaign that a webhook enrolls in, or None if it only tracks."""
        return next((campaign for campaign in self.campaigns.values() if campaign.trigger == trigger), None)
