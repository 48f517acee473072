"""Alerts from a booking to a webhook: told once, whatever happens on the way."""

import asyncio
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from spendgate.ledger.v1 import alert_pb2, budget_pb2
from spendgate.ledger.v1 import reading_service_pb2 as pb

from catalog.config import ConfigError
from tests.fakes.ledger_clock import SetClock
from tests.fakes.webhook import Webhook
from tests.integration.ledger.conftest import (
    Ledger,
    an_attempt,
    reserve_item,
    running_ledger,
    settle_item,
)
from tests.integration.ledger.test_breakdown import call

SECRET = "the secret of the hook"


def alerts_section(hook: Webhook, *, form: str = "json", rules: str = "") -> str:
    return f"""
alerts:
  {rules or 'request_usd: "0.000015"'}
  webhooks:
    ops: {{url: "{hook.url}", secret_env: HOOK_SECRET, format: {form}, timeout_seconds: 0.3}}
"""


def running(folder: Path, clock: SetClock, section: str, **settings: object):
    return running_ledger(
        folder,
        clock,
        fleet_more=section,
        environ={"HOOK_SECRET": SECRET},
        follow_seconds=0.02,
        watch_seconds=0.02,
        **settings,
    )


async def listed(ledger: Ledger) -> list[alert_pb2.Alert]:
    request = pb.ListAlertsRequest(tenant="acme", page_size=100)
    return list((await ledger.reading.ListAlerts(request)).alerts)


async def sent(ledger: Ledger, count: int = 1) -> bool:
    """Whether there are so many alerts, and all have arrived."""
    found = await listed(ledger)
    return len(found) >= count and all(
        each.state == alert_pb2.DELIVERY_STATE_SENT for alert in found for each in alert.deliveries
    )


async def all_sent(ledger: Ledger, count: int = 1) -> None:
    async with asyncio.timeout(20):
        while not await sent(ledger, count):
            await asyncio.sleep(0.02)


async def test_a_dear_request_is_told_once_and_signed(tmp_path: Path, clock: SetClock) -> None:
    """The receiver can check who sent it, and when."""
    async with Webhook() as hook, running(tmp_path, clock, alerts_section(hook)) as ledger:
        dear = await call(ledger, 20)
        await call(ledger, 15)
        await all_sent(ledger)
        ((headers, body),) = hook.posts
        told = json.loads(body)
        assert told["kind"] == "request_cost"
        assert told["subject"]["request_id"] == dear
        assert (told["observed_usd"], told["threshold_usd"]) == ("0.00002", "0.000015")
        stamp, mac = headers["X-Spendgate-Signature"].split(",")
        expected = hmac.digest(SECRET.encode(), stamp[2:].encode() + b"." + body, "sha256").hex()
        assert mac == f"v1={expected}"
        assert int(stamp[2:]) == clock() // 1_000_000


@pytest.mark.parametrize("trouble", [500, 429, 302, 307, "hang", "drop"])
async def test_a_webhook_in_trouble_gets_the_alert_later(
    tmp_path: Path, clock: SetClock, trouble: int | str
) -> None:
    """Not before its wait is over. Each try is the same event; a redirect is not followed."""
    hook = Webhook(trouble, trouble)
    async with hook, running(tmp_path, clock, alerts_section(hook)) as ledger:
        await call(ledger, 20)
        async with asyncio.timeout(20):
            while not (found := await listed(ledger)) or not found[0].deliveries[0].last_problem:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            assert len(hook.posts) == 1
            while not await sent(ledger):
                clock.go_on(60)
                await asyncio.sleep(0.05)
        assert hook.stray_count == 0
        assert len(hook.posts) == 3
        assert len({headers["X-Spendgate-Event"] for headers, _ in hook.posts}) == 1
        (alert,) = await listed(ledger)
        assert alert.deliveries[0].try_count == 3


