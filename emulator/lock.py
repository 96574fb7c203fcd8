"""What a token's locked setup leaves of the setup that the client sends.

No setup in the token: nothing is locked. A setup and no mask: it replaces the
client's whole setup. A mask: its fields are forced, also to absence, and the
rest is the client's.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from emulator.errors import InvalidPayload
from emulator.messages import SETUP
from emulator.schema import Message, Parser

FieldPath = tuple[str, ...]


def parse_mask(mask: str) -> tuple[FieldPath, ...]:
    """Read a FieldMask over the setup; a path that names no field is refused."""
    return tuple(_field_path(path.strip()) for path in mask.split(",") if path.strip())


def _field_path(path: str) -> FieldPath:
    names: list[str] = []
    message: Parser = SETUP
    for spelling in path.split("."):
        name = message.field(spelling) if isinstance(message, Message) else None
        if name is None or not isinstance(message, Message):
            raise InvalidPayload("field_mask is invalid for BidiGenerateContentSetup", "field_mask")
        names.append(name)
        message = message.fields[name]
    return tuple(names)


def setup_in_force(
    locked: dict[str, Any] | None,
    mask: tuple[FieldPath, ...] | None,
    client: dict[str, Any],
) -> dict[str, Any]:
    """Return the setup that a session with this token runs with."""
    if locked is None and mask is None:
        return client
    if mask is None:
        result = deepcopy(locked or {})
        result.setdefault("model", client.get("model", ""))
    else:
        result = deepcopy(client)
        for path in mask:
            _force(result, path, locked or {})
    _keep_handle(result, client)
    return result


def _force(setup: dict[str, Any], path: FieldPath, locked: dict[str, Any]) -> None:
    *parents, name = path
    source: dict[str, Any] = locked
    for parent in parents:
        source = source.get(parent, {})
    if name in source:
        for parent in parents:
            setup = setup.setdefault(parent, {})
        setup[name] = deepcopy(source[name])
        return
    for parent in parents:
        setup = setup.get(parent, {})
    setup.pop(name, None)


def _keep_handle(setup: dict[str, Any], client: dict[str, Any]) -> None:
    """Let the client name the session it resumes, where the lock allows resumption at all.

    A handle says which session, not how it behaves; were it locked, a token
    with a complete setup could never resume.
    """
    handle = client.get("sessionResumption", {}).get("handle")
    if handle and "sessionResumption" in setup:
        setup["sessionResumption"]["handle"] = handle
