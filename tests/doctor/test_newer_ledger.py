"""Doctor on a ledger that belongs to a newer release."""

from __future__ import annotations

from shared.doctor import redis_checks
from shared.ledger import ids
from tests.support.world import SETTINGS, World


def test_a_newer_ledger_with_people_in_it_is_one_finding(world: World) -> None:
    """It names the ledger as the fault, and the other checks continue."""
    world.sign_up()
    world.redis.set(ids.VERSION, "99")
    found = list(redis_checks.redis(world.ledger, SETTINGS, world.clock))
    assert [finding.about for finding in found if finding.level == "fault" and finding.about == "ledger"] == ["ledger"]
