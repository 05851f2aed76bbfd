"""Where the time goes: `python -m benchmarks.profile [webhook|send|batch] [--times 200] [--lines 25]`.

One process, one Valkey with `appendfsync always`, the deliver stub; no gateway and nothing at the same time, so that a
stage takes what it costs. Each path runs twice: once under a watch that notes every stage (milliseconds, calls, Redis
round trips, their share of the whole), and once under cProfile, which says in which function the time went.

- `webhook`: a sign-up through the function's own WSGI app, until its answer;
- `send`: RQ's worker, its job, the send function (called, without the HTTP hop between them) and the post to the
provider, email by email;
- `batch`: the same with many that are ready.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmarks import campaigns, provider, watching
from benchmarks.provider import Provider
from benchmarks.watching import Watch
from local import valkey

SIGN_UP = {
    "first_name": "Ada",
    "business_name": "Analytical Engines",
    "assessment_score": 45,
    "red_systems": 2,
    "orange_systems": 1,
}
WARM = 20


def _call(app: Any, path: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """One request to a WSGI app, without a server."""
    status: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()},
    }
    answer = app(environ, lambda line, *_: status.append(line))
    return int(status[0].split()[0]), b"".join(answer)


class Paths:
    """The two paths, in this process.

    Args:
        stub: takes the emails.
    """

    def __init__(self, stub: Provider) -> None:
        from scheduler import jobs
        from shared import serve, services

        self.app, self.stub, self.jobs, self.ledger, self._customers = (
            serve.every_function(),
            stub,
            jobs,
            services.ledger(),
            0,
        )
        # in place of the HTTP hop, which a server of its own would blur
        jobs._pool = lambda: self  # type: ignore[assignment]

    def request(self, method: str, url: str, *, body: str, headers: dict[str, str]) -> Any:
        """What the worker's HTTP client would do; called by `jobs._ask`."""
        import urllib3

        status, answer = _call(self.app, "/function/send-email", body.encode(), headers)
        return urllib3.HTTPResponse(body=answer, status=status)

    def sign_up(self, campaign: str) -> None:
        """One webhook."""
        self._customers += 1
        form = SIGN_UP | {"email": f"c{self._customers}@example.org"}
        status, answer = _call(self.app, f"/webhook/{campaigns.TRIGGERS[campaign]}", json.dumps(form).encode())
        assert status == 202, answer

    def send_all(self) -> None:
        """What the worker does until the queue is empty."""
        from rq import Queue

        from scheduler.rq_schedule import QUEUE, Job
        from scheduler.worker import Worker
        from shared import services

        connection = services.connect(services.current_settings(), decode=False)
        queue = Queue(QUEUE, connection=connection, job_class=Job)
        Worker([queue], connection=connection, job_class=Job, log_job_description=False).work(
            burst=True, logging_level="ERROR"
        )


@contextmanager
def _environment(stub: Provider, server: valkey.Valkey, directory: Path, batches: bool) -> Iterator[None]:
    """This process's settings for the length of a `with` block; the functions read them when they are loaded."""
    wanted = {
        "CAMPAIGNS_DIR": str(campaigns.write(directory / "campaigns")),
        "LOG_LEVEL": "ERROR",
        "REDIS_URL": server.url,
        "REDIS_PASSWORD": server.password,
        "RESEND_API_URL": stub.url,
        "RESEND_BATCH_ABOVE": "0" if batches else "1000000",
        "RESEND_RATE": "100000",
        "POSTAL_ADDRESS": "1 Main Street, Springfield",
        "RESEND_FROM_EMAIL": "hello@evergreen.example.org",
        "WEBHOOK_RATE_PER_IP": "100000/second",
        "WEBHOOK_RATE_PER_ADDRESS": "1000/hour",
        **dict.fromkeys(
            ("CALCOM_WEBHOOK_SECRET", "CALENDLY_SIGNING_KEY", "CONSOLE_PASSWORD", "INTERNAL_TOKEN", "OPERATOR_TOKEN"),
            "operator-5c2e9a7f1b",
        ),
        "RESEND_API_KEY": "re_made_up",
        "UNSUBSCRIBE_KEY": "unsubscribe-4d1f7a9c3e8b2056f1a3",
        "RESEND_WEBHOOK_SECRET": "whsec_" + "bWVhc3VyZWQsIGFuZCBub2JvZHkncyBvd24=",
        "NOTION_TOKEN": "",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _measured(
    what: str,
    prepare: Callable[[], None],
    run: Callable[[], None],
    over: Callable[[Watch], None],
    times: int,
    lines: int,
) -> None:
    """Run a path under the watch, then under cProfile; `run` does all `times`."""
    watch = Watch()
    prepare()
    over(watch)
    watching.redis(watch)
    began = time.perf_counter()
    run()
    seconds = time.perf_counter() - began
    watch.stop()
    watch.show(what, times, seconds)
    prepare()
    profiler = cProfile.Profile()
    profiler.runcall(run)
    print(f"cProfile, {times} times; by time in the function itself:")
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(lines)


def measure(what: str, times: int, lines: int) -> None:
    """Measure one path.

    Args:
        what: `webhook`, `send` or `batch`.
        times: how many webhooks or emails.
        lines: of cProfile's list.
    """
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        provider.serve(Path(name)) as stub,
        valkey.serve(Path(name) / "valkey", password="made-up") as server,  # noqa: S106 - for this run
        _environment(stub, server, Path(name), batches=what == "batch"),
    ):
        paths = Paths(stub)

        def sign_up(campaign: str, count: int) -> None:
            for _ in range(count):
                paths.sign_up(campaign)

        if what == "webhook":
            sign_up("later", WARM)
            _measured("a webhook", lambda: None, lambda: sign_up("later", times), watching.webhook, times, lines)
            return
        sign_up("once", WARM)
        paths.send_all()
        _measured(f"an email ({what})", lambda: sign_up("once", times), paths.send_all, watching.send, times, lines)


def main() -> None:
    """Measure what is asked for; each path in a process of its own, because the functions read their settings once."""
    import subprocess
    import sys

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["webhook", "send", "batch"])
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--lines", type=int, default=25)
    asked = parser.parse_args()
    if asked.what:
        return measure(asked.what, asked.times, asked.lines)
    for what in ("webhook", "send", "batch"):
        argv = [
            sys.executable,
            "-m",
            "benchmarks.profile",
            what,
            "--times",
            str(asked.times),
            "--lines",
            str(asked.lines),
        ]
        subprocess.run(argv, check=True)
    return None


if __name__ == "__main__":
    main()
