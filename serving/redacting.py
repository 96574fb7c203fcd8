"""Cuts secrets out of text. A second net, for what others say: Gemini repeats a key it refuses."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# What Gemini's tokens, Google's API keys, JWTs (DPoP proofs too, whole or cut off) and our API
# keys look like; of ours the id stays. Then what stands where a credential does, and private
# keys. Each takes time in proportion to the text, whoever wrote it.
_SECRET = re.compile(
    r"(auth_tokens/)[^\s\"'&]+|(AIza)[\w-]{20,}"
    r"|(eyJ)(?:[\w-]{10,}[\w.-]*|[\w-]{1,9}\.[\w-]+\.[\w-]*)"
    r"|(ltk_[0-9A-Za-z]{12}_)\w{8,}"
    r"|((?i:bearer|dpop)\s{1,99})(?!eyJ|ltk_|auth_tokens/)[\w.~+/=-]{8,}"
    r"|([?&](?:access_token|api_key|key|token)=)(?!auth_tokens/)[^\s\"'&]+"
    r"|(://[^\s/@:\"']*:)[^\s/@\"']+(?=@)"
    r"|(-----BEGIN [A-Z ]{0,99}PRIVATE KEY-----)[^-]+"
)
_SHORTEST_SECRET = 8
_LONGEST_REMEMBERED = 64  # names of methods, routes, codes: most of what is logged

_own: tuple[str, ...] = ()


def know(secrets: Iterable[str]) -> None:
    """Redact `secrets` from now on, wherever they stand, but for those that may be words."""
    global _own  # noqa: PLW0603 - one process, one set of secrets
    _own = tuple(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)
    _remembered.cache_clear()


def redact(text: str) -> str:
    """Return `text` without what looks like a secret or is one of this process's own."""
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _redacted(text)


def _redacted(text: str) -> str:
    for secret in _own:
        text = text.replace(secret, "[redacted]")
    return _SECRET.sub(lambda found: f"{found[found.lastindex or 0]}[redacted]", text)


_remembered = lru_cache(1024)(_redacted)
