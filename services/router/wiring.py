"""Puts the router together: the only file that names concrete classes."""

import asyncio
import logging
from datetime import UTC, datetime

from spendgate.router.v1 import router_service_pb2_grpc as rpc

from catalog.fleet import Fleet, load_fleet
from chassis.live import Live
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

    async def load() -> Fleet:
        return await asyncio.to_thread(load_fleet, settings.config)

    files = [settings.config] if settings.config is not None else []
    live = Live(load, lambda _: files, outfit.health.part("models"))
    fleet = await live.open()
    _tell_deprecated(fleet)
    log = OutcomeLog(settings.outcomes_file) if settings.outcomes_file else None
    prior = await asyncio.to_thread(Prior.shipped)
    mind = await asyncio.to_thread(Mind, fleet, prior, log, datetime.now(UTC))
    servicer = RouterServicer(fleet, mind, lambda: datetime.now(UTC))
    newest = mind

    def take_over(changed: Fleet) -> None:
        nonlocal newest
        newest = newest.under(changed, datetime.now(UTC))
        servicer.take_over(changed, newest)
        _tell_deprecated(changed)

    live.on_change(take_over)
    reader = asyncio.create_task(live.watch(settings.reload_seconds))

    async def stop_reading() -> None:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)

    return Room(
        servicers=[(rpc.add_RouterServiceServicer_to_server, servicer)],
        service_names=[SERVICE_NAME],
        errors=TABLE,
        cleanups=[("outcomes", servicer.close), ("reader", stop_reading)],
        reload=live.reload_soon,
    )


def _tell_deprecated(fleet: Fleet) -> None:
    for card in fleet.models.all():
        if warning := deprecated_detail(card, datetime.now(UTC)):
            _log.warning("a model is deprecated", extra={"model": card.name, "detail": warning})
