"""The operations page for everybody: by keyboard, on a phone, in the dark, and read aloud."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from access import LOOKS, is_accessible, tab_to
from ops_page import Operator
from ops_service import OPERATOR, SOMEBODY, FakeOperations, block, client
from playwright.async_api import Page, expect
from servers_process import HOST, free_port
from servers_proxy import Proxy

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

Operate = Callable[..., AbstractAsyncContextManager[Operator]]
USER = "a1b2c3d4e5f6a7b8c9d0ef"
REASONS = [
    "RATE_LIMIT_EXCEEDED",
    "ABUSE_DETECTED",
    "USER_BLOCKED",
    "ADDRESS_BLOCKED",
    "UNAUTHENTICATED",
    "UPSTREAM_UNAVAILABLE",
    "INVALID_ARGUMENT",
    "MODEL_NOT_ALLOWED",
    "INTERNAL",
]
CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = luminance(getComputedStyle(document.querySelector(".traffic")).backgroundColor);
  return [...document.querySelectorAll("#traffic-picture path.area")].map((area) => {
    const drawn = luminance(getComputedStyle(area).fill);
    const [dark, light] = [ground, drawn].toSorted((one, other) => one - other);
    return [area.getAttribute("class"), (light + 0.05) / (dark + 0.05)];
  });
}"""


def fill(service: FakeOperations) -> None:
    """Let there be something of everything."""
    service.blocks = [block(USER, reason=f"reason {number} " * 5) for number in range(25)]
    service.clients = [client(USER, 40), client(USER[::-1], 3, address=True)]
    service.dependencies["gemini"] = "UPSTREAM_UNAVAILABLE"


