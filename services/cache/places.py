"""Where things lie in Redis. Everything of a scope shares one {hash tag}: a partition, and on a
cluster one node. No name and no text is ever part of a key.

sg:{scope}:x:<key>           an answer (value.py)
sg:{scope}:a                 sorted set of the scope's answers: key (raw) by expiry, ms
sg:{scope}:n                 sorted set of indexed answers: key + context (raw) by expiry, ms
sg:{scope}:v:<context>:<m>   vector set of a context, m names the model
sg:{scope}:l:<key>           lease of who is getting this answer
sg:{scope}:q:<user>          sorted set of a user's answers, by expiry, ms
sg:{scope}:h:<key>:<entry>   a semantic hit that was served
sg:{tenant}:o:<digest>       what is known of an idempotency key (once.py)
sg:{tenant}:scopes           hash of the tenant's scopes: tag -> digests of project and user
sg:{tenant}:s:<day>          hash of counters of a day
sg:{tenant}:d                hash of what features have learned
sg:sweep                     sorted set of scopes that have indexed answers, by next expiry
"""

import hashlib

from services.cache.fingerprint import place, scope_tag

DIGEST_BYTES = 16
KEY_BYTES = 32
SWEEP = "sg:sweep"
PROBE = "sg:probe"  # never there


def entry(tag: str, key: str) -> str:
    """An answer's place."""
    return place(tag, key)


def listing(tag: str) -> str:
    """The sorted set of a scope's answers."""
    return f"sg:{{{tag}}}:a"


def indexed(tag: str) -> str:
    """The sorted set of a scope's answers that stand in an index."""
    return f"sg:{{{tag}}}:n"


def vectors(tag: str, context: str, model: str) -> str:
    """The vector set of a context. `model` is any text; vectors of two models never meet."""
    return f"sg:{{{tag}}}:v:{context}:{digest(model).hex()[:8]}"


def lease(tag: str, key: str) -> str:
    """The lease on a key."""
    return f"sg:{{{tag}}}:l:{key}"


def quota(tag: str, user: str) -> str:
    """The answers that a user had kept."""
    return f"sg:{{{tag}}}:q:{digest(user).hex()}"


def served(tag: str, key: str, entry_key: str) -> str:
    """A hit that was served."""
    return f"sg:{{{tag}}}:h:{key}:{entry_key}"


def once(tenant: str, caller: str, key: str) -> str:
    """What is known of a caller's idempotency key."""
    named = digest(f"{len(caller)}:{caller}:{key}").hex()
    return f"sg:{{{scope_tag(tenant, '', '')}}}:o:{named}"


def scopes(tenant: str) -> str:
    """The scopes of a tenant."""
    return f"sg:{{{scope_tag(tenant, '', '')}}}:scopes"


def counters(tenant: str, day: str) -> str:
    """A day's counters; `day` is YYYYMMDD."""
    return f"sg:{{{scope_tag(tenant, '', '')}}}:s:{day}"


def learned(tenant: str) -> str:
    """What a tenant's features have learned."""
    return f"sg:{{{scope_tag(tenant, '', '')}}}:d"


def digest(name: str) -> bytes:
    """16 bytes that stand for a name; equal for equal names only. Empty for the empty name."""
    if not name:
        return b""
    return hashlib.blake2b(name.encode(), digest_size=DIGEST_BYTES).digest()
