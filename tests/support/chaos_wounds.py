"""Has a process kill itself at a chosen point of its work, as if it had crashed there.

The classes of the product are wrapped from outside, before their program is run.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from policy.decisions import Committed, Reserved
from policy.redis.store import RedisStore
from policy.v1 import policy_pb2

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POLICY_POINTS = (
    "policy before reserve",
    "policy after reserve",
    "policy before commit",
    "policy after commit",
)
TOKENSERVICE_POINTS = (
    "tokenservice before reserve",
    "tokenservice after reserve",
    "tokenservice after mint",
    "tokenservice before commit",
    "tokenservice after commit",
    "tokenservice before answer",
)
POINTS = {"policy": POLICY_POINTS, "tokenservice": TOKENSERVICE_POINTS}


class Doom:
    """The end of this process: at a point, when that is passed for the nth time."""

    def __init__(self, point: str, passes: int, log: Path) -> None:
        """Write the point to `log` when it is reached."""
        self._point = point
        self._left = passes
        self._log = log

    def passing(self, point: str) -> None:
        """Pass a point, or die at it."""
        if point == self._point:
            self._left -= 1
            if self._left <= 0:
                tell(self._log, point)
                os.kill(os.getpid(), signal.SIGKILL)


def tell(log: Path, line: str) -> None:
    """Append a line that no other process's comes between."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def wound(program: str, doom: Doom) -> None:
    """Let `program`, which is not running yet, meet its doom."""
    if program == "policy":
        _wound_policy(doom)
    else:
        _wound_tokenservice(doom)


def _wound_policy(doom: Doom) -> None:
    def is_reserved(answer: Any) -> bool:
        return isinstance(answer.decision, Reserved)

    def is_committed(answer: Any) -> bool:
        return isinstance(answer, Committed)

    _wrap(RedisStore, "reserve", doom, POLICY_POINTS[:2], is_reserved)
    _wrap(RedisStore, "commit", doom, POLICY_POINTS[2:], is_committed)


def _wound_tokenservice(doom: Doom) -> None:
    from tokenservice.gemini import GeminiMinter  # noqa: PLC0415 - policy must not load it
    from tokenservice.policy_client import PolicyClient  # noqa: PLC0415 - likewise
    from tokenservice.service import TokenService  # noqa: PLC0415 - likewise

    call: Callable[..., Any] = PolicyClient.call

    async def doomed_call(self: Any, method: str, request: Any, timeout_s: float) -> Any:
        if method in {"Reserve", "Commit"}:
            doom.passing(f"tokenservice before {method.lower()}")
        answer = await call(self, method, request, timeout_s)
        if method == "Reserve" and answer.HasField("reservation"):
            doom.passing("tokenservice after reserve")
        if method == "Commit" and answer.outcome == policy_pb2.CommitResponse.OUTCOME_COMMITTED:
            doom.passing("tokenservice after commit")
        return answer

    PolicyClient.call = doomed_call  # type: ignore[method-assign]
    _wrap(GeminiMinter, "mint", doom, ("", "tokenservice after mint"))
    _wrap(TokenService, "CreateToken", doom, ("", "tokenservice before answer"))


def _wrap(
    owner: type,
    name: str,
    doom: Doom,
    points: tuple[str, ...],
    counts: Callable[[Any], bool] = lambda _: True,
) -> None:
    method: Callable[..., Any] = getattr(owner, name)
    before, after = points

    async def doomed(*args: Any, **kwargs: Any) -> Any:
        doom.passing(before)
        answer = await method(*args, **kwargs)
        if counts(answer):
            doom.passing(after)
        return answer

    setattr(owner, name, doomed)
