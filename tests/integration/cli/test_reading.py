"""The reading commands as a user types them, against a real ledger process."""

import asyncio
import csv
import io
import json
import mailbox
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cli import export_focus
from tests.fakes.ledger_clock import SetClock
from tests.fakes.webhook import Webhook
from tests.integration.ledger.conftest import Ledger, running_ledger
from tests.integration.ledger.test_breakdown import a_day, call


class Shell:
    """Runs `spendgate` beside a ledger."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger = ledger
        self.folder = folder
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("SPENDGATE_")}

    async def __call__(self, *words: str, code: int = 0, **environ: str) -> str:
        where = ("--ledger", self.ledger.address, "--tenant", "acme")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli.main",
            *words,
            *where,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environ | environ,
        )
        out, err = await process.communicate()
        assert process.returncode == code, err.decode()[-2000:] + out.decode()[-2000:]
        return out.decode() if code == 0 else out.decode() + err.decode()


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    clock = SetClock(datetime.now(UTC) - timedelta(hours=1))
    async with running_ledger(tmp_path, clock) as ledger:
        yield Shell(ledger, tmp_path)


async def test_a_report_is_told_as_table_csv_and_json(shell: Shell) -> None:
    """By any axis; a name that would run as a formula does not."""
    await a_day(shell.ledger)
    await call(shell.ledger, 1, feature="=1+1")
    table = await shell("report", "--by", "tag:team")
    assert "blue" in table
    assert "p99 ms" in table
    rows = list(csv.DictReader(io.StringIO(await shell("report", "--format", "csv"))))
    assert [row["feature"] for row in rows] == ["search", "chat", "'=1+1"]
    assert rows[0]["cost_usd"] == "0.0004"
    lines = (await shell("report", "--by", "key", "--format", "jsonl")).splitlines()
    assert {json.loads(line)["key"] for line in lines} == {"", "k1", "k2"} or len(lines) == 2
    told = json.loads(await shell("report", "--by", "user", "--only", "feature=chat", "--json"))
    assert told["total"]["requestCount"] == "5"
    assert "is no dimension" in await shell("report", "--by", "colour", code=2)


async def test_an_export_is_whole_after_a_break(shell: Shell) -> None:
    """What was written beyond the cursor is cut off; new rows come behind, each once."""
    await a_day(shell.ledger)
    out = shell.folder / "rows.csv"
    await shell("export", str(out))
    whole = await asyncio.to_thread(out.read_text)
    rows = list(csv.DictReader(io.StringIO(whole)))
    assert len(rows) == 6
    assert sum(int(row["cost_nanos"]) for row in rows) == 460_000
    # As if the last piece had been half written when the power went.
    await asyncio.to_thread(out.write_text, whole + 'half a "row' * 1000)
    await call(shell.ledger, 7)
    await shell("export", str(out))
    again = await asyncio.to_thread(out.read_text)
    assert again.startswith(whole)
    assert len(list(csv.DictReader(io.StringIO(again)))) == 7
    assert "another export" in await shell("export", str(out), "--format", "jsonl", code=1)
    other = shell.folder / "mine.csv"
    await asyncio.to_thread(other.write_text, "my own file")
    assert "there already" in await shell("export", str(other), code=1)
    assert await asyncio.to_thread(other.read_text) == "my own file"


async def test_parquet_and_json_lines_have_the_same_rows(shell: Shell) -> None:
    """Money as decimals, times as times."""
    await a_day(shell.ledger)
    await shell("export", str(shell.folder / "rows"), "--format", "parquet")
    await shell("export", str(shell.folder / "rows.jsonl"), "--format", "jsonl")
    table = await asyncio.to_thread(pq.read_table, shell.folder / "rows")
    text = await asyncio.to_thread((shell.folder / "rows.jsonl").read_text)
    lines = [json.loads(line) for line in text.splitlines()]
    assert table.column("entry_id").to_pylist() == [line["entry_id"] for line in lines]
    assert sum(table.column("cost_usd").to_pylist()) == Decimal("0.00046")
    assert table.column("book_time").to_pylist()[0].tzinfo is not None


async def test_a_focus_export_keeps_the_specification(shell: Shell) -> None:
    """FOCUS 1.2: every mandatory column, allowed values, times, nulls where they must be."""
    await a_day(shell.ledger)
    out = shell.folder / "focus.csv"
    await shell("export", str(out), "--format", "focus")
    rows = list(csv.DictReader(io.StringIO(await asyncio.to_thread(out.read_text))))
    assert set(export_focus.MANDATORY) <= rows[0].keys()
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal("0.00046")
    for row in rows:
        assert row["BillingCurrency"] == "USD"
        assert row["ChargeCategory"] == "Usage"
        assert row["ChargeClass"] == ""
        assert row["ServiceCategory"] == "AI and Machine Learning"
        assert row["ServiceSubcategory"] == "Generative AI"
        assert row["BilledCost"] == row["EffectiveCost"] == row["ListCost"]
        start, end = (
            datetime.fromisoformat(row[f"ChargePeriod{side}"]) for side in ("Start", "End")
        )
        assert end - start == timedelta(hours=1)
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["BillingPeriodEnd"]
        json.loads(row["Tags"])
        for name in ("BillingAccountId", "InvoiceIssuerName", "ProviderName", "PublisherName"):
            assert row[name], name
        # Quantity and unit are told together or not at all.
        assert bool(row["PricingQuantity"]) == bool(row["PricingUnit"])
        assert all(name[:1].isupper() or name.startswith("x_") for name in row)


async def test_a_daily_report_goes_where_it_is_sent(shell: Shell) -> None:
    """Terminal, file, mailbox, webhook; the page loads nothing from elsewhere."""
    await a_day(shell.ledger)
    await call(shell.ledger, 1, feature="<script>alert(1)</script>")
    day = datetime.fromtimestamp(shell.ledger.clock() / 1e6, UTC).strftime("%Y-%m-%d")
    text = await shell("report", "daily", "--day", day)
    for words in ("Cache hit rate", "Error rate", "Cost by feature", "Top 10 users", "search"):
        assert words in text
    page = shell.folder / "day.html"
    await shell("report", "daily", "--day", day, "--format", "html", "--out", str(page))
    html = await asyncio.to_thread(page.read_text)
    assert "<svg" in html
    assert "<script" not in html
    assert "http" not in html.replace("&lt;", "")
    box = shell.folder / "mail"
    await shell("report", "daily", "--day", day, "--mailbox", str(box))
    await shell("report", "daily", "--day", day, "--mailbox", str(box))
    mails = list(mailbox.mbox(box))
    assert len(mails) == 2
    assert {part.get_content_type() for part in mails[0].walk()} >= {"text/plain", "text/html"}
    async with Webhook(200, 500) as hook:
        send = ("report", "daily", "--day", day, "--webhook-env", "HOOK")
        await shell(*send, HOOK=hook.url)
        assert "Daily LLM cost report" in json.loads(hook.posts[0][1])["text"]
        assert "answered 500" in await shell(*send, code=1, HOOK=hook.url)


async def test_a_month_is_reviewed(shell: Shell) -> None:
    """In Markdown, with what changed and where the money went."""
    await a_day(shell.ledger)
    month = datetime.fromtimestamp(shell.ledger.clock() / 1e6, UTC).strftime("%Y-%m")
    told = await shell("report", "monthly", "--month", month, "--format", "markdown")
    assert told.startswith(f"# Monthly LLM cost review, acme, {month}")
    assert "really saved" in told
    assert "naive estimate" in told
    assert "naive estimate" in await shell("anatomy")
    assert "Not looked for" in await shell("opportunities")


async def test_alerts_are_listed_and_watched(tmp_path: Path) -> None:
    """A watcher prints what comes, one a line."""
    clock = SetClock(datetime.now(UTC) - timedelta(hours=1))
    section = 'alerts: {request_usd: "0.000015"}\n'
    async with running_ledger(tmp_path, clock, fleet_more=section, follow_seconds=0.05) as ledger:
        shell = Shell(ledger, tmp_path)
        assert "No alerts" in await shell("alerts", "list")
        dear = await call(ledger, 20)
        await shell("report")
        told = json.loads(await shell("alerts", "list", "--json"))
        assert told["alerts"][0]["subject"]["request_id"] == dear
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", "alerts", "watch", "--after", "0"),
            *("--ledger", ledger.address, "--tenant", "acme"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert b"A request cost 0.00002 USD" in line
        process.kill()
        await process.wait()


async def test_usage_is_imported_once_and_bad_lines_are_told(shell: Shell) -> None:
    """By their number; the good ones go in."""
    good = {"event_id": "1", "time": "2026-03-01T00:00:00Z", "model": "cheap"}
    good["usage"] = {"input_tokens": 100}
    lines = [json.dumps(good), "{", json.dumps({**good, "event_id": "2", "colour": "blue"})]
    file = shell.folder / "nightly.jsonl"
    await asyncio.to_thread(file.write_text, "\n".join(lines) + "\n")
    told = json.loads(
        (await shell("ledger", "import", str(file), "--json", code=1)).partition("\nTrace")[0]
    )
    assert told["booked"] == 1
    assert told["problems"] == ["line 2: is no JSON", "line 3: has the unknown key colour"]
    await asyncio.to_thread(file.write_text, lines[0] + "\n")
    assert "1 events" in await shell("ledger", "import", str(file))
    assert json.loads(await shell("report", "--json"))["total"]["costNanos"] == "100000"


async def test_a_providers_export_is_held_against_the_books(shell: Shell) -> None:
    """Exit 0 when they agree, 1 with the cause when not."""
    await call(shell.ledger, 100)
    moment = datetime.fromtimestamp(shell.ledger.clock() / 1e6, UTC)
    start = int(moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
    result = {"input_tokens": 100, "output_tokens": 0, "num_model_requests": 1, "model": "cheap"}
    cost = {"amount": {"value": 0.0001, "currency": "usd"}, "line_item": "cheap, input"}
    file = shell.folder / "usage.json"

    async def held(*results: dict, code: int) -> str:
        page = {"data": [{"start_time": start, "results": list(results)}]}
        await asyncio.to_thread(file.write_text, json.dumps(page))
        return await shell("ledger", "reconcile", str(file), "--provider", "openai", code=code)

    assert "agrees" in await held(result, cost, code=0)
    more = {**result, "num_model_requests": 3, "input_tokens": 300}
    assert "around gateway" in await held(more, code=1)
    assert "lacks the key" in await held({"model": "cheap"}, code=2)
