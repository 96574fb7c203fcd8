"""From one URL to a client of a single server, of Sentinel's primary, or of a cluster.

    redis://USER:PASSWORD@HOST:PORT/DB            rediss:// the same over TLS
    unix://USER:PASSWORD@/PATH?db=DB
    redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/DB
    redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT

`rediss+sentinel`, `rediss+cluster`, and `valkey` for `redis` in each.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from serving import plaintext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serving.redis.link import Client

_PORT, _SENTINEL_PORT = 6379, 26379
_TLS_OPTIONS = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_keyfile",
    }
)
_SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """How patient a client is, and how many connections it may have."""

    connect_timeout_ms: int = 250
    socket_timeout_ms: int = 250
    max_connections: int = 16
    """To each server. Few are enough, each call is short; and many at once take a process
    longer to open, some milliseconds of its time each, than their calls have patience."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL says."""

    kind: str
    """`single`, `unix`, `sentinel` or `cluster`."""
    tls: bool = False
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    login: dict[str, str] = field(default_factory=dict, repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    sentinel_login: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def exposed(self) -> bool:
        """Whether another machine is spoken to in plaintext."""
        return not self.tls and not all(plaintext.is_loopback(host) for host, _ in self.hosts)


def parse(url: str) -> Target:
    """Read a URL; a ValueError says what is wrong with it, and repeats none of it but names."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.replace("valkey", "redis")
        base, _, way = scheme.partition("+")
        kind = {"": "single", "sentinel": "sentinel", "cluster": "cluster"}.get(way)
        if scheme == "unix":
            kind = "unix"
        elif base not in {"redis", "rediss"}:
            kind = None
        return _target(parts, kind, tls=base == "rediss")
    except ValueError as error:
        # urlsplit's own words may hold the host's part, and with it the password.
        known = str(error) if str(error).startswith("it ") else "it cannot be read"
        raise ValueError(f"the store's URL: {known}") from None


def _target(parts: SplitResult, kind: str | None, *, tls: bool) -> Target:
    if kind is None:
        raise ValueError(
            "it must begin with redis://, rediss://, unix://, redis+sentinel:// or "
            "redis+cluster:// (rediss: TLS; valkey: the same)"
        )
    if parts.fragment:
        raise ValueError("it must not have a '#': write %23 in a password")
    login, _, where = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    pairs = {"username": unquote(username), "password": unquote(password)}
    options = _options(parts.query, kind, tls=tls)
    db = _number(options.pop("db", ""), "database")
    path, service, named = _place(parts.path, kind)
    db = named or db
    if kind == "unix" and where:
        raise ValueError("it must name a socket by its whole path: unix:///run/valkey.sock")
    if kind == "cluster" and db:
        raise ValueError("it must not name a database: a cluster has none")
    default = _SENTINEL_PORT if kind == "sentinel" else _PORT
    hosts = () if kind == "unix" else tuple(_host(each, default) for each in where.split(","))
    if kind == "single" and len(hosts) > 1:
        raise ValueError("it names several servers: write redis+sentinel or redis+cluster")
    return Target(
        kind=kind,
        tls=tls,
        hosts=hosts,
        path=path,
        service=service,
        db=db,
        login={key: value for key, value in pairs.items() if value},
        sentinel_login={
            key.removeprefix("sentinel_"): options.pop(key)
            for key in sorted(_SENTINEL_OPTIONS & options.keys())
        },
        options=options,
    )


def _place(path: str, kind: str) -> tuple[str, str, int]:
    """Read a URL's path: a socket's path, a service, a database."""
    if kind == "unix":
        if not path:
            raise ValueError("it must name a socket by its whole path: unix:///run/valkey.sock")
        return unquote(path), "", 0
    steps = [unquote(step) for step in path.split("/") if step]
    service = ""
    if kind == "sentinel":
        if not steps:
            raise ValueError("it must name the service: redis+sentinel://host:port/service")
        service = steps.pop(0)
    if len(steps) > 1:
        raise ValueError("it has a longer path than a database")
    return "", service, _number(steps[0], "database") if steps else 0


def _options(query: str, kind: str, *, tls: bool) -> dict[str, Any]:
    allowed = (_TLS_OPTIONS if tls else frozenset()) | (
        _SENTINEL_OPTIONS if kind == "sentinel" else frozenset()
    )
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in allowed | {"db"}:
            known = ", ".join(sorted(allowed | {"db"}))
            raise ValueError(f"it may have no options but {known}")
        options[name] = value
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() not in {
            *("0", "no", "false"),
        }
    if options.get("ssl_cert_reqs", "required") not in {"none", "optional", "required"}:
        raise ValueError("it must have none, optional or required as ssl_cert_reqs")
    return options


def _host(text: str, default: int) -> tuple[str, int]:
    host, port = text, ""
    if text.startswith("["):  # IPv6
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif ":" in text:
        host, _, port = text.partition(":")
    if not host:
        raise ValueError("it must name a host")
    return unquote(host), _number(port, "port") or default


def _number(text: str, what: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 16:
        raise ValueError(f"it has something else than a number as {what}")
    return int(text)


@asynccontextmanager
async def open_redis(url: str, options: RedisOptions | None = None) -> AsyncIterator[Client]:
    """Yield a client for `url`, which connects when it is first used; close it in the end."""
    target, options = parse(url), options or RedisOptions()
    patience = {
        "socket_connect_timeout": options.connect_timeout_ms / 1000,
        "socket_timeout": options.socket_timeout_ms / 1000,
        # By default ten tries, 6.7 s on a server that hangs.
        "retry": Retry(NoBackoff(), 0),
        # What pings before use costs a round trip, and fails where the call itself would.
        "health_check_interval": 0,
        # All that is used; RESP3 would also subscribe to notices of maintenance.
        "protocol": 2,
    }
    common = {**patience, **target.login, "max_connections": options.max_connections}
    if target.kind == "cluster":
        cluster = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in target.hosts],
            # While a part of it is down, the users of the others are served.
            require_full_coverage=False,
            # A slot that moved is learned by itself: to learn all anew would close
            # connections that others wait on.
            reinitialize_steps=0,
            socket_keepalive=True,
            ssl=target.tls,
            **{
                **common,
                **target.options,
                # A reservation may ask one server for two things at once. Beyond its bound,
                # this client does not wait but fails.
                "max_connections": 2 * options.max_connections,
            },
        )
        try:
            yield cluster
        finally:
            await cluster.aclose()
    elif target.kind == "sentinel":
        async with _primary(target, common, patience) as redis:
            yield redis
    else:
        redis = Redis.from_pool(_pool(target, common))
        try:
            yield redis
        finally:
            await redis.aclose()


def _pool(target: Target, common: dict[str, Any]) -> ConnectionPool:
    if target.kind == "unix":
        # A Unix socket is there or not: there is no time to connect.
        return ConnectionPool(
            connection_class=UnixDomainSocketConnection,
            path=target.path,
            db=target.db,
            **common,
        )
    host, port = target.hosts[0]
    return ConnectionPool(
        connection_class=SSLConnection if target.tls else Connection,
        host=host,
        port=port,
        db=target.db,
        socket_keepalive=True,
        **common,
        **target.options,
    )


@asynccontextmanager
async def _primary(
    target: Target, common: dict[str, Any], patience: dict[str, Any]
) -> AsyncIterator[Redis]:
    tls = {**target.options, "ssl": True} if target.tls else {}
    # Half the time: one Sentinel that hangs leaves time to ask the next.
    haste = {name: patience[name] / 2 for name in ("socket_connect_timeout", "socket_timeout")}
    watchers = Sentinel(  # type: ignore[no-untyped-call]
        target.hosts, sentinel_kwargs={**patience, **haste, **target.sentinel_login, **tls}
    )
    redis = watchers.master_for(
        target.service, db=target.db, socket_keepalive=True, **common, **tls
    )
    try:
        yield redis
    finally:
        await redis.aclose()
        for watcher in watchers.sentinels:
            await watcher.aclose()
