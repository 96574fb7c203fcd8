"""What a mint costs this process, by the way it is asked for: `python bench/mint.py`.

CPU time of the client alone, against an emulator in a process of its own, 32
mints at a time. The ways are measured in turns in one run, so the ratios hold
on any machine; the microseconds are this one's.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import time
import warnings
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING

import aiohttp
from google.genai import errors, types

from tokenservice.deadline import Deadline
from tokenservice.gemini import GeminiMinter, GeminiOptions, gemini_client
from tokenservice.grant import Grant, Terms, TokenRequest
from tokenservice.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_ROUNDS, _MINTS, _AT_ONCE = 7, 320, 32
_KEY = "emulator-key"


async def main() -> None:
    """Measure, and print a line for each way."""
    emulator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "emulator", "--port", "0", "--tls-port", "-1", stdout=PIPE
    )
    assert emulator.stdout
    greeting = (await emulator.stdout.readline()).decode()
    found = re.search(r"http:\S+", greeting)
    if found is None:
        sys.exit(f"no emulator: {greeting}")
    try:
        await _compare(found[0])
    finally:
        emulator.terminate()
        await emulator.wait()


async def _compare(url: str) -> None:
    options = GeminiOptions(api_key=_KEY, base_url=url)
    names = ("gemini-3.8-live",)
    grant = Terms(catalogue(names, names[0]), 30, 60, 2, False, "Be brief.", "v1beta").grant(  # noqa: FBT003
        TokenRequest(temperature=0.5)
    )
    async with gemini_client(options) as client, aiohttp.ClientSession() as session:
        minter = GeminiMinter(client, options)
        body = {"uses": 1, "bidiGenerateContentSetup": dict(grant.setup)}

        async def ours() -> None:
            now = time.time_ns() // 1_000_000
            await minter.mint(grant, grant.lifetime(now), Deadline.after(10))

        async def typed() -> None:
            await client.aio.auth_tokens.create(config=_typed(grant))

        async def bare() -> None:
            headers = {"x-goog-api-key": _KEY}
            async with session.post(f"{url}/v1beta/auth_tokens", json=body, headers=headers) as r:
                await r.json()

        await _measure({"bare aiohttp": bare, "ours": ours, "SDK's own types": typed})


def _typed(grant: Grant) -> types.CreateAuthTokenConfig:
    """Ask for the same as `grant.setup`, in the SDK's types."""
    return types.CreateAuthTokenConfig(
        uses=1,
        live_connect_constraints=types.LiveConnectConstraints(
            model=grant.model.name,
            config=types.LiveConnectConfig(
                response_modalities=[types.Modality(grant.modality)],
                temperature=grant.temperature,
                system_instruction=grant.system_instruction,
                session_resumption=types.SessionResumptionConfig(),
                context_window_compression=types.ContextWindowCompressionConfig(
                    sliding_window=types.SlidingWindow()
                ),
                input_audio_transcription=types.AudioTranscriptionConfig(),
                output_audio_transcription=types.AudioTranscriptionConfig(),
            ),
        ),
    )


async def _measure(ways: dict[str, Callable[[], Awaitable[None]]]) -> None:
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_ROUNDS):
        for name, mint in ways.items():
            started = time.process_time()
            for _ in range(_MINTS // _AT_ONCE):
                await asyncio.gather(*(mint() for _ in range(_AT_ONCE)))
            costs[name].append((time.process_time() - started) / _MINTS * 1e6)
    base = statistics.median(costs["ours"])
    for name, values in costs.items():
        cost = statistics.median(values)
        print(f"{name:16} {cost:6.0f} µs of CPU  {cost / base:5.2f} x ours")


if __name__ == "__main__":
    warnings.simplefilter("ignore", errors.ExperimentalWarning)
    asyncio.run(main())
