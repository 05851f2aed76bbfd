"""The campaigns: the bundled one, every refusal of a bad file, and the page that explains the keys."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from shared.core.errors import CampaignError
from shared.domain.campaign_files import load
from shared.domain.catalog import Campaign, CampaignStep, Late
from shared.domain.send_window import SendWindow
from shared.domain.timing import Delay
from shared.emails.placeholders import PLACEHOLDERS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "campaigns.md").read_text(encoding="utf-8")
HEAD = """\
slug: spring
name: Spring
trigger: spring-signup
late: {after: 12h, policy: send}
"""
STEP = "steps:\n  - {number: 1, after: 0h, template: one}\n"


def write(folder: Path, text: str | bytes, slug: str = "spring") -> Path:
    """A folder of campaigns that holds this one, and the templates `one` and `two`; returns the file."""
    campaign = folder / slug
    campaign.mkdir(parents=True, exist_ok=True)
    for name in ("one", "two"):
        (campaign / f"{name}.md").write_text(f"Subject: {name}\n\nHi\n", encoding="utf-8")
    file = campaign / "campaign.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def read(folder: Path, text: str) -> Campaign:
    """The campaign that a text describes."""
    write(folder, text)
    return load(folder).campaigns["spring"]


class TestChristmas:
    """The campaign of this release."""

    def test_it_matches_the_design(self) -> None:
        """Seven steps at their hours, one trigger, one group, only for people who took the assessment, and never
        twice."""
        catalog = load()
        campaign = catalog.campaigns["christmas"]
        assert [step.delay for step in campaign.steps] == [
            Delay(number, hours * 3_600_000) for number, hours in enumerate((0, 24, 72, 120, 168, 216, 264), 1)
        ]
        assert (campaign.name, campaign.kind, campaign.group, campaign.reentry) == (
            "Christmas 2025",
            "marketing",
            "nurture",
            "never",
        )
        assert (campaign.requires, campaign.testing_step) == (["assessment"], 60)
        assert catalog.triggered_by("christmas-signup") is campaign
        assert catalog.triggered_by("signup") is None, "a webhook without a campaign only tracks"

    def test_every_template_is_there(self) -> None:
        """Each name leads to a text, for each segment."""
        catalog = load()
        campaign = catalog.campaigns["christmas"]
        names = {name for step in campaign.steps for name in step.templates}
        assert {key for key in catalog.sources if key[0] == "christmas"} == {("christmas", name) for name in names}
        step = campaign.step(5)
        assert step and [step.template_for(segment) for segment in ("CRITICAL", "URGENT", "OPTIMIZE")] == [
            "christmas_email_5_critical", "christmas_email_5", "christmas_email_5"
        ]  # fmt: skip
        assert campaign.step(8) is None


class TestReading:
    """What a file may say."""

    def test_the_smallest_file(self, tmp_path: Path) -> None:
        """Four lines and a step are a campaign; the rest has defaults."""
        campaign = read(tmp_path, HEAD + STEP)
        assert (campaign.kind, campaign.reentry, campaign.group, campaign.window) == ("marketing", "never", None, None)
        assert (campaign.requires, campaign.exit_on, campaign.testing_step, campaign.steps[0].sent_by) == (
            [],
            [],
            60,
            "evergreen",
        )

    def test_lateness_shrinks_in_testing(self, tmp_path: Path) -> None:
        """`late.after` is divided as the settings say."""
        campaign = read(tmp_path, HEAD + STEP)
        assert (campaign.late_after(1), campaign.late_after(60)) == (12 * 3_600_000, 720_000)

    @pytest.mark.parametrize(
        ("text", "days", "opens", "closes"),
        [
            ("{}", set(range(7)), time(0), None),
            ('{days: mon-fri, from: "08:30", to: "18:00"}', set(range(5)), time(8, 30), time(18)),
            ("{days: 'sat-mon, Wed'}", {5, 6, 0, 2}, time(0), None),
            ('{days: sun, to: "24:00"}', {6}, time(0), None),
        ],
    )
    def test_windows(self, tmp_path: Path, text: str, days: set[int], opens: time, closes: time | None) -> None:
        """Days as people write them, hours in quotes, midnight at the end as 24:00."""
        window = read(tmp_path, f"{HEAD}window: {text}\n{STEP}").window
        assert window and (set(window.window.days), window.window.opens, window.window.closes) == (days, opens, closes)

    def test_reminders(self, tmp_path: Path) -> None:
        """Steps before a meeting have negative delays and are listed in the order in which they are due."""
        campaign = read(
            tmp_path,
            HEAD + "steps:\n  - {number: 1, before: 24h, template: one}\n  - {number: 2, before: 1h, template: two}\n",
        )
        assert [step.delay.milliseconds for step in campaign.steps] == [-86_400_000, -3_600_000]

    def test_all_segments_need_no_default(self, tmp_path: Path) -> None:
        """Three named segments are enough."""
        steps = "steps:\n  - {number: 1, after: 0h, template: {CRITICAL: one, URGENT: two, OPTIMIZE: one}}\n"
        assert read(tmp_path, HEAD + steps).steps[0].template_for("URGENT") == "two"


def _step(text: str) -> str:
    return f"{HEAD}steps:\n  - {{number: 1, after: 0h, template: one}}\n  - {{{text}}}\n"


class TestRefusals:
    """A bad file stops the process with file, line and reason."""

    @pytest.mark.parametrize(
        ("text", "line", "reason"),
        [
            ("", 1, "campaign: must be keys with values"),
            ("- a\n", 1, "campaign: "),
            (HEAD + "steps: [\n", 6, "not valid YAML"),
            (HEAD + "\tsteps: 1\n", 5, "not valid YAML"),
            ("a: *b\n", 1, "not valid YAML"),
            (HEAD + "name: Again\n" + STEP, 2, "'name' appears twice"),
            (_step("number: 2, after: 1h, after: 2h, template: one"), 7, "'after' appears twice"),
            (HEAD, 1, "steps: is missing"),
            (HEAD + "steps: []\n", 5, "steps: must not be empty"),
            (HEAD.replace("trigger:", "triger:") + STEP, 3, "triger: there is no such key; did you mean trigger?"),
            (_step("number: 2, afer: 1h, template: one"), 7, "step 2, afer: there is no such key; did you mean after?"),
            (_step("number: 2, after: 24, template: one"), 7, "step 2, after: 24 has no unit; write 24s, 24m"),
            (HEAD.replace("12h", "12") + STEP, 4, "late, after: 12 has no unit"),
            (HEAD.replace("trigger:", "tirgger:") + STEP, 3, "tirgger: there is no such key; did you mean trigger?"),
            (HEAD.replace("name:", "nmae:") + STEP, 2, "nmae: there is no such key; did you mean name?"),
            (HEAD + "color: red\n" + STEP, 5, "color: there is no such key"),
            (HEAD.replace("name: Spring", "name:") + STEP, 2, "name: "),
            (HEAD.replace("slug: spring", "slug: Spring!") + STEP, 1, "slug: is not valid; write it like"),
            (HEAD.replace("slug: spring", "slug: winter") + STEP, 1, "must be the folder's name, 'spring'"),
            (HEAD + "kind: spam\n" + STEP, 5, "kind: must be 'marketing' or 'transactional'"),
            (HEAD + "requires: [money]\n" + STEP, 5, "entry 1 of requires: must be 'assessment'"),
            (HEAD + "reentry: always\n" + STEP, 5, "reentry: "),
            (HEAD + "exit_on:\n  - booked\n  - bored\n" + STEP, 7, "entry 2 of exit_on: "),
            (HEAD.replace("12h", "tomorrow") + STEP, 4, "'tomorrow' is not a valid duration"),
            (HEAD.replace("12h", "-1") + STEP, 4, "late, after: "),
            (HEAD.replace("12h", ".inf") + STEP, 4, "late, after: "),
            (HEAD.replace("policy: send", "policy: hope") + STEP, 4, "late, policy: "),
            (HEAD.replace(", policy: send", "") + STEP, 4, "late, policy: is missing"),
            (HEAD + "testing_step: 0s\n" + STEP, 5, "testing_step: "),
            (HEAD + "testing_step: -5\n" + STEP, 5, "testing_step: "),
            (HEAD + "window: {from: 8:30}\n" + STEP, 5, 'write it in quotes, such as "08:30"'),
            (HEAD + 'window: {from: "8:30"}\n' + STEP, 5, "is not a time of day"),
            (HEAD + 'window: {to: "25:00"}\n' + STEP, 5, "is not a time of day"),
            (HEAD + 'window: {from: "24:00"}\n' + STEP, 5, "window"),
            (HEAD + 'window: {from: "18:00", to: "08:00"}\n' + STEP, 5, "window"),
            (HEAD + 'window: {from: "18:00", to: "18:00"}\n' + STEP, 5, "window"),
            (HEAD + "window: {days: monday}\n" + STEP, 5, "'monday' is not a weekday"),
            (HEAD + "window: {days: }\n" + STEP, 5, "is not a weekday"),
            (HEAD + "window: {opens: 8}\n" + STEP, 5, "opens"),
            (_step("number: 1, after: 1h, template: one"), 5, "in ascending order, and each number may appear only"),
            (_step("number: 2, after: -1, template: one"), 7, "after: "),
            (_step("number: 2, after: .inf, template: one"), 7, "after: "),
            (_step("number: 2, after: .nan, template: one"), 7, "after: "),
            (_step("number: 100, after: 1h, template: one"), 7, "step 2, number: "),
            (_step("number: 2, template: one"), 7, "either `after` or `before`"),
            (_step("number: 2, after: 1h, before: 1h, template: one"), 7, "either `after` or `before`"),
            (_step("number: 2, before: 1h, template: one"), 5, "in the order they are due"),
            (_step("number: 2, after: 1 week, template: one"), 7, "'1 week' is not a valid duration"),
            (_step("number: 2, after: 1h"), 7, "step 2, template: is missing"),
            (_step("number: 2, after: 1h, template: three"), 7, "'three' has no file; add three.md to this folder"),
            (_step("number: 2, after: 1h, template: {CRITICAL: one}"), 7, "a template by segment needs a `default`"),
            (_step("number: 2, after: 1h, template: {CRITICAL: one, default: three}"), 7, "'three' has no file"),
            (_step("number: 2, after: 1h, template: {CRITICL: one, default: two}"), 7, "'OPTIMIZE' or 'default'"),
            (_step("number: 2, after: 1h, template: one, sent_by: pigeon"), 7, "step 2, sent_by: "),
        ],
    )  # fmt: skip
    def test_a_bad_file(self, tmp_path: Path, text: str, line: int, reason: str) -> None:
        """The error for each fault names the file, the line and what is wrong there."""
        file = write(tmp_path, text)
        with pytest.raises(CampaignError) as caught:
            load(tmp_path)
        message = str(caught.value)
        assert message.startswith(f"{file}:{line}: ") and reason in message

    @pytest.mark.parametrize("text", [b"a: \x01\n", HEAD.encode() + b"# caf\xe9\n" + STEP.encode(), b"\x00\xff" * 50])
    def test_a_file_that_is_not_text(self, tmp_path: Path, text: bytes) -> None:
        """Another encoding and stray bytes are a fault of that file, not of the program."""
        file = write(tmp_path, text)
        with pytest.raises(CampaignError, match=re.escape(str(file))):
            load(tmp_path)

    def test_a_trigger_belongs_to_one_campaign(self, tmp_path: Path) -> None:
        """Two campaigns on one webhook are refused, both named, with the line of the second."""
        write(tmp_path, HEAD + STEP)
        summer = write(tmp_path, HEAD.replace("slug: spring", "slug: summer") + STEP, "summer")
        with pytest.raises(CampaignError) as caught:
            load(tmp_path)
        assert str(caught.value).startswith(f"{summer}:3: trigger 'spring-signup' already belongs to campaign 'spring'")

    def test_a_template_in_another_encoding(self, tmp_path: Path) -> None:
        """A template that is not UTF-8 is named."""
        template = write(tmp_path, HEAD + STEP).with_name("one.md")
        template.write_bytes("Subject: Café\n\nHi\n".encode("latin-1"))
        with pytest.raises(CampaignError, match=re.escape(str(template))):
            load(tmp_path)

    @pytest.mark.parametrize("folder", ["missing", "."])
    def test_no_campaign(self, tmp_path: Path, folder: str) -> None:
        """A folder that is not there or holds no campaign is named, with what to do."""
        with pytest.raises(CampaignError, match=re.escape(str(tmp_path / folder))):
            load(tmp_path / folder)


class TestThePage:
    """docs/campaigns.md is true."""

    @pytest.mark.parametrize(
        ("heading", "model"),
        [
            ("## campaign.yaml", Campaign),
            ("### `steps`", CampaignStep),
            ("### `late`", Late),
            ("### `window`", SendWindow),
        ],
    )
    def test_it_explains_every_key(self, heading: str, model: type[BaseModel]) -> None:
        """Each table has the keys that a file may have, in their order, with their defaults' names."""
        section = re.split(r"^#+ .*$", PAGE.split(f"{heading}\n")[1], flags=re.MULTILINE)[0]
        keys = re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE)
        assert [key for key, _ in keys] == [field.alias or name for name, field in model.model_fields.items()]
        assert {key for key, default in keys if default == "required"} == {
            name for name, field in model.model_fields.items() if field.is_required()
        }

    def test_its_example_is_a_campaign(self, tmp_path: Path) -> None:
        """The example loads, and shows every key that has no other example."""
        example = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
        write(tmp_path, example)
        for name in ("spring_1", "spring_2", "spring_2_critical"):
            (tmp_path / "spring" / f"{name}.md").write_text("Subject: x\n\nx\n", encoding="utf-8")
        assert load(tmp_path).campaigns["spring"].steps[1].template_for("URGENT") == "spring_2"

    def test_it_names_every_choice(self) -> None:
        """Every value that a key can have is documented."""
        schema: dict[str, Any] = Campaign.model_json_schema()
        for choice in re.findall(r"'(?:enum|const)': (\[.*?\]|'.*?')", str(schema)):
            assert all(
                f"`{word}`" in PAGE or f"`[{word}]`" in PAGE or f"{word}:" in PAGE
                for word in re.findall(r"'(.*?)'", choice)
            )

    def test_it_explains_every_placeholder(self) -> None:
        """The table has the placeholders that a template may use."""
        section = PAGE.split("### Placeholders")[1]
        rows = "".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE))
        assert re.findall(r"\{\{ (\w+) \}\}", rows) == list(PLACEHOLDERS)
