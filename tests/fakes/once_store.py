"""Idempotency keys in memory, by the rules of the cache service."""

from spendgate.cache.v1 import idempotency_pb2 as cache_pb


class MemoryOnceStore:
    """gateway.idempotency.store.OnceStore. `fail`, when set, is raised by every call."""

    def __init__(self) -> None:
        self.kept = {}
        self.fail = None

    async def claim(self, request, deadline):
        if self.fail is not None:
            raise self.fail
        mine = ("L", request.body_hash, request.token)
        kept = self.kept.setdefault(request.place.SerializeToString(), mine)
        if kept[1] != request.body_hash:
            return cache_pb.ClaimResponse(state=cache_pb.CLAIM_STATE_MISMATCH)
        if kept[0] == "A":
            return cache_pb.ClaimResponse(state=cache_pb.CLAIM_STATE_ANSWERED, answer=kept[2])
        state = cache_pb.CLAIM_STATE_CLAIMED if kept == mine else cache_pb.CLAIM_STATE_IN_FLIGHT
        return cache_pb.ClaimResponse(state=state)

    async def finish(self, request, deadline):
        if self.fail is not None:
            raise self.fail
        place = request.place.SerializeToString()
        if self.kept.get(place, ("L", request.body_hash, request.token))[2] != request.token:
            return False
        if request.answer:
            self.kept[place] = ("A", request.body_hash, request.answer)
        else:
            self.kept.pop(place, None)
        return True
