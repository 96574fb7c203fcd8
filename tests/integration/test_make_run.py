"""`make run`, as a person uses it: read what it prints, paste the curl line, press Ctrl-C."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from layouts import free_ports

from stack.__main__ import greeting
from stack.layout import Layout

READY = "Ctrl-C stops everything."


@asynccontextmanager
async def program(
    layout: Layout, *command: str, **variables: str
) -> AsyncIterator[tuple[Process, Callable[[str], "asyncio.Future[str]"]]]:
    """Run `command` on the layout's ports; yield it and what reads up to a word."""
    process = await asyncio.create_subprocess_exec(
        *(command or (sys.executable, "-m", "stack")),
        env={**layout.environment, **variables},
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )
    assert process.stdout
    output = process.stdout

    async def read_until(word: str) -> str:
        text = ""
        async with asyncio.timeout(60):
            while word not in text and (line := await output.readline()):
                text += line.decode()
        return text

    try:
        yield process, lambda word: asyncio.ensure_future(read_until(word))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_the_printed_curl_line_issues_a_token(make_layout: Callable[..., Layout]) -> None:
    """What `make run` prints works when pasted, and SIGINT ends it with 0."""
    async with program(make_layout()) as (process, read_until):
        printed = await read_until(READY)
        line = re.search(r"^ +(curl .*)$", printed, re.MULTILINE)
        assert line, printed
        _curl, _quiet, _x, method, url, _h, header = shlex.split(line[1])
        name, _, value = header.partition(": ")
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers={name: value}) as answer,
        ):
            body = json.loads(await answer.text())
        assert body["success"] is True, body
        assert body["token"].startswith("auth_tokens/")
        process.send_signal(signal.SIGINT)
        logged = await read_until("Stopped.")
        assert "Stopped." in logged
        assert await process.wait() == 0
    assert "CreateToken" in logged
    for secret in (body["token"], value.split()[1], "dev-user", "emulator-key"):
        assert secret not in logged


async def test_the_printed_operator_watches_and_sees_blocks(
    make_layout: Callable[..., Layout],
) -> None:
    """The operator's token that `make run` prints opens operators' routes; the user's does not.

    Whoever watches does not keep the stack from ending.
    """
    layout = make_layout()
    async with program(layout) as (process, read_until):
        printed = await read_until(READY)
        user, operator = (
            {"Authorization": f"Bearer {token}"}
            for token in dict.fromkeys(re.findall(r"^ +(eyJ\S+)$", printed, re.MULTILINE))
        )
        assert f"  {layout.gateway_url}/ops\n" in printed
        url = f"{layout.gateway_url}/api/v1/operations"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/blocks", headers=operator) as answer:
                assert (await answer.json())["blocks"] == []
            async with session.get(f"{url}/blocks", headers=user) as answer:
                assert answer.status == 403
            async with session.get(f"{url}:watch", headers=operator) as answer:
                assert json.loads(await answer.content.readline())["result"]["instance"]
                process.send_signal(signal.SIGINT)
                assert "Stopped." in await read_until("Stopped.")
                assert await process.wait() == 0
                await answer.content.read()  # which would fail if it had been cut off


async def test_ctrl_c_in_a_terminal_is_a_clean_end(make_layout: Callable[..., Layout]) -> None:
    """In a terminal, Ctrl-C reaches the stack alone: whoever started it sees exit 0."""
    job = f"{shlex.quote(sys.executable)} -m stack; echo ended=$?"
    terminal = f"import pty; pty.spawn(['sh', '-c', {job!r}])"
    async with program(make_layout(), sys.executable, "-c", terminal) as (process, read_until):
        await read_until(READY)
        assert process.stdin
        process.stdin.write(b"\x03")
        assert "ended=0" in await read_until("ended=")


async def test_one_death_takes_the_rest_down(make_layout: Callable[..., Layout]) -> None:
    """When one process dies, the rest is stopped, a line says which, and the exit code is 1."""
    layout = make_layout()
    async with program(layout) as (process, read_until):
        await read_until(READY)
        os.kill(child_of(process, "policy"), signal.SIGKILL)
        assert "stack: policy was killed by signal 9; stopping the rest" in await read_until(
            "stack: "
        )
        assert await process.wait() == 1
    with socket.socket() as probe:  # nothing is left that listens
        assert probe.connect_ex(("127.0.0.1", layout.gateway.number)) != 0


async def test_signals_while_it_stops_leave_nothing_behind(
    make_layout: Callable[..., Layout],
) -> None:
    """A Ctrl-C or a closed terminal during the stop leaves no process behind."""
    layout = make_layout()
    async with program(layout) as (process, read_until):
        await read_until(READY)
        gateway = child_of(process, "gateway")
        os.kill(gateway, signal.SIGSTOP)  # so that stopping takes a while
        os.kill(child_of(process, "policy"), signal.SIGKILL)
        for signum in (signal.SIGINT, signal.SIGHUP):
            process.send_signal(signum)
        os.kill(gateway, signal.SIGCONT)
        await read_until("stack: ")
        assert await process.wait() in {0, 1}
    for port in layout.ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port.number)) != 0


