"""Idempotency keys as the operator set them."""

from catalog.fleet import Fleet
from chassis.channel import Link
from gateway.errors import ERRORS
from gateway.idempotency.once import Once
from gateway.idempotency.store import SERVICE_NAME, GrpcOnceStore
from gateway.settings import GatewaySettings


def make_once(settings: GatewaySettings, fleet: Fleet) -> Once:
    """The keys, kept by the cache service. Must be made in the running loop."""
    token = settings.internal_token
    secret = token.get_secret_value() if token is not None else None
    link = Link(settings.cache_address, SERVICE_NAME, secret, tls=settings.tls)
    return Once(
        GrpcOnceStore(link),
        ERRORS,
        hash_key=(secret or "").encode(),
        kept_seconds=settings.idempotency_seconds_max,
        work_seconds_max=fleet.config.timeouts.request_seconds,
    )
