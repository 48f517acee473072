"""An issuer's public keys: fetched, kept for a while, fetched anew when one is missing."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_log = logging.getLogger("gateway.identity")

JWKS_BYTES_MAX = 512 * 1024
KEYS_MAX = 64
FETCH_SECONDS_MAX = 5.0
RSA_BITS_MIN = 2048
# A token can name any key: what is missing is looked for no more often than this.
MISSING_SECONDS_MIN = 10.0
# Keys that cannot be renewed are trusted for so long after they were read.
STALE_SECONDS_MAX = 86_400.0

Fetch = Callable[[], Awaitable[bytes]]


class KeysUnavailable(Exception):
    """The issuer's keys could not be had. The text is the kind of failure, nothing else."""


class KeySet:
    """The keys of one issuer."""

    def __init__(
        self, fetch: Fetch, *, seconds_max: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`fetch` brings a JSON Web Key Set; `seconds_max` is how old the keys may be."""
        self._fetch = fetch
        self._seconds_max = seconds_max
        self._clock = clock
        self._keys: list[Mapping[str, Any]] = []
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, key_id: str | None, algorithm: str) -> Any | None:
        """The key to check a signature with, None when there is none.

        A token that names no key gets one only if there is no choice. Raises: KeysUnavailable.
        """
        await self._renew(self._seconds_max)
        found = self._pick(key_id, algorithm)
        if found is None:
            await self._renew(MISSING_SECONDS_MIN)
            found = self._pick(key_id, algorithm)
        return found

    async def _renew(self, seconds_max: float) -> None:
        async with self._lock:
            now = self._clock()
            if self._tried_at is not None and now - self._tried_at < MISSING_SECONDS_MIN:
                if self._read_at is None:
                    raise KeysUnavailable("not yet")
                return
            if self._read_at is not None and now - self._read_at < seconds_max:
                return
            self._tried_at = now
            try:
                self._keys = _read(await self._fetch())
                self._read_at = now
            except Exception as error:
                kind = str(error) if isinstance(error, KeysUnavailable) else type(error).__name__
                _log.warning("keys of an issuer cannot be had", extra={"error_type": kind})
                if self._read_at is None or now - self._read_at > STALE_SECONDS_MAX:
                    self._keys = []
                    raise KeysUnavailable(kind) from None

    def _pick(self, key_id: str | None, algorithm: str) -> Any | None:
        usable = [each for each in self._keys if each.get("alg", algorithm) == algorithm]
        if key_id is not None:
            usable = [each for each in usable if each.get("kid") == key_id]
        if len(usable) != 1:
            return None
        try:
            key = jwt.PyJWK(dict(usable[0]), algorithm=algorithm).key
        except jwt.PyJWTError:
            return None
        if isinstance(key, RSAPublicKey) and key.key_size < RSA_BITS_MIN:
            return None
        return key


def _read(body: bytes) -> list[Mapping[str, Any]]:
    """Public keys for signatures. Raises: KeysUnavailable."""
    try:
        keys = orjson.loads(body)["keys"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise KeysUnavailable("no key set") from None
    if not isinstance(keys, list) or len(keys) > KEYS_MAX:
        raise KeysUnavailable("no key set")
    return [
        each
        for each in keys
        # Never "oct": who may check such a signature may make it too.
        if isinstance(each, dict)
        and each.get("kty") in {"RSA", "EC", "OKP"}
        and each.get("use", "sig") == "sig"
    ]


def from_file(path: Path) -> Fetch:
    """Reads the file."""

    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(JWKS_BYTES_MAX)

    async def fetch() -> bytes:
        return await asyncio.to_thread(read)

    return fetch


def from_url(url: str, session: aiohttp.ClientSession) -> Fetch:
    """Asks for it: no redirects, a limit on bytes and time."""

    async def fetch() -> bytes:
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS_MAX)
        async with session.get(url, allow_redirects=False, timeout=timeout) as response:
            if response.status != 200:
                raise KeysUnavailable(f"HTTP status {response.status}")
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > JWKS_BYTES_MAX:
                    raise KeysUnavailable("too large")
            return bytes(body)

    return fetch
