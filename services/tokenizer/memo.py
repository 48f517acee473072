"""Counts seen before, by a keyed hash of what was counted. No text is kept.

What is remembered is a whole field or a whole message: inside a text counts do not add up
(count(a) + count(b) is not count(ab)), between fields of a prompt they do.
"""

import hashlib
import threading
from collections import OrderedDict
from typing import Final, Generic, TypeVar

ValueT = TypeVar("ValueT")

KEY_BYTES: Final = 32
_DIGEST_BYTES: Final = 16


class Memo(Generic[ValueT]):
    """The most recently used `entries_max` values; safe to use from several threads.

    `key` keeps a stranger from finding out, or forging, what was counted: 32 random bytes of
    this process. An entry takes about 200 bytes.
    """

    def __init__(self, entries_max: int, key: bytes) -> None:
        self._entries_max = entries_max
        self._seeded = hashlib.blake2b(key=key, digest_size=_DIGEST_BYTES)
        self._entries: OrderedDict[bytes, ValueT] = OrderedDict()
        self._lock = threading.Lock()

    def digest(self, kind: bytes, content: bytes) -> bytes:
        """What stands for `content`, counted in the way that `kind` names."""
        hashing = self._seeded.copy()
        hashing.update(b"%d:" % len(kind))
        hashing.update(kind)
        hashing.update(content)
        return hashing.digest()

    def get(self, digest: bytes) -> ValueT | None:
        """The value put for a digest, unless it was forgotten."""
        with self._lock:
            value = self._entries.get(digest)
            if value is not None:
                self._entries.move_to_end(digest)
            return value

    def put(self, digest: bytes, value: ValueT) -> None:
        """Remembers; the least recently used goes when there are too many."""
        with self._lock:
            self._entries[digest] = value
            self._entries.move_to_end(digest)
            if len(self._entries) > self._entries_max:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)
