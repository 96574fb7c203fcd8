"""How users and addresses stand, in Redis: violations, blocks, and the list of blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from policy.decisions import ListedBlock
from policy.redis import codec
from policy.standing import POLICY, Block, Offender, Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policy.redis.runner import Runner
    from policy.redis.scripts import Scripts
    from policy.rules import Rule
    from policy.standing import Blocking

_LISTED = 10_000
"""Blocks in the index. One beyond is in force all the same."""
_BATCH = 500


class Standings:
    """Keeps one value for each offender, and an index of blocks."""

    def __init__(self, runner: Runner, keys: codec.Keys, scripts: Scripts) -> None:
        """Run `scripts` with `runner`."""
        self._runner = runner
        self._keys = keys
        self._scripts = scripts

    async def offend(
        self, offender: Offender, rule: Rule, blocking: Blocking, evidence: bytes
    ) -> Standing:
        """Count a violation, and list the block if it brought one."""
        reply = await self._runner.run(
            self._scripts.offend,
            [self._keys.standing(offender)],
            codec.rule_number(rule),
            blocking.violations,
            blocking.window_ms,
            blocking.block_ms,
            codec.block_tail(rule.value, POLICY),
            codec.evidence(evidence),
        )
        packed, *fresh = reply[2:]
        standing = replace(codec.standing(packed), fresh=bool(fresh))
        if standing.block is not None:
            await self._list(offender, standing.block)
        return standing

    async def _list(self, offender: Offender, block: Block) -> None:
        # In a cluster the index is another server's. The offender's own key decides and is
        # written first: a block that fails to be listed is in force, one that is listed and
        # not in force is left out by `blocks`.
        args = (_LISTED, codec.listed(offender), block.until)
        await self._runner.run(self._scripts.index, [self._keys.index], *args)

    async def block(self, offender: Offender, until: int, reason: str, actor: str) -> Block:
        """Block, and list it."""
        tail = codec.block_tail(reason, actor)
        keys = [self._keys.standing(offender)]
        reply = await self._runner.run(self._scripts.block, keys, until, tail)
        block = Block(reply[1], until, reason, actor)
        await self._list(offender, block)
        return block

    async def lift(self, offender: Offender) -> bool:
        """Forget how the offender stands.

        The list comes first. A block that is set meanwhile is listed after its own key was
        written: it is either lifted with the other, or in force and listed. Were the list
        last, it could be in force and in no list. If this fails in between, the block is
        in force and not listed, until it is lifted again: its caller was told of an error.
        """
        keys = [self._keys.standing(offender)]
        await self.unlist(offender)
        _, now, packed = await self._runner.run(self._scripts.lift, keys)
        block = codec.standing(packed).block
        return block is not None and block.holds(now)

    async def unlist(self, offender: Offender) -> None:
        """Take an offender off the list of blocks."""
        client, name = self._runner.link.client, codec.listed(offender)
        await client.execute_command("ZREM", self._keys.index, name)

    async def blocks(self, offset: int, count: int) -> Sequence[ListedBlock]:
        """See Store."""
        _, now, pairs = await self._runner.link.within(
            self._runner.run(self._scripts.index, [self._keys.index], _LISTED)
        )
        ends = zip(pairs[::2], pairs[1::2], strict=True)
        names = sorted(((-float(end), codec.offender(name)) for name, end in ends), key=_order)
        found: list[ListedBlock] = []
        for start in range(0, len(names), _BATCH):
            offenders = [offender for _, offender in names[start : start + _BATCH]]
            keys = [self._keys.standing(offender) for offender in offenders]
            packed = await self._runner.link.within(self._runner.link.get_all(keys))
            for offender, each in zip(offenders, packed, strict=True):
                block = codec.standing(each).block
                if block is not None and block.holds(now):
                    found.append(ListedBlock(offender, block))
            if len(found) >= offset + count:
                break
        found.sort(key=lambda item: (-item.block.until, item.offender.name))
        return found[offset : offset + count]


def _order(item: tuple[float, Offender]) -> tuple[float, str]:
    return item[0], item[1].name