@pytest.mark.parametrize("look", LOOKS)
async def test_there_is_no_obstacle_in_any_state(
    operate: Operate, service: FakeOperations, way: Proxy, look: str
) -> None:
    """Axe finds nothing, nothing is cut off, and fingers hit, from the first sight to the last."""
    fill(service)
    async with operate(**LOOKS[look]) as operator:
        page = operator.page
        await is_accessible(page)
        await operator.enter(SOMEBODY)
        await expect(operator.state).to_contain_text("Stopped")
        await is_accessible(page)
        await operator.watch()
        service.second(4, dict.fromkeys(REASONS, 2))
        await operator.count("Issued", 4)
        await page.get_by_text("As a table").click()
        await expect(operator.blocks).to_have_count(20)
        await is_accessible(page)
        there, way._target = way._target, (HOST, free_port())
        way.cut()
        await expect(operator.state).to_contain_text("Reconnecting")
        await is_accessible(page)
        way._target = there
        await expect(operator.state).to_have_text("Live")
        service.failures["LiftBlock"] = errors.Unavailable("Policy is away.")
        await operator.ask_to_lift()
        await is_accessible(page)
        await operator.confirm(" ")
        await is_accessible(page)
        await operator.confirm()
        await expect(operator.dialog).to_contain_text("Policy is away.")
        await is_accessible(page)
        await page.keyboard.press("Escape")
        service.failures["ListBlocks"] = errors.Unavailable("Policy is away.")
        await operator.button("Show more").click()
        await expect(operator.region("Blocks")).to_contain_text("Could not be read since")
        await is_accessible(page)
        service.fail(errors.Unauthenticated())
        await expect(operator.state).to_contain_text("Stopped")
        await is_accessible(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_what_is_drawn_is_seen(
    operate: Operate, service: FakeOperations, scheme: str
) -> None:
    """Each colour of the picture stands out from its ground by 3 to 1."""
    async with operate(color_scheme=scheme) as operator:
        await operator.watch()
        service.second(4, dict.fromkeys(REASONS, 2), replayed=3)
        await operator.count("Issued", 4)
        await expect(operator.page.locator("path.others")).to_have_count(1)
        contrasts = dict(await operator.page.evaluate(CONTRASTS))
        assert len(contrasts) == 2 + 8 + 1
        assert {name for name, contrast in contrasts.items() if contrast < 3} == set()


async def test_the_keyboard_is_enough(operate: Operate, service: FakeOperations) -> None:
    """By Tab, arrows and Enter alone one watches, reads a moment, and lifts a block."""
    service.blocks = [block(USER), block("another")]
    async with operate() as operator:
        page = operator.page
        press = page.keyboard.press
        await tab_to(page, "credential")
        await page.keyboard.insert_text(OPERATOR)
        await press("Enter")
        await expect(operator.state).to_have_text("Live")
        await expect(operator.blocks).to_have_count(2)
        await expect(page.get_by_role("heading", name="Tokens")).to_be_focused()
        service.second(4)
        await operator.count("Issued", 4)
        await tab_to(page, "traffic-moments")
        await press("ArrowLeft")
        await expect(page.locator("#traffic-reading")).to_contain_text("4 issued")
        await tab_to(page, "BUTTON")
        await press("Enter")
        await expect(operator.dialog.get_by_role("button", name="Cancel")).to_be_focused()
        await tab_to(page, "lift-reason", by="Shift+Tab")
        await page.keyboard.type("a mistake of ours")
        await tab_to(page, "lift-confirm")
        await press("Enter")
        await expect(operator.blocks).to_have_count(1)
        await expect(page.get_by_role("heading", name="Blocks (1)")).to_be_focused()
        await tab_to(page, "stop", by="Shift+Tab")
        await press("Space")
        await expect(operator.state).to_contain_text("Stopped")


async def test_what_changes_each_second_is_not_read_aloud(
    operate: Operate, service: FakeOperations
) -> None:
    """There is one polite region, and counts, countdowns and lists are outside of it."""
    service.blocks = [block(USER)]
    async with operate() as operator:
        await operator.page.clock.install()
        await operator.watch()
        live = "[aria-live], [role=status], [role=alert], [role=log], [role=timer]"
        await expect(operator.page.locator(live)).to_have_count(1)
        await expect(operator.announced).to_have_text("Accepted.")
        await changes(operator.page)
        for issued in range(1, 11):
            service.second(1)
            await operator.count("Issued", issued)
            await operator.page.clock.run_for(1_000)
        heard, seen = await operator.page.evaluate("[window.heard, window.seen]")
        assert heard == 0
        assert seen > 10


async def changes(page: Page) -> None:
    """Count from now on what is read aloud, and what is seen."""
    await page.evaluate(
        """() => {
          window.heard = window.seen = 0;
          const watch = (id, count) => new MutationObserver((found) => count(found.length))
            .observe(document.getElementById(id), {subtree: true, childList: true,
              characterData: true, attributes: true});
          watch("announcer", (more) => { window.heard += more; });
          watch("seen", (more) => { window.seen += more; });
        }"""
    )


async def test_nothing_moves_for_who_wants_no_motion(
    operate: Operate, service: FakeOperations
) -> None:
    """With reduced motion no bar slides to its place."""
    service.clients = [client(USER, 40)]
    async with operate(reduced_motion="reduce") as operator:
        await operator.watch()
        service.load = (200, 256)
        service.second()
        await expect(operator.page.locator("#load-words")).to_have_text("200 of 256 calls")
        assert await operator.page.evaluate("document.getAnimations().length") == 0
        durations = "bars => bars.map(bar => getComputedStyle(bar).transitionDuration)"
        assert set(await operator.page.locator(".bar-fill").evaluate_all(durations)) == {"0s"}


async def test_it_is_read_on_the_narrowest_phone(operate: Operate, service: FakeOperations) -> None:
    """At 320 pixels, as in a page enlarged four times, nothing goes beyond the edge."""
    fill(service)
    async with operate(viewport={"width": 320, "height": 568}) as operator:
        await operator.watch()
        service.second(4, dict.fromkeys(REASONS, 2))
        await operator.count("Issued", 4)
        await expect(operator.blocks).to_have_count(20)
        await is_accessible(operator.page)
        await operator.ask_to_lift()
        await is_accessible(operator.page)
