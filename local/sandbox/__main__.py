"""Run the sandbox: `python -m local.sandbox`, on 127.0.0.1.

Environment: `SANDBOX_PORT` (default 8090), `LOCAL_DIR` (where `sandbox.db` is kept; unset keeps everything in memory),
`SANDBOX_RESEND_WEBHOOK_URL` and `RESEND_WEBHOOK_SECRET` (if both are set, Resend's events are posted there).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from gunicorn.app.base import BaseApplication

from local.sandbox import app
from local.sandbox.state import State, open_state
from shared.core import log


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn comes without types
    """gunicorn with one worker, because limits, faults and keys in progress are in its memory.

    Args:
        port: the port to listen on; gunicorn reports an invalid one.
    """

    def __init__(self, port: str) -> None:
        self._port = port
        self._state: State | None = None
        super().__init__()

    def load_config(self) -> None:
        """gunicorn's hook: the configuration."""
        settings: dict[str, Any] = {
            "bind": f"127.0.0.1:{self._port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": 32,
            "keepalive": 75,
            "graceful_timeout": 5,
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "evergreen-sandbox",
            "post_worker_init": self._stop_holding_on_signal,
            "worker_exit": self._close,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """gunicorn's hook: the app, built in the worker, where its threads and its file belong."""
        directory = os.environ.get("LOCAL_DIR")
        self._state = open_state(
            Path(directory) if directory else None,
            os.environ.get("SANDBOX_RESEND_WEBHOOK_URL", ""),
            os.environ.get("RESEND_WEBHOOK_SECRET", ""),
        )
        return app.create(self._state)

    def _stop_holding_on_signal(self, worker: Any) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            if self._state:
                self._state.faults.stopping.set()
            worker.handle_exit(number, frame)

        signal.signal(signal.SIGTERM, stop)

    def _close(self, _arbiter: Any, _worker: Any) -> None:
        if self._state:
            self._state.close()


if __name__ == "__main__":
    log.configure(os.environ.get("LOG_LEVEL", "INFO"))
    Server(os.environ.get("SANDBOX_PORT") or "8090").run()
