"""Redis's errors, in a sentence for people: what is wrong, and what to do."""

from __future__ import annotations

import errno
import re
import ssl
from dataclasses import dataclass

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)


@dataclass(frozen=True)
class Reason:
    """Why Redis refuses or does not answer.

    Attributes:
        setting: the setting that may be wrong; "" if none.
        what: what is wrong, to follow the word "Redis".
        fix: what to do.
    """

    setting: str
    what: str
    fix: str


_DISK = "free some space on its disk; its log says what it could not write"
_WRONG = Reason(
    "REDIS_PASSWORD",
    "refuses the password",
    "put the one that Redis was started with (`requirepass`), or its user's, in REDIS_PASSWORD; in REDIS_URL, write # "
    "as %23, @ as %40 and % as %25",
)
_BY_WORD = {  # how Redis's errors begin (https://redis.io/docs/latest/develop/reference/protocol-spec/)
    "NOAUTH": Reason("REDIS_PASSWORD", "requires a password", "set REDIS_PASSWORD"),
    "HELLO must be called with": Reason("REDIS_PASSWORD", "requires a password", "set REDIS_PASSWORD"),
    "WRONGPASS": _WRONG,
    "invalid username-password pair": _WRONG,
    "MISCONF": Reason("", "cannot write to its disk", _DISK),
    "OOM": Reason(
        "",
        "is full",
        "give it more memory (maxmemory), or remove what fills it, such as a flood of sign-ups: "
        "`evergreen purge --since 2h --unconfirmed`",
    ),
    "BUSY": Reason("", "is busy with a script", "wait a moment; if it stays busy, end the script: SCRIPT KILL"),
    "READONLY": Reason("REDIS_URL", "is a replica, which takes no writes", "name the primary in REDIS_URL"),
    "LOADING": Reason("", "is still loading its data", "wait until it has started"),
    "NOREPLICAS": Reason("", "is waiting for its replicas", "start them, or change min-replicas-to-write"),
    "DB index is out of range": Reason(
        "REDIS_URL", "has no database with that number", "correct the number at the end of REDIS_URL, such as /0"
    ),
}
_BY_TYPE = {
    AuthenticationError: _BY_WORD["WRONGPASS"],
    OutOfMemoryError: _BY_WORD["OOM"],
    ReadOnlyError: _BY_WORD["READONLY"],
    BusyLoadingError: _BY_WORD["LOADING"],
    TimeoutError: Reason(
        "REDIS_URL",
        "does not answer in time",
        "check whether it is busy, or a firewall blocks it; without TLS, write redis:// in REDIS_URL",
    ),
}
_SILENT = Reason("REDIS_URL", "does not answer", "start it, correct REDIS_URL, or allow this machine to reach it")
_REFUSED = Reason("", "refuses the request", "its own log says why")
_NO_SUCH_HOST = Reason("REDIS_URL", "is not found: its host name is unknown", "correct the name in REDIS_URL")
_CERTIFICATE = Reason(
    "REDIS_URL",
    "has a certificate that is not trusted",
    "use the name in the certificate, or name its authority's: rediss://...?ssl_ca_certs=/path/ca.pem",
)
_FILE = Reason(
    "REDIS_URL",
    "is not reached: the socket or certificate that REDIS_URL names is missing, unreadable or of another kind",
    "correct its path, and let this program read it",
)
_CLOSED = Reason(
    "REDIS_URL",
    "closes the connection at once",
    "if it uses TLS, write rediss:// in REDIS_URL; if it does not, redis://",
)


def is_denied(error: Exception) -> bool:
    """Whether Redis does not let its user (ACL) do this, perhaps inside a script.

    Args:
        error: what redis-py raised.
    """
    return isinstance(error, ResponseError) and re.search(r"\b[Nn]o permissions to\b", str(error)) is not None


def _denied(text: str) -> Reason:
    if command := re.search(r"to run the '([a-z|]+)'", text):
        what, missing = f"run {command[1].replace('|', ' ').upper()}", f"+{command[1]}"
    elif "channel" in text:
        what, missing = "use RQ's channels", "&rq:*"
    else:
        what, missing = "use Evergreen's keys", "~eg:* ~rq:*"
    fix = f"allow it: ACL SETUSER and the user's name, then {missing} (docs/deploy.md has all that Evergreen needs)"
    return Reason("REDIS_URL", f"does not let its user {what}", fix)


def reason(error: RedisError | OSError) -> Reason:
    """Why a request to Redis failed.

    Args:
        error: what redis-py raised.
    """
    text = str(error).rpartition("of pipeline caused error: ")[2]
    if is_denied(error):
        return _denied(text)
    for word, known in _BY_WORD.items():
        if text.startswith(word):
            return known
    for kind, known in _BY_TYPE.items():
        if isinstance(error, kind):
            return known
    if type(error.__context__).__name__ == "gaierror":  # of `socket`, which only modules that connect may import
        return _NO_SUCH_HOST
    if "CERTIFICATE_VERIFY_FAILED" in text or isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return _CERTIFICATE
    if isinstance(error.__context__, OSError) and error.__context__.errno in (errno.ENOENT, errno.EACCES):
        return _FILE
    if re.search(r"\[X509|PEM lib", text):
        return _FILE
    if "SSL" in text or "Connection closed by server" in text or "reset by peer" in text:
        return _CLOSED
    return _REFUSED if isinstance(error, ResponseError) else _SILENT


def explained(error: RedisError | OSError) -> str:
    """Why a request to Redis failed and what to do, in one sentence.

    Args:
        error: what redis-py raised.
    """
    why = reason(error)
    return f"Redis {why.what}; {why.fix}"
