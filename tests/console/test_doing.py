"""What one does at the console, and what the fleet does then."""

import grpc
import pytest

from tests.console.history import TENANT
from tests.e2e.house import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_budget_that_is_edited_refuses_the_next_call(admin, house):
    """The what-if says so before it is saved; the tree shows it after."""
    page = admin.page
    await admin.open("budgets")
    await page.get_by_role("button", name="New budget").click()
    await page.get_by_label("Name").fill("news")
    await page.get_by_label("Limit", exact=True).fill("3")
    await page.get_by_label("Feature", exact=True).fill("news")
    await page.get_by_role("button", name="Make the budget").click()
    await page.get_by_text("The budget news counts from now on.").wait_for()
    paid = await house.complete(house.caller, "What is new today?", feature="news")
    assert paid.summary.cost_nanos > 0
    await page.get_by_role("button", name="Edit the budget news").click()
    limit = page.get_by_label("Limit, in US dollars")
    await limit.fill("lots")
    await page.get_by_text("Dollars with at most nine decimals.").wait_for()
    await limit.fill("0.000000001")
    await page.get_by_text("It would be used up now").wait_for()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("The budget news holds from now on.").wait_for()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.complete(house.caller, "And what was new yesterday?", feature="news")
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "news" in refused.value.details()
    await page.get_by_text("used up").first.wait_for()
    await page.get_by_role("button", name="Edit the budget news").click()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Really delete it").click()
    await page.get_by_text("The budget news is gone.").wait_for()
    assert admin.complaints == []


async def test_a_request_is_explained_step_by_step(admin, house):
    """From the group over its requests to the steps of one: spans, costs, route, cache, tokens."""
    page = admin.page
    for _ in range(2):
        told = await house.complete(house.caller, "Which plan fits me?", feature="plans")

    async def booked():
        return len(await house.entries(TENANT, told.summary.request_id)) == 1

    await until(booked)
    await admin.open("explore?is.AXIS_FEATURE=plans&by=AXIS_MODEL&period=24h")
    await page.get_by_role("row").filter(has_text="cheap").get_by_text("Requests").click()
    rows = page.get_by_role("row").filter(has_text="plans")
    await rows.filter(has_text="cache hit").wait_for()
    await rows.filter(has_text="call").get_by_role("link").click()
    for text in ("cache.lookup", "router.route", "ledger.settle", "it took cheap", "No answer was"):
        await page.get_by_text(text).first.wait_for()
    main = await admin.text()
    assert "cheapest capable" in main
    assert "Tokens by bucket" in main
    assert main.count("$0.00000") >= 3
    await page.go_back()
    await rows.filter(has_text="cache hit").get_by_role("link").click()
    await page.get_by_text("The very same prompt was answered before").wait_for()
    assert admin.complaints == []


async def test_models_answer_side_by_side_and_are_booked(admin, house):
    """Each with what it cost; a repeat comes from the cache and can be reported wrong."""
    page = admin.page
    await admin.open("playground")
    await page.get_by_label("Prompt", exact=True).fill("Name a colour.")
    await page.get_by_role("button", name="Compare").click()
    for model in ("auto", "cheap", "strong"):
        lane = page.get_by_role("region", name=f"Answer of {model}")
        await lane.get_by_text("tokens written").wait_for()
        assert "$0.0" in await lane.inner_text()
    booked = [e for e in await house.entries(TENANT) if e.attribution.feature == "playground"]
    assert {entry.attempt.model_used for entry in booked} == {"cheap", "strong"}
    await page.get_by_role("button", name="Compare").click()
    wrong = page.get_by_role("button", name="wrong answer").first
    await wrong.click()
    await page.get_by_text("It is not served again").wait_for()
    await admin.open("cache")
    await page.get_by_text("1 reported wrong").wait_for()
    assert admin.complaints == []


async def test_a_key_is_made_and_shown_once(admin, house):
    """Its secret works at once; then it is disabled."""
    page = admin.page
    await admin.open("keys")
    await page.get_by_role("button", name="New key").click()
    await page.get_by_label("Name").fill("made-here")
    await page.get_by_role("button", name="Make the key").click()
    secret = await page.locator("dialog pre").inner_text()
    await house.complete(secret, "Does this key work?", feature="keys")
    await page.get_by_role("button", name="Done").click()
    await page.get_by_role("button", name="Change the key made-here").click()
    await page.get_by_role("button", name="Disable").click()
    await page.get_by_role("button", name="Really disable it for good").click()
    await page.get_by_role("row").filter(has_text="made-here").get_by_text("disabled").wait_for()
    assert secret not in await page.content()
    assert admin.complaints == []


async def test_prompts_are_tried_on_cache_and_router_for_nothing(admin, house):
    """What would be done is told; nothing is called or booked."""
    page = admin.page
    calls, rows = house.upstream.calls.total(), len(await house.entries(TENANT))
    await admin.open("cache")
    await page.get_by_label("Prompt", exact=True).fill("Where is my order?")
    await page.get_by_role("button", name="Look it up").click()
    await page.get_by_text("would be served").wait_for()
    await admin.open("router")
    await page.get_by_label("Prompt", exact=True).fill("Is this a complaint?")
    await page.get_by_role("button", name="Explain").click()
    await page.get_by_text("chosen", exact=True).wait_for()
    assert (house.upstream.calls.total(), len(await house.entries(TENANT))) == (calls, rows)
    assert admin.complaints == []


async def test_a_proposal_is_applied(admin):
    """The bound that holds is the proposed one from then on."""
    page = admin.page
    await admin.open("router")
    await page.get_by_text("would serve better").wait_for()
    await page.get_by_role("button", name="Apply").click()
    await page.get_by_text("proposal 1 was applied").wait_for()
    await page.get_by_role("row").filter(has_text="holds").wait_for()
    assert admin.complaints == []


async def test_an_opportunity_says_the_setting(admin):
    """With the requests that it was seen on."""
    page = admin.page
    await admin.open("opportunities")
    await page.get_by_role("button", name="Apply").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_text("The setting that does it").wait_for()
    await dialog.get_by_role("link").first.click()
    await page.get_by_text("Rows in the books").wait_for()
    await page.get_by_text("these are the attempts in the books").wait_for()
    assert admin.complaints == []


async def test_the_overview_lives(admin, house):
    """A request that is made meanwhile is counted without a reload."""
    page = admin.page
    await admin.open("overview?period=24h")
    figure = page.locator(".figure", has=page.get_by_text("Requests", exact=True)).locator("b")
    before = int((await figure.inner_text()).replace(",", ""))
    await house.complete(house.caller, "One more, please.", feature="live")

    async def more():
        return int((await figure.inner_text()).replace(",", "")) > before

    await until(more)
