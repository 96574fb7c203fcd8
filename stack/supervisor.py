"""Starts the programs, waits until each is ready, and lets none outlive another."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Iterable

    from stack.layout import Layout, Program

_POLL_SECONDS = 0.05
_START_SECONDS = 30.0
_STOP_SECONDS = 8.0


class StackError(Exception):
    """Why the stack does not run, in one line."""


class Stack:
    """The running processes, by name."""

    def __init__(self, layout: Layout) -> None:
        """Hold what `layout` describes."""
        self.layout = layout
        self.processes: dict[str, Process] = {}

    async def launch(self, program: Program) -> None:
        """Start a program; whether it gets ready is another question."""
        self.processes[program.name] = await asyncio.create_subprocess_exec(
            *program.command,
            env=program.environment,
            start_new_session=True,  # a Ctrl-C is for the supervisor, which stops them in order
        )

    async def until_ready(self, programs: Iterable[Program], stop: asyncio.Event) -> None:
        """Wait for each program in turn, or for `stop`.

        Raises:
            StackError: One ended, or was not ready in time.

        """
        ready = asyncio.create_task(self._all_ready(programs))
        death = asyncio.create_task(self.first_death(stop))
        try:
            await asyncio.wait([ready, death], return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                await ready
            elif how := death.result():
                raise StackError(how)
        finally:
            ready.cancel()
            death.cancel()
            await asyncio.gather(ready, death, return_exceptions=True)

    async def _all_ready(self, programs: Iterable[Program]) -> None:
        for program in programs:
            try:
                async with asyncio.timeout(_START_SECONDS):
                    while not await program.ready():  # noqa: ASYNC110 - it is another process
                        await asyncio.sleep(_POLL_SECONDS)
            except TimeoutError:
                seconds = f"{_START_SECONDS:.0f} seconds"
                raise StackError(f"{program.name} was not ready within {seconds}") from None

    async def stop(self, name: str) -> None:
        """Ask a process to stop, and make it, should it not."""
        process = self.processes.pop(name)
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def first_death(self, stop: asyncio.Event) -> str | None:
        """Wait until a process ends and say which and how; None if `stop` comes first."""
        waits: dict[asyncio.Task[object], str | None] = {
            asyncio.create_task(process.wait()): name for name, process in self.processes.items()
        }
        waits[asyncio.create_task(stop.wait())] = None
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        name = waits[done.pop()]
        return None if name is None else _ended(name, self.processes[name])


@asynccontextmanager
async def running(layout: Layout, stop: asyncio.Event | None = None) -> AsyncIterator[Stack]:
    """Run the whole stack for the length of the block.

    `stop` ends the wait for the start. Nothing else does: a block that was
    cancelled while it stops its processes would leave some behind.

    Raises:
        StackError: It cannot start.

    """
    check_ports(layout)
    layout.prepare()
    stack = Stack(layout)
    programs = layout.programs
    try:
        for program in programs:  # each copes with the others not being there yet
            await stack.launch(program)
        await stack.until_ready(programs, stop or asyncio.Event())
        yield stack
    finally:
        for program in reversed(programs):
            if program.name in stack.processes:
                await stack.stop(program.name)


def check_ports(layout: Layout) -> None:
    """Make sure that each port is free, before anything starts.

    Raises:
        StackError: One is not; says which, and how to choose another.

    """
    for name, port in layout.ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((layout.host, port.number))
            except OSError as error:
                raise StackError(
                    f"port {port.number} for {name} cannot be had ({error.strerror}); "
                    f"choose another: {port.variable}={port.number + 1} make run"
                ) from error


def _ended(name: str, process: Process) -> str:
    code = process.returncode
    how = f"was killed by signal {-code}" if code is not None and code < 0 else f"exited {code}"
    return f"{name} {how}"
