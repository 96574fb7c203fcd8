"""Whether everybody can use a page: by keyboard, on a phone, in the dark, and read aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node_tools import node_tools

if TYPE_CHECKING:
    from playwright.async_api import Page

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", **PHONE},
    "dark-phone": {"color_scheme": "dark", **PHONE},
    "forced-colors": {"forced_colors": "active", "reduced_motion": "reduce"},
}
_FINGER = 44  # pixels
_TOO_SMALL = f"""controls => controls
  .map(control => [control.textContent || control.id, control.getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.width < {_FINGER} || box.height < {_FINGER}))
  .map(([name, box]) => `${{name.trim()}}: ${{box.width}} x ${{box.height}}`)"""
_FOCUS = """() => {
  const { activeElement: focused } = document;
  const shown = focused.type === "radio" ? focused.nextElementSibling : focused;
  return [focused.id || focused.value || focused.tagName, getComputedStyle(shown).outlineStyle];
}"""


async def is_accessible(page: Page) -> None:
    """Assert it of the page as it is now: by axe, by its width, and by the size of controls."""
    assert await _violations(page) == []
    wide, width = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= width
    controls = page.locator("button, input:not([type=radio]), .choices label, select, summary")
    assert await controls.evaluate_all(_TOO_SMALL) == []


async def tab_to(page: Page, where: str, *, by: str = "Tab") -> None:
    """Press a key until something has the focus, and see it at each step.

    `where` is its id, or what it has or is.
    """
    for _ in range(40):
        await page.keyboard.press(by)
        name, outline = await page.evaluate(_FOCUS)
        assert outline == "solid", name
        if name == where:
            return
    raise AssertionError(f"the keyboard does not lead to {where}")


async def _violations(page: Page) -> list[str]:
    axe = (node_tools() / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    await page.evaluate(f"{axe}; undefined")
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
