"""The emulator without its sockets: the state that every route shares."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from aiohttp import web

from emulator.admission import Door
from emulator.faults import FaultBoard
from emulator.journal import Journal
from emulator.resumption import Handles
from emulator.tokens import TokenLedger

if TYPE_CHECKING:
    from emulator.clock import Clock
    from emulator.options import Options


@dataclass(kw_only=True)
class Emulator:
    """Everything that the emulator knows."""

    options: Options
    clock: Clock
    tokens: TokenLedger = field(init=False)
    handles: Handles = field(init=False)
    door: Door = field(init=False)
    faults: FaultBoard = field(default_factory=FaultBoard)
    journal: Journal = field(default_factory=Journal)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Build what depends on the clock and the key."""
        self.tokens = TokenLedger(self.clock)
        self.handles = Handles(self.clock)
        self.door = Door(api_key=self.options.api_key, tokens=self.tokens, handles=self.handles)

    async def delay(self, milliseconds: int) -> None:
        """Wait, by the emulated clock."""
        if milliseconds > 0:
            await self.clock.wait_until(self.clock.now() + timedelta(milliseconds=milliseconds))

    def reset(self) -> None:
        """Forget tokens, handles, faults and the journal, and set the clock right."""
        self.tokens.clear()
        self.handles.clear()
        self.faults.clear()
        self.journal.clear()
        self.clock.reset()


EMULATOR: web.AppKey[Emulator] = web.AppKey("emulator", Emulator)
