"""Makes Ctrl-C ours alone, so that `make run` ends as we do: with 0."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def foreground() -> Iterator[None]:
    """Take the terminal for the length of the block, as a shell gives it to a job.

    A terminal sends Ctrl-C to its whole foreground group; with make in it, make
    would die of it and report failure for what was a clean stop.
    """
    terminal = sys.stdin.fileno()
    if not _is_ours(terminal):
        yield
        return
    before = os.tcgetpgrp(terminal)
    ttou = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # we change the terminal from behind
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, before)
        signal.signal(signal.SIGTTOU, ttou)


def _is_ours(terminal: int) -> bool:
    """Return whether we were started in the foreground of a terminal."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # no terminal, or another session's
        return False
