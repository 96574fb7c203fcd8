"""What goes along with a trace, and what does not."""

from serving import tracing

PARENT = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "a=1"}


def test_a_callers_trace_goes_on_and_its_baggage_does_not() -> None:
    """Nobody can have us carry what they like to policy, or to Google."""
    carried: dict[str, str] = {}
    with (
        tracing.server_span("served", PARENT | {"baggage": "user=ann"}),
        tracing.client_span("called", carried),
    ):
        pass
    assert carried.keys() == PARENT.keys()
    assert carried["traceparent"].split("-")[1] == "a" * 32
