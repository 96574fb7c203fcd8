"""Percent-decoding, as strict as RFC 3986 and as partial as http.proto wants it."""

import re
from urllib.parse import unquote_to_bytes

from gateway.transcoding.errors import InvalidRequestError

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SLASH_ESCAPE = re.compile(r"(%2[Ff])")


def decode(text: str, *, keep_slashes: bool = False) -> str:
    """Decode the percent-escapes of `text`.

    With `keep_slashes`, `%2F` and `%2f` stay as they are: http.proto has it so
    for variables of several segments, which could not be told apart otherwise.

    Raises InvalidRequestError for a broken escape, for what should have been
    one, and for what is not UTF-8.
    """
    if not text.isascii():
        raise InvalidRequestError("The URL has characters that are not percent-encoded.")
    if "%" not in text:
        return text
    if _BROKEN_ESCAPE.search(text):
        raise InvalidRequestError("The URL has a percent sign that begins no escape.")
    if keep_slashes:
        parts = _SLASH_ESCAPE.split(text)
        return "".join(p if _SLASH_ESCAPE.fullmatch(p) else _decode_all(p) for p in parts)
    return _decode_all(text)


def _decode_all(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError:
        raise InvalidRequestError("The URL is not UTF-8.") from None
