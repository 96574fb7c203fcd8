"""What a process does with its own memory and its certificates before it serves."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from authority import Authority, Kit
from tls_server import greet

ROLES = ("policy", "tokenservice", "gateway")
CORE = re.compile(r"^Max core file size +0 +0 ", re.MULTILINE)
SECRETS = {"LIVE_API_JWT_SECRET": "s" * 32, "GEMINI_API_KEY": "g"}
OURS = ("POLICY_", "TOKENSERVICE_", "GATEWAY_", "LIVE_API_", "GEMINI_", "GOOGLE_", "OTEL_")


async def start(role: str, **variables: str) -> asyncio.subprocess.Process:
    """Start a process with these variables of ours and no others."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    own = SECRETS if role == "tokenservice" else {}
    return await asyncio.create_subprocess_exec(
        *("sh", "-c", 'ulimit -c "$(ulimit -H -c)"; exec "$@"', "sh"),  # let it dump what it may
        *(sys.executable, "-m", role),
        env=inherited | own | variables,
        stderr=asyncio.subprocess.PIPE,
    )


async def end_of(role: str, **variables: str) -> tuple[int, list[str]]:
    """Start a process that must not start; return how it ended and what it said."""
    process = await start(role, **variables)
    _, errors = await process.communicate()
    return await process.wait(), errors.decode().splitlines()


@pytest.mark.parametrize(
    "role, variables, named",
    [
        ("policy", {"POLICY_LISTEN": "0.0.0.0:1"}, "POLICY_LISTEN"),
        ("policy", {"POLICY_TLS_KEY_FILE": "/a"}, "POLICY_TLS_CERT_FILE"),
        ("policy", {"GEMINI_API_KEY": "a-key"}, "GEMINI_API_KEY"),
        ("tokenservice", {"TOKENSERVICE_LISTEN": "[::]:1"}, "TOKENSERVICE_LISTEN"),
        ("gateway", {"GATEWAY_HOST": "192.0.2.1"}, "GATEWAY_HOST"),
        ("gateway", {"GEMINI_API_KEY_FILE": "/a-key"}, "GEMINI_API_KEY_FILE"),
    ],
)
async def test_what_must_not_be_stops_the_start(
    role: str, variables: dict[str, str], named: str
) -> None:
    """Exit code 2, one line that names the variable."""
    code, lines = await end_of(role, **variables)
    assert (code, len(lines)) == (2, 1), lines
    assert lines[0].startswith(f"{role}: {named}: ")
    assert "a-key" not in lines[0]


@pytest.mark.parametrize("role", ROLES)
async def test_files_that_cannot_be_used_stop_the_start(role: str, tmp_path: Path) -> None:
    """Exit code 2, one line that names the first of them."""
    kit = Kit(tmp_path, role)
    variables = kit.variables(f"{role.upper()}_TLS")
    sockets = {
        "POLICY_LISTEN": f"unix:{tmp_path}/p.sock",
        "TOKENSERVICE_LISTEN": f"unix:{tmp_path}/t.sock",
        "GATEWAY_PORT": "0",
    }
    code, lines = await end_of(role, **variables, **sockets)
    assert (code, len(lines)) == (2, 1), lines
    assert lines[0] == (
        f"{role}: {role.upper()}_TLS_CERT_FILE: cannot read the file: No such file or directory"
    )
    mine, other = Authority().issue("a"), Authority()
    kit.put(mine, other)
    kit.key.write_bytes(other.issue("a").key)
    code, lines = await end_of(role, **variables, **sockets)
    assert (code, len(lines)) == (2, 1), lines
    assert lines[0].startswith(f"{role}: {role.upper()}_TLS_CERT_FILE: is no PEM certificate")


async def test_a_crash_leaves_no_memory_behind(tmp_path: Path) -> None:
    """No core is dumped, whatever limit a process was started with: it would hold keys."""
    address = f"unix:{tmp_path}/p.sock"
    process = await start("policy", POLICY_LISTEN=address)
    try:
        while not await greet(address, None):  # noqa: ASYNC110 - another process's start
            await asyncio.sleep(0.02)
        limits = await asyncio.to_thread(Path(f"/proc/{process.pid}/limits").read_text)
    finally:
        process.terminate()
        await process.communicate()
    assert CORE.search(limits)
    assert process.returncode == 0
