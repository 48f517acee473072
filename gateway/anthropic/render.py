"""The fleet's own prompt as a request of Anthropic's Messages API. The inverse of parse.py."""

from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.anthropic.blocks import render_system, render_tools, render_turns
from gateway.anthropic.options import render_options
from gateway.providers.options import Options


def render_prompt(prompt: chat_pb2.Prompt, options: Options) -> dict[str, Any]:
    """Everything of the request but the model, the limit on output tokens and the stream.

    The anthropic-beta flags stand under content.BETAS. Raises: InvalidFields when a field that
    holds JSON text holds none, or speaks over another; OptionUnsupported for what Anthropic
    lacks where `options` says so, and always for a piece of the prompt that it cannot read.
    """
    body = render_options(prompt, options)
    system = render_system(prompt.messages, options)
    if system is not None:
        body["system"] = system
    if prompt.tools:
        body["tools"] = render_tools(prompt.tools, options)
    body["messages"] = render_turns(prompt.messages, options)
    return body
