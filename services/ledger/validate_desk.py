"""What requests about budgets, keys and the books as a whole must look like."""

from zoneinfo import ZoneInfo

from spendgate.ledger.v1 import budget_pb2, key_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as pb

from services.ledger.rules.scopes import DIMENSIONS, TAG
from services.ledger.rules.windows import ROLLING_SECONDS_MAX, ROLLING_SECONDS_MIN
from services.ledger.validate import (
    MODEL_BYTES_MAX,
    TAG_NAME_BYTES_MAX,
    TAGS_MAX,
    Checks,
    check_tags,
    check_time,
)

LIFETIME_SECONDS_MAX = 10 * 366 * 24 * 3600
GRACE_SECONDS_MAX = 30 * 24 * 3600
SCOPE_TAGS_MAX = 4
EACH_MAX = 3
MODELS_MAX = 64
# A bucket of a minute is kept in microseconds: more would leave whole numbers behind.
RATE_MAX = 10**8
LIMIT_FIELDS = ("limit_nanos", "limit_amount")
_KEY_PATHS = frozenset({"allowed_models", "limits", "tags", "expire_time"})


def check_new_budget(request: pb.CreateBudgetRequest) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("budget_id", request.budget_id)
    _scope(checks, request.scope)
    checks.known("window", request.window, budget_pb2.BudgetWindow.values())
    for field, known in (("unit", budget_pb2.BudgetUnit), ("mode", budget_pb2.BudgetMode)):
        rule = "is not a value this service knows"
        checks.that(getattr(request, field) in known.values(), field, rule)
    _limit(checks, request)
    _zone(checks, request.time_zone)
    rolling = request.window == budget_pb2.BUDGET_WINDOW_ROLLING
    rule = "is required of a rolling window" if rolling else "is for a rolling window only"
    checks.that(request.HasField("rolling") == rolling, "rolling", rule)
    if request.HasField("rolling"):
        checks.seconds("rolling", request.rolling, ROLLING_SECONDS_MIN, ROLLING_SECONDS_MAX)
    checks.done()


def check_budget_name(tenant: str, budget_id: str) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("tenant", tenant)
    checks.name("budget_id", budget_id)
    checks.done()


def check_update(request: pb.UpdateBudgetRequest) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    budget, paths = request.budget, list(request.update_mask.paths)
    checks.name("budget.scope.tenant", budget.scope.tenant)
    checks.name("budget.budget_id", budget.budget_id)
    limits = [path for path in paths if path in LIMIT_FIELDS]
    known = bool(paths) and set(paths) <= {*LIMIT_FIELDS, "mode"} and len(limits) <= 1
    rule = 'must be "limit_nanos" or "limit_amount", "mode", or both'
    checks.that(known, "update_mask", rule)
    for path in limits:
        checks.that(getattr(budget, path) >= 0, f"budget.{path}", "must be at least 0")
    if "mode" in paths:
        checks.known("budget.mode", budget.mode, budget_pb2.BudgetMode.values())
    units = budget_pb2.BudgetUnit.values()
    checks.that(budget.unit in units, "budget.unit", "is not a value this service knows")
    checks.done()


def check_new_key(request: pb.CreateKeyRequest) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("key_id", request.key_id)
    checks.name("tenant", request.tenant)
    for field in ("project", "user", "feature"):
        checks.text(field, getattr(request, field))
    known = request.role in key_pb2.KeyRole.values()
    checks.that(known, "role", "is not a value this service knows")
    if request.HasField("lifetime"):
        checks.seconds("lifetime", request.lifetime, 1, LIFETIME_SECONDS_MAX)
    _key_settings(checks, "", request)
    checks.done()


def check_key_update(request: pb.UpdateKeyRequest) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("key.tenant", request.key.tenant)
    checks.name("key.key_id", request.key.key_id)
    paths = set(request.update_mask.paths)
    rule = f"must be some of {', '.join(sorted(_KEY_PATHS))}"
    checks.that(bool(paths) and paths <= _KEY_PATHS, "update_mask", rule)
    _key_settings(checks, "key.", request.key)
    check_time(checks, "key.expire_time", request.key.expire_time)
    checks.done()


def check_rotate(request: pb.RotateKeyRequest) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("tenant", request.tenant)
    checks.name("key_id", request.key_id)
    if request.HasField("grace"):
        checks.seconds("grace", request.grace, 0, GRACE_SECONDS_MAX)
    checks.done()


def check_key_name(tenant: str, key_id: str) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("tenant", tenant)
    checks.name("key_id", key_id)
    checks.done()


def check_reprice(request: pb.RepriceRequest) -> None:
    """Raises InvalidFields (REQUEST_INVALID)."""
    checks = Checks()
    checks.name("tenant", request.tenant)
    check_time(checks, "start_time", request.start_time)
    check_time(checks, "end_time", request.end_time)
    checks.text("model", request.model, MODEL_BYTES_MAX)
    checks.done()


def _scope(checks: Checks, scope: budget_pb2.BudgetScope) -> None:
    checks.name("scope.tenant", scope.tenant)
    for field in ("project", "user", "key_id", "feature", "provider"):
        checks.text(f"scope.{field}", getattr(scope, field))
    checks.text("scope.model", scope.model, MODEL_BYTES_MAX)
    check_tags(checks, "scope.tags", scope.tags, SCOPE_TAGS_MAX)
    checks.count("scope.each", len(scope.each), 0, EACH_MAX)
    for place, each in enumerate(scope.each[:EACH_MAX]):
        here = f"scope.each[{place}]"
        tag = each.removeprefix(TAG) if each.startswith(TAG) else None
        rule = f"must be one of {', '.join(DIMENSIONS)} or {TAG}<name>"
        checks.that(each in DIMENSIONS or bool(tag), here, rule)
        checks.text(here, tag or "", TAG_NAME_BYTES_MAX)
        fixed = dict(scope.tags).get(tag, "") if tag else getattr(scope, each, "")
        checks.that(not fixed, here, "has one value only in this scope")


def _limit(checks: Checks, request: pb.CreateBudgetRequest) -> None:
    given = [field for field in LIMIT_FIELDS if request.HasField(field)]
    money = request.unit in (
        budget_pb2.BUDGET_UNIT_UNSPECIFIED,
        budget_pb2.BUDGET_UNIT_NANO_USD,
    )
    field = "limit_nanos" if money and given != ["limit_amount"] else "limit_amount"
    checks.that(len(given) == 1 and given == [field], field, "is required, and no other limit")
    checks.that(getattr(request, field) >= 0, field, "must be at least 0")


def _zone(checks: Checks, name: str) -> None:
    checks.text("time_zone", name)
    try:
        ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        checks.that(False, "time_zone", 'must be an IANA name such as "Europe/Berlin"')


def _key_settings(checks: Checks, here: str, key: pb.CreateKeyRequest | key_pb2.Key) -> None:
    checks.count(f"{here}allowed_models", len(key.allowed_models), 0, MODELS_MAX)
    for place, model in enumerate(key.allowed_models[:MODELS_MAX]):
        field = f"{here}allowed_models[{place}]"
        checks.name(field, model, MODEL_BYTES_MAX)
        checks.that("*" not in model[:-1], field, 'may hold "*" at its end only')
    check_tags(checks, f"{here}tags", key.tags, TAGS_MAX)
    for field in ("requests_per_minute", "tokens_per_minute", "parallel_calls_max"):
        checks.between(f"{here}limits.{field}", getattr(key.limits, field), 0, RATE_MAX)
