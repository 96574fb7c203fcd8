"""Who must prove to hold a key, and who may."""

import pytest
from proofs import NOW, ORIGIN, PATH, TOKEN, Holder

from serving.errors import Unauthenticated
from tokenservice.errors import BadProof
from tokenservice.identity.authorization import PresentedToken
from tokenservice.identity.dpop import ProofVerifier
from tokenservice.identity.possession import Possession
from tokenservice.identity.replays import MemoryReplays

HOLDER = Holder()
BEARER, DPOP = PresentedToken("Bearer", TOKEN), PresentedToken("DPoP", TOKEN)

Token = tuple[PresentedToken | None, str]
"""A token as it was presented, and the thumbprint of the key that it is bound to."""
UNBOUND: Token = (BEARER, "")
BOUND: Token = (DPOP, HOLDER.thumbprint)
API_KEY: Token = (None, "")
TOKENS = {"unbound": UNBOUND, "bound": BOUND, "API key": API_KEY}
MISSING = "Send a DPoP proof with the request."
NOT_VALID = "The DPoP proof is not valid."


def possession(setting: str) -> Possession:
    """Return what asks for proofs by that setting."""
    if setting == "off":
        return Possession(None)

    def clock() -> int:
        return NOW * 1000

    verifier = ProofVerifier(MemoryReplays(clock), clock, origins=(ORIGIN,))
    return Possession(verifier, required=setting == "required")


async def key(setting: str, token: Token, *proofs: str) -> str:
    """Return the key that a caller is bound to."""
    return await possession(setting).key(proofs, *token, method="POST", path=PATH)


@pytest.mark.parametrize("proofs", [(), ("",), ("nonsense",), (HOLDER.proof(), HOLDER.proof())])
async def test_while_it_is_off_a_proof_is_not_even_read(proofs: tuple[str, ...]) -> None:
    """Nobody is bound to a key, whatever is sent."""
    for token in (UNBOUND, API_KEY):
        assert await key("off", token, *proofs) == ""


@pytest.mark.parametrize("token", [BOUND, (DPOP, ""), (BEARER, HOLDER.thumbprint)])
async def test_while_it_is_off_what_needs_a_proof_is_refused(token: Token) -> None:
    """A stolen token that is bound to a key is not taken for one that is not."""
    with pytest.raises(Unauthenticated) as caught:
        await key("off", token, HOLDER.proof())
    assert not isinstance(caught.value, BadProof)
    assert "Bearer" in caught.value.message


async def test_while_it_is_optional_who_proves_nothing_is_bound_to_nothing() -> None:
    """A bearer token and an API key get in as ever."""
    assert await key("optional", UNBOUND) == ""
    assert await key("optional", API_KEY) == ""


@pytest.mark.parametrize("setting", ["optional", "required"])
async def test_who_proves_to_hold_a_key_is_bound_to_it(setting: str) -> None:
    """With a token that is bound to it, with one that is not, and with an API key."""
    assert await key(setting, UNBOUND, HOLDER.proof()) == HOLDER.thumbprint
    assert await key(setting, BOUND, HOLDER.proof()) == HOLDER.thumbprint
    assert await key(setting, API_KEY, HOLDER.proof(token=None)) == HOLDER.thumbprint


@pytest.mark.parametrize("setting", ["optional", "required"])
@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
async def test_a_proof_that_is_there_must_be_good(setting: str, token: Token) -> None:
    """Where it need not be as well: who sends one means it."""
    for proof in ("", "nonsense", HOLDER.proof(htm="GET"), HOLDER.proof(ath="x")):
        with pytest.raises(BadProof, match=NOT_VALID):
            await key(setting, token, proof)


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
async def test_where_it_is_required_nobody_gets_in_without(token: Token) -> None:
    """No proof, no entry, with an API key neither; and the answer says what is missing."""
    with pytest.raises(BadProof, match=MISSING):
        await key("required", token)


@pytest.mark.parametrize("setting", ["optional", "required"])
async def test_a_bound_token_is_nothing_without_its_key(setting: str) -> None:
    """A stolen one comes without a proof, or with the proof of another key."""
    with pytest.raises(BadProof, match=MISSING):
        await key(setting, BOUND)
    with pytest.raises(BadProof, match=NOT_VALID) as caught:
        await key(setting, BOUND, Holder().proof())
    assert str(caught.value.__cause__) == "the token is bound to another key"


@pytest.mark.parametrize("setting", ["optional", "required"])
@pytest.mark.parametrize(
    "token",
    [(BEARER, HOLDER.thumbprint), (DPOP, "")],
    ids=["bound, as Bearer", "unbound, as DPoP"],
)
async def test_the_scheme_says_whether_a_token_is_bound(setting: str, token: Token) -> None:
    """RFC 9449, sections 7.1 and 7.2: neither passes as the other, with a proof or without."""
    for proofs in ((), (HOLDER.proof(),)):
        with pytest.raises(BadProof):
            await key(setting, token, *proofs)
