"""`python -m local.backup [--to DIR] [--keep N]`: back up the local stack's ledger while it runs.

The copy is Valkey's own log, `appendonlydir`, made as in https://valkey.io/topics/persistence/ ("Backing up AOF
persistence"): no rewrite may start meanwhile. Writes during the copy may or may not be in it; Valkey drops a torn end
when it starts. docs/backup.md says how to restore one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from local import stack
from local.ports import HOST
from shared.core import env_file, settings
from shared.core.errors import EvergreenError, SettingsError
from shared.ledger.redis_errors import reason

LOG = "appendonlydir"
REWRITES = "auto-aof-rewrite-percentage"
USUAL = "100"  # Valkey's default; the stack's configuration does not change it
REWRITTEN_WITHIN = 300.0  # seconds
KEEP = 14


class BackupError(EvergreenError):
    """The backup failed."""


def make(redis: Redis, data: Path, to: Path, *, keep: int = KEEP) -> Path:
    """Copy the log of a running Valkey.

    Args:
        redis: a client for it that decodes responses.
        data: its directory.
        to: the folder for backups; each gets a folder named after its time (UTC).
        keep: how many of the newest to keep.

    Returns:
        The new folder; Valkey starts from `appendonlydir` in it.

    Raises:
        BackupError: if Valkey keeps rewriting its log, or was restarted meanwhile.
        RedisError: if Valkey does not respond.
    """
    made = to / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    unfinished = made.with_suffix(".unfinished")
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with _no_rewrite(redis):
            shutil.copytree(data / LOG, unfinished / LOG)
            if (data / LOG / "appendonly.aof.manifest").read_bytes() != (
                unfinished / LOG / "appendonly.aof.manifest"
            ).read_bytes():
                raise BackupError("Valkey started a new log during the copy. Try again.")
        _to_disk(unfinished)
        unfinished.rename(made)
    except OSError as error:
        raise BackupError(f"the copy failed: {error.strerror}: {error.filename}. Fix that and try again.") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for old in sorted(path for path in to.iterdir() if path.is_dir() and path.name.endswith("Z"))[:-keep]:
        shutil.rmtree(old)
    return made


@contextmanager
def _no_rewrite(redis: Redis) -> Iterator[None]:
    """Keep Valkey from rewriting its log; if this process dies, that lasts until the next backup or start of Valkey."""
    before = cast(dict[str, str], redis.config_get(REWRITES))[REWRITES]
    redis.config_set(REWRITES, "0")
    try:
        deadline = time.monotonic() + REWRITTEN_WITHIN
        while cast(dict[str, int], redis.info("persistence"))["aof_rewrite_in_progress"]:
            if time.monotonic() > deadline:
                raise BackupError("Valkey is busy rewriting its log. Try again later.")
            time.sleep(0.05)
        yield
    finally:
        with suppress(RedisError):  # a Valkey that stops forgets it by its next start
            redis.config_set(REWRITES, before if before != "0" else USUAL)


def _to_disk(folder: Path) -> None:
    """Make it survive a power cut."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def main() -> int:
    """Make a backup and print its path; returns the exit status."""
    try:
        owner = {**env_file.read(Path(os.environ.get("ENV_FILE", ".env"))), **os.environ}
        where = stack.place(owner)
        parser = argparse.ArgumentParser(
            prog="python -m local.backup", description=__doc__.splitlines()[2] if __doc__ else None
        )
        parser.add_argument(
            "--to", type=Path, default=where.directory / "backups", help="the folder for backups (default: %(default)s)"
        )
        parser.add_argument("--keep", type=int, default=KEEP, help="how many to keep (default: %(default)s)")
        asked = parser.parse_args()
        if asked.keep < 1:
            parser.error("--keep must be at least 1")
        password = settings.load(stack.environment(where, owner)).redis_password
        with Redis(
            HOST, where.valkey_port, password=password, decode_responses=True, retry=Retry(NoBackoff(), 0)
        ) as redis:
            made = make(redis, where.directory / "valkey", asked.to, keep=asked.keep)
    except RedisError as error:
        why = reason(error).what
        print(f"No backup: Valkey {why}. Start the stack with `make run`.", file=sys.stderr)
        return 1
    except (BackupError, SettingsError) as error:
        print(f"No backup: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    print(f"{made} ({size / 1e6:.1f} MB). docs/backup.md says how to restore it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
