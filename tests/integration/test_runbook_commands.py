"""The runbook's commands, as they stand there, in a shell that has nothing set."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from client import Answer, caller
from observability import ROOT
from servers_waiting import until

from stack.supervisor import running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stack.layout import Layout

_PATIENCE = 60.0
_CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
_AS_SERVICE = "setpriv --reuid live-token --regid live-token --init-groups"
_IDS = {
    "523c925dbf5c4d69af9aaa01bfb049d1": "requestId",
    "4bf92f3577b34da6a3ce929d0e0e4736": "traceId",
    "8a3762c1189031ab": "decisionId",
}
"""Those in the runbook, and where an answer has its own."""


def places(layout: Layout) -> Mapping[str, str]:
    """Return where the stack has what a machine of deploy/ has elsewhere."""
    return {
        "/opt/live-token/bin": str(Path(sys.executable).parent),
        "/run/live-token-policy/policy.sock": layout.policy_target.removeprefix("unix:"),
        "/etc/live-token/policy-operator-key": str(layout.operator_key_file),
        "/etc/live-token/policy-hash-key": str(layout.directory / "hash.key"),
        "/var/lib/live-token/identity.db": str(layout.directory / "tokenservice.db"),
        "/var/lib/live-token/ledger.jsonl": str(layout.directory / "ledger.jsonl"),
        _AS_SERVICE: "env",
    }


def ids(refused: Answer) -> Mapping[str, str]:
    """Return those of the request that was refused, by those in the runbook."""
    return {old: refused.body[field] for old, field in _IDS.items()}


def commands(named: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return what the runbook's shell begins with, and its commands of ours."""
    text = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    for old, new in named.items():
        text = text.replace(old, new)
    setup, *others = _CONSOLE.findall(text)
    lines = [line[2:] for block in others for line in block.splitlines() if line[:2] == "# "]
    ours = ("$as_service ", "tokenservice ", "policy ")
    shell = re.sub(r"^# ", "", setup, flags=re.MULTILINE)
    return shell, [line for line in lines if line.startswith(ours)]


async def typed(directory: Path, shell: str, line: str, token: str) -> str:
    """Return what a line in a new shell writes, which asks for the token."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f"{shell}\n{line}"),
        env={"PATH": os.environ["PATH"]},
        cwd=directory,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(token.encode())
    return output.decode()


async def test_what_the_runbook_types_finds_a_request(
    make_layout: Callable[..., Layout], tmp_path: Path
) -> None:
    """By each of its ids, its token and its user's name; and why, by what policy explains."""
    layout = make_layout()
    async with running(layout), caller(layout) as client:
        issued = await client.call(subject="ann")
        refused = await client.call(subject="ann")
        token = issued.body["token"]
        shell, lines = commands({**places(layout), **ids(refused)})

        async def found(line: str, wanted: str) -> None:
            async def seen() -> bool:
                return wanted in await typed(tmp_path, shell, line, token)

            await until(seen, _PATIENCE, f"this finds it: {line}")  # rows are written behind

        for line in lines:
            told = issued if "--token" in line else refused
            await found(line, "be refused" if "explain" in line else told.body["decisionId"])
        assert len(lines) == 6
