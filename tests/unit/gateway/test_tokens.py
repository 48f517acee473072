"""Signed tokens: what opens the door, what does not, and what they say of their bearer."""

import base64
import json
import time

import jwt
import pytest

from catalog.auth import IssuerConfig
from gateway.audit import Audit
from gateway.auth import Keys
from gateway.errors import KeyInvalid, ServiceUnavailable
from gateway.identity import jwks
from gateway.identity.callers import Callers
from gateway.identity.jwks import KeySet
from gateway.identity.tokens import Tokens
from tests.fakes.audit_lines import AuditLines
from tests.fakes.issuer import ISSUER, Issuer
from tests.fakes.services import FakeServices

CONFIG = {
    "issuer": ISSUER,
    "audiences": ["spendgate", "other"],
    "jwks_url": "https://login.test/keys",
    "tenant_claim": "org",
    "project_claim": "team",
    "admin_claim": "realm_access.roles",
    "admin_values": ["spend-admin"],
    "tag_claims": ["dept"],
}


class Desk:
    """Callers before one issuer, with clocks that are set."""

    def __init__(self, issuer=None, **config):
        self.issuer = issuer or Issuer()
        self.fetched = 0
        self.down = False
        self.seconds = 0.0
        self.lines = AuditLines()
        self.config = IssuerConfig(**(CONFIG | config))
        keys = KeySet(self._fetch, seconds_max=300, clock=lambda: self.seconds)
        tokens = Tokens([(self.config, keys)], time.time)
        services = FakeServices()
        self.services = services
        self.callers = Callers(
            Keys(services, seconds_max=10, count_max=10),
            tokens,
            Audit(self.lines),
            seconds_max=0,
            count_max=10,
        )

    async def _fetch(self):
        self.fetched += 1
        if self.down:
            raise OSError
        return self.issuer.public()

    async def identify(self, token):
        return await self.callers.identify(f"Bearer {token}")

    async def why(self, token):
        """What the audit log says of a token that is refused."""
        with pytest.raises(KeyInvalid):
            await self.identify(token)
        return self.lines[-1]["outcome"]


async def test_claims_become_who_calls():
    """Tenant, project, user, tags and role are what the issuer says."""
    desk = Desk()
    who = await desk.identify(
        desk.issuer.sign(team="till", dept="ops", realm_access={"roles": ["x", "spend-admin"]})
    )
    assert (who.tenant, who.project, who.user, who.admin) == ("acme", "till", "ann", True)
    assert who.tags == (("claim.dept", "ops"),)
    assert who.key_id.startswith("jwt:")
    other = await desk.identify(desk.issuer.sign(sub="bob"))
    assert (other.user, other.admin, other.tags) == ("bob", False, ())
    assert other.key_id != who.key_id
    assert not desk.lines


async def test_a_list_of_models_is_all_that_may_be_called():
    """An array or words; where it is asked for, leaving it out opens nothing."""
    desk = Desk(models_claim="models")
    who = await desk.identify(desk.issuer.sign(models=["cheap", "gpt-*"]))
    assert who.may_call("cheap")
    assert who.may_call("gpt-5.4")
    assert not who.may_call("dear")
    assert await desk.why(desk.issuer.sign()) == "TOKEN_CLAIM"


