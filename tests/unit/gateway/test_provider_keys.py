"""Where providers' keys come from."""

import aiohttp
import pytest

from catalog.fleet import load_fleet
from gateway.net.guard import AddressGuard
from gateway.providers.making import SetupProblem, make_providers

FLEET = """
providers:
  openai: {kind: openai, base_url: "https://api.openai.com/v1", api_key_env: OPENAI_API_KEY}
models:
  gpt-5.4: {provider: openai, upstream_model: gpt-5.4, priced_as: openai/gpt-5.4}
"""


@pytest.fixture
def fleet(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return load_fleet(path)


async def test_a_key_is_read_from_a_variable_or_a_mounted_file(fleet, tmp_path):
    """Clusters mount secrets as files; laptops set variables."""
    (tmp_path / "key").write_text("sk-mounted\n")
    async with aiohttp.ClientSession() as session:
        for environ in (
            {"OPENAI_API_KEY": "sk-set"},
            {"OPENAI_API_KEY_FILE": str(tmp_path / "key")},
        ):
            assert make_providers(fleet, session, environ, AddressGuard()).keys() == {"openai"}


async def test_a_key_missing_unreadable_or_given_twice_is_told_without_the_key(fleet, tmp_path):
    """The gateway refuses to start and names the variable."""
    (tmp_path / "key").write_text("sk-mounted")
    async with aiohttp.ClientSession() as session:
        for environ in (
            {},
            {"OPENAI_API_KEY_FILE": str(tmp_path / "none")},
            {"OPENAI_API_KEY": "sk-set", "OPENAI_API_KEY_FILE": str(tmp_path / "key")},
        ):
            with pytest.raises(SetupProblem) as told:
                make_providers(fleet, session, environ, AddressGuard())
            assert "OPENAI_API_KEY" in str(told.value)
            assert "sk-" not in str(told.value)
