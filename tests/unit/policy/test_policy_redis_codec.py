"""How what policy knows is written in Redis."""

import pytest
from hypothesis import given, strategies as st

from policy.account import Charge, State
from policy.redis import codec
from policy.redis.scripts import load_scripts, script
from policy.rules import Rule
from policy.standing import Offender, Party, Standing

TIMES = st.integers(0, (1 << 48) - 1)
CHARGES = st.builds(
    Charge,
    at=TIMES,
    expires=TIMES,
    count=st.integers(0, 255),
    state=st.sampled_from(State),
    request=st.binary(min_size=12, max_size=12),
    owner=st.binary(min_size=8, max_size=8),
    fingerprint=st.binary(min_size=4, max_size=4),
)


@given(st.lists(CHARGES, max_size=5))
def test_charges_are_38_bytes_each_and_come_back(charges: list[Charge]) -> None:
    """What is written is read again, whatever the bytes are."""
    packed = codec.packed(charges)
    assert len(packed) == 38 * len(charges)
    assert codec.charges(packed) == charges


def test_every_rule_has_a_number() -> None:
    """A violation of any rule can be written, and no two are the same."""
    assert len({codec.rule_number(rule) for rule in Rule}) == len(Rule)


def test_a_rule_of_a_later_release_is_passed_over() -> None:
    """A violation that this release does not know does not keep it from reading the others."""
    now = (1_767_225_600_000).to_bytes(6)
    known = bytes([codec.rule_number(Rule.VOLUME)])
    standing = codec.standing(b"V" + now + b"\xff" + bytes(4) + now + known + bytes(4))
    assert [each.rule for each in standing.violations] == [Rule.VOLUME]


def test_the_evidence_of_a_violation_is_4_bytes() -> None:
    """Zeros stand for none; any other length would move what follows."""
    assert codec.evidence(b"") == bytes(4)
    assert codec.evidence(b"1234") == b"1234"
    for wrong in (b"123", b"12345"):
        with pytest.raises(ValueError, match="4 bytes"):
            codec.evidence(wrong)


@pytest.mark.parametrize("nothing", [None, b""])
def test_nothing_is_a_good_standing(nothing: bytes | None) -> None:
    """Who has no key has done nothing."""
    assert codec.standing(nothing) == Standing()


def test_the_keys_of_a_user_are_in_one_slot() -> None:
    """They share what is in braces; an address's are its own."""
    keys = codec.Keys("lt")
    user = Offender(Party.USER, "0123456789abcdef")
    named = [
        keys.charges(user.name),
        keys.tries(user.name),
        keys.result(user.name, b"\0" * 12),
        keys.standing(user),
    ]
    assert {name[name.index("{") : name.index("}")] for name in named} == {"{0123456789abcdef"}
    assert keys.standing(Offender(Party.ADDRESS, "x")) == "lt:{a:x}:b"


@pytest.mark.parametrize("prefix", ["", "{a}", "a b", "a*", "ä"])
def test_a_prefix_cannot_break_names(prefix: str) -> None:
    """Braces would move the slot, stars would be patterns."""
    with pytest.raises(ValueError, match="prefix"):
        codec.Keys(prefix)


def test_offenders_come_back_from_the_list() -> None:
    """A name in the list of blocks says whose it is."""
    for party in Party:
        offender = Offender(party, "a:b")
        assert codec.offender(codec.listed(offender).encode()) == offender


def test_scripts_say_their_flags_first() -> None:
    """What commits, gives back or blocks passes a full server; what reserves does not."""
    scripts = load_scripts()
    for each in (
        *(scripts.commit, scripts.release, scripts.lift, scripts.forget),
        *(scripts.offend, scripts.block, scripts.index),
    ):
        assert each.source.startswith(b"#!lua flags=allow-oom\n")
    for each in (scripts.reserve, scripts.observe):
        assert each.source.startswith(b"#!lua\n")
    assert scripts.read.source.startswith(b"#!lua flags=no-writes\n")
    with pytest.raises(ValueError, match="first line"):
        script("bad", "return 1\n", "")
