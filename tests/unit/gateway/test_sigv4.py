"""Signatures held against published ones."""

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from gateway.bedrock.sigv4 import AwsKeys, Signer

# The keys and the moment of AWS's own test suite for Signature Version 4.
KEYS = AwsKeys(SecretStr("AKIDEXAMPLE"), SecretStr("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
MOMENT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        # get-vanilla and post-vanilla of that suite.
        ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)
def test_the_signatures_of_awss_test_suite(method: str, signature: str) -> None:
    """To the digit."""
    signer = Signer(KEYS, "us-east-1", "service")
    headers = signer.headers(method, "https://example.amazonaws.com/", b"", {}, MOMENT)
    assert headers == {
        "X-Amz-Date": "20150830T123600Z",
        "Authorization": (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
            f" SignedHeaders=host;x-amz-date, Signature={signature}"
        ),
    }


def test_a_call_of_bedrock_is_signed_as_awss_library_signs_it() -> None:
    """A path with a colon, a body, a session's token: what botocore 1.44.5 made of them."""
    keys = AwsKeys(SecretStr("AKIA"), SecretStr("sec/ret"), SecretStr("tok"))
    url = (
        "https://bedrock-runtime.us-east-1.amazonaws.com"
        "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"
    )
    signed = {"content-type": "application/json"}
    headers = Signer(keys, "us-east-1", "bedrock").headers(
        "POST", url, b'{"messages":[]}', signed, 1_790_000_000
    )
    assert headers["X-Amz-Security-Token"] == "tok"
    assert headers["Authorization"].endswith(
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"
        " Signature=64e65230b581a580abfd3c4d4c41e11b01f9cf1eff7347ad30a06cf6ff3744de"
    )
