"""The console's edge on a socket: sessions, headers, what is handed on and for whom."""

from collections.abc import AsyncIterator

import aiohttp
import grpc
import pytest
from aiohttp import web
from google.rpc import error_details_pb2, status_pb2
from pydantic import SecretStr
from spendgate.cache.v1 import cache_service_pb2 as cache_pb
from spendgate.chat.v1 import chat_pb2
from spendgate.ledger.v1 import budget_pb2, entry_pb2
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from chassis import names
from chassis.errors import RemoteError
from gateway.console.sessions import FAILURES_A_MINUTE_MAX
from gateway.console.traces import JAEGER, OWN, Traces
from gateway.http.console import OWN_HEADER
from tests.fakes.console_house import ConsoleDesk, console_of


@pytest.fixture
async def desk() -> AsyncIterator[ConsoleDesk]:
    async with console_of() as made:
        yield made


def code(body):
    return body["error"]["code"]


async def test_the_page_may_load_nothing_from_elsewhere(desk):
    """A strict policy on every file; the page is asked for anew, the files are kept for good."""
    async with desk.session.get(f"{desk.url}/budgets") as page:
        text = await page.text()
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["Cache-Control"] == "no-cache"
        etag = page.headers["ETag"]
    async with desk.session.get(desk.url, headers={"If-None-Match": etag}) as again:
        assert again.status == 304
    script = text.split('src="/console')[1].split('"')[0]
    async with desk.session.get(desk.url + script) as file:
        assert "immutable" in file.headers["Cache-Control"]
        assert file.headers["Content-Encoding"] == "gzip"
        assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert (await desk.send("GET", "/assets/..%2f..%2fwiring.py"))[0] == 404
    assert (await desk.send("GET", "/api/nothing"))[0] == 404


async def test_only_admins_and_viewers_sign_in(desk):
    """The cookie is for this path, not for scripts and not for other sites."""
    assert (await desk.send("GET", "/api/session"))[1] == {"signed_in": False}
    status, body = await desk.sign_in("sg_caller")
    assert (status, code(body)) == (403, "admin_or_viewer_required")
    status, body = await desk.sign_in("sg_nobody")
    assert (status, code(body)) == (401, "invalid_api_key")
    for bad in ("", "x" * 5_000):
        assert (await desk.sign_in(bad))[0] == 400
    body = {"key": "sg_admin"}
    headers = {OWN_HEADER: "1", "X-Forwarded-Proto": "https"}
    async with desk.session.post(f"{desk.url}/api/session", json=body, headers=headers) as response:
        cookie = response.headers["Set-Cookie"]
        assert (await response.json())["role"] == "admin"
    for part in ("HttpOnly", "SameSite=Strict", "Path=/console", "Secure"):
        assert part in cookie
    assert "sg_admin" not in cookie


async def test_another_sites_page_can_change_nothing(desk):
    """Without the console's own header no question is answered and no session begins."""
    await desk.sign_in("sg_admin")
    for path in ("/api/rpc/ledger/DeleteBudget", "/api/session", "/api/requests", "/api/chat"):
        async with desk.session.post(desk.url + path, data=b"{}") as response:
            assert response.status == 403, path
    async with desk.session.delete(f"{desk.url}/api/session") as response:
        assert response.status == 403
    assert desk.fleet.asked == []


async def test_sessions_end(desk):
    """When nobody asks, when their time is up, with the key, and when told."""
    assert (await desk.rpc("ledger/ListKeys", {}))[0] == 401
    await desk.sign_in("sg_viewer")
    for seconds, status in ((599, 200), (599, 200), (601, 401)):
        desk.clock.now += seconds
        assert (await desk.rpc("ledger/ListKeys", {}))[0] == status
    await desk.sign_in("sg_viewer")
    for _ in range(6):
        desk.clock.now += 590
        await desk.rpc("ledger/ListKeys", {})
    desk.clock.now += 100
    assert (await desk.rpc("ledger/ListKeys", {}))[0] == 401
    await desk.sign_in("sg_viewer")
    del desk.door.keys["sg_viewer"]
    status, body = await desk.rpc("ledger/ListKeys", {})
    assert (status, code(body)) == (401, "sign_in_required")
    await desk.sign_in("sg_admin")
    await desk.send("DELETE", "/api/session")
    assert (await desk.rpc("ledger/ListKeys", {}))[0] == 401


async def test_wrong_keys_are_bounded(desk):
    """After so many within a minute even the right one waits; it is said for how long."""
    for _ in range(FAILURES_A_MINUTE_MAX):
        assert (await desk.sign_in("sg_guess"))[0] == 401
    status, body = await desk.sign_in("sg_admin")
    assert (status, code(body)) == (429, "too_many_tries")
    assert "60 s" in body["error"]["message"]
    desk.clock.now += 61
    assert (await desk.sign_in("sg_admin"))[0] == 200


