"""policy.v1.OperatorService: shows, and overrules, what policy decides.

It knows nothing of the operator key: `policy.operators.key` stands before it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from policy import record
from policy.decisions import Attempt
from policy.judge import Request
from policy.operators import wire
from policy.operators.refused import MostRefused
from policy.service import MAX_COUNT, NoDecision, announce, decided
from policy.standing import Party
from policy.v1 import operator_pb2 as pb, operator_pb2_grpc
from policy.wire import client, content, explained, timestamp, usage_message
from serving import errors, metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from policy.decisions import ListedBlock
    from policy.effective import EffectivePolicy
    from policy.explain import Explainer
    from policy.record import Recorder
    from policy.standing import Offender
    from policy.store import Store
    from serving.clock import Clock
    from serving.pseudonym import Pseudonyms

    Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger(__name__)

_SHADOW = "~"
"""How the name of who is only counted begins: see Offender.shadow."""


class Book(Protocol):
    """Where the policy in force stands, and what became of a newer one."""

    @property
    def current(self) -> EffectivePolicy:
        """The policy in force."""
        ...

    @property
    def loaded_at(self) -> int:
        """Since when, in milliseconds since the epoch."""
        ...

    @property
    def rejected(self) -> str:
        """Why the newest file is not in force. Empty: it is."""
        ...


class OperatorService(operator_pb2_grpc.OperatorServiceServicer):
    """What operators may do."""

    def __init__(
        self,
        store: Store,
        explainer: Explainer,
        book: Book,
        pseudonyms: Pseudonyms,
        *,
        recorder: Recorder,
        clock: Clock,
        refused: MostRefused | None = None,
    ) -> None:
        """Show what `store`, `book` and `refused` hold; keep each change with `recorder`."""
        self._store = store
        self._explainer = explainer
        self._book = book
        self._pseudonyms = pseudonyms
        self._recorder = recorder
        self._clock = clock
        self._refused = refused or MostRefused(clock)

    async def ListBlocks(
        self, request: pb.ListBlocksRequest, context: Context
    ) -> pb.ListBlocksResponse:
        """List the blocks in force, those that end last first."""
        size = wire.page_size(request.page_size)
        answer = pb.ListBlocksResponse()
        async for place, listed in self._enforced(wire.page_place(request.page_token), size + 1):
            if len(answer.blocks) == size:
                answer.next_page_token = wire.page_token(place)
                break
            answer.blocks.append(wire.block_message(listed.offender, listed.block))
        return answer

    async def AddBlock(self, request: pb.AddBlockRequest, context: Context) -> pb.AddBlockResponse:
        """Block an address or a user until a time."""
        offender = wire.offender(request.party, self._pseudonyms)
        reason, actor = wire.reason(request.reason, request.party), wire.actor(request.actor)
        until = wire.until(request.expire_time, self._clock())
        if request.party.address and self._book.current.exempts(
            wire.address("party.address", request.party)
        ):
            raise errors.FailedPrecondition(
                "The policy file exempts this address: a block would change nothing."
            )
        block = await decided(self._store.block(offender, until=until, reason=reason, actor=actor))
        metrics.BLOCKS.add(party=offender.party.value, rule="operator")
        self._tell("block_added", offender, reason, actor, until=block.until)
        return pb.AddBlockResponse(block=wire.block_message(offender, block))

    async def LiftBlock(
        self, request: pb.LiftBlockRequest, context: Context
    ) -> pb.LiftBlockResponse:
        """Lift a block and forget the violations behind it."""
        offender = wire.offender(request.party, self._pseudonyms)
        reason, actor = wire.reason(request.reason, request.party), wire.actor(request.actor)
        lifted = await decided(self._store.lift(offender))
        self._tell("block_lifted", offender, reason, actor, lifted=lifted)
        return pb.LiftBlockResponse(lifted=lifted)

    async def ListRefused(
        self, request: pb.ListRefusedRequest, context: Context
    ) -> pb.ListRefusedResponse:
        """List who was refused most in the last hour, the most first."""
        count = wire.refused_size(request.page_size)
        return pb.ListRefusedResponse(
            parties=map(wire.refused_message, self._refused.most(count)),
            since=timestamp(self._refused.since),
        )

    async def GetUser(self, request: pb.GetUserRequest, context: Context) -> pb.GetUserResponse:
        """Show a user's usage, violations and block."""
        user = wire.user(request.party, self._pseudonyms)
        tier = self._book.current.tier(request.tier)
        seen = await decided(self._store.inspect(user.name, None))
        if seen.degraded:
            raise NoDecision  # what this process knows alone is not what is asked for
        standing = seen.user.at(seen.now, tier.rules.blocking.window_ms)
        usage = seen.account.usage(tier.limits, now=seen.now)
        return pb.GetUserResponse(
            user_pseudonym=user.name,
            usage=usage_message(usage, tier.limits),
            violations=len(standing.violations),
            block=wire.block_message(user, standing.block) if standing.block else None,
        )

    async def ResetUser(
        self, request: pb.ResetUserRequest, context: Context
    ) -> pb.ResetUserResponse:
        """Forget all that is known of a user."""
        user = wire.user(request.party, self._pseudonyms)
        reason, actor = wire.reason(request.reason, request.party), wire.actor(request.actor)
        await decided(self._store.forget(user.name))
        await decided(self._store.lift(user.shadow()))
        self._tell("user_reset", user, reason, actor)
        return pb.ResetUserResponse(user_pseudonym=user.name)

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        """Tell what policy would decide for a request now, rule by rule."""
        if not 0 <= request.count <= MAX_COUNT:
            raise errors.InvalidArgument("count", f"must be 1 to {MAX_COUNT}, or 0")
        asker = client(request.client)
        # Nobody has the empty subject: it stands for one that is not known.
        user = self._pseudonyms.user(request.subject)
        asked = Request(
            attempt=Attempt(user, secrets.token_bytes(12), secrets.token_bytes(8)),
            fingerprint=secrets.token_bytes(4),  # unlike anything that was asked before
            count=request.count or 1,
            tier=request.tier,
            client=asker,
            address=self._pseudonyms.address(asker.address) if asker.address else None,
            content=content(request.content),
        )
        explanation = await decided(self._explainer.explain(asked))
        announce("dry_run", explanation.ruling, user=user)
        return pb.ExplainResponse(decision=explained(explanation))

    async def GetPolicy(
        self, request: pb.GetPolicyRequest, context: Context
    ) -> pb.GetPolicyResponse:
        """Show the policy in force."""
        policy = self._book.current
        return pb.GetPolicyResponse(
            yaml=policy.yaml,
            digest=policy.digest,
            load_time=timestamp(self._book.loaded_at),
            rejected=self._book.rejected,
        )

    async def _enforced(self, place: int, count: int) -> AsyncIterator[tuple[int, ListedBlock]]:
        """Go through the blocks from a place on, `count` a time, without those in shadow mode."""
        more = True
        while more:
            rows = await decided(self._store.blocks(offset=place, count=count))
            more = len(rows) == count
            for listed in rows:
                if not listed.offender.name.startswith(_SHADOW):
                    yield place, listed
                place += 1

    def _tell(
        self, event: str, offender: Offender, reason: str, actor: str, **more: int | bool
    ) -> None:
        party = "user" if offender.party is Party.USER else "address"
        log.info(event, party=party, name=offender.name, reason=reason, actor=actor, **more)
        self._recorder.write(
            record.change(
                self._clock(),
                event,
                offender,
                reason=reason,
                actor=actor,
                digest=self._book.current.digest,
            )
            | more
        )
