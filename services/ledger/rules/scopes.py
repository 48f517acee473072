"""Finding the budgets of a call: each budget stands under one of the things it asks for.

A budget is kept under its most telling field, its anchor; a call looks under each of its own
fields. So a look-up asks for a few keys, whatever a budget combines, and what it finds is matched
field by field.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache

from services.ledger.rules.values import Attribution, Scope

TAG = "tag:"
DIMENSIONS = ("project", "user", "key_id", "feature", "session", "model", "provider")
# The most telling first: few budgets share a user, many a project.
_ANCHORS = ("user", "key_id", "feature", "project", "model", "provider")
_KEY_BYTES = 16
_CACHED_KEYS_MAX = 65_536

# A model that is called, and its provider.
Called = tuple[str, str]


def scope_key(scope: Scope) -> str:
    """The key that a budget stands under."""
    if scope.user:
        return _key(scope.tenant, "user", scope.user)
    if scope.key_id:
        return _key(scope.tenant, "key_id", scope.key_id)
    for name, value in scope.tags:
        return _key(scope.tenant, TAG + name, value)
    for field in _ANCHORS:
        if value := getattr(scope, field):
            return _key(scope.tenant, field, value)
    return _key(scope.tenant, "", "")


def scope_keys(who: Attribution, called: Iterable[Called] = ()) -> set[str]:
    """The keys that budgets of this call can stand under: one for each thing said of it."""
    found = {_key(who.tenant, "", "")}
    for field in ("user", "key_id", "feature", "project"):
        if value := getattr(who, field):
            found.add(_key(who.tenant, field, value))
    found.update(_key(who.tenant, TAG + name, value) for name, value in who.tags)
    for model, provider in called:
        found.add(_key(who.tenant, "model", model))
        if provider:
            found.add(_key(who.tenant, "provider", provider))
    return found


def covers(scope: Scope, who: Attribution) -> bool:
    """True when every field that the scope sets is equal; model and provider are left open."""
    return (
        scope.tenant == who.tenant
        and scope.project in ("", who.project)
        and scope.user in ("", who.user)
        and scope.key_id in ("", who.key_id)
        and scope.feature in ("", who.feature)
        and (not scope.tags or set(scope.tags) <= set(who.tags))
    )


def takes(scope: Scope, model: str, provider: str) -> bool:
    """True when the scope counts calls of this model at this provider."""
    return scope.model in ("", model) and scope.provider in ("", provider)


def subject_of(scope: Scope, who: Attribution, model: str, provider: str) -> str:
    """Whose limit it is, of a budget with one for each value: the values in the scope's order, as
    JSON. "" for a budget with one limit for all."""
    if not scope.each:
        return ""
    return json.dumps([_value(each, who, model, provider) for each in scope.each])


def values_of(scope: Scope, subject: str) -> tuple[tuple[str, str], ...]:
    """The values that a subject stands for, by dimension."""
    if not subject:
        return ()
    return tuple(zip(scope.each, json.loads(subject), strict=True))


def _value(each: str, who: Attribution, model: str, provider: str) -> str:
    if each.startswith(TAG):
        return dict(who.tags).get(each.removeprefix(TAG), "")
    if each in ("model", "provider"):
        return model if each == "model" else provider
    return str(getattr(who, each))


@lru_cache(maxsize=_CACHED_KEYS_MAX)
def _key(tenant: str, field: str, value: str) -> str:
    # JSON keeps apart what plain joining would mix up: a name may hold any separator.
    text = json.dumps([tenant, field, value], ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=_KEY_BYTES).hexdigest()
