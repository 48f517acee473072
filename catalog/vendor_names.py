"""What a model is called by who made it, under the names that others serve it by."""

import re

# AWS: an inference profile's region, the vendor, the name, its date and its version.
_AWS = re.compile(r"(?:[a-z-]+\.)*anthropic\.(claude-.+?)(?:-[0-9]{8})?(?:-v[0-9]+(?::[0-9]+)?)?")


def vendor_name(model: str) -> str:
    """ "claude-haiku-4-5" for "us.anthropic.claude-haiku-4-5-20251001-v1:0", "gpt-5.4" for
    "openai/gpt-5.4"; in lower case."""
    name = model.rpartition("/")[2].lower()
    found = _AWS.fullmatch(name)
    return found[1] if found else name
