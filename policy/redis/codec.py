"""How what policy knows is written in Redis: names of keys, and fixed-size entries.

The scripts in policy/redis/lua read and write the same entries.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import TYPE_CHECKING

from policy.account import Account, Charge, Sealed, State
from policy.rules import Rule
from policy.standing import Block, Offender, Party, Standing, Violation
from policy.tries import Try, TryKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Times are 6 bytes, which struct knows as 2 and 4.
_CHARGE = Struct(">HIHIBB12s8s4s")
_TRY = Struct(">HIHIB4s")
_VIOLATION = Struct(">HIB4s")
_EVIDENCE = 4
_BLOCK = Struct(">HIHI")
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

# Not the enum's own order: what is stored outlives a release that adds a rule.
_RULES = {
    Rule.VOLUME: 1,
    Rule.IDENTICAL_REQUESTS: 2,
    Rule.PARAMETER_ENUMERATION: 3,
    Rule.MACHINE_TIMING: 4,
    Rule.REQUIRED_HEADERS: 5,
    Rule.SUSPICIOUS_HEADERS: 6,
    Rule.SUSPICIOUS_CONTENT: 7,
    Rule.FAILED_CREDENTIALS: 8,
}
_RULE_OF = {number: rule for rule, number in _RULES.items()}


class Keys:
    """Names of keys. All of a user's share a hash tag, and so a slot of a cluster."""

    def __init__(self, prefix: str) -> None:
        """Begin every name with `prefix`."""
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("the prefix of keys: 1 to 64 of A-Z a-z 0-9 _ . : -")
        self.prefix = prefix
        self.index = f"{prefix}:blocks"
        self.probe = f"{prefix}:probe"

    def charges(self, user: str) -> str:
        """Return the name of a user's log of charges."""
        return f"{self.prefix}:{{{user}}}:q"

    def tries(self, user: str) -> str:
        """Return the name of a user's recent tries."""
        return f"{self.prefix}:{{{user}}}:t"

    def results(self, user: str) -> str:
        """Return how the names of a user's sealed results begin."""
        return f"{self.prefix}:{{{user}}}:r:"

    def result(self, user: str, request: bytes) -> str:
        """Return the name of a sealed result."""
        return f"{self.prefix}:{{{user}}}:r:{request.hex()}"

    def standing(self, offender: Offender) -> str:
        """Return the name of how an offender stands."""
        tag = f"a:{offender.name}" if offender.party is Party.ADDRESS else offender.name
        return f"{self.prefix}:{{{tag}}}:b"


def charges(packed: bytes) -> list[Charge]:
    """Read a log of charges."""
    return [
        Charge(a << 32 | b, c << 32 | d, count, State(state), request, owner, fingerprint)
        for a, b, c, d, count, state, request, owner, fingerprint in _CHARGE.iter_unpack(packed)
    ]


def packed(log: Iterable[Charge]) -> bytes:
    """Write a log of charges."""
    return b"".join(
        _CHARGE.pack(
            *divmod(charge.at, 1 << 32),
            *divmod(charge.expires, 1 << 32),
            charge.count,
            charge.state,
            charge.request,
            charge.owner,
            charge.fingerprint,
        )
        for charge in log
    )


def account(log: bytes, results: Sequence[bytes]) -> Account:
    """Read a log of charges and sealed results, each after its request."""
    pairs = zip(results[::2], results[1::2], strict=True)
    return Account(charges(log), {request: _sealed(result) for request, result in pairs})


def _sealed(packed: bytes) -> Sealed:
    return Sealed(packed[6:], int.from_bytes(packed[:6]))


def tries(packed: bytes) -> tuple[Try, ...]:
    """Read a user's tries."""
    return tuple(
        Try(a << 32 | b, c << 32 | d, TryKind(kind), fingerprint)
        for a, b, c, d, kind, fingerprint in _TRY.iter_unpack(packed)
    )


def rule_number(rule: Rule) -> int:
    """Return what a rule is called in a violation."""
    return _RULES[rule]


def evidence(given: bytes) -> bytes:
    """Write the evidence of a violation: 4 bytes; zeros are none."""
    if len(given) not in {0, _EVIDENCE}:
        raise ValueError("evidence is 4 bytes, or none")
    return given or bytes(_EVIDENCE)


def block_tail(reason: str, actor: str) -> bytes:
    """Write a block without its times."""
    words = (reason.encode(), actor.encode())
    return b"".join(len(word).to_bytes(2) + word for word in words)


def standing(packed: bytes | None) -> Standing:
    """Read how an offender stands: violations, or a block, or neither."""
    if not packed:
        return Standing()
    if packed[:1] == b"B":
        return Standing((), _block(packed[1:]))
    found = _VIOLATION.iter_unpack(packed[1:])
    # A rule of a later release is not known here: its violations cannot be judged.
    return Standing(
        tuple(
            Violation(a << 32 | b, _RULE_OF[rule], evidence if any(evidence) else b"")
            for a, b, rule, evidence in found
            if rule in _RULE_OF
        )
    )


def _block(packed: bytes) -> Block:
    a, b, c, d = _BLOCK.unpack_from(packed)
    tail, words = packed[_BLOCK.size :], []
    for _ in range(2):
        end = 2 + int.from_bytes(tail[:2])
        words.append(tail[2:end].decode())
        tail = tail[end:]
    return Block(a << 32 | b, c << 32 | d, *words)


def listed(offender: Offender) -> str:
    """Return the name of an offender in the index of blocks."""
    return f"{offender.party.value}:{offender.name}"


def offender(name: bytes) -> Offender:
    """Read a name of the index of blocks."""
    party, _, pseudonym = name.decode().partition(":")
    return Offender(Party(party), pseudonym)
