"""What is told of queries is what stands in them."""

from __future__ import annotations

import pytest
from promql_names import names_in


@pytest.mark.parametrize(
    "query, selectors, grouping",
    [
        ("up", [("up", {})], set()),
        ('up{job="a,b}",x!~"y"} == 0', [("up", {"job": "a,b}", "x": "y"})], set()),
        ("sum(rate(a_total[5m])) or vector(0)", [("a_total", {})], set()),
        ("sum by (x, y) (a) / on (z) group_left () b", [("a", {}), ("b", {})], {"x", "y", "z"}),
        ("sum(a) without (x)", [("a", {})], {"x"}),
        ("a offset 5m > bool 1e3 and b{} unless c", [("a", {}), ("b", {}), ("c", {})], set()),
        ("# about d\nlevel:a:rate5m * 0.5", [("level:a:rate5m", {})], set()),
        ('a{le="2.5"} > 14.4 * .001', [("a", {"le": "2.5"})], set()),
        ("a[$__rate_interval]", [("a", {})], set()),
        ("count(count by (v) (b))", [("b", {})], {"v"}),
        ("a == Inf", [("a", {})], set()),
    ],
)
def test_series_and_labels_are_told_apart(
    query: str, selectors: list[tuple[str, dict[str, str]]], grouping: set[str]
) -> None:
    """Functions, keywords, numbers, durations and strings are none."""
    found = names_in(query)
    assert (found.selectors, found.grouping) == (selectors, grouping)


@pytest.mark.parametrize("query", ["a ; b", '{__name__=~"a.*"}'])
def test_what_cannot_be_told_is_refused(query: str) -> None:
    """So that nothing slips by."""
    with pytest.raises(ValueError, match=r"no PromQL|without a name"):
        names_in(query)
