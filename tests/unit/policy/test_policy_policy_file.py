"""The policy file: what it puts in force, and what it must not say."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from textwrap import dedent
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings, strategies as st

from policy.effective import EffectivePolicy, Tier
from policy.file import schema as policy_schema
from policy.file.reading import PolicyFileError, parse, schema, without_file
from policy.file.strict_yaml import MAX_BYTES, read
from policy.limits import Limits
from policy.rules import Mode, Rule, Rules

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "deploy/policy.yaml"
SCHEMA = ROOT / "policy/policy.schema.json"
DEFAULTS = Limits()
ALONE = Tier().degraded_limits


def policy(text: str, defaults: Limits = DEFAULTS) -> EffectivePolicy:
    """Return what a file puts in force."""
    return parse(text, defaults=defaults, degraded_defaults=ALONE)


def body(text: str) -> EffectivePolicy:
    """Return what a file puts in force that says `text` after its version."""
    return policy(f"version: 1\n{dedent(text)}")


def problems(text: str, defaults: Limits = DEFAULTS) -> list[str]:
    """Return what is wrong with a file."""
    with pytest.raises(PolicyFileError) as refused:
        policy(text, defaults)
    assert str(refused.value) == "\n".join(refused.value.problems)
    assert all(problem.startswith("policy.yaml") for problem in refused.value.problems)
    return [problem.removeprefix("policy.yaml") for problem in refused.value.problems]


class TestWhatItSays:
    """Defaults, what goes before them, and tiers."""

    def test_nothing_said_is_every_default(self) -> None:
        """Without a file, and with one that says nothing, the contract's defaults are in force."""
        silent = policy("version: 1")
        assert silent == without_file(defaults=DEFAULTS, degraded_defaults=ALONE)
        assert silent.default == Tier()
        assert (silent.tiers, silent.denied, silent.exempt) == ({}, (), ())

    def test_the_file_goes_before_the_environment(self) -> None:
        """What the file says wins; what it leaves out is as the environment says."""
        environment = Limits(7, 70, 420_000, 3)
        found = policy("version: 1\nlimits: {tokens_per_hour: 20}", environment).default.limits
        assert found == Limits(20, 70, 420_000, 3)

    def test_a_tier_is_what_it_says_over_the_rest(self) -> None:
        """Limits and rules of a tier are the general ones but for what it says."""
        found = body("""
            limits: {tokens_per_hour: 3, cooldown_minutes: 0.05}
            rules: {volume: {requests: 50, window_minutes: 2.5}}
            tiers:
              pro:
                limits: {tokens_per_hour: 60, tokens_per_day: 600}
                rules: {volume: {requests: 200}, machine_timing: {mode: off}}
        """)
        pro = found.tier("pro")
        assert pro.name == "pro"
        assert pro.limits == Limits(60, 600, 3_000)
        assert (pro.rules.volume.most, pro.rules.volume.window_ms) == (200, 150_000)
        assert pro.rules.machine_timing.mode is Mode.OFF
        assert pro.rules == replace(
            found.default.rules, volume=pro.rules.volume, machine_timing=pro.rules.machine_timing
        )
        assert found.tier("nobody") is found.default
        assert found.default.limits == Limits(3, 100, 3_000)

    def test_degraded_limits_are_never_laxer(self) -> None:
        """What is not said of deciding alone is the default, or the limits where these are less."""
        found = body("""
            limits: {tokens_per_hour: 1, cooldown_minutes: 10, concurrent_sessions: 2}
            tiers: {pro: {limits: {tokens_per_hour: 60}, degraded: {tokens_per_hour: 9}}}
        """)
        assert found.default.degraded_limits == Limits(1, 10, 600_000, 2)
        assert found.tier("pro").degraded_limits == Limits(9, 10, 600_000, 2)

    def test_addresses(self) -> None:
        """Networks and single addresses, of both kinds."""
        found = body("addresses: {deny: [192.0.2.0/24, '2001:db8::/32'], exempt: [198.51.100.7]}")
        assert found.denied == (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
        assert found.denies("192.0.2.200")
        assert found.denies("2001:db8::1")
        assert found.exempts("198.51.100.7")
        assert not found.exempts("198.51.100.8")

    def test_off_is_a_word(self) -> None:
        """`mode: off` means off, quoted or not, whatever older YAML made of it."""
        for word in ("off", "'off'"):
            assert (
                body(f"rules: {{volume: {{mode: {word}}}}}").default.rules.volume.mode is Mode.OFF
            )


class TestWhatItMustNotSay:
    """Every mistake has a line that says where, what and what it must be."""

    @pytest.mark.parametrize(
        "text, problem",
        [
            ("", ": version: must be there"),
            ("version: 2", ":1: version: must be at most 1"),
            ("version: true", ":1: version: must be a whole number"),
            ("- 1", ":1: must be a mapping, of names to values"),
            ("version: 1\nversion: 1", ":2: must not say 'version' again, after line 1"),
            ("version: 1\nlimits:\n", ":2: limits: must be a mapping, of names to values"),
            ("version: 1\n1: 2", ":2: must have keys that are text"),
            ("version: 1\nlimits: !!map {}", ""),
            ("version: 1\nlimits: !!python/object:os.system x", ":2: must not have a tag"),
            ("version: 1\nlimits: *a", ":2: must not use aliases: write it out"),
            ("version: 1\n---\nversion: 1", ":2: expected a single document"),
            ("version: 1\n\tx", ":2: while scanning for the next token found character"),
            ("version: \x00", ": unacceptable character"),
            ("version: 1\nx: " + "[" * 90_000, ":2: must not be nested more than 16 deep"),
            ("version: 1 #" + "x" * MAX_BYTES, ": must not be longer than 262144 bytes"),
        ],
    )
    def test_files_that_are_no_policy(self, text: str, problem: str) -> None:
        """What is no YAML, or YAML with surprises, is refused with its line."""
        if not problem:
            policy(text)
            return
        assert problems(text)[0].startswith(problem)

    @pytest.mark.parametrize(
        "value",
        ["0", "-1", "unlimited", "infinity", ".inf", "1e9", "true", "1.0", "'5'", "010", "~", "[]"],
    )
    @pytest.mark.parametrize("field", ["tokens_per_hour", "tokens_per_day"])
    def test_no_limit_can_be_switched_off_by_a_slip(self, field: str, value: str) -> None:
        """Only a whole number from 1 to 1,000,000 is a limit."""
        (problem,) = problems(f"version: 1\nlimits:\n  {field}: {value}")
        assert problem.startswith(f":3: limits.{field}: must be a")

    @pytest.mark.parametrize(
        "path, value",
        [
            ("limits.cooldown_minutes", "-1"),
            ("limits.cooldown_minutes", "1441"),
            ("limits.cooldown_minutes", "0.000001"),
            ("limits.cooldown_minutes", "false"),
            ("limits.cooldown_minutes", ".nan"),
            ("limits.concurrent_sessions", "-1"),
            ("limits.refunds_per_hour", "1001"),
            ("limits.token_per_hour", "5"),
            ("rules.volume.requests", "0"),
            ("rules.volume.requests", "485"),
            ("rules.volume.window_minutes", "0"),
            ("rules.volume.window_minutes", "1441"),
            ("rules.volume.mode", "on"),
            ("rules.volume.mode", "false"),
            ("rules.volume.violation", "0"),
            ("rules.identical_requests.known", "1"),
            ("rules.parameter_enumeration.distinct", "10"),
            ("rules.machine_timing.deviation_ms", "0"),
            ("rules.machine_timing.deviation_ms", "1e400"),
            ("rules.required_headers.names", "[]"),
            ("rules.required_headers.names[0]", "[x-forwarded-host]"),
            ("rules.suspicious_headers.names[0]", "[User-Agent]"),
            ("rules.suspicious_content.model_fragments[0]", "['']"),
            ("rules.suspicious_content.instruction_fragments[0]", "['\u200b']"),
            ("rules.blocking.violations", "0"),
            ("rules.blocking.block_minutes", "0"),
            ("rules.blocking.block_minutes", "10081"),
            ("rules.bribery", "{}"),
            ("tiers.default", "{}"),
            ("tiers.a b", "{}"),
            ("tiers.a.rules.failed_credentials", "{mode: off}"),
            ("degraded.refunds_per_hour", "6"),
            ("degraded.cooldown_minutes", "4"),
            ("addresses.deny[0]", "[0.0.0.0/0]"),
            ("addresses.exempt[0]", "['::/0']"),
            ("addresses.exempt[0]", "[10.0.0.1/8]"),
            ("addresses.deny[0]", "['::ffff:192.0.2.0/120']"),
            ("addresses.deny[0]", "[example.com]"),
            ("addresses.deny[0]", "[5]"),
        ],
    )
    def test_values_that_cannot_be(self, path: str, value: str) -> None:
        """A value out of range, of another type, or of no field, is refused by its name."""
        *sections, field = path.removesuffix("[0]").split(".")
        lines = [f"{' ' * depth}{section}:" for depth, section in enumerate(sections)]
        lines.append(f"{' ' * len(sections)}{field}: {value}")
        (problem,) = problems("\n".join(["version: 1", *lines]))
        assert re.match(rf":{len(lines) + 1}: {re.escape(path)}: must ", problem), problem

    def test_all_mistakes_are_told_at_once(self) -> None:
        """Two mistakes are two lines."""
        assert len(problems("version: 1\nlimits: {tokens_per_hour: 0, x: 1}")) == 2

    def test_a_day_of_less_than_an_hour(self) -> None:
        """File and environment may contradict each other: the line says where a value is from."""
        (problem,) = problems("version: 1\nlimits: {tokens_per_hour: 200}")
        assert "limits.tokens_per_day: must not be less than tokens_per_hour, 200" in problem
        assert "LIVE_API_MAX_TOKENS_PER_DAY" in problem
        (problem,) = problems("version: 1\ntiers: {a: {limits: {tokens_per_day: 9}}}")
        assert problem.startswith(":2: tiers.a.limits.tokens_per_day: must not be less than")

    def test_defaults_are_judged_like_the_file(self) -> None:
        """A limit out of range gets in by no side door."""
        (problem,) = problems("version: 1", Limits(10, 10_000_000))
        assert problem == ": limits.tokens_per_day: must be at most 1,000,000"

    def test_a_billion_laughs(self) -> None:
        """Names for names for names are not followed."""
        lines = ["a0: &a0 ha"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
        assert problems("\n".join(lines)) == [":2: must not use aliases: write it out"]


KINDS = ["volume", "identical_requests", "parameter_enumeration", "machine_timing"]
SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "limits": st.fixed_dictionaries(
            {},
            optional={
                "tokens_per_hour": st.integers(1, 100),
                "tokens_per_day": st.integers(100, 1_000_000),
                "cooldown_minutes": st.one_of(
                    st.integers(0, 1_440), st.integers(0, 86_400_000).map(lambda ms: ms / 60_000)
                ),
                "concurrent_sessions": st.integers(0, 5),
                "refunds_per_hour": st.integers(0, 1_000),
            },
        ),
        "degraded": st.fixed_dictionaries({}, optional={"tokens_per_hour": st.just(1)}),
        "rules": st.dictionaries(
            st.sampled_from(KINDS),
            st.fixed_dictionaries(
                {},
                optional={
                    "mode": st.sampled_from([mode.value for mode in Mode]),
                    "violation": st.booleans(),
                    "window_minutes": st.integers(600, 86_400_000).map(lambda ms: ms / 60_000),
                },
            ),
        ),
    },
)


