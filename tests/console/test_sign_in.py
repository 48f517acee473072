"""Signing in: who may, what is told who may not, and what the browser keeps."""

import grpc
import pytest
from spendgate.ledger.v1 import ledger_service_pb2 as ledger_pb

from tests.console.history import TENANT
from tests.e2e.house import TOKEN, bearer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_wrong_key_is_told_and_the_right_one_opens(stranger, house):
    """By the keyboard alone; what was wrong is said, and nothing of it is shown."""
    page = stranger.page
    await page.goto(house.console)
    await page.locator("input:focus").wait_for()
    await page.keyboard.type("sg_wrong")
    await page.keyboard.press("Enter")
    told = page.get_by_role("alert").filter(has_text="does not open anything")
    await told.wait_for()
    assert await page.locator("nav").count() == 0
    await page.keyboard.type(house.admin)
    await page.keyboard.press("Enter")
    await stranger.settled()
    assert await page.title() == "Overview · Spendgate"
    # The refusal itself is the one thing that the browser logs.
    assert [text for text in stranger.complaints if "401" not in text] == []


async def test_a_key_that_calls_models_does_not_sign_in(stranger, house):
    """It has no business with the books; that is said."""
    await stranger.sign_in(house.caller)
    await stranger.page.get_by_text("This key calls models only").wait_for()


async def test_the_key_stays_nowhere_in_the_browser(stranger, house):
    """One cookie that scripts cannot read and that other sites do not send; no storage."""
    await stranger.sign_in(house.admin)
    await stranger.settled()
    (cookie,) = await stranger.page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/console")
    kept = await stranger.page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert house.admin not in kept
    assert house.admin not in cookie["value"]


async def test_a_viewer_looks_and_changes_nothing(stranger, house):
    """No button that changes something; asked all the same, the gateway refuses."""
    await stranger.sign_in(house.viewer)
    await stranger.settled()
    await stranger.open("budgets")
    assert await stranger.page.get_by_role("button", name="New budget").count() == 0
    status = await stranger.page.evaluate(
        """async () => (await fetch("/console/api/rpc/ledger/DeleteBudget", {method: "POST",
        headers: {"X-Console-Request": "1"}, body: '{"budget_id": "acme"}'})).status"""
    )
    assert status == 403
    await stranger.open("playground")
    assert "A viewer key calls no models" in await stranger.text()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.complete(house.viewer, "May I?", model="auto")
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_signing_out_and_a_disabled_key_end_the_session(stranger, house):
    """The next question of a page that is still open leads back to the door."""
    made = await house.ledger.CreateKey(
        ledger_pb.CreateKeyRequest(key_id="leaver", tenant=TENANT, role="KEY_ROLE_VIEWER"),
        metadata=bearer(TOKEN),
    )
    await stranger.sign_in(made.secret)
    await stranger.settled()
    await house.ledger.DisableKey(
        ledger_pb.DisableKeyRequest(key_id="leaver", tenant=TENANT), metadata=bearer(TOKEN)
    )
    await stranger.page.get_by_role("heading", name="Sign in").wait_for()
    await stranger.sign_in(house.viewer)
    await stranger.settled()
    await stranger.page.get_by_role("button", name="Sign out").click()
    await stranger.page.get_by_role("heading", name="Sign in").wait_for()
    assert await stranger.page.context.cookies() == []
