"""Fleets that are killed and loads that call them, for the length of a test."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_fleet import Orders
from chaos_history import History
from servers_process import spawn
from servers_waiting import until

from stack import ready

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Iterator

    from chaos_workers import Load

HERE = Path(__file__).parent
SERVICES = {"policy": "policy.v1.PolicyService", "tokenservice": "tokenservice.v1.TokenService"}


class Fleet:
    """Running replicas of one program."""

    def __init__(
        self, orders: Orders, targets: list[str], process: subprocess.Popen[bytes]
    ) -> None:
        self.targets = targets
        self._service = SERVICES[orders.program]
        self._log = Path(orders.log)
        self._output = Path(orders.log).with_suffix(".log")
        self._process = process

    @property
    def deaths(self) -> Counter[str]:
        """Where replicas died, and how often."""
        return Counter(self._log.read_text(encoding="utf-8").splitlines())

    @property
    def errors(self) -> list[str]:
        """What they logged as errors: something that should not be, whatever else fails."""
        lines = self._output.read_text(encoding="utf-8", errors="replace").splitlines()
        found = [line for line in lines if '"level": "error"' in line or "Traceback" in line]
        # gRPC's own word for an answer whose asker was killed meanwhile.
        return [line for line in found if "ExecuteBatchError" not in line]

    async def ready(self, within: float = 40) -> None:
        """Wait until each replica has served: where two cores are short, some fall back."""
        asked = {target: ready.serving(target, self._service) for target in self.targets}

        async def served() -> bool:
            if self._process.poll() is not None:
                raise RuntimeError(f"the fleet ended with {self._process.returncode}")
            answers = await asyncio.gather(*(ask() for ask in asked.values()))
            for target, answer in list(zip(asked, answers, strict=True)):
                if answer:
                    del asked[target]
            return not asked

        await until(served, within, "all replicas serve", every=0.05)

    async def calm(self) -> None:
        """End the killing with a last blow to all, and wait until they are back."""
        self._process.send_signal(signal.SIGUSR1)
        await asyncio.sleep(0.2)
        await self.ready()


@contextmanager
def short_directory() -> Iterator[Path]:
    """Make a directory whose path leaves room for the name of a socket."""
    directory = tempfile.mkdtemp(prefix="chaos-")
    try:
        yield Path(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def fleet(
    directory: Path,
    program: str,
    environment: dict[str, str],
    replicas: list[dict[str, str]],
    *,
    kill_every: float = 0.0,
    doom_within: int = 0,
) -> AsyncIterator[Fleet]:
    """Run replicas of `program`, each on a socket of its own in `directory`."""
    targets = [f"unix:{directory}/{program}-{number}.sock" for number in range(len(replicas))]
    for replica, target in zip(replicas, targets, strict=True):
        replica[f"{program.upper()}_LISTEN"] = target
    log, file = directory / f"{program}.deaths", directory / f"{program}.orders"
    log.touch()
    environment = {"LOG_LEVEL": "error", "LOG_FORMAT": "json", **environment}
    orders = Orders(program, environment, replicas, str(log), kill_every, doom_within)
    orders.write(file)
    output = directory / f"{program}.log"
    process = spawn([sys.executable, str(HERE / "chaos_fleet.py"), str(file)], output)
    try:
        running = Fleet(orders, targets, process)
        await running.ready()
        yield running
    except BaseException:
        sys.stderr.write(output.read_text(errors="replace")[-5000:])
        raise
    finally:
        process.kill()  # and with it, the kernel kills its children
        process.wait()


async def run_load(place: Path, program: str, load: Load) -> History:
    """Make a load to its end, and return what its callers heard."""
    directory = Path(tempfile.mkdtemp(dir=place))
    file, output = directory / "load", directory / "output"
    load.write(file)
    process = spawn([sys.executable, str(HERE / f"{program}.py"), str(file)], output)
    try:
        async with asyncio.timeout(load.seconds + 30):
            while process.poll() is None:  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    told = output.read_text(errors="replace")
    if process.returncode:
        raise RuntimeError(f"the load ended with {process.returncode}:\n{told[-5000:]}")
    return _heard(directory, load.workers)


def _heard(directory: Path, workers: int) -> History:
    files = list(directory.glob("*.history"))
    if len(files) != workers:
        raise RuntimeError(f"{len(files)} of {workers} workers told what they heard")
    return History.read(files)
