"""Runs replicas of policy or tokenservice, has them killed, and starts them again.

    python chaos_fleet.py ORDERS.json

Imports the program once and forks it for each start, so that a death costs the two cores of
CI next to nothing, and there can be many. What is forked is the program's own `main`.
SIGUSR1 ends the killing: all replicas are killed once more, and the new ones are left alone.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import random
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from chaos_wounds import POINTS, Doom, tell, wound

_POLL_SECONDS = 0.005
_PR_SET_PDEATHSIG = 1
_OURS = ("POLICY_", "LIVE_API_", "TOKENSERVICE_", "GEMINI_", "GOOGLE_", "OTEL_")


@dataclass(frozen=True)
class Orders:
    """What to run, and how it shall die."""

    program: str
    environment: dict[str, str]
    replicas: list[dict[str, str]]
    """What each replica has in its environment beside that."""
    log: str
    """Where each death is noted, in a line."""
    kill_every: float = 0.0
    """One of them is killed after so many seconds, on average; 0: none."""
    doom_within: int = 0
    """Each dies at some point of its work, passed so many times at most; 0: it does not."""

    def write(self, file: Path) -> None:
        """Write them for `python chaos_fleet.py`."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")


class Fleet:
    """The replicas."""

    def __init__(self, orders: Orders) -> None:
        """Do as `orders` say."""
        self._orders = orders
        self._log = Path(orders.log)
        self._running: dict[int, int] = {}
        self._points = list(POINTS[orders.program])
        random.shuffle(self._points)
        self._next_kill = self._chosen_moment()
        self._calm = False

    def run(self) -> NoReturn:
        """Keep all replicas running."""
        signal.signal(signal.SIGUSR1, self._calm_down)
        while True:
            for replica in set(range(len(self._orders.replicas))) - set(self._running.values()):
                self._start(replica)
            if self._orders.kill_every and not self._calm and time.monotonic() > self._next_kill:
                self._next_kill = self._chosen_moment()
                tell(self._log, "killed")
                os.kill(random.choice(list(self._running)), signal.SIGKILL)  # noqa: S311 - chaos
            time.sleep(_POLL_SECONDS)
            while self._running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._bury(*ended)

    def _calm_down(self, *_: object) -> None:
        self._calm = True
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)

    def _chosen_moment(self) -> float:
        return time.monotonic() + self._orders.kill_every * random.uniform(0.2, 1.8)  # noqa: S311

    def _bury(self, pid: int, status: int) -> None:
        del self._running[pid]
        code = os.waitstatus_to_exitcode(status)
        if code != -signal.SIGKILL:
            tell(self._log, f"ended with {code}")  # nobody asked it to
            time.sleep(0.5)

    def _start(self, replica: int) -> None:
        doom = self._doom() if self._orders.doom_within and not self._calm else None
        parent = os.getpid()
        if pid := os.fork():
            self._running[pid] = replica
            return
        try:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            os.environ.update(self._orders.environment | self._orders.replicas[replica])
            if doom:
                wound(self._orders.program, doom)
            importlib.import_module(f"{self._orders.program}.__main__").main()
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else 1)
        except BaseException:  # noqa: BLE001 - a child must not come back from here
            traceback.print_exc()
        finally:
            os._exit(1)

    def _doom(self) -> Doom:
        self._points.append(self._points.pop(0))  # each in its turn
        most = self._orders.doom_within
        passes = random.randint(1, most)  # noqa: S311 - chaos
        point = self._points[0]
        if point.endswith("before reserve"):
            passes *= 5  # many reservations are refused
        return Doom(point, passes, self._log)


def main(file: str) -> NoReturn:
    """Run a fleet."""
    told: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]
    orders = Orders(**told)
    importlib.import_module(f"{orders.program}.__main__")
    if orders.program == "tokenservice":
        importlib.import_module("google.genai").Client(api_key="none")  # imports the rest
    Fleet(orders).run()


if __name__ == "__main__":
    main(sys.argv[1])
