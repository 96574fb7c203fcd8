"""The operations page, where lists cannot be read: it tells nothing as known that is not known."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from ops_page import Operator
from ops_service import OPERATOR, FakeOperations, block, client
from playwright.async_api import expect
from servers_proxy import Proxy
from servers_waiting import until

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

Operate = Callable[..., AbstractAsyncContextManager[Operator]]
USER = "u" * 22
LISTS = {"Blocks": "ListBlocks", "Refused most": "ListRefused"}
AS_OF = re.compile(r"As of \d\d:\d\d:\d\d:")
UNREAD = re.compile(r"Could not be read since \d\d:\d\d:\d\d")
NOT_ANY_MORE = "Stopped: The credential is not accepted any more. Enter another to go on."
REJECTIONS = [errors.Unauthenticated(), errors.PermissionDenied("Only operators may.")]


class AddressBlocked(errors.PermissionDenied):
    """Whoever asks from there."""

    reason = "ADDRESS_BLOCKED"
    message = "Requests from this address are refused."


def lists_fail(service: FakeOperations, error: errors.ServiceError) -> None:
    """Let no list be read from now on; who watches watches on."""
    service.failures |= dict.fromkeys(LISTS.values(), error)


async def nobody_watches(service: FakeOperations) -> None:
    """Wait until nobody does."""

    async def none() -> bool:
        return service.watchers == 0

    await until(none, 20, "nobody watches")


async def both_tell(operator: Operator, told: str | re.Pattern[str]) -> None:
    """See it in both lists."""
    for name in LISTS:
        await expect(operator.region(name)).to_contain_text(told)


async def neither_tells(operator: Operator, told: str | re.Pattern[str]) -> None:
    """See it in neither list."""
    for name in LISTS:
        await expect(operator.region(name)).not_to_contain_text(told)


async def test_that_nobody_was_there_is_told_as_of_when(
    operate: Operate, service: FakeOperations
) -> None:
    """With policy away, empty lists say as of when they were, since when not, and why."""
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        await neither_tells(operator, AS_OF)
        lists_fail(service, errors.Unavailable("Policy is away."))
        await operator.page.clock.fast_forward(5_100)
        await both_tell(operator, UNREAD)
        await both_tell(operator, "Policy is away.")
        await expect(operator.region("Blocks")).to_contain_text(
            re.compile(AS_OF.pattern + r"\s*Nobody is blocked\.")
        )
        await expect(operator.region("Refused most")).to_contain_text(
            re.compile(AS_OF.pattern + r"\s*Nobody was refused since")
        )
        await expect(operator.state).to_have_text("Live")
        service.failures.clear()
        await operator.page.clock.fast_forward(5_100)
        for gone in (UNREAD, AS_OF, "Policy is away."):
            await neither_tells(operator, gone)
        await both_tell(operator, "Nobody")


async def test_what_was_never_read_is_not_called_empty(
    operate: Operate, service: FakeOperations
) -> None:
    """Lists that failed from the first say since when and why, and nothing of who is in them."""
    lists_fail(service, errors.Unavailable("Policy is away."))
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.enter(OPERATOR)
        await both_tell(operator, UNREAD)
        since = await operator.page.locator("#blocks-unread").inner_text()
        asked = service.calls.count("ListBlocks")
        await operator.page.clock.fast_forward(5_100)
        await both_tell(operator, "Policy is away.")

        async def again() -> bool:
            return service.calls.count("ListBlocks") > asked

        await until(again, 20, "the list was asked for again")
        await expect(operator.page.locator("#blocks-unread")).to_have_text(since)
        for unknown in (AS_OF, re.compile("Nobody|Counted since")):
            for name in LISTS:
                text = await operator.region(name).inner_text()
                assert not unknown.search(text), text


async def test_who_was_there_is_shown_as_of_when(operate: Operate, service: FakeOperations) -> None:
    """What was read last remains, marked; how many they are is not said meanwhile."""
    service.blocks, service.clients = [block(USER)], [client(USER, 3)]
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        await expect(operator.region("Blocks (1)")).to_be_visible()
        lists_fail(service, errors.Unavailable("Policy is away."))
        await operator.page.clock.fast_forward(5_100)
        await both_tell(operator, AS_OF)
        await both_tell(operator, USER)
        await expect(operator.region("Blocks (1)")).to_have_count(0)
        service.blocks, service.clients = [], []
        service.failures.clear()
        await operator.page.clock.fast_forward(5_100)
        await neither_tells(operator, USER)
        await neither_tells(operator, AS_OF)


async def test_an_answer_that_does_not_come(
    operate: Operate, service: FakeOperations, way: Proxy
) -> None:
    """While a list is waited for, what was read before is of then."""
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        await both_tell(operator, "Nobody")
        requests = operator.requests()
        way.hold()
        await operator.page.clock.fast_forward(5_100)

        async def asked() -> bool:
            return operator.requests() >= requests + len(LISTS)

        await until(asked, 20, "the lists were asked for")
        await operator.page.clock.fast_forward(5_100)
        await both_tell(operator, AS_OF)
        await expect(operator.state).to_have_text("Live")
        way.release()
        await neither_tells(operator, AS_OF)
        assert service.watchers == 1


async def test_what_is_not_asked_for_any_more(operate: Operate, service: FakeOperations) -> None:
    """Where one stopped watching, lists are of then; to go on reads them again."""
    async with operate() as operator:
        await operator.watch()
        await both_tell(operator, "Nobody")
        await operator.button("Stop").click()
        await both_tell(operator, AS_OF)
        await neither_tells(operator, UNREAD)
        await nobody_watches(service)
        await operator.button("Watch again").click()
        await expect(operator.state).to_have_text("Live")
        await neither_tells(operator, AS_OF)


async def test_a_lift_after_the_end(operate: Operate, service: FakeOperations) -> None:
    """A block that is lifted while one does not watch is gone, and lists are not polled for it."""
    service.blocks = [block(USER)]
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        await expect(operator.blocks).to_have_count(1)
        await operator.button("Stop").click()
        await operator.ask_to_lift()
        await operator.confirm()
        await expect(operator.blocks).to_have_count(0)
        await expect(operator.region("Blocks")).to_contain_text(AS_OF)
        asked = operator.requests("/blocks")
        await operator.page.clock.run_for(20_000)
        assert operator.requests("/blocks") == asked


@pytest.mark.parametrize("rejection", REJECTIONS, ids=lambda error: error.reason)
async def test_a_credential_that_is_not_accepted_any_more(
    operate: Operate, service: FakeOperations, rejection: errors.ServiceError
) -> None:
    """The page says so and how to go on, ends the stream, and asks no more with it."""
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        await both_tell(operator, "Nobody")
        lists_fail(service, rejection)
        before = len(service.calls)
        await operator.page.clock.fast_forward(5_100)
        await expect(operator.state).to_have_text(NOT_ANY_MORE)
        await expect(operator.announced).to_have_text(NOT_ANY_MORE)
        await expect(operator.page.locator("#refusal")).to_contain_text(rejection.reason)
        for told in (UNREAD, rejection.message, AS_OF):
            await both_tell(operator, told)
        await nobody_watches(service)
        credential = operator.page.get_by_label("The credential itself")
        await expect(credential).to_be_visible()
        await expect(credential).to_have_accessible_description(re.compile(rejection.message))
        await expect(operator.button("Watch again")).not_to_be_visible()
        await operator.button("Watch").click()
        await expect(credential).to_be_focused()
        await operator.page.clock.fast_forward(600_000)
        await operator.page.clock.run_for(10_000)
        # The two lists were under way at the same time.
        assert set(service.calls[before:]) <= set(LISTS.values())
        assert len(service.calls[before:]) <= len(LISTS)
        service.failures.clear()
        await operator.watch()
        await both_tell(operator, "Nobody")
        await neither_tells(operator, UNREAD)
        await neither_tells(operator, AS_OF)


async def test_a_credential_that_is_not_accepted_any_more_lifts_nothing(
    operate: Operate, service: FakeOperations
) -> None:
    """Refused in the question, it is no more tried there than by lists; the page says the same."""
    service.blocks = [block(f"{number:022d}") for number in range(45)]
    async with operate() as operator:
        await operator.watch()
        await expect(operator.blocks).to_have_count(20)
        await operator.ask_to_lift()
        service.failures["LiftBlock"] = errors.Unauthenticated()
        lists_fail(service, errors.Unauthenticated())
        await operator.confirm()
        await expect(operator.state).to_have_text(NOT_ANY_MORE)
        await nobody_watches(service)
        requests = operator.requests()
        refused = "The request has no valid credentials."
        await expect(operator.dialog).to_contain_text(refused)
        await operator.confirm()
        await expect(operator.announced).to_have_text(f"Refused: {refused}")
        await operator.page.keyboard.press("Escape")
        await operator.button("Show more").click()
        await expect(operator.region("Blocks")).to_contain_text("UNAUTHENTICATED")
        await expect(operator.blocks).to_have_count(20)
        assert operator.requests() == requests


async def test_a_credential_that_the_stream_does_not_take_any_more(
    operate: Operate, service: FakeOperations
) -> None:
    """Refused when it comes again, it is not tried once more; lists say since when and why."""
    async with operate() as operator:
        await operator.watch()
        await both_tell(operator, "Nobody")
        refused = errors.Unauthenticated()
        service.failures["WatchOperations"] = refused
        service.end()
        await expect(operator.state).to_have_text(f"Stopped: {refused.message}")
        for told in (UNREAD, refused.message, AS_OF):
            await both_tell(operator, told)
        await expect(operator.button("Watch again")).not_to_be_visible()
        calls = len(service.calls)
        await operator.button("Watch").click()
        await expect(operator.page.get_by_label("The credential itself")).to_be_focused()
        assert len(service.calls) == calls


async def test_an_address_that_is_blocked_is_no_matter_of_the_credential(
    operate: Operate, service: FakeOperations
) -> None:
    """Where another credential would not help, none is asked for; lists say what is the matter."""
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        lists_fail(service, AddressBlocked())
        await operator.page.clock.fast_forward(5_100)
        await both_tell(operator, AddressBlocked.message)
        await expect(operator.state).to_have_text("Live")


async def test_to_come_again_as_asked_marks_nothing(
    operate: Operate, service: FakeOperations
) -> None:
    """Between one stream and the next that the service asked for, lists are not called old."""
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        await both_tell(operator, "Nobody")
        await operator.page.clock.fast_forward(11_000)
        await operator.page.evaluate(
            """() => {
              window.marked = [];
              const place = document.getElementById("blocks-as-of");
              new MutationObserver(() => window.marked.push(place.textContent))
                .observe(place, { childList: true });
            }"""
        )
        service.end()
        await nobody_watches(service)
        await operator.page.clock.run_for(300)
        await expect(operator.state).to_have_text("Live")
        await expect(operator.region("Blocks")).to_contain_text("Nobody is blocked.")
        assert [text for text in await operator.page.evaluate("window.marked") if text] == []
