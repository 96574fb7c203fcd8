"""`Grpc-Timeout`: how long a caller waits, as gRPC itself says it over HTTP/2."""

import re

from starlette.datastructures import Headers

from gateway.transcoding.errors import InvalidRequestError
from gateway.transcoding.receiving import single

NAME = "Grpc-Timeout"

_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_SECONDS = {"H": 3_600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def timeout(headers: Headers) -> float | None:
    """Return what the caller allows for the RPC, in seconds, None if it does not say.

    Of none at all, `0S`, nothing can come: that the RPC is not even made is for
    who makes it. Raises InvalidRequestError for a header that is there twice, or
    is not 1 to 8 digits and a unit.
    """
    value = single(headers, NAME)
    if value is None:
        return None
    found = _TIMEOUT.fullmatch(value)
    if found is None:
        raise InvalidRequestError(
            "must be 1 to 8 digits and a unit: H, M, S, m, u or n", field=NAME
        )
    return int(found[1]) * _SECONDS[found[2]]