async def test_an_alert_outlives_a_restart_and_is_not_sent_again(
    tmp_path: Path, clock: SetClock
) -> None:
    """What was on its way goes on its way; what had arrived stays arrived."""
    hook = Webhook(500)
    async with hook:
        section = alerts_section(hook)
        async with running(tmp_path, clock, section) as ledger:
            await call(ledger, 20)
            async with asyncio.timeout(20):
                while not hook.posts:
                    await asyncio.sleep(0.02)
        clock.go_on(3600)
        async with running(tmp_path, clock, section) as ledger:
            await all_sent(ledger)
        async with running(tmp_path, clock, section) as ledger:
            clock.go_on(3600)
            await call(ledger, 20)
            await all_sent(ledger, 2)
        assert len(hook.posts) == 3
        assert len({headers["X-Spendgate-Event"] for headers, _ in hook.posts}) == 2


async def test_a_webhook_that_never_answers_is_given_up(tmp_path: Path, clock: SetClock) -> None:
    """After the time the operator set; the alert itself stays."""
    async with (
        Webhook(*[500] * 100) as hook,
        running(tmp_path, clock, alerts_section(hook) + "  give_up_seconds: 600\n") as ledger,
    ):
        await call(ledger, 20)
        async with asyncio.timeout(20):
            while True:
                found = await listed(ledger)
                if found and found[0].deliveries[0].state == alert_pb2.DELIVERY_STATE_GIVEN_UP:
                    break
                clock.go_on(60)
                await asyncio.sleep(0.02)
        assert found[0].deliveries[0].last_problem == "HTTP 500"


async def test_slack_takes_the_body_and_names_become_no_links(
    tmp_path: Path, clock: SetClock
) -> None:
    """A feature called by a caller must not mention a channel."""
    async with (
        Webhook() as hook,
        running(
            tmp_path, clock, alerts_section(hook, form="slack", rules='hour_usd: "0.00001"')
        ) as ledger,
    ):
        await call(ledger, 20, feature="<!channel> & more")
        await all_sent(ledger)
        told = json.loads(hook.posts[0][1])
        assert set(told) == {"text", "blocks"}
        assert told["blocks"][0]["text"]["type"] == "mrkdwn"
        assert "&lt;!channel&gt; &amp; more" in told["text"]


async def test_hours_days_and_errors_are_told_once_a_period(
    tmp_path: Path, clock: SetClock
) -> None:
    """However many requests come after."""
    rules = (
        'hour_usd: "0.00003"\n  day_usd: "0.00005"\n  error_percent: 30\n  error_requests_min: 4'
    )
    async with Webhook() as hook, running(tmp_path, clock, alerts_section(hook, rules=rules)) as it:
        for _ in range(2):
            await call(it, 20)
            await call(it, 0)
        await all_sent(it)
        for _ in range(3):
            await call(it, 20)
        clock.go_on(3600)
        await call(it, 40)
        await all_sent(it, 4)
        kinds = sorted(json.loads(body)["kind"] for _, body in hook.posts)
        assert kinds == ["day_cost", "error_rate", "hour_cost", "hour_cost"]


async def marks(ledger: Ledger) -> list[str]:
    """What was told of budgets' marks, newest first."""
    used = alert_pb2.ALERT_KIND_BUDGET_USED
    return [alert.subject["percent"] for alert in await listed(ledger) if alert.kind == used]


async def test_a_budget_is_told_at_each_of_its_marks_once(tmp_path: Path, clock: SetClock) -> None:
    """50, 80 and 100 percent; a new window begins anew."""
    async with Webhook() as hook, running(tmp_path, clock, "") as ledger:
        await ledger.budget("day", 100_000, window=budget_pb2.BUDGET_WINDOW_DAY)
        for tokens in (49, 1, 31, 19):
            await call(ledger, tokens)
            await ledger.reading.Breakdown(pb.BreakdownRequest(tenant="acme"))
        assert await marks(ledger) == ["100", "80", "50"]
        clock.go_on(24 * 3600)
        await call(ledger, 60)
        await ledger.reading.Breakdown(pb.BreakdownRequest(tenant="acme"))
        assert await marks(ledger) == ["50", "100", "80", "50"]
        assert not hook.posts


