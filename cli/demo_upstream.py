"""Who answers in the demo: the small model on this machine, or a provider that bills."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from catalog.config import ConfigError, embedded_config, load_config, parse_config
from catalog.fleet import Fleet
from catalog.price import ModelPrice as Price
from catalog.price import hold_nanos
from catalog.prices import Unpriced
from catalog.schema import FleetConfig
from catalog.usage import Usage
from cli.demo_call import Manner
from cli.demo_rows import STRONG, Day
from cli.demo_tables import ModelPrice

LOCAL = "local"
OPENAI = "openai"
SMALL_MODEL = "SmolLM2-135M"
# Room for models that think before they answer.
PAID_OUTPUT_TOKENS_MIN = 200
# What a chat template may add to a message beyond its own bytes.
MESSAGE_TOKENS_MAX = 16
CONFIG_FILE = "spendgate.yaml"
CONFIG_VARIABLE = "SPENDGATE_CONFIG"

_OPENAI_FLEET = """\
providers:
  openai: {kind: openai, base_url: "https://api.openai.com/v1", api_key_env: OPENAI_API_KEY}
models:
  gpt-5.4: {provider: openai, aliases: [strong]}
  gpt-5.4-mini: {provider: openai}
  gpt-4o-mini: {provider: openai, aliases: [cheap]}
baseline_model: gpt-5.4
"""


class UpstreamUnusable(Exception):
    """The demo cannot run against this upstream. The text says what to do about it."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Who answers. `config_text` is the fleet file to run with; `variables` are the names of
    those environment variables that it refers to."""

    name: str
    config_text: str
    variables: frozenset[str]
    small_model: str
    manner: Manner
    strong_price: Price
    prices: tuple[ModelPrice, ...]

    @property
    def bills(self) -> bool:
        """True when answers cost real money."""
        return not self.small_model


def find_upstream(name: str, environ: Mapping[str, str], folder: Path, now: datetime) -> Upstream:
    """The upstream called `name`: "local", "openai", or a provider of the fleet file.

    The fleet file is what SPENDGATE_CONFIG names, else spendgate.yaml in `folder`.
    Raises UpstreamUnusable.
    """
    try:
        if name == LOCAL:
            return _upstream(name, embedded_config(), now)
        config = _paid_config(name, environ, folder)
    except ConfigError as error:
        raise UpstreamUnusable(str(error)) from error
    needed = config.providers[name].api_key_env
    if needed and not environ.get(needed):
        raise UpstreamUnusable(
            f"the provider {name!r} needs its key in the environment variable {needed}; "
            "without one, run the demo on the small model of this machine: make demo"
        )
    return _upstream(name, config, now)


def _paid_config(name: str, environ: Mapping[str, str], folder: Path) -> FleetConfig:
    path = Path(environ.get(CONFIG_VARIABLE) or folder / CONFIG_FILE)
    if path.exists() or environ.get(CONFIG_VARIABLE):
        config = load_config(path)
        if name in config.providers:
            return _only(config, name)
        if name != OPENAI:
            known = ", ".join([LOCAL, OPENAI, *config.providers])
            raise UpstreamUnusable(f"{path} has no provider {name!r}; there are: {known}")
    elif name != OPENAI:
        raise UpstreamUnusable(
            f"no upstream is called {name!r}: it is {LOCAL}, {OPENAI}, or a provider of a "
            f"{CONFIG_FILE} in this folder"
        )
    return parse_config(_OPENAI_FLEET, "the demo's fleet file")


def _only(config: FleetConfig, provider: str) -> FleetConfig:
    """The part of a fleet file that has to do with one provider."""
    document = yaml.safe_load(_as_text(config))
    kept = {n: m for n, m in document.get("models", {}).items() if m["provider"] == provider}
    if not kept:
        raise UpstreamUnusable(f"no model of the provider {provider!r} is configured")
    for model in kept.values():
        if "fallbacks" in model:
            model["fallbacks"] = [other for other in model["fallbacks"] if other in kept]
    document["models"] = kept
    document["providers"] = {provider: document["providers"][provider]}
    if document.get("baseline_model") not in kept:
        document.pop("baseline_model", None)
    return parse_config(yaml.safe_dump(document, sort_keys=False), "the demo's fleet file")


def _as_text(config: FleetConfig) -> str:
    document: dict[str, Any] = config.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(document, sort_keys=False)


def _upstream(name: str, config: FleetConfig, now: datetime) -> Upstream:
    fleet = Fleet.of(config)
    try:
        priced = {model: fleet.book.price(model, now) for model in config.models}
    except Unpriced as error:
        raise UpstreamUnusable(f"{error}; the demo is about money") from error
    strong = config.baseline_model
    if strong is None:
        strong = max(sorted(priced), key=lambda model: priced[model].rates.output_picos)
    local = name == LOCAL
    routable = [m for m in priced if config.models[m].routable]
    auto = min(routable or priced, key=lambda model: priced[model].rates.output_picos)
    shown = dict.fromkeys([strong, auto])
    places = [place for p in config.providers.values() for place in p.places()]
    variables = [v for p in places for v in (*p.secret_names(), p.base_url_env)]
    return Upstream(
        name=name,
        config_text=_as_text(config),
        variables=frozenset(filter(None, variables)),
        small_model=SMALL_MODEL if local else "",
        manner=Manner(
            strong_model=strong,
            keep_stop=local,
            output_tokens_min=1 if local else PAID_OUTPUT_TOKENS_MIN,
        ),
        strong_price=priced[strong],
        prices=tuple(_shown(model, priced[model]) for model in shown),
    )


def _shown(model: str, price: Price) -> ModelPrice:
    rates = price.rates
    return ModelPrice(model, rates.input_picos, rates.output_picos, price.version)


def worst_case_nanos(day: Day, upstream: Upstream) -> int:
    """No run of the day can cost more: every row at the strong model, nothing cached.

    A token is at least a byte of UTF-8, so bytes bound the tokens that are read; a conversation
    reads its earlier questions and answers again, the answers at their limit.
    """
    total = 0
    said: dict[str, int] = {}
    for row in day.rows:
        limit = upstream.manner.output_tokens_max(row)
        own = len(row.text.encode()) + MESSAGE_TOKENS_MAX
        before = said.get(row.session, 0) if row.turn else 0
        read = len(day.prompts[row.system].encode()) + MESSAGE_TOKENS_MAX + before + own
        usage = Usage(input_tokens=read, output_tokens=limit)
        total += hold_nanos(upstream.strong_price, usage)
        if row.turn:
            said[row.session] = before + own + limit + MESSAGE_TOKENS_MAX
    return total


def reports_budget_nanos(day: Day, upstream: Upstream, *, feature: str, tokens_margin: int) -> int:
    """A limit that lets the feature's first few requests by and stops the rest.

    Three worst cases of one request and a bit, to the next ten-thousandth of a dollar: most
    answers end well before their limit.
    """
    rows = [row for row in day.rows if row.feature == feature and row.model == STRONG]
    if not rows:
        return 0
    # English runs at four bytes to a token.
    read = max(len(day.prompts[r.system].encode()) + len(r.text.encode()) for r in rows) // 4
    limit = max(upstream.manner.output_tokens_max(row) for row in rows)
    usage = Usage(input_tokens=read + tokens_margin, output_tokens=limit)
    step = 100_000
    return -(-hold_nanos(upstream.strong_price, usage) * 16 // (5 * step)) * step
