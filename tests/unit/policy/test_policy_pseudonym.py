"""Names that tell nothing."""

import re

from serving.pseudonym import Pseudonyms

KEY = b"k" * 32


def test_a_pseudonym_is_short_and_tells_nothing() -> None:
    """A subject becomes 16 characters of base64url, in which it does not stand."""
    name = Pseudonyms(KEY).user("ann@example.com")
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", name)
    assert "ann" not in name


def test_the_same_key_gives_the_same_names() -> None:
    """Replicas that share a key agree on every name."""
    one, two = Pseudonyms(KEY), Pseudonyms(KEY)
    assert one.user("ann") == two.user("ann")
    assert one.request("ann", "r") == two.request("ann", "r")


def test_another_key_gives_other_names() -> None:
    """Without the key a guessed subject cannot be confirmed."""
    one, two = Pseudonyms(KEY), Pseudonyms(b"x" * 32)
    assert one.user("ann") != two.user("ann")
    assert one.request("ann", "r") != two.request("ann", "r")


def test_requests_of_different_users_differ() -> None:
    """The same request id of two users is two requests."""
    names = Pseudonyms(KEY)
    assert names.request("ann", "r") != names.request("bob", "r")
    assert names.request("ann", "r") != names.request("ann", "s")


def test_a_credential_is_told_from_others_and_cannot_be_guessed() -> None:
    """4 bytes that differ by digest and by key, unlike the digest itself; none for none."""
    one, two = Pseudonyms(KEY), Pseudonyms(b"x" * 32)
    assert one.credential(b"digest") == one.credential(b"digest") != one.credential(b"other")
    assert one.credential(b"digest") != two.credential(b"digest")
    assert len(one.credential(b"digest")) == 4
    assert one.credential(b"") == b""


def test_any_text_has_a_name() -> None:
    """Subjects are not only ASCII."""
    names = Pseudonyms(KEY)
    assert names.user("Ωμέγα") != names.user("омега")
