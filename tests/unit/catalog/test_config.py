import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.config import ConfigError, embedded_config, json_schema, load_config, parse_config
from catalog.schema import CacheScope, FleetConfig

GOOD = """
providers:
  openai: {base_url: "https://api.openai.com/v1", api_key_env: OPENAI_API_KEY}
  local: {base_url_env: LOCAL_URL}
models:
  gpt-5.4: {provider: openai, aliases: [best]}
  my-llama:
    provider: local
    price: {input_usd_per_million: 0.10, output_usd_per_million: "0.40"}
    fallbacks: [gpt-5.4]
baseline_model: gpt-5.4
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "fleet.yaml")
    return caught.value.problems


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_short_file_is_enough() -> None:
    """Providers and models are all an operator must write; the rest has defaults."""
    config = parse_config(GOOD)
    assert config.providers["openai"].timeout_seconds == 120
    assert config.cache.scope is CacheScope.TENANT
    assert config.cache.enabled
    assert config.retry.attempts_max == 3


def test_a_decimal_price_is_kept_as_written() -> None:
    """0.10 without quotes is one tenth, not the nearest binary number."""
    price = parse_config(GOOD).models["my-llama"].price
    assert price is not None
    assert str(price[0].input_usd_per_million) == "0.10"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "aliases: [best]",
            "capabilites: [tools]",
            "models.gpt-5.4.capabilites: unknown key, did you mean capabilities? (line 6)",
        ),
        (
            "baseline_model",
            "base_line_model",
            "base_line_model: unknown key, did you mean baseline_model? (line 11)",
        ),
        (
            "input_usd_per_million",
            "input_usd_per_milion",
            "models.my-llama.price.input_usd_per_milion: unknown key,"
            " did you mean input_usd_per_million? (line 9)",
        ),
        (
            "provider: local",
            "provider: locla",
            "models.my-llama.provider: no provider of this name, did you mean local? (line 8)",
        ),
        (
            "baseline_model: gpt-5.4",
            "baseline_model: gpt5.4",
            "baseline_model: no model of this name, did you mean gpt-5.4? (line 11)",
        ),
        (
            "fallbacks: [gpt-5.4]",
            "fallbacks: [gpt-5]",
            "models.my-llama.fallbacks.0: no model of this name, did you mean gpt-5.4? (line 10)",
        ),
        (
            "fallbacks: [gpt-5.4]",
            "fallbacks: [my-llama]",
            "models.my-llama.fallbacks.0: a model cannot stand in for itself (line 10)",
        ),
        (
            "aliases: [best]",
            "aliases: [my-llama]",
            "models.gpt-5.4.aliases.0: is the name of a model (line 6)",
        ),
        (
            "aliases: [best]",
            "aliases: [auto]",
            "models.gpt-5.4.aliases.0: 'auto' is kept for automatic choice; take another name"
            " (line 6)",
        ),
        (
            "https://api.openai.com/v1",
            "api.openai.com/v1",
            "providers.openai.base_url: must be a URL that begins with http:// or https://"
            " (line 3)",
        ),
        (
            "base_url_env: LOCAL_URL",
            "timeout_seconds: 0",
            "providers.local.timeout_seconds: Input should be greater than 0 (line 4)",
        ),
        (
            "base_url_env: LOCAL_URL",
            "timeout_seconds: 3",
            "providers.local: give either base_url or base_url_env (line 4)",
        ),
        (
            "0.10",
            "0.0000001",
            "models.my-llama.price.input_usd_per_million: 0.0000001 USD for a million tokens is"
            " not a whole number of pico-USD a token from 0 to 1000000000 (at most 6 decimals)"
            " (line 9)",
        ),
        (
            "my-llama:",
            "5:",
            "models.5: a name must be text: put it in quotes (line 7)",
        ),
        (
            "baseline_model: gpt-5.4",
            "baseline_model: gpt-5.4\nbaseline_model: my-llama",
            "baseline_model: is given twice (line 12)",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_nearest_name(
    old: str, new: str, problem: str
) -> None:
    """Each mistake gives one line: where, what, and what was probably meant."""
    assert problem in problems_of(changed(old, new))


def test_all_mistakes_are_told_at_once() -> None:
    """Shape, range and reference problems come together, in the order of the lines."""
    text = GOOD.replace("aliases", "alias").replace("0.10", "-1").replace("openai, ", "opnai, ")
    places = [problem.split(":")[0] for problem in problems_of(text)]
    assert sorted(places) == [
        "models.gpt-5.4.alias",
        "models.gpt-5.4.provider",
        "models.my-llama.price.input_usd_per_million",
    ]
    assert places[-1] == "models.my-llama.price.input_usd_per_million"


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("api_key: sk-live-1234", "put it into an environment variable"),
        ("api_key_env: sk-live-1234", "must be the NAME of an environment variable"),
        ("base_url: 'https://me:sk-live-1234@host/v1'", "must hold no user name or password"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_repeated(line: str, advice: str) -> None:
    """A literal key is refused with the reason, and no message shows it."""
    found = problems_of(changed("base_url_env: LOCAL_URL", f"base_url_env: X, {line}"))
    assert any(advice in problem for problem in found)
    assert "sk-live" not in str(found)


@pytest.mark.parametrize("text", ["", "- a\n", "providers: {}\nmodels: {}\n", "a: [", "a: \x00"])
def test_what_is_no_fleet_file_is_refused(text: str) -> None:
    """An empty file, a list, broken YAML and a file without models are told as such."""
    assert problems_of(text)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(
                st.sampled_from(
                    [
                        "providers",
                        "models",
                        "price",
                        "aliases",
                        "fallbacks",
                        "provider",
                        "cache",
                        "x",
                    ]
                ),
                inner,
                max_size=5,
            ),
        ),
        max_leaves=20,
    )
)
def test_any_document_is_either_taken_or_refused_cleanly(document: object) -> None:
    """Whatever stands where, the answer is a config or a list of problems, never a crash."""
    found: list[str] | None = None
    try:
        config = parse_config(json.dumps(document))
    except ConfigError as error:
        found = error.problems
    assert found or (found is None and isinstance(config, FleetConfig))


def test_shared_parts_may_be_written_once() -> None:
    """YAML anchors and merges work; a part that holds itself is refused, not followed."""
    text = """
