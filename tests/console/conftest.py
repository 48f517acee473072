"""A fleet with a month of data, a browser that looks at its console, and what npm brings."""

import shutil
import subprocess
from pathlib import Path

import pytest
import pytest_asyncio

from tests.console.fleet import ConsoleHouse

SOURCES = Path(__file__).parents[2] / "console"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 15_000


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """A copy of console/ with its locked packages."""
    if shutil.which("npm") is None:
        pytest.skip("needs node and npm")
    folder = tmp_path_factory.mktemp("sources") / "console"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser():
    """The machine's Chromium."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"needs a browser: one of {', '.join(BROWSERS)}")
    pytest.importorskip("playwright", reason="needs playwright, of the dev extra")
    from playwright.async_api import async_playwright

    async with async_playwright() as library:
        made = await library.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield made
        await made.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(browser, tmp_path_factory):
    """The fleet that all tests share."""
    async with ConsoleHouse(tmp_path_factory.mktemp("console")) as built:
        yield built


class Visitor:
    """Somebody at the console. `complaints` are errors that the page had."""

    def __init__(self, page, house):
        self.page = page
        self.house = house
        self.complaints = []
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    async def sign_in(self, secret):
        await self.page.goto(self.house.console)
        await self.page.get_by_label("Key", exact=True).fill(secret)
        await self.page.keyboard.press("Enter")

    async def open(self, path):
        """A screen, once none of its parts is on its way any more."""
        await self.page.goto(f"{self.house.console}/{path}")
        await self.settled()

    async def settled(self):
        # Imported late: the library is not everywhere.
        from playwright.async_api import expect

        await self.page.wait_for_selector("nav", state="attached")
        await self.page.wait_for_selector("main h1")
        await expect(self.page.locator("main .waiting")).to_have_count(0, timeout=WAIT_MS)

    async def text(self):
        return await self.page.inner_text("main")


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(browser, house):
    """A visitor who is not signed in."""
    context = await browser.new_context(viewport={"width": 1360, "height": 900})
    yield Visitor(await context.new_page(), house)
    await context.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _signed_in(browser, house):
    """An admin's browser: signed in once for all."""
    context = await browser.new_context(viewport={"width": 1360, "height": 900})
    visitor = Visitor(await context.new_page(), house)
    await visitor.sign_in(house.admin)
    await visitor.settled()
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def admin(_signed_in, house):
    """An admin at a new page."""
    visitor = Visitor(await _signed_in.new_page(), house)
    yield visitor
    await visitor.page.close()
