"""The pages' files, as they are: typed, plain, and with nobody else's in them."""

import re
import shutil
from pathlib import Path

import pytest
from client_types import tsc

PAGES = Path(__file__).parents[2] / "gateway" / "pages"
ROOMS = ("common", "ops", "playground")
MODULES = sorted(path for room in ROOMS for path in (PAGES / room).glob("*.js"))
TEXTS = sorted(path for room in ROOMS for path in (PAGES / room).iterdir() if path.is_file())
DOCUMENTS = [path for path in TEXTS if path.suffix == ".html"]


def name_of(path: Path) -> str:
    """Say which file it is."""
    return path.relative_to(PAGES).as_posix()


def test_the_modules_are_typed(tmp_path: Path) -> None:
    """Tsc finds nothing wrong with the modules, as strictly as can be."""
    for room in (*ROOMS, "live-token-client"):
        shutil.copytree(PAGES / room, tmp_path / room)
    options = {
        "allowJs": True,
        "checkJs": True,
        "noEmit": True,
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2024",
        "lib": ["es2024", "dom", "dom.iterable"],
        "noUnusedParameters": False,
        "types": [],
    }
    files = [*MODULES, PAGES / "playground" / "audio-worklet.d.ts"]
    tsc(tmp_path, options, [name_of(path) for path in files])


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_makes_html_or_keeps_anything(path: Path) -> None:
    """No module has HTML in strings, evaluates text, writes to the console, or stores anything."""
    text = path.read_text(encoding="utf-8")
    forbidden = (
        r"(inner|outer)HTML|insertAdjacentHTML|document\.write|DOMParser|setHTML"
        r"|\beval\b|new Function|setTimeout\(['\"`]"
        r"|\bconsole\b|localStorage|sessionStorage|indexedDB|\bcaches\b|\.cookie\b"
        r"|history\.|location\.(href|assign|replace|search|hash)"
    )
    assert re.findall(forbidden, text) == []
    assert len(text.splitlines()) <= 300


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_a_page_has_no_script_and_no_style_of_its_own(path: Path) -> None:
    """Scripts and styles are files of the gateway's: nothing is inline."""
    page = path.read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page) == []
    assert re.findall(r"<script[^>]*>[^<]", page) == []
    sources = re.findall(r'(?:src|href|action)="([^"]*)"', page)
    assert sources
    assert all(source.startswith((f"/{path.parent.name}/", "/common/")) for source in sources)


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_nobody_elses_host_is_named(path: Path) -> None:
    """The files name no host but the namespace of SVG."""
    named = re.findall(r"(?:https?|wss?)://[\w.-]+", path.read_text(encoding="utf-8"))
    assert set(named) <= {"http://www.w3.org"}
