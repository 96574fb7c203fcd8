"""What every store does, whatever it keeps things in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from policy.account import Sealed
from policy.decisions import (
    Blocked,
    Committed,
    InProgress,
    Lost,
    Refused,
    Release,
    Replayed,
    Reserved,
    Reused,
    Stats,
    Usage,
)
from policy.limits import DAY_MS, HOUR_MS, Limit, Limits, Verdict
from policy.rules import Rule
from policy.standing import Block, Blocking, Offender, Party, Standing, Violation
from policy.tries import Memory, Try, TryKind

if TYPE_CHECKING:
    from store_bench import Bench

    from policy.decisions import Attempt, CommitOutcome

LEASE = 30_000
WIDE = Limits(tokens_per_hour=90, tokens_per_day=100, cooldown_ms=0)
BLOCKING = Blocking(violations=2, window_ms=10_000, block_ms=20_000)


async def commit(
    bench: Bench, attempt: Attempt, count: int = 1, *, lasts: int = HOUR_MS, sealed: int = 9_000
) -> CommitOutcome:
    """Commit; the result is sealed for `sealed` milliseconds."""
    now = bench.clock.now
    return await bench.store.commit(
        attempt, count, now + lasts, Sealed(b"sealed", now + sealed), bench.limits
    )


async def issue(bench: Bench, attempt: Attempt | None = None, *, lasts: int = HOUR_MS) -> Attempt:
    """Reserve and commit one token."""
    attempt = attempt or bench.attempt()
    assert isinstance((await bench.reserve(attempt)).decision, Reserved)
    assert isinstance(await commit(bench, attempt, lasts=lasts), Committed)
    return attempt


def somebody(bench: Bench, party: Party) -> Offender:
    """Return the user, or an address that no other test uses."""
    return Offender(party, bench.user if party is Party.USER else f"a{bench.user[1:]}")


async def test_a_reservation_charges_all_or_none(bench: Bench) -> None:
    """Of two places three are refused and none is taken; two are then granted."""
    refused = (await bench.reserve(count=3)).decision
    assert refused == Refused(Verdict(Limit.TOKENS_PER_HOUR, 2, None), bench.clock.now)
    granted = (await bench.reserve(count=2)).decision
    assert granted == Reserved(bench.clock.now + LEASE)


async def test_a_refusal_names_the_limit_and_the_moment(bench: Bench) -> None:
    """Until then the same request is refused; at it, granted."""
    await issue(bench)
    bench.clock.now += 5
    await issue(bench)
    bench.clock.now += 10
    opens = bench.clock.now - 15 + HOUR_MS
    refused = (await bench.reserve()).decision
    assert refused == Refused(Verdict(Limit.TOKENS_PER_HOUR, 2, opens), bench.clock.now)
    bench.clock.now = opens - 1
    assert isinstance((await bench.reserve()).decision, Refused)
    bench.clock.now = opens
    assert isinstance((await bench.reserve()).decision, Reserved)


@pytest.mark.parametrize(
    "limits, limit, value, wait",
    [
        (replace(WIDE, tokens_per_day=1), Limit.TOKENS_PER_DAY, 1, DAY_MS),
        (replace(WIDE, cooldown_ms=7), Limit.COOLDOWN, 7, 7),
        (replace(WIDE, concurrent_sessions=1), Limit.CONCURRENT_SESSIONS, 1, 1_000),
    ],
    ids=["day", "cooldown", "sessions"],
)
async def test_every_limit_refuses_to_the_millisecond(
    bench: Bench, limits: Limits, limit: Limit, value: int, wait: int
) -> None:
    """The day, the cooldown and the sessions each refuse as long as they must."""
    bench.limits = limits
    await issue(bench, lasts=1_000)
    opens = bench.clock.now + wait
    bench.clock.now = opens - 1
    refused = (await bench.reserve()).decision
    assert refused == Refused(Verdict(limit, value, opens), opens - 1)
    bench.clock.now = opens
    assert isinstance((await bench.reserve()).decision, Reserved)


async def test_a_long_log_is_counted_to_its_end(bench: Bench) -> None:
    """A hundred charges are counted like one."""
    bench.limits = replace(WIDE, tokens_per_hour=100)
    for _ in range(100):
        assert isinstance((await bench.reserve()).decision, Reserved)
    refused = (await bench.reserve()).decision
    assert isinstance(refused, Refused)
    assert (refused.verdict.limit, refused.verdict.value) == (Limit.TOKENS_PER_DAY, 100)


async def test_repeating_an_attempt_changes_nothing(bench: Bench) -> None:
    """The same attempt again is answered the same and charged once."""
    attempt = bench.attempt()
    first = await bench.reserve(attempt)
    bench.clock.now += 5
    assert await bench.reserve(attempt) == first
    assert len((await bench.store.inspect(bench.user, None)).account.charges) == 1


async def test_another_attempt_at_the_request_waits(bench: Bench) -> None:
    """It is told until when, is not charged, and is remembered as a try."""
    await bench.reserve(bench.attempt(b"request same"))
    answer = await bench.reserve(bench.attempt(b"request same"))
    ends = bench.clock.now + LEASE
    assert answer.decision == InProgress(ends, bench.clock.now)
    assert answer.tries == (Try(bench.clock.now, ends, TryKind.BUSY, b"this"),)
    assert len((await bench.store.inspect(bench.user, None)).account.charges) == 1


@pytest.mark.parametrize("committed", [False, True])
async def test_another_content_is_told_so(bench: Bench, *, committed: bool) -> None:
    """A request id that came with another content is no repeat, pending or issued."""
    first = bench.attempt(b"request same")
    await bench.reserve(first)
    if committed:
        await commit(bench, first)
    answer = await bench.reserve(bench.attempt(b"request same"), fingerprint=b"that")
    assert answer.decision == Reused(bench.clock.now)
    assert answer.tries == (Try(bench.clock.now, 0, TryKind.BUSY, b"that"),)


async def test_a_committed_request_is_replayed_while_its_seal_lasts(bench: Bench) -> None:
    """A repeat gets the sealed result for no charge; once it is over, it is a new request."""
    first = bench.attempt(b"request same")
    await bench.reserve(first)
    await commit(bench, first, sealed=5_000)
    bench.clock.now += 4_999
    answer = await bench.reserve(bench.attempt(b"request same"))
    assert answer.decision == Replayed(b"sealed", Usage(1, 1, 1, None), bench.clock.now)
    assert answer.tries == (Try(bench.clock.now, 0, TryKind.REPLAYED, b"this"),)
    bench.clock.now += 1
    again = await bench.reserve(bench.attempt(b"request same"))
    assert isinstance(again.decision, Reserved)


async def test_a_commit_is_final_and_can_be_repeated(bench: Bench) -> None:
    """It answers with the usage; a repeat answers the same and moves nothing."""
    attempt = bench.attempt()
    await bench.reserve(attempt)
    bench.clock.now += 7
    assert await commit(bench, attempt) == Committed(Usage(1, 1, 1, None))
    before = (await bench.store.inspect(bench.user, None)).account.charges
    bench.clock.now += 7
    assert await commit(bench, attempt, lasts=DAY_MS) == Committed(Usage(1, 1, 1, None))
    after = (await bench.store.inspect(bench.user, None)).account.charges
    assert before == after
    assert after[0].at == bench.clock.now - 7


async def test_a_commit_of_fewer_gives_the_rest_back(bench: Bench) -> None:
    """Of two reserved one is issued; the other's place is free."""
    attempt = bench.attempt()
    await bench.reserve(attempt, 2)
    assert isinstance((await bench.reserve()).decision, Refused)
    await commit(bench, attempt, 1)
    assert isinstance((await bench.reserve()).decision, Reserved)


