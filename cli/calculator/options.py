"""The options of `spendgate calc`, as typer has them."""

from pathlib import Path
from typing import Annotated

import typer

from cli.calculator.steps import STEPS

Spend = Annotated[str, typer.Option(help="What a month costs now, in USD.")]
Requests = Annotated[str, typer.Option(help="Requests a month: 100k.")]
Model = Annotated[
    list[str] | None, typer.Option(help="NAME=PERCENT of the requests. Default: gpt-5.4.")
]
Price = Annotated[
    list[str] | None, typer.Option(help="NAME=INPUT,OUTPUT[,CACHED] in USD a million tokens.")
]
System = Annotated[str, typer.Option(help="Tokens of instructions in a request.")]
New = Annotated[str, typer.Option("--input", help="New tokens in a request.")]
Output = Annotated[str, typer.Option(help="Tokens of an answer.")]
Turns = Annotated[int, typer.Option(min=1, max=1000, help="Turns of a conversation.")]
Cached = Annotated[
    str, typer.Option(help="% of what is sent again that the provider reads from its cache.")
]
Tools = Annotated[str, typer.Option(help="% of history and new tokens that is JSON of tools.")]
Repeat = Annotated[str, typer.Option(help="% of requests asked before. Default: not known.")]
Wait = Annotated[str, typer.Option(help="% of requests that can wait for a batch.")]
Cheap = Annotated[
    str, typer.Option(help="The model to route to. Default: the cheapest of the mix.")
]
Assume = Annotated[
    list[str] | None,
    typer.Option(help=f"STEP=LOW,EXPECTED,HIGH in %. Steps: {', '.join(STEPS)}."),
]
Hours = Annotated[list[str] | None, typer.Option(help="STEP=HOURS of work.")]
Rate = Annotated[str, typer.Option(help="What an hour of work costs, in USD.")]
Running = Annotated[str, typer.Option(help="What a month of the fleet costs, in USD.")]
Usage = Annotated[
    list[Path] | None, typer.Option(help="A provider's usage or cost export, as JSON.")
]
Provider = Annotated[str, typer.Option(help="Whose export: openai or anthropic.")]
FromLedger = Annotated[bool, typer.Option(help="The last 30 days of the books.")]
Xlsx = Annotated[Path | None, typer.Option(help="Also write a workbook of formulas.")]
