"""The operations page, where the stream ends or breaks: it says so, and comes again."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from ops_page import Operator
from ops_service import OPERATOR, FakeOperations, watched
from playwright.async_api import expect
from servers_process import HOST, free_port
from servers_proxy import Proxy
from servers_waiting import until

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

Operate = Callable[..., AbstractAsyncContextManager[Operator]]


class TooManyWatchers(errors.Unavailable):
    """As many watch as may."""

    reason = "TOO_MANY_WATCHERS"
    message = "8 operators are watching already; try again later."
    retry_after = 30.0


async def watched_by(service: FakeOperations, count: int) -> None:
    """Wait until so many watch."""

    async def so_many() -> bool:
        return service.watchers == count

    await until(so_many, 20, f"{count} watch")


async def test_what_was_missed_is_a_gap(
    operate: Operate, service: FakeOperations, way: Proxy
) -> None:
    """A connection that is cut is made again; between the two nothing is drawn as known."""
    async with operate() as operator:
        await operator.watch()
        gaps = operator.page.locator("#traffic-picture .gap")
        service.second(4)
        service.second(4)
        await operator.count("Issued", 8)
        await expect(gaps).to_have_count(0)
        await operator.stop_the_clock()
        way.cut()
        await expect(operator.announced).to_have_text("Reconnecting: The connection broke.")
        await watched_by(service, 0)
        await operator.pass_time(1_000)
        await expect(operator.state).to_have_text("Live")
        await expect(operator.announced).to_have_text("Live.")
        service.second(3)
        await operator.page.clock.resume()
        await operator.count("Issued", 11)
        await expect(gaps).to_have_count(1)
        parts = await operator.page.locator("#traffic-picture path.issued").get_attribute("d")
        assert parts
        assert parts.count("M") == 2


async def test_waits_grow_and_do_not_chatter(operate: Operate, way: Proxy) -> None:
    """Each time in vain it waits longer, half a minute at most, and says so aloud once."""
    there = way._target
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        way._target = (HOST, free_port())
        way.cut()
        await expect(operator.state).to_contain_text("The connection broke.")
        heard = """status => {
          window.heard = [];
          new MutationObserver(() => window.heard.push(status.textContent))
            .observe(status, {childList: true, characterData: true, subtree: true});
        }"""
        await operator.announced.evaluate(heard)
        waits = []
        for _ in range(7):
            await operator.page.clock.fast_forward(31_000)
            waiting = re.compile(r"^Reconnecting in 0:(\d\d): The gateway did not answer\.$")
            await expect(operator.state).to_have_text(waiting)
            found = waiting.match(await operator.state.inner_text())
            assert found
            waits.append(int(found[1]))
            await operator.page.clock.run_for(1_100)
        for wait, longest in zip(waits, [2, 4, 8, 16, 30, 30, 30], strict=True):
            assert 0.7 * longest <= wait <= longest
        assert await operator.page.evaluate("window.heard") == [
            "Reconnecting: The gateway did not answer."
        ]
        way._target = there
        await operator.button("Try now").click()
        await expect(operator.state).to_have_text("Live")


async def test_the_service_asks_to_come_again(operate: Operate, service: FakeOperations) -> None:
    """A stream that ends as it should is followed by another at once, and nobody is alarmed."""
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        service.second(4)
        await operator.count("Issued", 4)
        await operator.page.clock.fast_forward(11_000)
        service.end()
        await watched_by(service, 0)
        await operator.page.clock.run_for(300)
        await watched_by(service, 1)
        await expect(operator.state).to_have_text("Live")
        await expect(operator.announced).to_have_text("Accepted.")
        service.second(3)
        await operator.count("Issued", 7)
        await expect(operator.page.locator("#traffic-picture .gap")).not_to_have_count(0)


async def test_another_process_is_another(operate: Operate, service: FakeOperations) -> None:
    """Where another replica answers, it is said, and its counts do not go on from the first's."""
    async with operate() as operator:
        await operator.watch()
        service.second(4)
        await operator.count("Issued", 4)
        service.instance, service._now = "another-process", service._now - 3_600
        service.end()
        await expect(operator.region("Health")).to_contain_text("another-process")
        await expect(operator.region("Health")).to_contain_text(
            re.compile(r"Since \d\d:\d\d:\d\d it is another process than before\.")
        )
        service.second(3)
        await operator.count("Issued", 7)
        await expect(operator.page.locator("#traffic-picture .gap")).to_have_count(1)


