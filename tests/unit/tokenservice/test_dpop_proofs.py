"""Proofs of possession: what is one, and everything that is not."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from hypothesis import given, settings, strategies as st
from proofs import NOW, ORIGIN, PATH, TOKEN, Holder, b64url, new_key, rsa_key, token_hash

from serving.errors import Unauthenticated
from tokenservice.errors import BadProof, IdentityUnavailable, WrongCredentials
from tokenservice.identity.dpop import ProofVerifier, matches
from tokenservice.identity.proof_key import ALGORITHMS, ProofKey
from tokenservice.identity.replays import MemoryReplays

HOLDER = Holder()
RFC_HEADER = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNo"
    "UklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERW"
    "clUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
)
RFC_AT_ISSUER = (
    f"{RFC_HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2Vyd"
    "mVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqR"
    "MUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RFC_AT_RESOURCE = (
    f"{RFC_HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvd"
    "XJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM"
    "0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemA"
    "gR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
RFC_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
RFC_THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


class Remembered(MemoryReplays):
    """Remembers, and tells what it was asked."""

    def __init__(self) -> None:
        """Remember for as long as a clock stands still."""
        super().__init__(lambda: NOW * 1000)
        self.asked: list[tuple[bytes, int]] = []

    async def first(self, name: bytes, ttl_ms: int) -> bool:
        """See Replays."""
        self.asked.append((name, ttl_ms))
        return await super().first(name, ttl_ms)


class Gone:
    """Cannot remember."""

    async def first(self, name: bytes, ttl_ms: int) -> bool:  # noqa: ARG002 - see Replays
        """See Replays."""
        raise IdentityUnavailable


@pytest.fixture
def replays() -> Remembered:
    """Return what remembers proofs."""
    return Remembered()


@pytest.fixture
def verifier(replays: Remembered) -> ProofVerifier:
    """Return a verifier whose clock stands still."""
    return ProofVerifier(replays, lambda: NOW * 1000, origins=(ORIGIN, "http://127.0.0.1:8080"))


async def verify(verifier: ProofVerifier, *proofs: str, token: str | None = TOKEN) -> str:
    """Verify proofs for the one request of these tests."""
    return await verifier.verify(proofs, token, method="POST", path=PATH)


async def refused(verifier: ProofVerifier, *proofs: str, token: str | None = TOKEN) -> str:
    """Return why proofs were refused, which the caller is not told."""
    with pytest.raises(BadProof) as caught:
        await verify(verifier, *proofs, token=token)
    error = caught.value
    assert (error.reason, error.message) == ("UNAUTHENTICATED", "The DPoP proof is not valid.")
    assert error.metadata == BadProof().metadata, "nothing of the proof"
    assert error.__cause__ is not None
    return str(error.__cause__)


@pytest.mark.parametrize("alg", ["ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256"])
async def test_a_good_proof_names_its_key(verifier: ProofVerifier, alg: str) -> None:
    """What is returned is the RFC 7638 thumbprint of the key in the proof."""
    holder = Holder(alg)
    assert await verify(verifier, holder.proof()) == holder.thumbprint


@pytest.mark.parametrize(
    "proof, token, method, path",
    [
        (RFC_AT_ISSUER, None, "POST", "/token"),
        (RFC_AT_RESOURCE, RFC_TOKEN, "GET", "/protectedresource"),
    ],
    ids=["section 4.1", "section 7.1"],
)
async def test_the_proofs_of_the_rfc_are_good(
    proof: str, token: str | None, method: str, path: str
) -> None:
    """RFC 9449's own examples verify, and have the thumbprint of its section 6.1."""
    origins = ("https://server.example.com", "https://resource.example.org")
    verifier = ProofVerifier(Remembered(), lambda: 1_562_262_617_000, origins=origins)
    thumbprint = await verifier.verify((proof,), token, method=method, path=path)
    assert thumbprint == RFC_THUMBPRINT


