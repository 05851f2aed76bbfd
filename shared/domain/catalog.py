"""The campaigns: data in folders, checked when a process starts.

A faulty campaign stops the process with an error that names file, line and reason."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from shared.core import faults
from shared.core.errors import CampaignError
from shared.core.settings import Duration
from shared.domain.segments import SEGMENTS, Segment
from shared.domain.states import Kind, Reentry
from shared.domain.timing import Delay, Window

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _clock(text: Any) -> Any:
    if isinstance(text, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        return dt.time.fromisoformat(text)
    if text == "24:00":
        return None
    raise ValueError(f'{text!r} is not a time of day; write it in quotes, such as "08:30"')


def _days(text: Any) -> Any:
    days: set[int] = set()
    for part in str(text).replace(" ", "").lower().split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{part!r} is not a weekday; write mon-fri, or mon,wed,sat")
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return days


def _with_unit(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value:
        raise ValueError(f"{value:g} has no unit; write {value:g}s, {value:g}m, {value:g}h or {value:g}d")
    return value


_Written = Annotated[Duration, BeforeValidator(_with_unit)]
_EXAMPLES = {"slug": "spring-offer"}


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


class SendWindow(_Data):
    """The days and hours when the campaign sends."""

    days: Annotated[frozenset[int], BeforeValidator(_days)] = frozenset(range(7))
    opens: Annotated[dt.time | None, BeforeValidator(_clock)] = Field(default=dt.time(0), alias="from")
    closes: Annotated[dt.time | None, BeforeValidator(_clock)] = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> SendWindow:
        if self.opens is None or (self.closes is not None and self.closes <= self.opens):
            raise ValueError("a window must open (`from`) before it closes (`to`), on the same day")
        return self

    @property
    def window(self) -> Window:
        """The window in the form that timing uses."""
        return Window(self.days, self.opens or dt.time(0), self.closes)


class Campaign(_Data):
    """A campaign as its `campaign.yaml` defines it; docs/campaigns.md explains every key, and docs/ledger.md what
    `per-event` means."""

    slug: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)
    name: str = Field(min_length=1, max_length=100)
    kind: Kind = "marketing"
    reason: str | None = Field(default=None, min_length=1, max_length=200)
    group: str | None = None
    trigger: str
    requires: list[Literal["assessment"]] = []
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


def load(folder: Path = CAMPAIGNS) -> Catalog:
    """Read and check every campaign in a folder.

    Args:
        folder: has one folder per campaign, each with `campaign.yaml` and its templates as Markdown files.

    Raises:
        CampaignError: for the first fault, with file, line and reason.
    """
    if not folder.is_dir():
        raise CampaignError(f"{folder}: no such folder; point CAMPAIGNS_DIR at the folder that holds your campaigns")
    campaigns: dict[str, Campaign] = {}
    sources: dict[tuple[str, str], str] = {}
    for file in sorted(folder.glob("*/campaign.yaml")):
        node, campaign = _read(file)
        if other := next((known for known in campaigns.values() if known.trigger == campaign.trigger), None):
            where = f"{file}:{_line(node, ('trigger',))}"
            raise CampaignError(
                f"{where}: trigger {campaign.trigger!r} already belongs to campaign {other.slug!r}; change one of them"
            )
        campaigns[campaign.slug] = campaign
        for index, step in enumerate(campaign.steps):
            for template in step.templates:
                source = file.parent / f"{template}.md"
                if not source.is_file():
                    where = f"{file}:{_line(node, ('steps', index))}"
                    raise CampaignError(
                        f"{where}: template {template!r} has no file; add {source.name} to this folder or correct the "
                        "name"
                    )
                sources[campaign.slug, template] = _text(source)
    if not campaigns:
        raise CampaignError(f"{folder}: no campaign here; each needs a folder with a campaign.yaml")
    return Catalog(campaigns, sources)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CampaignError(f"{file}: byte {error.start} is not UTF-8; save the file as UTF-8 text") from None


def _read(file: Path) -> tuple[yaml.Node | None, Campaign]:
    """A campaign, and its file's YAML nodes, which know their lines."""
    text = _text(file)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        for mapping in _mappings(node):
            keys = [key.value for key, _ in mapping.value]
            if twice := next((key for key, _ in mapping.value if keys.count(key.value) > 1), None):
                raise CampaignError(f"{file}:{twice.start_mark.line + 1}: {twice.value!r} appears twice; keep one")
        campaign = Campaign.model_validate(yaml.safe_load(text))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CampaignError(f"{file}:{line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise CampaignError(f"{file}: not YAML: {str(error).splitlines()[0]}") from None
    except ValidationError as error:
        fault = _worst(error)
        where, what = faults.place(fault) or "campaign", faults.sentence(fault, _EXAMPLES)
        if fault["type"] == "extra_forbidden":
            what += faults.meant(str(fault["loc"][-1]), _keys_at(fault["loc"]), cutoff=0.6)
        raise CampaignError(f"{file}:{_line(node, fault['loc'])}: {where}: {what}") from None
    if campaign.slug != file.parent.name:
        raise CampaignError(
            f"{file}:{_line(node, ('slug',))}: slug {campaign.slug!r} must be the folder's name, {file.parent.name!r}"
        )
    return node, campaign


def _worst(error: ValidationError) -> ErrorDetails:
    """The most useful fault: an unknown key, as it may be a misspelling of a missing one; else the deepest fault at the
    first location, as a union reports the faults of each of its members."""
    found = error.errors(include_url=False, include_input=False)
    if unknown := next((fault for fault in found if fault["type"] == "extra_forbidden"), None):
        return unknown
    return max((one for one in found if one["loc"][:3] == found[0]["loc"][:3]), key=lambda one: len(one["loc"]))


def _keys_at(place: tuple[int | str, ...]) -> list[str]:
    """The keys that a file may have beside the one at a location."""
    below: dict[str, type[_Data]] = {"steps": CampaignStep, "late": Late, "window": SendWindow}
    model = below.get(str(place[0]), Campaign) if len(place) > 1 else Campaign
    return [field.alias or name for name, field in model.model_fields.items()]


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def _line(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """The line of the deepest part of a path that the file has."""
    line = node.start_mark.line + 1 if node else 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == part), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
