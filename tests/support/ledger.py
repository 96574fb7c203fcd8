"""What any policy keeps: one charge for each request of a user, pending or final."""

from dataclasses import dataclass
from enum import Enum, auto


class Verdict(Enum):
    """What becomes of a reservation."""

    CHARGED = auto()
    FULL = auto()
    IN_PROGRESS = auto()
    REUSED = auto()
    COMMITTED_BEFORE = auto()


@dataclass
class Charge:
    """A charge, final once it has a sealed result."""

    owner: bytes
    fingerprint: bytes
    sealed: bytes | None = None


class Ledger:
    """Charges of users who may have `limit` tokens each. Without time: nothing expires."""

    def __init__(self, limit: int = 1) -> None:
        """Begin without charges."""
        self.limit = limit
        self._charges: dict[tuple[str, str], Charge] = {}

    def reserve(self, subject: str, request_id: str, owner: bytes, fingerprint: bytes) -> Verdict:
        """Charge, unless the user has no more left or the request was here before."""
        charge = self._charges.get((subject, request_id))
        if charge is None:
            if self.issued(subject) + self.pending(subject) >= self.limit:
                return Verdict.FULL
            self._charges[subject, request_id] = Charge(owner, fingerprint)
            return Verdict.CHARGED
        if charge.fingerprint != fingerprint:
            return Verdict.REUSED
        if charge.sealed is not None:
            return Verdict.COMMITTED_BEFORE
        return Verdict.CHARGED if charge.owner == owner else Verdict.IN_PROGRESS

    def commit(self, subject: str, request_id: str, owner: bytes, sealed: bytes) -> bool:
        """Make a charge of this owner's final; return whether it is."""
        charge = self._charges.get((subject, request_id))
        if charge is None or charge.owner != owner:
            return False
        charge.sealed = sealed
        return True

    def release(self, subject: str, request_id: str, owner: bytes) -> bool:
        """Give a pending charge of this owner's back; return whether there was one."""
        charge = self._charges.get((subject, request_id))
        if charge is None or charge.owner != owner or charge.sealed is not None:
            return False
        del self._charges[subject, request_id]
        return True

    def sealed(self, subject: str, request_id: str) -> bytes:
        """Return what was committed for a request."""
        return self._charges[subject, request_id].sealed or b""

    def expire(self) -> None:
        """End the lease of every pending charge."""
        self._charges = {k: c for k, c in self._charges.items() if c.sealed is not None}

    def issued(self, subject: str) -> int:
        """Return how many tokens a user was issued."""
        return sum(k[0] == subject and c.sealed is not None for k, c in self._charges.items())

    def pending(self, subject: str) -> int:
        """Return how many charges of a user wait for their commit."""
        return sum(k[0] == subject and c.sealed is None for k, c in self._charges.items())
