"""Asks the service of this container whether it serves: exit 0 when it does, 1 when not.

For engines whose health checks run a command; Kubernetes asks the admin port itself.
"""

import os
import sys
from collections.abc import Mapping

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.health import READINESS

ANSWER_SECONDS_MAX = 2.0


def serves(environ: Mapping[str, str]) -> bool:
    """Whether the admin port that SPENDGATE_ADMIN_LISTEN names says SERVING."""
    host, _, port = environ.get("SPENDGATE_ADMIN_LISTEN", "off").rpartition(":")
    if not port.isdigit():
        return False
    asked = "127.0.0.1" if host in ("0.0.0.0", "[::]") else host  # noqa: S104  # read, not opened
    with grpc.insecure_channel(f"{asked}:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=READINESS), timeout=ANSWER_SECONDS_MAX
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(0 if serves(os.environ) else 1)