async def test_questions_are_the_sessions_tenants(desk):
    """An empty tenant is one's own; another's is refused; what is unknown is not asked."""
    await desk.sign_in("sg_admin")
    budget = {"budget_id": "b", "limit_amount": "5", "mode": "BUDGET_MODE_SOFT"}
    body = {"budget": budget, "update_mask": "limitAmount,mode"}
    status, _ = await desk.rpc("ledger/UpdateBudget", body)
    assert status == 200
    ((service, method, request),) = desk.fleet.asked
    assert (service, method, request.budget.scope.tenant) == ("ledger", "UpdateBudget", "acme")
    assert list(request.update_mask.paths) == ["limit_amount", "mode"]
    status, told = await desk.rpc("ledger/ListBudgets", {"tenant": "rivals"})
    assert (status, told["spendgate"]["reason"]) == (400, "REQUEST_INVALID")
    for bad in ([], {"no_such_field": "secret words"}, {"page_size": "many"}):
        status, told = await desk.rpc("ledger/ListBudgets", bad)
        assert status == 400
        assert "secret words" not in str(told)
    for name in ("ledger/Settle", "ledger/ResolveKey", "tokenizer/Count", "ledger/__class__"):
        assert (await desk.rpc(name, {}))[0] == 404
    assert len(desk.fleet.asked) == 1


async def test_a_viewer_reads_and_changes_nothing(desk):
    """Every question that changes something is refused before it is asked."""
    await desk.sign_in("sg_viewer")
    assert (await desk.rpc("ledger/ListBudgets", {}))[0] == 200
    for name in ("ledger/CreateBudget", "ledger/CreateKey", "ledger/RotateKey",
                 "cache/Invalidate", "router/ApplyProposal"):  # fmt: skip
        status, told = await desk.rpc(name, {})
        assert (status, told["spendgate"]["reason"]) == (403, "ADMIN_REQUIRED"), name
    assert len(desk.fleet.asked) == 1


async def test_refusals_of_the_fleet_keep_their_reason_and_outages_are_told(desk):
    """404 with BUDGET_UNKNOWN; 503 that names the service."""
    await desk.sign_in("sg_admin")
    status = status_pb2.Status(code=grpc.StatusCode.NOT_FOUND.value[0], message="no such budget")
    info = error_details_pb2.ErrorInfo(domain="ledger.spendgate", reason="BUDGET_UNKNOWN")
    status.details.add().Pack(info)
    desk.fleet.answers["GetBudget"] = RemoteError(status)
    http, told = await desk.rpc("ledger/GetBudget", {"budget_id": "x"})
    assert (http, told["spendgate"]["reason"]) == (404, "BUDGET_UNKNOWN")
    away = status_pb2.Status(
        code=grpc.StatusCode.UNAVAILABLE.value[0], message="connect to 1.2.3.4"
    )
    desk.fleet.answers["ListBudgets"] = RemoteError(away)
    http, told = await desk.rpc("ledger/ListBudgets", {})
    assert (http, told["spendgate"]["metadata"]) == (503, {"service": "ledger"})
    assert "1.2.3.4" not in str(told)


def entry(number, **attempt):
    made = entry_pb2.Entry(
        entry_id=f"e{number}",
        request_id=f"r{number}",
        attribution=entry_pb2.Attribution(feature="faq" if number % 2 else "search"),
        attempt=entry_pb2.Attempt(model_used="cheap", **attempt),
        cost_nanos=2**60,
    )
    made.attribution.tags["env"] = "prod"
    made.book_time.FromJsonString(f"2026-11-{number:02d}T12:00:00Z")
    return made


async def test_requests_are_found_by_what_they_say(desk):
    """All filters hold together; amounts are text, as they are beyond a browser's numbers."""
    await desk.sign_in("sg_viewer")
    rows = [entry(number) for number in range(20, 0, -1)]
    desk.fleet.answers["ListEntries"] = ledger_pb.ListEntriesResponse(entries=rows)
    body = {"only": {"feature": "faq", "tag:env": "prod"}, "start_time": "2026-11-15T00:00:00Z"}
    status, told = await desk.send("POST", "/api/requests", body)
    assert [each["request_id"] for each in told["entries"]] == ["r19", "r17", "r15"]
    assert told["entries"][0]["cost_nanos"] == str(2**60)
    assert (status, told["next_page_token"]) == (200, "")
    for bad in ({"only": {"prompt": "x"}}, {"only": []}, {"start_time": "yesterday"},
                {"start_time": "2026-11-15T00:00:00"}, {"only": {"feature": 7}}):  # fmt: skip
        assert (await desk.send("POST", "/api/requests", bad))[0] == 400, bad


async def test_a_look_ends_and_can_be_gone_on_with(desk):
    """Rows that do not fit are not read for ever."""
    await desk.sign_in("sg_viewer")

    def page(request):
        rows = [entry(2) for _ in range(request.page_size)]
        return ledger_pb.ListEntriesResponse(entries=rows, next_page_token="more")

    desk.fleet.answers["ListEntries"] = page
    _, told = await desk.send("POST", "/api/requests", {"only": {"feature": "none"}})
    assert told == {"entries": [], "seen_count": 5_000, "next_page_token": "more"}


