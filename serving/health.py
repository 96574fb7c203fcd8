"""Health that tells the truth: a service serves while all it depends on does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc_health.v1 import health, health_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SERVING = "SERVING"
UNKNOWN = "UNKNOWN"


class HealthBoard:
    """What a process depends on, and so whether its services serve.

    A dependency is `SERVING`, or the reason why it is not; `UNKNOWN` until it
    is first reported. What is only noted is shown, and stops nothing. `servicer`
    answers grpc.health.v1, `Watch` included.
    """

    def __init__(
        self,
        services: Iterable[str],
        dependencies: Iterable[str] = (),
        noted: Iterable[str] = (),
    ) -> None:
        """Keep the health of `services`, which all need all of `dependencies`."""
        self._noted = frozenset(noted)
        self.servicer = health.aio.HealthServicer()
        self._services = ("", *services)
        self._states = dict.fromkeys((*dependencies, *self._noted), UNKNOWN)

    @property
    def states(self) -> Mapping[str, str]:
        """Each dependency's state."""
        return dict(self._states)

    @property
    def serving(self) -> bool:
        """Whether every dependency serves."""
        return not self.missing

    @property
    def missing(self) -> Mapping[str, str]:
        """The dependencies that do not serve, and why."""
        return {
            name: state
            for name, state in self._states.items()
            if state != SERVING and name not in self._noted
        }

    def up(self) -> list[tuple[float, Mapping[str, str]]]:
        """Return which dependencies serve, those that are only noted too: 1 or 0 each."""
        return [
            (int(state == SERVING), {"dependency": name}) for name, state in self.states.items()
        ]

    async def open(self) -> None:
        """Publish the first state; to be called before the server starts."""
        await self._publish()

    async def report(self, dependency: str, state: str) -> bool:
        """Note a dependency's state; return whether that is news."""
        if self._states[dependency] == state:
            return False
        self._states[dependency] = state
        await self._publish()
        return True

    async def drain(self) -> None:
        """Say NOT_SERVING from now on, whatever is reported."""
        await self.servicer.enter_graceful_shutdown()

    async def _publish(self) -> None:
        answer = health_pb2.HealthCheckResponse
        state = answer.SERVING if self.serving else answer.NOT_SERVING
        for service in self._services:
            await self.servicer.set(service, state)
