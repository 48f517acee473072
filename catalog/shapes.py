"""What values in the fleet file look like: names, URLs, prices, numbers with their ranges."""

from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from catalog.picos import InexactPrice, picos_per_token

NAME_BYTES_MAX = 256
# As the books keep it (ledger.v1.Attempt.provider).
PROVIDER_BYTES_MAX = 128
AUTO = "auto"


def _short(name: str) -> str:
    if not name or len(name.encode()) > NAME_BYTES_MAX:
        raise ValueError(f"must be 1 to {NAME_BYTES_MAX} bytes")
    return name


def _short_provider(name: str) -> str:
    if not name or len(name.encode()) > PROVIDER_BYTES_MAX:
        raise ValueError(f"must be 1 to {PROVIDER_BYTES_MAX} bytes")
    return name


def _not_auto(name: str) -> str:
    if name == AUTO or name.startswith(AUTO + ":"):
        shown = "auto" if name == AUTO else "auto:..."
        raise ValueError(f"'{shown}' is kept for automatic choice; take another name")
    return name


def _environment_name(name: str) -> str:
    # The text is not repeated: it may be the secret itself.
    if not (name.isascii() and name.isidentifier()):
        raise ValueError("must be the NAME of an environment variable; secrets stay out of here")
    return name


def checked_url(url: str) -> str:
    """The URL without a slash at its end. Raises ValueError when it is none or holds a secret."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL that begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no user name or password; use api_key_env")
    return url.rstrip("/")


def _exact(usd_per_million: Decimal) -> Decimal:
    try:
        picos_per_token(usd_per_million)
    except InexactPrice as error:
        raise ValueError(str(error)) from error
    return usd_per_million


Name = Annotated[str, AfterValidator(_short)]
ProviderName = Annotated[str, AfterValidator(_short_provider)]
ModelName = Annotated[str, AfterValidator(_short), AfterValidator(_not_auto)]
EnvironmentName = Annotated[str, AfterValidator(_environment_name)]
Url = Annotated[str, AfterValidator(checked_url)]
UsdPerMillion = Annotated[
    Decimal,
    AfterValidator(_exact),
    WithJsonSchema({"type": ["number", "string"], "pattern": r"^[0-9]+(\.[0-9]{1,6})?$"}),
]
Tokens = Annotated[int, Field(ge=1, le=10**9)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Percent = Annotated[int, Field(ge=0, le=100)]


class Section(BaseModel):
    """A part of the file: unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
