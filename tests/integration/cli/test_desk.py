"""`spendgate budget`, `key` and `ledger` against a real ledger, as a user types them."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.ledger_clock import SetClock
from tests.integration.ledger.conftest import (
    Ledger,
    an_attempt,
    reserve_item,
    running_ledger,
    settle_item,
)
from tests.unit.ledger.making import FLEET, SECOND


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with running_ledger(tmp_path, SetClock()) as service:
        yield service


async def spendgate(ledger: Ledger, *words: str) -> tuple[int, str, str]:
    """Exit code and what was printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.main",
        *words,
        "--ledger",
        ledger.address,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_budget_for_each_user_from_making_it_to_its_bars(ledger: Ledger) -> None:
    """Made, looked at, changed; programs get JSON."""
    made = await spendgate(
        ledger,
        *("budget", "create", "fair", "--limit", "200k", "--unit", "tokens", "--rolling", "24h"),
        *("--each", "user", "--mode", "soft", "--tenant", "acme", "--json"),
    )
    assert made[0] == 0, made
    told = json.loads(made[1])
    assert (told["limitAmount"], told["unit"]) == ("200000", "BUDGET_UNIT_TOKENS")
    assert told["scope"]["each"] == ["user"]
    await ledger.hold(reserve_item(50_000))
    shown = await spendgate(ledger, "budget", "show", "fair", "--tenant", "acme")
    assert "each user" in shown[1]
    assert "ann" in shown[1]
    assert "▒▒▒▒▒░░░░░░░░░░░░░░░ 25 %" in shown[1]
    changed = await spendgate(
        ledger,
        *("budget", "update", "fair", "--limit", "1M", "--mode", "hard", "--tenant", "acme"),
    )
    assert "1,000,000 tokens each" in changed[1]
    assert "hard" in changed[1]


async def test_a_budget_with_bars_in_dollars(ledger: Ledger) -> None:
    """Used, held, left."""
    await spendgate(
        ledger, *("budget", "create", "all", "--limit", "0.0001", "--window", "day"),
        *("--tenant", "acme", "--time-zone", "Europe/Berlin"),
    )  # fmt: skip
    await ledger.charge(settle_item((await ledger.hold(reserve_item(50))).hold_id, an_attempt(50)))
    await ledger.hold(reserve_item(25))
    code, out, _ = await spendgate(ledger, "budget", "list", "--tenant", "acme")
    assert code == 0
    assert "██████████▒▒▒▒▒░░░░░ 75 %" in out
    assert "day, Europe/Berlin" in out


async def test_a_key_with_its_limits_and_a_budget_of_its_own(ledger: Ledger) -> None:
    """Shown once; rotated with both secrets working for a while."""
    made = await spendgate(
        ledger,
        *("key", "create", "shop", "--model", "gpt-*", "--requests-per-minute", "60"),
        *("--tag", "team=red", "--budget", "5/day", "--tenant", "acme", "--json"),
    )
    assert made[0] == 0, made
    secret = json.loads(made[1])["secret"]
    rotated = await spendgate(
        ledger, *("key", "rotate", "shop", "--grace", "1h", "--tenant", "acme", "--json")
    )
    told = json.loads(rotated[1])
    assert told["secret"] not in ("", secret)
    assert told["key"]["previousExpireTime"]
    await spendgate(ledger, "key", "update", "shop", "--parallel-calls-max", "4", "--tenant=acme")
    _, out, _ = await spendgate(ledger, "key", "list", "--tenant", "acme")
    for word in ("gpt-*", "60 requests/min, 4 at once", "team=red"):
        assert word in out
    _, out, _ = await spendgate(ledger, "budget", "list", "--tenant", "acme")
    assert "key id shop" in out
    code, _, err = await spendgate(ledger, "key", "update", "nobody", "--tenant", "acme")
    assert code == 2, err


async def test_cron_hears_when_the_books_are_wrong(ledger: Ledger) -> None:
    """Exit code 0 while they are right, 1 as soon as they are not."""
    await ledger.budget("all", 10**9)
    await ledger.hold(reserve_item(3))
    assert (await spendgate(ledger, "ledger", "verify"))[0] == 0
    ledger.change("UPDATE balance SET reserved_amount = 1")
    code, out, err = await spendgate(ledger, "ledger", "verify")
    assert code == 1
    assert "balance.reserved_amount" in out
    assert "disagree in 1 places" in err


async def test_prices_learned_later_first_shown_then_booked(tmp_path: Path) -> None:
    """The difference by model before anything is written."""
    clock = SetClock()
    async with running_ledger(tmp_path, clock) as ledger:
        hold = await ledger.hold(reserve_item(3))
        await ledger.charge(settle_item(hold.hold_id, an_attempt(3)))
    fleet = tmp_path / "dearer.yaml"
    fleet.write_text(FLEET.replace('_million: "1", output', '_million: "3", output'))
    clock.now_us += SECOND
    async with running_ledger(tmp_path, clock, config=fleet) as ledger:
        words = ("ledger", "reprice", "--tenant", "acme")
        code, out, _ = await spendgate(ledger, *words, "--dry-run")
        assert code == 0
        assert "1 rows looked at, 1 would be corrected: +$0.000006" in out
        code, out, _ = await spendgate(ledger, *words, "--apply")
        assert "1 corrected: +$0.000006" in out
        code, out, _ = await spendgate(ledger, *words, "--dry-run", "--json")
        assert json.loads(out)["repriced"] == []
        assert (await spendgate(ledger, *words))[0] == 2
        assert await ledger.differences() == []
