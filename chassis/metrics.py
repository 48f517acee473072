"""Metrics of one process: read by Prometheus, pushed by OTLP, or kept nowhere.

Instruments are made anywhere with `opentelemetry.metrics`; they start to count when `set_up` gives
the process its provider. One process, one provider: only `chassis.server.main` sets it.
"""

import asyncio
import os
import threading
import time
from dataclasses import dataclass
from typing import Any
from wsgiref.simple_server import WSGIServer

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from chassis import names
from chassis.listening import OFF, AddressTaken

EXPORT_SECONDS = 15.0
EXPORT_SECONDS_MAX = 2.0
SHUTDOWN_SECONDS_MAX = 2.0
LAG_SECONDS = 0.25
# The SDK then counts spans that were dropped, and exports that failed.
_SDK_METRICS = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"

_meter = metrics.get_meter("spendgate")
_lag = _meter.create_histogram(
    names.LOOP_LAG,
    unit="s",
    description="How late the event loop ran a timer: what blocks it shows here.",
    explicit_bucket_boundaries_advisory=names.DURATION_BOUNDARIES_SECONDS,
)


@dataclass(frozen=True)
class Metrics:
    """The process's metrics while it runs."""

    provider: MeterProvider | None = None
    page: WSGIServer | None = None

    @property
    def address(self) -> str:
        """host:port of the page for Prometheus, "" when there is none."""
        if self.page is None:
            return ""
        host, port = self.page.server_address[:2]
        return f"{host if isinstance(host, str) else host.decode()}:{port}"

    def stop(self) -> None:
        """Sends what waits and closes, within SHUTDOWN_SECONDS_MAX whatever the receiver does."""
        if self.page is not None:
            self.page.shutdown()
            self.page.server_close()
        if self.provider is not None:
            worker = threading.Thread(target=self.provider.shutdown, daemon=True)
            worker.start()
            worker.join(SHUTDOWN_SECONDS_MAX)


def set_up(service: str, listen: str, otlp_endpoint: str | None) -> Metrics:
    """Gives this process its provider. Call once, before spans are set up.

    Raises: AddressTaken.
    """
    readers: list[MetricReader] = []
    if otlp_endpoint is not None:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        exporter = OTLPMetricExporter(
            endpoint=otlp_endpoint, insecure=True, timeout=EXPORT_SECONDS_MAX
        )
        readers.append(
            PeriodicExportingMetricReader(
                exporter,
                export_interval_millis=EXPORT_SECONDS * 1000,
                export_timeout_millis=EXPORT_SECONDS_MAX * 1000,
            )
        )
    page = None
    if listen != OFF:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader

        readers.append(PrometheusMetricReader(scope_info_enabled=False))
        page = _page(listen)
    if not readers:
        return Metrics()
    os.environ.setdefault(_SDK_METRICS, "true")
    provider = MeterProvider(
        readers, Resource.create({"service.name": f"spendgate-{service}"}), shutdown_on_exit=False
    )
    metrics.set_meter_provider(provider)
    return Metrics(provider, page)


def _page(listen: str) -> WSGIServer:
    from prometheus_client import start_http_server

    host, _, port = listen.rpartition(":")
    try:
        page: Any = start_http_server(int(port), host.strip("[]"))[0]
    except (OSError, OverflowError) as error:
        raise AddressTaken(listen, "SPENDGATE_METRICS_LISTEN") from error
    server: WSGIServer = page
    return server


async def watch_loop() -> None:
    """Records how late this loop runs its timers, until it is cancelled."""
    while True:
        due = time.perf_counter() + LAG_SECONDS
        await asyncio.sleep(LAG_SECONDS)
        _lag.record(max(0.0, time.perf_counter() - due))
