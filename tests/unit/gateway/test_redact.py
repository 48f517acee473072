"""What tells who somebody is or opens something is cut out; the rest stays as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.privacy.redact import KINDS, Found, Redactor

REDACTOR = Redactor(["ACME-[0-9]{6}"])


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("write to anna.müller@firma.example.org now", "write to [email] now"),
        ("card 4111 1111 1111 1111, thanks", "card [card], thanks"),
        ("5500-0000-0000-0004", "[card]"),
        ("pay to DE89 3704 0044 0532 0130 00 today", "pay to [iban] today"),
        ("pay to GB82WEST12345698765432.", "pay to [iban]."),
        ("call +49 (0)30 1234-5678!", "call [phone]!"),
        ("call (555) 010-9999", "call [phone]"),
        ("SSN 078-05-1120", "SSN [ssn]"),
        ("key sk-proj-abcdefghijklmnop1234 ok", "key [key] ok"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("sg_0123456789abcdefABCDEF", "[key]"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [key]"),
        ("password = hunter2000", "[key]"),
        ("my password is hunter2000!", "my [key]"),
        ('{"api_key": "zzzzzzzzzz"}', '{"[key]"}'),
        ("postgresql://me:pw@db/x", "[credentials]db/x"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[jwt]"),
        ("from 192.168.10.254 on", "from [ip] on"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- x",
            "[private_key] x",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIE and no end", "[private_key]"),
        ("order ACME-123456", "order [custom]"),
    ],
)
def test_what_must_not_be_seen_is_cut_out(text, redacted):
    """One example a pattern."""
    assert REDACTOR.redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "order 4111 1111 1111 1112 and 1234567890123",  # wrong check digits
        "on 2026-11-23 at 10:15, 3.14159 and 1,000,000 of 1.2.3",
        "DE88 3704 0044 0532 0130 00",
        "the token is shortened by key-performance-indicators",
        "an @mention, a@b, http://example.org/path?x=1",
        "",
    ],
)
def test_what_only_looks_alike_stays(text):
    """A trace in which every number is gone tells nothing."""
    assert REDACTOR.redact(text) == text


def test_a_secret_across_the_cut_is_cut_out_whole():
    """Its first half alone would match no pattern."""
    text = "mail " + "someone@example.org" + " and more" * 1000
    for cut in range(6, 24):
        assert REDACTOR.redact_beginning(text, cut) == "mail [email]"
    assert REDACTOR.redact_beginning(text, 28) == "mail [email] and"


def test_kinds_can_be_chosen():
    """A guard may look for keys alone."""
    text = "a@example.org ghp_0123456789abcdefghij"
    assert Redactor(kinds=["key"]).redact(text) == "a@example.org [key]"
    assert [found.kind for found in REDACTOR.find(text)] == ["email", "key"]
    assert {"email", "card", "key", "custom"} <= set(KINDS)


@given(st.text(max_size=200), st.integers(0, 40))
def test_a_redacted_text_has_nothing_left_to_find_where_it_was(text, cut):
    """Places lie in order, in the text, apart; nothing outside of them changes."""
    places = REDACTOR.find(text)
    ends = [0, *(each.end for each in places)]
    assert all(0 <= end <= each.start < each.end for end, each in zip(ends, places, strict=False))
    kept = text
    for each in reversed(places):
        assert isinstance(each, Found)
        kept = kept[: each.start] + f"[{each.kind}]" + kept[each.end :]
    assert REDACTOR.redact(text) == kept
    if not places:
        assert REDACTOR.redact_beginning(text, cut) == text[:cut]


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "1 " * 100_000, "a@" * 100_000, "-----BEGIN " * 9000]
)
def test_no_text_makes_it_slow(text):
    """RE2 never goes back; a pattern that could would hang here."""
    REDACTOR.redact(text)
