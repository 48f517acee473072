"""Whose prompts and answers may be seen, as an operator may write it in the fleet file."""

from typing import Annotated

import re2
from pydantic import AfterValidator, Field

from catalog.shapes import Name, Section

CAPTURED_CHARS_MAX = 16_384
PATTERN_CHARS_MAX = 500


def _pattern(text: str) -> str:
    """A pattern that takes time in proportion to the text, whatever the text: RE2 has no other."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(text, options=options)
    except re2.error as error:
        told = error.args[0] if error.args else ""
        reason = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        raise ValueError(f"is no pattern of RE2: {reason}") from None
    if compiled.search(""):
        raise ValueError("matches where nothing stands: it would redact everything")
    return text


Pattern = Annotated[
    str, Field(min_length=1, max_length=PATTERN_CHARS_MAX), AfterValidator(_pattern)
]


class TenantPrivacy(Section):
    """What a tenant has agreed to."""

    capture: bool = False
    """Whether its prompts and answers are put into its traces, redacted and cut."""
    guard: bool = False
    """Whether what the patterns find in its prompts is kept from providers: a name goes out in its
    place, and the answer comes back with the value where it says the name."""


class PrivacyConfig(Section):
    """Whose prompts and answers may be seen. By default nobody's."""

    tenants: dict[Name, TenantPrivacy] = Field(default={}, max_length=4096)
    """By the tenant's name. Who is not named has agreed to nothing."""
    captured_chars_max: Annotated[int, Field(ge=64, le=CAPTURED_CHARS_MAX)] = 2048
    """Characters captured of a request's prompt, newest messages first, and as many of its
    answer."""
    redact_patterns: list[Pattern] = Field(default=[], max_length=64)
    """Regular expressions (RE2) of what is cut out besides addresses, numbers of cards and
    accounts, phone numbers and keys, such as "ACME-[0-9]{6}"."""

    def captures(self, tenant: str) -> bool:
        """Whether the tenant opted in."""
        agreed = self.tenants.get(tenant)
        return agreed is not None and agreed.capture

    def guarded(self) -> frozenset[str]:
        """The tenants whose prompts are kept from providers."""
        return frozenset(name for name, agreed in self.tenants.items() if agreed.guard)
