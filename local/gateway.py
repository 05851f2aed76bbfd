"""The local stack's gateway: every function of stack.yml, served by the deployed code, and the demo website."""

from __future__ import annotations

import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from local import site, stack
from local.processes import die_with_parent
from shared import serve
from shared.core import log
from shared.core.settings import load
from shared.core.startup import or_exit
from shared.web import server

FUNCTIONS = ("function", "webhook", *serve.AT_THE_ROOT, serve.CONFIRM)


def with_site(functions: WSGIApplication, website: WSGIApplication) -> WSGIApplication:
    """The functions at their URLs, and the website everywhere else.

    Args:
        functions: handles paths whose first part is one of FUNCTIONS.
        website: handles the rest.
    """

    def gateway(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        first = environ["PATH_INFO"].removeprefix("/").partition("/")[0]
        return (functions if first in FUNCTIONS else website)(environ, start_response)

    return gateway


def main() -> None:
    """Serve until SIGTERM."""
    with or_exit():
        settings = load()
        log.configure(settings.log_level)
        functions = serve.every_function()
        app = with_site(functions, site.create(settings, stack.place(os.environ), functions))
    # gunicorn's worker is a separate process and would hold the port for a while after its parent is killed.
    server.run(app, settings, apart=serve.group, post_fork=lambda arbiter, worker: die_with_parent(worker.ppid))


if __name__ == "__main__":
    main()
