"""The report of a replay in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policy.replay import Report, Row

_HEADER = ["RULE", "LOGGED REFUSED", "CANDIDATE REFUSED", "NEWLY REFUSED", "NEWLY GRANTED"]
_SHADOW = ["LOGGED SHADOW", "CANDIDATE SHADOW"]


def told(report: Report) -> str:
    """Return what would change, rule by rule."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    if report.began_at is None or report.ended_at is None:
        yield "There is no entry in the log."
    else:
        yield (
            f"{report.decisions} decisions about {report.users} users, "
            f"{terminal.moment(report.began_at)} to {terminal.moment(report.ended_at)}."
        )
        yield _sentence(report)
    if report.rules:
        yield ""
        yield _table(report)
    yield from _examples(report)
    notes = list(_notes(report))
    if notes:
        yield ""
        yield from (f"Note: {note}" for note in notes)
    yield from (f"  {example}" for example in report.malformed_examples)


def _sentence(report: Report) -> str:
    if not report.users_affected:
        return "Nothing would change: nobody would be refused or granted a token who was not."
    return (
        f"{report.newly_refused} would be refused and {report.newly_granted} granted "
        f"that were not; {report.users_affected} users would be affected."
    )


def _table(report: Report) -> str:
    rules = sorted(
        report.rules.items(), key=lambda item: (-item[1].newly_refused, -item[1].newly_granted)
    )
    shadows = any(row.logged_shadow or row.candidate_shadow for _, row in rules)
    rows = [[terminal.plain(name), *_cells(row, shadows=shadows)] for name, row in rules]
    totals = ["total"] + [
        str(number)
        for number in (
            report.logged_refused,
            report.candidate_refused,
            report.newly_refused,
            report.newly_granted,
        )
    ]
    if shadows:
        totals += ["", ""]
    header = _HEADER + (_SHADOW if shadows else [])
    return terminal.table(header, [*rows, totals], right="123456")


def _cells(row: Row, *, shadows: bool) -> list[str]:
    cells = [row.logged_refused, row.candidate_refused, row.newly_refused, row.newly_granted]
    if shadows:
        cells += [row.logged_shadow, row.candidate_shadow]
    return [str(cell) for cell in cells]


def _examples(report: Report) -> Iterator[str]:
    found = [
        (name, change, ids)
        for name, row in report.rules.items()
        for change, ids in (
            ("newly refused", row.newly_refused_examples),
            ("newly granted", row.newly_granted_examples),
        )
        if ids
    ]
    if found:
        yield ""
        yield "For example:"
        for name, change, ids in found:
            yield f"  {terminal.plain(name)}, {change}: {terminal.plain(' '.join(ids))}"


def _notes(report: Report) -> Iterator[str]:
    if report.began_at is not None and not report.whole:
        yield (
            "what users had been charged before the log begins is not known; "
            "in its first 24 hours the candidate may seem more generous than it is."
        )
    if report.earlier_commits:
        yield f"commits of reservations from before the log: {report.earlier_commits}."
    if report.refused_otherwise:
        yield f"{report.refused_otherwise} would be refused by another rule than they were."
    if report.policies > 1:
        yield f"the log was made under {report.policies} policies."
    if report.degraded:
        yield f"{report.degraded} were decided without the store; here, all were with it."
    if report.denied:
        yield (
            f"{report.denied} came from denied addresses: whether the candidate denies them "
            "cannot be told, for the log has only hashes of addresses. They stay refused."
        )
    if report.content_taken:
        yield (
            f"of {report.content_taken} requests the log says that their content was suspicious; "
            "that is taken as it is, for the content is not in the log."
        )
    if report.decisions and not report.content_judged:
        yield (
            "the log says nothing about the content of requests: the rule about it was off, "
            "or there was none. Here, it refuses nobody."
        )
    if report.malformed:
        yield f"lines that are no entries and were left out: {report.malformed}."
