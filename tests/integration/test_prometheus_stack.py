"""What a real Prometheus sees of the stack, by our own rules, alerts and dashboards.

One run through what an operator may live to see, in minutes that are seconds: a calm while,
Gemini failing, the store gone, a wave of refusals, a process killed, the collector gone.
After each, totals are what callers counted, panels show it, and those alerts ring that
should, and no others.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from client import TOKEN_PATH, new_user
from observed import Observed, panel_queries
from observed_stack import ROLES, observed
from secrets_watch import WATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Set as AbstractSet
    from pathlib import Path

    from stack.layout import Layout

CALM_MINUTES = 10
USERS = 25
GUESSES = 5
REASONS = {
    "UNAUTHENTICATED",
    "ADDRESS_BLOCKED",
    "ABUSE_DETECTED",
    "MODEL_NOT_ALLOWED",
    "RATE_LIMIT_EXCEEDED",
}
STATUS = "http_response_status_code"
ROUTE = f'http_request_method="POST",http_route="{TOKEN_PATH}"'
REQUESTS = f"sum(http_server_request_duration_seconds_count{{{ROUTE}}})"
MINT = "gen_ai_operation_name='create_auth_token'"
ATTEMPTS = "gen_ai_client_operation_duration_seconds_count"
MINTED = "sum(live_token_tokens_issued_total)"
REFUSED = "sum by (live_token_reason) (live_token_requests_refused_total)"

BURN_PAGE, BURN_TICKET = "MintErrorsBurnBudget/page", "MintErrorsBurnBudget/ticket"
OUTAGE = {BURN_TICKET, "DependencyAway/ticket", "IssuingStopped/page"}
"""What may ring as well while nothing works, depending on how long that takes here."""
SLOW = {"EventLoopSlow/ticket", "MintLatencyBurnsBudget/page", "MintLatencyBurnsBudget/ticket"}
"""What rings rightly where this machine is too busy."""
AWAY = {"RoleDown/page", "InstanceDown/ticket"}
"""What rings rightly where a role could not be reached; on such a machine, that is."""

NOTHING_TO_SHOW = {
    "Age of the issuers' keys": "`make run` trusts no issuer whose keys are fetched",
    "Commits lost": "no lease ran out",
    "Decided alone": "policy is not told to decide without its store",
    "Records dropped": "the ledger and the decision log keep up",
    "Rules broken, in shadow": "no rule is in shadow mode",
    "Spans not kept": "all are sampled",
    "Turned away": "there is room",
    "Turned away before they were read": "likewise, and all speak HTTP",
    "Tokens beyond 80 % of a limit": "each user asks for few",
    "Tokens that used a limit up": "likewise",
}
"""Panels that are empty, or flat, after all this, and why."""
CHANGE = re.compile(r"\b(?:rate|increase)\(")
MAY_SHOW_NOTHING = {"Late, last hour": "how fast this machine is"}


@pytest.mark.timeout(900)  # on a slow machine, time is sped up less
async def test_an_operators_day(make_layout: Callable[..., Layout], tmp_path: Path) -> None:
    """Each phase shows as it should, and nothing that callers sent is in any series."""
    async with observed(make_layout, tmp_path) as day:
        began = await day.begin()
        users = await calm(day)
        await gemini_fails(day)
        await the_store_hangs(day)
        await many_are_refused(day, users)
        await the_gateway_is_killed(day)
        await an_exemplar_leads_to_a_trace(day)
        await the_collector_hangs(day)
        await day.until_silent(BURN_TICKET, meanwhile=day.granted)
        day.began = began
        await panels_have_data(day)
        await nothing_secret_is_told(day)


async def calm(day: Observed) -> list[str]:
    """Tokens are minted, and nothing rings; return who has one."""
    await day.begin()
    await day.granted()
    await day.becomes(MINTED, 1)  # what begins is no increase
    users = [new_user() for _ in range(USERS)]
    for user in users:
        await day.granted(user)
    await repeated(day)
    await minted_as_answered(day)
    await day.becomes(REQUESTS, day.tally.statuses.total())
    await day.becomes("sum(live_token_policy_decisions_total)", USERS + 3)
    await day.becomes("sum(live_token_dependency_up{live_token_dependency='store'})", 1)
    await day.lasted(minutes=CALM_MINUTES)

    rate = "sum(rate(live_token_tokens_issued_total[5m]))"
    assert await day.integral(rate) == pytest.approx(USERS + 1, rel=0.4)
    assert 0 < (await day.highest("traffic", "How long a token takes"))[""] < 10
    assert (await day.highest("traffic", "Requests by status", STATUS)).keys() == {"200"}
    await only(day)
    assert [rule for rule in await day.prometheus.rules() if rule["health"] != "ok"] == []
    return users


async def gemini_fails(day: Observed) -> None:
    """First by itself, then it refuses us: attempts are counted by status, and repeated once."""
    await day.begin()
    answered = day.tally.statuses.total()
    await day.client.emulator("POST", "faults/mint", {"status": 503})
    await day.until_ringing("GeminiFailing/ticket", BURN_PAGE, meanwhile=day.ask)
    repeats = day.tally.statuses.total() - answered
    await day.client.emulator("POST", "faults/mint", {"status": 403})
    await day.until_ringing("GeminiRefusesUs/page", meanwhile=day.ask)
    failed = day.tally.statuses.total() - answered
    await day.client.emulator("POST", "faults/mint", {"status": 503, "count": 1})
    await day.granted()

    met = await day.client.emulator("GET", "counters")
    await day.becomes(f"sum({ATTEMPTS}{{{MINT}}})", met["mintRequests"])
    await day.becomes(f"sum({ATTEMPTS}{{{MINT},error_type!=''}})", met["faultsMet"])
    await day.becomes(f"sum({ATTEMPTS}{{{MINT},{STATUS}='503'}})", 2 * repeats + 1)
    await day.becomes("sum(live_token_upstream_retries_total)", repeats + 1)
    await day.becomes("sum(live_token_policy_releases_total)", failed)
    await refused_as_answered(day)
    ratio = await day.prometheus.by("entry", day.within("live_token:mint_errors:ratio_rate5m"))
    assert ratio == pytest.approx({"http": 1, "grpc": 1}, abs=0.1)
    assert (await day.highest("upstream", "Attempts to mint that failed"))[""] > 0.9
    await day.until_silent(BURN_PAGE, BURN_TICKET, meanwhile=day.granted)
    must = {"GeminiFailing/ticket", "GeminiRefusesUs/page", BURN_PAGE}
    await only(day, must, may=OUTAGE)


async def the_store_hangs(day: Observed) -> None:
    """Nobody gets a token, and policy says why."""
    await day.begin()
    day.store.pause()
    await day.until_ringing("PolicyStoreAway/page", meanwhile=day.ask)
    day.store.resume()
    await day.until_silent(BURN_PAGE, BURN_TICKET, meanwhile=day.ask)
    assert (await day.highest("traffic", "Failures by route", STATUS))["503"] > 0
    assert (await day.highest("saturation", "Failures", "error_type"))["timeout"] > 0
    await refused_as_answered(day)
    await minted_as_answered(day)
    await only(day, {"PolicyStoreAway/page", BURN_PAGE}, may=OUTAGE)


async def many_are_refused(day: Observed, users: list[str]) -> None:
    """Each for its reason, most of them in their cooldown."""
    await day.begin()
    for address in ("192.0.2.50", "192.0.2.51"):
        await refused_for_each_reason(day, address, users[0])
        await refused_as_answered(day)  # what begins is no increase: hence, twice
    for user in users * 4:
        answer = await day.ask(user)
        assert answer.body["code"] == "RATE_LIMIT_EXCEEDED"
    await refused_as_answered(day)
    await day.until_ringing("RefusalsRise/page")
    await day.until_silent(BURN_PAGE, BURN_TICKET, meanwhile=day.granted)

    in_cooldown = "sum(live_token_policy_decisions_total{live_token_reason='cooldown'})"
    await day.becomes(in_cooldown, day.tally.reasons["RATE_LIMIT_EXCEEDED"])
    await day.becomes("sum(live_token_policy_blocks_total{live_token_party='address'})", 2)
    shown = await day.highest("refusals", "Requests refused, by reason", "live_token_reason")
    assert {reason for reason, rate in shown.items() if rate > 0} >= REASONS
    assert max(shown, key=shown.__getitem__) == "RATE_LIMIT_EXCEEDED"
    may = {BURN_PAGE, BURN_TICKET, "RefusalsRise/ticket"}
    await only(day, {"RefusalsRise/page"}, may=may)


async def refused_for_each_reason(day: Observed, address: str, early: str) -> None:
    """Be refused for wrong credentials, a block, headers, an unknown model and a cooldown."""
    for number in range(GUESSES):
        guess = {"Authorization": f"Bearer a.guess.{number}-{address}"}
        assert (await day.ask(address=address, headers=guess)).status == 401
    refused = [
        await day.ask(address=address),
        await day.ask(skip_auto_headers=["User-Agent"]),
        await day.ask(json={"model": "another"}),
        await day.ask(early),
    ]
    assert {answer.body["code"] for answer in refused} == REASONS - {"UNAUTHENTICATED"}


async def the_gateway_is_killed(day: Observed) -> None:
    """Its counts begin again; all others go on."""
    await day.begin()
    layout = day.stack.layout
    gateway = next(program for program in layout.programs if program.name == "gateway")
    day.stack.processes["gateway"].kill()
    await day.stack.stop("gateway")
    await day.until_ringing(*AWAY)
    down = {alert.labels["job"] for alert in await day.prometheus.alerts() if "Down" in alert.name}
    assert down == {"gateway"}
    await day.stack.launch(gateway)
    await day.stack.until_ready([gateway], asyncio.Event())
    answered = day.tally.statuses.total()
    await day.until_silent(BURN_PAGE, BURN_TICKET, meanwhile=day.granted)
    await repeated(day)
    await day.becomes(REQUESTS, day.tally.statuses.total() - answered)
    await minted_as_answered(day)
    may = {BURN_PAGE, BURN_TICKET}
    await only(day, AWAY, may=may)


async def the_collector_hangs(day: Observed) -> None:
    """Callers get their tokens; what is lost is counted."""
    await day.begin()
    day.collector.hold()
    await day.until_ringing("TelemetryDropped/ticket", meanwhile=day.granted)
    day.collector.release()
    await day.until_silent(BURN_PAGE, BURN_TICKET, meanwhile=day.granted)
    assert max((await day.highest("saturation", "Telemetry lost", "job")).values()) > 0
    await only(day, {"TelemetryDropped/ticket"}, may={BURN_PAGE, BURN_TICKET})


async def an_exemplar_leads_to_a_trace(day: Observed) -> None:
    """By the trace id of an answer, under which the collector has the whole way."""
    found = await day.prometheus.exemplars(
        f'http_server_request_duration_seconds_bucket{{{ROUTE},{STATUS}="200"}}'
    )
    traces = {exemplar["labels"]["trace_id"] for exemplar in found}
    assert traces
    assert traces <= day.tally.traces
    newest = max(found, key=lambda exemplar: exemplar["timestamp"])["labels"]["trace_id"]
    await day.spans.until(
        lambda spans: {s for s, span in spans if span.trace_id.hex() == newest} == set(ROLES)
    )


async def panels_have_data(day: Observed) -> None:
    """Of all that was, each panel shows something, but for those that rightly do not."""
    empty, silent = set(), NOTHING_TO_SHOW.keys() | MAY_SHOW_NOTHING.keys()
    for board, title, query in panel_queries():
        # What first happened between two scrapes is a series that begins with it: no change.
        counted = CHANGE.sub("max_over_time(", query)
        if not (await shows(day, query) or await shows(day, counted)):
            empty.add(title)
            assert title in silent, f"{board}, {title} shows nothing"
    assert empty >= NOTHING_TO_SHOW.keys()


async def shows(day: Observed, query: str) -> bool:
    """Return whether a query had anything to show in the whole day."""
    samples = await day.prometheus.query(day.within(day.shown(query)))
    return any(sample.value > 0 for sample in samples)  # NaN is nothing, too


async def nothing_secret_is_told(day: Observed) -> None:
    """No subject, address or token is in a series, an alert or an exemplar."""
    told = repr(
        [
            await day.prometheus.series('{__name__=~".+"}'),
            await day.prometheus.alerts(),
            await day.prometheus.exemplars('{__name__=~".+"}'),
        ]
    )
    assert "live_token_tokens_issued_total" in told
    WATCH.look("what Prometheus has", told)
    assert [each for each in day.private if each in told] == []


async def repeated(day: Observed) -> None:
    """Ask again for the same token, and get it."""
    user, headers = new_user(), {"Idempotency-Key": "a-key"}
    first = await day.ask(user, headers=headers)
    second = await day.ask(user, headers=headers)
    assert first.body["token"] == second.body["token"]
    day.tally.repeats += 1


async def refused_as_answered(day: Observed) -> None:
    """Refusals are counted by their reasons, as callers got them."""
    counted: dict[str, float] = {}

    async def alike() -> bool:
        nonlocal counted
        counted = await day.prometheus.by("live_token_reason", REFUSED)
        return counted == day.tally.reasons

    try:
        await day.so("refusals are counted", alike)
    except TimeoutError:
        assert counted == day.tally.reasons


async def minted_as_answered(day: Observed) -> None:
    """Each token that was delivered is counted once, and its repeats apart."""
    await day.becomes(MINTED, day.tally.statuses["200"] - day.tally.repeats)
    await day.becomes("sum(live_token_tokens_replayed_total)", day.tally.repeats)


async def only(
    day: Observed, must: AbstractSet[str] = frozenset(), *, may: AbstractSet[str] = frozenset()
) -> None:
    """Those alerts rang in this phase that must, and of the others at most those that may."""
    rang = await day.rang()
    assert must <= rang, f"did not ring: {must - rang}"
    others = rang - must - may - SLOW
    assert not others or (others <= AWAY and not await day.reached()), f"rang: {others}"
