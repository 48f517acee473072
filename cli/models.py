"""`spendgate models`: what can be asked for, and at what price."""

from decimal import Decimal
from typing import Annotated, Any

import typer

from cli.place import DIR_DEFAULT, DirOption, JsonOption, TokenOption, inner_door, talking
from cli.problems import command
from cli.show import as_dict, print_json, print_table

SERVICE = "spendgate.router.v1.RouterService"
PAGE_SIZE = 200
EPILOG = "Example: spendgate models --json"


@command
async def models(
    *,
    directory: DirOption = DIR_DEFAULT,
    router: Annotated[
        str | None,
        typer.Option(
            envvar="SPENDGATE_ROUTER_ADDRESS",
            help="host:port of the router. Default: the fleet in --dir.",
        ),
    ] = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the configured models with their prices and what they can do."""
    from spendgate.router.v1 import router_service_pb2 as pb
    from spendgate.router.v1 import router_service_pb2_grpc as rpc

    door = inner_door(directory, "router", router, token)
    async with talking(door, SERVICE, rpc.RouterServiceStub) as talk:
        request = pb.ListModelsRequest(page_size=PAGE_SIZE)
        found = await talk.pages("ListModels", request, "models")
    if as_json:
        print_json({"models": [as_dict(model) for model in found]})
        return
    headers = [
        "model",
        "aliases",
        "provider",
        "as",
        "USD/M in",
        "cached",
        "out",
        "window",
        "can",
        "auto",
    ]
    print_table(headers, [_line(model) for model in found], right="    rrrr")


def per_million(picos: int) -> str:
    """US dollars for a million tokens at `picos` pico-USD each, exactly."""
    text = f"{Decimal(picos).scaleb(-6):f}"
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def _line(model: Any) -> list[str]:
    from spendgate.router.v1 import router_service_pb2 as pb

    price = model.price
    prices = [price.input_picos, price.cached_input_picos, price.output_picos]
    priced = model.HasField("price")
    can = ", ".join(
        pb.Capability.Name(each).removeprefix("CAPABILITY_").lower().replace("_", " ")
        for each in model.capabilities
    )
    return [
        model.model,
        ", ".join(model.aliases),
        model.provider,
        model.upstream_model,
        *([per_million(picos) for picos in prices] if priced else ["unpriced", "", ""]),
        f"{model.context_window_tokens:,}" if model.context_window_tokens else "unknown",
        can or "-",
        "yes" if model.routable else "no",
    ]
