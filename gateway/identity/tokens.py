"""From a signed token to who calls, by the rules of RFC 7519 and RFC 8725 (best practices):
issuer, audience and algorithm are the operator's, never the token's choice."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from catalog.auth import IssuerConfig
from gateway.door import Identity
from gateway.errors import KeyInvalid, ServiceUnavailable
from gateway.identity.jwks import KeySet, KeysUnavailable
from gateway.validate import (
    CLAIM_PREFIX,
    NAME_BYTES_MAX,
    TAG_NAME_BYTES_MAX,
    TAG_VALUE_BYTES_MAX,
)

TOKEN_BYTES_MAX = 8 * 1024
MODELS_MAX = 256
_REQUIRED = ["exp", "iss", "aud"]
_CALLER_CHARS = 24


@dataclass(frozen=True, slots=True)
class Shown:
    """Who a token is for, and until when it says so, in seconds since 1970."""

    identity: Identity
    until: float


def looks_like_token(secret: bytes) -> bool:
    """Three pieces with dots between; a virtual key has no dot."""
    return secret.count(b".") == 2


class Tokens:
    """Checks tokens of the issuers that the fleet file names."""

    def __init__(
        self, issuers: Sequence[tuple[IssuerConfig, KeySet]], now: Callable[[], float]
    ) -> None:
        """`now` is seconds since 1970."""
        self._issuers = {config.issuer: (config, keys) for config, keys in issuers}
        self._now = now

    def keys_of(self, config: IssuerConfig) -> KeySet | None:
        """The keys of an issuer by these very rules, None when there is none."""
        own, keys = self._issuers.get(config.issuer, (None, None))
        return keys if own == config else None

    async def identify(self, token: bytes) -> Shown:
        """Raises: KeyInvalid, whose `why` is for the audit log only; ServiceUnavailable when the
        issuer's keys cannot be had."""
        if len(token) > TOKEN_BYTES_MAX:
            raise KeyInvalid("TOKEN_TOO_LARGE")
        header, config, keys = self._begun(token)
        try:
            key = await keys.find(header.get("kid"), header["alg"])
        except KeysUnavailable:
            raise ServiceUnavailable("issuer of the token") from None
        if key is None:
            raise KeyInvalid("TOKEN_KEY_UNKNOWN")
        claims = self._checked(token, key, header["alg"], config)
        return Shown(identity_of(claims, config), float(claims["exp"]) + config.leeway_seconds)

    def _begun(self, token: bytes) -> tuple[Mapping[str, Any], IssuerConfig, KeySet]:
        """What the token says of itself, which is believed once its signature is checked."""
        try:
            header = jwt.get_unverified_header(token)
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (jwt.PyJWTError, ValueError, UnicodeError):
            raise KeyInvalid("TOKEN_MALFORMED") from None
        found = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if found is None:
            raise KeyInvalid("TOKEN_ISSUER")
        if header.get("alg") not in found[0].algorithms or "crit" in header:
            raise KeyInvalid("TOKEN_ALGORITHM")
        return header, *found

    def _checked(
        self, token: bytes, key: Any, algorithm: str, config: IssuerConfig
    ) -> Mapping[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=config.audiences,
                issuer=config.issuer,
                leeway=config.leeway_seconds,
                options={"require": _REQUIRED, "verify_iat": True, "verify_nbf": True},
            )
        except jwt.ExpiredSignatureError:
            raise KeyInvalid("TOKEN_EXPIRED") from None
        except jwt.InvalidAudienceError:
            raise KeyInvalid("TOKEN_AUDIENCE") from None
        except jwt.InvalidSignatureError:
            raise KeyInvalid("TOKEN_SIGNATURE") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise KeyInvalid("TOKEN_INVALID") from None
        begun = claims.get("iat", self._now())
        if float(claims["exp"]) - float(begun) > config.lifetime_seconds_max:
            raise KeyInvalid("TOKEN_LIFETIME")
        return claims


def identity_of(claims: Mapping[str, Any], config: IssuerConfig) -> Identity:
    """Who the claims are of. Raises: KeyInvalid for claims that are missing or no names."""
    tenant = config.tenant or _name(claims, config.tenant_claim)
    if not tenant:
        raise KeyInvalid("TOKEN_CLAIM")
    subject = f"{config.issuer}\0{claims.get('sub', '')}"
    return Identity(
        tenant=tenant,
        key_id="jwt:" + hashlib.sha256(subject.encode()).hexdigest()[:_CALLER_CHARS],
        project=_name(claims, config.project_claim),
        user=_name(claims, config.user_claim),
        feature=_name(claims, config.feature_claim),
        admin=not set(config.admin_values).isdisjoint(_words(claims, config.admin_claim)),
        allowed_models=_models(claims, config.models_claim),
        tags=tuple(_tags(claims, config.tag_claims)),
    )


def _claim(claims: Mapping[str, Any], path: str | None) -> Any:
    """A claim by its name, or by a path of names; None when it is not there."""
    if path is None or path in claims:
        return claims.get(path or "")
    found: Any = claims
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(sorted(value))
    raise KeyInvalid("TOKEN_CLAIM")


def _name(claims: Mapping[str, Any], path: str | None) -> str:
    value = _claim(claims, path)
    if value is None:
        return ""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise KeyInvalid("TOKEN_CLAIM")
    name = str(value)
    if len(name.encode("utf-8", "surrogatepass")) > NAME_BYTES_MAX or not name.isprintable():
        raise KeyInvalid("TOKEN_CLAIM")
    return name


def _words(claims: Mapping[str, Any], path: str | None) -> list[str]:
    """The words of a claim that lists some: an array, or text with blanks between (as scopes)."""
    value = _claim(claims, path)
    if isinstance(value, str):
        return value.split()
    if isinstance(value, list):
        return [each for each in value if isinstance(each, str)]
    return ["true"] if value is True else []


def _models(claims: Mapping[str, Any], path: str | None) -> tuple[str, ...]:
    """Without the claim no model is allowed, where one was to be: nothing is opened by leaving
    something out."""
    if path is None:
        return ()
    models = tuple(_words(claims, path))
    if not models or len(models) > MODELS_MAX:
        raise KeyInvalid("TOKEN_CLAIM")
    return models


def _tags(claims: Mapping[str, Any], paths: Sequence[str]) -> list[tuple[str, str]]:
    tags = []
    for path in paths:
        value = _claim(claims, path)
        if value is None:
            continue
        name, text = CLAIM_PREFIX + path, _text(value)
        if len(name.encode()) > TAG_NAME_BYTES_MAX or len(text.encode()) > TAG_VALUE_BYTES_MAX:
            raise KeyInvalid("TOKEN_CLAIM")
        tags.append((name, text))
    return tags
