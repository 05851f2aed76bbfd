"""Backups of the local stack: made while it works, restored after a loss."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from local import backup, stack, valkey
from local.trial import Trial, environ_for, start
from shared.core.stack_file import ROOT
from tests.support.waiting import WITHIN, until

SIGN_UP = {"first_name": "Ada", "assessment_score": 45, "red_systems": 2}
CUSTOMERS = 4
SINGLY = {"RESEND_BATCH_ABOVE": "1000000"}  # what went out singly must come again under the same key


def put_back(copy: Path, data: Path) -> None:
    """Lose Valkey's log, and put a copy in its place, as docs/backup.md says."""
    shutil.rmtree(data / backup.LOG)
    shutil.copytree(copy / backup.LOG, data / backup.LOG)


def begin(trial: Trial, environ: dict[str, str]) -> Path:
    """Four sequences, a backup in their middle, and at least six more emails after it; returns the copy."""
    trial.limit(resend=1000)
    for number in range(CUSTOMERS):
        assert trial.sign_up(SIGN_UP | {"email": f"c{number}@example.org"}) == 202
    until(lambda: trial.outbox_count() >= 8)
    worker = trial.pids()["worker"]
    os.kill(worker, signal.SIGSTOP)  # however long the backup takes, emails are left for afterwards
    made = subprocess.run(
        [sys.executable, "-m", "local.backup"], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    ).stdout
    copy = Path(made.partition(" (")[0])
    before = trial.outbox_count()
    os.kill(worker, signal.SIGCONT)
    until(lambda: trial.outbox_count() >= before + 6)
    return copy


def sent_once_each(trial: Trial) -> bool:
    """Whether every email of the four is there; fails where one came twice."""
    ids = trial.email_ids()
    assert len(ids) == len(set(ids))
    return len(ids) == CUSTOMERS * 7


def test_a_restored_backup_sends_the_rest_and_nothing_twice(tmp_path: Path) -> None:
    """Emails sent after the backup go to Resend again, unchanged and under their keys, and are recognized there."""
    environ = environ_for(tmp_path, TESTING_STEP="3s", PROVIDER_TIMEOUT="1s", **SINGLY)
    with start(environ) as trial:
        copy = begin(trial, environ)
    put_back(copy, tmp_path / "valkey")
    with start(environ) as trial:
        trial.limit(resend=2)  # Resend's own: without SINGLY, what is overdue would go in batches
        until(lambda: sent_once_each(trial))
        runs = [email_id.rpartition("-")[0] for email_id in trial.email_ids()]
        until(
            lambda: all(
                (run := trial.ledger().enrollment(name)) is not None and run.state == "completed" for name in runs
            )
        )
        again = [
            email_id
            for email_id, times in Counter(event["email_id"] for event in trial.events("email.sent")).items()
            if times == 2
        ]
        assert len(again) >= 6
        assert sent_once_each(trial)


def test_an_older_backup_sends_nothing_until_a_person_confirms(tmp_path: Path) -> None:
    """The fence was renewed since the backup: the copy waits for a person, and then nothing goes out twice."""
    environ = environ_for(tmp_path, TESTING_STEP="3s", PROVIDER_TIMEOUT="1s", **SINGLY)
    with start(environ) as trial:
        copy = begin(trial, environ)
        before = trial.redis().hget("eg:fence", "confirmed")
        os.kill(trial.pids()["valkey"], signal.SIGKILL)
        until(lambda: trial.healthy() and trial.redis().hget("eg:fence", "confirmed") != before)
    put_back(copy, tmp_path / "valkey")
    with start(environ) as trial:
        trial.limit(resend=2)  # Resend's own: without SINGLY, what is overdue would go in batches
        assert "fenced" in trial.line_with("PROBLEM")
        count = trial.outbox_count()
        taken = subprocess.run(
            [sys.executable, ROOT / "evergreen", "fence", "--take-over", "--yes"],
            env=environ | stack.environment(stack.place(environ), environ),
            capture_output=True,
            text=True,
            timeout=WITHIN,
        )
        assert (trial.outbox_count(), taken.returncode) == (count, 0), taken.stderr
        until(lambda: sent_once_each(trial))


class TestCopy:
    """Of a single Valkey."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[valkey.Valkey]:
        """A Valkey."""
        with valkey.serve(tmp_path / "valkey", password="secret") as found:
            yield found

    def client(self, server: valkey.Valkey) -> Redis:
        """A client of it."""
        return Redis.from_url(server.url, password=server.password, decode_responses=True)

    def test_it_holds_every_confirmed_write_and_no_half_of_a_script(
        self, server: valkey.Valkey, tmp_path: Path
    ) -> None:
        """Copied while scripts write two keys each: every confirmed script is there, and no half of another."""
        redis, done = self.client(server), threading.Event()
        redis.mset({f"{key}{number}": "x" * 1000 for number in range(20_000) for key in "ab"})
        pair = redis.register_script("redis.call('SET', KEYS[1], 'x'); redis.call('SET', KEYS[2], 'x')")

        def write() -> None:
            number = 20_000
            while not done.is_set():
                pair(keys=[f"a{number}", f"b{number}"])
                number += 1

        writing = threading.Thread(target=write)
        writing.start()
        try:
            until(lambda: bool(redis.exists("b20100")))
            confirmed = redis.dbsize() // 2
            copy = backup.make(redis, tmp_path / "valkey", tmp_path / "backups")
        finally:
            done.set()
            writing.join()
        shutil.copytree(copy, tmp_path / "again")
        with valkey.serve(tmp_path / "again", password="secret") as other, self.client(other) as put:
            held = put.dbsize() // 2
            assert held >= confirmed
            assert put.exists(*(f"{key}{number}" for number in range(held) for key in "ab")) == put.dbsize() == 2 * held

    def test_log_rewrites_resume_and_old_copies_are_deleted(self, server: valkey.Valkey, tmp_path: Path) -> None:
        """Two of three copies stay, readable for the owner alone, also where a backup before this one was killed
        half-way."""
        redis = self.client(server)
        redis.config_set(backup.REWRITES, "0")
        made = [backup.make(redis, tmp_path / "valkey", tmp_path / "backups", keep=2) for _ in range(3)]
        assert sorted((tmp_path / "backups").iterdir()) == made[1:]
        assert (tmp_path / "backups").stat().st_mode & 0o077 == 0
        assert redis.config_get(backup.REWRITES) == {backup.REWRITES: backup.USUAL}

    def test_a_failed_copy_leaves_nothing_behind(self, server: valkey.Valkey, tmp_path: Path) -> None:
        """It says why, half a copy does not stay, and Valkey rewrites its log again."""
        redis = self.client(server)
        with pytest.raises(backup.BackupError, match="the copy failed"):
            backup.make(redis, tmp_path / "elsewhere", tmp_path / "backups")
        assert list((tmp_path / "backups").iterdir()) == []
        assert redis.config_get(backup.REWRITES) == {backup.REWRITES: backup.USUAL}


def test_without_a_stack_it_says_so(tmp_path: Path) -> None:
    """One sentence and status 1."""
    ended = subprocess.run(
        [sys.executable, "-m", "local.backup"], cwd=ROOT, env=environ_for(tmp_path), capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("No backup: Valkey does not answer")
    assert ended.stderr.count("\n") == 1
