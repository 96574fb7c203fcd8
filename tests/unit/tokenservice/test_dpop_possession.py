"""Who must prove to hold a key, and who may."""

import pytest
from proofs import NOW, ORIGIN, PATH, TOKEN, Holder

from serving.errors import Unauthenticated
from tokenservice.errors import BadProof
from tokenservice.identity.dpop import ProofVerifier
from tokenservice.identity.possession import AccessToken, Possession
from tokenservice.identity.replays import MemoryReplays

HOLDER = Holder()
UNBOUND = AccessToken(TOKEN)
BOUND = AccessToken(TOKEN, HOLDER.thumbprint, "dpop")
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


async def key(setting: str, token: AccessToken | None, *proofs: str) -> str:
    """Return the key that a caller is bound to."""
    return await possession(setting).key(proofs, token, method="POST", path=PATH)


@pytest.mark.parametrize("proofs", [(), ("",), ("nonsense",), (HOLDER.proof(), HOLDER.proof())])
async def test_while_it_is_off_a_proof_is_not_even_read(proofs: tuple[str, ...]) -> None:
    """Nobody is bound to a key, whatever is sent, and whatever the token says."""
    for token in (UNBOUND, AccessToken(TOKEN, HOLDER.thumbprint), None):
        assert await key("off", token, *proofs) == ""


async def test_while_it_is_off_there_is_no_such_scheme() -> None:
    """A caller that relies on its key being asked for is told that it is not."""
    with pytest.raises(Unauthenticated) as caught:
        await key("off", BOUND, HOLDER.proof())
    assert not isinstance(caught.value, BadProof)
    assert "Bearer" in caught.value.message


async def test_while_it_is_optional_who_proves_nothing_is_bound_to_nothing() -> None:
    """A bearer token and an API key get in as ever."""
    assert await key("optional", UNBOUND) == ""
    assert await key("optional", None) == ""


@pytest.mark.parametrize("setting", ["optional", "required"])
async def test_who_proves_to_hold_a_key_is_bound_to_it(setting: str) -> None:
    """With a token that is bound to it, with one that is not, and with an API key."""
    assert await key(setting, UNBOUND, HOLDER.proof()) == HOLDER.thumbprint
    assert await key(setting, BOUND, HOLDER.proof()) == HOLDER.thumbprint
    assert await key(setting, None, HOLDER.proof(token=None)) == HOLDER.thumbprint


@pytest.mark.parametrize("setting", ["optional", "required"])
@pytest.mark.parametrize("token", [UNBOUND, BOUND, None], ids=["unbound", "bound", "API key"])
async def test_a_proof_that_is_there_must_be_good(setting: str, token: AccessToken | None) -> None:
    """Where it need not be as well: who sends one means it."""
    for proof in ("", "nonsense", HOLDER.proof(htm="GET"), HOLDER.proof(ath="x")):
        with pytest.raises(BadProof, match=NOT_VALID):
            await key(setting, token, proof)


@pytest.mark.parametrize("token", [UNBOUND, BOUND, None], ids=["unbound", "bound", "API key"])
async def test_where_it_is_required_nobody_gets_in_without(token: AccessToken | None) -> None:
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
    [AccessToken(TOKEN, HOLDER.thumbprint, "bearer"), AccessToken(TOKEN, "", "dpop")],
    ids=["bound, as Bearer", "unbound, as DPoP"],
)
async def test_the_scheme_says_whether_a_token_is_bound(setting: str, token: AccessToken) -> None:
    """RFC 9449, sections 7.1 and 7.2: neither passes as the other, with a proof or without."""
    for proofs in ((), (HOLDER.proof(),)):
        with pytest.raises(BadProof):
            await key(setting, token, *proofs)


def test_a_token_is_not_shown() -> None:
    """What holds an access token does not repeat it."""
    assert TOKEN not in repr(BOUND)
