"""The campaigns' files: read and checked when a process starts.

A faulty campaign stops the process with an error that names file, line and reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.core import faults
from shared.core.errors import CampaignError
from shared.domain.catalog import Campaign, CampaignStep, Catalog, Late
from shared.domain.send_window import SendWindow

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"
_EXAMPLES = {"slug": "spring-offer"}


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
        sources |= {(campaign.slug, template): text for template, text in _templates(file, node, campaign)}
    if not campaigns:
        raise CampaignError(f"{folder}: no campaign here; each needs a folder with a campaign.yaml")
    return Catalog(campaigns, sources)


def _templates(file: Path, node: yaml.Node | None, campaign: Campaign) -> Iterator[tuple[str, str]]:
    """The id and the text of each template that a campaign names."""
    for index, step in enumerate(campaign.steps):
        for template in step.templates:
            source = file.parent / f"{template}.md"
            if not source.is_file():
                where = f"{file}:{_line(node, ('steps', index))}"
                raise CampaignError(
                    f"{where}: template {template!r} has no file; add {source.name} to this folder or correct the name"
                )
            yield template, _text(source)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CampaignError(f"{file}: byte {error.start} is not UTF-8; save the file as UTF-8 text") from None


def _read(file: Path) -> tuple[yaml.Node | None, Campaign]:
    """A campaign, and its file's YAML nodes, which know their lines."""
    node, data = _parse(file)
    try:
        campaign = Campaign.model_validate(data)
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


def _parse(file: Path) -> tuple[yaml.Node | None, Any]:
    """A file's YAML nodes and its data; no key may appear twice."""
    text = _text(file)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        for mapping in _mappings(node):
            keys = [key.value for key, _ in mapping.value]
            if twice := next((key for key, _ in mapping.value if keys.count(key.value) > 1), None):
                raise CampaignError(f"{file}:{twice.start_mark.line + 1}: {twice.value!r} appears twice; keep one")
        return node, yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CampaignError(
            f"{file}:{line}: is not valid YAML; check the indentation, quotes and brackets here and in the line above"
        ) from None
    except yaml.YAMLError:
        raise CampaignError(f"{file}: is not valid YAML; save it again as plain UTF-8 text") from None


def _worst(error: ValidationError) -> ErrorDetails:
    """The most useful fault: an unknown key, as it may be a misspelling of a missing one; else the deepest fault at the
    first location, as a union reports the faults of each of its members."""
    found = error.errors(include_url=False, include_input=False)
    if unknown := next((fault for fault in found if fault["type"] == "extra_forbidden"), None):
        return unknown
    return max((one for one in found if one["loc"][:3] == found[0]["loc"][:3]), key=lambda one: len(one["loc"]))


def _keys_at(place: tuple[int | str, ...]) -> list[str]:
    """The keys that a file may have beside the one at a location."""
    below: dict[str, type[BaseModel]] = {"steps": CampaignStep, "late": Late, "window": SendWindow}
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
        if not (found := _below(node, part)):
            break
        line, node = found
    return line


def _below(node: yaml.Node | None, part: int | str) -> tuple[int, yaml.Node] | None:
    """The line and the node of a key or an entry, or None if the node has no such part."""
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line + 1, value) for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None
