"""The emulator as a program: how it starts, says so, and ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

COMMAND = [sys.executable, "-m", "emulator"]


@contextmanager
def running(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start an emulator and return it with the line that it greets with."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def outcome(*flags: str, **variables: str) -> tuple[int, str]:
    """Return the exit code and what was said of an emulator that cannot start."""
    done = subprocess.run(
        [*COMMAND, *flags],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert not done.stdout
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quickly_and_cleanly(number: signal.Signals) -> None:
    """After one line with its addresses it serves; a signal ends it within 2 s with code 0."""
    with running("--tls-port", "0") as (process, greeting):
        assert greeting.startswith("Gemini Live emulator ready: http://127.0.0.1:")
        assert " and https://127.0.0.1:" in greeting
        process.send_signal(number)
        started = time.monotonic()
        assert process.wait(timeout=2) == 0
        assert time.monotonic() - started < 2
        assert process.communicate() == ("", "")


@pytest.mark.parametrize("flags,name", [(["--port", "x"], "--port"), (["--bogus"], "--bogus")])
def test_a_bad_flag_is_told_in_one_line(flags: Sequence[str], name: str) -> None:
    """A flag that is wrong or unknown is named in one line, with exit code 2."""
    code, said = outcome(*flags)
    assert (code, said.count("\n")) == (2, 1)
    assert name in said


def test_a_bad_variable_is_told_in_one_line() -> None:
    """A variable with an unusable value is named in one line, with exit code 2."""
    code, said = outcome(GEMINI_LIVE_EMULATOR_TLS_PORT="many")
    assert (code, said.count("\n")) == (2, 1)
    assert "GEMINI_LIVE_EMULATOR_TLS_PORT" in said


def test_a_busy_port_is_told_in_one_line() -> None:
    """A port that is taken is named in one line with its flag, with exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = outcome("--port", port)
    assert (code, said.count("\n")) == (1, 1)
    assert "--port" in said
    assert port in said
