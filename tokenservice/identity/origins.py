"""The URLs by which callers know this service, as proofs of possession name them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_URL_CHARS = 2048
_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # RFC 3986, section 2
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]")
_HOST = re.compile(r"https?://[a-z0-9._:-]+")  # with no pattern in it, which would not be one
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origins:
    """Schemes with hosts and ports, all of them this service's."""

    def __init__(self, origins: Iterable[str]) -> None:
        """Take `origins` such as `https://tokens.example`.

        Raises:
            ValueError: One that is none, or none at all.

        """
        self._origins = frozenset(_origin(each) for each in origins)
        if not self._origins:
            raise ValueError("must name an origin, such as https://tokens.example")

    def has(self, url: str, path: str) -> bool:
        """Return whether `url` is `path` at one of the origins (RFC 9449, section 4.3).

        Both are normalised as in RFC 3986, section 6.2, and a query and a fragment
        do not count; nor does a slash at the end, with which our routes work too.
        Dot segments are not resolved: no client sends them.
        """
        try:
            origin, named = _split(url)
        except ValueError:
            return False
        return origin in self._origins and named == _path(path)


def _origin(text: str) -> str:
    try:
        origin, path = _split(text)
    except ValueError:
        path = origin = ""
    if not _HOST.fullmatch(origin) or path or "?" in text or "#" in text:
        raise ValueError("must be a list of origins, such as https://tokens.example")
    return origin


def _split(url: str) -> tuple[str, str]:
    if len(url) > _MAX_URL_CHARS or not _URL.fullmatch(url):
        raise ValueError("not a URL")
    parts = urlsplit(url)  # in lower case: the scheme, and the hostname
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not a URL of a server")
    port = _DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    return f"{parts.scheme}://{parts.hostname}:{port}", _path(parts.path)


def _path(path: str) -> str:
    return _ESCAPE.sub(_unescaped, path).removesuffix("/")


def _unescaped(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if _UNRESERVED.fullmatch(character) else escape[0].upper()
