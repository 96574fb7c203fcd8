"""What a user's tries amount to: honest clients break nothing, attacks do, at exact edges."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from policy.decisions import Attempt
from policy.limits import Limits
from policy.memory import MemoryStore
from policy.patterns import evidence, findings
from policy.rules import (
    EnumerationRule,
    Finding,
    IdenticalRule,
    Mode,
    Rule,
    Rules,
    TimingRule,
    VolumeRule,
)
from policy.standing import Blocking, Standing
from policy.tries import Try, TryKind

NOW = 1_767_225_600_000
SECOND = 1_000
MINUTE = 60_000
RULES = Rules()
LATER = NOW + 30 * MINUTE


def refused(at: int, told: int = LATER, body: bytes = b"same") -> Try:
    """Return a try that a limit refused."""
    return Try(at, told, TryKind.REFUSED, body)


def rejected(at: int, body: bytes = b"same") -> Try:
    """Return a try that was refused for its content."""
    return Try(at, 0, TryKind.REJECTED, body)


def broken(tries: list[Try], rules: Rules = RULES) -> set[Rule]:
    """Return the rules that the last of `tries` breaks."""
    return {finding.rule for finding in findings(tries, rules) if finding.broken}


def finding(rule: Rule, tries: list[Try], rules: Rules = RULES) -> Finding:
    """Return what one rule makes of the last of `tries`."""
    return next(found for found in findings(tries, rules) if found.rule is rule)


def first_broken(rule: Rule, tries: list[Try], rules: Rules = RULES) -> int | None:
    """Return which of `tries`, counted from 1, is the first to break a rule."""
    counts = range(1, len(tries) + 1)
    return next((n for n in counts if rule in broken(tries[:n], rules)), None)


def never_broken(tries: list[Try], rules: Rules = RULES) -> bool:
    """Whether none of `tries`, as they come, breaks any rule."""
    return not any(broken(tries[:n], rules) for n in range(1, len(tries) + 1))


class TestWhatCounts:
    """Only what a client does that was told better."""

    def test_a_first_refusal_never_counts(self) -> None:
        """A client cannot know a limit before it has met it."""
        assert evidence([refused(NOW)]) == []

    def test_a_try_before_the_told_time_counts(self) -> None:
        """One millisecond too soon is too soon; at the told time is not."""
        early, punctual = refused(LATER - 1), refused(LATER)
        assert evidence([refused(NOW), early]) == [early]
        assert evidence([refused(NOW), punctual]) == []

    def test_a_told_time_excuses_one_try(self) -> None:
        """Two refusals excuse two tries that come as told; a third did not wait."""
        tries = [
            refused(NOW, NOW + 5 * SECOND),
            refused(NOW + 5 * SECOND, LATER),
            refused(NOW + 6 * SECOND, LATER),
        ]
        assert evidence(tries) == tries[2:]

    def test_a_told_time_that_moved_closer(self) -> None:
        """The limits were raised: who obeys the last word has waited, whatever was said before."""
        closer = NOW + 9 * SECOND
        tries = [refused(NOW, LATER), refused(NOW + SECOND, closer), refused(closer, LATER)]
        assert evidence(tries) == tries[1:2]

    def test_a_told_time_that_moved_away(self) -> None:
        """The mint took long: who comes as told, and is told another time, has waited."""
        steps = [NOW, NOW + 300_000, NOW + 301_000, NOW + 303_500]
        tries = [refused(at, told) for at, told in zip(steps, [*steps[1:], LATER], strict=True)]
        assert evidence(tries) == []

    def test_a_grant_leaves_the_told_time_to_the_next_try(self) -> None:
        """A worker that was granted what it waited for may meet the limit anew."""
        first, second = NOW + 10 * SECOND, NOW + 20 * SECOND
        tries = [refused(NOW, first), refused(NOW + SECOND, first), refused(first, second)]
        # A third was granted at `first`, and asks again.
        tries.append(refused(first + 2 * SECOND, second))
        assert evidence(tries) == tries[1:2]

    def test_what_was_told_takes_a_second_to_arrive(self) -> None:
        """Fifty requests at once had no answer yet; one that comes a second later had."""
        burst = [refused(NOW + n * 19) for n in range(50)]
        deaf, told = refused(NOW + SECOND - 1), refused(NOW + SECOND)
        assert evidence(burst) == []
        assert evidence([*burst, deaf]) == []
        assert evidence([*burst, told]) == [told]

    def test_a_time_that_has_come_binds_nobody(self) -> None:
        """Who meets the limit anew just after another kept the appointment was told nothing."""
        first, second = NOW + 10 * SECOND, NOW + 20 * SECOND
        kept, beside = refused(first, second), refused(first, second)
        after = refused(first + SECOND // 2, second)
        assert evidence([refused(NOW, first), kept, beside, after]) == []

    def test_bursts_are_counted_apart(self) -> None:
        """Sixty requests at once, and again when the time has come, and again, are no flood."""
        first, second = NOW + 10 * SECOND, NOW + 20 * SECOND
        at_first = [refused(NOW, first)] * 60
        as_told = [refused(first, second)] * 60
        anew = [refused(first + SECOND // 2, second)] * 60
        assert evidence([*at_first, *as_told, *anew]) == []

    def test_what_counts_by_its_kind(self) -> None:
        """Wrong content and a request id of two contents count; being asked to wait does not."""
        busy = Try(NOW, NOW + 30_000, TryKind.BUSY, b"same")
        reused = Try(NOW + 1, 0, TryKind.BUSY, b"same")
        replayed = Try(NOW + 2, 0, TryKind.REPLAYED, b"same")
        wrong = rejected(NOW + 3)
        assert evidence([busy, reused, replayed, wrong]) == [reused, replayed, wrong]

    def test_asking_again_for_what_is_at_work_is_no_evidence(self) -> None:
        """A caller that lost its answer may ask for it as often as it likes, and bind nobody."""
        busy = [Try(NOW + n, NOW + 30_000, TryKind.BUSY, b"same") for n in range(20)]
        assert evidence([*busy, refused(NOW + 30, LATER)]) == []

    def test_more_than_a_limit_ever_allows_is_no_evidence(self) -> None:
        """A batch larger than the limit was told no time, so it broke none."""
        assert evidence([refused(NOW + n, 0) for n in range(20)]) == []


class TestHonestClients:
    """What must never break a rule."""

    def test_retrying_through_the_cooldown_as_told(self) -> None:
        """The same body-less request to the millisecond at each told time, for hours."""
        ats = [NOW + n * 5_000 for n in range(2_000)]
        assert never_broken([refused(at, at + 5_000, b"") for at in ats[-200:]])

    def test_identical_requests_within_the_limits_are_no_tries(self) -> None:
        """Body-less requests that are granted leave no trace to judge by."""
        assert [found.applies for found in findings([], RULES)] == [False] * 4

    def test_two_tabs(self) -> None:
        """Two tabs that both wait as told are never in each other's way."""
        tries = []
        for turn in range(12):
            at = NOW + turn * 5 * MINUTE
            # One of them is granted at `at`; the other is refused, then the first, who asks again.
            tries += [refused(at + 1, at + 5 * MINUTE), refused(at + 2, at + 5 * MINUTE)]
        assert evidence(tries) == []
        assert never_broken(tries)

    def test_workers_of_one_account_at_its_limit(self) -> None:
        """Ten workers that wait as told for one place every 3.6 s break nothing."""
        tries = [refused(NOW + n, NOW + 3_600) for n in range(10)]
        for turn in range(1, 100):
            at = NOW + turn * 3_600
            tries += [refused(at + n, at + 3_600) for n in range(9)]
            tries += [refused(at + 1_000, at + 3_600)]  # the winner, who asks again
        assert evidence(tries) == []
        assert all(not broken(tries[:n]) for n in range(1, len(tries), 7))

    def test_retrying_as_told_with_a_request_id(self) -> None:
        """One that asks again as it was told, by its `Idempotency-Key`, breaks nothing.

        It is told to wait for a limit, then for its own lost attempt, then gets its answer,
        which is lost on the way, again and again.
        """
        busy = [Try(NOW + n, NOW + 30_000, TryKind.BUSY, b"same") for n in range(0, 20_000, 2_000)]
        repeats = [Try(NOW + 30_000 + n * 6_000, 0, TryKind.REPLAYED, b"same") for n in range(200)]
        assert never_broken([refused(NOW - 5_000, NOW), *busy, *repeats])

    def test_more_workers_than_ten_that_start_within_one_wait(self) -> None:
        """Their first tries can add up, for nobody can tell them apart; their later ones do not."""
        starts = [refused(NOW + n * 2_000) for n in range(12)]
        assert evidence(starts) == starts[1:]
        assert first_broken(Rule.IDENTICAL_REQUESTS, starts) == 11
        again = [refused(LATER + n, LATER + 30 * MINUTE) for n in range(12)]
        assert evidence([*starts, *again]) == starts[1:]

    def test_impatience(self) -> None:
        """Ten clicks on a button that should have been grey are still no pattern."""
        assert never_broken([refused(NOW + n * n * 1_000) for n in range(10)])

    def test_nine_wrong_forms(self) -> None:
        """Nine attempts at a form that is refused break nothing, alike or not."""
        assert never_broken([rejected(NOW + n * n * 1_000) for n in range(9)])
        assert never_broken([rejected(NOW + n * n * 1_000, b"%d" % n) for n in range(9)])

    async def test_eighteen_colleagues_behind_one_address(self) -> None:
        """Who shares an address, a browser and a body shares no tries."""
        store = MemoryStore(lambda: NOW, lease_ms=30_000)
        for turn in range(9):
            for number in range(18):
                answer = await store.reserve(
                    attempt(number, turn),
                    b"same",
                    1,
                    Limits(),
                    address="the office",
                    memory=RULES.memory,
                )
                assert len(answer.tries) == turn
                assert not answer.tries or not broken(list(answer.tries))

    async def test_polling_usage_is_no_try(self) -> None:
        """Usage read on a timer leaves nothing to judge by."""
        store = MemoryStore(lambda: NOW, lease_ms=30_000)
        for _ in range(600):
            await store.usage("ann", Limits())
        assert (await store.inspect("ann", None)).tries == ()

    async def test_repeating_after_a_503_is_no_try(self) -> None:
        """A mint that failed had been granted: repeating it at once is no evidence."""
        store = MemoryStore(lambda: NOW, lease_ms=30_000)
        for turn in range(30):
            answer = await store.reserve(
                attempt(0, turn), b"same", 1, Limits(), address=None, memory=RULES.memory
            )
            assert answer.tries == ()
            await store.release(attempt(0, turn), Limits(), ambiguous=False)

    def test_five_slips_spread_over_hours(self) -> None:
        """Violations 15 minutes apart never block; the fifth within an hour does, for two."""
        slow = Standing()
        for slip in range(20):
            slow = slow.after(Rule.SUSPICIOUS_CONTENT, NOW + slip * 15 * MINUTE, Blocking())
            assert slow.block is None
        fast = Standing()
        for slip in range(5):
            fast = fast.after(Rule.SUSPICIOUS_CONTENT, NOW + slip * 15 * MINUTE - slip, Blocking())
        assert fast.block is not None
        assert fast.block.until - fast.block.since == 120 * MINUTE


