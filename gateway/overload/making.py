"""Admission as the operator set it."""

import time

from catalog.admission import AdmissionConfig
from gateway.overload.admission import Admission
from gateway.overload.limit import AdaptiveLimit, LimitBounds
from gateway.settings import GatewaySettings

FIRST_LIMIT = 64


def make_admission(settings: GatewaySettings, config: AdmissionConfig) -> Admission:
    """The admission of one gateway process."""
    most = settings.requests_max
    bounds = LimitBounds(
        least=min(settings.work_least, most),
        most=most,
        first=min(FIRST_LIMIT, most),
        target_seconds=settings.work_seconds_target,
    )
    return Admission(
        AdaptiveLimit(bounds, time.monotonic),
        requests_max=most,
        waiting_max=settings.waiting_requests_max,
        wait_seconds_max=settings.waiting_seconds_max,
        weights=config.weights,
    )
