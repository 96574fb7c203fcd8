"""What a single request says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policy.rules import Client, Content, ContentRule, Finding, HeadersRule, Mode, Rule, Rules
from policy.signs import INSTRUCTION_LENGTH, findings

RULES = Rules()
BROWSER = Client(headers=frozenset({"user-agent", "accept", "origin"}))
NOTHING = Content()


def finding(
    rule: Rule, client: Client = BROWSER, content: Content = NOTHING, rules: Rules = RULES
) -> Finding:
    """Return what one rule makes of a request."""
    return next(found for found in findings(client, content, rules) if found.rule is rule)


def suspicious(instruction: str = "", model: str = "", rules: Rules = RULES) -> bool:
    """Whether content is refused."""
    content = Content(model=model, instruction=instruction)
    return finding(Rule.SUSPICIOUS_CONTENT, content=content, rules=rules).refuses


class TestHeaders:
    """Names of headers that a client sent itself."""

    def test_a_request_without_user_agent_is_refused(self) -> None:
        """The header must be there."""
        found = finding(Rule.REQUIRED_HEADERS, Client(headers=frozenset({"accept"})))
        assert (found.refuses, found.observed, found.threshold) == (True, 1, 0)
        assert not finding(Rule.REQUIRED_HEADERS).broken

    @pytest.mark.parametrize(
        "name", ["x-forwarded-host", "x-originating-ip", "x-cluster-client-ip"]
    )
    def test_a_header_that_only_a_proxy_sends_is_refused(self, name: str) -> None:
        """Each of the contract's headers, and how many there were."""
        client = Client(headers=frozenset({"user-agent", name}))
        found = finding(Rule.SUSPICIOUS_HEADERS, client)
        assert (found.refuses, found.observed) == (True, 1)

    def test_what_a_trusted_proxy_added_is_not_seen(self) -> None:
        """Behind a trusted proxy the names are not reported, and nothing is refused."""
        assert not finding(Rule.SUSPICIOUS_HEADERS).broken

    @pytest.mark.parametrize("rule", [Rule.REQUIRED_HEADERS, Rule.SUSPICIOUS_HEADERS])
    def test_a_caller_over_grpc_has_no_headers(self, rule: Rule) -> None:
        """Where there was no HTTP request, no rule about headers applies."""
        found = finding(rule, Client(headers=None))
        assert (found.applies, found.broken) == (False, False)

    @pytest.mark.parametrize("rule", [Rule.REQUIRED_HEADERS, Rule.SUSPICIOUS_HEADERS])
    def test_a_header_is_no_violation_by_default(self, rule: Rule) -> None:
        """Who sits behind an odd proxy is told so, and not blocked for it."""
        assert not finding(rule).violation

    def test_shadow_and_off(self) -> None:
        """In shadow mode it is seen and refuses nobody; off, it is not looked for."""
        nameless = Client(headers=frozenset())
        rule = RULES.required_headers
        shadow = replace(RULES, required_headers=replace(rule, mode=Mode.SHADOW, violation=True))
        found = finding(Rule.REQUIRED_HEADERS, nameless, rules=shadow)
        assert (found.broken, found.refuses, found.violation) == (True, False, True)
        off = replace(RULES, required_headers=replace(rule, mode=Mode.OFF))
        assert not finding(Rule.REQUIRED_HEADERS, nameless, rules=off).applies

    def test_other_names(self) -> None:
        """The names are the rule's."""
        rules = replace(RULES, required_headers=HeadersRule(frozenset({"user-agent", "origin"})))
        assert not finding(Rule.REQUIRED_HEADERS, rules=rules).broken
        alone = Client(headers=frozenset({"user-agent"}))
        assert finding(Rule.REQUIRED_HEADERS, alone, rules=rules).broken


class TestContent:
    """Fragments of code, and honest sentences that look like them."""

    @pytest.mark.parametrize(
        "model", ["../etc", "a/b", "models/x", "a\\b", "..", "a\uff0fb", "\u2025"]
    )
    def test_models_that_are_paths(self, model: str) -> None:
        """A model's name has no path in it, nor what only looks different."""
        assert suspicious(model=model)

    @pytest.mark.parametrize("model", ["", "gemini-3.8-live", "gemini-3.8-live-extended-thinking"])
    def test_models_that_are_names(self, model: str) -> None:
        """A dot is no path."""
        assert not suspicious(model=model)

    @pytest.mark.parametrize(
        "instruction",
        [
            "eval(1)",
            "please EVAL(x)",
            "now;eval(x)",
            "window.eval(x)",
            "x = exec('ls')",
            "require('fs')",
            "import('os')",
            "process.exit(1)",
            "run process.env now",
            "process.$x",
            "fs.readFile",
            "node:fs.unlink",
            "use child_process",
            "\uff45\uff56\uff41\uff4c\uff08x)",
            "ev\u200bal(x)",
            "proce\u017f\u017f.exit",  # the long s is one
            "line\nfs.rm",
        ],
    )
    def test_code(self, instruction: str) -> None:
        """In any case and width, wherever a word begins."""
        assert suspicious(instruction)

    @pytest.mark.parametrize(
        "instruction",
        [
            "",
            "You are a helpful assistant.",
            "Sing of medieval(ish) knights",
            "Tell me about medi\u00adeval(ish) times",
            "Take this offs.x as it is",
            "Explain the process. Then stop.",
            "Explain the process.",
            "A process...",
            "version fs.2",
            "Sell me briefs.please",
            "Evaluate (carefully) what I execute (or not)",
            "What you require (or import) is up to you",
            "My grandchild_process",
            "Write to me: jane.process@example.com",
        ],
    )
    def test_honest_sentences(self, instruction: str) -> None:
        """Inside of a word, or before a new sentence, a fragment is none."""
        assert not suspicious(instruction)

    def test_how_many_fragments(self) -> None:
        """A finding says how many different fragments there were."""
        content = Content("a/..", "eval(x) EVAL(y) fs.rm")
        found = finding(Rule.SUSPICIOUS_CONTENT, content=content)
        assert (found.observed, found.threshold, found.violation) == (4, 0, True)

    def test_nothing_to_look_at(self) -> None:
        """Without a model and an instruction the rule does not apply."""
        assert not finding(Rule.SUSPICIOUS_CONTENT).applies

    def test_an_operators_fragments_are_literal(self) -> None:
        """A fragment is text, never a pattern."""
        rules = replace(
            RULES, suspicious_content=ContentRule(instruction_fragments=("(a+)+$", "<script"))
        )
        assert not suspicious("a" * 1_000 + "!", rules=rules)
        assert suspicious("x(a+)+$", rules=rules)
        assert suspicious("a<SCRIPT>", rules=rules)

    def test_no_fragments(self) -> None:
        """A rule without fragments refuses nothing."""
        none = ContentRule(model_fragments=(), instruction_fragments=())
        rules = replace(RULES, suspicious_content=none)
        assert not suspicious("eval(x)", "a/b", rules)

    @pytest.mark.parametrize(
        "text", ["eval" * 25_000, "process." * 12_500, "\ufdfa" * 100_000, "fs." * 33_000 + "x"]
    )
    def test_long_texts_come_to_an_end(self, text: str) -> None:
        """Of 100,000 characters only the first few thousand are looked at, in linear time."""
        suspicious(text, text)
        assert not suspicious("x" * INSTRUCTION_LENGTH + " eval(x)")
