"""Resend: sends emails through the `resend` SDK, over persistent connections.

The SDK (2.52.0) has no retries, opens a connection per call unless it is given a client, keeps the key and the address
in module globals, and raises one family of errors whose `error_type` is Resend's own code
(https://resend.com/docs/api-reference/errors).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.request import getproxies

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError

from shared.core.errors import SendError
from shared.core.optional_imports import without
from shared.integrations.provider import CLOCK_SHARE, Accepted, Listed
from shared.integrations.resend_responses import accepted, accepted_batch, date, refusal, sent_emails

with without("httpx"):  # only the SDK's other client needs it
    import resend
    from resend.exceptions import NoContentError, ResendError
    from resend.http_client import HTTPClient

CONNECT_SHARE = 0.3


class _Connection(HTTPClient):
    """The SDK's HTTP client, with persistent connections and both timeouts."""

    def __init__(self, timeout: float, pool: int) -> None:
        self._timeout = (timeout * CONNECT_SHARE, timeout * (1 - CONNECT_SHARE))
        self._session = requests.Session()
        self._session.trust_env = bool(getproxies())  # looked up once, not for every request
        self._session.mount("https://", HTTPAdapter(pool_maxsize=pool))
        self._session.mount("http://", HTTPAdapter(pool_maxsize=pool))

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        json: dict[str, object] | list[object] | None = None,
        files: dict[str, Any] | None = None,
        data: dict[str, str] | None = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One exchange; the SDK calls this."""
        answer = self._session.request(
            method,
            url,
            headers=headers,
            json=json,
            data=data,
            files=files,
            timeout=self._timeout,
            allow_redirects=False,
        )
        return answer.content, answer.status_code, _own_headers(answer)

    def look(self, url: str) -> Mapping[str, str]:
        """The headers of the response to a small request, regardless of its status; raises requests.RequestException if
        none comes in time."""
        headers = {"Authorization": f"Bearer {resend.api_key}"}
        timeout = self._timeout[0] * CLOCK_SHARE, self._timeout[1] * CLOCK_SHARE
        return _own_headers(self._session.get(url, headers=headers, timeout=timeout, allow_redirects=False))


def _own_headers(answer: requests.Response) -> Mapping[str, str]:
    """A response's headers, without the date if it may come from a proxy: Resend responds in JSON, and its errors have
    a name."""
    try:
        said = answer.json()
    except requests.JSONDecodeError:
        said = None
    own = isinstance(said, dict) and (answer.status_code < 400 or "name" in said)
    return answer.headers if own else {name: value for name, value in answer.headers.items() if name.lower() != "date"}


class Resend:
    """The email provider.

    Args:
        api_key: Resend's key.
        api_url: where its API is.
        timeout: seconds for one request, including connecting.
        pool: the maximum number of connections to keep.
    """

    def __init__(self, api_key: str, api_url: str, *, timeout: float = 10, pool: int = 16) -> None:
        resend.api_key = api_key
        resend.api_url = api_url.rstrip("/")
        self._connection = resend.default_http_client = _Connection(timeout, pool)

    def send(self, email: dict[str, Any], *, key: str) -> Accepted:
        """Send one email.

        Args:
            email: the request's body, in Resend's form.
            key: the idempotency key.

        Raises:
            SendError: if it was not, or may not have been, accepted.
        """
        try:
            # a frozen request is plain JSON
            answer: Any = resend.Emails.send(email, {"idempotency_key": key})  # type: ignore[arg-type]
        except (ResendError, NoContentError) as error:
            _refuse(error)
        return accepted(answer)

    def send_batch(self, emails: list[dict[str, Any]], *, key: str, permissive: bool) -> Accepted:
        """Send up to 100 emails in one request. Parameters and errors as for `send`, and:

        Args:
            permissive: Resend accepts the valid emails and names the others
                (https://resend.com/changelog/batch-validation-modes), instead of all or none.
        """
        options: Any = {"idempotency_key": key, "batch_validation": "permissive" if permissive else "strict"}
        try:
            answer: Any = resend.Batch.send(emails, options)  # type: ignore[arg-type]  # as above
        except (ResendError, NoContentError) as error:
            _refuse(error)
        return accepted_batch(answer, len(emails))

    def listed(self, after: str | None = None) -> tuple[list[Listed], bool]:
        """A page of the emails that were sent, the newest first
        (https://resend.com/docs/api-reference/emails/list-emails).

        Args:
            after: the id to continue after; None for the first page.

        Returns:
            Up to 100 emails, and whether there are older ones.

        Raises:
            SendError: if Resend does not say.
        """
        try:
            answer: Any = resend.Emails.list({"limit": 100, "after": after} if after else {"limit": 100})
        except (ResendError, NoContentError) as error:
            _refuse(error)
        return sent_emails(answer)

    def time(self) -> int | None:
        """The time by Resend's clock, in milliseconds since 1970 UTC; None if it does not say.

        An error response says it, too."""
        try:
            return date(self._connection.look(f"{resend.api_url}/domains"))
        except requests.RequestException:
            return None


def _refuse(error: ResendError | NoContentError) -> NoReturn:
    """Sort an error by what is known: definitely not accepted, or possibly accepted."""
    if isinstance(error, NoContentError):
        raise SendError("ambiguous", "Resend's answer was empty") from None
    status, code = int(error.code or 500), error.error_type
    if code == "HttpClientError":
        if _never_connected(error.__context__):
            raise SendError("wait", "Resend could not be reached") from None
        raise SendError("ambiguous", "Resend did not answer") from None
    raise refusal(status, code, str(error.message), error.headers) from None


def _never_connected(error: BaseException | None) -> bool:
    """Whether the request cannot have left: no connection, no host name, or no trusted certificate."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if isinstance(error, requests.exceptions.ConnectionError) and error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(reason, urllib3.exceptions.SSLError) and reason.args:
        return isinstance(reason.args[0], ssl.SSLCertVerificationError)
    return isinstance(reason, NewConnectionError | NameResolutionError)