def unsigned(claims):
    def piece(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{piece({'alg': 'none', 'typ': 'JWT'})}.{piece(claims)}."


NOW = int(time.time())
REFUSED = {
    "expired": ({"exp": NOW - 120, "iat": NOW - 500}, "TOKEN_EXPIRED"),
    "not yet": ({"nbf": NOW + 500}, "TOKEN_INVALID"),
    "no end": ({"exp": None}, "TOKEN_INVALID"),
    "no audience": ({"aud": None}, "TOKEN_AUDIENCE"),
    "another audience": ({"aud": "elsewhere"}, "TOKEN_AUDIENCE"),
    "another issuer": ({"iss": ISSUER + "x"}, "TOKEN_ISSUER"),
    "no issuer": ({"iss": None}, "TOKEN_ISSUER"),
    "no tenant": ({"org": None}, "TOKEN_CLAIM"),
    "a tenant that is no name": ({"org": {"a": 1}}, "TOKEN_CLAIM"),
    "a tenant with a line break": ({"org": "a\nb"}, "TOKEN_CLAIM"),
    "a name that is too long": ({"team": "t" * 129}, "TOKEN_CLAIM"),
    "good for a year": ({"exp": NOW + 366 * 86_400}, "TOKEN_LIFETIME"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_claim_that_is_wrong_opens_nothing(case):
    """Each for its own reason, which the audit log has and the caller has not."""
    claims, why = REFUSED[case]
    desk = Desk()
    found = await desk.why(desk.issuer.sign(**claims))
    assert found == why or (case == "no audience" and found == "TOKEN_INVALID")


async def test_clocks_may_be_off_by_the_leeway():
    """And by no more."""
    desk = Desk(leeway_seconds=60)
    assert await desk.identify(desk.issuer.sign(exp=NOW - 5, iat=NOW - 100))


async def test_the_algorithm_is_the_operators_choice():
    """Not the token's: no `none`, no shared secret made of a public key, no other family."""
    desk = Desk()
    claims = {"iss": ISSUER, "aud": "spendgate", "exp": NOW + 60, "org": "acme"}
    assert await desk.why(unsigned(claims)) == "TOKEN_ALGORITHM"
    forged = jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": "k1"})
    assert await desk.why(forged) == "TOKEN_ALGORITHM"
    strict = Desk(algorithms=["RS256"])
    assert await strict.why(strict.issuer.sign()) == "TOKEN_ALGORITHM"
    assert await desk.why(desk.issuer.sign(headers={"crit": ["x"], "x": 1})) == "TOKEN_MALFORMED"


async def test_another_key_opens_nothing():
    """A signature by somebody else under the same key id; one changed letter of the claims."""
    desk = Desk()
    assert await desk.why(Issuer().sign()) == "TOKEN_SIGNATURE"
    head, body, signature = desk.issuer.sign().split(".")
    other = desk.issuer.sign(org="other").split(".")[1]
    assert await desk.why(f"{head}.{other}.{signature}") == "TOKEN_SIGNATURE"
    assert await desk.why(f"{head}.{body}.") in {"TOKEN_SIGNATURE", "TOKEN_INVALID"}
    assert await desk.why("a.b.c") == "TOKEN_MALFORMED"
    assert await desk.why(f"{head}.{body}.{'x' * 9000}") == "TOKEN_TOO_LARGE"


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_weak_keys_are_none():
    """RSA under 2,048 bits can be broken."""
    desk = Desk(Issuer("RS256", bits=1024))
    assert await desk.why(desk.issuer.sign()) == "TOKEN_KEY_UNKNOWN"
    strong = Desk(Issuer("RS256"))
    assert await strong.identify(strong.issuer.sign())


async def test_keys_rotate():
    """A key that is new is fetched when a token names it; one that is gone opens nothing."""
    desk = Desk()
    old = desk.issuer.sign()
    await desk.identify(old)
    assert desk.fetched == 1
    desk.issuer.rotate("k2")
    desk.seconds += jwks.MISSING_SECONDS_MIN
    assert await desk.identify(desk.issuer.sign())
    assert desk.fetched == 2
    assert await desk.why(old) == "TOKEN_KEY_UNKNOWN"


async def test_made_up_keys_fetch_nothing():
    """Whoever names keys that are not there makes no traffic to the issuer."""
    desk = Desk()
    await desk.identify(desk.issuer.sign())
    desk.seconds += jwks.MISSING_SECONDS_MIN
    for number in range(50):
        await desk.why(desk.issuer.sign(headers={"kid": f"made-up-{number}"}))
    assert desk.fetched == 2


async def test_the_issuer_may_be_away():
    """Keys that are known go on for a day; without any, UNAVAILABLE, not a refusal."""
    desk = Desk()
    token = desk.issuer.sign()
    await desk.identify(token)
    desk.down = True
    desk.seconds += 400
    assert await desk.identify(token)
    desk.seconds += jwks.STALE_SECONDS_MAX
    with pytest.raises(ServiceUnavailable):
        await desk.identify(token)
    fresh = Desk()
    fresh.down = True
    with pytest.raises(ServiceUnavailable):
        await fresh.identify(fresh.issuer.sign())


async def test_virtual_keys_go_on_beside_tokens():
    """And who is not let in is written down, without what it showed."""
    desk = Desk()
    assert (await desk.identify("sg_good")).key_id == "k1"
    with pytest.raises(KeyInvalid):
        await desk.identify("sg_canary-secret")
    with pytest.raises(KeyInvalid):
        await desk.callers.identify(None)
    assert [line["what"] for line in desk.lines] == ["authenticate"] * 2
    assert len(desk.lines[0]["credential"]) == 12
    assert "canary" not in str(desk.lines)
    assert "credential" not in desk.lines[1]


async def test_two_tokens_with_equal_ends_are_two_callers():
    """Known tokens are found by all of them: no beginning and no end is taken for the whole."""
    desk = Desk()
    desk.callers._seconds_max = 60
    one, two = desk.issuer.sign(sub="ann"), desk.issuer.sign(sub="bob")
    assert one[:20] == two[:20]
    for token, user in ((one, "ann"), (two, "bob"), (one, "ann")):
        assert (await desk.identify(token)).user == user
    assert await desk.why(one[:-4] + "AAAA") == "TOKEN_SIGNATURE"


async def test_an_issuer_that_is_gone_from_the_file_lets_nobody_in():
    """Not even who was known a moment ago; virtual keys go on."""
    desk = Desk()
    token = desk.issuer.sign()
    assert (await desk.identify(token)).user == "ann"
    desk.callers.take_over(None)
    with pytest.raises(KeyInvalid):
        await desk.identify(token)
    assert (await desk.identify("sg_good")).key_id == "k1"
