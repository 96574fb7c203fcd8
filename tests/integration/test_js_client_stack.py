"""The JavaScript client with the official SDK, in Node, against the whole stack."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import client_types
import pytest
import pytest_asyncio
from client import new_user
from node_tools import node_tools

from stack.layout import Layout
from stack.supervisor import running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "javascript" / "talk.mjs"
PROGRAMS = ROOT / "tests" / "client_js"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(make_layout: Callable[..., Layout]) -> AsyncIterator[Layout]:
    """Run the stack for this module; its tests use users of their own."""
    async with running(make_layout()) as stack:
        yield stack.layout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a directory in which programs find the client and the SDK by name."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "@google").symlink_to(node_tools() / "node_modules" / "@google")
    (modules / "live-token-client").symlink_to(client_types.CLIENT)
    return tmp_path


async def node(
    directory: Path, program: Path, stack: Layout, *arguments: str, user: str, **variables: str
) -> tuple[int | None, str, str]:
    """Run a program for `user`; return how it ended and what it printed."""
    shutil.copy(program, directory)
    own = {
        "BEARER": stack.bearer(user, time.time()),
        "GATEWAY": stack.gateway_url,
        "LIVE_URL": stack.emulator_url,
        **variables,
    }
    process = await asyncio.create_subprocess_exec(
        "node",
        directory / program.name,
        *arguments,
        env={**os.environ, **own},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complained = await process.communicate()
    return process.returncode, printed.decode(), complained.decode()


async def report_of(program: str, *, of: Path, stack: Layout, **variables: str) -> dict[str, Any]:
    """Run a test program for a user of its own; return its report."""
    ended = await node(of, PROGRAMS / program, stack, user=new_user(), **variables)
    code, printed, complained = ended
    assert (code, complained) == (0, "")
    report: dict[str, Any] = json.loads(printed)
    return report


async def test_a_token_talks_once_and_refusals_are_kept_to(stack: Layout, installed: Path) -> None:
    """A failed connect leaves the token good; it talks, once; the cooldown is asked about once."""
    report = await report_of(
        "against_stack.mjs", of=installed, stack=stack, NOWHERE="http://127.0.0.1:1"
    )
    cooldown = report.pop("cooldown")
    assert 240 < cooldown.pop("retryAfter") <= 300
    again = report.pop("cooldownAgain")
    assert 240 < again.pop("retryAfter") <= 300
    refusal = {"name": "LiveTokenError", "code": "RATE_LIMIT_EXCEEDED"}
    assert cooldown == again == {**refusal, "status": 429, "limit": "cooldown"}
    # The server's `Date`, by which the client reads it, is in whole seconds, and up to one old.
    assert 60 < report.pop("opensForSeconds") <= 122
    assert report == {
        "config": {"model": "gemini-3.8-live", "cooldown": 5},
        "unreached": {
            "name": "LiveConnectError",
            "code": 1006,
            "reason": "connect ECONNREFUSED 127.0.0.1:1",
        },
        "sameAgain": True,
        "said": "You said: hello",
        "used": True,
        "again": {
            "name": "LiveConnectError",
            "code": "TOKEN_USED",
            "reason": "a token opens one session",
        },
        "askedAgain": 0,
        "issued": 1,
    }


async def test_the_servers_refusal_is_told(stack: Layout, installed: Path) -> None:
    """A token used elsewhere is refused in the server's words, though the SDK stays silent."""
    assert await report_of("reuse.mjs", of=installed, stack=stack) == {
        "same": True,
        "name": "LiveConnectError",
        "code": 1011,
        "reason": "Token has been used too many times",
    }


async def test_the_example_asks_a_question(stack: Layout, installed: Path) -> None:
    """The example prints the model's answer; in the cooldown it says when to try again."""
    user = new_user()
    answered = await node(installed, EXAMPLE, stack, "Are you there?", user=user)
    assert answered == (0, "You said: Are you there?\n", "")
    code, printed, complained = await node(installed, EXAMPLE, stack, user=user)
    assert (code, printed) == (1, "")
    assert "(RATE_LIMIT_EXCEEDED); try again in " in complained
