"""Get a token and prove to hold a key (RFC 9449): `python examples/prove_possession.py`.

The environment gives GATEWAY (default http://127.0.0.1:8080), which must be one of
TOKENSERVICE_DPOP_ORIGINS, and BEARER, the JWT of the user to issue for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
import urllib.request
import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

_SECONDS = 10


def proof(key: ec.EllipticCurvePrivateKey, method: str, url: str, token: str) -> str:
    """Return a proof for one request: each try needs one of its own."""
    digest = hashlib.sha256(token.encode()).digest()
    claims = {
        "jti": uuid.uuid4().hex,
        "htm": method,
        "htu": url,
        "iat": int(time.time()),
        "ath": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return jwt.encode(claims, key, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": public})


def main() -> None:
    """Ask twice for the same token: only who has the key gets it again."""
    url = os.environ.get("GATEWAY", "http://127.0.0.1:8080") + "/api/v1/live-token"
    bearer, repeatable = os.environ["BEARER"], uuid.uuid4().hex
    key = ec.generate_private_key(ec.SECP256R1())  # a client keeps its own, and shows it nobody
    for _ in range(2):
        headers = {
            # `DPoP` instead, where the issuer has bound the token to this key (cnf.jkt).
            "Authorization": f"Bearer {bearer}",
            "DPoP": proof(key, "POST", url, bearer),
            "Idempotency-Key": repeatable,
        }
        request = urllib.request.Request(url, method="POST", headers=headers)  # noqa: S310 - http(s)
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - likewise
            issued = json.load(answer)
        print(issued["token"], "until", issued["expiresAt"])


if __name__ == "__main__":
    main()
