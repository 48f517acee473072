"""What OpenAI's Responses API answers, whole and as its typed events."""

from typing import Any

REASONING: dict[str, Any] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Thinks of Zürich."}],
    "encrypted_content": "gAAAAABcanary==",
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Guten Tag 🕰", "annotations": [], "logprobs": []}],
}
CALL: dict[str, Any] = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city":"Zürich"}',
}
CUSTOM: dict[str, Any] = {
    "id": "ctc_1",
    "type": "custom_tool_call",
    "status": "completed",
    "call_id": "call_2",
    "name": "patch",
    "input": "*** Begin\n",
}
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 130,
}


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A whole response."""
    return {
        "id": "resp_up",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": "gpt-6.1-sol-2026-08-01",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": USAGE,
        **more,
    }


def events(*output: dict[str, Any], **more: Any) -> list[tuple[str, dict[str, Any]]]:
    """The same as a stream."""
    whole = response(*output, **more)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    told: list[tuple[str, dict[str, Any]]] = []

    def tell(kind: str, **data: Any) -> None:
        told.append((kind, {"type": kind, "sequence_number": len(told), **data}))

    tell("response.created", response=begun)
    tell("response.in_progress", response=begun)
    for at, item in enumerate(output):
        where = {"item_id": item["id"], "output_index": at}
        kind = item["type"]
        if kind == "message":
            tell("response.output_item.added", output_index=at, item={**item, "content": []})
            for place, part in enumerate(item["content"]):
                here = {**where, "content_index": place}
                tell("response.content_part.added", part={**part, "text": ""}, **here)
                for letter in part["text"]:
                    tell("response.output_text.delta", delta=letter, **here)
                tell("response.output_text.done", text=part["text"], **here)
                tell("response.content_part.done", part=part, **here)
        elif kind in ("function_call", "custom_tool_call"):
            field, word = (
                ("arguments", "function_call_arguments")
                if kind == "function_call"
                else ("input", "custom_tool_call_input")
            )
            tell("response.output_item.added", output_index=at, item={**item, field: ""})
            for start in range(0, len(item[field]), 4):
                tell(f"response.{word}.delta", delta=item[field][start : start + 4], **where)
            tell(f"response.{word}.done", **{field: item[field]}, **where)
        else:
            tell("response.output_item.added", output_index=at, item=item)
        tell("response.output_item.done", output_index=at, item=item)
    end = "response.incomplete" if whole["status"] == "incomplete" else "response.completed"
    tell(end, response=whole)
    return told
