"""Which form an answer has, of the two that there are for refusals.

Successes are JSON. A refusal is JSON too, the one body of the contract, but
problem details (RFC 9457) for whoever names their type in `Accept` and likes it
no less than JSON: `*/*` asks for nothing new, and who names both can read both.
"""

from starlette.datastructures import Headers

from gateway.transcoding import accept
from gateway.transcoding.errors import NotAcceptableError

JSON = "application/json"
PROBLEM = "application/problem+json"


def ensure_acceptable(headers: Headers) -> None:
    """Return if the client takes some form of answer that there is.

    Raises NotAcceptableError. Whoever names only problem details gets its
    successes as JSON, for it would have none otherwise.
    """
    ranges = accept.parse(headers.getlist("accept"))
    if not any(accept.quality(ranges, each) for each in (JSON, PROBLEM)):
        raise NotAcceptableError([JSON, PROBLEM])


def wants_problem(headers: Headers) -> bool:
    """Return whether a refusal of this request is to be problem details."""
    ranges = accept.parse(headers.getlist("accept"))
    liking = accept.quality(ranges, PROBLEM)
    return accept.names(ranges, PROBLEM) and liking > 0 and liking >= accept.quality(ranges, JSON)