@pytest.mark.parametrize(
    "alg, jwk, thumbprint",
    [
        (
            "EdDSA",
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
        (
            "RS256",
            {
                "kty": "RSA",
                "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuh"
                "DR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4"
                "QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI"
                "SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kE"
                "gU8awapJzKnqDKgw",
                "e": "AQAB",
                "alg": "RS256",
                "kid": "2011-04-29",
            },
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        ),
    ],
    ids=["RFC 8037", "RFC 7638"],
)
def test_thumbprints_are_those_of_the_rfcs(alg: str, jwk: dict[str, Any], thumbprint: str) -> None:
    """The thumbprint is of the required members alone, in their order."""
    assert ProofKey.of(alg, jwk).thumbprint == thumbprint


async def test_there_is_one_proof(verifier: ProofVerifier) -> None:
    """None proves nothing, and of two nobody knows which was meant."""
    assert await refused(verifier) == "not one proof"
    assert await refused(verifier, HOLDER.proof(), HOLDER.proof()) == "not one proof"


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof[:0],
        lambda proof: proof + " ",
        lambda proof: " " + proof,
        lambda proof: proof + ", " + proof,
        lambda proof: proof + "=",
        lambda proof: proof + "==",
        lambda proof: proof.replace(".", "..", 1),
        lambda proof: proof.rpartition(".")[0],
        lambda proof: proof.rpartition(".")[0] + ".",
        lambda proof: proof + ".AAAA",
        lambda proof: "e30." + proof.partition(".")[2],
        lambda proof: "W10." + proof.partition(".")[2],
        lambda proof: "A." + proof.partition(".")[2],
        lambda proof: "_w." + proof.partition(".")[2],
        lambda proof: "е30." + proof.partition(".")[2],  # noqa: RUF001 - Cyrillic
    ],
)
async def test_what_is_no_compact_jws_is_no_proof(verifier: ProofVerifier, change: Any) -> None:
    """Three parts of base64url, nothing before, between or after."""
    await refused(verifier, change(HOLDER.proof()))


async def test_a_proof_has_eight_kilobytes_at_most(verifier: ProofVerifier) -> None:
    """A longer one is not even read."""
    overhead = len(HOLDER.proof(more="")) + 8
    longest = HOLDER.proof(more="m" * ((8192 - overhead) * 3 // 4))
    assert 8150 < len(longest) <= 8192
    assert await verify(verifier, longest) == HOLDER.thumbprint
    assert await refused(verifier, HOLDER.proof(more="m" * 6200)) == "not a proof"


@pytest.mark.parametrize("typ", ["JWT", "dpop", "application/dpop+jwt", "DPOP+JWT", "", None, 7])
async def test_the_type_is_dpop(verifier: ProofVerifier, typ: Any) -> None:
    """Another JWT that the same key signed is no proof."""
    assert "type" in await refused(verifier, HOLDER.proof(header={"typ": typ}))


@pytest.mark.parametrize(
    "alg",
    ["none", "None", "", "HS256", "HS512", "ES512", "ES256K", "RS1", "es256", None, ["ES256"]],
)
async def test_no_other_algorithm_counts(verifier: ProofVerifier, alg: Any) -> None:
    """Neither none, nor one with a shared secret, nor one that is not on the list."""
    assert "algorithm" in await refused(verifier, HOLDER.proof(header={"alg": alg}))


async def test_the_public_key_is_no_secret_to_sign_with(verifier: ProofVerifier) -> None:
    """An HMAC keyed with the public key, or with a key of type oct, proves nothing."""
    for jwk in (HOLDER.jwk, {"kty": "oct", "k": "a2V5"}):
        header = json.dumps({"typ": "dpop+jwt", "alg": "HS256", "jwk": jwk}).encode()
        payload = HOLDER.proof().split(".")[1]
        signed = f"{b64url(header)}.{payload}"
        mac = hmac.digest(json.dumps(jwk).encode(), signed.encode(), hashlib.sha256)
        await refused(verifier, f"{signed}.{b64url(mac)}")


async def test_an_unsigned_proof_is_none(verifier: ProofVerifier) -> None:
    """Neither is one whose signature is another key's, of another text, or damaged."""
    proof, other = HOLDER.proof(), HOLDER.proof()
    text, _, signature = proof.rpartition(".")
    for bad in (
        f"{text}.AAAA",
        f"{text}.{b64url(bytes(64))}",
        f"{text}.{other.rpartition('.')[2]}",
        f"{text}.{signature[::-1]}",
        Holder().proof(header={"jwk": HOLDER.jwk}),
        f"{proof.partition('.')[0]}.{other.partition('.')[2]}"[:-4] + "AAAA",
    ):
        assert await refused(verifier, bad) == "the signature is not the key's"


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        "key",
        [],
        {},
        {"kty": "EC"},
        {"kty": "oct", "k": "a2V5"},
        {**HOLDER.jwk, "kty": "RSA"},
        {**HOLDER.jwk, "crv": "P-384"},
        {**HOLDER.jwk, "crv": None},
        {**HOLDER.jwk, "x": 7},
        {**HOLDER.jwk, "x": ""},
        {**HOLDER.jwk, "x": HOLDER.jwk["y"], "y": HOLDER.jwk["x"]},
        {**HOLDER.jwk, "x": HOLDER.jwk["x"] + "="},
        {**HOLDER.jwk, "x": "AA" + HOLDER.jwk["x"]},
        {**HOLDER.jwk, "alg": "ES384"},
        {**HOLDER.jwk, "k": "a2V5"},
        {**HOLDER.jwk, "p": ""},
        {**HOLDER.jwk, "oth": []},
        HOLDER.private_jwk,
        Holder("ES384").jwk,
        Holder("EdDSA").jwk,
        Holder("RS256").jwk,
    ],
)
async def test_the_key_is_a_public_one_for_the_algorithm(verifier: ProofVerifier, jwk: Any) -> None:
    """It is whole, of the right curve, on it, written in the one way, and not private."""
    assert "key" in await refused(verifier, HOLDER.proof(header={"jwk": jwk}))


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
async def test_a_private_key_is_not_taken(verifier: ProofVerifier, alg: str) -> None:
    """A proof that gives its private key away proves nothing any more."""
    holder = Holder(alg)
    why = await refused(verifier, holder.proof(header={"jwk": holder.private_jwk}))
    assert why == "the key is not a public one"