providers: {local: {base_url: "http://x/v1"}}
models:
  a: &a {provider: local, output_tokens_max: 7}
  b: {<<: *a, routable: false}
"""
    models = parse_config(text).models
    assert models["b"].output_tokens_max == 7
    assert not models["b"].routable
    assert problems_of("a: &x\n  b: *x\n")


def test_a_file_on_disk(tmp_path: Path) -> None:
    """A file is loaded by path; a missing or unreadable one is a problem with its path."""
    path = tmp_path / "fleet.yaml"
    path.write_text(GOOD)
    assert load_config(path) == parse_config(GOOD)
    path.write_bytes(b"providers: \xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8 at byte 11"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"none\.yaml: 1 problem"):
        load_config(tmp_path / "none.yaml")


def test_dated_prices_must_differ() -> None:
    """Two prices from the same day, or two tiers from the same length, leave a choice open."""
    two = "[{input_usd_per_million: 1, output_usd_per_million: 1},"
    two += " {input_usd_per_million: 2, output_usd_per_million: 2}]"
    start = GOOD.index("{input_usd")
    end = GOOD.index("}", start) + 1
    assert "two prices begin on the same start_date" in str(
        problems_of(GOOD[:start] + two + GOOD[end:])
    )


def test_the_address_of_a_provider_may_come_from_the_environment() -> None:
    """base_url_env names a variable: unset it gives nothing, set to nonsense an error."""
    provider = parse_config(GOOD).providers["local"]
    assert provider.address({}) is None
    assert provider.address({"LOCAL_URL": "http://127.0.0.1:9/v1/"}) == "http://127.0.0.1:9/v1"
    with pytest.raises(ValueError, match="http://"):
        provider.address({"LOCAL_URL": "localhost"})


def test_editors_get_a_schema() -> None:
    """The JSON Schema refuses unknown keys and describes every one it knows."""
    schema = json_schema()
    sections = [schema, *(part for part in schema["$defs"].values() if "properties" in part)]
    assert len(sections) > 6
    for section in sections:
        assert section["additionalProperties"] is False
        for name, rule in section["properties"].items():
            assert "description" in rule or "$ref" in rule, name
    assert "did you mean" not in json.dumps(schema)


def test_the_built_in_fleet_is_sound() -> None:
    """The fleet of an empty directory passes its own checks and has a baseline."""
    config = embedded_config()
    assert config.baseline_model == "gpt-5.4"
    assert {"gpt-5.4", "gpt-5.4-mini", "gpt-4o-mini", "claude-sonnet-4-6"} == config.models.keys()
    assert {model.upstream_model for model in config.models.values()} == {"smollm2"}


def test_a_providers_name_fits_the_books() -> None:
    """What a row cannot hold could not be booked."""
    name = "p" * 129
    text = (
        f"providers: {{{name}: {{base_url: 'http://h/v1'}}}}\nmodels: {{m: {{provider: {name}}}}}"
    )
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert any("128 bytes" in problem for problem in caught.value.problems)