class TestAttacks:
    """What must break a rule, and when."""

    def test_the_same_request_again_and_again(self) -> None:
        """Once 10 count, more than 5 alike break the rule, though other requests come between."""
        tries = [refused(NOW + n * n * 1_000) for n in range(20)]
        assert first_broken(Rule.IDENTICAL_REQUESTS, tries) == 11
        mixed = [replace(t, fingerprint=b"%d" % (n % 2)) for n, t in enumerate(tries)]
        assert first_broken(Rule.IDENTICAL_REQUESTS, mixed) == 12

    def test_a_flood(self) -> None:
        """Faster than an answer can arrive, more than 64 tries count nonetheless, and go on to."""
        tries = [refused(NOW + n) for n in range(400)]
        assert evidence(tries[:65]) == []
        assert evidence(tries[:66]) == tries[65:66]
        assert first_broken(Rule.IDENTICAL_REQUESTS, tries) == 75
        assert all(broken(tries[:n]) for n in range(76, 400, 9))

    def test_replays_count_for_volume_alone(self) -> None:
        """An answer repeated a hundred times breaks nothing, the 101st is one too many."""
        tries = [Try(NOW + n * 10, 0, TryKind.REPLAYED, b"same") for n in range(101)]
        assert never_broken(tries[:-1])
        assert broken(tries) == {Rule.VOLUME}

    def test_replays_are_neither_probing_nor_alike(self) -> None:
        """Between tries that count, a repeat of an answer breaks nothing, and adds nothing."""
        tries = [rejected(NOW + n * 7_000, b"%d" % n) for n in range(11)]
        repeat = Try(NOW + 77_000, 0, TryKind.REPLAYED, b"0")
        assert broken(tries) == {Rule.PARAMETER_ENUMERATION, Rule.MACHINE_TIMING}
        assert broken([*tries, repeat]) == set()
        few = [rejected(NOW + n * n * 1_000) for n in range(5)]
        repeats = [replace(repeat, at=NOW + 30_000 + n * n, fingerprint=b"same") for n in range(9)]
        assert broken([*few, *repeats, rejected(NOW + 40_000)]) == set()
        assert finding(Rule.IDENTICAL_REQUESTS, [*few, *repeats]).observed == len(few)

    def test_probing_parameters(self) -> None:
        """More than 5 contents among the last 10 that count break the rule."""
        tries = [rejected(NOW + n * n * 100, b"%d" % (n % 6)) for n in range(10)]
        assert broken(tries) == {Rule.PARAMETER_ENUMERATION}
        five = [replace(t, fingerprint=b"%d" % (n % 5)) for n, t in enumerate(tries)]
        assert broken(five) == set()
        assert finding(Rule.PARAMETER_ENUMERATION, tries).observed == 6

    def test_probing_that_is_over(self) -> None:
        """Only the last 10 that count are looked at."""
        probes = [rejected(NOW + n * n, b"%d" % n) for n in range(9)]
        slips = [rejected(NOW + MINUTE + n * n) for n in range(10)]
        assert finding(Rule.PARAMETER_ENUMERATION, probes + slips).observed == 1
        assert Rule.PARAMETER_ENUMERATION in broken(probes + slips[:1])
        assert Rule.PARAMETER_ENUMERATION not in broken(probes + slips)

    def test_one_request_id_with_many_contents(self) -> None:
        """Contents tried under one request id are probing."""
        tries = [Try(NOW + n * n, 0, TryKind.BUSY, b"%d" % n) for n in range(10)]
        assert Rule.PARAMETER_ENUMERATION in broken(tries)

    @pytest.mark.parametrize("jitter, caught", [(0, True), (5, True), (50, False)])
    def test_machine_timing(self, jitter: int, caught: bool) -> None:  # noqa: FBT001 - a table
        """A timer is one within a few milliseconds; a network, or a person, is not."""
        dice = random.Random(7)  # noqa: S311 - a die
        tries = [rejected(NOW + n * 7_000 + dice.randint(-jitter, jitter)) for n in range(11)]
        assert (Rule.MACHINE_TIMING in broken(tries)) == caught
        assert Rule.MACHINE_TIMING not in broken(tries[:10])

    def test_the_exact_deviation(self) -> None:
        """A deviation of exactly 10 ms is none under 10 ms."""
        ats = [NOW]
        for n in range(10):
            ats.append(ats[-1] + 1_000 + (10 if n % 2 else -10))
        assert finding(Rule.MACHINE_TIMING, [rejected(at) for at in ats]).observed == 10
        assert Rule.MACHINE_TIMING not in broken([rejected(at) for at in ats])
        ats[-1] -= 1
        assert Rule.MACHINE_TIMING in broken([rejected(at) for at in ats])

    def test_volume(self) -> None:
        """The 101st try that counts within 10 minutes breaks the rule, at the exact edge."""
        step = 6_000
        tries = [refused(NOW + n * (step - 1), body=b"%d" % n) for n in range(102)]
        assert first_broken(Rule.VOLUME, tries) == 102
        replays = [Try(NOW + n, 0, TryKind.REPLAYED, b"%d" % n) for n in range(101)]
        assert first_broken(Rule.VOLUME, replays) == 101
        spread = [refused(NOW + n * step, body=b"%d" % n) for n in range(110)]
        assert first_broken(Rule.VOLUME, spread) is None


