"""A minter that makes tokens, each once, when it is let to."""

import asyncio
from dataclasses import dataclass, field

from tokenservice.deadline import Deadline
from tokenservice.grant import Grant
from tokenservice.token import EphemeralToken, Lifetime


@dataclass
class FakeMinter:
    """Makes tokens while `gate` is open, unless it has a `failure` to end in."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None
    minted: list[tuple[Grant, Lifetime, Deadline]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the gate."""
        self.gate.set()

    async def mint(self, grant: Grant, lifetime: Lifetime, deadline: Deadline) -> EphemeralToken:
        """Return the next token once the gate is open."""
        self.begun.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.minted.append((grant, lifetime, deadline))
        return EphemeralToken(f"auth_tokens/{len(self.minted)}")
