"""What an operator does to keys and users."""

from __future__ import annotations

import pytest
from identity_rows import NOW, MemoryRows, Office

from tokenservice.identity.keyring import BrokenRow, Keyring
from tokenservice.identity.records import ApiKey, Denial, packed, unpacked
from tokenservice.identity.registry import KEPT_MS, MAX_LIFETIME_MS, UnknownKey
from tokenservice.identity.rows import TooManyRows

DAY_MS = 86_400_000


@pytest.fixture
def office() -> Office:
    """Return a store, and an operator's way to it."""
    return Office()


async def test_a_key_is_listed_with_all_but_its_text(office: Office) -> None:
    """Owner, tier, expiry and who made it are kept; the text is in none of it."""
    text, made = await office.registry.create_key(
        "ann", tier="gold", operator=True, label="ci", lifetime_ms=DAY_MS, actor="op"
    )
    (listed,) = await office.registry.keys()
    assert listed == made
    assert (listed.owner, listed.tier, listed.operator, listed.label) == ("ann", "gold", True, "ci")
    assert (listed.created_at, listed.created_by, listed.expires_at) == (NOW, "op", NOW + DAY_MS)
    assert text.split("_")[1] == listed.id
    assert text.split("_")[2] not in str([getattr(listed, name) for name in listed.__slots__])


@pytest.mark.parametrize("lifetime", [-1, 0, MAX_LIFETIME_MS + 1])
async def test_a_key_lasts_at_most_a_year(office: Office, lifetime: int) -> None:
    """No key is made without an end, or with one after more than 365 days."""
    with pytest.raises(ValueError, match="365d"):
        await office.registry.create_key("ann", lifetime_ms=lifetime, actor="op")
    assert await office.registry.keys() == []


async def test_revoking_is_once_and_kept(office: Office) -> None:
    """Who revoked a key first, and when, stays; the key too, to be read."""
    key_id = (await office.key()).split("_")[1]
    office.clock.advance(5)
    await office.registry.revoke_key(key_id, actor="first")
    office.clock.advance(5)
    again = await office.registry.revoke_key(key_id, actor="second")
    assert (again.revoked_at, again.revoked_by) == (NOW + 5_000, "first")
    assert await office.registry.keys() == [again]


async def test_no_key_no_revocation(office: Office) -> None:
    """Revoking a key that is not there says so."""
    with pytest.raises(UnknownKey):
        await office.registry.revoke_key("nobodysid000", actor="op")


async def test_a_change_in_between_is_not_lost(office: Office) -> None:
    """Of two operators who revoke at once, one does, and the other sees it."""
    key_id = (await office.key()).split("_")[1]
    change = office.rows.change
    beaten: list[bool] = []

    async def raced(table: str, name: str, before: bytes | None, after: bytes | None) -> bool:
        if not beaten:
            beaten.append(True)
            office.rows.change = change  # type: ignore[method-assign]
            await office.registry.revoke_key(key_id, actor="quick")
        return await change(table, name, before, after)

    office.rows.change = raced  # type: ignore[method-assign]
    assert (await office.registry.revoke_key(key_id, actor="slow")).revoked_by == "quick"


async def test_a_denial_replaces_the_one_before(office: Office) -> None:
    """The last word counts: its end, reason and actor."""
    await office.registry.deny("ann", reason="a", actor="one", lasting_ms=1000)
    await office.registry.deny("ann", reason="b", actor="two")
    (denial,) = await office.registry.denials()
    assert (denial.user, denial.reason, denial.denied_by, denial.until) == (
        office.registry.pseudonym("ann"),
        "b",
        "two",
        None,
    )


async def test_who_allowed_is_kept(office: Office) -> None:
    """A lifted denial stays to be read; lifting nothing says so."""
    assert not await office.registry.allow("ann", actor="op")
    await office.registry.deny("ann", reason="a", actor="one")
    office.clock.advance(1)
    assert await office.registry.allow("ann", actor="two")
    assert not await office.registry.allow("ann", actor="three")
    (denial,) = await office.registry.denials()
    assert (denial.lifted_at, denial.lifted_by) == (NOW + 1000, "two")
    assert not denial.holds(office.clock())


async def test_what_has_long_ended_is_forgotten(office: Office) -> None:
    """30 days after their end keys and denials go, at the next change; what holds stays."""
    await office.key("old", days=1)
    revoked = await office.key("revoked")
    kept = await office.key("kept", days=365)
    await office.registry.revoke_key(revoked.split("_")[1], actor="op")
    await office.registry.deny("for a time", reason="a", actor="op", lasting_ms=DAY_MS)
    await office.registry.deny("lifted", reason="b", actor="op")
    await office.registry.allow("lifted", actor="op")
    await office.registry.deny("for good", reason="c", actor="op")
    office.clock.now += KEPT_MS + DAY_MS - 1
    await office.registry.deny("ann", reason="d", actor="op")
    assert {key.owner for key in await office.registry.keys()} == {"old", "kept"}
    assert {denial.reason for denial in await office.registry.denials()} == {"a", "c", "d"}
    office.clock.now += 1
    await office.key("new")
    assert {key.owner for key in await office.registry.keys()} == {"new", "kept"}
    assert {denial.reason for denial in await office.registry.denials()} == {"c", "d"}
    assert kept.split("_")[1] in office.rows.shelf.tables["keys"]


async def test_there_is_a_bound(office: Office) -> None:
    """A full store makes no key and denies nobody more, and says so."""
    office.rows = MemoryRows(office.rows.shelf, most=1)
    await office.key()
    await office.registry.deny("ann", reason="a", actor="op")
    with pytest.raises(TooManyRows):
        await office.key()
    with pytest.raises(TooManyRows):
        await office.registry.deny("bob", reason="b", actor="op")
    await office.registry.deny("ann", reason="again", actor="op")


async def test_a_store_shows_neither_key_nor_owner(office: Office) -> None:
    """What is kept of keys and users is sealed: ids and pseudonyms are all that can be read."""
    text, _ = await office.registry.create_key(
        "ann.owner", label="a label", lifetime_ms=DAY_MS, actor="an operator"
    )
    await office.registry.deny("ann.owner", reason="a reason", actor="an operator")
    held = repr(office.rows.shelf.tables)
    for secret in (text, text.split("_")[2], "ann", "label", "operator", "reason"):
        assert secret not in held


def test_a_seal_is_for_one_row_under_one_key() -> None:
    """A row opens under its key at its place, and nowhere else, nor when damaged."""
    keyring = Keyring(b"k" * 32)
    denial = Denial("user", "reason", 1, "op", None)
    sealed = packed(denial, keyring)
    assert unpacked(Denial, "user", sealed, keyring) == denial
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for kind, name, row, key in (
        (Denial, "other", sealed, keyring),
        (ApiKey, "user", sealed, keyring),
        (Denial, "user", sealed, Keyring(b"x" * 32)),
        (Denial, "user", damaged, keyring),
        (Denial, "user", b"", keyring),
    ):
        with pytest.raises(BrokenRow):
            unpacked(kind, name, row, key)


def test_one_hash_key_serves_each_use_by_a_key_of_its_own() -> None:
    """A key's digest is no plain hash, nor one under the hash key itself, nor a pseudonym."""
    one, other = Keyring(b"k" * 32), Keyring(b"x" * 32)
    assert one.digest("text") == Keyring(b"k" * 32).digest("text")
    assert one.digest("text") != other.digest("text")
    assert len(one.digest("text")) == 64
    assert one.fingerprint != other.fingerprint
