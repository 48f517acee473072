"""Estimate and Compare over gRPC: proto in, the door, proto out."""

from typing import Any

from spendgate.gateway.v1 import compare_pb2, compare_pb2_grpc, estimate_pb2, estimate_pb2_grpc

from chassis.calls import current_call
from gateway.door import Door, Identity
from gateway.errors import KeyInvalid

ESTIMATE_SERVICE = "spendgate.gateway.v1.EstimateService"
COMPARE_SERVICE = "spendgate.gateway.v1.CompareService"
# The saga opens the root spans itself.
PRICING_SPAN_METHODS = frozenset({f"/{ESTIMATE_SERVICE}/Estimate", f"/{COMPARE_SERVICE}/Compare"})


class EstimateServicer(estimate_pb2_grpc.EstimateServiceServicer):
    """spendgate.gateway.v1.EstimateService."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def Estimate(
        self, request: estimate_pb2.EstimateRequest, _: Any
    ) -> estimate_pb2.EstimateResponse:
        """What a prompt would cost."""
        call = current_call()
        identity = _identity(call.caller)
        return await self._door.estimate(request, identity, call.traceparent, call.deadline)


class CompareServicer(compare_pb2_grpc.CompareServiceServicer):
    """spendgate.gateway.v1.CompareService."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def Compare(
        self, request: compare_pb2.CompareRequest, _: Any
    ) -> compare_pb2.CompareResponse:
        """The same prompt by several models."""
        call = current_call()
        identity = _identity(call.caller)
        return await self._door.compare(request, identity, call.traceparent, call.deadline)


def _identity(caller: object) -> Identity:
    if not isinstance(caller, Identity):
        raise KeyInvalid
    return caller
