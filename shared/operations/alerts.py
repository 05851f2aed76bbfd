"""Notifying: sends the ledger's alerts to the owner: to Discord, else by email, else to the log.

At least once: an alert is sent again if the process dies before marking it as sent. Nothing here delays an email to a
contact.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.core import log
from shared.core.errors import AlertError, SendError
from shared.core.settings import Settings
from shared.domain.addresses import to_ascii
from shared.integrations.discord import Discord, Embed
from shared.ledger import ids
from shared.ledger.alerts import HOUR, Alert, Alerts
from shared.ledger.client import Ledger
from shared.ledger.health import MEMORY_LOW, Health, Problem, read_health
from shared.operations import alert_texts

if TYPE_CHECKING:  # importing it would load everything that sending needs
    from shared.integrations.provider import Provider

STAY_FOR = 2.5  # seconds that a notifier waits itself; Discord's window is two. After a longer pause it is called again
BUSY_AFTER = 30  # seconds, if the other side names none
REFUSALS = 5
DAY = 86_400  # seconds
SLOWEST_RATE = 2  # requests a second that every Resend account has
_logger = log.logger("alerts")


@dataclass
class Notifier:
    """What notifying needs.

    Without Discord, or after its webhook was deleted, alerts go to ALERT_EMAIL; without that, to the log.

    Attributes:
        ledger: holds the alerts.
        settings: where to send alerts, and the business's name.
        discord: the channel, if any.
        provider: sends the emails, if any.
        sleep: waits for seconds; tests replace it.
    """

    ledger: Ledger
    settings: Settings
    discord: Discord | None
    provider: Provider | None
    sleep: Callable[[float], None] = time.sleep
    _silent: bool = field(default=False, init=False)
    _warned: tuple[int, float] = field(default=(0, float("-inf")), init=False)  # how full (tenths), and when

    def watch(self) -> None:
        """Raise an alert when the scheduler is silent twice in a row (right after a start it may not have run yet), and
        when the ledger is filling up or full."""
        health = read_health(self.ledger)
        self._watch_scheduler(health)
        self._watch_memory(health)

    def _watch_memory(self, health: Health) -> None:
        """Alert at each further tenth of the memory from MEMORY_LOW on, and once a day while it stays there."""
        level = 10 if health.full else math.floor(health.memory_used * 10)
        before, at = self._warned
        if level < before - 1:  # it fell, and did not only go up and down around a tenth
            before = level
        if level >= MEMORY_LOW * 10 and (level > before or time.monotonic() - at >= DAY):
            used = f"{health.memory / 1_048_576:,.1f} of {health.memory_limit / 1_048_576:,.1f} MB are used."
            Alerts(self.ledger).report("full" if health.full else "memory", used)
            before, at = level, time.monotonic()
        self._warned = before, at

    def _watch_scheduler(self, health: Health) -> None:
        # on a full ledger it cannot report its heartbeat, and that the ledger is full is an alert of its own
        silent = Problem.SILENT in health.problems and not health.full
        if silent and self._silent:
            since = f"{health.tick_age // 1000} s ago" if health.tick_age is not None else "never"
            Alerts(self.ledger).report("silent", f"Its last heartbeat: {since}.")
        self._silent = silent

    def drain(self, seconds: float) -> int:
        """Send pending alerts, for at most this many seconds; returns how many."""
        alerts = Alerts(self.ledger)
        deadline, done = time.monotonic() + seconds, 0
        while time.monotonic() < deadline and (alert := alerts.take()):
            try:
                self._tell(alert)
            except AlertError as error:
                if self._put_back(alert, alerts, error):
                    return done
            else:
                alerts.told(alert)
                done += 1
        return done

    def _put_back(self, alert: Alert, alerts: Alerts, error: AlertError) -> bool:
        """Keep an alert for later; returns whether to leave the other side alone for longer than a notifier waits."""
        if error.kind == "gone":
            self._forget_discord(alerts, error)
            alerts.failed(alert, 0)
            return False
        wait = BUSY_AFTER if error.retry_after is None else error.retry_after
        failures = alerts.failed(alert, wait)
        subject = alert.subject or " ".join(alert.contacts)
        known = {"kind": alert.kind, "subject": subject, "detail": alert.detail, "why": error.reason}
        if error.kind == "refused" and failures >= REFUSALS:
            _logger.error("alert.dropped", **known)
            alerts.told(alert)
            return False
        _logger.warning("alert.delayed", **known, wait=wait)
        if error.kind == "busy" and wait <= STAY_FOR:
            self.sleep(wait)
        return error.kind == "busy" and wait > STAY_FOR

    def _tell(self, alert: Alert) -> None:
        embed = self._worded(alert)
        if embed is None:
            return
        if self.discord and not Alerts(self.ledger).is_given_up(self._webhook()):
            self.discord.post(embed)
        elif self.provider and self.settings.alert_email:
            self._email(alert, embed, self.provider)
        elif alert.kind == "alert":
            _logger.error("alert", cause=alert.subject, count=alert.count, detail=alert.detail)
        else:
            for contact in alert.contacts:
                _logger.info("lead", contact=contact)

    def _worded(self, alert: Alert) -> Embed | None:
        """The text; None for people who have since been forgotten."""
        if alert.kind == "alert":
            return alert_texts.alert(alert, self.settings)
        held = [contact for each in alert.contacts if (contact := self.ledger.contact(each))]
        known = [contact for contact in held if "email" in contact.fields]
        if not known:
            return None
        if len(known) == 1:
            return alert_texts.lead(known[0], self.settings)
        return alert_texts.leads(known, self.settings, delayed=alert.count > 0)

    def _email(self, alert: Alert, embed: Embed, provider: Provider) -> None:
        text = alert_texts.as_text(embed)
        email = {
            "from": to_ascii(self.settings.resend_from_email),
            "to": [to_ascii(self.settings.alert_email)],
            "subject": " ".join(embed.title.split()),
            "text": text,
        }
        # Versions restart once an alert is sent, and then it is quiet for an hour.
        key = f"notice-{alert.kind}-{alert.subject}-{alert.version}-{self.ledger.now() // HOUR}-{ids.digest(text)}"
        self._await_turn()
        try:
            provider.send(email, key=key)
        except SendError as error:
            if error.kind in ("refused", "rejected", "conflict", "closed"):
                raise AlertError("refused", error.reason) from None
            raise AlertError("busy", error.reason, error.retry_after) from None

    def _await_turn(self) -> None:
        """Take a turn at Resend beside the emails to contacts; AlertError if the turn is far off."""
        wait = self.ledger.pace("resend", self.settings.resend_rate or SLOWEST_RATE, longest=STAY_FOR)
        if wait < 0:
            raise AlertError("busy", "Resend is left alone for a while", -wait)
        self.sleep(wait)

    def _webhook(self) -> str:
        return ids.digest(self.settings.discord_webhook_url)

    def _forget_discord(self, alerts: Alerts, error: AlertError) -> None:
        """Report once that the webhook was deleted, and stop using it.

        The alert comes first, so that no crash can lose it."""
        _logger.error("discord.gone", why=error.reason)
        alerts.report("discord", error.reason)
        alerts.give_up(self._webhook())