async def test_a_commit_without_its_reservation_is_lost(bench: Bench) -> None:
    """Never reserved, of more than was, by another owner, after the lease: all lost."""
    attempt = bench.attempt()
    assert await commit(bench, attempt) == Lost()
    await bench.reserve(attempt)
    assert await commit(bench, attempt, 2) == Lost()
    assert await commit(bench, bench.attempt(attempt.request)) == Lost()
    bench.clock.now += LEASE
    assert await commit(bench, attempt) == Lost()
    assert await bench.store.usage(bench.user, bench.limits) == Usage(0, 0, 0, None)


async def test_a_release_gives_back_once(bench: Bench) -> None:
    """The charge is gone, a second release finds nothing, and a commit is lost."""
    attempt = bench.attempt()
    await bench.reserve(attempt, 2)
    for outcome in (Release.RELEASED, Release.NOTHING):
        assert await bench.store.release(attempt, bench.limits, ambiguous=False) is outcome
    assert await commit(bench, attempt) == Lost()
    assert isinstance((await bench.reserve(count=2)).decision, Reserved)


async def test_a_release_leaves_what_came_after(bench: Bench) -> None:
    """Of three charges the one in the middle goes; the others can be committed."""
    bench.limits = WIDE
    attempts = [bench.attempt() for _ in range(3)]
    for each in attempts:
        await bench.reserve(each)
    assert await bench.store.release(attempts[1], WIDE, ambiguous=False) is Release.RELEASED
    for each in (attempts[0], attempts[2]):
        assert isinstance(await commit(bench, each), Committed)


