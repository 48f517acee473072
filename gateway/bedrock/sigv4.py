"""AWS Signature Version 4, as AWS's reference for signing API requests describes it."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

_ALGORITHM = "AWS4-HMAC-SHA256"
_END = "aws4_request"


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """An access key; `session_token` is that of temporary credentials."""

    access_key_id: SecretStr
    secret_access_key: SecretStr
    session_token: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests to one service in one region."""

    keys: AwsKeys
    region: str
    service: str

    def headers(
        self, method: str, url: str, body: bytes, signed: Mapping[str, str], now: float
    ) -> Mapping[str, str]:
        """The headers to add to a request without a query; `now` is seconds since 1970.

        `url` is as it is sent, its path encoded. `signed` are headers to sign beside the host.
        """
        parts = urlsplit(url)
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        added = {"X-Amz-Date": moment}
        if self.keys.session_token is not None:
            added["X-Amz-Security-Token"] = self.keys.session_token.get_secret_value()
        told = {
            name.lower(): " ".join(value.split())
            for name, value in {**signed, **added, "host": parts.netloc}.items()
        }
        names = ";".join(sorted(told))
        canonical = "\n".join(
            (
                method,
                # A path that is encoded already is encoded once more.
                quote(parts.path or "/", safe="/-_.~"),
                "",
                *(f"{name}:{told[name]}" for name in sorted(told)),
                "",
                names,
                hashlib.sha256(body).hexdigest(),
            )
        )
        scope = "/".join((moment[:8], self.region, self.service, _END))
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = _mac(self._key(moment[:8]), "\n".join((_ALGORITHM, moment, scope, digest)))
        credential = f"{self.keys.access_key_id.get_secret_value()}/{scope}"
        added["Authorization"] = (
            f"{_ALGORITHM} Credential={credential}, SignedHeaders={names},"
            f" Signature={signature.hex()}"
        )
        return added

    def _key(self, day: str) -> bytes:
        key = ("AWS4" + self.keys.secret_access_key.get_secret_value()).encode()
        for part in (day, self.region, self.service, _END):
            key = _mac(key, part)
        return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
