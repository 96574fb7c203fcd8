"""Blocks on the operations page: they are listed, and lifted by who says why, and not otherwise."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from ops_page import Operator
from ops_service import FakeOperations, block, client
from playwright.async_api import expect

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

Operate = Callable[..., AbstractAsyncContextManager[Operator]]
ANN, BEN, CID = "a" * 22, "b" * 22, "c" * 22
HOSTILE = (
    '<img src="/none" onerror="alert(1)"><script>alert(2)</script>{{7*7}} '
    "javascript:alert(3) \u202egnp.exe & &amp; ' \" " + "x" * 120
)


async def test_blocks_are_listed(operate: Operate, service: FakeOperations) -> None:
    """Each says whose it is, why, by whom, since when, until when and how long that is yet."""
    service.blocks = [
        block(ANN, reason="volume", seconds=6.5 * 86_400),
        block(BEN, reason="a leaked key", actor="3f2a9c1b7d", seconds=3_605),
        block(CID, seconds=65),
    ]
    service.blocks[2].offender.address = CID
    async with operate() as operator:
        await operator.watch()
        await expect(operator.region("Blocks (3)")).to_be_visible()
        for item, told in zip(
            await operator.blocks.all(),
            (
                rf"user {ANN}volume by policy.* until \d+ \w+, \d\d:\d\d6 d 1[12] h left",
                rf"user {BEN}a leaked key by 3f2a9c1b7d.* until .*(1:00:0\d|59:\d\d) left",
                rf"address {CID}asks too often by policy.*[01]:\d\d left",
            ),
            strict=True,
        ):
            await expect(item).to_have_text(re.compile(told))


async def test_blocks_come_page_by_page(operate: Operate, service: FakeOperations) -> None:
    """A page at first, more when one asks, and all of them are asked for again from then on."""
    service.blocks = [block(f"{number:022d}") for number in range(45)]
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        await expect(operator.blocks).to_have_count(20)
        await operator.button("Show more").click()
        await expect(operator.blocks).to_have_count(40)
        await operator.button("Show more").click()
        await expect(operator.blocks).to_have_count(45)
        await expect(operator.button("Show more")).not_to_be_visible()
        await expect(operator.region("Blocks (45)")).to_be_visible()
        del service.blocks[:30]
        await operator.page.clock.fast_forward(5_100)
        await expect(operator.blocks).to_have_count(15)


async def test_the_focus_is_not_lost(operate: Operate, service: FakeOperations) -> None:
    """Where the block that has it ends, it goes to the heading; it stays where another ends."""
    service.blocks = [block(ANN), block(BEN)]
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        await operator.blocks.first.get_by_role("button").focus()
        del service.blocks[1]
        await operator.page.clock.fast_forward(5_100)
        await expect(operator.blocks).to_have_count(1)
        await expect(operator.blocks.get_by_role("button")).to_be_focused()
        service.blocks = []
        await operator.page.clock.fast_forward(5_100)
        await expect(operator.blocks).to_have_count(0)
        await expect(operator.page.get_by_role("heading", name="Blocks")).to_be_focused()


async def test_nobody_is_blocked(operate: Operate) -> None:
    """Where there is no block, that is said."""
    async with operate() as operator:
        await operator.watch()
        await expect(operator.region("Blocks")).to_contain_text("Nobody is blocked.")


@pytest.mark.parametrize("how", ["Cancel", "Escape"])
async def test_it_asks_first(operate: Operate, service: FakeOperations, how: str) -> None:
    """The question says whose block it is and why; the focus is on what cancels, which does."""
    service.blocks = [block(ANN, reason="a leaked key", actor="3f2a9c1b7d")]
    async with operate() as operator:
        await operator.watch()
        await operator.ask_to_lift()
        for told in (ANN, "a leaked key", "3f2a9c1b7d"):
            await expect(operator.dialog).to_contain_text(told)
        cancel = operator.dialog.get_by_role("button", name="Cancel")
        await expect(cancel).to_be_focused()
        await operator.page.keyboard.press("Escape" if how == "Escape" else "Enter")
        await expect(operator.dialog).not_to_be_visible()
        await expect(operator.blocks.get_by_role("button")).to_be_focused()
        assert service.lifts == []
        assert operator.requests(":lift") == 0


async def test_a_reason_is_required(operate: Operate, service: FakeOperations) -> None:
    """Without one nothing is lifted, and the field says so; one question's is not the next's."""
    service.blocks = [block(ANN), block(BEN)]
    async with operate() as operator:
        await operator.watch()
        await operator.ask_to_lift()
        await operator.confirm("   ")
        reason = operator.dialog.get_by_label("Your reason")
        await expect(reason).to_be_focused()
        await expect(reason).to_have_attribute("aria-invalid", "true")
        await expect(reason).to_have_accessible_description(re.compile("Say why"))
        await reason.fill("x" * 300)
        assert await reason.input_value() == "x" * 200
        await expect(reason).to_have_attribute("aria-invalid", "false")
        await operator.page.keyboard.press("Escape")
        await operator.ask_to_lift(1)
        await expect(reason).to_have_value("")
        await expect(operator.dialog).to_contain_text(BEN)
        assert service.lifts == []


async def test_a_block_is_lifted(operate: Operate, service: FakeOperations) -> None:
    """It is gone from the list, and only it; what was done is said, and the reason was sent."""
    service.blocks = [block(ANN), block(BEN)]
    service.blocks[0].offender.address = ANN
    async with operate() as operator:
        await operator.watch()
        await operator.ask_to_lift()
        await operator.confirm("  it was our own monitor ")
        await expect(operator.dialog).not_to_be_visible()
        outcome = f"Lifted: address {ANN} may ask again."
        await expect(operator.region("Blocks")).to_contain_text(outcome)
        await expect(operator.announced).to_have_text(outcome)
        await expect(operator.blocks).to_have_count(1)
        await expect(operator.blocks).to_contain_text(BEN)
        (lift,) = service.lifts
        assert (lift.offender.address, lift.reason) == (ANN, "it was our own monitor")
        await expect(operator.page.get_by_role("heading", name="Blocks (1)")).to_be_focused()


async def test_a_block_that_is_gone_already(operate: Operate, service: FakeOperations) -> None:
    """Another operator was faster: that is said, and the list is right again."""
    service.blocks = [block(ANN)]
    async with operate() as operator:
        await operator.watch()
        await operator.ask_to_lift()
        service.blocks = []
        await operator.confirm()
        await expect(operator.announced).to_have_text(f"There was no block of user {ANN} any more.")
        await expect(operator.blocks).to_have_count(0)


async def test_a_block_is_lifted_once(operate: Operate, service: FakeOperations) -> None:
    """While it is being lifted, to press again does nothing more."""
    service.blocks = [block(ANN)]
    service.held = asyncio.Event()
    async with operate() as operator:
        await operator.watch()
        await operator.ask_to_lift()
        await operator.confirm()
        await expect(operator.dialog.locator("#lift-confirm")).to_have_attribute(
            "aria-disabled", "true"
        )
        await operator.dialog.get_by_label("Your reason").press("Enter")
        service.held.set()
        await expect(operator.blocks).to_have_count(0)
        assert len(service.lifts) == operator.requests(":lift") == 1


async def test_a_lift_that_is_refused(operate: Operate, service: FakeOperations) -> None:
    """The question stays, with the service's words and the request's ids, for another try."""
    service.blocks = [block(ANN)]
    service.failures["LiftBlock"] = errors.Unavailable("Policy is away.")
    async with operate() as operator:
        await operator.watch()
        await operator.ask_to_lift()
        await operator.confirm()
        await expect(operator.dialog).to_contain_text("Policy is away.")
        await expect(operator.dialog).to_contain_text(re.compile(r"Request\s*[0-9a-f]{16,}"))
        await expect(operator.announced).to_have_text("Refused: Policy is away.")
        await expect(operator.blocks).to_have_count(1)
        service.failures.clear()
        await operator.confirm()
        await expect(operator.blocks).to_have_count(0)


async def test_what_others_wrote_is_text(operate: Operate, service: FakeOperations) -> None:
    """Markup in reasons and names is shown as it is: it makes no element, script or request."""
    service.blocks = [block(ANN, reason=HOSTILE, actor="<b>policy</b>")]
    service.clients = [client("<i>u</i>", 3, reason=HOSTILE)]
    service.dependencies = {"<u>gemini</u>": HOSTILE}
    service.instance = "<s>instance</s>"
    async with operate() as operator:
        dialogs: list[str] = []
        operator.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        await operator.watch()
        service.second(0, {"<q>REASON</q>": 1})
        await operator.count("<q>reason</q>", 1)
        await operator.moment.focus()
        await operator.moment.press("End")
        await expect(operator.blocks.locator(".reason")).to_have_text(HOSTILE)
        await expect(operator.page.locator("#clients")).to_contain_text("<i>u</i>")
        await operator.ask_to_lift()
        await expect(operator.dialog.locator("dd").nth(1)).to_have_text(HOSTILE)
        made = "main :is(img, script, b, i, u, s, q), dialog :is(img, script, b)"
        await expect(operator.page.locator(made)).to_have_count(0)
        wide, width = await operator.page.evaluate(
            "[document.documentElement.scrollWidth, innerWidth]"
        )
        assert wide <= width
        assert operator.page.url.endswith("/ops")
        assert not [request for request in operator.visit.asked if "none" in request.url]
        assert dialogs == []
