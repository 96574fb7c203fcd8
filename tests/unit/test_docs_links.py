"""Every link of the documents leads somewhere that is there."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_NOT_OURS = {"node_modules", "build", "dist"}
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in _NOT_OURS for part in path.relative_to(ROOT).parts)
)
_FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_INLINE = re.compile(r"\]\(\s*<?([^()\s<>]+(?:\([^()\s]*\)[^()\s<>]*)*)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?\s*$", re.MULTILINE)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*$", re.MULTILINE)
_ANCHOR = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")


def text_of(document: Path) -> str:
    """Return a document without what stands in fences."""
    return _FENCED.sub("", document.read_text(encoding="utf-8"))


def links_of(document: Path) -> Iterator[str]:
    """Yield each link that stays here."""
    text = _CODE.sub("", text_of(document))
    for target in (*_INLINE.findall(text), *_REFERENCE.findall(text)):
        if not re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
            yield target


def anchors_of(document: Path) -> set[str]:
    """Return what a document's headings are called in a link, as code hosts call them."""
    text = text_of(document)
    anchors: set[str] = set(_ANCHOR.findall(text))
    for heading in _HEADING.findall(text):
        slug = _slug(heading)
        name, number = slug, 0
        while name in anchors:
            number += 1
            name = f"{slug}-{number}"
        anchors.add(name)
    return anchors


def _slug(heading: str) -> str:
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    kept = (
        "-" if letter == " " else letter.lower()
        for letter in shown
        if letter in " -_" or unicodedata.category(letter)[0] in "LNM"
    )
    return "".join(kept)


def leads(document: Path, link: str) -> bool:
    """Whether a link leads to a file of the project, and to a heading of it if it names one."""
    path, _, fragment = link.partition("#")
    target = (document.parent / unquote(path)).resolve() if path else document
    if not target.is_relative_to(ROOT) or not target.exists():
        return False
    return not fragment or target.suffix != ".md" or fragment in anchors_of(target)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_to_what_is_there(document: Path) -> None:
    """A file of the project, and a heading of it."""
    assert [link for link in links_of(document) if not leads(document, link)] == []


def test_there_are_documents_with_links() -> None:
    """Else the test above would say nothing."""
    assert sum(len(list(links_of(document))) for document in DOCUMENTS) > 40


def test_a_heading_is_called_as_code_hosts_call_it() -> None:
    """Letters and digits in lower case, spaces as hyphens, the rest dropped."""
    assert _slug("TLS, between `machines`: how?") == "tls-between-machines-how"
    assert _slug("[API keys](x.md) & more") == "api-keys--more"
