"""Who may sign tokens for callers: the fleet file's part of it. Virtual keys need none of this."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from catalog.shapes import Name, Section, Url

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
Claim = Annotated[str, Field(min_length=1, max_length=128)]


class IssuerConfig(Section):
    """Someone whose JSON Web Tokens (RFC 7519) open the gateway.

    A claim is named by its name, or by a path with dots where it is inside another:
    `realm_access.roles`.
    """

    issuer: Annotated[str, Field(min_length=1, max_length=512)]
    """What `iss` must be, to the letter."""
    audiences: Annotated[list[Claim], Field(min_length=1, max_length=16)]
    """`aud` must have one of these."""
    jwks_url: Url | None = None
    """Where its public keys are, a JSON Web Key Set (RFC 7517). Give this or jwks_file."""
    jwks_file: Path | None = None
    """The same in a file; it is read again when it changes."""
    private_network: bool = False
    """Whether the name in jwks_url may stand for an address that is not on the public internet."""
    algorithms: list[Algorithm] = Field(default=["RS256", "ES256"], min_length=1, max_length=10)
    """What its tokens may be signed with. Nothing else is taken, whatever a token says."""
    leeway_seconds: Annotated[int, Field(ge=0, le=300)] = 30
    """How far its clock may be off."""
    lifetime_seconds_max: Annotated[int, Field(ge=60, le=366 * 86_400)] = 86_400
    """A token that is good for longer is refused."""
    keys_seconds_max: Annotated[int, Field(ge=10, le=86_400)] = 300
    """How old the keys may be before they are fetched again. A key that a token names and nobody
    knows is asked for at once."""
    tenant: Name | None = None
    """The tenant of all its callers. Give this or tenant_claim."""
    tenant_claim: Claim | None = None
    """The claim that names the tenant."""
    project_claim: Claim | None = None
    """The claim that names the project. Default: the caller's choice."""
    user_claim: Claim | None = "sub"
    """The claim that names the end user. null: the caller's choice."""
    feature_claim: Claim | None = None
    """The claim that names the feature. Default: the caller's choice."""
    models_claim: Claim | None = None
    """The claim that lists the models the caller may call, as a key's. Default: all."""
    admin_claim: Claim | None = None
    """The claim that tells an admin. Default: nobody is."""
    admin_values: list[Claim] = Field(default=[], max_length=16)
    """What that claim must be, or have among others."""
    tag_claims: list[Claim] = Field(default=[], max_length=8)
    """Claims that are booked as tags, `claim.` before their name, and that budgets may go by."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("give either jwks_url or jwks_file")
        if (self.tenant is None) == (self.tenant_claim is None):
            raise ValueError("give either tenant or tenant_claim")
        if (self.admin_claim is None) != (not self.admin_values):
            raise ValueError("give admin_claim and admin_values, or neither")
        return self


class AuthConfig(Section):
    """How callers show who they are, besides virtual keys."""

    issuers: list[IssuerConfig] = Field(default=[], max_length=16)
    """Whose tokens are taken. Default: nobody's."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [each.issuer for each in self.issuers]
        if len(set(names)) != len(names):
            raise ValueError("two issuers have the same name")
        return self