class TestRules:
    """What a rule's own settings do."""

    def test_shadow_sees_the_same_and_refuses_nobody(self) -> None:
        """In shadow mode a finding is the same but for what follows."""
        tries = [rejected(NOW + n) for n in range(11)]
        enforced = finding(Rule.IDENTICAL_REQUESTS, tries)
        shadowed = finding(
            Rule.IDENTICAL_REQUESTS,
            tries,
            replace(RULES, identical_requests=IdenticalRule(mode=Mode.SHADOW)),
        )
        assert enforced.refuses
        assert not shadowed.refuses
        assert shadowed == replace(enforced, mode=Mode.SHADOW)

    def test_off_looks_at_nothing(self) -> None:
        """A rule that is off does not apply, and is broken by nothing."""
        off = Rules(
            VolumeRule(Mode.OFF),
            IdenticalRule(Mode.OFF),
            EnumerationRule(Mode.OFF),
            TimingRule(Mode.OFF),
        )
        found = findings([rejected(NOW + n) for n in range(200)], off)
        assert all(not each.applies and not each.broken for each in found)

    def test_a_finding_says_what_was_seen_and_what_may_be(self) -> None:
        """Each finding has its measure and its threshold, also where nothing is broken."""
        seen = [(f.observed, f.threshold) for f in findings([rejected(NOW), rejected(NOW)], RULES)]
        assert seen == [(2, 100), (2, 5), (1, 5), (0, 10)]

    def test_what_a_limit_refused_passes_when_the_limit_said(self) -> None:
        """Whoever waits as long as it was told to comes at an appointment."""
        tries = [refused(NOW + n * 7 * SECOND) for n in range(12)]
        hit = [found for found in findings(tries, RULES) if found.broken]
        assert [found.ends_at for found in hit] == [LATER, LATER]

    def test_anything_else_passes_when_enough_is_forgotten(self) -> None:
        """The same wrong request breaks no rule once too few of those before it are left."""
        tries = [rejected(NOW + n * 7 * SECOND, b"%d" % (n % 7)) for n in range(12)]
        ends = {found.rule: found.ends_at for found in findings(tries, RULES) if found.broken}
        leaves = [each.at + 10 * MINUTE for each in tries]
        assert ends == {
            Rule.PARAMETER_ENUMERATION: leaves[4 - 1],  # 8 and the new one: not yet 10
            Rule.MACHINE_TIMING: leaves[3 - 1],  # 9 and the new one: not yet 10 intervals
        }
        alike = [rejected(NOW + n * n) for n in range(12)]
        found = finding(Rule.IDENTICAL_REQUESTS, alike)
        assert found.ends_at == alike[4 - 1].at + 10 * MINUTE
        many = [Try(NOW + n, 0, TryKind.REPLAYED, b"%d" % n) for n in range(103)]
        assert finding(Rule.VOLUME, many).ends_at == NOW + 4 - 1 + 10 * MINUTE

    def test_whether_it_is_a_violation_is_the_rules_to_say(self) -> None:
        """A rule can refuse without counting towards a block."""
        rules = replace(RULES, volume=VolumeRule(violation=False))
        assert not finding(Rule.VOLUME, [rejected(NOW)], rules).violation

    def test_memory_is_what_the_rules_need(self) -> None:
        """Tries are kept for two of the longest window, as many as the largest count needs."""
        assert (RULES.memory.window_ms, RULES.memory.most) == (1_200_000, 128)
        long = replace(RULES, machine_timing=TimingRule(window_ms=80_000_000))
        assert long.memory.window_ms == 86_400_000
        assert replace(RULES, volume=VolumeRule(most=200)).memory.most == 228
        assert replace(RULES, volume=VolumeRule(most=9_999)).memory.most == 512
        assert replace(RULES, volume=VolumeRule(Mode.OFF, most=200)).memory.most == 128


def attempt(user: int, turn: int) -> Attempt:
    """Return a user's attempt at a request of this turn."""
    return Attempt(f"user {user}", b"request %d" % turn, b"owner %d" % turn)
