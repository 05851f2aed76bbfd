"""A person's decisions about an enrollment, a step or all sending.

Used by the console, the API, the command line and Notion's Pause."""

from __future__ import annotations

from dataclasses import dataclass

from shared.core import log
from shared.core.errors import ActionError
from shared.core.settings import Settings
from shared.domain.catalog import Catalog
from shared.domain.enrollments import Enrollment
from shared.domain.states import EnrollmentState, StepState
from shared.ledger import ids
from shared.ledger.client import Ledger
from shared.ledger.listing import Listing
from shared.operations.resumption import resume_order

STOPPED = "stopped manually"
_logger = log.logger("enrollment-actions")


@dataclass(frozen=True)
class EnrollmentActions:
    """The operator's decisions. Each is one ledger script: safe beside a release or a send at the same instant.

    Every method returns the enrollment's state afterwards. It raises ActionError if there is no such enrollment, or if
    the decision does not fit.
    """

    ledger: Ledger
    catalog: Catalog
    settings: Settings

    def pause(self, enrollment: str) -> str:
        """Hold an enrollment: none of its emails is claimed from now on."""
        return self._decided("pause", enrollment, self.ledger.pause(enrollment), fits=(EnrollmentState.PAUSED,))

    def resume(self, enrollment: str, *, catch_up: bool = False) -> str:
        """Resume a paused enrollment.

        Args:
            enrollment: the enrollment's id.
            catch_up: keep the original dates, and send missed emails one a day; otherwise the remaining emails move by
                the length of the pause.
        """
        run = self._run(enrollment)
        if run.state != EnrollmentState.PAUSED or run.paused_at is None:
            raise ActionError(f"{enrollment} is {run.state}, not paused")
        order = resume_order(
            run, run.paused_at, catch_up=catch_up, ledger=self.ledger, catalog=self.catalog, settings=self.settings
        )
        fits = (EnrollmentState.ACTIVE, EnrollmentState.COMPLETED, EnrollmentState.FAILED)
        return self._decided("resume", enrollment, self.ledger.resume(order), fits=fits)

    def cancel(self, enrollment: str) -> str:
        """End an enrollment for good."""
        return self._decided(
            "cancel",
            enrollment,
            self.ledger.cancel(enrollment, "cancelled manually"),
            fits=(EnrollmentState.CANCELLED,),
        )

    def skip(self, enrollment: str, step: int) -> str:
        """Skip one step that is waiting, failed or in doubt.

        A request that was already sent is not recalled."""
        self._step(enrollment, step)
        state = self.ledger.skip(enrollment, step, "skipped manually", ended=True)
        if state != StepState.SKIPPED:
            raise ActionError(f"step {step} of {enrollment} is {state}")
        return self._decided("skip", enrollment, self._run(enrollment).state)

    def send_now(self, enrollment: str, step: int) -> str:
        """Send one step now, before its time and ahead of the queue."""
        return self._answered("send-now", enrollment, self.ledger.hurry(enrollment, step))

    def retry(self, enrollment: str, step: int, *, as_new: bool = False, whole_batch: bool = False) -> str:
        """Retry a step that failed or is in doubt.

        Args:
            enrollment: the enrollment's id.
            step: the step's number.
            as_new: send it as a new email even though the first may have arrived.
            whole_batch: retry every email in doubt that was posted in the same request. Those that may be sent are; for
                the others, ActionError says why not.
        """
        if whole_batch:
            self._retry_batch(self.batch(enrollment, step), as_new)
            return self._decided("retry-batch", enrollment, self._run(enrollment).state)
        return self._answered("retry", enrollment, self.ledger.retry(enrollment, step, as_new=as_new))

    def batch(self, enrollment: str, step: int) -> list[str]:
        """The ids of the emails in doubt that were posted in the same request as this one, its own first."""
        self._step(enrollment, step)
        found, own = self._run(enrollment).step(step), ids.email_id(enrollment, step)
        if found.state != StepState.IN_DOUBT:
            raise ActionError(
                f"{enrollment}: the step is {found.state}; only an email in doubt can be retried with its batch"
            )
        others = Listing(self.ledger).doubts_of(found.frozen) if found.frozen else []
        return [own, *(id for id in others if id != own)]

    def _retry_batch(self, emails: list[str], as_new: bool) -> None:
        obstacles: dict[str, list[str]] = {}
        for id in emails:
            enrollment, step = ids.parse_email_id(id)
            obstacle = self.ledger.retry(enrollment, step, as_new=as_new)
            if (
                obstacle and self.ledger.peek(enrollment, step).state == StepState.IN_DOUBT
            ):  # else it went with an earlier one
                obstacles.setdefault(obstacle, []).append(id)
        if left := sum(map(len, obstacles.values())):
            reasons = "; ".join(f"{', '.join(names)}: {obstacle}" for obstacle, names in obstacles.items())
            raise ActionError(
                f"{len(emails) - left} of {len(emails)} emails are being retried; these are not: {reasons}"
            )

    def stop_sending(self, reason: str = STOPPED) -> None:
        """Stop all email until `start_sending`."""
        self.ledger.stop_sending(reason)
        _logger.warning("sending.stopped", reason=reason)

    def start_sending(self) -> None:
        """Start sending again after any stop."""
        self.ledger.start_sending()
        _logger.warning("sending.started")

    def _run(self, enrollment: str) -> Enrollment:
        run = self.ledger.enrollment(enrollment)
        if run is None:
            raise ActionError(f"there is no enrollment {enrollment!r}; `evergreen list` shows them")
        return run

    def _step(self, enrollment: str, step: int) -> None:
        if step not in [known.number for known in self._run(enrollment).steps]:
            raise ActionError(f"{enrollment} has no step {step}")

    def _answered(self, decision: str, enrollment: str, obstacle: str) -> str:
        if obstacle:
            raise ActionError(f"{enrollment}: {obstacle}")
        return self._decided(decision, enrollment, self._run(enrollment).state)

    def _decided(
        self, decision: str, enrollment: str, state: EnrollmentState | None, *, fits: tuple[EnrollmentState, ...] = ()
    ) -> str:
        if state is None:
            raise ActionError(f"there is no enrollment {enrollment!r}; `evergreen list` shows them")
        if fits and state not in fits:
            raise ActionError(f"{enrollment} is {state}")
        _logger.info("steered", decision=decision, enrollment=enrollment, state=state)
        return state
