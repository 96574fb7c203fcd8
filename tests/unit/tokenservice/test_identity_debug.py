"""What is said of credentials when identity is debugged: kinds and reasons, no part of any."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from structlog.testing import capture_logs

from serving.errors import ServiceError
from tokenservice.call import Call
from tokenservice.deadline import Deadline
from tokenservice.identity.authenticator import Authenticator
from tokenservice.identity.bearer import BearerVerifier, simple_issuer
from tokenservice.identity.directory import NoDirectory
from tokenservice.identity.possession import Possession
from tokenservice.identity.services import Services
from tokenservice.principal import UnverifiedCredentials

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_767_225_600
CLAIMS = {"sub": "ann-of-the-canaries", "iat": NOW, "exp": NOW + 600}


@pytest.fixture
def debugged() -> Iterator[None]:
    """Have somebody hear debug lines of identity."""
    logger = logging.getLogger("tokenservice.identity")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(before)


def bearer(key: bytes = SECRET, **claims: Any) -> str:
    """Return a token."""
    return jwt.encode({**CLAIMS, **claims}, key, algorithm="HS256")


async def said_of(**sent: tuple[str, ...]) -> dict[str, Any]:
    """Return the one line that is said when such credentials are judged."""
    authenticator = Authenticator(
        BearerVerifier({}, lambda: NOW * 1_000, simple=simple_issuer(SECRET)),
        NoDirectory(),
        Services(),
        Possession(None),
    )
    call = Call(Deadline.after(60), credentials=UnverifiedCredentials(**sent))
    with capture_logs() as logs, contextlib.suppress(ServiceError):
        await authenticator.authenticate(call)
    (line,) = logs
    for values in sent.values():
        for value in values:
            for piece in value.replace("Bearer ", "").split("."):
                assert len(piece) < 8 or piece not in str(line)
    assert "ann-of" not in str(line)
    return dict(line)


@pytest.mark.usefixtures("debugged")
@pytest.mark.parametrize(
    "sent, kinds, why",
    [
        ({}, (), "Send Authorization: Bearer <token>, or X-API-Key."),
        ({"authorization": ("Bearer nonsense-canary",)}, ("authorization",), "not a signed JWT"),
        ({"authorization": (f"Bearer {bearer(b'x' * 32)}",)}, ("authorization",), "jwt.exceptions"),
        ({"authorization": (f"Bearer {bearer(exp=1)}",)}, ("authorization",), "has expired"),
        ({"api_key": ("ltk_canarycanary",)}, ("x-api-key",), "there are no API keys"),
        (
            {"api_key": ("ltk_canarycanary",), "authorization": (f"Bearer {bearer()}",)},
            ("x-api-key", "authorization"),
            "there are no API keys",
        ),
    ],
)
async def test_why_credentials_do_not_count(
    sent: dict[str, tuple[str, ...]], kinds: tuple[str, ...], why: str
) -> None:
    """Which were sent, and in our own words why they prove nothing."""
    line = await said_of(**sent)
    assert line["event"] == "not authenticated"
    assert line["sent"] == kinds
    assert why in line["why"]


@pytest.mark.usefixtures("debugged")
async def test_which_credential_counts() -> None:
    """Of whom it is stays unsaid."""
    line = await said_of(authorization=(f"Bearer {bearer()}",))
    assert line["event"] == "authenticated"
    assert (line["sent"], line["credential"]) == (("authorization",), "jwt")


async def test_nothing_is_said_unless_somebody_asked() -> None:
    """By default there is no line."""
    with pytest.raises(ValueError, match="not enough values"):
        await said_of()
