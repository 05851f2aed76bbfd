# mypy: ignore-errors
# Runs in a virtual environment of its own, whose packages the project's lacks.
"""Prefect 3: a scheduled flow run for each email, run by a process worker. `python app.py` registers the deployment."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import work
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Scheduled

_client = _deployment = None
_opening = asyncio.Lock()


@flow(name="send-email", retries=2, retry_delay_seconds=5)
def send_email(customer: int, step: int, due: float):
    """One email."""
    work.send(customer, step, due)


async def enroll(customer, dues):
    """Schedule a customer's emails."""
    global _client, _deployment
    async with _opening:
        if _client is None:
            _client = await get_client().__aenter__()
            _deployment = (await _client.read_deployment_by_name("send-email/peer")).id
    for step, due in enumerate(dues, 1):
        at = Scheduled(scheduled_time=datetime.fromtimestamp(due, UTC))
        await _client.create_flow_run_from_deployment(
            _deployment, parameters={"customer": customer, "step": step, "due": due}, state=at
        )


if __name__ == "__main__":
    source = flow.from_source(source=str(Path(__file__).parent), entrypoint="app.py:send_email")
    source.deploy(name="peer", work_pool_name="peer", ignore_warnings=True, print_next_steps=False)
