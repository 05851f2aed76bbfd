"""CSV files for tests of the import."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from shared.intake import csv_people
from shared.intake.csv_import import Import, Result
from shared.intake.csv_people import People
from tests.conftest import START
from tests.support.world import World

TRIGGER, CAMPAIGN = "christmas-assessment", "five-day"


def people(
    folder: Path,
    content: str | bytes,
    *,
    campaign: str | None = CAMPAIGN,
    name: str = "people.csv",
    zone: str = "UTC",
    now: int = START,
) -> People:
    """The people of a file with this content."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return csv_people.read(file, campaign=campaign, now=now, zone=zone)


def importing(world: World, found: People, trigger: str | None = TRIGGER, *, consent_on_file: bool = False) -> Import:
    """An import into this world."""
    return Import(found, world.intake, trigger, consent_on_file)


def bring(world: World, found: People, trigger: str | None = TRIGGER, *, consent_on_file: bool = False) -> list[Result]:
    """Import people, after a preview that must say the same."""
    planned = importing(world, found, trigger, consent_on_file=consent_on_file)
    before = _everything(world)
    previewed = list(planned.preview())
    assert _everything(world) == before
    done = list(planned.apply())
    assert done == previewed
    return done


def _everything(world: World) -> dict[str, bytes]:
    return {str(key): cast(bytes, world.redis.dump(key)) for key in cast(list[str], world.redis.keys())}


def addresses(found: People) -> list[str]:
    """Those of a file that can be used."""
    return [row.form.email for row in found]