async def test_a_budget_that_will_not_last_is_told_before_it_is_used_up(
    tmp_path: Path, clock: SetClock
) -> None:
    """Half of it is gone in a quarter of the day."""
    clock.set(datetime(2026, 3, 10, 6, 0, tzinfo=UTC))
    async with running(tmp_path, clock, "") as ledger:
        await ledger.budget("day", 100_000, window=budget_pb2.BUDGET_WINDOW_DAY)
        await call(ledger, 20)
        await asyncio.sleep(0.2)
        assert not await listed(ledger)
        await call(ledger, 20)
        async with asyncio.timeout(20):
            while not (found := await listed(ledger)):
                await asyncio.sleep(0.02)
        (alert,) = found
        assert alert.kind == alert_pb2.ALERT_KIND_BUDGET_FORECAST
        assert (alert.observed, alert.threshold) == (160_000, 100_000)


async def test_each_value_of_a_budget_is_told_by_its_name(tmp_path: Path, clock: SetClock) -> None:
    """One limit for each user: only who reached a mark, and both when both did."""
    async with running(tmp_path, clock, "") as ledger:
        await ledger.budget("each", 100_000, each=["user"])
        for user, tokens in (("ann", 40), ("bob", 60), ("ann", 15)):
            await call(ledger, tokens, user=user)
            await ledger.reading.Breakdown(pb.BreakdownRequest(tenant="acme"))
        titles = [alert.title for alert in await listed(ledger)]
        assert titles == [f"Budget each (user {who}) is used to 50 %" for who in ("ann", "bob")]


async def test_only_budgets_of_money_are_told_of(tmp_path: Path, clock: SetClock) -> None:
    """Marks are in dollars; a budget of requests has none."""
    async with running(tmp_path, clock, "") as ledger:
        await ledger.budget("few", 4, unit=budget_pb2.BUDGET_UNIT_REQUESTS)
        await ledger.budget("all", 100_000)
        for _ in range(3):
            await call(ledger, 20)
            await ledger.reading.Breakdown(pb.BreakdownRequest(tenant="acme"))
        told = [alert.subject["budget_id"] for alert in await listed(ledger)]
        assert told == ["all"]


async def test_a_rolling_budget_has_marks_and_no_forecast(tmp_path: Path, clock: SetClock) -> None:
    """What it counts returns bit by bit: no end that it could miss, none that is told."""
    clock.set(datetime(2026, 3, 10, 6, 0, tzinfo=UTC))
    async with running(tmp_path, clock, "") as ledger:
        window = {"window": budget_pb2.BUDGET_WINDOW_ROLLING, "rolling": timedelta(days=1)}
        await ledger.budget("day", 100_000, **window)
        await call(ledger, 40)
        await asyncio.sleep(0.2)
        assert not await listed(ledger)
        await call(ledger, 20)
        await ledger.reading.Breakdown(pb.BreakdownRequest(tenant="acme"))
        (alert,) = await listed(ledger)
        assert alert.kind == alert_pb2.ALERT_KIND_BUDGET_USED
        assert "anew" not in alert.reason


async def test_an_hour_unlike_its_past_is_told_with_what_made_it_so(
    tmp_path: Path, clock: SetClock
) -> None:
    """The same hour of six past weeks, a wild one among them, against ten times as much."""
    start = datetime(2026, 3, 10, 12, 10, tzinfo=UTC)
    rules = 'anomaly: {usd_min: "0.00001", weeks: 6}'
    async with Webhook() as hook, running(tmp_path, clock, alerts_section(hook, rules=rules)) as it:
        for week, tokens in enumerate((10, 11, 9, 500, 10, 12)):
            clock.set(start + timedelta(weeks=week))
            await call(it, tokens, feature="chat")
        clock.set(start + timedelta(weeks=6))
        await call(it, 10, feature="chat")
        await call(it, 90, feature="search", user="eve")
        clock.go_on(2 * 3600)
        async with asyncio.timeout(20):
            while not hook.posts:
                await asyncio.sleep(0.02)
        await all_sent(it)
        told = [json.loads(body) for _, body in hook.posts]
        assert [each["kind"] for each in told] == ["anomaly"]
        assert told[0]["subject"] == {"feature": "search"}
        assert told[0]["observed_usd"] == "0.0001"


