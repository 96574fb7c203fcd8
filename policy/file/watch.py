"""The policy in force, and the file that may replace it while policy runs.

The file's content is looked at, not its time: a ConfigMap swaps a symbolic link,
and two edits can fall into one second. What is new counts once it has been seen
twice, so that a file is not judged while it is being written.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, NoReturn

import structlog

from policy.file.reading import PolicyFileError
from policy.file.strict_yaml import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from policy.effective import EffectivePolicy
    from serving.clock import Clock

log = structlog.get_logger(__name__)

_INTERVAL_SECONDS = 1.0
_TOLD = 20
"""Problems of one file in a log line; one wrong indent can make hundreds."""


class PolicyBook:
    """Holds the policy in force."""

    def __init__(
        self, read: Callable[[], bytes], parse: Callable[[str], EffectivePolicy], clock: Clock
    ) -> None:
        """Read the first policy; raise PolicyFileError where there is none.

        `read` may raise OSError, `parse` PolicyFileError.
        """
        self._read = read
        self._parse = parse
        self._clock = clock
        try:
            content = read()
        except OSError as error:
            raise PolicyFileError([_unreadable(error)]) from error
        self.current = self._parsed(content)
        """The policy in force."""
        self.loaded_at = clock()
        """Since when it is."""
        self.rejected = ""
        """Why the newest file is not in force; empty: it is."""
        self._seen: bytes | str = content
        self._judged: bytes | str = content
        log.info("policy loaded", digest=self.current.digest)

    def reload(self, text: str) -> bool:
        """Put what a file says in force if it is a policy; return whether it is."""
        try:
            policy = self._parse(text)
        except PolicyFileError as error:
            self._reject(error)
            return False
        self._accept(policy)
        return True

    async def watch(self) -> NoReturn:
        """Look at the file again and again."""
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            await self.poll()

    async def poll(self) -> None:
        """Look at the file once."""
        found = await asyncio.to_thread(self._look)
        settled, self._seen = found == self._seen, found
        if not settled or found == self._judged:
            return
        self._judged = found
        try:
            # Off the event loop: a long file takes its time.
            policy = await asyncio.to_thread(self._parsed, found)
        except PolicyFileError as error:
            self._reject(error)
        else:
            self._accept(policy)

    def _look(self) -> bytes | str:
        """Return what is in the file, or why it cannot be read."""
        try:
            return self._read()
        except OSError as error:
            return _unreadable(error)

    def _parsed(self, found: bytes | str) -> EffectivePolicy:
        if isinstance(found, str):
            raise PolicyFileError([found])
        try:
            text = found.decode()
        except UnicodeDecodeError as error:
            raise PolicyFileError([f"the policy file must be UTF-8: {error.reason}"]) from error
        return self._parse(text)

    def _accept(self, policy: EffectivePolicy) -> None:
        if policy.digest != self.current.digest:
            self.current, self.loaded_at = policy, self._clock()
        self.rejected = ""
        log.info("policy loaded", digest=policy.digest)

    def _reject(self, error: PolicyFileError) -> None:
        self.rejected = str(error)
        log.warning(
            "policy rejected",
            problems=error.problems[:_TOLD],
            count=len(error.problems),
            in_force=self.current.digest,
        )


def reader(path: Path) -> Callable[[], bytes]:
    """Return what reads a policy file: no more of it than is taken, and nothing that blocks."""

    def read() -> bytes:
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is no regular file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)

    return read


def _unreadable(error: OSError) -> str:
    return f"the policy file cannot be read: {error.strerror or type(error).__name__}"
