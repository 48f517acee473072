"""Who may call, as the operator set it."""

import time

import aiohttp

from catalog.auth import AuthConfig, IssuerConfig
from gateway.audit import Audit, FileSink, LogSink
from gateway.auth import Keys
from gateway.identity.callers import Callers
from gateway.identity.jwks import KeySet, from_file, from_url
from gateway.identity.tokens import Tokens
from gateway.net.guard import AddressGuard
from gateway.ports import Services
from gateway.settings import GatewaySettings


def make_tokens(
    config: AuthConfig,
    *,
    session: aiohttp.ClientSession,
    guard: AddressGuard,
    before: Tokens | None = None,
) -> Tokens | None:
    """Checks tokens of the issuers in `config`, None when there are none; `guard` is the session's.
    An issuer that is as it was `before` keeps the keys that were read.

    Raises: AddressRefused for a jwks_url that is never opened.
    """
    if not config.issuers:
        return None
    sets = []
    for each in config.issuers:
        keys = before.keys_of(each) if before is not None else None
        sets.append((each, keys or _keys_of(each, session, guard)))
    return Tokens(sets, time.time)


def make_callers(
    settings: GatewaySettings, services: Services, *, tokens: Tokens | None, audit: Audit
) -> Callers:
    """Virtual keys, and what `tokens` checks."""
    keys = Keys(
        services, seconds_max=settings.identity_seconds_max, count_max=settings.identities_max
    )
    return Callers(
        keys,
        tokens,
        audit,
        seconds_max=settings.identity_seconds_max,
        count_max=settings.identities_max,
    )


def make_audit(settings: GatewaySettings) -> Audit:
    """The audit log. Raises: OSError for a file that cannot be written."""
    if settings.audit_file is None:
        return Audit(LogSink())
    return Audit(
        FileSink(
            settings.audit_file,
            bytes_max=settings.audit_bytes_max,
            files_max=settings.audit_files_max,
        )
    )


def _keys_of(config: IssuerConfig, session: aiohttp.ClientSession, guard: AddressGuard) -> KeySet:
    if config.jwks_file is not None:
        fetch = from_file(config.jwks_file)
    else:
        url = config.jwks_url or ""
        guard.permit(url, private_network=config.private_network)
        fetch = from_url(url, session)
    return KeySet(fetch, seconds_max=config.keys_seconds_max)
