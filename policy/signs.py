"""What a single request says of itself, by its headers and its content. Pure.

Fragments are literal text: no pattern of an operator's is ever run, and what is
looked at is cut to a length that no honest request has.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from policy.rules import Finding, Mode, Rule

if TYPE_CHECKING:
    from policy.rules import Client, Content, ContentRule, HeadersRule, Rules

MODEL_LENGTH = 256
INSTRUCTION_LENGTH = 4_096
"""In characters; the API takes 1,000."""

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def findings(client: Client, content: Content, rules: Rules) -> list[Finding]:
    """Return what each rule makes of one request."""
    return [
        _headers(Rule.REQUIRED_HEADERS, rules.required_headers, client),
        _headers(Rule.SUSPICIOUS_HEADERS, rules.suspicious_headers, client),
        _content(rules.suspicious_content, content),
    ]


def _headers(name: Rule, rule: HeadersRule, client: Client) -> Finding:
    if rule.mode is Mode.OFF or client.headers is None:
        return Finding(name, rule.mode, broken=False, applies=False, violation=rule.violation)
    required = name is Rule.REQUIRED_HEADERS
    wrong = rule.names - client.headers if required else rule.names & client.headers
    return _finding(name, rule, len(wrong))


def _content(rule: ContentRule, content: Content) -> Finding:
    name = Rule.SUSPICIOUS_CONTENT
    if rule.mode is Mode.OFF or not (content.model or content.instruction):
        return Finding(name, rule.mode, broken=False, applies=False, violation=rule.violation)
    model = _plain(content.model[:MODEL_LENGTH])
    instruction = _plain(content.instruction[:INSTRUCTION_LENGTH])
    found = {fragment for fragment in rule.model_fragments if fragment in model}
    if instruction and rule.instruction_fragments:
        code = _code(rule.instruction_fragments).findall(instruction)
        found |= {fragment.lower() for fragment in code}
    return _finding(name, rule, len(found))


def _finding(name: Rule, rule: HeadersRule | ContentRule, wrong: int) -> Finding:
    return Finding(name, rule.mode, wrong > 0, observed=wrong, violation=rule.violation)


def _plain(text: str) -> str:
    """Return `text` without what only looks different, or is not seen at all."""
    return text if text.isascii() else unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))


@lru_cache(maxsize=64)
def _code(fragments: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds any of `fragments`: alternatives of literals, so linear in the text."""
    return re.compile("|".join(map(_literal, fragments)), re.IGNORECASE)


def _literal(fragment: str) -> str:
    """Return a fragment as it stands in code, and not inside of a word or before a new sentence."""
    before = r"(?<!\w)" if fragment[0].isalpha() else ""
    after = r"(?=[^\W\d]|\$)" if fragment.endswith(".") else ""
    return f"{before}{re.escape(_plain(fragment))}{after}"
