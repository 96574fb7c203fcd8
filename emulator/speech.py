"""Audio as the Live API sends it: 16-bit PCM, 24 kHz, mono."""

from __future__ import annotations

import base64
import functools
import math
import struct

RATE = 24_000
MIME_TYPE = f"audio/pcm;rate={RATE}"
TOKENS_PER_SECOND = 25
TONE_SECONDS = 0.2
INPUT_RATE = 16_000

_HERTZ = 440
_AMPLITUDE = 8000
_BYTES_PER_SAMPLE = 2


@functools.cache
def tone() -> str:
    """Return a short tone, in base64: what every spoken answer sounds like."""
    samples = (
        round(_AMPLITUDE * math.sin(2 * math.pi * _HERTZ * n / RATE))
        for n in range(int(RATE * TONE_SECONDS))
    )
    pcm = b"".join(struct.pack("<h", sample) for sample in samples)
    return base64.b64encode(pcm).decode()


def milliseconds(size: int) -> int:
    """Return how long `size` bytes of input audio last."""
    return size * 1000 // (INPUT_RATE * _BYTES_PER_SAMPLE)
