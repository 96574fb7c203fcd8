"""Whose request it is: the client's address, behind the proxies that are trusted.

What a proxy that is not trusted says, a client could have said as well. So the
walk goes from the near end, one hop at a time, and only over trusted ones.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from starlette.datastructures import Headers

from serving import addresses
from serving.addresses import Address, Networks

MAX_HOPS = 32
"""How many entries are looked at; beyond them, the farthest trusted hop is the client."""

_MAX_FORWARDED_CHARS = 8 * 1024
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word
_VALUE = rf'{_TOKEN}|"(?:[^"\\]|\\.)*"'
_PAIR = rf"{_TOKEN}=(?:{_VALUE})"
_LAST_ELEMENT = re.compile(rf"(?:^|,)[ \t]*({_PAIR}(?:[ \t]*;[ \t]*{_PAIR})*)[ \t]*\Z")
_PAIRS = re.compile(rf"({_TOKEN})=({_VALUE})")


def client_address(peer: Address, headers: Headers, trusted: Networks) -> Address:
    """Return the address of the client whose request came from `peer`.

    That is `peer`, unless it is trusted: then the nearest hop of
    `X-Forwarded-For` that is not. Where that header is absent, RFC 7239's
    `Forwarded` is read in the same way. An entry that names no address ends the
    walk at the hop that wrote it.
    """
    if peer not in trusted:
        return peer
    if lines := headers.getlist("x-forwarded-for"):
        hops = _forwarded_for(lines)
    else:
        hops = _forwarded(headers.getlist("forwarded"))
    client = peer
    for hop in islice(hops, MAX_HOPS):
        address = _address(hop)
        if address is None:
            break
        client = address
        if client not in trusted:
            break
    return client


def _forwarded_for(lines: Iterable[str]) -> Iterator[str]:
    # Nothing past the cap is split: a header can be long.
    entries = ",".join(lines).rsplit(",", MAX_HOPS)
    return reversed(entries)


def _forwarded(lines: Iterable[str]) -> Iterator[str]:
    """Yield each element's `for`, from the near end.

    Read from there, because a quote that a client left open would otherwise
    swallow what the proxies after it wrote.
    """
    rest = ",".join(lines)[-_MAX_FORWARDED_CHARS:]
    while element := _LAST_ELEMENT.search(rest):
        nodes = [value for name, value in _PAIRS.findall(element[1]) if name.lower() == "for"]
        yield nodes[0].strip('"') if len(nodes) == 1 else ""
        rest = rest[: element.start()]


def _address(node: str) -> Address | None:
    """Return the address of a hop; a port and brackets do not count."""
    text = node.strip(" \t")
    found = _NODE.fullmatch(text)
    return addresses.parsed((found[1] or found[2]) if found else text)
