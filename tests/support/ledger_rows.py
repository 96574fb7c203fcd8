"""Rows of a ledger, and a sink that can be told to fail."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tokenservice.client_info import ClientInfo
from tokenservice.grant import Terms, TokenRequest
from tokenservice.issuer import IssuedToken
from tokenservice.ledger.entry import Entry, Outcome
from tokenservice.ledger.ports import Query, find
from tokenservice.models import catalogue
from tokenservice.policy_port import Quota, Usage
from tokenservice.principal import Caller, Principal
from tokenservice.token import EphemeralToken, Lifetime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenservice.ledger.ports import Source

KEY = b"a key of the tests, 32 bytes long"
NOW = 1_767_225_600_000
SUBJECT = "canary-subject"
TOKEN = "auth_tokens/canary-token"
ADDRESS = "203.0.113.77"
MODEL = "gemini-3.8-live"
TERMS = Terms(
    catalogue=catalogue((MODEL,), MODEL),
    default_duration_minutes=30,
    max_duration_minutes=60,
    start_window_minutes=2,
    custom_instructions=True,
    default_instruction="You are a helpful assistant.",
    api_version="v1beta",
)
ASKED = TokenRequest(request_id="canary-key", system_instruction="canary-instruction")
GRANT = TERMS.grant(ASKED)
CALLER = Caller(Principal(SUBJECT, tier="gold"), ClientInfo(address=ADDRESS), acting="scheduler")


def issued(token: str = TOKEN, *, repeated: bool = False) -> IssuedToken:
    """Return a token that was issued."""
    quota = Quota(10, 100, 0, 3)
    return IssuedToken(
        EphemeralToken(token),
        Lifetime(NOW + 1_800_000, NOW + 120_000),
        Usage(0, 0, 0, None, quota, ()),
        "d-1",
        repeated=repeated,
    )


def row(number: int, **values: object) -> Entry:
    """Return a row of a number, a millisecond after the one before."""
    fields: dict[str, object] = {
        "id": f"{number:024x}",
        "at": NOW + number,
        "outcome": Outcome.ISSUED,
        "decision_id": f"d-{number}",
        **values,
    }
    made: Entry = Entry(**fields)  # type: ignore[arg-type]
    return made


async def found(source: Source, **query: object) -> list[Entry]:
    """Return what is found."""
    asked: Query = Query(**{"limit": 1_000_000, **query})  # type: ignore[arg-type]
    return [entry async for entry in find(source, asked)]


class FlakySink:
    """Keeps rows while it is not broken, and tells when it was asked."""

    def __init__(self) -> None:
        """Work."""
        self.kept: list[Entry] = []
        self.broken: Exception | None = None
        self.torn = False
        """Whether half of what is appended is kept before it fails."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.closed = False

    async def append(self, entries: Sequence[Entry]) -> None:
        """See Sink."""
        assert not self.closed
        self.asked.set()
        await self.gate.wait()
        if self.broken is not None:
            if self.torn:
                self.kept += entries[: len(entries) // 2 + 1]
            raise self.broken
        self.kept += entries

    async def close(self) -> None:
        """See Sink."""
        self.closed = True
