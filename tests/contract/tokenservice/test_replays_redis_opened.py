"""Proofs of possession as the settings have them: who asks, and who remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from proofs import NOW, ORIGIN, PATH, TOKEN, Holder
from pydantic import SecretStr
from servers import valkey_server

from tokenservice.errors import BadProof, IdentityUnavailable
from tokenservice.identity.authorization import PresentedToken
from tokenservice.identity.proofs import open_possession
from tokenservice.settings import TokenServiceSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tokenservice.identity.possession import Possession

BEARER = PresentedToken("Bearer", TOKEN)


def settings(**given: Any) -> TokenServiceSettings:
    """Return settings with proofs at their origin, and what is given."""
    return TokenServiceSettings(
        jwt_secret=SecretStr("a secret of the tests, long enough."),
        gemini_api_key=SecretStr("key"),
        hash_key=SecretStr("another secret of the tests, as long."),
        store_timeout_ms=5_000,
        dpop_origins=(ORIGIN,),
        **given,
    )


def clock() -> int:
    """Tell the same time always."""
    return NOW * 1000


async def key(possession: Possession, *proofs: str) -> str:
    """Return the key that a caller with a bearer token has proven."""
    return await possession.key(proofs, BEARER, method="POST", path=PATH)


async def test_off_asks_nobody() -> None:
    """A proof is not looked at, and no store is needed."""
    async with open_possession(settings(), clock) as possession:
        assert await key(possession, "nonsense") == ""


async def test_optional_asks_who_sends_one() -> None:
    """And remembers it."""
    holder = Holder()
    proof = holder.proof()
    async with open_possession(settings(dpop="optional"), clock) as possession:
        assert await key(possession) == ""
        assert await key(possession, proof) == holder.thumbprint
        with pytest.raises(BadProof):
            await key(possession, proof)


async def test_required_asks_everybody() -> None:
    """No proof, no entry."""
    async with open_possession(settings(dpop="required"), clock) as possession:
        with pytest.raises(BadProof):
            await key(possession)


async def test_a_file_is_no_memory_of_proofs(tmp_path: Path) -> None:
    """With identities in a file, or nowhere, each process remembers by itself."""
    proof = Holder().proof()
    given = settings(dpop="required", store_url=SecretStr(f"sqlite:{tmp_path}/identities"))
    async with open_possession(given, clock) as one, open_possession(given, clock) as other:
        assert await key(one, proof) == await key(other, proof)


async def test_replicas_with_one_store_remember_together(tmp_path: Path) -> None:
    """Under the prefix that is set; and without the store, nobody gets in with a proof."""
    proof = Holder().proof()
    async with valkey_server(tmp_path) as server:
        given = settings(
            dpop="optional", store_url=SecretStr(server.url), store_prefix="some:prefix"
        )
        async with open_possession(given, clock) as one, open_possession(given, clock) as other:
            await key(one, proof)
            with pytest.raises(BadProof):
                await key(other, proof)
            (name,) = await server.ask("KEYS", "*")
            assert name.startswith("some:prefix:proof:")
            server.kill()
            with pytest.raises(IdentityUnavailable):
                await key(one, Holder().proof())
            assert await key(one) == ""
