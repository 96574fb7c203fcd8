"""`Grpc-Timeout`: what a caller allows, in seconds."""

import pytest
from starlette.datastructures import Headers

from gateway import deadlines
from gateway.transcoding.errors import InvalidRequestError


def sent(*values: str) -> Headers:
    """Return headers with these `Grpc-Timeout` lines."""
    return Headers(raw=[(b"grpc-timeout", value.encode("latin-1")) for value in values])


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("1H", 3_600),
        ("2M", 120),
        ("3S", 3),
        ("1500m", 1.5),
        ("99999999u", 99.999999),
        ("5n", 5e-9),
        ("99999999H", 359_999_996_400),
        ("0S", 0),
        ("00000001S", 1),
        (" 1S ", 1),
    ],
)
def test_each_unit_is_understood(value: str, seconds: float) -> None:
    """The value is what gRPC over HTTP/2 has: digits, and one of six units."""
    assert deadlines.timeout(sent(value)) == pytest.approx(seconds)


def test_no_header_allows_any_time() -> None:
    """Who does not say leaves it to the gateway."""
    assert deadlines.timeout(sent()) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "S",
        "1s",
        "1h",
        "-1S",
        "+1S",
        "1.5S",
        "1 S",
        "123456789S",
        "1S,2S",
        "1SS",
        "\xb3S",
        "x",
    ],
)
def test_anything_else_is_named(value: str) -> None:
    """What is no timeout is the caller's mistake, and says in which header."""
    with pytest.raises(InvalidRequestError, match="Grpc-Timeout must be 1 to 8 digits"):
        deadlines.timeout(sent(value))


def test_two_are_one_too_many() -> None:
    """Of two, each hop could take another one."""
    with pytest.raises(InvalidRequestError, match="Grpc-Timeout is given twice"):
        deadlines.timeout(sent("1S", "1S"))
