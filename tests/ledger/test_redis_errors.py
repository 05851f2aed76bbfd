"""What a command says about each trouble with Redis: what is wrong and how to fix it, in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from local import valkey
from shared.ledger.redis_errors import reason
from tests.support.refusing import refusing
from tests.support.tls_server import tls
from tests.support.waiting import until


def said(url: str, ask: Callable[[Redis], object] = Redis.ping, **options: object) -> str:
    """What is said about a request to the Redis at an address."""
    with Redis.from_url(url, **options) as client, pytest.raises(RedisError) as caught:
        ask(client)
    found = reason(caught.value)
    assert found.fix and "Error" not in found.what + found.fix
    return found.what


@contextmanager
def busy(redis: Redis, server: valkey.Valkey) -> Iterator[None]:
    """Run a script that does not end, until the end of the block."""
    redis.config_set("busy-reply-threshold", "10")

    def is_busy() -> bool:
        try:
            redis.ping()
        except ResponseError:
            return True
        return False

    with ThreadPoolExecutor() as pool, Redis.from_url(server.url, password=server.password) as other:
        script = pool.submit(other.eval, "while true do end", 0)
        try:
            until(is_busy)
            yield
        finally:
            redis.script_kill()
            assert script.exception()
            redis.config_set("busy-reply-threshold", "5000")


class TestConnecting:
    """A Redis that cannot be reached, or that refuses the login."""

    def test_nothing_listens(self) -> None:
        """The port is closed."""
        assert said("redis://127.0.0.1:1/0") == "does not answer"

    def test_the_host_is_unknown(self) -> None:
        """The name is mistyped."""
        assert said("redis://redis.invalid:6379/0") == "is not found: its host name is unknown"

    def test_no_password(self, valkey_server: valkey.Valkey) -> None:
        """It requires one."""
        assert said(valkey_server.url) == "requires a password"

    def test_the_wrong_password(self, valkey_server: valkey.Valkey) -> None:
        """It refuses this one."""
        assert said(valkey_server.url, password="wrong") == "refuses the password"

    def test_a_database_that_does_not_exist(self, valkey_server: valkey.Valkey) -> None:
        """The number at the end of the address is too large."""
        url = valkey_server.url.rpartition("/")[0] + "/999"
        assert said(url, password=valkey_server.password) == "has no database with that number"

    def test_a_certificate_that_is_not_trusted(self, certificate: Path) -> None:
        """TLS, with a certificate of one's own."""
        with tls(certificate, lambda _: None) as url:
            assert said(url.replace("https", "rediss")) == "has a certificate that is not trusted"

    @pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
    @pytest.mark.parametrize("file", ["absent.pem", "empty.pem"])
    def test_a_certificate_that_cannot_be_read(self, certificate: Path, tmp_path: Path, option: str, file: str) -> None:
        """The address names a file that is not there, or holds no certificate."""
        (tmp_path / "empty.pem").touch()
        with tls(certificate, lambda _: None) as url:
            what = said(f"{url.replace('https', 'rediss')}?{option}={tmp_path / file}")
        assert what.startswith("is not reached: the socket or certificate that REDIS_URL names is missing")

    def test_a_socket_that_is_not_there(self, tmp_path: Path) -> None:
        """The path is wrong, or Redis is not running."""
        assert said(f"unix://{tmp_path}/none.sock").startswith("is not reached: the socket")

    def test_tls_is_expected(self, certificate: Path) -> None:
        """The address says redis://, and the server hangs up."""
        with tls(certificate, lambda _: None) as url:
            assert said(url.replace("https", "redis")) == "closes the connection at once"

    def test_tls_is_not_spoken(self, valkey_server: valkey.Valkey) -> None:
        """The address says rediss://, and both sides wait for each other."""
        url = valkey_server.url.replace("redis://", "rediss://")
        assert said(url, socket_timeout=0.2) == "does not answer in time"

    def test_it_takes_too_long(self, redis: Redis, valkey_server: valkey.Valkey) -> None:
        """It waits longer than the client does."""
        ask = said(
            valkey_server.url,
            lambda client: client.blpop(["nothing"], timeout=60),
            password=valkey_server.password,
            socket_timeout=0.1,
        )
        assert ask == "does not answer in time"


class TestRefusals:
    """A Redis that answers, and refuses."""

    @pytest.mark.parametrize(
        ("how", "what"),
        {
            "READONLY": "is a replica, which takes no writes",
            "NOREPLICAS": "is waiting for its replicas",
            "OOM": "is full",
            "MISCONF": "cannot write to its disk",
        }.items(),
    )
    def test_a_write(self, redis: Redis, valkey_server: valkey.Valkey, how: str, what: str) -> None:
        """Each way to take no writes has its own sentence."""
        with refusing(redis, how):
            assert said(valkey_server.url, lambda client: client.set("a", "b"), password=valkey_server.password) == what

    @pytest.mark.parametrize(
        ("ask", "what"),
        [
            (lambda client: client.get("eg:a"), "run GET"),
            (lambda client: client.config_get("save"), "run CONFIG GET"),
            (lambda client: client.pipeline().hget("eg:a", "b").execute(), "run HGET"),
            (lambda client: client.eval("return redis.call('INFO')", 0), "run INFO"),
            (lambda client: client.set("other", 1), "use Evergreen's keys"),
            (lambda client: client.eval("return redis.call('SET', 'other', 1)", 0), "use Evergreen's keys"),
            (lambda client: client.publish("rq:pubsub:a", "b"), "use RQ's channels"),
        ],
    )
    def test_a_user_with_too_few_rights(
        self, redis: Redis, valkey_server: valkey.Valkey, ask: Callable[[Redis], object], what: str
    ) -> None:
        """An ACL allows only some commands, keys and channels: what is missing is named, also within a script."""
        allowed = ["+ping", "+eval", "+set", "+publish", "+multi", "+exec"]
        redis.acl_setuser("poor", enabled=True, passwords=["+word"], keys=["eg:*"], commands=allowed)
        try:
            found = said(valkey_server.url, ask, username="poor", password="word")
        finally:
            redis.acl_deluser("poor")
        assert found == f"does not let its user {what}"

    def test_a_script_that_does_not_end(self, redis: Redis, valkey_server: valkey.Valkey) -> None:
        """Everything else waits for it."""
        with busy(redis, valkey_server):
            assert said(valkey_server.url, password=valkey_server.password) == "is busy with a script"

    def test_it_is_starting(self) -> None:
        """It reads its data first."""
        assert reason(BusyLoadingError("Redis is loading the dataset in memory")).what == "is still loading its data"

    def test_anything_else(self, redis: Redis, valkey_server: valkey.Valkey) -> None:
        """A refusal without a sentence of its own does not read as silence."""
        redis.set("text", "a")
        what = said(valkey_server.url, lambda client: client.lpush("text", 1), password=valkey_server.password)
        assert what == "refuses the request"
