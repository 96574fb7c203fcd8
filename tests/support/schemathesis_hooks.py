"""What Schemathesis checks beside what it knows of itself."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.check
def no_unasked_timeout(
    ctx: schemathesis.CheckContext,  # noqa: ARG001 - every check has it
    response: schemathesis.Response,
    case: schemathesis.Case[Any],
) -> None:
    """Let only who says how long it waits be told that this was too long."""
    if response.status_code == 504:
        assert "grpc-timeout" in {name.lower() for name in case.headers or {}}