async def test_an_error_in_the_stream_that_may_pass(
    operate: Operate, service: FakeOperations
) -> None:
    """It is told in the service's words, and the page tries again."""
    async with operate() as operator:
        await operator.watch()
        await operator.stop_the_clock()
        service.fail(errors.Unavailable("Somebody restarts it."))
        await expect(operator.announced).to_have_text("Reconnecting: Somebody restarts it.")
        await operator.pass_time(1_000)
        await expect(operator.state).to_have_text("Live")


async def test_an_error_in_the_stream_that_will_not_pass(
    operate: Operate, service: FakeOperations
) -> None:
    """The page stops, says why, keeps what it showed, and takes another credential."""
    async with operate() as operator:
        await operator.watch()
        service.second(4)
        await operator.count("Issued", 4)
        service.fail(errors.Unauthenticated())
        await expect(operator.state).to_have_text("Stopped: The request has no valid credentials.")
        await expect(operator.page.locator("#refusal")).to_contain_text("UNAUTHENTICATED")
        await operator.count("Issued", 4)
        await expect(operator.region("Tokens")).to_be_visible()
        await operator.watch()
        await expect(operator.page.locator("#refusal")).to_be_empty()


async def test_who_is_told_to_wait_waits(operate: Operate, service: FakeOperations) -> None:
    """A refusal that says when to come back is obeyed."""
    service.failures["WatchOperations"] = TooManyWatchers()
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.enter(OPERATOR)
        await expect(operator.state).to_have_text(
            re.compile(r"^Reconnecting in 0:[23]\d: 8 operators are watching already")
        )
        await expect(operator.page.locator("#refusal")).to_contain_text("TOO_MANY_WATCHERS")
        service.failures.clear()
        await operator.page.clock.fast_forward(25_000)
        assert service.calls == ["WatchOperations"]
        await operator.page.clock.fast_forward(6_000)
        await expect(operator.state).to_have_text("Live")


async def test_silence_is_no_connection(
    operate: Operate, service: FakeOperations, way: Proxy
) -> None:
    """Where nothing at all is heard, not even that the stream lives, it is made anew."""
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        way.hold()
        service.second(4)
        await operator.page.clock.fast_forward(21_000)
        await expect(operator.state).to_contain_text("Nothing was heard for too long.")
        way.release()
        await operator.page.clock.fast_forward(1_000)
        await expect(operator.state).to_have_text("Live")


async def test_watching_can_be_stopped(operate: Operate, service: FakeOperations) -> None:
    """A button ends the stream and the lists, and another begins again; what was seen remains."""
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        service.second(4)
        await operator.count("Issued", 4)
        await operator.button("Stop").click()
        await expect(operator.state).to_have_text("Stopped: as you wished.")
        await watched_by(service, 0)
        lists = service.calls.count("ListBlocks")
        await operator.page.clock.fast_forward(60_000)
        assert operator.requests("/blocks") == lists
        await operator.count("Issued", 4)
        await expect(operator.page.locator("#introduction")).not_to_be_visible()
        await operator.button("Watch again").click()
        await expect(operator.state).to_have_text("Live")
        await watched_by(service, 1)


async def test_where_it_is_off(operate: Operate, way: Proxy, tmp_path: Path) -> None:
    """A gateway that no longer serves operators is told of in its own words, and left alone."""
    off = tmp_path / "off"
    off.mkdir()
    async with operate() as operator, watched(FakeOperations(), off, ops=False) as port:
        way._target = (HOST, port)
        way.cut()
        await operator.enter(OPERATOR)
        await expect(operator.state).to_contain_text("Stopped:")
        await expect(operator.page.locator("#refusal")).to_contain_text("404")
        await expect(operator.page.locator("#refusal")).to_contain_text("NOT_FOUND")
