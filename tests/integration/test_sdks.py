"""Google's own SDKs, unpatched, against the emulator: mint, connect, talk, be refused."""

import re
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from google import genai
from google.genai import errors, types
from google.genai.client import AsyncClient
from sdks import ANSWERED, REFUSED, SPOKEN, Addresses, with_node, with_python

TEXT = types.LiveConnectConfig(
    response_modalities=[types.Modality.TEXT],
    system_instruction="Be brief.",
    temperature=0.5,
    session_resumption=types.SessionResumptionConfig(),
    context_window_compression=types.ContextWindowCompressionConfig(
        sliding_window=types.SlidingWindow(target_tokens=1000)
    ),
)
AUDIO = types.LiveConnectConfig(
    response_modalities=[types.Modality.AUDIO],
    output_audio_transcription=types.AudioTranscriptionConfig(),
)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Addresses]:
    """Run an emulator as a process of its own."""
    command = [sys.executable, "-m", "emulator", "--port", "0", "--tls-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            greeting = process.stdout.readline()
            found = re.search(r"(http:\S+) and (https:\S+) \(SSL_CERT_FILE=(.+)\)", greeting)
            assert found, greeting
            yield Addresses(*found.groups())
        finally:
            process.terminate()


@asynccontextmanager
async def sdk(emulator: Addresses, version: str) -> AsyncIterator[AsyncClient]:
    """Yield google-genai as a server uses it, on an aiohttp session of its own."""
    async with aiohttp.ClientSession() as session:
        options = types.HttpOptions(
            base_url=emulator.http, api_version=version, aiohttp_client=session
        )
        client = genai.Client(api_key="emulator-key", vertexai=False, http_options=options)
        yield client.aio


async def mint(emulator: Addresses, config: types.LiveConnectConfig, version: str) -> str:
    """Mint a single-use token with google-genai."""
    constraints = types.LiveConnectConstraints(model="gemini-3.8-live", config=config)
    wanted = types.CreateAuthTokenConfig(uses=1, live_connect_constraints=constraints)
    async with sdk(emulator, version) as client:
        with warnings.catch_warnings():
            # The SDK says once in a process that tokens are experimental.
            warnings.simplefilter("ignore", errors.ExperimentalWarning)
            token = await client.auth_tokens.create(config=wanted)
    assert token.name
    return str(token.name)


@pytest.mark.parametrize("version", ["v1alpha", "v1beta"])
async def test_the_python_sdk_talks_once_with_a_token(emulator: Addresses, version: str) -> None:
    """The unpatched Python SDK gets an answer with a token, and 1011 with the same token again."""
    token = await mint(emulator, TEXT, version)
    assert with_python(emulator, token, version) == ANSWERED
    assert with_python(emulator, token, version) == REFUSED


@pytest.mark.parametrize("version", ["v1alpha", "v1beta"])
async def test_the_javascript_sdk_talks_once_with_a_token(
    node: Path, emulator: Addresses, version: str
) -> None:
    """The official JavaScript SDK gets an answer with a token, and 1011 with it again."""
    token = await mint(emulator, TEXT, version)
    assert with_node(node, emulator, token, version) == ANSWERED
    assert with_node(node, emulator, token, version) == REFUSED


async def test_both_sdks_hear_a_spoken_answer(node: Path, emulator: Addresses) -> None:
    """AUDIO comes as 24 kHz PCM, with a transcript, in both SDKs."""
    token = await mint(emulator, AUDIO, "v1beta")
    assert with_python(emulator, token, "v1beta") == SPOKEN
    token = await mint(emulator, AUDIO, "v1beta")
    assert with_node(node, emulator, token, "v1beta") == SPOKEN


@pytest.mark.parametrize("version", ["v1alpha", "v1beta"])
async def test_models_can_be_listed_as_a_health_probe(emulator: Addresses, version: str) -> None:
    """google-genai lists the Live models, page by page."""
    async with sdk(emulator, version) as client:
        names = [model.name async for model in await client.models.list(config={"page_size": 1})]
    assert names[0] == "models/gemini-3.8-live"
    assert len(names) == 3
