"""The secrets of virtual keys: how they are made, and the only form they are kept in."""

import base64
import hmac
from collections.abc import Callable

PREFIX = "sg_"
SECRET_BYTES = 32
HINT_CHARS = 7
SECRET_CHARS_MAX = 128


def new_secret(random_bytes: Callable[[int], bytes]) -> str:
    """`sg_` and 43 URL-safe characters: 256 random bits."""
    return PREFIX + base64.urlsafe_b64encode(random_bytes(SECRET_BYTES)).decode().rstrip("=")


def secret_hash(pepper: bytes, secret: str) -> str:
    """HMAC-SHA256 under the pepper, in hex: worthless to who reads the database alone."""
    return hmac.digest(pepper, secret.encode(), "sha256").hex()


def hint_of(secret: str) -> str:
    """The first characters, to tell keys apart: 4 of 43 random ones."""
    return secret[:HINT_CHARS]


def same_hash(one: str, other: str) -> bool:
    """Compares in a time that tells nothing."""
    return hmac.compare_digest(one, other)
