"""The client's side of a batch-native RPC: single calls in, coalesced calls on the wire.

Every such RPC of the fleet has the same outline: a request with `items`, a response with as many
`results`, each a oneof `outcome` whose field `error` is a google.rpc.Status.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from chassis import names
from chassis.channel import Link
from chassis.coalesce import Coalescer
from chassis.deadline import Deadline
from chassis.errors import RemoteError

_hops: "WeakSet[BatchHop]" = WeakSet()


def _waiting(_: CallbackOptions) -> Iterator[Observation]:
    """Read when somebody reads the metrics, so that a call pays nothing for it."""
    for hop in list(_hops):
        yield Observation(hop.waiting, {names.HOP: hop.name})


metrics.get_meter("spendgate").create_observable_gauge(
    names.METRIC_HOP_WAITING,
    callbacks=[_waiting],
    unit="{call}",
    description="Calls that wait for the next batch to another service.",
)


class BatchHop:
    """One batch-native method of another service."""

    def __init__(
        self,
        link: Link,
        method: Any,
        request_type: Any,
        *,
        items_max: int = 128,
        flights_max: int = 1,
        linger_seconds: float = 0.0,
    ) -> None:
        """`flights_max` over 1 is for work that takes longer than a batch should wait.

        A neighbour in the same process is asked at once: there is no wire to share.
        """
        self._link = link
        self._method = method
        self._request_type = request_type
        self._coalescer: Coalescer[Any, Any] = Coalescer(
            self._send,
            stamp=_stamp,
            size_of=lambda item: int(item.ByteSize()),
            items_max=items_max,
            flights_max=flights_max,
            linger_seconds=linger_seconds,
        )
        self.name: str = request_type.DESCRIPTOR.full_name.removesuffix("Request")
        _hops.add(self)

    @property
    def waiting(self) -> int:
        """Calls that have not left yet."""
        return self._coalescer.waiting

    async def call(self, item: Any, deadline: Deadline) -> Any:
        """The outcome message of `item`, whose traceparent the caller has set.

        Raises: RemoteError for a failed item or call; DeadlinePassed; QueueFull;
        CoalescerClosed; BatchBroken.
        """
        if self._link.local:
            left = deadline.left_seconds()
            _stamp(item, left)
            (result,) = await self._send([item], left)
        else:
            result = await self._coalescer.call(item, deadline)
        which = result.WhichOneof("outcome")
        if which is None or which == "error":
            raise RemoteError(result.error)
        return getattr(result, which)

    async def close(self) -> None:
        """Fails what waits, lets calls under way end. The link stays open."""
        await self._coalescer.close()

    async def _send(self, items: Sequence[Any], timeout_seconds: float) -> Sequence[Any]:
        response = await self._link.call(
            self._method, self._request_type(items=items), Deadline.after(timeout_seconds)
        )
        results: Sequence[Any] = response.results
        return results


def _stamp(item: Any, left_seconds: float) -> None:
    item.timeout_ms = max(1, int(left_seconds * 1000))