async def test_a_busy_port_is_named(make_layout: Callable[..., Layout]) -> None:
    """A port in use stops the start with a line that says which, and how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with program(make_layout(), GATEWAY_PORT=str(port)) as (process, read_until):
            printed = await read_until("stack: ")
            assert f"port {port} for gateway" in printed
            assert f"GATEWAY_PORT={port + 1} make run" in printed
            assert await process.wait() == 1


async def test_an_unreadable_setting_is_named(make_layout: Callable[..., Layout]) -> None:
    """A setting that does not parse ends the start with the line that names it."""
    variables = {"LIVE_API_MAX_TOKENS_PER_HOUR": "ten"}
    async with program(make_layout(**variables)) as (process, read_until):
        printed = await read_until("stack: policy exited 2")
        assert "policy: LIVE_API_MAX_TOKENS_PER_HOUR: " in printed
        assert await process.wait() == 1


def child_of(process: Process, module: str) -> int:
    """Return the pid of the stack's process that runs `module`."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:  # noqa: PTH123
        pids = children.read().split()
    return next(int(pid) for pid in pids if module in command_of(pid))


def command_of(pid: str) -> list[str]:
    """Return a process's command line."""
    with open(f"/proc/{pid}/cmdline") as command:  # noqa: PTH123
        return command.read().split("\0")


async def test_with_a_key_it_mints_at_google(make_layout: Callable[..., Layout]) -> None:
    """With GEMINI_API_KEY set there is no emulator, and only tokenservice is given the key."""
    layout = make_layout(GEMINI_API_KEY="a-key")
    assert "no emulator runs" in greeting(layout)
    programs = {program.name: program for program in layout.programs}
    assert set(programs) == {"policy", "tokenservice", "gateway"}
    assert programs["tokenservice"].environment["GEMINI_API_KEY"] == "a-key"
    assert "GOOGLE_GEMINI_BASE_URL" not in programs["tokenservice"].environment
    for name in ("policy", "gateway"):
        assert not {"GEMINI_API_KEY", "LIVE_API_JWT_SECRET"} & programs[name].environment.keys()


async def test_what_it_measures_is_scraped_where_it_says(
    make_layout: Callable[..., Layout],
) -> None:
    """Each of the three processes has a port for Prometheus, and the greeting names them."""
    async with program(make_layout(OTEL_METRICS_EXPORTER="")) as (_, read_until):
        printed = await read_until(READY)
        urls = dict(re.findall(r"^ +(\w+) +(http://\S+/metrics)$", printed, re.MULTILINE))
        assert set(urls) == {"gateway", "tokenservice", "policy"}
        async with aiohttp.ClientSession() as session:
            for name, url in urls.items():
                async with session.get(url) as answer:
                    text = await answer.text()
                assert f'service_name="{name}"' in text
                assert "live_token_build_info{" in text
                assert "live_token_rpc_capacity " in text


def test_scrapes_have_ports_of_their_own(make_layout: Callable[..., Layout]) -> None:
    """Those that are usual, if they are free, in the order of our Prometheus configuration."""
    (first,) = free_ports(1)
    variables = {"OTEL_METRICS_EXPORTER": "", "OTEL_EXPORTER_PROMETHEUS_PORT": f"{first}"}
    with socket.create_server(("127.0.0.1", first)):
        moved = make_layout(**variables)
    assert first not in moved.scraped.values()
    assert len(set(moved.scraped.values())) == 3
    assert list(moved.scraped) == ["gateway", "tokenservice", "policy"]
    assert make_layout(**variables).scraped["gateway"] == first
    for program in moved.programs:
        given = program.environment
        if program.name == "emulator":
            assert given["OTEL_EXPORTER_PROMETHEUS_PORT"] == f"{first}"  # and it has no use for it
            continue
        assert given["OTEL_EXPORTER_PROMETHEUS_PORT"] == f"{moved.scraped[program.name]}"
        assert given["OTEL_METRICS_EXPORTER"] == "otlp,prometheus"


def test_who_says_how_metrics_go_is_heard(make_layout: Callable[..., Layout]) -> None:
    """Where the user wants no scrapes there are no ports, and the greeting says why."""
    for variables in (
        {"OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_METRICS_EXPORTER": "otlp"},
        {"OTEL_METRICS_EXPORTER": "", "OTEL_SDK_DISABLED": "true"},
    ):
        layout = make_layout(**variables)
        assert layout.scraped == {}
        assert "/metrics" not in greeting(layout)
        exporter = variables["OTEL_METRICS_EXPORTER"]
        assert {p.environment["OTEL_METRICS_EXPORTER"] for p in layout.programs} == {exporter}
    both = make_layout(OTEL_METRICS_EXPORTER="prometheus,otlp")
    assert {p.environment["OTEL_METRICS_EXPORTER"] for p in both.programs} == {"prometheus,otlp"}
    assert len(both.scraped) == 3
