"""Whose request it is, over HTTP: forged headers in every form, behind 0 to 3 proxies of ours."""

import ipaddress
from typing import Any

import pytest
from raw_http import connect, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENT = "198.51.100.7"
HOPS = ("10.0.0.3", "10.0.0.2")  # behind the peer, which is the third; the nearest comes last
FORMS: list[tuple[str, ...]] = [
    (),
    ("X-Forwarded-For: 192.0.2.1",),
    ("X-Forwarded-For: 192.0.2.1, 192.0.2.2, 192.0.2.3",),
    ("X-Forwarded-For: 10.0.0.9",),
    ("X-Forwarded-For: 127.0.0.1",),
    ("X-Forwarded-For: ::1",),
    ("X-Forwarded-For: [2001:db8::1]:443",),
    ("X-Forwarded-For: ::ffff:192.0.2.1",),
    ("X-Forwarded-For: 192.0.2.1:80",),
    ("X-Forwarded-For: 0xc0000201",),
    ("X-Forwarded-For: 3221225985",),
    ("X-Forwarded-For: 192.0.2.01",),
    ("X-Forwarded-For: 192.0.2",),
    ("X-Forwarded-For: not-an-ip",),
    ("X-Forwarded-For: unknown",),
    ("X-Forwarded-For: localhost",),
    ("X-Forwarded-For: fe80::1%eth0",),
    ("X-Forwarded-For:",),
    ("X-Forwarded-For: ,,,",),
    ("X-Forwarded-For: 192.0.2.1,",),
    ("X-Forwarded-For: \xff\xfe",),
    ("X-Forwarded-For: <script>",),
    ('X-Forwarded-For: "192.0.2.1"',),
    ("X-Forwarded-For: 192.0.2.1 ", "X-Forwarded-For: 192.0.2.2"),
    ("X-Forwarded-For: " + "192.0.2.1," * 500,),
    ("X-Forwarded-For: " + "10.0.0.9," * 500,),
    ("X-Forwarded-For: " + "1" * 5_000,),
    ("x-forwarded-for: 192.0.2.1",),
    ("X_Forwarded_For: 192.0.2.1",),
    ("Forwarded: for=192.0.2.1",),
    ('Forwarded: for="[2001:db8::1]:8"',),
    ("Forwarded: for=192.0.2.1, for=192.0.2.2",),
    ('Forwarded: for="192.0.2.1',),
    ("Forwarded: for=unknown",),
    ("Forwarded: for=_hidden",),
    ("Forwarded: host=a;for=192.0.2.1", "Forwarded: for=192.0.2.2"),
    ("X-Real-IP: 192.0.2.1",),
    ("True-Client-IP: 192.0.2.1",),
    ("CF-Connecting-IP: 192.0.2.1",),
    ("Fastly-Client-IP: 192.0.2.1",),
    ("X-Client-IP: 192.0.2.1",),
    ("X-Cluster-Client-IP: 192.0.2.1",),
    ("X-Originating-IP: 192.0.2.1",),
    ("X-Forwarded: 192.0.2.1",),
    ("X-Envoy-External-Address: 192.0.2.1",),
    ("Via: 1.1 192.0.2.1",),
    ("X-Client-Address: 192.0.2.1",),
    ("Grpc-Metadata-X-Client-Address: 192.0.2.1",),
    ("Grpc-Metadata-X-Forwarded-For: 192.0.2.1",),
    ("Host: 192.0.2.1",),
]


def chain(hops: int) -> str:
    """Return what `hops` proxies of ours append: each the address that it was called from."""
    return ", ".join((CLIENT, *HOPS[len(HOPS) - (hops - 1) :]))


@pytest.mark.parametrize("own_line", [True, False])
@pytest.mark.parametrize("hops", [0, 1, 2, 3])
async def test_no_header_makes_another_of_a_client(
    launch: Any, hops: int, *, own_line: bool
) -> None:
    """Behind any number of proxies, whatever a client wrote, it is who its connection says.

    A proxy appends what it saw, to the header or as a line of its own.
    """
    proxies = ("127.0.0.0/8", "10.0.0.0/8") if hops else ()
    expected = CLIENT if hops else "127.0.0.1"
    async with (
        launch(trusted_proxies=proxies) as gateway,
        connect(gateway.port) as connection,
    ):
        for form in FORMS:
            lines, host = list(form), "x"
            if lines and lines[0].startswith("Host:"):
                host, lines = lines[0].removeprefix("Host: "), []
            if hops:
                written = [line for line in lines if line.lower().startswith("x-forwarded-for:")]
                if written and not own_line:
                    lines[lines.index(written[-1])] = f"{written[-1]}, {chain(hops)}"
                else:
                    lines.append(f"X-Forwarded-For: {chain(hops)}")
            connection.send(request("Authorization: Bearer good", *lines, host=host))
            answer = await connection.answer()
            assert answer is not None
            assert answer.status == 200, form
            address = gateway.service.metadata["x-client-address"]
            assert gateway.service.metadata_keys.count("x-client-address") == 1
            assert address == expected, form
            assert str(ipaddress.ip_address(address)) == address


async def test_the_table_is_large_enough() -> None:
    """Every form is another, and there are forty at least."""
    assert len(set(FORMS)) == len(FORMS) >= 40