async def test_only_its_owner_releases_and_not_what_was_issued(bench: Bench) -> None:
    """Another attempt finds nothing to release; nor does the owner after the commit."""
    attempt = bench.attempt()
    await bench.reserve(attempt)
    for each in (bench.attempt(attempt.request), await issue(bench)):
        outcome = await bench.store.release(each, bench.limits, ambiguous=False)
        assert outcome is Release.NOTHING
    assert isinstance(await commit(bench, attempt), Committed)


async def test_ambiguous_releases_have_a_budget(bench: Bench) -> None:
    """Beyond it the charge stays, is nobody's to commit, and counts; an hour later it is new."""
    bench.limits = replace(WIDE, refunds_per_hour=1)
    first, second, third = (bench.attempt() for _ in range(3))
    for each, outcome in ((first, Release.RELEASED), (second, Release.KEPT)):
        await bench.reserve(each)
        assert await bench.store.release(each, bench.limits, ambiguous=True) is outcome
    assert await commit(bench, second) == Lost()
    assert (await bench.store.usage(bench.user, bench.limits)).tokens_last_hour == 1
    bench.clock.now += HOUR_MS
    await bench.reserve(third)
    outcome = await bench.store.release(third, bench.limits, ambiguous=True)
    assert outcome is Release.RELEASED


async def test_usage_counts_what_was_issued_and_changes_nothing(bench: Bench) -> None:
    """Active, in the hour, in the day, and when one more would pass; pending counts in none."""
    await issue(bench, lasts=1_000)
    await bench.reserve()
    opens = bench.clock.now + LEASE  # known no better: a pending charge may come to nothing
    before = (await bench.store.inspect(bench.user, None)).account.charges
    usage = await bench.store.usage(bench.user, bench.limits)
    assert usage == Usage(1, 1, 1, bench.clock.now + HOUR_MS)
    assert opens < bench.clock.now + HOUR_MS
    bench.clock.now += DAY_MS
    assert await bench.store.usage(bench.user, bench.limits) == Usage(0, 0, 0, None)
    assert (await bench.store.inspect(bench.user, None)).account.charges == before


async def test_users_do_not_touch_each_other(bench: Bench) -> None:
    """One user's charges leave another's quota and requests alone."""
    await issue(bench, bench.attempt(b"request same", b"owner---"))
    await issue(bench, bench.attempt(b"request same", b"owner---", "somebody-else---"))
    assert (await bench.store.usage(bench.user, bench.limits)).tokens_last_hour == 1
    await bench.store.forget("somebody-else---")


async def test_many_at_once_get_no_more_than_the_limit(bench: Bench) -> None:
    """Of fifty at the same instant as many pass as the limit says."""
    answers = await asyncio.gather(*(bench.reserve() for _ in range(50)))
    assert sum(isinstance(answer.decision, Reserved) for answer in answers) == 2


async def test_a_refusal_is_remembered_as_a_try(bench: Bench) -> None:
    """With what the caller was told; as many as asked for, within the time asked for."""
    await bench.reserve(count=2)
    opens = bench.clock.now + HOUR_MS
    for number in range(4):
        answer = await bench.reserve(fingerprint=b"fp%02d" % number)
        assert len(answer.tries) == min(number + 1, 3)
    assert answer.tries[-1] == Try(bench.clock.now, opens, TryKind.REFUSED, b"fp03")
    assert (await bench.store.inspect(bench.user, None)).tries == answer.tries
    bench.clock.now += 60_000 - 1
    assert len((await bench.reserve(count=3)).tries) == 3
    bench.clock.now += 1
    tries = (await bench.reserve(count=3)).tries
    assert [each.fingerprint for each in tries] == [b"this", b"this"]


async def test_a_grant_is_no_try(bench: Bench) -> None:
    """What was granted is remembered by its charge alone."""
    assert (await bench.reserve()).tries == ()
    assert (await bench.store.inspect(bench.user, None)).tries == ()


