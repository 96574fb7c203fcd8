"""Carries out the faults that were ordered for HTTP requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from emulator.errors import GoogleError

if TYPE_CHECKING:
    from emulator.core import Emulator
    from emulator.faults import HttpFault


async def meet(
    emulator: Emulator, request: web.Request, fault: HttpFault | None
) -> web.StreamResponse | None:
    """Return what the caller gets instead of service, or None if the request goes on."""
    if fault is None:
        return None
    emulator.journal.counters.faults_met += 1
    await emulator.delay(fault.latency_ms)
    if fault.hang:
        await emulator.stopping.wait()
    if fault.hang or fault.disconnect:
        return _hang_up(request)
    if fault.garbage:
        return web.Response(text="<html>no JSON here</html>", content_type="application/json")
    if fault.empty_name:
        return web.json_response({"name": ""})
    if fault.status is None:
        return None
    error = GoogleError(
        fault.status,
        fault.message or "This fault was ordered from the emulator.",
        status=fault.google_status,
    )
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
    return web.json_response(error.body(), status=fault.status, headers=headers)


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # goes nowhere: the connection is gone
