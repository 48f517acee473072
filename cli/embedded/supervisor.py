"""Starts a whole fleet on this machine, keeps it running, and stops all of it again."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cli.embedded.children import ChildGroup
from cli.embedded.folder import FleetFile, Folder
from cli.embedded.plan import (
    Options,
    Plan,
    PlanProblem,
    Program,
    check_variables,
    find_config,
    make_plan,
)
from cli.embedded.plan import read_config as read_fleet_config
from cli.embedded.ports import NoPort, Ports
from cli.embedded.probe import is_well
from cli.embedded.redis import (
    MAJOR_VERSION_MIN,
    RedisServer,
    RedisUnavailable,
    major,
    version_at,
)
from cli.embedded.trace_forward import forwarding
from cli.embedded.trace_server import TraceDoors, serving_traces
from cli.embedded.trace_store import TraceStore

START_SECONDS_MAX = 60.0
POLL_SECONDS = 0.1
BACKOFF_SECONDS_MIN = 0.2
BACKOFF_SECONDS_MAX = 10.0
# Who has run this long is not in a crash loop.
STEADY_SECONDS = 30.0
TRIM_SECONDS = 30.0


class Change(StrEnum):
    """What happened to a part of the fleet."""

    READY = "ready"
    AWAY = "away"
    DIED = "died"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class News:
    """One line of progress: which part, what happened, in words, and after how long."""

    name: str
    change: Change
    detail: str = ""
    seconds: float = 0.0


Tell = Callable[[News], None]


class StartFailed(Exception):
    """A part did not come up. The text says which, why, and where its log is."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet that runs: `gateway`, `router`, `ledger` as host:port, `http` as a URL."""

    folder: Folder
    gateway: str
    http: str
    router: str
    ledger: str
    internal_token: str
    traces: TraceStore
    traces_url: str
    config: Path | None
    kill: Callable[[], None]


@asynccontextmanager
async def running_fleet(options: Options, tell: Tell = lambda news: None) -> AsyncIterator[Fleet]:
    """The five services and what they need, from healthy to gone.

    A child that dies is started again and `tell` hears of it. Raises FolderProblem,
    PlanProblem, RedisUnavailable, StartFailed.
    """
    config_path = find_config(options, Path.cwd())
    config = read_fleet_config(config_path, options.environ)
    check_variables(options.environ, config)
    folder = Folder(options.directory)
    folder.make()
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.locked())
        secrets = folder.secrets()
        folder.trim_logs()
        ports = stack.enter_context(Ports())
        store = TraceStore()
        told = options.environ.get("SPENDGATE_OTLP_ENDPOINT", "")
        forward = await stack.enter_async_context(forwarding(told))
        serving = serving_traces(store, secrets.internal_token, forward)
        doors = await stack.enter_async_context(serving)
        group = await stack.enter_async_context(ChildGroup())
        keeper = Keeper(group, folder, tell)
        try:
            redis_url = options.environ.get("SPENDGATE_REDIS_URL", "")
            if redis_url:
                tell(await _greeting(redis_url))
            else:
                redis_url = await keeper.start_redis(RedisServer(folder.redis, group=group))
            try:
                plan = make_plan(
                    options,
                    config_path,
                    config,
                    folder=folder,
                    secrets=secrets,
                    ports=ports,
                    redis_url=redis_url,
                    otlp=doors.otlp,
                    traces=doors.url,
                )
            except NoPort as error:
                raise PlanProblem(str(error)) from error
            await keeper.start(plan)
            folder.write_fleet(_fleet_file(plan, doors))
            yield Fleet(
                folder=folder,
                gateway=plan.gateway,
                http=plan.http,
                router=plan.router,
                ledger=plan.ledger,
                internal_token=secrets.internal_token,
                traces=store,
                traces_url=doors.url,
                config=config_path,
                kill=group.kill,
            )
        finally:
            folder.forget_fleet()
            await keeper.stop()