async def test_a_watcher_sees_each_alert_once_and_goes_on_from_a_number(
    tmp_path: Path, clock: SetClock
) -> None:
    """In the order they were raised, its own tenant's only."""
    async with Webhook() as hook, running(tmp_path, clock, alerts_section(hook)) as ledger:
        ids = [await call(ledger, 20), await call(ledger, 30, tenant="other")]
        ids.append(await call(ledger, 40))
        watch = ledger.reading.WatchAlerts(
            pb.WatchAlertsRequest(tenant="acme", after_number=0), timeout=20
        )
        seen = [(await watch.read()).alert for _ in range(2)]
        assert [alert.subject["request_id"] for alert in seen] == [ids[0], ids[2]]
        watch.cancel()
        again = ledger.reading.WatchAlerts(
            pb.WatchAlertsRequest(tenant="acme", after_number=seen[0].number), timeout=20
        )
        assert (await again.read()).alert.number == seen[1].number
        again.cancel()


async def test_a_webhook_without_its_variable_is_told_at_the_start(
    tmp_path: Path, clock: SetClock
) -> None:
    """By its place in the fleet file; nothing starts."""
    section = "alerts: {webhooks: {ops: {url_env: OPS_HOOK, secret_env: OPS_SECRET}}}\n"
    with pytest.raises(ConfigError) as caught:
        async with running_ledger(tmp_path, clock, fleet_more=section, environ={}):
            pass
    assert caught.value.problems == [
        "alerts.webhooks.ops.url_env: the variable OPS_HOOK is not set",
        "alerts.webhooks.ops.secret_env: the variable OPS_SECRET is not set",
    ]


async def test_an_overage_is_told(tmp_path: Path, clock: SetClock) -> None:
    """More was charged than had been set aside; once an hour and budget."""
    async with running(tmp_path, clock, "") as ledger:
        await ledger.budget("company", 10**9)
        for _ in range(2):
            held = await ledger.hold(reserve_item(10))
            await ledger.charge(settle_item(held.hold_id, an_attempt(25)))
        await all_sent(ledger)
        (alert,) = await listed(ledger)
        assert alert.kind == alert_pb2.ALERT_KIND_BUDGET_OVERAGE
        assert alert.title == "Budget company was charged 0.000015 USD beyond what was set aside"
        assert alert.observed == 15_000
        clock.go_on(3600)
        held = await ledger.hold(reserve_item(10))
        clock.go_on(121)
        await ledger.charge(settle_item(held.hold_id, an_attempt(5)))
        await all_sent(ledger, 2)
        assert "nothing was set aside for any more" in (await listed(ledger))[0].title


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (budget_pb2.BUDGET_MODE_SOFT, alert_pb2.ALERT_KIND_BUDGET_BROKEN),
        (budget_pb2.BUDGET_MODE_SHADOW, alert_pb2.ALERT_KIND_BUDGET_SHADOW),
    ],
)
async def test_a_budget_that_lets_requests_go_on_is_told_when_it_is_broken(
    tmp_path: Path, clock: SetClock, mode: budget_pb2.BudgetMode, kind: alert_pb2.AlertKind
) -> None:
    """Once a window, over a restart too, and in its own unit."""
    async with Webhook() as hook:
        for _ in range(2):
            async with running(tmp_path, clock, alerts_section(hook)) as ledger:
                await ledger.budget(
                    "fair",
                    15,
                    unit=budget_pb2.BUDGET_UNIT_TOKENS,
                    mode=mode,
                    window=budget_pb2.BUDGET_WINDOW_DAY,
                )
                await ledger.reserve(*(reserve_item(10) for _ in range(3)))
                await all_sent(ledger)
                (alert,) = await listed(ledger)
                assert (alert.kind, alert.observed, alert.threshold) == (kind, 10, 15)
        ((_, body),) = hook.posts
        told = json.loads(body)
        assert (told["observed_tokens"], told["threshold_tokens"]) == (10, 15)
        assert told["subject"]["budget_id"] == "fair"
