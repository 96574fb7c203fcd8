"""All that we measure, in one table: what is not here is not counted.

Names and units follow OpenTelemetry's semantic conventions where there is one
(http, rpc, db, gen_ai); ours begin with `live_token`. docs/metrics.md is made
from this table. Prometheus shows a name with `_` for each `.`, then its unit,
and `_total` after what only grows.
"""

from __future__ import annotations

from serving.instruments import (
    Counter,
    Gauge,
    Histogram,
    Instrument,
    Observed,
    ObservedTotal,
    label,
)

HTTP_METHODS = (
    "CONNECT",
    "DELETE",
    "GET",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "POST",
    "PUT",
    "QUERY",
    "TRACE",
)
"""The methods that are told apart; any other word is `_OTHER`."""

_METHOD = label("rpc.method", "full name of the RPC")
_CODE = label("rpc.response.status_code", "gRPC's name of the status")
_ERROR = label("error.type", "what went wrong; absent where nothing did")
_REASON = label("live_token.reason", "machine-readable reason, as in the answer", most=64)
_MODEL = label("gen_ai.request.model", "one of the configured models")
_TIER = label("live_token.tier", "a tier of the policy file")
_MODE = label("live_token.mode", "shadow: counted, and nobody was refused", "enforce", "shadow")

# What any server does.

HTTP_DURATION = Histogram(
    "http.server.request.duration",
    "s",
    "Requests at the gateway, from head to last byte.",
    method=label(
        "http.request.method",
        "a method of HTTP, or `_OTHER`",
        *HTTP_METHODS,
    ),
    route=label("http.route", "path template of the route; absent where there is none", most=64),
    status=label(
        "http.response.status_code", "status of the answer; 499: the caller left", most=64
    ),
    error=_ERROR,
)
HTTP_ACTIVE = Gauge(
    "http.server.active_requests", "{request}", "Requests at the gateway that are under way."
)
HTTP_CONNECTIONS = Gauge(
    "live_token.http.connections", "{connection}", "Connections to the gateway that are open."
)
HTTP_CONNECTIONS_REFUSED = Counter(
    "live_token.http.connections.refused",
    "{connection}",
    "Connections that there was no room for.",
    reason=label(
        "live_token.reason", "all places are taken, or its address's are", "full", "address"
    ),
)
HTTP_UNREAD = Counter(
    "live_token.http.requests.unread",
    "{request}",
    "Requests that were refused before they were read, and so have no duration: heads that are"
    " too slow, too large, or no HTTP.",
    status=label("http.response.status_code", "status of the answer", most=16),
)
RPC_SERVER_DURATION = Histogram(
    "rpc.server.call.duration",
    "s",
    "RPCs served; of health and reflection, none.",
    method=_METHOD,
    code=_CODE,
    error=_ERROR,
)
RPC_CLIENT_DURATION = Histogram(
    "rpc.client.call.duration",
    "s",
    "RPCs made to other processes of ours: from the gateway to tokenservice, from there to policy.",
    method=_METHOD,
    code=_CODE,
    error=_ERROR,
)
RPC_ACTIVE = Gauge("live_token.rpc.active", "{call}", "RPCs at work.")
RPC_CAPACITY = Observed("live_token.rpc.capacity", "{call}", "RPCs that may be at work at a time.")
SHED = Counter(
    "live_token.shed", "{request}", "Requests refused because as many as may be were at work."
)

# Tokens, at tokenservice.

ISSUED = Counter(
    "live_token.tokens.issued",
    "{token}",
    "Tokens made and charged, whether or not their caller still waited.",
    model=_MODEL,
    tier=_TIER,
)
REPLAYED = Counter(
    "live_token.tokens.replayed",
    "{token}",
    "Tokens delivered again to a repeat of their request, without a charge.",
    model=_MODEL,
    tier=_TIER,
)
REFUSED = Counter(
    "live_token.requests.refused",
    "{request}",
    "Requests for a token that got none, by the reason in the answer.",
    reason=_REASON,
)
UPSTREAM_DURATION = Histogram(
    "gen_ai.client.operation.duration",
    "s",
    "Attempts at Gemini: create_auth_token mints, list_models is the probe of health.",
    operation=label("gen_ai.operation.name", "what was asked", "create_auth_token", "list_models"),
    provider=label("gen_ai.provider.name", "", "gcp.gemini"),
    model=_MODEL,
    status=label("http.response.status_code", "status, where there was an answer", most=64),
    error=_ERROR,
)
UPSTREAM_RETRIES = Counter(
    "live_token.upstream.retries", "{attempt}", "Attempts to mint that followed a failed one."
)

