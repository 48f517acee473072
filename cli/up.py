"""`spendgate up`: the whole fleet on this machine."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.place import DIR_DEFAULT, DirOption, JsonOption
from cli.problems import EXIT_CONFIG, EXIT_NO_FLEET, Problem, command
from cli.show import console

if TYPE_CHECKING:
    from cli.embedded.keys import FirstKeys
    from cli.embedded.supervisor import Fleet, News

STYLES = {"ready": "green", "away": "yellow", "died": "bold red", "stopped": "dim"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EPILOG = "Example: spendgate up --config spendgate.yaml"


@command
async def up(
    *,
    directory: DirOption = DIR_DEFAULT,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Fleet file. Default: spendgate.yaml here, else built in."),
    ] = None,
    grpc_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Port of the gRPC door, or the next free one.")
    ] = 7070,
    http_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Port of the HTTP door, or the next free one.")
    ] = 7080,
    apart: Annotated[
        bool,
        typer.Option("--apart", help="Every service in a process of its own, as on a cluster."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start the five services and what they need, keep them running, stop them on Ctrl-C.

    On an empty folder it needs nothing else: a small model on this machine answers, and the
    first key is minted and shown once.
    """
    from chassis.errors import RemoteError
    from cli.embedded.folder import FolderProblem
    from cli.embedded.keys import first_keys
    from cli.embedded.plan import Options, PlanProblem
    from cli.embedded.redis import RedisUnavailable
    from cli.embedded.supervisor import StartFailed, running_fleet

    printer = _JsonPrinter() if as_json else _Printer(directory)
    options = Options(directory, config, dict(os.environ), grpc_port, http_port, apart)
    stop = _Stop()
    try:
        with stop:
            async with running_fleet(options, printer.news) as fleet:
                stop.kill = fleet.kill
                printer.ready(fleet, await first_keys(fleet))
                await stop.told.wait()
                printer.stopping()
    except asyncio.CancelledError:
        if not stop.told.is_set():
            raise
    except PlanProblem as error:
        raise Problem(str(error), error.next_step, code=EXIT_CONFIG) from error
    except (FolderProblem, RedisUnavailable) as error:
        raise Problem(str(error)) from error
    except StartFailed as error:
        raise Problem(str(error), "mend that and start again", code=EXIT_NO_FLEET) from error
    except RemoteError as error:
        raise Problem(f"the first key was not minted: {error.status.message}") from error


class _Stop:
    """The first Ctrl-C or SIGTERM asks for an orderly end, the second one forces it."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.kill: Any = None
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> "_Stop":
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        # Under nohup a terminal that closes is no reason to stop.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        for number in SIGNALS[:-1] if ignored else SIGNALS:
            loop.add_signal_handler(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)

    def _hear(self) -> None:
        if self.told.is_set():
            if self.kill is not None:
                self.kill()
            return
        self.told.set()
        if self.kill is None and self._task is not None:
            self._task.cancel()  # still starting


class _JsonPrinter:
    """One JSON object a line: each change, then where everything is."""

    def news(self, news: "News") -> None:
        """Print a change."""
        self._line(
            {
                "event": news.change.value,
                "name": news.name,
                "detail": news.detail,
                "seconds": round(news.seconds, 2),
            }
        )

    def ready(self, fleet: "Fleet", keys: "FirstKeys") -> None:
        """Print where everything is."""
        line = {
            "event": "up",
            "grpc": fleet.gateway,
            "http": f"{fleet.http}/v1",
            "console": f"{fleet.http}/console",
            "ledger": fleet.ledger,
            "router": fleet.router,
            "directory": str(fleet.folder.path),
        }
        self._line({**line, "admin_key": keys.admin} if keys.admin else line)

    def stopping(self) -> None:
        """Print that it ends."""
        self._line({"event": "stopping"})

    def _line(self, content: dict[str, Any]) -> None:
        print(json.dumps(content), flush=True)


class _Printer:
    """For people."""

    def __init__(self, directory: Path) -> None:
        self._console = console(markup=True)
        self._console.print(f"[bold]Spendgate[/] starts in {directory.absolute()}", soft_wrap=True)

    def news(self, news: "News") -> None:
        """Print a change."""
        style = STYLES[news.change.value]
        took = f"{news.seconds:.1f} s" if news.seconds else ""
        self._console.print(
            f"  {news.name:<12} [{style}]{news.change.value:<8}[/] {news.detail:<18} {took}",
            soft_wrap=True,
        )

    def ready(self, fleet: "Fleet", keys: "FirstKeys") -> None:
        """Print the endpoints, the key if it is new, and the first call."""
        show = self._console.print
        key = keys.admin or "$SPENDGATE_KEY"
        show()
        show(
            f"  gRPC  [bold]{fleet.gateway}[/]      HTTP  [bold]{fleet.http}/v1[/]", soft_wrap=True
        )
        show(f"  Console, signed in to with the key: [bold]{fleet.http}/console[/]", soft_wrap=True)
        if keys.admin:
            show(f"\n  Your key, shown this once: [bold yellow]{keys.admin}[/]", soft_wrap=True)
        else:
            show(
                "\n  [dim]Your key was shown at the first start. Another one:[/]"
                " spendgate key create NAME"
            )
        show("\n  A first call, with curl or the OpenAI SDK:\n")
        show(curl_line(fleet.http, key), soft_wrap=True, markup=False)
        show(python_line(fleet.http, key), soft_wrap=True, markup=False)
        show('\n  Or here: [bold]spendgate chat "What is the capital of France?"[/]')
        if fleet.config is None:
            show(
                "  [dim]A small model on this machine answers, at the named models' prices."
                " Real providers: spendgate up --config FILE[/]"
            )
        show("  [dim]Ctrl-C stops it.[/]\n")

    def stopping(self) -> None:
        """Print that it ends."""
        self._console.print("\n  [dim]stopping[/]")


def curl_line(http: str, key: str) -> str:
    """A first call by curl, in one line for a shell."""
    body = (
        '{"model":"auto","messages":[{"role":"user","content":"What is the capital of France?"}]}'
    )
    return (
        f'    curl {http}/v1/chat/completions -H "Authorization: Bearer {key}"'
        f" -H 'Content-Type: application/json' -d '{body}'"
    )


def python_line(http: str, key: str) -> str:
    """A first call by the OpenAI SDK, in one line for a shell."""
    shown = f"'{key}'" if not key.startswith("$") else "__import__('os').environ['SPENDGATE_KEY']"
    return (
        f"    python -c \"from openai import OpenAI; print(OpenAI(base_url='{http}/v1',"
        f" api_key={shown}).chat.completions.create(model='auto', messages=[{{'role': 'user',"
        " 'content': 'What is the capital of France?'}]).choices[0].message.content)\""
    )
