"""Whom a process lets in, by what it knows of the store."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import pytest
import structlog
from identity_rows import HASH_KEY, MemoryRows, Office

from serving.errors import PermissionDenied, Unauthenticated
from serving.health import SERVING, HealthBoard
from serving.pseudonym import Pseudonyms
from serving.stores import StoreUnavailable
from tokenservice.errors import IdentityUnavailable, SubjectDenied, WrongCredentials
from tokenservice.identity import key_text
from tokenservice.identity.directory import Directory, NoDirectory
from tokenservice.identity.records import DENIALS, KEYS
from tokenservice.identity.watch import IDENTITY, UNAVAILABLE, report_directory
from tokenservice.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Callable

ANN = Pseudonyms(HASH_KEY).user("ann")


@pytest.fixture
def office() -> Office:
    """Return a store, and an operator's way to it."""
    return Office()


async def fresh(office: Office) -> tuple[Directory, MemoryRows]:
    """Return a replica that has read the store."""
    directory, rows = office.replica()
    await directory.refresh()
    return directory, rows


async def test_a_key_stands_for_its_owner(office: Office) -> None:
    """Who has a key is its owner, in its tier, and an operator where it says so."""
    plain = await office.key("ann")
    full = await office.key("bob", tier="gold", operator=True, label="ci")
    directory, _ = await fresh(office)
    assert directory.principal_of(plain) == Principal("ann")
    assert directory.principal_of(full) == Principal("bob", operator=True, tier="gold")


async def test_what_is_no_key_is_a_guess(office: Office) -> None:
    """An unknown key, another secret for a known id, and noise are answered the same."""
    text = await office.key()
    other = key_text.new_text()
    head = text[:17] + other[17:-6]
    directory, _ = await fresh(office)
    guesses = (other, head + key_text._checksum(head), "", "x", text[:-1], text + " ", "é" * 60)
    messages = set()
    for guess in guesses:
        with pytest.raises(WrongCredentials) as told:
            directory.principal_of(guess)
        messages.add((str(told.value), told.value.reason))
    assert messages == {("The API key is not valid.", "UNAUTHENTICATED")}
    assert directory.principal_of(text).subject == "ann"


