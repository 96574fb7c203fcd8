"""What an API key looks like: `ltk_ID_SECRET`, the last 6 of the secret being a checksum.

The prefix and the checksum are for scanners that look for leaked keys: with
them they find ours, and nothing else. The id is public: logs and commands name
a key by it.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_CHARS = 12
_RANDOM_CHARS = 32
"""190 bits."""
_CHECKSUM_CHARS = 6
_TEXT = re.compile(
    rf"(ltk_([0-9A-Za-z]{{{_ID_CHARS}}})_[0-9A-Za-z]{{{_RANDOM_CHARS}}})"
    rf"([0-9A-Za-z]{{{_CHECKSUM_CHARS}}})"
)
_NAMED = re.compile(rf"(?:ltk_)?([0-9A-Za-z]{{{_ID_CHARS}}})(?:_\S*)?")


def new_text() -> str:
    """Return a new key, of the system's randomness."""
    text = f"ltk_{_random(_ID_CHARS)}_{_random(_RANDOM_CHARS)}"
    return text + _checksum(text)


def id_in(text: str) -> str | None:
    """Return the id in a key's text, or nothing where it is no key."""
    match = _TEXT.fullmatch(text)
    return match[2] if match and match[3] == _checksum(match[1]) else None


def id_named(text: str) -> str | None:
    """Return the id that an operator names: as it is, in a key, or in what a log left of one."""
    match = _NAMED.fullmatch(text.strip())
    return match[1] if match else None


def _random(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))


def _checksum(text: str) -> str:
    rest = zlib.crc32(text.encode())
    digits = []
    for _ in range(_CHECKSUM_CHARS):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
