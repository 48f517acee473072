"""Somebody who signs tokens, with real keys, and shows the public ones."""

import time

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://login.test/"


class Issuer:
    """Signs with its newest key; `public()` is its key set."""

    def __init__(self, algorithm="ES256", bits=2048):
        self.algorithm = algorithm
        self._bits = bits
        self._keys = {}
        self.rotate("k1")

    def rotate(self, key_id, *, keep=False):
        """A new key, in place of those before or beside them."""
        if not keep:
            self._keys.clear()
        if self.algorithm.startswith("ES"):
            self._keys[key_id] = ec.generate_private_key(ec.SECP256R1())
        else:
            self._keys[key_id] = rsa.generate_private_key(65537, self._bits)

    def public(self):
        """A JSON Web Key Set, as bytes."""
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        keys = [
            {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"}
            for name, key in self._keys.items()
        ]
        return orjson.dumps({"keys": keys})

    def sign(self, *, headers=None, seconds=600, **claims):
        """A token; a claim of None is left out."""
        name, key = list(self._keys.items())[-1]
        now = int(time.time())
        wanted = {
            "iss": ISSUER,
            "aud": "spendgate",
            "sub": "ann",
            "iat": now,
            "exp": now + seconds,
            "org": "acme",
            **claims,
        }
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return jwt.encode(
            wanted, key, algorithm=self.algorithm, headers={"kid": name, **(headers or {})}
        )
