"""Providers of Claude's models in the fleet file: what is needed, what is refused."""

from pathlib import Path

import aiohttp
import pytest

from catalog.config import ConfigError, parse_config
from catalog.fleet import Fleet
from cli.embedded.plan import PlanProblem, read_config
from gateway.net.guard import AddressGuard
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.bedrock import BedrockProvider
from gateway.providers.making import SetupProblem, make_providers, secret_files

AWS = "region: us-east-1, access_key_id_env: AWS_ID, secret_access_key_env: AWS_SECRET"
MODELS = """
models:
  claude-haiku-4-5: {provider: p}
"""


def fleet(provider: str) -> Fleet:
    return Fleet.of(parse_config(f"providers:\n  p: {{{provider}}}\n{MODELS}"))


def test_addresses_and_prices_are_the_vendors() -> None:
    """Nothing but the kind is needed; the price is the one the vendor asks."""
    told = fleet("kind: anthropic").config.providers["p"]
    assert told.base_url == "https://api.anthropic.com"
    made = fleet("kind: anthropic")
    assert "claude-haiku-4-5" in made.book.facts["claude-haiku-4-5"].model
    on_aws = fleet(f"kind: bedrock, {AWS}").config.providers["p"]
    assert on_aws.base_url == "https://bedrock-runtime.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    "provider",
    [
        "kind: bedrock, access_key_id_env: A, secret_access_key_env: B",
        "kind: bedrock, region: us-east-1",
        "kind: bedrock, region: us-east-1, access_key_id_env: A",
        f"kind: bedrock, {AWS}, api_key_env: K",
        'kind: bedrock, region: "x/../y", access_key_id_env: A, secret_access_key_env: B',
        "kind: anthropic, region: us-east-1",
        "kind: anthropic, unsupported: maybe",
    ],
)
def test_what_does_not_fit_is_refused(provider: str) -> None:
    """At start, not at the first call."""
    with pytest.raises(ConfigError):
        fleet(provider)


async def test_each_kind_has_its_adapter() -> None:
    """Keys come from variables or mounted files; what is missing is named, never its value."""
    environ = {"AWS_ID": "AKIA", "AWS_SECRET": "canary-secret", "K": "canary-key"}
    async with aiohttp.ClientSession() as session:
        for provider, kind in (
            ("kind: anthropic, api_key_env: K", AnthropicProvider),
            (f"kind: bedrock, {AWS}", BedrockProvider),
            ("kind: bedrock, region: us-east-1, api_key_env: K", BedrockProvider),
        ):
            made = make_providers(fleet(provider), session, environ, AddressGuard())
            assert isinstance(made["p"], kind)
        with pytest.raises(SetupProblem) as told:
            make_providers(
                fleet(f"kind: bedrock, {AWS}"), session, {"AWS_ID": "canary"}, AddressGuard()
            )
    assert "AWS_SECRET" in str(told.value)
    assert "canary" not in str(told.value)


def test_mounted_secrets_of_aws_are_known() -> None:
    """They are watched like every other key."""
    files = secret_files(fleet(f"kind: bedrock, {AWS}"), {"AWS_SECRET_FILE": "/run/secret"})
    assert [str(path) for path in files] == ["/run/secret"]


def test_every_key_is_asked_for_before_the_fleet_starts(tmp_path: Path) -> None:
    """`spendgate up` names what is not set, those of AWS too."""
    file = tmp_path / "fleet.yaml"
    file.write_text(f"providers:\n  p: {{kind: bedrock, {AWS}}}\n{MODELS}")
    with pytest.raises(PlanProblem) as told:
        read_config(file, {"AWS_ID": "x"})
    assert "AWS_SECRET" in str(told.value)
    assert "AWS_ID" not in str(told.value)
