"""The operations page, where all goes well: what an operator sees, and whom it is shown."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from ops_page import SECRETS, Operator
from ops_service import (
    OPERATOR,
    OPERATOR_KEY,
    SOMEBODY,
    FakeOperations,
    OperatorKeyNotSet,
    block,
    client,
)
from playwright.async_api import expect
from servers_waiting import until

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

Operate = Callable[..., AbstractAsyncContextManager[Operator]]
HEX = r"[0-9a-f]{16,}"


async def nobody_watches(service: FakeOperations) -> None:
    """Wait until nobody does."""

    async def none() -> bool:
        return service.watchers == 0

    await until(none, 20, "nobody watches")


async def test_nothing_is_asked_before_somebody_is_there(operate: Operate) -> None:
    """Without a credential the page asks for nothing; with one, it watches once, and lists."""
    async with operate() as operator:
        text = operator.page.get_by_label("The credential itself")
        await text.press_sequentially("the-bearer")
        assert operator.requests() == 0
        await operator.watch()
        assert operator.requests(":watch") == 1
        assert operator.requests("/refused") == 1
        await expect(operator.page.get_by_label("The credential itself")).not_to_be_visible()
        await expect(operator.region("Tokens, last five minutes")).to_be_visible()


async def test_what_becomes_of_requests_is_counted(
    operate: Operate, service: FakeOperations
) -> None:
    """Issued, delivered again and each reason of refusals have their counts, colours and rates."""
    async with operate() as operator:
        await operator.watch()
        service.second(4, {"RATE_LIMIT_EXCEEDED": 3, "A_NEW_REASON": 2})
        service.second(2, replayed=1)
        await operator.count("Issued", 6)
        await operator.count("Delivered again", 1)
        await operator.count("Rate limit exceeded", 3)
        await operator.count("A new reason", 2)
        await expect(operator.page.locator("#issued-rate")).to_have_text("3.5")
        await expect(operator.page.locator("#refused-rate")).to_have_text("2.5")
        for style in ("issued", "replayed", "reason-0", "reason-6"):
            drawn = operator.page.locator(f"#traffic-picture path.{style}")
            await expect(drawn).to_have_attribute("d", re.compile(r"^M[\d. ]+L.*Z$"))


async def test_more_reasons_than_colours(operate: Operate, service: FakeOperations) -> None:
    """Reasons beyond those that one could tell apart are one series, and none is lost."""
    async with operate() as operator:
        await operator.watch()
        service.second(0, {f"REASON_{number}": number for number in range(1, 7)})
        await operator.count("Reason 2", 2)
        await operator.count("For other reasons", 3 + 4 + 5 + 6)


async def test_a_moment_can_be_read(operate: Operate, service: FakeOperations) -> None:
    """By arrow keys and by pointing, a second's counts are read; time goes on meanwhile."""
    async with operate() as operator:
        await operator.watch()
        for issued in range(1, 4):
            service.second(issued, {"ABUSE_DETECTED": 7} if issued == 2 else {})
        await operator.count("Issued", 6)
        moment = operator.moment
        await moment.focus()
        await expect(moment).to_have_attribute("aria-valuetext", "now")
        await moment.press("ArrowLeft")
        await moment.press("ArrowLeft")
        read = re.compile(r"^\d\d:\d\d:\d\d: 2 issued; 7 refused: 7 ABUSE_DETECTED\.$")
        await expect(moment).to_have_attribute("aria-valuetext", read)
        await operator.count("Issued", 2)
        service.load = (13, 256)
        service.second(5)
        await expect(operator.page.locator("#load-words")).to_have_text("13 of 256 calls")
        await operator.count("Issued", 2)
        await expect(moment).to_have_attribute("aria-valuetext", read)
        await moment.press("End")
        await operator.count("Issued", 5)
        await moment.press("Escape")
        await operator.count("Issued", 11)
        await moment.blur()
        for number in range(10):  # so long that the hand need not be fast
            service.load = (number, 256)
            service.second(0, {"USER_BLOCKED": 6})
        await expect(operator.page.locator("#load-words")).to_have_text("9 of 256 calls")
        await operator.page.clock.install()
        await operator.page.clock.fast_forward(10_000)
        await operator.count("User blocked", 60)
        middle = """() => {
          const { x, y, width, height } =
            document.querySelector("#traffic-picture path.reason-2").getBoundingClientRect();
          return [x + width / 2, y + height / 2];
        }"""
        await operator.page.mouse.move(*await operator.page.evaluate(middle))
        reading = operator.page.locator("#traffic-reading")
        await expect(reading).to_contain_text("6 refused: 6 USER_BLOCKED.")
        await operator.page.mouse.move(0, 0)
        await expect(reading).to_contain_text("arrow keys")