async def test_what_ended_before_a_reservation_is_observed(bench: Bench) -> None:
    """It is remembered with the others, and they are returned."""
    first = await bench.store.observe(bench.user, TryKind.REJECTED, b"fp01", bench.memory)
    assert first.now == bench.clock.now
    assert first.tries == (Try(bench.clock.now, 0, TryKind.REJECTED, b"fp01"),)
    bench.clock.now += 5
    second = await bench.store.observe(bench.user, TryKind.REJECTED, b"fp02", Memory(5, 9))
    assert second.tries == (Try(bench.clock.now, 0, TryKind.REJECTED, b"fp02"),)


@pytest.mark.parametrize("party", list(Party))
async def test_violations_bring_a_block(bench: Bench, party: Party) -> None:
    """Enough of them within the time: from then on nothing is granted, to the block's end."""
    offender = somebody(bench, party)
    address = offender.name if party is Party.ADDRESS else None
    start = bench.clock.now
    standing = await bench.store.offend(offender, Rule.VOLUME, BLOCKING)
    assert standing == Standing((Violation(start, Rule.VOLUME),))
    assert not standing.fresh
    bench.clock.now += 9_999
    standing = await bench.store.offend(offender, Rule.MACHINE_TIMING, BLOCKING)
    block = Block(start + 9_999, start + 29_999, "machine_timing", "policy")
    assert standing == Standing((), block)
    assert standing.fresh
    bench.clock.now = block.until - 1
    later = await bench.store.offend(offender, Rule.VOLUME, BLOCKING)
    assert (later, later.fresh) == (standing, False)
    answer = await bench.reserve(address=address)
    assert answer.decision == Blocked(offender, block, bench.clock.now)
    assert answer.tries == ()
    bench.clock.now = block.until
    assert isinstance((await bench.reserve(address=address)).decision, Reserved)
    await bench.store.lift(offender)


async def test_violations_are_forgotten_with_time(bench: Bench) -> None:
    """One that is as old as the window counts no more."""
    offender = somebody(bench, Party.USER)
    await bench.store.offend(offender, Rule.VOLUME, BLOCKING)
    bench.clock.now += 10_000
    standing = await bench.store.offend(offender, Rule.VOLUME, BLOCKING)
    assert standing == Standing((Violation(bench.clock.now, Rule.VOLUME),))


@pytest.mark.parametrize("party", list(Party))
async def test_the_same_mistake_again_is_one(bench: Bench, party: Party) -> None:
    """One rule broken by the same evidence counts once in the window, however often it is told."""
    offender, start = somebody(bench, party), bench.clock.now
    told = (Rule.FAILED_CREDENTIALS, BLOCKING)
    one = Standing((Violation(start, Rule.FAILED_CREDENTIALS, b"one "),))
    for later in range(4):
        bench.clock.now = start + 3_000 * later
        assert await bench.store.offend(offender, *told, evidence=b"one ") == one
    found = await bench.store.inspect(bench.user, offender.name)
    assert (found.user if party is Party.USER else found.address) == one
    bench.clock.now = start + 10_000
    again = await bench.store.offend(offender, *told, evidence=b"one ")
    assert again == Standing((Violation(start + 10_000, Rule.FAILED_CREDENTIALS, b"one "),))
    assert (await bench.store.offend(offender, *told, evidence=b"two ")).block is not None
    await bench.store.lift(offender)


@pytest.mark.parametrize(
    "first, second",
    [
        ((Rule.VOLUME, b""), (Rule.VOLUME, b"")),
        ((Rule.VOLUME, bytes(4)), (Rule.VOLUME, bytes(4))),
        ((Rule.VOLUME, b"one "), (Rule.VOLUME, b"")),
        ((Rule.VOLUME, b""), (Rule.VOLUME, b"one ")),
        ((Rule.VOLUME, b"one "), (Rule.VOLUME, b"two ")),
        ((Rule.VOLUME, b"one "), (Rule.FAILED_CREDENTIALS, b"one ")),
    ],
)
async def test_what_is_not_the_same_mistake_counts(
    bench: Bench, first: tuple[Rule, bytes], second: tuple[Rule, bytes]
) -> None:
    """Without evidence, by other evidence, or of another rule, it is another violation."""
    offender = somebody(bench, Party.USER)
    for rule, evidence in (first, second):
        standing = await bench.store.offend(offender, rule, BLOCKING, evidence=evidence)
    assert standing.block is not None


