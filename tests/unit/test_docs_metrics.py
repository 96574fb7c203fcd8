"""docs/metrics.md says what the table of metrics says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving import metrics, metrics_reference
from serving.instruments import Counter, Histogram, label

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/metrics.md"


def test_the_document_is_fresh() -> None:
    """To write it anew changes nothing: else run `python -m serving.metrics_reference FILE`."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert metrics_reference.put_into(text) == text


def test_every_metric_and_label_is_in_it() -> None:
    """A name at OpenTelemetry, and a row for each label."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for each in metrics.ALL:
        section = text.split(f"### `{each.name}`\n")[1].split("### ", maxsplit=1)[0]
        assert each.about in section
        for of_it in each.labels.values():
            assert f"| `{of_it.key}` |" in section


def test_a_section_tells_what_to_ask_for_and_what_its_labels_may_be() -> None:
    """Names at Prometheus, bounds of buckets, values of labels, and how many where none are listed.

    The instruments are of no meter's concern: without a provider they do nothing.
    """
    shown = metrics_reference.reference(
        [
            Histogram("a.wait", "s", "How long.", bounds=(0.5, 2), by=label("a.by", "", "x", "w")),
            Counter("a.count", "{thing}", "How many.", of=label("a.of", "which", most=7)),
        ]
    )
    assert "`a_wait_seconds_bucket`, `a_wait_seconds_sum`, `a_wait_seconds_count`" in shown
    assert "- bounds: 0.5, 2\n" in shown
    assert "| `a.by` | `a_by` | – | `w`, `x` |\n" in shown  # noqa: RUF001 - as it stands there
    assert "- counter, unit `{thing}`\n- at Prometheus: `a_count_total`\n" in shown
    assert "| `a.of` | `a_of` | which | at most 7, then `_OTHER` |\n" in shown


def test_a_document_without_the_mark_is_left_alone() -> None:
    """Nothing says where the reference would go."""
    with pytest.raises(ValueError, match="there is no line"):
        metrics_reference.put_into("# Something else\n")


def test_it_prints(tmp_path: Path) -> None:
    """As a program it prints the reference, or writes it into a document."""
    run = [sys.executable, "-m", "serving.metrics_reference"]
    printed = subprocess.run(run, cwd=ROOT, check=True, capture_output=True, timeout=60)
    assert printed.stdout.decode() == metrics_reference.reference()
    document = tmp_path / "metrics.md"
    document.write_text(f"# Ours\n{metrics_reference.MARK}old\n", encoding="utf-8")
    subprocess.run([*run, str(document)], cwd=ROOT, check=True, timeout=60)
    written = document.read_text(encoding="utf-8")
    assert written == f"# Ours\n{metrics_reference.MARK}\n{metrics_reference.reference()}"
