"""A JSON reader that takes exactly RFC 8259, in UTF-8, and no more than it must.

The standard library also takes UTF-16, NaN, the last of two equal keys, lone
surrogates and any depth that its stack bears. Where parsers differ, a proxy and
a server can be made to see different requests.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import NoReturn, TypeAlias

from gateway.transcoding.errors import MAX_SHOWN, InvalidRequestError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

MAX_DEPTH = 16
"""How many objects and lists may be nested."""


def loads(data: bytes) -> Json:
    """Parse `data`.

    Raises InvalidRequestError if it is not UTF-8, not JSON, nested deeper than
    MAX_DEPTH, or holds a duplicate key, a number beyond a double's range, or
    half a surrogate pair.
    """
    try:
        value: Json = json.loads(
            data.decode(),
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InvalidRequestError(
            f"The body is not JSON: line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # an integer longer than sys.get_int_max_str_digits()
        raise InvalidRequestError("The body has a number that is out of range.") from None
    for path, leaf in _leaves(value):
        _check_leaf(path, leaf)
    return value


def join(path: str, key: str | int) -> str:
    """Return the path of a member or element of what is at `path`: `a.b[0]`.

    One that is too long to be shown grows no further: else a small body with one long
    key, and much below it, would fill the memory.
    """
    if len(path) > MAX_SHOWN:
        return path
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _leaves(root: Json) -> Iterator[tuple[str, Json]]:
    """Yield all scalars and keys with their paths, without recursion."""
    pending: list[tuple[str, Json, int]] = [("", root, 0)]
    while pending:
        path, value, depth = pending.pop()
        if not isinstance(value, dict | list):
            yield path, value
            continue
        if depth == MAX_DEPTH:
            raise _too_deep()
        if isinstance(value, dict):
            for key, member in value.items():
                yield path, key
                pending.append((join(path, key), member, depth + 1))
        else:
            pending.extend((join(path, i), item, depth + 1) for i, item in enumerate(value))


def _check_leaf(path: str, leaf: Json) -> None:
    if isinstance(leaf, float) and not math.isfinite(leaf):
        raise InvalidRequestError("is out of range", field=path)
    if isinstance(leaf, str) and not leaf.isascii():
        try:
            leaf.encode()
        except UnicodeEncodeError:
            raise InvalidRequestError("has half of a surrogate pair", field=path) from None


def _object_without_duplicates(pairs: list[tuple[str, Json]]) -> Json:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key in members if counts[key] > 1)
        shown = twice.encode(errors="replace").decode()
        raise InvalidRequestError("is given twice", field=shown)
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequestError(f"The body is not JSON: {name} is no number.")


def _too_deep() -> InvalidRequestError:
    return InvalidRequestError(f"The body is nested deeper than {MAX_DEPTH} levels.")
