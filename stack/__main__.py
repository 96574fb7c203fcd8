"""`make run`: the whole stack on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

from stack.layout import Layout, user_environment
from stack.supervisor import StackError, running
from stack.terminal import foreground


def main() -> int:
    """Run until told to stop; return the exit code."""
    try:
        layout = Layout.of(Path(".run").absolute(), user_environment())
        with foreground():
            asyncio.run(_run(layout))
    except (StackError, ValueError, OSError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    print("Stopped.")
    return 0


async def _run(layout: Layout) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(signum, stop.set)
    async with running(layout, stop) as stack:
        if stop.is_set():
            return
        print(greeting(layout), flush=True)
        if death := await stack.first_death(stop):
            raise StackError(f"{death}; stopping the rest")


def greeting(layout: Layout) -> str:
    """Say what runs where, and how to try it."""
    now = time.time()
    bearer = layout.bearer("dev-user", now)
    operator = layout.bearer("dev-operator", now, roles=["operator"])
    gemini = "Google (GEMINI_API_KEY is set: tokens are real, and no emulator runs)"
    if layout.emulated:
        gemini = f"the emulator at {layout.emulator_url} and {layout.emulator_tls_url}"
        gemini += f"\n                (SSL_CERT_FILE={layout.ca_file})"
    policy = f"{Path(sys.executable).with_name('policy')}"
    tokenservice = f"{Path(sys.executable).with_name('tokenservice')}"
    scraped = "\n".join(f"  {name:<14}{url}" for name, url in layout.scrape_urls.items())
    return f"""
Gemini Live tokens, on this machine:

  gateway       {layout.gateway_url}
  tokenservice  {layout.tokenservice_target} (gRPC, with health and reflection)
  policy        {layout.policy_target}
  Gemini        {gemini}

A development user's bearer token, good for 12 hours:

  {bearer}

Try it in a browser, with that bearer token:

  {layout.gateway_url}/

Issue a token:

  curl -sS -X POST {layout.gateway_url}/api/v1/live-token -H 'Authorization: Bearer {bearer}'

Watch it at work, and lift blocks, as an operator, with a bearer token of one:

  {layout.gateway_url}/ops

  {operator}

See whom policy blocks, and ask it why:

  {policy} blocks list {layout.operator_options}
  {policy} explain --user dev-user --address {layout.host} {layout.operator_options}

Look at what each of them measures, as Prometheus does:

{scraped or "  (OTEL_METRICS_EXPORTER says: nothing)"}

Make an API key, and ask the ledger who was issued what:

  . {layout.operator_env_file}
  {tokenservice} keys create --owner dev-user --expires 30d
  {tokenservice} ledger find --user dev-user

Ctrl-C stops everything.
"""


if __name__ == "__main__":
    sys.exit(main())
