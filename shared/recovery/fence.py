"""The fence: of two copies of one ledger, only one may send.

The lease is kept outside Redis, in Notion, where both find it.

It is a random word in the description of the tracker's database, replaced every minute by the copy that sends. A copy
restored from a backup finds a word that is not its own, and stops. After a start of Redis nothing is sent before Notion
has confirmed the word, unless Notion is unreachable and this ledger was active less than five minutes ago.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.core import log
from shared.core.errors import FenceError, NotionError
from shared.core.settings import Settings
from shared.integrations.notion import Notion
from shared.integrations.notion_values import plain
from shared.ledger.alerts import Alerts
from shared.ledger.client import Ledger
from shared.ledger.fence_state import FenceState
from shared.notion import schema
from shared.notion.data_sources import locate
from shared.notion.schema import TRACKER
from shared.recovery import fence_word
from shared.recovery.fence_word import Description

RENEW_AFTER = 60_000  # milliseconds
TRUSTED_FOR = 300_000  # milliseconds for which an active ledger may continue while Notion is unavailable
SETTLES_IN = 1.0  # seconds after which a first word is read again: another copy may have written at the same instant
OTHER = "another copy of this ledger is sending. Stop one of the two; `evergreen fence --take-over` lets this one send"
UNKNOWN = (
    "Notion's tracker has enrollments that this Redis does not know. Run `evergreen restore`, or `evergreen fence "
    "--fresh` to begin again"
)
_logger = log.logger("fence")


@dataclass
class Fence:
    """Holds the lease, or detects that another copy does.

    Attributes:
        ledger: the copy that wants to send.
        settings: name the tracker.
        notion: holds the word.
    """

    ledger: Ledger
    settings: Settings
    notion: Notion
    sleep: Callable[[float], None] = time.sleep

    @property
    def _held(self) -> FenceState:
        return FenceState(self.ledger)

    def poll(self) -> None:
        """Renew the lease if it is time.

        Raises:
            NotionError: when Notion does not answer; whether sending may continue without it is decided first.
        """
        state, server, now = self._held.read(), self._held.server(), self.ledger.now()
        self._held.keep(on="1")
        starts = state.get("server") != server
        if state.get("why") in (OTHER, UNKNOWN) or (not starts and now - int(state.get("at", 0)) < RENEW_AFTER):
            self._beat(starts, now)
            return
        try:
            self._renew(state, server, now, starts=starts)
        except FenceError as error:
            self._stop(str(error))
        except NotionError as error:
            self._go_on_alone(state, server, now, error.reason, starts=starts)
            raise

    def claim(self) -> None:
        """Take the lease, even from another copy; overdue emails then go one by one, because another copy may have sent
        them.

        Raises NotionError."""
        description = fence_word.read(self.notion, self.settings)
        self._held.drop("steady")
        self._write(description, self._held.server(), takes_over=True)

    def _renew(self, state: dict[str, str], server: str, now: int, *, starts: bool) -> None:
        description = fence_word.read(self.notion, self.settings)
        word = description.word
        is_ours = word is not None and word in (state.get("confirmed"), state.get("pending"))
        if "confirmed" not in state and not is_ours:
            self._refuse_a_stranger()
        if word is not None and not is_ours:
            raise FenceError(OTHER)
        if word is not None and word != state.get("confirmed"):  # never confirmed here; the next one replaces it
            self._held.keep(confirmed=word)
        if starts:
            self._held.drop("steady")
        self._write(description, server, settles_in=SETTLES_IN if starts else 0)
        if not starts and not {"steady", "alone"} & set(state):  # another copy has had a minute to notice
            self._held.keep(steady=str(now + round(self.ledger.lease * 1000)))

    def _write(self, description: Description, server: str, *, settles_in: float = 0, takes_over: bool = False) -> None:
        """Write a new word: first here, then in Notion, so that it is known as ours even if the response is lost."""
        word = secrets.token_hex(8)
        self._held.keep(pending=word)
        self.notion.describe(description.database, description.with_word(word))
        if settles_in:
            self.sleep(settles_in)
            word = self._settled(word)
        now = str(self.ledger.now())
        taken = {"on": "1", "taken_over": now} if takes_over else {}
        self._held.keep("pending", "why", "alone", confirmed=word, server=server, at=now, beat=now, **taken)

    def _settled(self, word: str) -> str:
        """The word that stands in Notion after ours was written: another replica on the same Redis, which is not
        another copy, may have written last."""
        found, state = fence_word.read(self.notion, self.settings).word, self._held.read()
        if found not in (word, state.get("confirmed"), state.get("pending")):
            raise FenceError(OTHER)
        return found or word

    def _refuse_a_stranger(self) -> None:
        """A Redis that never held the lease may start only if it knows all enrollments in the tracker."""
        source = locate(self.notion, TRACKER, self.settings)
        id_name = schema.own_name("Enrollment ID", TRACKER, self.settings.notion_property_names)
        for row in self.notion.pages(source):
            run = plain(row["properties"].get(id_name))
            if run is None or not self.ledger.knows(run):
                raise FenceError(UNKNOWN)

    def _go_on_alone(self, state: dict[str, str], server: str, now: int, reason: str, *, starts: bool) -> None:
        """Notion is unavailable: the holder keeps the lease; after a start, sending continues if the ledger was active
        a moment ago."""
        recent = "confirmed" in state and now - int(state.get("beat", 0)) < TRUSTED_FOR
        if starts and recent:
            self._held.drop("steady")
            self._held.keep(server=server, beat=str(now), alone="1")
            _logger.warning(
                "fence.unconfirmed", why="Notion is unavailable; this ledger was active a moment ago, and continues"
            )
        elif not starts:
            self._held.keep(beat=str(now))
        else:
            why = f"nothing is sent before Notion has confirmed that no other copy is sending: {reason}"
            self._held.keep(why=why)
            Alerts(self.ledger).report("fence", why)

    def _stop(self, why: str) -> None:
        _logger.error("fence.lost", why=why)
        self._held.drop("server")
        Alerts(self.ledger).report("fence", why)
        self._held.keep(why=why)  # last: once it is there, this code is not reached again

    def _beat(self, starts: bool, now: int) -> None:
        if not starts:
            self._held.keep(beat=str(now))
