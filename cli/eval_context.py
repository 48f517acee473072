"""`spendgate eval context`: recorded conversations through every context policy, in dollars."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from spendgate.chat.v1 import chat_pb2 as chat

from catalog.config import ConfigError, parse_config
from catalog.money import usd_text
from catalog.price import ModelPrice, Rates
from catalog.prices import PriceBook, UnknownModel, Unpriced
from catalog.prompt_cache import prompt_cache_of
from catalog.schema import FleetConfig
from cli.place import JsonOption
from cli.problems import EXIT_USAGE, Problem, command
from cli.show import print_json, print_table
from services.tokenizer import vocabulary
from services.tokenizer.context.plan import Policy, Shape
from services.tokenizer.context.recorded import LineInvalid, read, stretch
from services.tokenizer.context.replay import Recording, Sums, replay
from services.tokenizer.estimate import FixedRatios
from services.tokenizer.memo import KEY_BYTES, Memo
from services.tokenizer.meter import Meter, Tally
from services.tokenizer.models import model_of

NO_CACHE = "no-cache"
MODELS = (NO_CACHE, "gpt-4o", "gpt-5.4", "gpt-6.1-sol", "claude-sonnet-4-6", "claude-opus-5-5")
# What a window policy is given for a conversation so long, in user messages.
BUDGET_TOKENS = ((100, 40_000), (30, 12_000), (0, 4_000))
MESSAGES_REMEMBERED_MAX = 200_000
EPILOG = "Example: spendgate eval context --data conversations.jsonl --models gpt-5.4 --json"


def register(app: typer.Typer) -> None:
    """Adds `context` to the commands of `eval`."""
    app.command("context", epilog=EPILOG)(context)


@command
def context(
    *,
    data: Annotated[Path, typer.Option(help="JSON lines, each with `messages` as OpenAI's.")],
    models: Annotated[str, typer.Option(help="Models, by comma.")] = ",".join(MODELS),
    turns: Annotated[
        int, typer.Option(min=0, help="Stretch each conversation to so many user messages.")
    ] = 0,
    budget: Annotated[
        int, typer.Option(min=0, help="Tokens a window policy may fill; 0: by length.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Replay conversations through each context policy and add up what they cost."""
    talks = load(data)
    names = [name.strip() for name in models.split(",") if name.strip()]
    budget = budget or next(tokens for least, tokens in BUDGET_TOKENS if turns >= least)
    found = evaluate(stretch(talks, turns) if turns else talks, names, budget)
    if as_json:
        print_json({"models": found, "assumptions": assumptions(names, len(talks), turns, budget)})
        return
    rows = [
        [name, policy, each["usd"], f"{each['input_tokens']:,}", f"{each['facts_kept']:.3f}"]
        for name, policies in found.items()
        for policy, each in policies.items()
    ]
    print_table(["model", "policy", "USD", "input tokens", "facts kept"], rows)


def load(path: Path) -> list[list[chat.Message]]:
    """The conversations of a file. Raises Problem."""
    try:
        with path.open(encoding="utf-8") as lines:
            talks = list(read(lines))
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.", code=EXIT_USAGE) from None
    except UnicodeDecodeError:
        raise Problem(f"{path} is not UTF-8 text.", code=EXIT_USAGE) from None
    except LineInvalid as error:
        raise Problem(f"{path}, {error}.", code=EXIT_USAGE) from None
    if not talks:
        raise Problem(f"{path} has no conversation.", code=EXIT_USAGE)
    return talks


def evaluate(
    talks: Sequence[list[chat.Message]], names: Sequence[str], budget: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Sums by model and policy. Raises Problem."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, sums in run(talks, names, budget).items():
        found[name] = {policy.value: _row(added(each)) for policy, each in sums.items()}
    return found


def run(
    talks: Sequence[list[chat.Message]], names: Sequence[str], budget: int
) -> dict[str, dict[Policy, list[Sums]]]:
    """Each conversation's sums, by model and policy. Raises Problem."""
    prices = {name: price_of(name) for name in names}
    vocabularies = vocabulary.load()
    found: dict[str, dict[Policy, list[Sums]]] = {}
    for name in names:
        model = model_of("gpt-5.4" if name == NO_CACHE else name)
        memo: Memo[Tally] = Memo(MESSAGES_REMEMBERED_MAX, bytes(KEY_BYTES))
        meter = Meter(model, vocabularies[model.encoding], FixedRatios(), memo=memo)
        price = prices[name]
        shape = Shape(
            price.rates,
            prefix_tokens_min=prompt_cache_of(name).prefix_tokens_min,
            cliff_tokens_over=price.tiers[0].input_tokens_over if price.tiers else 0,
        )
        sums: dict[Policy, list[Sums]] = {policy: [] for policy in Policy}
        for talk in talks:
            recording = Recording(talk, meter)
            for policy in Policy:
                sums[policy].append(replay(recording, policy, price, shape, budget))
        found[name] = sums
    return found


def added(sums: Sequence[Sums]) -> Sums:
    """All of them as one."""
    total = Sums()
    for each in sums:
        total.add(each)
    return total


def price_of(name: str) -> ModelPrice:
    """Today's list price. Raises Problem."""
    if name == NO_CACHE:
        return ModelPrice(Rates(2_500_000, 2_500_000, 2_500_000, 0, 15_000_000, 0, 0), "made up")
    vendor = "anthropic" if name.startswith("claude") else "openai"
    if name.startswith("gemini"):
        vendor = "google"
    try:
        return PriceBook(_fleet(name, vendor)).price("m", datetime.now(UTC))
    except (ConfigError, UnknownModel, Unpriced):
        raise Problem(
            f"No price is known for {name}.",
            f"Known by default: {', '.join(MODELS)}.",
            code=EXIT_USAGE,
        ) from None


def _fleet(name: str, vendor: str) -> FleetConfig:
    return parse_config(
        "providers: {it: {kind: openai, base_url: 'http://127.0.0.1'}}\n"
        f"models: {{m: {{provider: it, upstream_model: {name}, priced_as: {vendor}/{name}}}}}\n",
        "eval",
    )


def assumptions(names: Sequence[str], talks: int, turns: int, budget: int) -> dict[str, Any]:
    """What the figures rest on."""
    return {
        "conversations": talks,
        "stretched_to_user_messages": turns or None,
        "budget_tokens": budget,
        "calls": "one for each assistant message, with all before it as input",
        "provider_cache": "every call comes within its lifetime; a cut keeps the instructions",
        "prefix_tokens_min": {name: prompt_cache_of(name).prefix_tokens_min for name in names},
        "usd": "input and output at today's list prices; no-cache: 2.50 in, 15.00 out a million",
        "facts_kept": "ids, numbers and names of an answer said before, still in its context",
        "counts": "o200k_base for OpenAI, estimated for others",
    }


def _row(sums: Sums) -> dict[str, Any]:
    kept = sums.facts_kept / sums.facts_used if sums.facts_used else 1.0
    return {
        "usd": usd_text(sums.nanos).replace(",", ""),
        "input_tokens": sums.input_tokens,
        "facts_kept": round(kept, 4),
    }
