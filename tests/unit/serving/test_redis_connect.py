"""What the store's URL can say."""

import pytest
from redis.asyncio import Redis, RedisCluster

from serving.redis.connect import RedisOptions, Target, open_redis, parse

LOCAL = (("localhost", 6379),)


@pytest.mark.parametrize(
    "url, target",
    [
        ("redis://localhost", Target("single", hosts=LOCAL)),
        ("valkey://localhost/3", Target("single", hosts=LOCAL, db=3)),
        ("redis://localhost?db=3", Target("single", hosts=LOCAL, db=3)),
        ("redis://[::1]:7000/0", Target("single", hosts=(("::1", 7000),))),
        (
            "rediss://me:p%40ss@localhost:6379/1?ssl_ca_certs=/ca.pem&ssl_check_hostname=no",
            Target(
                "single",
                tls=True,
                hosts=LOCAL,
                db=1,
                login={"username": "me", "password": "p@ss"},
                options={"ssl_ca_certs": "/ca.pem", "ssl_check_hostname": False},
            ),
        ),
        (
            "unix://:secret@/run/valkey.sock?db=2",
            Target("unix", path="/run/valkey.sock", db=2, login={"password": "secret"}),
        ),
        (
            "valkeys+sentinel://:p@one:1,two/main/4?sentinel_password=q",
            Target(
                "sentinel",
                tls=True,
                hosts=(("one", 1), ("two", 26379)),
                service="main",
                db=4,
                login={"password": "p"},
                sentinel_login={"password": "q"},
            ),
        ),
        (
            "redis+cluster://one,two:2",
            Target("cluster", hosts=(("one", 6379), ("two", 2))),
        ),
    ],
)
def test_a_url_says_where_and_how(url: str, target: Target) -> None:
    """Scheme, user, hosts, service, database and options of TLS are read from it."""
    assert parse(url) == target


@pytest.mark.parametrize(
    "url, why",
    [
        ("http://:SECRET@localhost", "begin with"),
        ("redis+other://:SECRET@localhost", "begin with"),
        ("redis://:SECRET@", "name a host"),
        ("redis://:SECRET@one,two", "several servers"),
        ("redis://:SECRET@one:port", "as port"),
        ("redis://:SECRET@one/db", "as database"),
        ("redis://:SECRET@one/1/2", "longer path"),
        ("redis://:SECRET@one#fragment", "%23"),
        ("redis://:SECRET@one?socket_timeout=SECRET", "no options but db"),
        ("rediss://:SECRET@one?ssl_cert_reqs=SECRET", "ssl_cert_reqs"),
        ("redis://:SECRET@one?ssl_ca_certs=SECRET", "no options but db"),
        ("redis://:SECRET@[one", "cannot be read"),
        ("redis+sentinel://:SECRET@one", "name the service"),
        ("redis+cluster://:SECRET@one/1", "cluster has none"),
        ("unix://:SECRET@", "name a socket"),
        ("unix://:SECRET@host/path", "name a socket"),
    ],
)
def test_a_bad_url_is_told_and_not_repeated(url: str, why: str) -> None:
    """The error says what is wrong; it has no part of the URL that may be secret."""
    with pytest.raises(ValueError, match="the store's URL") as told:
        parse(url)
    assert why in str(told.value)
    assert "SECRET" not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


def test_a_target_hides_its_secrets() -> None:
    """What is logged of it has no password."""
    assert "SECRET" not in repr(parse("redis+sentinel://:SECRET@h/s?sentinel_password=SECRET"))


@pytest.mark.parametrize(
    "url, kind",
    [
        ("redis://localhost", Redis),
        ("rediss://localhost", Redis),
        ("unix:///run/valkey.sock", Redis),
        ("redis+sentinel://one,two/main", Redis),
        ("rediss+sentinel://one,two/main", Redis),
        ("redis+cluster://one,two", RedisCluster),
        ("rediss+cluster://one,two", RedisCluster),
    ],
)
async def test_nothing_is_tried_again(url: str, kind: type) -> None:
    """A client of any kind makes one attempt, within the time it is given; unconnected so far."""
    async with open_redis(url, RedisOptions(socket_timeout_ms=111)) as client:
        assert isinstance(client, kind)
        if isinstance(client, RedisCluster):
            assert client.retry.get_retries() == 0
            made = client.connection_kwargs
        else:
            retry = client.get_retry()
            assert retry is not None
            assert retry.get_retries() == 0
            made = client.get_connection_kwargs()  # type: ignore[no-untyped-call]
        assert made["socket_timeout"] == 0.111
        assert made["health_check_interval"] == 0