async def test_a_mistake_among_others_is_found(bench: Bench) -> None:
    """Among a hundred violations each is known, and none is added, so none blocks."""
    offender = somebody(bench, Party.USER)
    many = Blocking(violations=101, window_ms=10_000, block_ms=20_000)
    for _ in range(2):
        for number in range(100):
            standing = await bench.store.offend(
                offender, Rule.FAILED_CREDENTIALS, many, evidence=b"%04d" % number
            )
    assert [each.evidence for each in standing.violations] == [b"%04d" % n for n in range(100)]


async def test_a_block_of_a_future_that_was_none_does_not_hold(bench: Bench) -> None:
    """Set by a clock that was a day ahead, it ends when the clock is set back, not in a day."""
    offender, where = somebody(bench, Party.USER), somebody(bench, Party.ADDRESS)
    begun = bench.clock.now
    await bench.store.block(offender, until=begun + DAY_MS, reason="why", actor="who")
    await bench.store.offend(where, Rule.VOLUME, replace(BLOCKING, violations=1))
    bench.clock.now = begun - 60_000  # a correction: it stands
    assert isinstance((await bench.reserve()).decision, Blocked)
    assert isinstance((await bench.reserve(address=where.name)).decision, Blocked)
    assert len(await bench.store.blocks(offset=0, count=10)) == 2
    bench.clock.now = begun - 60_001
    assert isinstance((await bench.reserve(address=where.name)).decision, Reserved)
    assert await bench.store.blocks(offset=0, count=10) == []
    found = await bench.store.inspect(bench.user, where.name)
    assert (found.user, found.address) == (Standing(), Standing())
    standing = await bench.store.offend(where, Rule.VOLUME, BLOCKING)
    assert standing == Standing((Violation(bench.clock.now, Rule.VOLUME),))
    assert await bench.store.lift(offender) is False
    await bench.store.lift(where)


async def test_a_blocked_address_leaves_its_user_alone(bench: Bench) -> None:
    """Neither a charge nor a try is left, and from elsewhere the user is served."""
    offender = somebody(bench, Party.ADDRESS)
    await bench.store.block(offender, until=bench.clock.now + 5, reason="why", actor="who")
    for count in (1, 3):
        answer = await bench.reserve(count=count, address=offender.name)
        assert isinstance(answer.decision, Blocked)
    found = await bench.store.inspect(bench.user, None)
    assert (found.account.charges, found.tries) == ([], ())
    assert isinstance((await bench.reserve(count=2)).decision, Reserved)
    await bench.store.lift(offender)


async def test_the_address_is_named_before_the_user(bench: Bench) -> None:
    """If both are blocked, the address's block is the answer; lifted, the user's is."""
    for party in Party:
        offender = somebody(bench, party)
        await bench.store.block(offender, until=bench.clock.now + 5, reason="why", actor="who")
    for party in (Party.ADDRESS, Party.USER):
        offender = somebody(bench, party)
        decision = (await bench.reserve(address=somebody(bench, Party.ADDRESS).name)).decision
        assert isinstance(decision, Blocked)
        assert decision.offender == offender
        assert await bench.store.lift(offender) is True
        assert await bench.store.lift(offender) is False


async def test_a_block_comes_before_a_replay(bench: Bench) -> None:
    """Nothing is answered to the blocked, not even what they already have."""
    first = await issue(bench)
    offender = somebody(bench, Party.USER)
    await bench.store.block(offender, until=bench.clock.now + 5, reason="ä", actor="who")
    decision = (await bench.reserve(bench.attempt(first.request))).decision
    block = Block(bench.clock.now, bench.clock.now + 5, "ä", "who")
    assert decision == Blocked(offender, block, bench.clock.now)


async def test_blocks_are_listed_the_longest_first(bench: Bench) -> None:
    """Those in force, by their end; lifted, ended and forgotten ones are not."""
    now = bench.clock.now
    ends = {"one": 10, "two": 30, "three": 20, "ended": 0, "lifted": 40}
    offenders = {name: Offender(Party.ADDRESS, name + bench.user) for name in ends}
    mine = somebody(bench, Party.USER)
    for name, end in ends.items():
        await bench.store.block(offenders[name], until=now + end, reason="why", actor="who")
    await bench.store.block(mine, until=now + 50, reason="why", actor="who")
    await bench.store.lift(offenders["lifted"])
    await bench.store.forget(bench.user)
    listed = await bench.store.blocks(offset=0, count=10)
    assert [each.offender for each in listed] == [
        offenders[name] for name in ("two", "three", "one")
    ]
    assert listed[0].block == Block(now, now + 30, "why", "who")
    assert await bench.store.blocks(offset=1, count=1) == listed[1:2]
    bench.clock.now += 20
    assert [each.offender for each in await bench.store.blocks(offset=0, count=10)] == [
        offenders["two"]
    ]


