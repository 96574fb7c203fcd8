"""Where our transcoder and Envoy's differ, and why: every difference that there is.

`python tests/support/envoy_differences.py` writes the list to docs/transcoding-envoy.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from envoy_differences_messages import ANSWERS, BODIES, VALUES
from envoy_differences_uris import METHODS_AND_PATHS, QUERIES
from envoy_rules import RULES

if TYPE_CHECKING:
    from envoy_difference import Difference

DOCUMENT = Path(__file__).parents[2] / "docs" / "transcoding-envoy.md"

GROUPS = {
    "Methods and paths": METHODS_AND_PATHS,
    "Parameters": QUERIES,
    "Values": VALUES,
    "Bodies": BODIES,
    "Answers": ANSWERS,
}


def all_differences() -> list[Difference]:
    """Return the differences of all rooms."""
    return [difference for group in GROUPS.values() for difference in group]


def document() -> str:
    """Return docs/transcoding-envoy.md."""
    parts = [_PREFACE]
    for title, group in GROUPS.items():
        parts.append(f"\n## {title}\n\n| What | Envoy | Here | Why |\n|---|---|---|---|\n")
        parts += [f"| {each.what} | {each.envoy} | {each.ours} | {each.why} |\n" for each in group]
    parts.append("\n## Rules\n\n| What | Envoy | Here | Why |\n|---|---|---|---|\n")
    parts += [
        f"| {rule.what} | {_starts(rule.envoy)} | {_starts(rule.ours)} | {rule.why} |\n"
        for rule in RULES
        if rule.why
    ]
    return "".join(parts)


def _starts(served: bool) -> str:  # noqa: FBT001 - it is what there is
    return "starts" if served else "does not start"


_PREFACE = """\
# Where our transcoding and Envoy's differ

Tests send the same requests, more than a thousand, to the gateway's transcoder
and to a real Envoy with its `grpc_json_transcoder`, on the same descriptors and
before the same server. They compare the status, the request that reached the
server, and the JSON of its answer. This is every difference that there is:
another fails the tests, and so does one that is there no longer.

Envoy is set to be as strict as it can be (`reject_unknown_method`,
`reject_unknown_query_parameters`), to keep `%2F` in variables of several
segments, to read `+` in a query as a space, and to print fields at their
default. What a refusal says is not compared, only its status.

Streams differ in how they are written, and are compared by their messages: a
client of ours chooses by `Accept`, an operator of Envoy by its configuration.
As `application/x-ndjson` and `application/json`, each line here is `{"result": …}`
or `{"error": …}`, as in grpc-gateway, and bare in Envoy, whose `application/json`
is one array; as `text/event-stream`, there is an event `end` here.

Whole seconds of a Timestamp have three digits here, `00:00:00.000Z`, as
JavaScript writes them, and none in Envoy; the JSON mapping allows both.
"""

if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
