"""The texts that the owner writes in Notion, as Redis holds them: for each template, the last good one.

The scheduler writes them; sending reads them here and never asks Notion. A name is `<campaign>/<template id>`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from redis.client import Pipeline

from shared.ledger.client import Ledger

SOURCES = "eg:templates"  # a hash: name to source
VERSION = "eg:templates:version"  # grows with each change
REJECTED = "eg:templates:rejected"  # a hash: name to what is wrong, in a sentence
PUSHED = "eg:templates:pushed"  # a hash: name to the digest of what `templates push` last wrote


class TemplateTexts:
    """The owner's texts in Redis.

    Args:
        ledger: where they are stored.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._redis = ledger.redis

    def _hash(self, key: str) -> dict[str, str]:
        return cast(dict[str, str], self._redis.hgetall(key))  # the client decodes, which its types cannot say

    def version(self) -> str:
        """A value that changes with every change of a text; cheap to read."""
        return str(self._redis.get(VERSION) or "0")

    def sources(self) -> dict[str, str]:
        """Each template's last good source, by name."""
        return self._hash(SOURCES)

    def rejected(self) -> dict[str, str]:
        """Why an edit was not accepted, in a sentence, by the template's name."""
        return self._hash(REJECTED)

    def pushed(self) -> dict[str, str]:
        """Digests of the texts that `templates push` wrote, by name."""
        return self._hash(PUSHED)

    def accept(self, name: str, source: str) -> None:
        """Store the last good text."""
        self._change(lambda pipe: pipe.hset(SOURCES, name, source))

    def withdraw(self, name: str) -> None:
        """Remove the text, so that the file goes out again."""
        self._change(lambda pipe: pipe.hdel(SOURCES, name))

    def _change(self, write: Callable[[Pipeline], object]) -> None:
        with self._redis.pipeline() as pipe:
            write(pipe)
            pipe.incr(VERSION)
            pipe.execute()

    def reject(self, sentences: Mapping[str, str]) -> dict[str, str]:
        """Replace the list of what is wrong; the last good texts stay in use.

        Returns the sentences that are new."""
        before = self.rejected()
        with self._redis.pipeline() as pipe:
            pipe.delete(REJECTED)
            for name, sentence in sentences.items():
                pipe.hset(REJECTED, name, sentence)
            pipe.execute()
        return {name: sentence for name, sentence in sentences.items() if before.get(name) != sentence}

    def push(self, name: str, digest: str) -> None:
        """Remember what was pushed."""
        self._redis.hset(PUSHED, name, digest)
