"""Between what operators say and what policy knows; bad input is refused by field."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from policy.standing import POLICY, Block, Offender, Party
from policy.v1 import operator_pb2 as pb
from policy.wire import millis, timestamp
from serving import addresses, errors

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from policy.operators.refused import Tally
    from serving.pseudonym import Pseudonyms

_PSEUDONYM = re.compile(r"[A-Za-z0-9_-]{16}")
_MAX_REASON_CHARS = 200
_MAX_ACTOR_CHARS = 64
_MAX_BLOCK_MS = 366 * 86_400_000
_MAX_PAGE = 1_000
_DEFAULT_PAGE = 100
_MAX_REFUSED = 100
_DEFAULT_REFUSED = 10
_TOKEN = re.compile(rb"blocks:(\d{1,12})")


def offender(party: pb.Party, pseudonyms: Pseudonyms) -> Offender:
    """Return who is meant.

    Raises:
        InvalidArgument: Nobody, or something that names nobody.

    """
    match party.WhichOneof("party"):
        case "address":
            return Offender(Party.ADDRESS, pseudonyms.address(address("party.address", party)))
        case "subject" if party.subject:
            return Offender(Party.USER, pseudonyms.user(party.subject))
        case "address_pseudonym" as field:
            return Offender(Party.ADDRESS, _pseudonym(field, party.address_pseudonym))
        case "user_pseudonym" as field:
            return Offender(Party.USER, _pseudonym(field, party.user_pseudonym))
        case _:
            raise errors.InvalidArgument("party", "must name an address or a user")


def address(field: str, named: pb.Party) -> str:
    """Return the address by its one spelling.

    Raises:
        InvalidArgument: It is none.

    """
    parsed = addresses.parsed(named.address)
    if parsed is None:
        raise errors.InvalidArgument(field, "must be an IP address")
    return str(parsed)


def user(party: pb.Party, pseudonyms: Pseudonyms) -> Offender:
    """Return which user is meant.

    Raises:
        InvalidArgument: No user.

    """
    found = offender(party, pseudonyms)
    if found.party is not Party.USER:
        raise errors.InvalidArgument("party", "must name a user")
    return found


def reason(text: str, party: pb.Party) -> str:
    """Return why, as it is kept and logged.

    Raises:
        InvalidArgument: Nothing, too much, or the very name that is kept nowhere.

    """
    said = _line("reason", text, _MAX_REASON_CHARS)
    name = party.address or party.subject
    if name and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said, re.IGNORECASE):
        raise errors.InvalidArgument("reason", "must not name whom it is about: it is kept")
    return said


def actor(text: str) -> str:
    """Return who acts.

    Raises:
        InvalidArgument: Nobody, or somebody who passes for policy itself.

    """
    said = _line("actor", text, _MAX_ACTOR_CHARS)
    if said == POLICY:
        raise errors.InvalidArgument("actor", f"must not be `{POLICY}`, which acts by rules")
    return said


def until(time: Timestamp, now: int) -> int:
    """Return when a block shall end.

    Raises:
        InvalidArgument: Before now, or too far off.

    """
    ends = millis("expire_time", time)
    if not now < ends <= now + _MAX_BLOCK_MS:
        raise errors.InvalidArgument("expire_time", "must be in the future, at most 366 days off")
    return ends


def page_size(asked: int) -> int:
    """Return how many blocks a page has.

    Raises:
        InvalidArgument: Too many or too few.

    """
    if not 0 <= asked <= _MAX_PAGE:
        raise errors.InvalidArgument("page_size", f"must be 1 to {_MAX_PAGE}, or 0")
    return asked or _DEFAULT_PAGE


def refused_size(asked: int) -> int:
    """Return how many of those who were refused are listed.

    Raises:
        InvalidArgument: Too many or too few.

    """
    if not 0 <= asked <= _MAX_REFUSED:
        raise errors.InvalidArgument("page_size", f"must be 1 to {_MAX_REFUSED}, or 0")
    return asked or _DEFAULT_REFUSED


def page_token(place: int) -> str:
    """Return what asks for the page that begins at a place."""
    return base64.urlsafe_b64encode(b"blocks:%d" % place).decode()


def page_place(token: str) -> int:
    """Return where a page begins.

    Raises:
        InvalidArgument: The token is none of ours.

    """
    if not token:
        return 0
    try:
        found = _TOKEN.fullmatch(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        found = None
    if found is None:
        raise errors.InvalidArgument("page_token", "must be from an earlier answer")
    return int(found[1])


def block_message(whose: Offender, block: Block) -> pb.Block:
    """Return a block on the wire."""
    return pb.Block(
        party=_party(whose),
        reason=block.reason,
        actor=block.actor,
        create_time=timestamp(block.since),
        expire_time=timestamp(block.until),
    )


def refused_message(tally: Tally) -> pb.RefusedParty:
    """Return on the wire how often somebody was refused."""
    return pb.RefusedParty(
        party=_party(tally.offender),
        refusals=tally.refusals,
        last_reason=tally.last_reason,
        last_time=timestamp(tally.last_at),
    )


def _party(whose: Offender) -> pb.Party:
    if whose.party is Party.ADDRESS:
        return pb.Party(address_pseudonym=whose.name)
    return pb.Party(user_pseudonym=whose.name)


def _pseudonym(field: str, name: str) -> str:
    if not _PSEUDONYM.fullmatch(name):
        raise errors.InvalidArgument(
            f"party.{field}", "must be a pseudonym: 16 characters of base64url"
        )
    return name


def _line(field: str, text: str, most: int) -> str:
    if not 1 <= len(text) <= most or not text.isprintable() or text.isspace():
        raise errors.InvalidArgument(field, f"must be 1 to {most} printable characters")
    return text
