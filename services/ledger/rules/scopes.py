"""Finding the budgets of a call: every scope that its attribution falls under, by key."""

import hashlib
import json
from functools import lru_cache
from itertools import combinations

from services.ledger.rules.values import Attribution

_KEY_BYTES = 16
_CACHED_ATTRIBUTIONS_MAX = 16_384


def scope_key(tenant: str, project: str, user: str, key_id: str, feature: str) -> str:
    """A short name for a scope, the same for equal scopes. "" means any."""
    fields = {"project": project, "user": user, "key_id": key_id, "feature": feature}
    return _key(tenant, tuple(sorted((name, text) for name, text in fields.items() if text)))


def scope_keys(who: Attribution) -> tuple[str, ...]:
    """The keys of all scopes that cover `who`: at most 16, narrower fields left out by turns."""
    return _covering(who.tenant, who.project, who.user, who.key_id, who.feature)


@lru_cache(maxsize=_CACHED_ATTRIBUTIONS_MAX)
def _covering(tenant: str, project: str, user: str, key_id: str, feature: str) -> tuple[str, ...]:
    fields = {"project": project, "user": user, "key_id": key_id, "feature": feature}
    given = sorted((name, text) for name, text in fields.items() if text)
    return tuple(
        _key(tenant, chosen)
        for count in range(len(given) + 1)
        for chosen in combinations(given, count)
    )


def _key(tenant: str, fields: tuple[tuple[str, str], ...]) -> str:
    # JSON keeps apart what plain joining would mix up: a name may hold any separator.
    text = json.dumps([["tenant", tenant], *fields], ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=_KEY_BYTES).hexdigest()
