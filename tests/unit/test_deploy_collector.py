"""The collector's configuration hangs together, and keeps what it says it keeps."""

from __future__ import annotations

import re
from typing import Any

from observability import OBSERVABILITY, loaded

from serving import tracing

CONFIG: dict[str, Any] = loaded("collector.yaml")
PIPELINES: dict[str, Any] = CONFIG["service"]["pipelines"]
KINDS = ("receivers", "processors", "exporters")


def test_every_component_is_used_and_every_one_used_is_there() -> None:
    """In the pipelines; extensions, in the list of them."""
    for kind in KINDS:
        used = {name for pipeline in PIPELINES.values() for name in pipeline[kind]}
        assert used == CONFIG[kind].keys()
    assert set(CONFIG["service"]["extensions"]) == CONFIG["extensions"].keys()
    assert CONFIG.keys() == {*KINDS, "extensions", "service"}


def test_pipelines_guard_memory_first_and_batch_last() -> None:
    """As their documentation asks for; traces are chosen in between."""
    for pipeline in PIPELINES.values():
        assert pipeline.keys() == set(KINDS)
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "batch"
    assert "tail_sampling" in PIPELINES["traces"]["processors"]


def test_it_takes_both_protocols_on_loopback() -> None:
    """Those that processes export by, at the ports that the convention has."""
    protocols = CONFIG["receivers"]["otlp"]["protocols"]
    assert {name: each["endpoint"] for name, each in protocols.items()} == {
        "grpc": "127.0.0.1:4317",
        "http": "127.0.0.1:4318",
    }


def test_what_is_kept_is_told_by_attributes_that_spans_have() -> None:
    """A policy on an attribute of another name would keep nothing, and say nothing."""
    policies = {each["name"]: each for each in CONFIG["processors"]["tail_sampling"]["policies"]}
    keys = {each[each["type"]]["key"] for each in policies.values() if "key" in each[each["type"]]}
    assert keys == {tracing.REASON, tracing.DECISION, tracing.DEGRADED}
    assert {each["type"] for each in policies.values()} == {
        "status_code",
        "string_attribute",
        "boolean_attribute",
        "latency",
        "probabilistic",
    }


def test_every_variable_that_it_reads_is_explained() -> None:
    """In the comment at its head, and one without a default is said to be needed."""
    text = (OBSERVABILITY / "collector.yaml").read_text(encoding="utf-8")
    head, body = text.split("\nextensions:\n")
    read = set(re.findall(r"\$\{env:([A-Z_]+)", body))
    assert read == set(re.findall(r"^# ([A-Z_]+)  +", head, flags=re.MULTILINE))
    needed = set(re.findall(r"\$\{env:([A-Z_]+)\}", body))
    assert needed == {"TRACES_ENDPOINT"}
