"""Whose prompts may be seen: nobody's unless the fleet file says so."""

import pytest

from catalog.config import ConfigError, parse_config

FLEET = """
providers: {p: {base_url: "http://localhost:1/v1"}}
models: {m: {provider: p, price: {input_usd_per_million: 1, output_usd_per_million: 1}}}
"""


def test_nobody_has_agreed_by_default():
    """A tenant must be named and must have said yes."""
    assert not parse_config(FLEET).privacy.captures("acme")
    told = FLEET + "privacy: {tenants: {acme: {capture: true}, other: {}}}"
    privacy = parse_config(told).privacy
    assert [privacy.captures(name) for name in ("acme", "other", "third")] == [True, False, False]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(a", "missing )"),
        ("(?=a)b", "is no pattern of RE2"),
        ("x*", "matches where nothing stands"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused(pattern, problem):
    """At load, with the place and the reason; one that looks back could be made slow."""
    told = FLEET + f"privacy: {{redact_patterns: ['{pattern}']}}"
    with pytest.raises(ConfigError) as caught:
        parse_config(told)
    assert any(
        "privacy.redact_patterns" in each and problem in each for each in caught.value.problems
    )
