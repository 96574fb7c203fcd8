"""Talk to a live session with the unpatched Python SDK, and say how it went in one JSON line.

The environment gives `LIVE_TOKEN`, `LIVE_BASE_URL` (https: this SDK always uses
wss), `LIVE_API_VERSION` and `LIVE_MODEL`; `SSL_CERT_FILE` names whom to trust.
The only argument is what to say.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from typing import Any

from google import genai
from google.genai import errors, types


async def converse(text: str) -> dict[str, Any]:
    """Connect, say `text` and collect the answer."""
    client = genai.Client(
        api_key=os.environ["LIVE_TOKEN"],
        vertexai=False,
        http_options=types.HttpOptions(
            base_url=os.environ["LIVE_BASE_URL"],
            api_version=os.environ.get("LIVE_API_VERSION", "v1beta"),
        ),
    )
    outcome: dict[str, Any] = {"connected": False, "text": "", "transcript": "", "audioBytes": 0}
    model = os.environ.get("LIVE_MODEL", "gemini-3.8-live")
    try:
        async with client.aio.live.connect(model=model) as session:
            outcome["connected"] = True
            await session.send_client_content(
                turns=types.Content(role="user", parts=[types.Part(text=text)]),
                turn_complete=True,
            )
            async for message in session.receive():
                collect(message.server_content, outcome)
    except errors.APIError as error:
        outcome |= {"code": error.code, "reason": error.details}
    return outcome


def collect(content: types.LiveServerContent | None, outcome: dict[str, Any]) -> None:
    """Add one message of the answer to the outcome."""
    if content is None:
        return
    if content.output_transcription:
        outcome["transcript"] += content.output_transcription.text or ""
    for part in (content.model_turn.parts if content.model_turn else None) or []:
        outcome["text"] += part.text or ""
        outcome["audioBytes"] += len(part.inline_data.data or b"") if part.inline_data else 0


if __name__ == "__main__":
    warnings.simplefilter("ignore", errors.ExperimentalWarning)  # tokens are, and say so
    sys.stdout.write(json.dumps(asyncio.run(converse(sys.argv[1]))) + "\n")
