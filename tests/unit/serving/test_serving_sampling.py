"""Which requests are traced from their head on."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from span_tap import tapped

from serving import sampling, tracing
from serving.otel_variables import TelemetryError, Variables
from serving.sampling import Dice

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "x=1"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-{SPAN}-00", "tracestate": "x=1"}


def of(name: str, ratio: str = "", *, heeds_callers: bool = True) -> Sampler:
    """Return the sampler of two variables."""
    variables = {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": ratio}
    return sampling.sampler(Variables(variables), heeds_callers=heeds_callers)


def sampled(sampler: Sampler, carrier: dict[str, str], times: int = 1) -> int:
    """Return how many of so many requests are sampled, each with what it calls."""
    with tapped(sampler) as tap:
        for _ in range(times):
            sent: dict[str, str] = {}
            with tracing.server_span("served", carrier), tracing.client_span("called", sent):
                assert sent.get("tracestate") == carrier.get("tracestate")
        served, called = tap.names.count("served"), tap.names.count("called")
    assert served == called  # a trace is sampled as a whole
    return served


@pytest.mark.parametrize(
    "name, ratio, alone, below_sampled, below_unsampled",
    [
        ("", "", 1, 1, 0),
        ("parentbased_always_on", "", 1, 1, 0),
        ("parentbased_always_off", "", 0, 1, 0),
        ("parentbased_traceidratio", "0", 0, 1, 0),
        ("parentbased_traceidratio", "1", 1, 1, 0),
        ("always_on", "", 1, 1, 1),
        ("always_off", "", 0, 0, 0),
        ("traceidratio", "0", 0, 0, 0),
        ("traceidratio", "1", 1, 1, 1),
    ],
)
def test_between_our_processes_the_first_decides(
    name: str, ratio: str, alone: int, below_sampled: int, below_unsampled: int
) -> None:
    """As the specification has the names: a parent's decision is followed where it says so."""
    sampler = of(name, ratio)
    assert sampled(sampler, {}) == alone
    assert sampled(sampler, SAMPLED) == below_sampled
    assert sampled(sampler, UNSAMPLED) == below_unsampled


@pytest.mark.parametrize("name", ["always_{}", "parentbased_always_{}"])
@pytest.mark.parametrize("carrier", [{}, SAMPLED, UNSAMPLED])
def test_strangers_do_not_decide(name: str, carrier: dict[str, str]) -> None:
    """Where callers are not heeded, a flag has no effect, on or off; their trace goes on."""
    assert sampled(of(name.format("on"), heeds_callers=False), carrier) == 1
    assert sampled(of(name.format("off"), heeds_callers=False), carrier) == 0


@pytest.mark.parametrize("name", ["traceidratio", "parentbased_traceidratio"])
def test_a_ratio_is_one(name: str) -> None:
    """Of many requests that ratio is sampled, whoever may decide."""
    for heeds in (True, False):
        sampler = of(name, "0.2", heeds_callers=heeds)
        assert 120 < sampled(sampler, {}, 1000) < 280  # six sigma


@pytest.mark.parametrize("name", ["traceidratio", "parentbased_traceidratio"])
def test_a_stranger_does_not_decide_by_a_trace_id(name: str) -> None:
    """A caller that chose an id which every ratio samples is sampled as often as others."""
    low = {"traceparent": f"00-{'a' * 16}{'0' * 15}1-{SPAN}-01"}
    assert sampled(of("traceidratio", "0.2"), low, 50) == 50  # what an id can do
    assert 120 < sampled(of(name, "0.2", heeds_callers=False), low, 1000) < 280  # six sigma


def test_dice_sample_below_the_ratio() -> None:
    """A draw below the ratio samples, the ratio itself does not; at 0 none, at 1 all."""
    draws = itertools.cycle([0.0, 0.499, 0.5, 0.999])
    assert sampled(Dice(0.5, lambda: next(draws)), {}, 4) == 2
    assert sampled(Dice(0, lambda: 0.0), {}, 4) == 0
    assert sampled(Dice(1, random.random), {}, 50) == 50
    assert "0.5" in Dice(0.5).get_description()


@pytest.mark.parametrize(
    "variables, named",
    [
        ({"OTEL_TRACES_SAMPLER": "sometimes"}, "OTEL_TRACES_SAMPLER"),
        *(
            (
                {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio},
                "OTEL_TRACES_SAMPLER_ARG",
            )
            for ratio in ("-0.1", "1.1", "nan", "half")
        ),
    ],
)
def test_a_sampler_that_is_none_is_named(variables: dict[str, str], named: str) -> None:
    """What cannot be read stops the start, and does not sample by a default."""
    with pytest.raises(TelemetryError, match=f"^{named}: "):
        sampling.sampler(Variables(variables), heeds_callers=True)


@pytest.mark.parametrize("heeds", [True, False])
def test_without_telemetry_a_flag_goes_on_only_where_it_is_heeded(
    monkeypatch: pytest.MonkeyPatch,
    heeds: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    """A gateway that exports nothing does not let strangers decide in the processes behind it."""
    monkeypatch.setattr(tracing, "_heeds_callers", heeds)
    sent: dict[str, str] = {}
    with tracing.server_span("served", SAMPLED), tracing.client_span("called", sent):
        pass
    assert sent == SAMPLED | ({} if heeds else {"traceparent": UNSAMPLED["traceparent"]})