class Keeper:
    """Keeps children running until it is told to stop."""

    def __init__(self, group: ChildGroup, folder: Folder, tell: Tell) -> None:
        self._group = group
        self._folder = folder
        self._told = tell
        self._tasks: list[asyncio.Task[None]] = []
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def start_redis(self, server: RedisServer) -> str:
        """Start Redis and keep it; its URL. Raises RedisUnavailable."""

        async def up(start: Callable[[], Awaitable[object]]) -> None:
            began = time.monotonic()
            await start()
            self._tell(News("redis", Change.READY, "", time.monotonic() - began))

        async def run() -> str:
            return _ending(await server.wait())

        async def again() -> None:
            await up(server.start)

        await up(server.__aenter__)
        self._tasks.append(asyncio.create_task(self._keep("redis", run, again)))
        return server.url

    async def start(self, plan: Plan) -> None:
        """Start every program and wait until all are well. Raises StartFailed."""
        starts = [asyncio.create_task(self._start(program)) for program in plan.programs]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for task in starts:
                task.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            raise
        for program in plan.programs:
            self._tasks.append(asyncio.create_task(self._keep_program(program)))
        self._tasks.append(asyncio.create_task(self._trim()))

    async def stop(self) -> None:
        """Stop the gateway, then the services at once; what they stand on the group stops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        gateway = self._running.pop("gateway", None)
        if gateway is not None:
            await self._group.stop(gateway)
            self._tell(News("gateway", Change.STOPPED))
        await asyncio.gather(*(self._group.stop(child) for child in self._running.values()))
        for name in self._running:
            self._tell(News(name, Change.STOPPED))
        self._running.clear()

    async def _start(self, program: Program) -> None:
        """Start a program and wait until it is well. Raises StartFailed."""
        began = time.monotonic()
        log = self._folder.log(program.name)
        log_start = log.stat().st_size if log.exists() else 0
        child = await self._group.start(program.command, env=program.environ, output=log)
        self._running[program.name] = child
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                while True:
                    well = await is_well(program.address, program.health)
                    # Asked after: a stranger on the same port may have answered for a dead child.
                    if child.returncode is not None:
                        self._gone(program.name, child)
                        why = _last_words(log, log_start) or _ending(child.returncode)
                        raise StartFailed(f"{program.name} did not start: {why} (log: {log})")
                    if well:
                        break
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise StartFailed(
                f"{program.name} was not well after {START_SECONDS_MAX:.0f} s (log: {log})"
            ) from None
        self._tell(News(program.name, Change.READY, program.address, time.monotonic() - began))

    async def _keep_program(self, program: Program) -> None:
        async def run() -> str:
            child = self._running[program.name]
            code = await child.wait()
            self._gone(program.name, child)
            return _ending(code)

        async def again() -> None:
            await self._start(program)

        await self._keep(program.name, run, again)

    async def _keep(
        self,
        name: str,
        run: Callable[[], Awaitable[str]],
        again: Callable[[], Awaitable[None]],
    ) -> None:
        """`run` ends when the child does and says how; `again` starts it anew."""
        backoff = BACKOFF_SECONDS_MIN
        while True:
            began = time.monotonic()
            why = await run()
            if time.monotonic() - began > STEADY_SECONDS:
                backoff = BACKOFF_SECONDS_MIN
            while True:
                self._tell(News(name, Change.DIED, f"{why}; starting again in {backoff:.1f} s"))
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, BACKOFF_SECONDS_MAX)
                try:
                    await again()
                    break
                except Exception as error:
                    why = str(error)
                    await self._drop(name)

    async def _drop(self, name: str) -> None:
        """End a child that runs and is not well."""
        child = self._running.pop(name, None)
        if child is not None:
            await self._group.stop(child)

    def _gone(self, name: str, child: asyncio.subprocess.Process) -> None:
        self._running.pop(name, None)
        self._group.forget(child)

    def _tell(self, news: News) -> None:
        # A terminal that was closed must not keep the fleet from stopping in order.
        with contextlib.suppress(OSError, ValueError):
            self._told(news)

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(TRIM_SECONDS)
            await asyncio.to_thread(self._folder.trim_logs)


async def _greeting(url: str) -> News:
    """Whether the Redis that was named can be used. The fleet runs without it too."""
    try:
        version = await version_at(url)
    except RedisUnavailable as error:
        return News("redis", Change.AWAY, f"{error}; requests go on without the cache")
    if major(version) < MAJOR_VERSION_MIN:
        return News(
            "redis", Change.AWAY, f"version {version}; {MAJOR_VERSION_MIN} or newer is supported"
        )
    return News("redis", Change.READY, f"{version}, as SPENDGATE_REDIS_URL says")


def _fleet_file(plan: Plan, doors: TraceDoors) -> FleetFile:
    return FleetFile(
        pid=os.getpid(),
        gateway=plan.gateway,
        http=plan.http,
        router=plan.router,
        ledger=plan.ledger,
        traces=doors.url,
    )


def _ending(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with code {code}"


def _last_words(log: Path, start: int) -> str:
    """The last line a process wrote since `start` that says something; "" when none does."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(start)
        lines = file.read()[-8192:].decode(errors="replace").strip().splitlines()
        for line in reversed(lines):
            said = _said(line.strip())
            if said:
                return said
    return ""


def _said(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if isinstance(record, dict) and record.get("level") in ("warning", "error"):
        return str(record.get("message", ""))
    return ""