async def test_further_members_of_a_key_change_nothing(verifier: ProofVerifier) -> None:
    """Browsers write key_ops and ext."""
    jwk = {**HOLDER.jwk, "key_ops": ["verify"], "ext": True, "kid": "1", "alg": "ES256"}
    assert await verify(verifier, HOLDER.proof(header={"jwk": jwk})) == HOLDER.thumbprint


async def test_keys_of_other_curves_are_none(verifier: ProofVerifier) -> None:
    """A curve that is not on the list is refused under each name of an algorithm."""
    ed = ed448.Ed448PrivateKey.generate()
    p521 = Holder("ES256", ec.generate_private_key(ec.SECP521R1()))
    for alg in ("EdDSA", "Ed25519"):
        assert "another kind" in await refused(verifier, Holder(alg, ed).proof())
    assert "another kind" in await refused(verifier, p521.proof())


async def test_rsa_keys_are_of_a_sane_size(verifier: ProofVerifier) -> None:
    """Shorter ones are weak, longer ones and long exponents cost us time."""
    short, long = (Holder("RS256", rsa_key(bits)) for bits in (1024, 4352))
    for holder in (short, long):
        assert await refused(verifier, holder.proof()) == "the key is too short, or too long"
    slow = Holder("RS256")
    jwk = {**slow.jwk, "e": b64url((2**64 + 1).to_bytes(9, "big"))}
    assert "exponent" in await refused(verifier, slow.proof(header={"jwk": jwk}))


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../etc/passwd"},
        {"kid": "' OR 1=1 --"},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]},
    ],
)
async def test_no_other_place_for_a_key_counts(
    verifier: ProofVerifier, header: dict[str, Any]
) -> None:
    """The key is the one in the proof, whatever else its header names."""
    assert await verify(verifier, HOLDER.proof(header=header)) == HOLDER.thumbprint


@pytest.mark.parametrize(
    "header",
    [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}],
)
async def test_extensions_are_refused(verifier: ProofVerifier, header: dict[str, Any]) -> None:
    """What must be understood (RFC 7515, section 4.1.11), and is not, is refused."""
    assert "extension" in await refused(verifier, HOLDER.proof(header=header))


@pytest.mark.parametrize("method", ["GET", "post", "Post", " POST", "POST ", "", None, 7, ["POST"]])
async def test_the_method_is_the_requests(verifier: ProofVerifier, method: Any) -> None:
    """`htm` is the method, in the case that it has."""
    assert "method" in await refused(verifier, HOLDER.proof(htm=method))


@pytest.mark.parametrize(
    "url",
    [
        f"{ORIGIN}{PATH}",
        f"{ORIGIN}{PATH}/",
        f"{ORIGIN}:443{PATH}",
        f"HTTPS://Tokens.Example{PATH}",
        f"{ORIGIN}{PATH}?a=b",
        f"{ORIGIN}{PATH}#f",
        f"{ORIGIN}{PATH}?#",
        f"{ORIGIN}/api/v1/live%2Dtoken",
        f"{ORIGIN}/api/v1/%6Cive-token",
        f"http://127.0.0.1:8080{PATH}",
    ],
)
async def test_the_url_is_compared_normalised(verifier: ProofVerifier, url: str) -> None:
    """Case, port, escapes, query, fragment and the last slash make no difference."""
    assert await verify(verifier, HOLDER.proof(htu=url)) == HOLDER.thumbprint


