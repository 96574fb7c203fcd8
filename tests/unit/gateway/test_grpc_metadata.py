"""Metadata as headers, both ways: what has a meaning is nobody's to set."""

import base64
import inspect
import re
import string
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st
from starlette.datastructures import Headers

from gateway import grpc_metadata
from gateway.transcoding.calling import Metadata
from gateway.transcoding.errors import InvalidRequestError, LargeMetadataError, RequestError
from tokenservice import calls, client_info

NAMES = sorted(grpc_metadata.RESERVED | {p + "x" for p in grpc_metadata.RESERVED_PREFIXES})
NOT_RESERVED = ["x-tenant", "a", "build.number", "x_y", "1", "x-api-keys", "hosts", "data-bin"]


def sent(*lines: tuple[str, str]) -> Headers:
    """Return the headers of a request."""
    return Headers(
        raw=[(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in lines]
    )


def metadata(name: str, value: str = "v") -> Metadata:
    """Return the metadata that one header becomes."""
    return grpc_metadata.from_headers(sent((f"Grpc-Metadata-{name}", value)))


@pytest.mark.parametrize("name", NOT_RESERVED[:-1])
def test_a_header_with_the_prefix_is_metadata(name: str) -> None:
    """What is behind the prefix is the name, in lower case."""
    assert metadata(name) == metadata(name.upper()) == ((name, "v"),)


def test_order_and_repeats_are_kept() -> None:
    """Metadata may have a name twice, as headers do."""
    lines = [
        ("Grpc-Metadata-B", "1"),
        ("X-Other", "2"),
        ("grpc-metadata-a", ""),
        ("GRPC-METADATA-b", "3"),
    ]
    assert grpc_metadata.from_headers(sent(*lines)) == (("b", "1"), ("a", ""), ("b", "3"))


@pytest.mark.parametrize("form", [str, str.upper, "{}-bin".format, lambda n: n.replace("-", "_")])
@pytest.mark.parametrize("name", NAMES)
def test_reserved_names_are_ignored(name: str, form: Callable[[str], str]) -> None:
    """In no spelling does a caller set what somebody believes."""
    assert metadata(form(name), "AAAA") == ()


def test_all_that_tokenservice_reads_is_reserved() -> None:
    """What it takes from metadata, it takes from the gateway's word: no caller may write it."""
    read = set(re.findall(r'_values\(metadata, "([^"]+)"\)', inspect.getsource(calls)))
    assert read >= {"authorization", "x-api-key", "dpop", "x-request-id"}
    for name in read | {client_info.ADDRESS_KEY, client_info.HEADERS_KEY}:
        assert metadata(name) == ()


@pytest.mark.parametrize(
    "value, data",
    [
        ("AAECAw==", b"\0\1\2\3"),
        ("AAECAw", b"\0\1\2\3"),
        ("+/8", b"\xfb\xff"),
        ("", b""),
    ],
)
def test_binary_values_are_bytes(value: str, data: bytes) -> None:
    """A name in -bin has its value in base64, padded or not."""
    assert metadata("data-bin", value) == (("data-bin", data),)


@pytest.mark.parametrize(
    "value", ["A", "AA=", "A===", "A A=", "-_8=", "é", "AAAA=AAAA", "=", "===="]
)
def test_what_is_no_base64_is_named(value: str) -> None:
    """A binary value that cannot be read is 400, and not a guess."""
    with pytest.raises(InvalidRequestError, match="grpc-metadata-data-bin must be base64"):
        metadata("data-bin", value)


@pytest.mark.parametrize("value", ["é", "a\tb", "\x7f", "a\x01"])
def test_values_that_metadata_cannot_carry_are_named(value: str) -> None:
    """A text is printable ASCII, or 400."""
    with pytest.raises(InvalidRequestError, match="grpc-metadata-x must be printable ASCII"):
        metadata("x", value)


@pytest.mark.parametrize("name", ["", "a!b", "a*", "a~", "a'b", "a|b", "-", "-bin", "-a"])
def test_names_that_metadata_cannot_have_are_named(name: str) -> None:
    """HTTP allows more in a name than gRPC does."""
    with pytest.raises(InvalidRequestError, match="has a name"):
        metadata(name)


def test_metadata_of_callers_is_bounded() -> None:
    """So many entries and bytes, and one more is too many; what is ignored does not count."""
    most = [(f"Grpc-Metadata-{n:04}", "x" * 124) for n in range(grpc_metadata.MAX_ENTRIES)]
    assert len(grpc_metadata.from_headers(sent(*most, ("Grpc-Metadata-Host", "x" * 999)))) == 16
    for more in (("Grpc-Metadata-A", ""), ("Grpc-Metadata-0000", "x")):
        with pytest.raises(LargeMetadataError, match="more than 16, or more than 2048 bytes"):
            grpc_metadata.from_headers(sent(*most, more))
    with pytest.raises(LargeMetadataError):
        metadata("a", "x" * grpc_metadata.MAX_BYTES)


@given(
    st.lists(
        st.tuples(st.text(string.printable, max_size=20), st.text(string.printable, max_size=20)),
        max_size=20,
    )
)
def test_whatever_is_sent_is_metadata_or_refused(lines: list[tuple[str, str]]) -> None:
    """What goes on has names and values that gRPC takes, and none that is reserved."""
    headers = sent(*((f"grpc-metadata-{name}", value) for name, value in lines))
    try:
        entries = grpc_metadata.from_headers(headers)
    except RequestError:
        return
    for name, value in entries:
        assert set(name) <= set(string.ascii_lowercase + string.digits + "-_.")
        assert not grpc_metadata.is_reserved(name)
        assert isinstance(value, bytes) or (value.isascii() and value.isprintable())
        assert isinstance(value, bytes) == name.endswith("-bin")


INITIAL = (("x-tenant", "a"), ("data-bin", b"\0\xff"), ("x-tenant", "b"))


def test_initial_metadata_are_headers() -> None:
    """Each entry has its header, bytes in base64; trailing ones only where they are asked for."""
    assert grpc_metadata.to_headers(sent(), INITIAL, INITIAL) == [
        ("Grpc-Metadata-X-Tenant", "a"),
        ("Grpc-Metadata-Data-Bin", base64.b64encode(b"\0\xff").decode()),
        ("Grpc-Metadata-X-Tenant", "b"),
    ]


@pytest.mark.parametrize("te", ["trailers", "Trailers", "gzip, trailers;q=0.5"])
def test_trailing_metadata_are_for_who_asks(te: str) -> None:
    """`TE: trailers` brings the trailing metadata, under a prefix of their own."""
    answer = grpc_metadata.to_headers(sent(("TE", te)), (), (("cost", "7"),))
    assert answer == [("Grpc-Trailer-Cost", "7")]
    assert grpc_metadata.to_headers(sent(("TE", "gzip")), (), (("cost", "7"),)) == []


@pytest.mark.parametrize("name", NAMES)
def test_reserved_names_do_not_come_back(name: str) -> None:
    """What is between the services, and gRPC's own, stays there."""
    entry = ((name, "v"), (f"{name}-bin", b"v"))
    assert grpc_metadata.to_headers(sent(("TE", "trailers")), entry, entry) == []


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "a\0", "é", "a\x7f"])
def test_no_value_splits_a_header(value: str) -> None:
    """A value that a header cannot have is left out."""
    assert grpc_metadata.to_headers(sent(), (("x", value), ("y", "1")), ()) == [
        ("Grpc-Metadata-Y", "1")
    ]
