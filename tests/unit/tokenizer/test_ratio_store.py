import json
from pathlib import Path

import pytest

from services.tokenizer.estimate import Family, Script
from services.tokenizer.learn.keeper import Keeper
from services.tokenizer.learn.learned import LearnedRatios
from services.tokenizer.learn.pair import Pair
from services.tokenizer.learn.store_file import RatioStore
from services.tokenizer.models import model_of

MODEL = model_of("claude-sonnet-4-6")
PAIR = Pair(1000, 0, 3, 0, 8, 1500, "00ff00ff00ff00ff")


class Part:
    """Remembers how it was told to be."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def ok(self) -> None:
        self.said.append("ok")

    def degraded(self, why: str) -> None:
        self.said.append(why)


async def learned(folder: Path, calls: int, first: int = 0) -> Part:
    """A process that opens the folder, hears of so many calls and ends."""
    ratios, part = LearnedRatios(), Part()
    keeper = Keeper(ratios, RatioStore(folder), part)
    await keeper.open()
    for number in range(first, first + calls):
        ratios.take(MODEL, f"request-{number}", (1000, 0, 0, 0, 8, 0), 1568)
        await keeper.update()
    await keeper.close()
    return part


async def reopened(folder: Path) -> tuple[LearnedRatios, Part]:
    ratios, part = LearnedRatios(), Part()
    await Keeper(ratios, RatioStore(folder), part).open()
    return ratios, part


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """A model's family and calls, under any name a model may have."""
    for name in ("claude", "a/../../b", "模型", "x" * 256):
        RatioStore(tmp_path).save(name, Family.CLAUDE, [PAIR, PAIR])
        assert (name, Family.CLAUDE, [PAIR, PAIR]) in RatioStore(tmp_path).load()
    assert len(list(tmp_path.iterdir())) == 4
    RatioStore(tmp_path).forget("claude")
    assert len(list(RatioStore(tmp_path).load())) == 3


async def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    """The next process begins with the ratios and with the calls that were heard last."""
    assert (await learned(tmp_path, 8)).said[-1] == "ok"
    ratios, part = await reopened(tmp_path)
    assert part.said == ["ok"]
    assert ratios.calls(MODEL.name) == 8
    assert ratios.ratio(MODEL.name, Family.CLAUDE, Script.LATIN).permille > 1400
    await learned(tmp_path, 1, first=8)  # one more is no reason for new ratios
    ratios, _ = await reopened(tmp_path)
    assert ratios.calls(MODEL.name) == 9


async def test_a_request_teaches_once_over_a_restart(tmp_path: Path) -> None:
    """A report that comes again after a restart is a repeat."""
    await learned(tmp_path, 8)
    await learned(tmp_path, 8)
    ratios, _ = await reopened(tmp_path)
    assert ratios.calls(MODEL.name) == 8


async def test_no_id_and_no_text_is_kept(tmp_path: Path) -> None:
    """Numbers, the model's name, and hashes of request ids: nothing else is on the disk."""
    await learned(tmp_path, 8)
    (file,) = tmp_path.iterdir()
    content = json.loads(file.read_text())
    assert set(content) == {"version", "model", "family", "pairs"}
    assert "request-" not in file.read_text()
    for pair in content["pairs"]:
        assert [type(value) for value in pair] == [int] * 6 + [str]


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 2}',
        '{"version": 1, "model": "m", "family": "claude", "pairs": [[1]]}',
        '{"version": 1, "model": "m", "family": "nobody", "pairs": []}',
        '{"version": 1, "model": "m", "family": "claude", "pairs": [[1,1,1,1,1,-1,"a"]]}',
        '{"version": 1, "model": "m", "family": "claude", "pairs": [["a",1,1,1,1,1,"a"]]}',
        '{"version": 1, "model": 7, "family": "claude", "pairs": []}',
    ],
)
async def test_a_broken_file_costs_its_model_only(tmp_path: Path, garbage: str) -> None:
    """The service starts, says what is wrong, and the other models keep what they learned."""
    await learned(tmp_path, 8)
    (tmp_path / "broken.json").write_text(garbage)
    ratios, part = await reopened(tmp_path)
    assert ratios.calls(MODEL.name) == 8
    assert part.said == ["1 files of learned ratios cannot be used"]


async def test_a_crash_in_the_middle_of_writing_leaves_the_old_file(tmp_path: Path) -> None:
    """What was being written is beside the file, not in its place."""
    await learned(tmp_path, 8)
    (file,) = tmp_path.iterdir()
    file.with_suffix(".new").write_text(file.read_text()[:50])
    ratios, part = await reopened(tmp_path)
    assert (ratios.calls(MODEL.name), part.said) == (8, ["ok"])
    await learned(tmp_path, 8, first=8)
    ratios, _ = await reopened(tmp_path)
    assert ratios.calls(MODEL.name) == 16


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """Learning goes on in memory, and health says that it will not last."""
    blocked = tmp_path / "file"
    blocked.write_text("x")
    part = await learned(blocked / "ratios", 8)
    assert part.said[0].startswith("what was learned cannot be read (")
    assert part.said[-1].startswith("what was learned cannot be kept (")