async def test_an_unknown_key_takes_the_way_of_a_known_one(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each key of the right form is hashed once and compared once, in constant time."""
    known, unknown = await office.key(), key_text.new_text()
    revoked = await office.key()
    await office.registry.revoke_key(revoked.split("_")[1], actor="op")
    directory, _ = await fresh(office)
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return plain(one, other)

    plain: Callable[[str, str], bool] = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    directory.principal_of(known)
    for text in (unknown, revoked):
        with pytest.raises(WrongCredentials):
            directory.principal_of(text)
    assert len(compared) == 3
    assert {len(digest) for pair in compared for digest in pair} == {64}


async def test_the_digest_of_nobody_fits_no_key(office: Office) -> None:
    """What unknown keys are compared with is a hash that no key has, and lets nobody in."""
    directory, _ = await fresh(office)
    assert directory._nobody == office.keyring.digest("")
    with pytest.raises(WrongCredentials):
        directory.principal_of("")


async def test_a_revoked_key_stops_on_every_replica(office: Office) -> None:
    """Two replicas refuse a key at their next look after it was revoked; others' keys stay."""
    text, other = await office.key("ann"), await office.key("ann")
    one, two = (await fresh(office))[0], (await fresh(office))[0]
    assert one.principal_of(text) == two.principal_of(text) == Principal("ann")
    await office.registry.revoke_key(text.split("_")[1], actor="op")
    for directory in (one, two):
        await directory.refresh()
        with pytest.raises(WrongCredentials, match=r"^The API key is not valid\.$"):
            directory.principal_of(text)
        assert directory.principal_of(other) == Principal("ann")


async def test_a_key_expires_by_itself(office: Office) -> None:
    """At its time a key is refused, store or no store; its owner has not guessed."""
    text = await office.key(days=1 / 86_400)
    directory, _ = await fresh(office)
    office.clock.now += 999
    assert directory.principal_of(text).subject == "ann"
    office.clock.now += 1
    with pytest.raises(Unauthenticated, match="has expired") as told:
        directory.principal_of(text)
    assert not isinstance(told.value, WrongCredentials)


async def test_a_denied_user_stops_on_every_replica(office: Office) -> None:
    """At the next look a denied user is refused, and let in again once allowed."""
    one, two = (await fresh(office))[0], (await fresh(office))[0]
    await office.registry.deny("ann", reason="left", actor="op")
    for directory in (one, two):
        directory.check("ann")
        await directory.refresh()
        directory.check("bob")
        with pytest.raises(SubjectDenied) as told:
            directory.check("ann")
        assert isinstance(told.value, PermissionDenied)
        assert (told.value.reason, told.value.message) == (
            "USER_BLOCKED",
            "This user may not use the service any more.",
        )
    assert await office.registry.allow("ann", actor="op")
    for directory in (one, two):
        await directory.refresh()
        directory.check("ann")


async def test_a_denial_ends_when_it_said(office: Office) -> None:
    """One for a time ends by itself, without another look."""
    await office.registry.deny("ann", reason="cooling off", actor="op", lasting_ms=10_000)
    directory, _ = await fresh(office)
    office.clock.advance(9.999)
    with pytest.raises(SubjectDenied):
        directory.check("ann")
    office.clock.advance(0.001)
    directory.check("ann")


async def test_nobody_passes_before_the_store_was_read(office: Office) -> None:
    """A process that has never heard of the store lets nobody in, with a key or without."""
    text = await office.key()
    directory, rows = office.replica()
    rows.why_away = "away"
    with pytest.raises(StoreUnavailable):
        await directory.refresh()
    for judged in (lambda: directory.principal_of(text), lambda: directory.check("ann")):
        with pytest.raises(IdentityUnavailable) as told:
            judged()
        assert told.value.reason == "POLICY_UNAVAILABLE"
        assert told.value.retry_after == 1


async def test_a_store_that_is_away_is_believed_for_a_time(office: Office) -> None:
    """For 60 s after the last look all is as it was; then all are refused, until it is back."""
    text = await office.key("ann")
    await office.registry.deny("eve", reason="left", actor="op")
    directory, rows = await fresh(office)
    rows.why_away = "away"
    office.clock.advance(60)
    with pytest.raises(StoreUnavailable):
        await directory.refresh()
    assert directory.is_fresh()
    assert directory.principal_of(text).subject == "ann"
    with pytest.raises(SubjectDenied):
        directory.check("eve")
    office.clock.advance(0.001)
    assert not directory.is_fresh()
    for refused in (
        lambda: directory.principal_of(text),
        lambda: directory.principal_of("noise"),
        lambda: directory.check("ann"),
        lambda: directory.check("eve"),
    ):
        with pytest.raises(IdentityUnavailable):
            refused()
    rows.why_away = ""
    await directory.refresh()
    assert directory.principal_of(text).subject == "ann"
    directory.check("ann")


async def test_what_was_revoked_meanwhile_is_known_when_the_store_is_back(office: Office) -> None:
    """The first look after an outage tells all that it hid."""
    text = await office.key("ann")
    directory, rows = await fresh(office)
    rows.why_away = "away"
    await office.registry.revoke_key(text.split("_")[1], actor="op")
    await office.registry.deny("bob", reason="left", actor="op")
    office.clock.advance(61)
    rows.why_away = ""
    await directory.refresh()
    with pytest.raises(WrongCredentials):
        directory.principal_of(text)
    with pytest.raises(SubjectDenied):
        directory.check("bob")


async def test_freshness_counts_from_the_question(office: Office) -> None:
    """A store that answers late is believed from when it was asked."""
    directory, rows = office.replica()
    answer = rows.read

    async def late() -> object:
        office.clock.advance(61)
        return await answer()

    rows.read = late  # type: ignore[method-assign, assignment]
    await directory.refresh()
    assert not directory.is_fresh()


async def test_all_is_read_only_after_a_change(office: Office) -> None:
    """While nothing changes a look asks for the version alone."""
    text = await office.key()
    directory, rows = await fresh(office)
    for _ in range(5):
        await directory.refresh()
    assert rows.reads == 1
    await office.key("bob")
    await directory.refresh()
    await directory.refresh()
    assert rows.reads == 2
    assert directory.principal_of(text).subject == "ann"


async def test_a_forged_or_moved_row_lets_nobody_in(office: Office) -> None:
    """Who can write to the store makes no key, nor another's into his own; it is told once."""
    ann, admin = await office.key("ann"), await office.key("root", operator=True)
    held = office.rows.shelf.tables[KEYS]
    ann_id, admin_id = ann.split("_")[1], admin.split("_")[1]
    await office.rows.change(KEYS, ann_id, held[ann_id], held[admin_id])
    await office.rows.change(KEYS, "x" * 12, None, b"made up")
    with structlog.testing.capture_logs() as logged:
        directory, _ = await fresh(office)
        await office.key("bob")
        await directory.refresh()
    (told,) = [each for each in logged if each["log_level"] == "error"]
    assert (told["event"], told["table"], told["count"]) == ("rows cannot be read", KEYS, 2)
    with pytest.raises(WrongCredentials):
        directory.principal_of(ann)
    assert directory.principal_of(admin).operator


async def test_a_denial_that_cannot_be_read_denies(office: Office) -> None:
    """Damage to a denial does not lift it; allowing the user does."""
    await office.rows.change(DENIALS, ANN, None, b"damaged")
    directory, _ = await fresh(office)
    with pytest.raises(SubjectDenied):
        directory.check("ann")
    assert await office.registry.allow("ann", actor="op")
    await directory.refresh()
    directory.check("ann")


async def test_a_store_that_forgot_lets_no_denied_user_in(office: Office) -> None:
    """What a process has once known as denied stays so, though the store lost it, and keys go."""
    text = await office.key("ann")
    await office.registry.deny("eve", reason="left", actor="op")
    directory, _ = await fresh(office)
    office.rows.shelf.flush()
    await directory.refresh()
    with pytest.raises(WrongCredentials):
        directory.principal_of(text)
    await office.registry.deny("bob", reason="left", actor="op")
    await directory.refresh()
    for user in ("bob", "eve"):
        with pytest.raises(SubjectDenied):
            directory.check(user)
    await office.registry.deny("eve", reason="again", actor="op")
    await office.registry.allow("eve", actor="op")
    await directory.refresh()
    directory.check("eve")


async def test_health_tells_when_nobody_can_be_judged(office: Office) -> None:
    """Health serves while what is known may be used, and says why not when it may not."""
    directory, rows = office.replica()
    board = HealthBoard(["service"], [IDENTITY])
    assert not await report_directory(directory, board)
    assert board.states == {IDENTITY: SERVING}
    rows.why_away = "the store failed: TimeoutError"
    assert await report_directory(directory, board) == rows.why_away
    assert board.states == {IDENTITY: SERVING}
    office.clock.advance(61)
    await report_directory(directory, board)
    assert board.states == {IDENTITY: UNAVAILABLE}
    rows.why_away = ""
    await report_directory(directory, board)
    assert board.states == {IDENTITY: SERVING}


async def test_without_a_store_there_are_no_keys_and_nobody_is_denied() -> None:
    """Where none is set, a key is a guess, and everybody else passes."""
    directory = NoDirectory()
    await directory.refresh()
    assert directory.is_fresh()
    directory.check("ann")
    with pytest.raises(WrongCredentials):
        directory.principal_of(key_text.new_text())


async def test_nothing_shows_a_key_or_an_owner(office: Office) -> None:
    """The repr of what is known, and an error with its cause, name neither key nor owner."""
    text = await office.key("ann.owner@example.com")
    directory, _ = await fresh(office)
    shown = repr((await office.registry.keys(), directory._snapshot.keys))
    with pytest.raises(WrongCredentials) as told:
        directory.principal_of(text[:-6] + "000000")
    shown += f"{told.value!r} {told.value.__cause__!r}"
    assert "ann.owner" not in shown
    assert text[17:] not in shown
    assert office.keyring.digest(text) not in shown
