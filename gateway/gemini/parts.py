"""Pieces of a message as Gemini's parts, and the signatures of its thoughts."""

import binascii
import mimetypes
from typing import Any

from spendgate.chat.v1 import chat_pb2

from gateway.openai.read import invalid, object_from
from gateway.providers.options import Options

_SOUNDS = {"wav": "audio/wav", "mp3": "audio/mp3"}


def content_parts(message: chat_pb2.Message, path: str, options: Options) -> list[dict[str, Any]]:
    """What was said. Raises: InvalidFields, OptionUnsupported."""
    if not message.parts:
        return [{"text": message.content}]
    found = []
    for at, part in enumerate(message.parts):
        told = _part(part, f"{path}.parts[{at}]", options)
        if told:
            found.append(told)
    return found


def _part(part: chat_pb2.ContentPart, path: str, options: Options) -> dict[str, Any]:
    match part.WhichOneof("part"):
        case "text":
            return {"text": part.text}
        case "image":
            return _from_url(part.image.url, path, "image/jpeg")
        case "audio":
            data = binascii.b2a_base64(part.audio.data, newline=False).decode()
            mime = _SOUNDS.get(part.audio.format, f"audio/{part.audio.format}")
            return {"inlineData": {"mimeType": mime, "data": data}}
    extra = object_from(part.extra_json, f"{path}.extra_json")
    file = extra.get("file")
    if extra.get("type") == "file" and isinstance(file, dict) and "file_data" in file:
        return _from_url(str(file["file_data"]), path, "application/pdf")
    options.lacks(f"content.{extra.get('type', 'part')}")
    return {}


def _from_url(url: str, path: str, mime_default: str) -> dict[str, Any]:
    """A data: URL goes along; what stands elsewhere the provider fetches, never the gateway."""
    if not url.startswith("data:"):
        mime = mimetypes.guess_type(url.partition("?")[0])[0] or mime_default
        return {"fileData": {"mimeType": mime, "fileUri": url}}
    head, comma, data = url.removeprefix("data:").partition(",")
    mime, _, coding = head.partition(";")
    if not comma or coding.rpartition(";")[2] != "base64":
        raise invalid(path, "must be a data: URL in base64")
    return {"inlineData": {"mimeType": mime or mime_default, "data": data}}


def signature_of(extra: dict[str, Any]) -> str:
    """The signature of a thought, where Google's translation to OpenAI's protocol puts it."""
    google = (extra.get("extra_content") or {}).get("google")
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""


def with_signature(signature: str) -> dict[str, Any]:
    """The further field that carries a signature to the caller and back."""
    return {"extra_content": {"google": {"thought_signature": signature}}}
