"""The contenders: which processes each has, and under which settings it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
ENVIRONMENTS = Path(".local/peers")


@dataclass(frozen=True)
class Contender:
    """One of them.

    Attributes:
        name: as in the table.
        folder: below this one, with `app.py` and `requirements.txt`; also its virtual environment's name.
        workers: what sends and schedules: programs of its environment, with arguments.
        settings: in words.
        environ: added to the environment of its processes.
        share: the part of the customers that it gets, where all would take hours.
        rounds: how many rounds it takes part in, at most.
        prepare: commands that run once, after the server and before the workers.
        server: what runs beside the workers and is not killed.
    """

    name: str
    folder: str
    workers: tuple[tuple[str, ...], ...]
    settings: str
    environ: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    rounds: int = 99
    prepare: tuple[tuple[str, ...], ...] = ()
    server: tuple[str, ...] = ()

    @property
    def environment(self) -> Path:
        """Its virtual environment."""
        return (ENVIRONMENTS / self.folder).resolve()

    @property
    def path(self) -> str:
        """What its processes import from."""
        return f"{FOLDER / 'common'}:{FOLDER / self.folder}"

    def command(self, program: tuple[str, ...]) -> list[str]:
        """A program of its environment."""
        return [str(self.environment / "bin" / program[0]), *program[1:]]


_RQ_WORKER = (
    "rq",
    "worker",
    "--worker-class",
    "rq.worker.SimpleWorker",
    "--logging_level",
    "WARNING",
    "--url",
    "{redis}",
    "default",
)
_PREFECT = {
    "PREFECT_API_URL": "http://127.0.0.1:{spare}/api",
    "PREFECT_HOME": "{directory}/prefect",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_UI_ENABLED": "false",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
}

CONTENDERS = (
    Contender("floor", "floor", (("python", str(FOLDER / "floor" / "app.py")),), "one asyncio process, 16 connections"),
    Contender(
        "Celery 5.7",
        "celery",
        (("celery", "-A", "app", "worker", "--loglevel", "WARNING"),),
        "as documented: prefork, one process for each core; no results",
    ),
    Contender(
        "Dramatiq 2.2",
        "dramatiq",
        (("dramatiq", "app", "--processes", "2", "--threads", "8"),),
        "2 processes of 8 threads; a dead worker is noticed after 5 s",
    ),
    Contender(
        "Huey 3.5",
        "huey",
        (
            (
                "huey_consumer",
                "app.huey",
                "--quiet",
                "--workers",
                "8",
                "--worker-type",
                "thread",
                "--delay",
                "0.01",
                "--max-delay",
                "0.1",
            ),
        ),
        "8 threads that poll each 10 to 100 ms; no results",
    ),
    Contender("arq 0.28", "arq", (("arq", "app.WorkerSettings"),), "50 jobs at once, polled each 20 ms; no results"),
    Contender(
        "rq-scheduler 0.14 + rq 3.0",
        "rq_scheduler",
        (("rqscheduler", "--url", "{redis}", "--interval", "1", "--quiet"), _RQ_WORKER, _RQ_WORKER),
        "polled each second instead of each minute; 2 SimpleWorkers",
    ),
    Contender(
        "Prefect 3.4",
        "prefect",
        (("prefect", "worker", "start", "--pool", "peer", "--type", "process", "--limit", "6"),),
        "a flow run for each email, on SQLite, 6 at once, polled each 2 s; one round, a hundredth of the customers: "
        "it takes minutes",
        environ=_PREFECT,
        share=0.01,
        rounds=1,
        server=("prefect", "server", "start", "--host", "127.0.0.1", "--port", "{spare}"),
        prepare=(
            ("prefect", "work-pool", "create", "peer", "--type", "process"),
            ("python", str(FOLDER / "prefect" / "app.py")),
        ),
    ),
)
