"""`spendgate trace`: one request's steps as a tree, with what each took and cost."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.place import DIR_DEFAULT, DirOption, JsonOption, fleet_in
from cli.problems import EXIT_NO_FLEET, EXIT_USAGE, Problem, command
from cli.show import console, print_json

READ_SECONDS_MAX = 20.0
EPILOG = "Example: spendgate trace last"

_ID = re.compile(r"[0-9a-fA-F]{6,32}")


@command
def trace(
    trace_id: Annotated[
        str, typer.Argument(metavar="ID", help='A trace id or its beginning, or "last".')
    ] = "last",
    directory: DirOption = DIR_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show a request's trace: every step in every service, its time and its cost.

    The fleet of `spendgate up` keeps its last traces in memory.
    """
    if trace_id != "last" and _ID.fullmatch(trace_id) is None:
        step = "give 6 to 32 hex digits, or: spendgate trace last"
        raise Problem(f"{trace_id!r} is no trace id", step, code=EXIT_USAGE)
    found = _read(directory, trace_id)
    if as_json:
        print_json(found)
        return
    from cli.trace_tree import TraceSpan, render

    names = {field.name for field in dataclasses.fields(TraceSpan)}
    spans = [
        TraceSpan(**{name: value for name, value in span.items() if name in names})
        for span in found["spans"]
    ]
    shown = console()
    shown.print(f"trace {found['trace_id']}", style="bold")
    shown.print(render(spans, width=shown.width))


def _read(directory: Path, trace_id: str) -> Any:
    """The trace as the supervisor's door tells it. Raises Problem."""
    import urllib.error
    import urllib.request

    from cli.embedded.folder import Folder

    url = fleet_in(directory).traces
    token = Folder(directory).secrets().internal_token
    request = urllib.request.Request(  # noqa: S310  a loopback http URL from our own 0600 file
        f"{url}/traces/{trace_id}", headers={"Authorization": f"Bearer {token}"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=READ_SECONDS_MAX) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 404:
                raise Problem(
                    "no such trace is kept",
                    'the fleet keeps its last traces only; make one with: spendgate chat "..."',
                    reason="TRACE_UNKNOWN",
                ) from None
            raise Problem(f"the trace store answered {error.code}") from None
    except OSError:
        raise Problem(
            f"the trace store at {url} does not answer",
            "start a fleet with: spendgate up",
            code=EXIT_NO_FLEET,
            reason="NO_FLEET",
        ) from None
