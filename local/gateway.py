"""The local stack's gateway: every function of stack.yml, served by the very code that is deployed, and a welcome page at `/`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug import Response

from local import stack, welcome
from local.processes import die_with_parent
from shared import log, serve
from shared.settings import load


def with_welcome(functions: WSGIApplication, page: str) -> WSGIApplication:
    """The functions, and a page where they have nothing.

    Args:
        functions: what answers everything but `/`.
        page: HTML.
    """

    def gateway(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/":
            return Response(page, mimetype="text/html")(environ, start_response)
        return functions(environ, start_response)

    return gateway


def main() -> None:
    """Serve until SIGTERM."""
    settings = load()
    log.configure(settings.log_level)
    where = stack.place(os.environ)
    sandbox_url = where.sandbox_url if settings.resend_api_url.startswith(where.sandbox_url) else None
    app = with_welcome(serve.every_function(), welcome.page(where.url, sandbox_url))
    # gunicorn's worker is a process of its own and would hold the port for a while after its parent was killed.
    serve.run(app, settings, post_fork=lambda arbiter, worker: die_with_parent(worker.ppid))


if __name__ == "__main__":
    main()