async def test_the_picture_is_a_table_too(operate: Operate, service: FakeOperations) -> None:
    """Who cannot see the picture has its counts by the half minute, and how much is known."""
    async with operate() as operator:
        await operator.watch()
        service.second(4, {"RATE_LIMIT_EXCEEDED": 3})
        await operator.count("Issued", 4)
        await operator.page.clock.install()
        await operator.page.clock.fast_forward(1_000)  # then that second is over here too
        await operator.page.get_by_text("As a table").click()
        rows = operator.region("Tokens").get_by_role("row")
        await expect(rows).to_have_count(11)
        first = rows.nth(1).get_by_role("cell")
        await expect(first).to_have_text(["4", "0", "3", "3 RATE_LIMIT_EXCEEDED", "1"])
        await expect(rows.nth(5).get_by_role("cell")).to_have_text(["–", "–", "–", "–", "0"])  # noqa: RUF001 - as it is shown


async def test_where_the_time_goes(operate: Operate, service: FakeOperations) -> None:
    """Each part of the way is a range on a scale of tens, and has its times in words."""
    service.hops = {"tokenservice": (0.1, 1.0), "policy": (0.0001, 0.0123), "gemini": (0.0, 99.0)}
    async with operate() as operator:
        await operator.watch()
        hops = operator.region("Where the time goes").get_by_role("listitem")
        await expect(hops.locator(".hop")).to_have_text(
            ["gateway", "tokenservice", "policy", "gemini"]
        )
        await expect(hops.locator(".hop-words")).to_have_text(
            ["nothing lately", "100 ms – 1 s", "0.1 ms – 12 ms", "0 ms – 99 s"]  # noqa: RUF001
        )
        places = """bars => bars.map((bar) => [
          bar.offsetWidth > 0,
          ...["--from", "--to"].map((name) => Number(bar.style.getPropertyValue(name))),
        ])"""
        unseen, *ranges = await hops.locator(".range").evaluate_all(places)
        assert unseen[0] is False
        assert ranges == [
            [True, pytest.approx(0.6), pytest.approx(0.8)],
            [True, 0, pytest.approx(0.418, abs=0.001)],
            [True, 0, 1],
        ]


async def test_health(operate: Operate, service: FakeOperations) -> None:
    """What is depended on, how full the process is, which it is and how long it runs, is told."""
    service.dependencies["gemini"] = "UPSTREAM_UNAVAILABLE"
    service.load = (240, 256)
    async with operate() as operator:
        await operator.watch()
        health = operator.region("Health")
        await expect(health.get_by_role("listitem")).to_have_text(
            [
                re.compile("gemini.*Upstream unavailable"),
                re.compile("identity.*Serving"),
                re.compile("policy.*Serving"),
            ]
        )
        await expect(health.locator(".unwell")).to_have_count(1)
        load = health.get_by_role("meter", name="At work")
        await expect(load).to_have_attribute("aria-valuetext", "240 of 256 calls")
        await expect(load).to_have_class(re.compile("full"))
        await expect(health).to_contain_text(service.instance)
        await expect(health).to_contain_text(re.compile(r"3:00:\d\d, since "))
        service.dependencies["gemini"] = "SERVING"
        service.second()
        await expect(health.locator(".unwell")).to_have_count(0)


async def test_who_is_refused_most(operate: Operate, service: FakeOperations) -> None:
    """They are listed with a bar each and why they were refused last, and anew each 5 seconds."""
    service.clients = [client("u" * 22, 40), client("a" * 22, 10, address=True)]
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        listed = operator.region("Refused most").get_by_role("listitem")
        await expect(listed).to_have_count(2)
        await expect(listed.first).to_contain_text(
            re.compile(r"user\s*u{22}.*40 refusals.*last for cooldown, 1\d s ago")
        )
        await expect(listed.last).to_contain_text(re.compile(r"address\s*a{22}.*10 refusals"))
        widths = "bars => bars.map(bar => bar.offsetWidth)"
        whole, quarter = await listed.locator(".bar-fill").evaluate_all(widths)
        assert abs(quarter - whole / 4) <= 1
        service.clients = []
        await operator.page.clock.fast_forward(5_100)
        await expect(listed).to_have_count(0)
        await expect(operator.no_one).to_be_visible()


@pytest.mark.parametrize("credential, kind", [(OPERATOR, "bearer"), (OPERATOR_KEY, "API key")])
async def test_a_credential_is_nowhere_but_in_requests(
    operate: Operate, credential: str, kind: str
) -> None:
    """Not in the document, its fields, its address or what the browser keeps; it is sent only."""
    async with operate() as operator:
        await operator.enter(credential)
        await expect(operator.state).to_have_text("Live")
        await expect(operator.page.get_by_text("Nobody was refused")).to_be_visible()
        assert not [text for text in await operator.page.evaluate(SECRETS) if credential in text]
        assert credential not in str(await operator.visit.stored())
        sent = [request for request in operator.visit.asked if "/api/" in request.url]
        for request in sent:
            headers = await request.all_headers()
            own, other = headers.get("authorization"), headers.get("x-api-key")
            assert (own, other) == (
                (f"Bearer {credential}", None) if kind == "bearer" else (None, credential)
            )
            assert credential not in request.url