@pytest.mark.parametrize(
    "url",
    [
        "",
        None,
        7,
        PATH,
        f"//tokens.example{PATH}",
        f"http://tokens.example{PATH}",
        f"https://tokens.example:8443{PATH}",
        f"https://tokens.example:0{PATH}",
        f"https://tokens.example:{PATH}x",
        f"https://tokens.example:99999{PATH}",
        f"https://tokens.example.{PATH}",
        f"https://evil.example{PATH}",
        f"https://tokens.example.evil.example{PATH}",
        f"https://tokens.example@evil.example{PATH}",
        f"https://evil.example@tokens.example{PATH}",
        f"https://evil.example\\@tokens.example{PATH}",
        f"https://evil.example/{ORIGIN}{PATH}",
        f"https://evil.example?{ORIGIN}{PATH}",
        f"https://evil.example#{ORIGIN}{PATH}",
        f"http://127.0.0.1{PATH}",
        f"wss://tokens.example{PATH}",
        f"{ORIGIN}",
        f"{ORIGIN}/",
        f"{ORIGIN}{PATH}/usage",
        f"{ORIGIN}{PATH}//",
        f"{ORIGIN}/{PATH}",
        f"{ORIGIN}{PATH.upper()}",
        f"{ORIGIN}/api%2Fv1%2Flive-token",
        f"{ORIGIN}/api/v1/x/../live-token",
        f"{ORIGIN}{PATH}\n",
        f"\t{ORIGIN}{PATH}",
        f"https://tokens.ex\tample{PATH}",
        f"https://[tokens.example{PATH}",
        f"https://tokens。example{PATH}",
        f"{ORIGIN}{PATH}?{'a' * 2048}",
        [f"{ORIGIN}{PATH}"],
    ],
)
async def test_the_url_is_the_requests(verifier: ProofVerifier, url: Any) -> None:
    """`htu` is the path of the request at one of our origins."""
    assert await refused(verifier, HOLDER.proof(htu=url)) == "the proof is for another URL"


@pytest.mark.parametrize("iat", [NOW - 60, NOW, NOW + 5, NOW + 0.5])
async def test_a_proof_may_be_a_minute_old(verifier: ProofVerifier, iat: float) -> None:
    """And its clock five seconds ahead of ours."""
    assert await verify(verifier, HOLDER.proof(iat=iat)) == HOLDER.thumbprint


@pytest.mark.parametrize(
    "iat",
    [NOW - 60.001, NOW + 5.001, 0, -NOW, 10**400, str(NOW), True, None, [NOW], {}, NOW * 1000],
)
async def test_a_proof_of_another_time_is_none(verifier: ProofVerifier, iat: Any) -> None:
    """Older, later, and what is no time."""
    assert await refused(verifier, HOLDER.proof(iat=iat)) in {
        "the proof is of another time",
        "iat is not a number",
    }


@pytest.mark.parametrize("claims", [{"exp": NOW}, {"exp": "x"}, {"nbf": NOW + 6}, {"nbf": None}])
async def test_a_proof_may_end_earlier(verifier: ProofVerifier, claims: dict[str, Any]) -> None:
    """`exp` and `nbf` are not needed, and hold where they are."""
    await refused(verifier, HOLDER.proof(**claims))
    assert await verify(verifier, HOLDER.proof(exp=NOW + 1, nbf=NOW)) == HOLDER.thumbprint


@pytest.mark.parametrize("name", ["typ", "alg", "jwk", "jti", "htm", "htu", "iat", "ath"])
async def test_nothing_may_be_missing(verifier: ProofVerifier, name: str) -> None:
    """A proof has all that RFC 9449, section 4.2, requires."""
    await refused(verifier, HOLDER.proof(without=name))


@pytest.mark.parametrize("jti", ["", "j" * 129, "a\nb", "a\0b", "\ud800", 7, None, ["j"], True])
async def test_an_id_is_short_and_printable(verifier: ProofVerifier, jti: Any) -> None:
    """1 to 128 printable characters."""
    assert "jti" in await refused(verifier, HOLDER.proof(jti=jti))
    assert await verify(verifier, HOLDER.proof(jti="j" * 128)) == HOLDER.thumbprint


