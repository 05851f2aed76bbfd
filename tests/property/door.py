"""The public door in the property test: strangers sign up whom they like, owners of mailboxes confirm or do not, and
addresses bounce."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from shared.core.errors import TooManyRequests
from shared.domain.forms import SignUp
from shared.domain.visitors import Visitor
from shared.intake import confirming, delivery_events, enrolling
from shared.integrations.resend_events import DeliveryEvent
from shared.ledger import ids
from shared.ledger.contacts import Contacts
from shared.operations.suppressions import unsuppress
from tests.property.decisions import FORMS, PEOPLE, WHICH, pick
from tests.property.door_watch import told_of
from tests.property.losses import LedgersGetLost
from tests.property.refusals import may_be_refused
from tests.property.watched import HOUR
from tests.property.worker import Worker
from tests.property.workers import OUTCOMES, WAITS

STRANGERS = (*PEOPLE, "ada+news@example.org")  # the last one has the mailbox of the first
VISITORS = (
    Visitor("192.0.2.1", ("192.0.2.1",)),
    Visitor("192.0.2.2", ("192.0.2.2",)),
    Visitor("2001:db8::1", ("2001:db8::/64", "2001:db8::/56", "2001:db8::/48")),
)
LATER = st.sampled_from([0, 0, 0, 1, 25, 80, 169])  # hours: after the reminder, and after a week
WHO = st.sampled_from(STRANGERS)
LEAVES = st.sampled_from([None, None, None, "unsubscribed", "bounced"])


class StrangersCome(LedgersGetLost):
    """The rules of those who prove nothing, and of what proves it after all."""

    reports = 0  # how many the provider has made

    @rule(
        email=WHO,
        trigger=st.sampled_from(FORMS),
        visitor=st.sampled_from(VISITORS),
        first_name=st.sampled_from(["Mallory", "Mallory", "Ada", None]),
        business_name=st.sampled_from(["Engines", "Scams", None]),
        assessment_score=st.sampled_from([40, 90, None]),
        consent=st.sampled_from([None, True, True]),
        consent_text=st.sampled_from(["I agree", "I agree to all"]),
        email_1_status=st.sampled_from([None, None, "sent"]),
        times=st.sampled_from([1, 1, 1, 2, 4]),
    )
    @may_be_refused
    def a_stranger_signs_somebody_up(self, trigger: str, visitor: Visitor, times: int, **form: object) -> None:
        for _ in range(times):
            self._visit(form, trigger, visitor)

    @rule(
        email=WHO,
        visitor=st.sampled_from(VISITORS),
        trigger=st.sampled_from(FORMS),
        leaves=LEAVES,
        consent=st.sampled_from([None, True, True]),
    )
    @may_be_refused
    def a_stranger_follows_somebody(
        self, email: str, visitor: Visitor, trigger: str, leaves: str | None, consent: bool | None
    ) -> None:
        """The operator knows them, perhaps they have left, and then a stranger posts a form with their address."""
        known = {"email": email, "first_name": "Countess", "business_name": "Engines", "assessment_score": 40}
        self.sign_up(known | {"consent": True, "consent_text": "Yes"}, trigger)
        if leaves:
            self.rig.ledger.suppress(ids.digest(email), leaves)
        typed = {"first_name": "Mallory", "business_name": "Scams", "assessment_score": 90, "consent": consent}
        self._visit({"email": email, "consent_text": "I agree"} | typed, trigger, visitor)

    @rule(
        email=WHO,
        visitor=st.sampled_from(VISITORS),
        consent=st.sampled_from([None, True, True]),
        later=LATER,
        leaves=LEAVES,
    )
    @may_be_refused
    def the_owner_of_a_mailbox_signs_up_and_confirms(
        self, email: str, visitor: Visitor, consent: bool | None, later: float, leaves: str | None
    ) -> None:
        """At once, or after a while, and perhaps after leaving."""
        self._visit({"email": email, "business_name": "Engines", "consent": consent}, "course", visitor)
        self.rig.ask()
        links = [link for link in self.rig.watch.door.links if link[0] == ids.digest(email)]
        if leaves:
            self.rig.ledger.suppress(ids.digest(email), leaves)
        self.rig.forward(round(later * HOUR))
        for contact, since in links[-1:]:
            self._confirm(contact, since)

    @precondition(lambda self: self.rig.watch.door.links)
    @rule(which=WHICH, twice=st.booleans())
    @may_be_refused
    def somebody_opens_a_link(self, which: int, twice: bool) -> None:
        """The button of any email that asked, the latest or an old one."""
        for _ in range(1 + twice):
            self._confirm(*pick(self.rig.watch.door.links[::-1], which))

    @rule(outcome=OUTCOMES, retry_after=WAITS, calls=st.sampled_from([2, 3, 4, 99, 99, 99]))
    def a_worker_asks_for_confirmations(self, outcome: str, retry_after: int, calls: int) -> None:
        """It dies where it is, or all goes as the provider says."""
        worker = Worker("confirm", self.rig.ask)
        self.workers.append(worker)
        self._proceed(worker, calls, outcome, retry_after)
        if not worker.done:
            self.kill([worker])

    @precondition(lambda self: self.rig.provider.accepted)
    @rule(which=WHICH, what=st.sampled_from(["bounced", "bounced", "bounced", "complained", "unsubscribed"]))
    @may_be_refused
    def the_provider_reports_an_address(self, which: int, what: str) -> None:
        address = pick(self.rig.provider.accepted[::-1], which)["to"]
        self._report_address(address if isinstance(address, str) else address[0], what)

    @rule(first=WHO, second=WHO, visitor=st.sampled_from(VISITORS))
    @may_be_refused
    def a_first_email_bounces(self, first: str, second: str, visitor: Visitor) -> None:
        """Two addresses that nothing proves: the one bounces before the other got its first email."""
        self._visit({"email": first}, "notices", visitor)
        self.rig.see()
        self.rig.work_and_move_on()
        self._visit({"email": second}, "notices", visitor)
        self._report_address(first, "bounced")

    @rule(who=WHO, has_consent=st.booleans())
    @may_be_refused
    def the_operator_lifts(self, who: str, has_consent: bool) -> None:
        reasons = self.rig.watch.suppressed[ids.digest(who)]
        if has_consent or "unsubscribed" not in reasons:
            unsuppress(who, self.rig.ledger, has_consent=has_consent)

    @precondition(lambda self: not self.rig.watch.unknown)
    @rule(who=WHO, visitor=st.sampled_from(VISITORS), first=st.sampled_from(["nothing", "visit", "ask"]))
    @may_be_refused
    def somebody_is_forgotten(self, who: str, visitor: Visitor, first: str) -> None:
        """Nothing names them any longer, but the marks that keep them from getting emails."""
        contact = ids.digest(who)
        if first != "nothing":
            self._visit({"email": who, "consent": True}, "course", visitor)
        if first == "ask":
            self.rig.ask()
        Contacts(self.rig.ledger).forget(contact)
        self.rows = self.rows.without(contact)
        left = told_of(self.redis, contact, who)
        assert not left, f"after they were forgotten, {left} name them"

    def _visit(self, form: dict[str, object], trigger: str, visitor: Visitor) -> None:
        intake = self.intake
        vars(intake)["visitor"], vars(intake)["network"] = visitor, visitor.address
        with suppress(TooManyRequests):
            enrolling.sign_up(SignUp.model_validate(form), trigger=trigger, intake=intake)

    def _report_address(self, address: str, what: str) -> None:
        self.reports += 1
        event = DeliveryEvent(
            f"report-{self.reports}",
            what,  # type: ignore[arg-type]  # one of the reports
            self.rig.clock.now,
            address,
        )
        delivery_events.receive(event, self.rig.ledger)

    def _confirm(self, contact: str, since: int) -> None:
        door = self.rig.watch.door
        before = door.confirmations
        told = confirming.confirm(contact, since, self.intake)
        assert told or door.confirmations == before, f"{contact} confirms, and reads that the link has expired"
