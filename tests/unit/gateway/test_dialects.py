"""Servers of one protocol differ: each is sent what it takes, and what it lacks is named."""

import orjson
import pytest
from pydantic import SecretStr
from spendgate.chat.v1 import chat_pb2

from gateway.openai.answer import read_chunk
from gateway.openai.usage import read_usage
from gateway.providers.dialects import DIALECTS, dialect_of
from gateway.providers.openai import Address, AzureAddress, ChatWire
from gateway.providers.options import Options, OptionUnsupported
from gateway.providers.port import ProviderCall
from gateway.providers.prompt_cache import PREFIX_BYTES_MIN, cache_key

ADDRESS = Address("https://x.example/v1", None)


def call(system="", partition="acme", **prompt):
    messages = [chat_pb2.Message(role=chat_pb2.ROLE_USER, content="hi")]
    if system:
        messages.insert(0, chat_pb2.Message(role=chat_pb2.ROLE_DEVELOPER, content=system))
    return ProviderCall("m", chat_pb2.Prompt(messages=messages, **prompt), 100, partition)


def rendered(name, wanted, policy="error", *, stream=False):
    options = Options("p", policy)
    body = ChatWire(ADDRESS, DIALECTS[name]).render(wanted, options, stream=stream)
    return body, options.warnings


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.deepseek.com/v1", "deepseek"),
        ("https://r.openai.azure.com", "azure"),
        ("https://evil-api.mistral.ai.example.org/v1", "compatible"),
        ("http://127.0.0.1:11434/v1", "compatible"),
    ],
)
def test_the_address_tells(url, name):
    assert dialect_of(url) is DIALECTS[name]
    assert dialect_of(url, "groq") is DIALECTS["groq"]


def test_mistral():
    """Its own name for the seed, no stream options: it tells tokens unasked."""
    wanted = call("Be nice.", sampling=chat_pb2.Sampling(seed=7))
    body, warnings = rendered("mistral", wanted, stream=True)
    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be nice."}, {"role": "user", "content": "hi"}],
        "random_seed": 7,
        "max_tokens": 100,
        "stream": True,
    }
    assert warnings == ()


@pytest.mark.parametrize(
    ("name", "prompt", "option"),
    [
        ("mistral", {"extra_json": '{"logit_bias":{"1":1}}'}, "logit_bias"),
        ("mistral", {"extra_json": '{"service_tier":"auto"}'}, "service_tier"),
        ("groq", {"sampling": chat_pb2.Sampling(choice_count=2)}, "n"),
        ("groq", {"extra_json": '{"logprobs":true}'}, "logprobs"),
        ("deepseek", {"sampling": chat_pb2.Sampling(seed=1)}, "seed"),
        ("openai", {"extra_json": '{"max_tool_calls":3}'}, "max_tool_calls"),
        ("openai", {"extra_json": '{"truncation":"auto"}'}, "truncation"),
        ("openai", {"extra_json": '{"include":["file_search_call.results"]}'}, "include"),
        ("openai", {"extra_json": '{"reasoning":{"summary":"auto"}}'}, "reasoning.summary"),
    ],
)
def test_what_a_server_lacks(name, prompt, option):
    """An error that names it; or, where the operator says so, left out and told."""
    with pytest.raises(OptionUnsupported) as caught:
        rendered(name, call(**prompt))
    assert caught.value.option == option
    body, warnings = rendered(name, call(**prompt), "drop")
    assert option.partition(".")[0] not in body
    assert warnings == (f"{option} was left out: p lacks it",)


def test_what_is_not_lacking_goes_through():
    extra = {"provider": {"order": ["a"]}, "reasoning": {"effort": "low"}}
    body, _ = rendered("openrouter", call(extra_json=orjson.dumps(extra).decode()))
    assert {name: body[name] for name in extra} == extra


def test_groq_tells_tokens_in_its_own_object():
    chunk = read_chunk(
        {"choices": [], "x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}}
    )
    assert chunk.usage.usage == chat_pb2.TokenUsage(input_tokens=5, output_tokens=2)


def test_mistral_tells_cached_tokens_by_its_own_name():
    told = read_usage({"prompt_tokens": 9, "completion_tokens": 1, "num_cached_tokens": 4})
    assert told.usage == chat_pb2.TokenUsage(input_tokens=5, cached_input_tokens=4, output_tokens=1)


LONG = "x" * PREFIX_BYTES_MIN


def test_the_prompt_cache_key():
    """The same for prompts that begin alike, of one tenant and model; none where it cannot pay."""
    key = cache_key(call(LONG))
    assert key.startswith("sg-")
    other = call(LONG)
    other.prompt.messages[1].content = "another question"
    assert cache_key(other) == key
    assert cache_key(call(LONG, partition="other")) != key
    assert cache_key(call(LONG + "y")) != key
    assert cache_key(call("short")) == ""
    assert cache_key(call(LONG, partition="")) == ""
    assert LONG not in key


def test_the_key_is_sent_to_openai_only_and_never_instead_of_the_callers():
    assert rendered("openai", call(LONG))[0]["prompt_cache_key"] == cache_key(call(LONG))
    mine = rendered("openai", call(LONG, extra_json='{"prompt_cache_key":"mine"}'))[0]
    assert mine["prompt_cache_key"] == "mine"
    assert "prompt_cache_key" not in rendered("compatible", call(LONG))[0]
    quiet = ChatWire(ADDRESS, DIALECTS["openai"], prompt_caching=False)
    assert "prompt_cache_key" not in quiet.render(call(LONG), Options("p", "error"), stream=False)


@pytest.mark.parametrize(
    ("base_url", "version", "url"),
    [
        ("https://r.openai.azure.com", None, "https://r.openai.azure.com/openai/v1/x"),
        ("https://r.openai.azure.com/openai/v1/", None, "https://r.openai.azure.com/openai/v1/x"),
        ("https://r.openai.azure.com", "preview",
            "https://r.openai.azure.com/openai/v1/x?api-version=preview"),
        ("https://r.openai.azure.com", "2024-10-21",
            "https://r.openai.azure.com/openai/deployments/my%2Fgpt/x?api-version=2024-10-21"),
    ],
)  # fmt: skip
def test_azures_addresses(base_url, version, url):
    address = AzureAddress(base_url, SecretStr("k"), version)
    assert address.url("/x", "my/gpt") == url
    assert address.headers() == {"api-key": "k"}
