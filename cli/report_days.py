"""`spendgate report daily` and `spendgate report monthly`."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.place import (
    DIR_DEFAULT,
    TENANT,
    DirOption,
    LedgerOption,
    TenantOption,
    TokenOption,
    reading_of,
)
from cli.problems import EXIT_USAGE, Problem, command

if TYPE_CHECKING:
    from cli.document import Document

FORMATS = ("text", "markdown", "html")
SENDER = "spendgate@localhost"

FormatOption = Annotated[str, typer.Option("--format", help=f"One of: {', '.join(FORMATS)}.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write it to this file. Default: print it.")
]
MailboxOption = Annotated[
    Path | None, typer.Option("--mailbox", help="Append it as a mail to this mailbox file (mbox).")
]
WebhookOption = Annotated[
    str, typer.Option("--webhook-env", help="POST it to the URL in this environment variable.")
]


def register(app: typer.Typer) -> None:
    """Adds `daily` and `monthly` to `report`."""
    app.command("daily", epilog="Example: spendgate report daily --format html --out day.html")(
        daily
    )
    app.command("monthly", epilog="Example: spendgate report monthly --month 2026-10")(monthly)


@command
async def daily(
    *,
    day: Annotated[str, typer.Option(help="The day (UTC), 2026-11-01. Default: yesterday.")] = "",
    form: FormatOption = "text",
    out: OutOption = None,
    mailbox: MailboxOption = None,
    webhook_env: WebhookOption = "",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
) -> None:
    """One day: cost, rates, latency, by feature, model and user; what could be saved; alerts."""
    from cli.report_daily import gather, lay_out

    when = _date(day, "%Y-%m-%d") if day else datetime.now(UTC).date() - timedelta(days=1)
    async with reading_of(directory, ledger, token) as talk:
        document = lay_out(await gather(talk, tenant, when))
    await _send(document, form, out, mailbox, webhook_env)


@command
async def monthly(
    *,
    month: Annotated[str, typer.Option(help="The month, 2026-10. Default: the last one.")] = "",
    form: FormatOption = "text",
    out: OutOption = None,
    mailbox: MailboxOption = None,
    webhook_env: WebhookOption = "",
    tenant: TenantOption = TENANT,
    directory: DirOption = DIR_DEFAULT,
    ledger: LedgerOption = None,
    token: TokenOption = None,
) -> None:
    """A month against the one before: what changed, what really saved, what could."""
    from cli.report_monthly import gather, lay_out

    first = _date(month, "%Y-%m") if month else datetime.now(UTC).date().replace(day=1)
    when = first if month else (first - timedelta(days=1)).replace(day=1)
    async with reading_of(directory, ledger, token) as talk:
        document = lay_out(tenant, await gather(talk, tenant, when))
    await _send(document, form, out, mailbox, webhook_env)


def _date(text: str, form: str) -> date:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC).date()
    except ValueError:
        example = "2026-11-01" if "d" in form else "2026-11"
        raise Problem(
            f"{text!r} is no date", f"write for instance {example}", code=EXIT_USAGE
        ) from None


async def _send(
    document: "Document", form: str, out: Path | None, mailbox: Path | None, webhook_env: str
) -> None:
    from cli.report_send import rendered, to_mailbox, to_webhook

    text = rendered(document, form)
    if mailbox is not None:
        to_mailbox(document, mailbox, SENDER)
        print(f"appended to {mailbox}")
    if webhook_env:
        await to_webhook(document, webhook_env)
        print(f"sent to the webhook in {webhook_env}")
    if out is not None:
        _write(out, text)
        print(f"written to {out}")
    elif mailbox is None and not webhook_env:
        print(text, end="")


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(f"{out} cannot be written: {error.strerror}") from error
