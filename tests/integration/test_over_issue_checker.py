"""What the attacks are judged by sees each violation, and nothing else."""

from pathlib import Path

import pytest
from chaos_history import Attempt, Heard, History, Quota, violations

QUOTAS = {"steady": Quota(per_hour=3, cooldown=10.0), "burst": Quota(per_hour=3)}


def tokens(
    request: str, sent: float, received: float, *, user: str = "burst-1", count: int = 1
) -> Attempt:
    """Return an attempt that got tokens."""
    made = tuple(f"{request}#{number}" for number in range(count))
    return Attempt(user, request, Heard.TOKENS, sent, received, made)


def found(*attempts: Attempt) -> list[str]:
    """Return the violations in a history of `attempts`."""
    return violations(History(list(attempts)).issues, QUOTAS)


def test_a_full_hour_is_none_too_many() -> None:
    """As many as an hour may have are allowed; one more is not, batches counted by token."""
    allowed = [tokens("a", 0, 1, count=2), tokens("b", 2, 3)]
    assert found(*allowed) == []
    assert found(*allowed, tokens("c", 3598, 3599)) == [
        "burst-1 got 4 in an hour, and may have 3",
    ]


def test_an_hour_that_may_have_passed_accuses_nobody() -> None:
    """A token that may have been issued an hour after the first is not held against anybody."""
    assert found(tokens("a", 0, 1, count=3), tokens("b", 3598, 3600.5)) == []
    assert found(tokens("a", 0, 1, count=3), tokens("b", 3600.5, 3601)) == []


def test_any_hour_is_looked_at() -> None:
    """Also an hour that does not begin with the user's first token may be too full."""
    assert found(tokens("a", 0, 1), tokens("b", 3000, 3001), tokens("c", 6000, 6001, count=3)) == [
        "burst-1 got 4 in an hour, and may have 3"
    ]


@pytest.mark.parametrize(
    "sent, received, seen",
    [
        (5, 9.9, True),  # at 0 and 9.9 at most
        (5, 11, False),  # perhaps at 0 and 11
        (10.1, 10.2, False),
        (0.5, 0.6, True),
    ],
)
def test_a_cooldown_is_broken_where_it_is_certain(sent: float, received: float, seen: bool) -> None:  # noqa: FBT001 - a case
    """Two issues break the cooldown if they do so whenever in their spans they were."""
    one = tokens("a", 0, 1, user="steady-1")
    other = tokens("b", sent, received, user="steady-1")
    assert bool(found(one, other)) is seen
    assert bool(found(other, one)) is seen
    assert not found(one, tokens("b", sent, received, user="steady-2"))


def test_a_batch_is_one_issue() -> None:
    """Tokens of one commit need no cooldown between them."""
    assert found(tokens("a", 0, 1, user="steady-1", count=3)) == []


def test_a_replay_is_no_issue() -> None:
    """The same tokens again are counted once, and from when their request was first sent."""
    history = History(
        [
            Attempt("steady-1", "a", Heard.NOTHING, 0, 5),
            tokens("a", 20, 21, user="steady-1", count=2),
            tokens("a", 22, 23, user="steady-1", count=2),
        ]
    )
    assert history.delivered == {"steady-1": 2}
    assert [(issue.sent, issue.received) for issue in history.issues] == [(0, 21)]
    assert violations(history.issues, QUOTAS) == []


def test_a_request_has_one_answer_and_a_token_one_holder() -> None:
    """Two tokens for one request, and one token for two, are both seen."""
    other = Attempt("burst-1", "a", Heard.TOKENS, 2, 3, ("b#0",))
    assert len(found(tokens("a", 0, 1), other)) == 1
    assert len(found(tokens("b", 0, 1, user="burst-2"), other)) == 1


def test_what_is_open() -> None:
    """A request is open while nothing is known of it, whatever its first attempts heard."""
    history = History(
        [
            Attempt("burst-1", "unknown", Heard.NOTHING, 0, 1),
            Attempt("burst-1", "refused", Heard.REFUSED, 0, 1),
            Attempt("burst-1", "lost", Heard.LOST, 0, 1),
            Attempt("burst-1", "had", Heard.NOTHING, 0, 1),
            tokens("had", 2, 3),
        ]
    )
    assert set(history.open) == {("burst-1", "unknown")}


def test_a_history_can_be_written(tmp_path: Path) -> None:
    """What was written is read again, of several workers together."""
    one = History([tokens("a", 0, 1, count=2), Attempt("burst-1", "b", Heard.NOTHING, 0, 1)])
    one.notes["replay"] += 2
    files = [tmp_path / "one", tmp_path / "other"]
    for file in files:
        one.write(file)
    both = History.read(files)
    assert both.attempts == one.attempts * 2
    assert both.notes == {"replay": 4}
