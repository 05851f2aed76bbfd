"""Whether a proof is right. Each secret may be two values while it is replaced, so a proof is checked against both."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


def is_one_of(given: str, accepted: Sequence[str]) -> bool:
    """Whether a secret or a signature is one of those accepted; takes the same time whatever was given.

    Digests are compared, so not even the length shows. Every value is compared, so neither does which one it was.

    Args:
        given: what someone showed.
        accepted: the right ones; an empty one never counts.
    """
    return any([hmac.compare_digest(_digest(given), _digest(right)) for right in accepted if right])


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
