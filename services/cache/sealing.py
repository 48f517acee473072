"""Values encrypted with a key of their scope's own (AES-256-GCM), with keys that can be changed.

A scope is a tenant, or a project or user of one. Its key is derived from a master key
(HKDF-SHA256, RFC 5869); the place is authenticated beside the value, so that none can be moved.
To change the master key, put a new one first: it encrypts from now on, the old ones still open
what they closed. A key that is taken away makes its values misses.
"""

import base64
import binascii
import os
from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12
KEYS_MAX = 8
KEY_ID_MAX = 255
SCOPE_KEYS_CACHED_MAX = 4_096


class SealingFailed(Exception):
    """Not closed with a key we hold, or not for this place."""


def parse_keys(text: str) -> dict[int, bytes]:
    """`id:base64,id:base64`, the first encrypts. Raises ValueError, which quotes no key."""
    keys: dict[int, bytes] = {}
    for piece in text.split(","):
        number, _, encoded = piece.strip().partition(":")
        try:
            key_id, key = int(number), base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            raise ValueError("wants id:base64 pairs with commas between") from None
        if not 1 <= key_id <= KEY_ID_MAX or key_id in keys or len(key) != KEY_BYTES:
            raise ValueError(f"wants ids from 1 to {KEY_ID_MAX}, each once, and 32-byte keys")
        keys[key_id] = key
    if len(keys) > KEYS_MAX:
        raise ValueError(f"takes {KEYS_MAX} keys at most")
    return keys


class Sealer:
    """Encrypts with the first of `keys`, opens with any."""

    def __init__(self, keys: dict[int, bytes], random: Callable[[int], bytes] = os.urandom) -> None:
        self._first = next(iter(keys))
        self._random = random

        @lru_cache(maxsize=SCOPE_KEYS_CACHED_MAX)
        def of_scope(key_id: int, tag: str) -> AESGCM:
            info = b"spendgate.cache.value/1" + tag.encode()
            derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info)
            return AESGCM(derived.derive(keys[key_id]))

        self._of_scope = of_scope

    def seal(self, place: str, body: bytes) -> tuple[int, bytes]:
        """The key's id and the closed body."""
        nonce = self._random(NONCE_BYTES)
        closed = self._of_scope(self._first, _tag(place)).encrypt(nonce, body, place.encode())
        return self._first, nonce + closed

    def open(self, place: str, key_id: int, body: bytes) -> bytes:
        """What was closed. Raises SealingFailed."""
        try:
            cipher = self._of_scope(key_id, _tag(place))
            return cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], place.encode())
        except (KeyError, InvalidTag, ValueError):
            raise SealingFailed from None


def _tag(place: str) -> str:
    """The scope's tag, between the braces of each of its places."""
    return place.partition("{")[2].partition("}")[0]