async def test_what_the_cache_would_do_is_asked_without_traces(desk):
    """A dry run; the answer's text does not leave the cache's side."""
    await desk.sign_in("sg_viewer")
    said = chat_pb2.Choice(message=chat_pb2.Message(content="a kept secret"))
    answer = cache_pb.Answer(model="cheap", choices=[said])
    finding = cache_pb.Finding(outcome=cache_pb.OUTCOME_EXACT, answer=answer)
    result = cache_pb.LookupResult(finding=finding)
    desk.fleet.answers["Lookup"] = cache_pb.LookupResponse(results=[result])
    body = {"model": "auto", "lease_ms": 500, "prompt": {"messages": []}}
    _, told = await desk.send("POST", "/api/cache/try", body)
    assert (told["outcome"], told["answer"]["choices"]) == ("OUTCOME_EXACT", [])
    ((_, _, request),) = desk.fleet.asked
    (item,) = request.items
    assert (item.dry_run, item.explain, item.lease_ms, item.scope.tenant) == (True, True, 0, "acme")


SPAN = {"span_id": "a", "parent_id": "", "name": "chat auto", "service": "spendgate-gateway",
        "start_ns": 10**18, "end_ns": 10**18 + 5}  # fmt: skip
TRACE_ID = "ab" * 16


async def trace_of(body, form, rows):
    """(state, span ids) of a request whose trace is kept as `body`; and the token shown."""
    shown = []

    async def serve(request: web.Request) -> web.Response:
        shown.append((request.path, request.headers.get("Authorization")))
        return web.json_response(body)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    def traces(session: aiohttp.ClientSession) -> Traces:
        return Traces(url, form, SecretStr("inside"), session)

    async with console_of(traces) as desk:
        await desk.sign_in("sg_viewer")
        desk.fleet.answers["ListEntries"] = ledger_pb.ListEntriesResponse(entries=rows)
        _, told = await desk.send("GET", "/api/requests/r1/trace")
    await runner.cleanup()
    return told["state"], [each["span_id"] for each in told["spans"]], shown


async def test_a_trace_is_shown_as_far_as_it_is_the_tenants():
    """The books name it; spans of other tenants in the same trace stay out."""
    ours = {**SPAN, "failed": False, "attributes": {names.TENANT: "acme"}}
    child = {**SPAN, "span_id": "b", "parent_id": "a", "failed": False, "attributes": {}}
    theirs = {**SPAN, "span_id": "c", "failed": False, "attributes": {names.TENANT: "rivals"}}
    below = {**SPAN, "span_id": "d", "parent_id": "c", "failed": False, "attributes": {}}
    loose = {**SPAN, "span_id": "f", "parent_id": "f", "failed": False, "attributes": {}}
    body = {"spans": [below, ours, child, theirs, loose]}
    state, spans, shown = await trace_of(body, OWN, [entry(1, trace_id=TRACE_ID)])
    assert (state, spans) == ("kept", ["a", "b"])
    assert shown == [(f"/traces/{TRACE_ID}", "Bearer inside")]


async def test_jaegers_answer_is_read_too():
    """Without the fleet's token, which is nobody else's business."""
    span = {"spanID": "a", "operationName": "chat", "references": [], "startTime": 10**15,
            "duration": 7, "processID": "p1",
            "tags": [{"key": names.TENANT, "type": "string", "value": "acme"}]}  # fmt: skip
    body = {"data": [{"spans": [span], "processes": {"p1": {"serviceName": "spendgate-gateway"}}}]}
    state, spans, shown = await trace_of(body, JAEGER, [entry(1, trace_id=TRACE_ID)])
    assert (state, spans, shown) == ("kept", ["a"], [(f"/api/traces/{TRACE_ID}", None)])


@pytest.mark.parametrize("body", [{"data": [{}]}, [], {"spans": 3}, "text"])
@pytest.mark.parametrize("form", [OWN, JAEGER])
async def test_nonsense_of_a_trace_store_is_no_failure(body, form):
    """The request is shown without its steps."""
    state, spans, _ = await trace_of(body, form, [entry(1, trace_id=TRACE_ID)])
    assert (state, spans) == ("away", [])


async def test_without_a_store_or_a_trace_that_is_said(desk):
    """Off, where none is configured; gone, where the books name none; unknown ids have no rows."""
    await desk.sign_in("sg_viewer")
    assert (await desk.send("GET", "/api/requests/r1/trace"))[1]["state"] == "off"
    assert (await desk.send("GET", "/api/requests/%00"))[1] == {"entries": []}
    state, _, shown = await trace_of({"spans": []}, OWN, [entry(1)])
    assert (state, shown) == ("gone", [])


async def test_budgets_keep_their_numbers(desk):
    """As proto3 JSON with the contract's own names, zeros told."""
    await desk.sign_in("sg_viewer")
    budget = budget_pb2.Budget(budget_id="b", limit_amount=2**62)
    desk.fleet.answers["ListBudgets"] = ledger_pb.ListBudgetsResponse(budgets=[budget])
    _, told = await desk.rpc("ledger/ListBudgets", {})
    (shown,) = told["budgets"]
    assert (shown["limit_amount"], shown["settled_amount"]) == (str(2**62), "0")
