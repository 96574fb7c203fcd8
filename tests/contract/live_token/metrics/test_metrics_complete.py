"""Every metric of the table has a value somewhere, and a test that says so."""

from __future__ import annotations

import ast
import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from live_token import HEALTH, MODEL, USAGE, Chain, eventually
from metering import Measured, measured
from named_tests import ROOT, TESTS

from serving import measuring, metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serving.instruments import Instrument

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

ELSEWHERE = {
    metrics.HTTP_CONNECTIONS_REFUSED: "test_connections_without_room_are_counted",
    metrics.HTTP_UNREAD: "test_what_becomes_no_request_is_counted",
    metrics.JWKS_AGE: "test_the_age_of_signing_keys",
    metrics.LOOP_DELAY: "test_a_process_is_scraped",
    metrics.RECORDS_DROPPED: "test_rows_of_the_ledger",
    metrics.SHED: "test_what_is_shed_counts_where_it_is",
    metrics.SPANS_UNKEPT: "test_no_more_are_kept_than_may_be",
}
"""What needs more than callers and a Gemini that fails, and the test of it."""


@pytest.fixture
def counted() -> Iterator[Measured]:
    """Return what is measured from now on."""
    with measured() as begun:
        yield begun


async def test_a_day_of_the_chain_measures_all_of_it(
    counted: Measured, launch: Any, tmp_path: Path
) -> None:
    """Tokens, repeats, refusals, a block, a failing Gemini, a lease that ran out: all counts."""
    measuring.process()
    chain: Chain = await launch(
        TOKENSERVICE_STORE_URL=f"sqlite:{tmp_path}/keys.db", POLICY_LEASE_MS="1000"
    )
    for _ in range(2):
        await chain.call(subject="ann", headers={"Idempotency-Key": "once"})
    await chain.mint("ann")  # too soon
    for number in range(6):
        await chain.call(headers={"Authorization": f"Bearer guess-{number}"}, address="127.0.0.8")
    await chain.call("GET", USAGE, subject="ann")
    await chain.call("GET", HEALTH)
    chain.fail(status=503, count=1)
    await chain.mint("bob")  # at the second attempt
    chain.fail(status=503, count=2)
    await chain.mint("cid")
    async with chain.held() as asked:
        late = asyncio.ensure_future(chain.mint("dan"))
        await asked()
        chain.clock.advance(2)
    assert (await late).status == 503
    await eventually(lambda: counted.more(metrics.LOST_COMMITS) == 1)
    missing = {each.name for each in metrics.ALL if not counted.has(each)}
    assert missing - {each.name for each in ELSEWHERE} == set()
    assert counted.more(metrics.ISSUED, model=MODEL) == 2
    assert counted.more(metrics.UPSTREAM_RETRIES) >= 2


def test_what_is_measured_elsewhere_has_its_test() -> None:
    """Each of them names a test that there is, in a file that names the metric."""
    texts = {file: file.read_text(encoding="utf-8") for file in _test_files()}
    for metric, test in ELSEWHERE.items():
        (file,) = (file for file, text in texts.items() if f"def {test}(" in text)
        assert _constant(metric) in _named_in(file)


def test_each_metric_is_named_in_a_test_of_its_own() -> None:
    """A metric that no test asks for is not known to say what its name says."""
    named = {
        name
        for file in _test_files()
        if file.name != "test_metrics_complete.py"
        for name in _named_in(file)
    }
    assert {_constant(each) for each in metrics.ALL} - named == set()


def test_each_metric_is_measured_by_the_code() -> None:
    """What nothing measures is no metric."""
    rooms = ("gateway", "policy", "serving", "tokenservice")
    named = {
        name for room in rooms for file in (ROOT / room).rglob("*.py") for name in _named_in(file)
    }
    assert {_constant(each) for each in metrics.ALL} - named == set()


def _constant(metric: Instrument) -> str:
    (name,) = (name for name, value in vars(metrics).items() if value is metric)
    return name


def _test_files() -> list[Path]:
    return sorted(TESTS.rglob("test_*.py"))


def _named_in(file: Path) -> set[str]:
    """Return which attributes of `metrics` a file names."""
    text = file.read_text(encoding="utf-8")
    return {
        node.attr
        for node in (ast.walk(ast.parse(text)) if "metrics." in text else ())
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "metrics"
    }
