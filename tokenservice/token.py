"""The secret that this service exists for, and what goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn


class EphemeralToken:
    """A Gemini token that shows itself only when asked to by name.

    Its `repr`, `str` and format are redacted and it cannot be pickled, so it
    cannot reach a log, a span or an exception by accident.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Hold `value`, `auth_tokens/…`."""
        self._value = value

    def reveal(self) -> str:
        """Return the secret; for the answer to its owner alone."""
        return self._value

    def __repr__(self) -> str:
        """Return a stand-in."""
        return "EphemeralToken('auth_tokens/[redacted]')"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled."""
        raise TypeError("an EphemeralToken is not for storage")


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a token ends; milliseconds since the epoch."""

    expires_at: int
    session_start_until: int
