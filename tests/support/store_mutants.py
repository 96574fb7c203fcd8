"""Mistakes that could have been made in the scripts, each a change of a few characters."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Mutant:
    """One mistake."""

    name: str
    script: str
    old: str
    new: str
    abuse: bool = False
    """Whether it is in what is against abuse."""
    often: bool = False
    """Whether every run of the tests tries it, not only the long one."""

    @property
    def change(self) -> dict[str, str]:
        """The script with the mistake in it."""
        text = (files("policy.redis") / "lua" / f"{self.script}.lua").read_text("utf-8")
        if text.count(self.old) < 1:
            raise ValueError(f"{self.name}: the script has no {self.old!r} any more")
        return {self.script: text.replace(self.old, self.new, 1)}


MUTANTS = [
    # Limits.
    Mutant("hour: one more", "reserve", "rolls(1, hour, ", "rolls(1, hour + 1, ", often=True),
    Mutant("day: one more", "reserve", "rolls(2, day, ", "rolls(2, day + 1, ", often=True),
    Mutant(
        "hour: a millisecond longer",
        "common",
        "HOUR, DAY = 3600000",
        "HOUR, DAY = 3600001",
        often=True,
    ),
    Mutant("hour: a millisecond shorter", "reserve", "at + HOUR <= now", "at + HOUR <= now + 1"),
    Mutant("day: a millisecond longer", "common", "86400000", "86400001"),
    Mutant(
        "a place is free a millisecond late",
        "reserve",
        "if at > now then refuses",
        "if at >= now then refuses",
    ),
    Mutant("day: a millisecond shorter", "reserve", "at + DAY <= now", "at + DAY <= now + 1"),
    Mutant("hour: the day's window", "reserve", "first_of_hour, HOUR)", "first_of_hour, DAY)"),
    Mutant("day: the hour's window", "reserve", "first_of_day, DAY)", "first_of_day, HOUR)"),
    Mutant("hour: never refuses", "reserve", "rolls(1, hour,", "rolls(1, 99,"),
    Mutant(
        "one fits too many",
        "reserve",
        "while taken + count > size",
        "while taken + count > size + 1",
    ),
    Mutant(
        "a batch counts as one",
        "reserve",
        "taken = taken + v[o - 1]",
        "taken = taken + 1",
        often=True,
    ),
    Mutant(
        "a batch asks for one", "reserve", "while taken + count > size", "while taken + 1 > size"
    ),
    Mutant(
        "more than a limit waits", "reserve", "if count > size then", "if count > size + 1 then"
    ),
    Mutant(
        "refunds count",
        "reserve",
        "  if state ~= REFUNDED then\n    taken",
        "  if true then\n    taken",
    ),
    Mutant(
        "refunds cool down",
        "reserve",
        "if state ~= REFUNDED then\n    taken = taken + v[o - 1]\n",
        "taken = taken + v[o - 1]\n  do\n",
    ),
    Mutant("cooldown: a millisecond longer", "reserve", "now < cools", "now <= cools"),
    Mutant("cooldown: a millisecond shorter", "reserve", "now < cools", "now + 1 < cools"),
    Mutant(
        "cooldown ignores what is pending",
        "reserve",
        "state == PENDING and v[o - 2] > cools",
        "false",
        often=True,
    ),
    Mutant("cooldown counts every lease", "reserve", "state == PENDING and v[o - 2]", "v[o - 2]"),
    Mutant("cooldown of 0 waits for leases", "reserve", "if cooldown > 0 and now", "if now"),
    Mutant("cooldown is off", "reserve", "if cooldown > 0 and", "if false and"),
    Mutant(
        "sessions: one more",
        "reserve",
        "elseif live + count > sessions",
        "elseif live + count > sessions + 1",
        often=True,
    ),
    Mutant(
        "sessions: a millisecond longer", "reserve", "v[5 * i - 3] > now", "v[5 * i - 3] >= now"
    ),
    Mutant("sessions: not in order", "reserve", "a[1] < b[1]", "a[1] > b[1]"),
    Mutant(
        "sessions count batches as one", "reserve", "live = live + v[5 * i - 2]", "live = live + 1"
    ),
    Mutant("sessions when they are off", "reserve", "if sessions > 0 then", "if true then"),
    Mutant("the mildest limit is named", "reserve", "at > opens)", "at < opens)"),
    Mutant("on a par, the last", "reserve", "at > opens)", "at >= opens)"),
    # Repeats.
    Mutant(
        "content is not compared",
        "reserve",
        "~= fingerprint",
        "~= string.sub(theirs, 9)",
        often=True,
    ),
    Mutant(
        "owners are not compared",
        "reserve",
        "== owner then",
        "== string.sub(theirs, 1, 8) then",
        often=True,
    ),
    Mutant(
        "a seal lasts a millisecond more",
        "reserve",
        "now >= struct.unpack",
        "now > struct.unpack",
    ),
    Mutant(
        "a seal never ends",
        "reserve",
        "if sealed and now >= struct.unpack('>I6', sealed)",
        "if false",
    ),
    Mutant(
        "a replay charges",
        "reserve",
        "if state ~= ISSUED then return false end",
        "if true then return false end",
    ),
    # Settling.
    Mutant(
        "forgotten a millisecond late",
        "common",
        "if now < ends then",
        "if now <= ends then",
        often=True,
    ),
    Mutant(
        "forgotten a millisecond early", "common", "if now < ends then", "if now < ends - 1 then"
    ),
    Mutant(
        "forgotten after an hour",
        "common",
        "      ends = v[o + 1] + DAY\n",
        "      ends = v[o + 1] + HOUR\n",
        often=True,
    ),
    Mutant(
        "forgotten when expired",
        "common",
        "if v[o + 2] > ends",
        "if v[o + 2] < ends",
    ),
    Mutant(
        "forgotten though unexpired",
        "common",
        "if v[o + 2] > ends",
        "if false",
    ),
    Mutant(
        "a lease never ends",
        "common",
        "elseif state == PENDING then\n      ends = v[o + 2]",
        "elseif state == PENDING then\n      ends = v[o + 1] + DAY",
        often=True,
    ),
    Mutant("refunds count for a day", "common", "ends = v[o + 1] + HOUR", "ends = v[o + 1] + DAY"),
    Mutant(
        "the clock does not stand still", "common", "newest > now then", "false then", often=True
    ),
    Mutant("the clock always stands still", "common", "newest - now > STANDSTILL", "false"),
    Mutant(
        "standstill: a millisecond less",
        "common",
        "newest - now > STANDSTILL",
        "newest - now >= STANDSTILL",
    ),
    Mutant(
        "a clock set back moves leases not",
        "common",
        "v[o + 2] = v[o + 2] - ahead",
        "v[o + 2] = v[o + 2]",
    ),
    Mutant(
        "a clock set back moves expiries",
        "common",
        "if v[o + 4] == PENDING then v[o + 2] = v[o + 2] - ahead end",
        "v[o + 2] = v[o + 2] - ahead",
    ),
    Mutant(
        "a clock set back is not kept",
        "common",
        "    log = table.concat(pieces)\n    changed = true",
        "    log = table.concat(pieces)",
    ),
    Mutant(
        "what is forgotten comes back",
        "common",
        "    v, n = numbers(log, SIZE, ENTRY, 5)\n    changed = true",
        "    v, n = numbers(log, SIZE, ENTRY, 5)",
    ),
    Mutant(
        "keys end too early", "common", "math.max(ms, 0) + SLACK", "math.max(ms, 0)", often=True
    ),
    Mutant(
        "keys end with the oldest",
        "common",
        "if ends > last then last = ends end",
        "if last == 0 then last = ends end",
    ),
    Mutant(
        "a reservation's key ends with its lease",
        "reserve",
        "math.max(last, ends), raw",
        "ends, raw",
    ),
    Mutant(
        "an issue's key ends with its hour",
        "commit",
        "math.max(last, now + DAY, expires)",
        "math.max(last, now + HOUR)",
    ),
    # Commit.
    Mutant(
        "commit by anyone",
        "commit",
        "last_of(log, request .. owner)",
        "last_of(log, request)",
        often=True,
    ),
    Mutant(
        "commit after the lease",
        "commit",
        "settle(redis.call('GET', KEYS[1]) or '', raw)",
        "settle(redis.call('GET', KEYS[1]) or '', raw - 1)",
        often=True,
    ),
    Mutant("commit of more", "commit", "count > v[5 * entry - 2]", "count > v[5 * entry - 2] + 1"),
    Mutant(
        "the rest is not given back",
        "commit",
        "now, expires, count, ISSUED",
        "now, expires, v[5 * entry - 2], ISSUED",
        often=True,
    ),
    Mutant(
        "it stays where it was reserved",
        "commit",
        "'>I6I6BB', now, expires",
        "'>I6I6BB', v[5 * entry - 4], expires",
    ),
    Mutant(
        "commit twice", "commit", "if v[5 * entry - 1] == PENDING then", "if true then", often=True
    ),
    Mutant("the seal is not kept", "commit", "if now < until_ then", "if false then"),
    Mutant("commit leaves it pending", "commit", "count, ISSUED)", "count, PENDING)"),
    Mutant("commit keeps the reservation", "commit", "log = without(log, entry)", "log = log"),
    # Release.
    Mutant(
        "release of what was issued",
        "release",
        "v[5 * entry - 1] ~= PENDING",
        "v[5 * entry - 1] == REFUNDED",
        often=True,
    ),
    Mutant(
        "release by anyone", "release", "last_of(log, request .. owner)", "last_of(log, request)"
    ),
    Mutant("one refund more", "release", "refunds >= tonumber", "refunds > tonumber"),
    Mutant(
        "refunds are not counted", "release", "if ambiguous then\n  log", "if false then\n  log"
    ),
    Mutant("every release counts", "release", "if ambiguous then\n  log", "if true then\n  log"),
    Mutant("the budget holds for all", "release", "if ambiguous and refunds", "if refunds"),
    Mutant("kept, and yet its owner's", "release", "string.rep('\\0', 8)", "owner"),
    Mutant(
        "release cuts off what follows",
        "common",
        ".. string.sub(log, entry * SIZE + 1)\nend",
        "\nend",
    ),
    Mutant("release leaves it", "release", "log = without(log, entry)", "log = log"),
    # Tries, blocks.
    Mutant(
        "tries: one more",
        "common",
        "string.sub(tries, -most * TRY)",
        "string.sub(tries, -(most + 1) * TRY)",
        abuse=True,
        often=True,
    ),
    Mutant(
        "tries: a millisecond longer",
        "common",
        "at - window < before",
        "at - window <= before",
        abuse=True,
    ),
    Mutant("tries of the future", "common", "and before <= at + STANDSTILL", "", abuse=True),
    Mutant(
        "a block: a millisecond longer",
        "common",
        "and now < ends",
        "and now <= ends",
        abuse=True,
    ),
    Mutant(
        "a user's block is not looked at",
        "reserve",
        "standing = redis.call('GET', KEYS[4])",
        "standing = nil",
        abuse=True,
    ),
    Mutant(
        "a violation in a block counts",
        "offend",
        "if blocked(standing, raw) then return { DONE, raw, standing } end",
        "",
        abuse=True,
    ),
    Mutant(
        "violations: one more",
        "offend",
        "#kept < tonumber(ARGV[4])",
        "#kept <= tonumber(ARGV[4])",
        abuse=True,
    ),
    Mutant(
        "violations: a millisecond longer",
        "offend",
        "raw - window < v[3 * i - 2]",
        "raw - window <= v[3 * i - 2]",
        abuse=True,
    ),
    Mutant(
        "the same mistake counts again",
        "offend",
        "if known and evidence ~= NONE",
        "if false",
        abuse=True,
        often=True,
    ),
    Mutant("no evidence is evidence", "offend", "known and evidence ~= NONE", "known", abuse=True),
    Mutant("evidence of any rule", "offend", "v[3 * i - 1] == rule and ", "", abuse=True),
    Mutant("any evidence of the rule", "offend", " and v[3 * i] == evidence", "", abuse=True),
    Mutant(
        "a block of the future holds",
        "common",
        "since <= now + STANDSTILL and now < ends",
        "now < ends",
        abuse=True,
        often=True,
    ),
    Mutant(
        "a block of the future: a millisecond less",
        "common",
        "since <= now + STANDSTILL and",
        "since < now + STANDSTILL and",
        abuse=True,
    ),
]
