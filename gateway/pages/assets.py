"""Files that are served as they are: read once, answered from memory."""

import asyncio
import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.datastructures import Headers

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",  # TypeScript has no registered type
}
"""What may be served, and as what. Anything else in a directory is not."""

_MIN_SAVING = 0.9
"""A compressed form that is hardly smaller is not worth its place."""

_CODING = re.compile(
    r"([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?",
    re.IGNORECASE,
)
_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(frozen=True)
class Representation:
    """The bytes of an asset in one coding, under a strong entity tag (RFC 9110, 8.8.3)."""

    body: bytes
    entity_tag: str
    coding: str | None = None

    def is_known(self, if_none_match: Iterable[str]) -> bool:
        """Return whether the lines of an `If-None-Match` say that the client has it."""
        value = ",".join(if_none_match)
        return value.strip() == "*" or self.entity_tag in _ENTITY_TAG.findall(value)


class Asset:
    """One file."""

    def __init__(self, content_type: str, body: bytes) -> None:
        self.content_type = content_type
        digest = hashlib.sha256(body).hexdigest()[:32]
        self._plain = Representation(body, f'"{digest}"')
        self._gzip = Representation(b"", f'"{digest}-gzip"', "gzip")  # no body: not made yet

    @classmethod
    def read(cls, path: Path) -> "Asset":
        """Read a file whose suffix is one of CONTENT_TYPES."""
        return cls(CONTENT_TYPES[path.suffix], path.read_bytes())

    async def representation(self, headers: Headers) -> Representation:
        """Return the form that a client likes best, plain if it likes none.

        It is compressed when the first asks for it: all of Swagger UI would delay each start.
        """
        if not _likes_gzip(headers.getlist("accept-encoding")):
            return self._plain
        if not self._gzip.body:
            body = await asyncio.to_thread(gzip.compress, self._plain.body, 6, mtime=0)
            self._gzip = replace(self._gzip, body=body)
        smaller = len(self._gzip.body) < _MIN_SAVING * len(self._plain.body)
        return self._gzip if smaller else self._plain


def read_directory(directory: Path, prefix: str) -> Mapping[str, Asset]:
    """Read what may be served of a directory's own files; return it by path, under `prefix`."""
    return {
        prefix + path.name: Asset.read(path)
        for path in sorted(directory.iterdir())
        if path.suffix in CONTENT_TYPES and path.is_file()
    }


def _likes_gzip(accept_encoding: Iterable[str]) -> bool:
    """Return whether gzip is liked no less than no coding (RFC 9110, 12.5.3)."""
    qualities: dict[str, float] = {}
    for member in ",".join(accept_encoding).split(","):
        if found := _CODING.fullmatch(member.strip()):
            qualities[found[1].lower()] = float(found[2] or 1)
    anything = qualities.get("*", 0.0)
    liking = qualities.get("gzip", qualities.get("x-gzip", anything))
    return liking > 0 and liking >= qualities.get("identity", 0.0)
