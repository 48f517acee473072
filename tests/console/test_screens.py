"""Every screen, on real data: it says what it should, to everybody, on a phone too."""

import pytest

from tests.console.fleet import MARKUP

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Screen -> what stands on it.
SCREENS = {
    "overview": ("Month’s end, forecast", "Saved by routing", "code-review", "summaries"),
    "explore": ("support-chat", "All", "p90"),
    "explore?by=AXIS_TAG&tag=env&then=AXIS_MODEL": ("prod", "staging", "cheap"),
    "requests": ("cache hit", "Show more of"),
    "budgets": ("acme", "feature support-chat, model strong", "the fullest"),
    "keys": ("shop-backend", "viewer", "works"),
    "cache": ("Precision of hits", "support-chat", "Look-ups"),
    "router": ("Against every call to strong", "Estimated on 240 labelled prompts", "holds"),
    "opportunities": ("a month", "The same prompt was paid for again"),
    "alerts": ("Budget summaries is used to 50 %",),
    "playground": ("Compare", "cheap"),
    "prices": ("$15.00", "gpt-4o-mini", "unpriced"),
    "nowhere": ("This address leads nowhere",),
}
# In the dark the colours are others, and nothing else is.
DARK = {"runOnly": ["color-contrast"]}
AXE = """async (options) => (await axe.run(document, options)).violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.map((node) => node.target).join(" | ")}`)"""


@pytest.mark.parametrize("path", SCREENS)
async def test_a_screen_shows_its_numbers_and_complains_of_nothing(admin, packages, path):
    """No error in the browser's console, nothing serious for axe in either theme, no page that
    is wider than a phone."""
    page = admin.page
    await admin.open(path)
    for text in SCREENS[path]:
        await page.get_by_text(text).first.wait_for()
    axe = (packages / "node_modules/axe-core/axe.min.js").read_text()
    await page.evaluate(axe)
    assert await page.evaluate(AXE, {"resultTypes": ["violations"]}) == []
    await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert await page.evaluate(AXE, DARK) == []
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.evaluate("new Promise((done) => setTimeout(done, 50))")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    assert admin.complaints == []


async def test_names_that_hold_markup_are_text(admin):
    """A model, a feature, a user and a tag, everywhere that they stand."""
    page = admin.page
    for path in ("overview", "explore", "explore?by=AXIS_TAG&tag=team", "requests", "cache",
                 "prices", "playground"):  # fmt: skip
        await admin.open(path)
        await page.get_by_text(MARKUP).first.wait_for()
        assert await page.locator("main img").count() == 0
        assert (await page.title()).endswith("Spendgate")
    await admin.open("requests")
    await page.get_by_role("row").filter(has_text=MARKUP).get_by_role("link").click()
    await page.get_by_text("Tag team").wait_for()
    assert await page.locator("main img").count() == 0
    assert admin.complaints == []


async def test_the_keyboard_reaches_everything(admin):
    """Skip link first; a screen opened by the keyboard begins at its heading; Escape closes."""
    page = admin.page
    await admin.open("overview")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    await page.get_by_role("link", name="Budgets", exact=True).focus()
    await page.keyboard.press("Enter")
    await page.locator("h1:focus", has_text="Budgets").wait_for()
    await page.get_by_role("button", name="New budget").focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await dialog.wait_for()
    await page.keyboard.press("Escape")
    await dialog.wait_for(state="detached")


async def test_a_phone_has_a_menu(admin):
    """The screens are behind one button."""
    page = admin.page
    await page.set_viewport_size({"width": 390, "height": 844})
    await admin.open("overview")
    await page.get_by_role("button", name="Menu").click()
    await page.get_by_role("link", name="Prices").click()
    await page.get_by_role("heading", name="Prices").wait_for()
    assert not await page.get_by_role("link", name="Keys").is_visible()
