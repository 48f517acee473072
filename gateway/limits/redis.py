"""Rates counted in Redis, where several gateways share them. Its clock is everybody's."""

from collections.abc import Sequence
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.limits.port import LimiterUnavailable
from gateway.limits.rules import PARALLEL, SLOT_RETRY_SECONDS, Bucket, Refused, Slot

CONNECTIONS_MAX = 32
PREFIX = "spendgate:limit:"

# The arithmetic of rules.py in Lua: whole numbers below 2^53, all buckets or none. KEYS: buckets,
# then slots. ARGV: number of buckets, call, milliseconds a slot is kept, per bucket its rate and
# amount, per slot its most. Answers nothing, or which key said no and for how many microseconds.
_ADMIT = """
local minute = 60000000
local now = redis.call('TIME')
local now_us = now[1] * 1000000 + now[2]
local now_ms = math.floor(now_us / 1000)
local count = tonumber(ARGV[1])
local levels, worst, wait = {}, 0, -1
for i = 1, count do
  local rate = tonumber(ARGV[2 + 2 * i])
  local amount = math.min(tonumber(ARGV[3 + 2 * i]), rate)
  local kept = redis.call('HMGET', KEYS[i], 'level', 'at')
  local level = rate * minute
  if kept[1] then
    local elapsed = math.min(minute, math.max(0, now_us - tonumber(kept[2])))
    level = math.min(level, tonumber(kept[1]) + elapsed * rate)
  end
  levels[i] = level - amount * minute
  if levels[i] < 0 then
    local missing = math.ceil(-levels[i] / rate)
    if missing > wait then worst, wait = i, missing end
  end
end
local base = 3 + 2 * count
for i = count + 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now_ms)
  if redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[base + i - count]) and wait < 1000000 then
    worst, wait = i, 1000000
  end
end
if worst > 0 then return {worst, wait} end
for i = 1, count do
  redis.call('HSET', KEYS[i], 'level', string.format('%.0f', levels[i]),
    'at', string.format('%.0f', now_us))
  redis.call('PEXPIRE', KEYS[i], 120000)
end
for i = count + 1, #KEYS do
  redis.call('ZADD', KEYS[i], now_ms + tonumber(ARGV[3]), ARGV[2])
  redis.call('PEXPIRE', KEYS[i], tonumber(ARGV[3]) + 1000)
end
return {}
"""


class RedisLimiter:
    """gateway.limits.port.Limiter over one Redis, by a redis://, rediss:// or unix:// URL."""

    def __init__(self, url: str, *, seconds_max: float) -> None:
        """`seconds_max`: longest wait for an answer."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=seconds_max,
            socket_connect_timeout=seconds_max,
            socket_timeout=seconds_max,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=pool)
        self._admit = self._redis.register_script(_ADMIT)

    async def admit(
        self,
        buckets: Sequence[Bucket],
        slots: Sequence[Slot],
        call_id: str,
        slot_seconds: float,
    ) -> Refused | None:
        """See Limiter, as for every method here."""
        places = [bucket.place for bucket in buckets] + [slot.place for slot in slots]
        keys = [PREFIX + place for place in places]
        arguments: list[Any] = [len(buckets), call_id, int(slot_seconds * 1000)]
        for bucket in buckets:
            arguments += [bucket.per_minute, bucket.amount]
        arguments += [slot.count_max for slot in slots]
        try:
            answer = await self._admit(keys=keys, args=arguments)
        except (exceptions.RedisError, OSError) as error:
            raise LimiterUnavailable(type(error).__name__) from None
        if not answer:
            return None
        place, wait_us = int(answer[0]) - 1, int(answer[1])
        if place < len(buckets):
            bucket = buckets[place]
            retry_seconds = -(-wait_us // 1000) / 1000
            return Refused(bucket.of, bucket.limit, bucket.per_minute, retry_seconds)
        slot = slots[place - len(buckets)]
        return Refused(slot.of, PARALLEL, slot.count_max, SLOT_RETRY_SECONDS)

    async def leave(self, slots: Sequence[Slot], call_id: str) -> None:
        """Gives the places back."""
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for slot in slots:
                pipeline.zrem(PREFIX + slot.place, call_id)
            await pipeline.execute()
        except (exceptions.RedisError, OSError) as error:
            raise LimiterUnavailable(type(error).__name__) from None

    async def close(self) -> None:
        """Closes every connection."""
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()
