"""Puts the router together: the only file that names concrete classes."""

import asyncio
import logging
from datetime import UTC, datetime

from spendgate.router.v1 import router_service_pb2_grpc as rpc

from catalog.fleet import load_fleet
from chassis.server import Outfit, Room
from services.router.errors import TABLE
from services.router.explain import deprecated_detail
from services.router.learn.prior import Prior
from services.router.mind import Mind
from services.router.own.log import OutcomeLog
from services.router.servicer import RouterServicer
from services.router.settings import RouterSettings

_log = logging.getLogger("services.router")
SERVICE_NAME = "spendgate.router.v1.RouterService"


async def build(settings: RouterSettings, outfit: Outfit) -> Room:
    """The router over the fleet file. Raises ConfigError when that cannot be used."""
    fleet = await asyncio.to_thread(load_fleet, settings.config)
    outfit.health.part("models").ok()
    for card in fleet.models.all():
        if warning := deprecated_detail(card, datetime.now(UTC)):
            _log.warning("a model is deprecated", extra={"model": card.name, "detail": warning})
    log = OutcomeLog(settings.outcomes_file) if settings.outcomes_file else None
    prior = await asyncio.to_thread(Prior.shipped)
    mind = await asyncio.to_thread(Mind, fleet, prior, log, datetime.now(UTC))
    servicer = RouterServicer(fleet, mind, lambda: datetime.now(UTC))
    return Room(
        servicers=[(rpc.add_RouterServiceServicer_to_server, servicer)],
        service_names=[SERVICE_NAME],
        errors=TABLE,
        cleanups=[("outcomes", servicer.close)],
    )
