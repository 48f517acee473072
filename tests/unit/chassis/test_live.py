"""A value that is read again when its files change."""

import asyncio

import pytest

from chassis.health import Health
from chassis.live import Live


class Bad(Exception):
    def __init__(self):
        super().__init__("bad")
        self.problems = ["line 1: is bad"]


class Setting:
    """A number in a file."""

    def __init__(self, folder):
        self.path = folder / "number"
        self.path.write_text("1")
        self.part = Health().part("file")
        self.between = lambda: None
        self.live = Live(self.load, lambda _: [self.path], self.part)
        self.taken = []
        self.live.on_change(self.taken.append)

    async def load(self):
        text = self.path.read_text()
        self.between()
        if not text.isdigit():
            raise Bad
        return int(text)


@pytest.fixture
def setting(tmp_path):
    return Setting(tmp_path)


async def watched(setting, until):
    task = asyncio.create_task(setting.live.watch(0.01))
    try:
        async with asyncio.timeout(10):
            while not until():
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_changed_file_is_taken_over(setting):
    """Everybody who asked hears of it, in order."""
    assert await setting.live.open() == 1
    setting.path.write_text("22")
    await watched(setting, lambda: setting.taken == [22])
    assert setting.live.current == 22


async def test_a_bad_file_keeps_the_earlier_value(setting):
    """Health is degraded and says why, until the file is good again."""
    await setting.live.open()
    setting.path.write_text("x")
    await watched(setting, lambda: setting.part.state == "degraded")
    assert setting.live.current == 1
    assert "line 1: is bad" in setting.part.why
    setting.path.write_text("3")
    await watched(setting, lambda: setting.taken == [3])
    assert setting.part.state == "ok"


async def test_a_file_that_goes_away_is_a_change_too(setting):
    """And what was read before holds on."""
    await setting.live.open()
    setting.path.unlink()
    await watched(setting, lambda: setting.part.state == "degraded")
    assert setting.live.current == 1


async def test_a_change_while_it_is_read_is_not_missed(setting):
    """Written anew after it was read and before it holds: read once more."""
    await setting.live.open()

    def write():
        setting.between = lambda: None
        setting.path.write_text("333")

    setting.between = write
    setting.path.write_text("22")
    await watched(setting, lambda: setting.taken == [22, 333])


async def test_told_to_it_reads_again_whatever_the_file_looks_like(setting):
    """As SIGHUP does."""
    await setting.live.open()
    setting.live.reload_soon()
    await watched(setting, lambda: setting.taken == [1])


async def test_the_first_reading_must_work(setting):
    """There is no earlier value to go on with."""
    setting.path.write_text("x")
    with pytest.raises(Bad):
        await setting.live.open()
