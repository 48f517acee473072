"""Where a report goes: the terminal, a file, a mailbox file, a webhook."""

import mailbox
import os
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from cli.document import Document
from cli.problems import EXIT_USAGE, Problem
from cli.render import as_markdown, as_text
from cli.render_html import as_html

RENDERERS = {"text": as_text, "markdown": as_markdown, "html": as_html}
POST_SECONDS_MAX = 20.0


def rendered(document: Document, form: str) -> str:
    """The report in a format. Raises Problem for an unknown one."""
    renderer = RENDERERS.get(form)
    if renderer is None:
        step = f"give one of: {', '.join(RENDERERS)}"
        raise Problem(f"{form!r} is no format", step, code=EXIT_USAGE)
    return renderer(document)


def to_mailbox(document: Document, path: Path, sender: str) -> None:
    """Appends a mail with text and HTML to a mailbox file (mbox), locked meanwhile."""
    mail = EmailMessage()
    mail["Subject"] = document.title
    mail["From"] = sender
    mail["To"] = sender
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail.set_content(as_text(document))
    mail.add_alternative(as_html(document), subtype="html")
    try:
        box = mailbox.mbox(path)
        box.lock()
        try:
            box.add(mail)
            box.flush()
        finally:
            box.unlock()
            box.close()
    except (OSError, mailbox.Error) as error:
        raise Problem(f"{path} cannot be written: {type(error).__name__}") from error


async def to_webhook(document: Document, variable: str) -> None:
    """POSTs the report as Slack's webhooks take it, `text` being Markdown. The URL is in an
    environment variable: it holds a secret. Raises Problem."""
    import aiohttp

    url = os.environ.get(variable, "")
    if not url.startswith(("http://", "https://")):
        raise Problem(
            f"the variable {variable} holds no URL", f"set {variable} to where reports go"
        )
    limit = aiohttp.ClientTimeout(total=POST_SECONDS_MAX)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=False) as session,
            session.post(
                url, json={"text": as_markdown(document)}, allow_redirects=False
            ) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise Problem(
            f"the webhook in {variable} did not take it: {type(error).__name__}"
        ) from None
    if not 200 <= status < 300:
        raise Problem(f"the webhook in {variable} answered {status}")
