"""The whole stack, live, does what the document says, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from live_token import CONFIG, HEALTH, MINT, MODEL, STATS, USAGE, live_token
from openapi_document import Answer, Description, load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live_token import Chain

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

HERE = Path(__file__).parent
SUPPORT = HERE.parents[1] / "support"
ALIAS = "gemini-2.0-flash-live-001"
LENIENT: Any = {
    "LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS": "true",
    "LIVE_API_COOLDOWN_PERIOD_MINUTES": "0",
    "LIVE_API_MAX_TOKEN_DURATION_MINUTES": "1199",
    "LIVE_API_MAX_TOKENS_PER_DAY": "100000",
    "LIVE_API_MAX_TOKENS_PER_HOUR": "100000",
}
"""All that the document allows is allowed, so that what is refused is refused for its form."""
RULES = (
    "blocking",
    "failed_credentials",
    "identical_requests",
    "machine_timing",
    "parameter_enumeration",
    "suspicious_content",
    "volume",
)


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    """Run a chain that lets machines ask what they like, as often as they like."""
    rules = {"rules": {name: {"mode": "off"} for name in RULES}}
    async with live_token(tmp_path, rules, **LENIENT) as chain:
        yield chain


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json"])
async def test_schemathesis_finds_nothing(chain: Chain, tmp_path: Path, accept: str) -> None:
    """Whatever is asked, rightly or wrongly, the answer is described: never 5xx, never another.

    In either form of refusals.
    """
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(_of_this_deployment()), encoding="utf-8")
    where = {"PYTHONPATH": str(SUPPORT), "BEARER": chain.bearer("op", roles=["operator"])}
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("--config-file", HERE / "schemathesis.toml", "--no-color", "run", document),
        *("--url", chain.url, "--header", f"Accept: {accept}"),
        cwd=tmp_path,
        env=os.environ | where,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    assert chain.minted > 10


async def test_every_success_is_described(chain: Chain) -> None:
    """With all that it can have, and not a member or header more."""
    description = Description(load())
    operator = {"Authorization": f"Bearer {chain.bearer('op', roles=['operator'])}"}
    everything = {"model": ALIAS, "responseModality": "text", "duration": "15", "temperature": 1}
    for method, path, body in (
        ("POST", MINT, None),
        ("POST", MINT, everything),
        ("GET", USAGE, None),
        ("GET", CONFIG, None),
        ("GET", STATS, None),
        ("GET", HEALTH, None),
    ):
        options: Any = {} if body is None else {"json": body}
        answer = await chain.call(method, path, headers=operator, **options)
        assert answer.status == 200, answer
        description.ensure_describes(
            method, path, Answer(answer.status, answer.headers, answer.body)
        )


def _of_this_deployment() -> Any:
    """Return the document, and in it which models there are: that only `config` can tell."""
    document = load()
    request = document["components"]["schemas"]["CreateTokenRequest"]["properties"]
    request["model"]["enum"] = [MODEL, ALIAS, "", None]
    return document
