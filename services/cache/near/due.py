"""Which indexed entries expire when, in Redis: for the sweep, and to build an index anew."""

from collections.abc import Iterable, Sequence

from services.cache import places
from services.cache.link import Command, Link, pairs, rows
from services.cache.near.index import Member, Partition, Placed

SCOPES_A_SWEEP = 16
MEMBERS_A_SWEEP = 512
# An idle scope's keys go by themselves this long after the last answer could have lapsed.
IDLE_MS = 91 * 24 * 3600 * 1000
_KEY_BYTES = places.KEY_BYTES


def packed(member: Member) -> bytes:
    """64 bytes: key and context."""
    return bytes.fromhex(member.key) + bytes.fromhex(member.partition.context)


def unpacked(tag: str, raw: bytes) -> Member:
    """What `packed` was given."""
    return Member(Partition(tag, raw[_KEY_BYTES:].hex()), raw[:_KEY_BYTES].hex())


def note(placed: Iterable[Placed]) -> list[Command]:
    """Commands that note when each expires."""
    commands: list[Command] = []
    for each in placed:
        tag = each.member.partition.tag
        where = places.indexed(tag)
        commands.append(("ZADD", where, each.expire_ms, packed(each.member)))
        commands.append(("PEXPIRE", where, IDLE_MS))
        commands.append(("ZADD", places.SWEEP, "LT", each.expire_ms, tag))
    return commands


def forget(members: Iterable[Member]) -> list[Command]:
    """Commands that take them off the note."""
    return [("ZREM", places.indexed(each.partition.tag), packed(each)) for each in members]


async def expired(link: Link, now_ms: int) -> tuple[list[str], list[Member]]:
    """Some scopes with something to sweep, and some of what has expired in them."""
    (reply,) = await link.run(
        [("ZRANGE", places.SWEEP, "-inf", now_ms, "BYSCORE", "LIMIT", 0, SCOPES_A_SWEEP)]
    )
    tags = [tag.decode() for tag in rows(reply) if isinstance(tag, bytes)]
    if not tags:
        return [], []
    bounds = ("-inf", now_ms, "BYSCORE", "LIMIT", 0, MEMBERS_A_SWEEP)
    found = await link.run([("ZRANGE", places.indexed(tag), *bounds) for tag in tags])
    members = [
        unpacked(tag, raw)
        for tag, reply in zip(tags, found, strict=True)
        for raw in rows(reply)
        if isinstance(raw, bytes)
    ]
    return tags, members


async def plan_next(link: Link, tags: Sequence[str]) -> None:
    """When each scope is to be swept again: at its next expiry, or not until it has one."""
    firsts = await link.run([("ZRANGE", places.indexed(tag), 0, 0, "WITHSCORES") for tag in tags])
    commands: list[Command] = []
    for tag, reply in zip(tags, firsts, strict=True):
        score = first_score(reply)
        if score is None:
            commands.append(("ZREM", places.SWEEP, tag))
        else:
            commands.append(("ZADD", places.SWEEP, score, tag))
    await link.run(commands)


def first_score(reply: object) -> float | None:
    """The score of the first of WITHSCORES' pairs, which RESP2 and RESP3 shape differently."""
    scores = list(pairs(reply).values()) or [
        pair[1] for pair in rows(reply)[:1] if isinstance(pair, list | tuple)
    ]
    return float(scores[0]) if scores and isinstance(scores[0], int | float) else None