# Policy.

DECISIONS = Counter(
    "live_token.policy.decisions",
    "{decision}",
    "What policy decided. A dry run is none.",
    outcome=label("live_token.decision", "outcome, as in the decision log"),
    reason=label(
        "live_token.reason",
        "limit or rule that refused, or what is blocked; absent where none did",
        most=64,
    ),
    tier=_TIER,
    degraded=label("live_token.degraded", "decided without the shared store", "true", "false"),
)
FINDINGS = Counter(
    "live_token.policy.findings",
    "{finding}",
    "Rules against abuse that were broken, whether they refuse or only watch.",
    rule=label("live_token.rule", "a rule of the policy file"),
    mode=_MODE,
)
BLOCKS = Counter(
    "live_token.policy.blocks",
    "{block}",
    "Blocks that came into force; in shadow mode, none does.",
    party=label("live_token.party", "whom it is of", "user", "address"),
    rule=label("live_token.rule", "rule that was broken, or operator"),
)
REFUNDS = Counter(
    "live_token.policy.releases",
    "{reservation}",
    "Reservations given back: released is a refund, kept is a charge beyond the refund budget.",
    outcome=label("live_token.outcome", "what became of it", "released", "kept", "nothing"),
)
LOST_COMMITS = Counter(
    "live_token.policy.commits.lost",
    "{reservation}",
    "Commits that came too late: their tokens were dropped.",
)
QUOTA_USED = Histogram(
    "live_token.policy.quota.used",
    "1",
    "Share of a limit that its user has used, at each commit: 1 is all of it. Not of the cooldown,"
    " which each token uses up.",
    bounds=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.999),
    limit=label("live_token.limit", "a limit that counts tokens"),
)
STORE_DURATION = Histogram(
    "db.client.operation.duration",
    "s",
    "Operations on a store, from asking for a connection to the answer.",
    bounds=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    system=label("db.system.name", "kind of store", "redis", "sqlite", "memory"),
    operation=label("db.operation.name", "operation, by our name of it"),
    error=_ERROR,
)

# Health, and what is lost.

DEPENDENCY_UP = Observed(
    "live_token.dependency.up",
    "{dependency}",
    "Whether a dependency serves: 1 or 0.",
    dependency=label("live_token.dependency", "what is depended on"),
)
JWKS_AGE = Observed(
    "live_token.identity.jwks.age",
    "s",
    "Seconds since the signing keys of an issuer were last fetched, or, before, are awaited.",
    issuer=label("live_token.issuer", "name of a configured issuer"),
)
RECORDS_DROPPED = Counter(
    "live_token.records.dropped",
    "{record}",
    "Records that could not be kept: rows of the ledger, entries of the decision log, log lines.",
    log=label("live_token.log", "which records", "ledger", "decisions", "lines"),
)

SPANS_UNKEPT = Counter(
    "live_token.spans.unkept",
    "{span}",
    "Spans of refused, failed or slow requests that were not sampled, beyond what is kept of"
    " them in a second.",
)

# The process.

BUILD = Observed(
    "live_token.build.info",
    "{build}",
    "Always 1; its labels say what runs.",
    version=label("service.version", "version of this software"),
    python=label("process.runtime.version", "version of Python"),
)
LOOP_DELAY = Histogram(
    "live_token.event_loop.delay",
    "s",
    "How late the event loop runs what is due, asked twice a second: saturation, before it sheds.",
)
CPU_TIME = ObservedTotal(
    "process.cpu.time",
    "s",
    "CPU time of the process.",
    mode=label("cpu.mode", "", "user", "system"),
)
MEMORY = Observed("process.memory.usage", "By", "Physical memory of the process.")

ALL: tuple[Instrument, ...] = tuple(
    each for each in tuple(globals().values()) if isinstance(each, Instrument)
)
