"""What may travel in plaintext."""

import pytest

from serving import plaintext


@pytest.mark.parametrize(
    "place",
    [
        "unix:.run/policy.sock",
        "unix:///run/policy.sock",
        "unix-abstract:policy",
        "localhost:50051",
        "LOCALHOST:1",
        "127.0.0.1:50051",
        "127.255.0.9:1",
        "[::1]:50051",
        "::1",
        "[::ffff:127.0.0.1]:1",
        "dns:localhost:1",
        "dns:///127.0.0.1:1",
        "ipv4:127.0.0.1:1,127.0.0.2:1",
        "ipv6:[::1]:1",
    ],
)
def test_what_stays_on_the_machine_may_be_plaintext(place: str) -> None:
    """A socket, and loopback however it is written."""
    assert plaintext.is_local(place)


@pytest.mark.parametrize(
    "place",
    [
        "0.0.0.0:50051",
        "[::]:50051",
        ":50051",
        "",
        "10.0.0.1:1",
        "policy:1",
        "localhost.example.com:1",
        "127.0.0.1.example.com:1",
        "unixes:1",
        "dns:///policy:1",
        "dns://127.0.0.1/policy:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "xds:///127.0.0.1:1",
        "127.1:1",
        "2130706433:1",
    ],
)
def test_what_may_leave_it_may_not(place: str) -> None:
    """Whatever is not surely local is not; a name is not asked for."""
    assert not plaintext.is_local(place)


@pytest.mark.parametrize(
    "url, local",
    [
        ("http://127.0.0.1:8090", True),
        ("http://localhost", True),
        ("http://[::1]:1/x", True),
        ("http://127.0.0.1@example.com", False),
        ("http://example.com/127.0.0.1", False),
        ("http://[::1", False),
        ("http://", False),
    ],
)
def test_a_url_is_where_its_host_is(url: str, *, local: bool) -> None:
    """Not what stands before or after it."""
    assert plaintext.is_local_url(url) is local


def test_a_refusal_names_the_variable_and_not_the_place() -> None:
    """One line that says what to do."""
    with pytest.raises(ValueError, match=r"\AA_LISTEN: .* leaves this machine: set B\Z"):
        plaintext.refuse("A_LISTEN", ["unix:a", "10.9.8.7:1"], unless="set B")
