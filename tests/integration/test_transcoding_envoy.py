"""Our transcoder does as a real Envoy does, or the difference is listed with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import envoy_differences
import pytest
import pytest_asyncio
from echo_api import compile_descriptors
from envoy_cases import all_cases
from envoy_difference import fits
from envoy_process import Listening, envoy, pipe, transcoding_config
from envoy_sides import NOT_ENVOYS, Case, Seen, Sides, both_sides

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from google.protobuf.message import Message


@dataclass(frozen=True)
class Compared:
    """What came of a case on both sides."""

    case: Case
    envoy: Seen
    ours: Seen

    @property
    def change(self) -> str:
        """In what the sides differ; empty if in nothing."""
        if self.envoy.status != self.ours.status:
            return f"{self.envoy.status}/{self.ours.status}"
        if _calls(self.envoy) != _calls(self.ours):
            return "request"
        if self.ours.calls and _envoys_answer(self) != _our_answer(self):
            return "answer"
        if self.ours.cut != self.envoy.cut:
            return "ending"
        if self.ours.calls and not self.case.stream and _type(self.ours) != _type(self.envoy):
            return "type"
        return ""

    @property
    def story(self) -> str:
        """What happened, for who has to find out why."""
        return f"{self.case.name}\n  Envoy: {_told(self.envoy)}\n  ours: {_told(self.ours)}"


def _envoys_answer(compared: Compared) -> Any:
    """Return what Envoy answered, a stream as the list of its messages."""
    seen, stream = compared.envoy, compared.case.stream
    if stream == "lines" and seen.status == 200:
        return seen.lines
    if stream == "events" and seen.status == 200:
        return [tree for _, tree in seen.events]
    return seen.tree


def _our_answer(compared: Compared) -> Any:
    """Return what we answered as Envoy writes it, but for the end of a stream that failed."""
    seen, stream = compared.ours, compared.case.stream
    if stream == "events" and seen.status == 200:
        return _plain([tree for name, tree in seen.events if name != "end"])
    if stream and seen.status == 200:
        return _plain([line.get("result", line) for line in seen.lines])
    return _plain(seen.tree)


def _type(seen: Seen) -> str:
    return seen.content_type.lower().replace(" ", "")


def _calls(seen: Seen) -> list[tuple[str, bytes]]:
    return [(call.path, _bytes(call.request)) for call in seen.calls]


def _bytes(request: Message) -> bytes:
    return request.SerializeToString(deterministic=True)  # in which NaN equals NaN


def _plain(tree: Any) -> Any:
    """Return our answer with whole seconds as Envoy writes them."""
    if isinstance(tree, dict):
        return {name: _plain(member) for name, member in tree.items()}
    if isinstance(tree, list):
        return [_plain(item) for item in tree]
    return tree.replace(".000Z", "Z") if isinstance(tree, str) else tree


def _told(seen: Seen) -> str:
    calls = [f"{call.path}({call.request})".replace("\n", " ") for call in seen.calls]
    return f"{seen.status} {seen.content_type} {seen.body[:200]!r} {calls}"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sides(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sides]:
    """Run Envoy and our transcoder."""
    async with both_sides(tmp_path_factory.mktemp("envoy")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def compared(sides: Sides) -> list[Compared]:
    """Send all cases to both."""
    return [
        Compared(case, await sides.envoy.ask(case), await sides.ours.ask(case))
        for case in all_cases()
    ]


def test_every_difference_is_listed(compared: list[Compared]) -> None:
    """Whatever the two do differently has its reason in the list."""
    listed = envoy_differences.all_differences()
    unlisted = [
        f"{each.change}: {each.story}"
        for each in compared
        if each.change and not any(one.explains(each.change, each.case.name) for one in listed)
    ]
    assert not unlisted, "\n".join([f"{len(unlisted)} are not listed:", *unlisted])


def test_every_listed_difference_is_there(compared: list[Compared]) -> None:
    """Each pattern of each listed difference is of a request that comes out differently."""
    stale = [
        f"{one.what}: {pattern}"
        for one in envoy_differences.all_differences()
        for pattern in one.cases
        if not any(each.change == one.change and fits(pattern, each.case.name) for each in compared)
    ]
    assert not stale


def test_whole_seconds_differ_as_documented(compared: list[Compared]) -> None:
    """What is not compared, the digits of whole seconds, does differ."""
    assert any(each.ours.tree != _plain(each.ours.tree) for each in compared if not each.change)


def test_most_requests_come_out_alike(compared: list[Compared]) -> None:
    """Far more requests come out alike than differ, successes and refusals, all methods reached."""
    alike = [each for each in compared if not each.change]
    assert len(alike) > 1000
    assert sum(each.ours.status == 200 for each in alike) > 300
    assert sum(each.ours.status == 400 for each in alike) > 300


def test_every_method_is_reached(compared: list[Compared], sides: Sides) -> None:
    """Each method that Envoy has is called by both."""
    for side in ("envoy", "ours"):
        called = {call.path for each in compared for call in getattr(each, side).calls}
        assert sides.methods <= called


def test_the_list_is_documented() -> None:
    """docs/transcoding-envoy.md is the list; the module that has it writes it."""
    assert envoy_differences.DOCUMENT.read_text(encoding="utf-8") == envoy_differences.document()


async def test_envoy_does_not_start_with_response_body(tmp_path: Path) -> None:
    """Envoy refuses a response_body that is no HttpBody, which is why it lacks a service."""
    image = compile_descriptors(tmp_path)
    address = pipe(tmp_path / "envoy.sock")
    config = transcoding_config(
        image, list(NOT_ENVOYS), pipe(tmp_path / "none"), [Listening(address, {})]
    )
    with pytest.raises(RuntimeError, match='Setting "response_body" is not supported yet'):
        async with envoy(tmp_path, config, address):
            pass
