"""Worker processes full of callers: forks them, lets them call, writes what they heard."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import random
import signal
import sys
import time
import traceback
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from chaos_history import History

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Load:
    """How much to call, and whom."""

    targets: list[str]
    seconds: float
    workers: int = 8
    callers: int = 100
    think: float = 1.5
    """Seconds between two calls of a caller, on average."""
    lease: float = 1.0
    steady: int = 10
    """Users with a cooldown, who take a while to use up what they may have."""
    bursts: int = 10
    """Users without one, who do in moments."""
    steady_seconds: float = 10.0
    """After so many seconds, there are others."""
    burst_seconds: float = 2.0
    """Likewise."""
    jwt_secret: str = ""

    def write(self, file: Path) -> None:
        """Write it for a program that makes it."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")


class Worker:
    """One process of callers."""

    def __init__(self, load: Load) -> None:
        """Call as `load` says."""
        self.load = load
        self.history = History()
        self.ends = time.monotonic() + load.seconds

    def user(self) -> str:
        """Return somebody; `burst` and `steady` are also their tiers."""
        load, now = self.load, time.monotonic()  # the same in all processes
        number = random.randrange(load.steady + load.bursts)  # noqa: S311 - chaos
        if number < load.steady:
            return f"steady-{number}-{now // load.steady_seconds:.0f}"
        return f"burst-{number}-{now // load.burst_seconds:.0f}"

    async def call_all(self, call: Callable[[], Awaitable[None]]) -> None:
        """Let all callers call until the end."""

        async def caller() -> None:
            while True:
                pause = random.uniform(0, 2 * self.load.think)  # noqa: S311 - chaos
                if time.monotonic() + pause > self.ends:
                    return
                await asyncio.sleep(pause)
                await call()

        await asyncio.gather(*(caller() for _ in range(self.load.callers)))


def run_workers(work: Callable[[Worker], Awaitable[None]]) -> NoReturn:
    """Run `work` in as many processes as the load says.

    That is the file in the argument; beside it, each process leaves its history.
    """
    load = Load(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    children = [_fork(load, work) for _ in range(load.workers)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(map(abs, codes)))


def _fork(load: Load, work: Callable[[Worker], Awaitable[None]]) -> int:
    parent = os.getpid()
    if pid := os.fork():
        return pid
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.nice(5)  # who is called goes first: callers that wait have not begun to time out
        if os.getppid() == parent:
            worker = Worker(load)
            asyncio.run(_work(work, worker))
            worker.history.write(Path(sys.argv[1]).with_name(f"{uuid.uuid4().hex}.history"))
            code = 0
    except BaseException:  # noqa: BLE001 - a child must not come back from here
        traceback.print_exc()
    finally:
        os._exit(code)


async def _work(work: Callable[[Worker], Awaitable[None]], worker: Worker) -> None:
    await work(worker)


def tier(user: str) -> str:
    """Return whose quota a user has."""
    return user.partition("-")[0]


def among(options: Mapping[str, float]) -> str:
    """Return one of the names, each with its probability."""
    return random.choices(list(options), list(options.values()))[0]  # noqa: S311 - chaos