@given(
    SECTIONS,
    st.dictionaries(
        st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,9}", fullmatch=True), SECTIONS, max_size=3
    ),
    st.builds(Limits, st.integers(1, 10), st.integers(100, 200), st.integers(0, 10**7)),
)
@settings(max_examples=50, deadline=None)
def test_a_policy_in_force_is_a_policy_file(
    general: dict[str, Any], tiers: dict[str, Any], defaults: Limits
) -> None:
    """Written down and read again, whatever the environment then says, it is the same policy."""
    tiers.pop("default", None)
    text = yaml.safe_dump({"version": 1, "tiers": tiers, **general})
    found = policy(text, defaults)
    assert policy(found.yaml, Limits(1, 1, 1, 1, 1)) == found
    assert found.digest == hashlib.sha256(found.yaml.encode()).hexdigest()
    jsonschema.validate(read(found.yaml).value, schema())


class TestSchema:
    """What editors and CI check policy files by."""

    def test_the_committed_schema_is_fresh(self) -> None:
        """policy.schema.json is what `python -m policy.file.schema` prints."""
        assert SCHEMA.read_text(encoding="utf-8") == policy_schema.text()
        jsonschema.Draft202012Validator.check_schema(schema())

    def test_everything_is_described(self) -> None:
        """Each section has a description, and each field whose name does not say it all."""
        assert all(section.get("description") for section in schema()["$defs"].values())

    def test_the_example_is_every_default(self) -> None:
        """deploy/policy.yaml is valid, names the schema, and changes nothing."""
        text = EXAMPLE.read_text(encoding="utf-8")
        jsonschema.validate(read(text).value, schema())
        (relative,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
        assert (EXAMPLE.parent / relative).resolve() == SCHEMA
        found = policy(text)
        assert found == without_file(defaults=DEFAULTS, degraded_defaults=ALONE)
        assert found.default.rules == Rules()

    def test_the_example_leaves_nothing_out(self) -> None:
        """Every field that there is stands in the example."""
        whole = yaml.safe_load(policy("version: 1").yaml)
        assert shape(read(EXAMPLE.read_text(encoding="utf-8")).value) == shape(whole)

    def test_the_examples_tiers_are_valid(self) -> None:
        """With the comment marks gone, its tiers are in force."""
        text = EXAMPLE.read_text(encoding="utf-8").replace("tiers: {}", "tiers:")
        head, tail = text.split("tiers:\n")
        found = policy(head + "tiers:\n" + re.sub(r"^# ", "", tail, flags=re.MULTILINE))
        assert set(found.tiers) == {"free", "pro", "service"}
        assert found.tier("service").rules.machine_timing.mode is Mode.OFF

    def test_the_rules_are_documented(self) -> None:
        """docs/abuse.md has a row for each rule, and one for blocking."""
        document = (ROOT / "docs/abuse.md").read_text(encoding="utf-8")
        table = document.split("## The rules")[1].split("## ")[0]
        rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
        assert rows == [*(rule.value for rule in Rule), "blocking"]

    @pytest.mark.parametrize(
        "text",
        [
            "{}",
            "version: 2",
            "version: 1\nlimit: {}",
            "version: 1\nlimits: {tokens_per_hour: 0}",
            "version: 1\nrules: {volume: {mode: on}}",
            "version: 1\naddresses: {deny: 5}",
        ],
    )
    def test_the_schema_refuses_what_policy_refuses(self, text: str) -> None:
        """An editor shows most mistakes before policy does."""
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(read(text).value, json.loads(SCHEMA.read_text(encoding="utf-8")))
        assert problems(text)


def shape(value: Any) -> Any:
    """Return the names in a document, without its values."""
    return {key: shape(item) for key, item in value.items()} if isinstance(value, dict) else None