async def test_a_page_that_is_left_has_forgotten(operate: Operate, service: FakeOperations) -> None:
    """Back on it there is no credential and nothing of what was shown, and nobody watches."""
    service.blocks = [block("u" * 22)]
    async with operate() as operator:
        address = operator.page.url
        await operator.watch()
        await expect(operator.blocks).to_have_count(1)
        await operator.page.goto("about:blank")

        await nobody_watches(service)
        await operator.page.go_back()
        assert operator.page.url == address
        await expect(operator.state).to_have_text("Not watching")
        await expect(operator.page.get_by_label("The credential itself")).to_have_value("")
        await expect(operator.blocks).to_have_count(0)
        assert service.watchers == 0


async def test_a_page_that_a_browser_keeps_has_forgotten(
    operate: Operate, service: FakeOperations
) -> None:
    """Where it is kept as it was left, to be shown again at once, nothing of it is left."""
    service.blocks = [block("u" * 22)]
    async with operate() as operator:
        await operator.watch()
        await expect(operator.blocks).to_have_count(1)
        left = "void dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))"
        await operator.page.evaluate(left)
        await expect(operator.state).to_have_text("Not watching")
        assert "u" * 22 not in await operator.page.content()


async def test_everything_is_forgotten_at_once(operate: Operate, service: FakeOperations) -> None:
    """A button forgets the credential and empties the page; another credential begins anew."""
    service.blocks = [block("u" * 22)]
    async with operate() as operator:
        await operator.watch()
        service.second(4, {"RATE_LIMIT_EXCEEDED": 3})
        await operator.count("Issued", 4)
        await operator.page.get_by_text("As a table").click()
        await operator.button("Forget everything").click()
        await expect(operator.announced).to_have_text(
            "Forgotten: the credential, and what was shown."
        )
        await expect(operator.region("Tokens")).not_to_be_visible()
        left = await operator.page.content()
        for shown in ("u" * 22, service.instance, "gemini", "ate limit", "RATE_LIMIT", "path"):
            assert shown not in left
        await nobody_watches(service)
        calls = len(service.calls)
        await operator.watch()
        assert service.calls[calls] == "WatchOperations"
        await operator.count("Issued", 0)


async def test_only_operators_are_shown_anything(operate: Operate, service: FakeOperations) -> None:
    """Somebody else is told so in the service's words, with ids to copy, and asked for nothing."""
    async with operate() as operator:
        await operator.enter(SOMEBODY)
        await expect(operator.state).to_have_text("Stopped: Only operators may watch the service.")
        refusal = operator.page.locator("#refusal")
        for told in (
            "403",
            "PERMISSION_DENIED",
            "Only operators may watch the service.",
            re.compile(rf"Request\s*{HEX}.*Trace\s*{HEX}", re.DOTALL),
        ):
            await expect(refusal).to_contain_text(told)
        await operator.button("Copy the request id").click()
        copied = await operator.page.evaluate("navigator.clipboard.readText()")
        answer = await operator.visit.asked[-1].response()
        assert answer
        assert copied == await answer.header_value("x-request-id")
        await expect(operator.region("Tokens")).not_to_be_visible()
        assert service.calls == ["WatchOperations"]
        await operator.watch()
        await expect(refusal).to_be_empty()


async def test_a_wrong_credential_is_tried_once(operate: Operate, service: FakeOperations) -> None:
    """It is marked, and the page does not try it again: each time would count."""
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.enter("nobody's")
        credential = operator.page.get_by_label("The credential itself")
        await expect(credential).to_have_attribute("aria-invalid", "true")
        await expect(operator.state).to_have_text("Stopped: The request has no valid credentials.")
        await operator.page.clock.fast_forward(120_000)
        assert service.calls == ["WatchOperations"]
        await operator.enter("ключ")
        await expect(operator.state).to_have_text(
            "Stopped: The credential is no text that a header can carry."
        )
        assert service.calls == ["WatchOperations"]
        await operator.watch()


async def test_lists_that_are_refused(operate: Operate, service: FakeOperations) -> None:
    """Where policy cannot be asked, the lists say why, seldom ask again, and the rest is live."""
    service.failures["ListBlocks"] = OperatorKeyNotSet()
    service.failures["ListRefused"] = errors.Unavailable("Policy is away.")
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.enter(OPERATOR)
        await expect(operator.state).to_have_text("Live")
        blocks, clients = operator.region("Blocks"), operator.region("Refused most")
        await expect(blocks).to_contain_text("OPERATOR_KEY_NOT_SET")
        await expect(blocks).to_contain_text("TOKENSERVICE_POLICY_OPERATOR_KEY is not set.")
        await expect(clients).to_contain_text("Policy is away.")
        service.second(4)
        await operator.count("Issued", 4)
        asked = service.calls.count("ListBlocks")
        service.failures.clear()
        service.clients = [client("u" * 22, 3)]
        await operator.page.clock.fast_forward(6_000)
        await expect(clients.get_by_role("listitem")).to_have_count(1)
        await expect(clients).not_to_contain_text("Policy is away.")
        assert service.calls.count("ListBlocks") == asked
        await operator.page.clock.fast_forward(60_000)
        await expect(blocks).to_contain_text("Nobody is blocked.")
        await expect(blocks).not_to_contain_text("OPERATOR_KEY_NOT_SET")