@pytest.mark.parametrize(
    "ath",
    [
        "",
        TOKEN,
        token_hash(TOKEN) + "=",
        token_hash("another.access.token"),
        hashlib.sha256(TOKEN.encode()).hexdigest(),
        None,
        7,
    ],
)
async def test_a_proof_is_for_one_access_token(verifier: ProofVerifier, ath: Any) -> None:
    """`ath` is the SHA-256 of the token that came with it, in base64url."""
    assert "access token" in await refused(verifier, HOLDER.proof(ath=ath))


async def test_without_an_access_token_a_proof_speaks_of_none(verifier: ProofVerifier) -> None:
    """With an API key there is no token: a proof for one is not for this request."""
    assert await verify(verifier, HOLDER.proof(token=None), token=None) == HOLDER.thumbprint
    assert "there is none" in await refused(verifier, HOLDER.proof(), token=None)


@pytest.mark.parametrize(
    "header, payload",
    [
        (b'{"typ":"dpop+jwt",%s,"typ":"dpop+jwt"}', b"{%s}"),
        (b'{"typ":"dpop+jwt",%s}', b'{%s,"jti":"another"}'),
        (b'{"typ":"dpop+jwt",%s}', b'{%s,"a":{"b":1,"b":2}}'),
        (b'{"typ":"dpop+jwt",%s}', b'{%s,"a":NaN}'),
        (b'{"typ":"dpop+jwt",%s}', b'{%s,"a":Infinity}'),
        (b'{"typ":"dpop+jwt",%s}', b'{%s,"a":' + b"9" * 5000 + b"}"),
        (b'{"typ":"dpop+jwt",%s}', b'{%s,"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
        (b'{"typ":"dpop+jwt",%s}', b"[{%s}]"),
        (b'{"typ":"dpop+jwt",%s}', b"{%s} {}"),
        (b'{"typ":"dpop+jwt",%s}', b"\xef\xbb\xbf{%s}"),
        (b'{"typ":"dpop+jwt",%s}', b'{%s,"a":"\xff"}'),
        (b'\xef\xbb\xbf{"typ":"dpop+jwt",%s}', b"{%s}"),
    ],
)  # fmt: skip
async def test_json_has_one_meaning(verifier: ProofVerifier, header: bytes, payload: bytes) -> None:
    """A member that stands twice, at any depth, and what is no JSON in UTF-8 are refused."""

    def inner(members: dict[str, Any]) -> bytes:
        return json.dumps(members).encode()[1:-1]

    good_header = inner({"alg": "ES256", "jwk": HOLDER.jwk})
    claims = {"htm": "POST", "htu": ORIGIN + PATH, "iat": NOW, "ath": token_hash(TOKEN)}
    good_payload = inner({"jti": "one", **claims})
    good = HOLDER.sign(b'{"typ":"dpop+jwt",%s}' % good_header, b"{%s}" % good_payload)
    assert await verify(verifier, good) == HOLDER.thumbprint
    good_payload = inner({"jti": "two", **claims})
    await refused(verifier, HOLDER.sign(header % good_header, payload % good_payload))


async def test_utf_16_is_refused(verifier: ProofVerifier) -> None:
    """Python's reader would guess it."""
    header = json.dumps(HOLDER.header).encode("utf-16")
    await refused(verifier, HOLDER.sign(header, b"{}"))


async def test_a_proof_counts_once(verifier: ProofVerifier) -> None:
    """Whoever has overheard it has nothing."""
    proof = HOLDER.proof()
    await verify(verifier, proof)
    assert await refused(verifier, proof) == "the proof was used before"
    again = HOLDER.proof(jti=json.loads(_payload(proof))["jti"], iat=NOW + 1)
    assert await refused(verifier, again) == "the proof was used before"


async def test_an_id_is_its_keys_own(verifier: ProofVerifier, replays: Remembered) -> None:
    """Two keys may choose the same id; what is remembered tells neither."""
    for holder in (HOLDER, Holder()):
        assert await verify(verifier, holder.proof(jti="same")) == holder.thumbprint
    (one, ttl_ms), (other, _) = replays.asked
    assert one != other
    assert len(one) == 32
    assert b"same" not in one
    assert ttl_ms == 70_000, "60 s old, 5 s ahead, and clocks 5 s apart"


async def test_only_what_is_good_is_remembered(
    verifier: ProofVerifier, replays: Remembered
) -> None:
    """A bad proof takes no place, and does not use its id up."""
    await refused(verifier, HOLDER.proof(jti="j", htm="GET"))
    await refused(verifier, Holder().proof(jti="j", header={"jwk": HOLDER.jwk}))
    assert replays.asked == []
    assert await verify(verifier, HOLDER.proof(jti="j")) == HOLDER.thumbprint


async def test_what_nobody_remembers_nobody_is_let_in_with() -> None:
    """While the memory is away, there is no answer."""
    verifier = ProofVerifier(Gone(), lambda: NOW * 1000, origins=(ORIGIN,))
    with pytest.raises(IdentityUnavailable):
        await verify(verifier, HOLDER.proof())


def test_a_bad_proof_is_no_guess() -> None:
    """A client whose clock is wrong is not blocked as one that tries credentials out."""
    assert issubclass(BadProof, Unauthenticated)
    assert not issubclass(BadProof, WrongCredentials)


async def test_a_refusal_repeats_nothing_of_the_proof(verifier: ProofVerifier) -> None:
    """Neither what is raised nor its causes hold a part of the proof or of the token."""
    proofs = [
        HOLDER.proof(htm="GET"),
        HOLDER.proof(header={"alg": "none"}),
        HOLDER.proof(header={"jwk": HOLDER.private_jwk}),
        HOLDER.proof(header={"kid": 7}),
        HOLDER.proof()[:-4] + "AAAA",
    ]
    for proof in proofs:
        with pytest.raises(BadProof) as caught:
            await verify(verifier, proof)
        error: BaseException | None = caught.value
        while error is not None:
            text = repr(error)
            assert HOLDER.jwk["x"] not in text
            assert TOKEN not in text
            assert not any(part in text for part in proof.split("."))
            error = error.__cause__


@settings(deadline=None)
@given(st.text(max_size=200))
async def test_no_text_is_a_proof_or_an_accident(text: str) -> None:
    """Whatever a header holds, the answer is a refusal."""
    verifier = ProofVerifier(Remembered(), lambda: NOW * 1000, origins=(ORIGIN,))
    await refused(verifier, text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    name=st.sampled_from(["typ", "alg", "jwk", "crit", "kid", "jti", "htm", "htu", "iat", "ath"]),
    value=json_values,
)
async def test_any_value_anywhere_is_a_proof_or_a_refusal(name: str, value: Any) -> None:
    """No JSON in any place is an error of ours."""
    verifier = ProofVerifier(Remembered(), lambda: NOW * 1000, origins=(ORIGIN,))
    place: dict[str, Any] = (
        {"header": {name: value}} if name in {"typ", "alg", "jwk", "crit", "kid"} else {}
    )
    proof = HOLDER.proof(**(place or {name: value}))
    try:
        assert await verify(verifier, proof) == HOLDER.thumbprint
    except BadProof:
        pass
    else:
        assert name in {"kid", "jti"}


@pytest.mark.parametrize(
    "origins",
    [
        (),
        ("",),
        ("tokens.example",),
        ("https://",),
        ("https://tokens.example/path",),
        ("https://tokens.example?q",),
        ("https://tokens.example#f",),
        ("https://me@tokens.example",),
        ("https://tokens.example:x",),
        ("ftp://tokens.example",),
        ("https://tokens.example", "*"),
    ],
)
def test_an_origin_is_no_more_than_that(origins: tuple[str, ...]) -> None:
    """Neither a path, nor a pattern, nor none."""
    with pytest.raises(ValueError, match=r"https://tokens\.example"):
        ProofVerifier(Remembered(), lambda: NOW, origins=origins)


def test_a_thumbprint_matches_itself() -> None:
    """And nothing else, none among it."""
    assert matches(RFC_THUMBPRINT, RFC_THUMBPRINT)
    assert not matches(RFC_THUMBPRINT, Holder("EdDSA", new_key("EdDSA")).thumbprint)
    assert not matches(RFC_THUMBPRINT, "")
    assert not matches("é", RFC_THUMBPRINT)


def _payload(proof: str) -> str:
    part = proof.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()


def test_a_bad_proof_says_by_what_a_good_one_is_signed() -> None:
    """RFC 9449, section 7.1: the refusal names the algorithms, and they are those we take."""
    assert set(BadProof().metadata["dpop_algs"].split(" ")) == set(ALGORITHMS)
