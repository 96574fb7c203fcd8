"""The table of metrics as Markdown: `python -m serving.metrics_reference [docs/metrics.md]`.

Prints it, or puts it into a document, in place of all that follows `MARK` there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from serving import metrics, prometheus_names
from serving.instruments import OTHER, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from serving.instruments import Instrument, Label

MARK = (
    "<!-- What follows is written by `python -m serving.metrics_reference docs/metrics.md`. -->\n"
)


def reference(instruments: Iterable[Instrument] = metrics.ALL) -> str:
    """Return a section for each of the metrics, in their order."""
    return "\n".join(line for each in instruments for line in _section(each))


def put_into(document: str) -> str:
    """Return `document` with the reference as it is now.

    Raises:
        ValueError: There is no `MARK` in it.

    """
    head, mark, _ = document.partition(MARK)
    if not mark:
        raise ValueError(f"there is no line {MARK.strip()}")
    return f"{head}{mark}\n{reference()}"


def _section(instrument: Instrument) -> Iterator[str]:
    series = prometheus_names.series_names(instrument.name, instrument.unit, instrument.kind)
    yield f"### `{instrument.name}`"
    yield ""
    yield instrument.about
    yield ""
    yield f"- {instrument.kind}, unit `{instrument.unit}`"
    yield f"- at Prometheus: {_listed(series)}"
    if isinstance(instrument, Histogram):
        yield f"- bounds: {', '.join(f'{bound:g}' for bound in instrument.bounds)}"
    yield ""
    if instrument.labels:
        yield "| Attribute | Label | Meaning | Values |"
        yield "|---|---|---|---|"
        yield from map(_row, instrument.labels.values())
        yield ""


def _row(label: Label) -> str:
    shown = prometheus_names.label_name(label.key)
    return f"| `{label.key}` | `{shown}` | {label.about or '–'} | {_bound(label)} |"  # noqa: RUF001 - as in all our tables


def _bound(label: Label) -> str:
    if label.values is None:
        return f"at most {label.most}, then `{OTHER}`"
    return _listed(sorted(label.values))


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _main(arguments: Sequence[str]) -> None:
    if not arguments:
        sys.stdout.write(reference())
        return
    path = Path(arguments[0])
    path.write_text(put_into(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    _main(sys.argv[1:])
