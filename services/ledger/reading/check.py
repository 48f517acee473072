"""What a question about the books must look like. Texts are never quoted."""

import re

from spendgate.ledger.v1 import reading_service_pb2 as pb

from services.ledger import validate
from services.ledger.convert import from_pb_time
from services.ledger.rules.windows import DAY_US
from services.ledger.validate import TAG_NAME_BYTES_MAX, Checks

AXES_MAX = 3
ONLY_MAX = 8
PERIOD_DAYS_MAX = 92
LINES_MAX = 10_000
PERMILLE_MAX = 1000
SOURCE_BYTES_MAX = 128
EVENT_BYTES_MAX = 256
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMES = (pb.AXIS_HOUR, pb.AXIS_DAY)
# A path into a JSON column would read them as its own.
_PATH_SIGNS = re.compile(r'["\\]')

Period = pb.BreakdownRequest | pb.ExportEntriesRequest | pb.AnatomyRequest | pb.OpportunitiesRequest


def check_breakdown(request: pb.BreakdownRequest) -> None:
    """Raises InvalidFields."""
    checks = Checks()
    checks.name("tenant", request.tenant)
    _period(checks, request)
    checks.count("group_by", len(request.group_by), 0, AXES_MAX)
    for place, axis in enumerate(request.group_by):
        checks.known(f"group_by[{place}]", axis, pb.Axis.values())
    unlike = len(set(request.group_by)) == len(request.group_by)
    checks.that(unlike, "group_by", "names an axis twice")
    checks.count("only", len(request.only), 0, ONLY_MAX)
    for place, each in enumerate(request.only):
        here = f"only[{place}]"
        checks.known(f"{here}.axis", each.axis, pb.Axis.values())
        checks.that(each.axis not in _TIMES, f"{here}.axis", "must not be a time")
        checks.text(f"{here}.value", each.value, 256)
    tagged = pb.AXIS_TAG in [*request.group_by, *(o.axis for o in request.only)]
    checks.that(bool(request.tag_name) or not tagged, "tag_name", "is required with AXIS_TAG")
    checks.text("tag_name", request.tag_name, TAG_NAME_BYTES_MAX)
    plain = _PATH_SIGNS.search(request.tag_name) is None
    checks.that(plain, "tag_name", "must hold no quote and no backslash")
    checks.done()


def check_period(
    request: pb.ExportEntriesRequest | pb.AnatomyRequest | pb.OpportunitiesRequest,
) -> None:
    """Raises InvalidFields."""
    checks = Checks()
    checks.name("tenant", request.tenant)
    _period(checks, request)
    if isinstance(request, pb.OpportunitiesRequest):
        span = from_pb_time(request.end_time) - from_pb_time(request.start_time)
        both = request.HasField("start_time") and request.HasField("end_time")
        rule = f"must be within {PERIOD_DAYS_MAX} days before end_time"
        checks.that(not both or span <= PERIOD_DAYS_MAX * DAY_US, "start_time", rule)
        checks.between("dedicated_month_nanos", request.dedicated_month_nanos, 0, 2**53)
    if isinstance(request, pb.AnatomyRequest):
        checks.text("feature", request.feature)
    checks.done()


def check_review(request: pb.ReviewRequest) -> None:
    """Raises InvalidFields."""
    checks = Checks()
    checks.name("tenant", request.tenant)
    checks.that(request.HasField("month_time"), "month_time", "is required")
    validate.check_time(checks, "month_time", request.month_time)
    checks.done()


def check_reconcile(request: pb.ReconcileRequest) -> None:
    """Raises InvalidFields."""
    checks = Checks()
    checks.name("tenant", request.tenant)
    checks.count("lines", len(request.lines), 1, LINES_MAX)
    checks.between("tolerance_permille", request.tolerance_permille, 0, PERMILLE_MAX)
    for place, line in enumerate(request.lines[:LINES_MAX]):
        here = f"lines[{place}]"
        checks.that(_DAY.fullmatch(line.day) is not None, f"{here}.day", "must be YYYY-MM-DD")
        checks.text(f"{here}.model", line.model, validate.MODEL_BYTES_MAX)
        checks.text(f"{here}.provider", line.provider)
    checks.done()


def check_import(item: pb.UsageEvent, now_us: int) -> None:
    """Raises InvalidFields."""
    checks = Checks()
    checks.name("source", item.source, SOURCE_BYTES_MAX)
    checks.name("event_id", item.event_id, EVENT_BYTES_MAX)
    validate.check_attribution(checks, item.attribution)
    checks.that(item.HasField("event_time"), "event_time", "is required")
    validate.check_time(checks, "event_time", item.event_time)
    past = from_pb_time(item.event_time) <= now_us
    checks.that(past, "event_time", "must not be after now")
    checks.name("model", item.model, validate.MODEL_BYTES_MAX)
    checks.text("provider", item.provider)
    checks.that(item.HasField("usage"), "usage", "is required")
    checks.between("latency_ms", item.latency_ms, 0, validate.LATENCY_MS_MAX)
    checks.done()


def check_alerts(request: pb.ListAlertsRequest | pb.WatchAlertsRequest) -> None:
    """Raises InvalidFields."""
    checks = Checks()
    checks.name("tenant", request.tenant)
    checks.done()


def _period(checks: Checks, request: Period) -> None:
    validate.check_time(checks, "start_time", request.start_time)
    validate.check_time(checks, "end_time", request.end_time)
    both = request.HasField("start_time") and request.HasField("end_time")
    before = from_pb_time(request.start_time) < from_pb_time(request.end_time)
    checks.that(before or not both, "end_time", "must be after start_time")