async def test_a_block_replaces_what_was(bench: Bench) -> None:
    """A shorter block of the same offender is the one in force and listed."""
    offender = somebody(bench, Party.ADDRESS)
    for end in (50, 10):
        block = await bench.store.block(
            offender, until=bench.clock.now + end, reason="why", actor="who"
        )
        assert block == Block(bench.clock.now, bench.clock.now + end, "why", "who")
    assert [each.block for each in await bench.store.blocks(offset=0, count=10)] == [block]


async def test_inspection_tells_all_and_changes_nothing(bench: Bench) -> None:
    """Charges, sealed results, tries, and how user and address stand."""
    where = somebody(bench, Party.ADDRESS)
    await bench.store.offend(where, Rule.FAILED_CREDENTIALS, BLOCKING)
    await bench.store.offend(somebody(bench, Party.USER), Rule.VOLUME, BLOCKING)
    first = await issue(bench)
    await bench.reserve(count=3)
    found = [await bench.store.inspect(bench.user, where.name) for _ in range(2)]
    for each in found:
        assert each.now == bench.clock.now
        assert [charge.request for charge in each.account.charges] == [first.request]
        assert each.account.sealed == {first.request: Sealed(b"sealed", bench.clock.now + 9_000)}
        assert [tried.kind for tried in each.tries] == [TryKind.REFUSED]
        assert each.user.violations == (Violation(bench.clock.now, Rule.VOLUME),)
        assert each.address.violations == (Violation(bench.clock.now, Rule.FAILED_CREDENTIALS),)
    nobody = await bench.store.inspect("nobody----------", None)
    assert (nobody.account.charges, nobody.tries) == ([], ())
    assert (nobody.user, nobody.address) == (Standing(), Standing())


async def test_a_user_can_be_forgotten(bench: Bench) -> None:
    """Charges, results, tries and block: the user is as new."""
    first = await issue(bench)
    await bench.reserve(count=3)
    offender = somebody(bench, Party.USER)
    await bench.store.block(offender, until=bench.clock.now + 5, reason="why", actor="who")
    await bench.store.forget(bench.user)
    found = await bench.store.inspect(bench.user, None)
    assert (found.account.charges, found.tries, found.user) == ([], (), Standing())
    assert isinstance((await bench.reserve(bench.attempt(first.request), 2)).decision, Reserved)


async def test_stats_add_up_all_users(bench: Bench) -> None:
    """What still counts, each in its window."""
    await issue(bench, bench.attempt(user="ann-------------"), lasts=1_000)
    await issue(bench, bench.attempt(user="bob-------------"), lasts=2 * DAY_MS)
    await bench.reserve(bench.attempt(user="eve-------------"))
    assert await bench.store.stats() == Stats(2, 2, 2, 2, 1)
    bench.clock.now += HOUR_MS
    assert await bench.store.stats() == Stats(2, 1, 0, 2, 0)
    bench.clock.now += DAY_MS
    assert await bench.store.stats() == Stats(0, 1, 0, 0, 0)


async def test_a_clock_a_little_back_stands_still(bench: Bench) -> None:
    """Nothing is granted twice because the clock was corrected by a minute or less."""
    bench.limits = replace(WIDE, cooldown_ms=5_000)
    await issue(bench)
    newest = bench.clock.now
    bench.clock.now -= 60_000
    refused = (await bench.reserve()).decision
    assert refused == Refused(Verdict(Limit.COOLDOWN, 5_000, newest + 5_000), newest)


async def test_a_clock_far_back_is_believed(bench: Bench) -> None:
    """Charges of a future that was none wait no longer than from now on."""
    bench.limits = replace(WIDE, cooldown_ms=5_000)
    await issue(bench)
    bench.clock.now -= 60_001
    now = bench.clock.now
    refused = (await bench.reserve()).decision
    assert refused == Refused(Verdict(Limit.COOLDOWN, 5_000, now + 5_000), now)
    bench.clock.now += 5_000
    assert isinstance((await bench.reserve()).decision, Reserved)


async def test_a_store_that_can_decide_says_so(bench: Bench) -> None:
    """The check passes."""
    await bench.store.check()
