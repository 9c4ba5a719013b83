"""The statements that a server really sends for a request, with their values and in their waves.

The server runs behind a proxy that holds PostgreSQL's answers back for a moment, while PostgreSQL logs each statement
with the time at which it came. Statements that come together were sent without waiting for one another: a wave.
"""

import asyncio
import json
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from . import settings
from .bodies import Request
from .cluster import Cluster
from .contestants import Contestant
from .servers import Server

DELAY = 0.025
MESSAGE = re.compile(r"^(?:execute [^:]*|statement): (.*)$", re.DOTALL)
VALUE = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")


@dataclass
class Statement:
    """A statement as PostgreSQL got it, with literals in the place of parameters."""

    text: str
    filled: str
    at: float


@dataclass
class Recorded:
    """What one request sent, wave by wave."""

    waves: list[list[Statement]]

    @property
    def statements(self) -> int:
        return sum(map(len, self.waves))


class Delay:
    """A proxy before PostgreSQL that holds answers back; in a thread of its own."""

    def __init__(self, target: int):
        self.port, self.target = 0, target
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.ready.wait(10)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        listener = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = listener.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()
        listener.close()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    async def _serve(self, reader, writer):
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return

        async def forward(source, sink):
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
            sink.close()

        async def hold_back(source, sink):
            while data := await source.read(1 << 16):
                self.loop.call_later(DELAY, lambda data=data: sink.is_closing() or sink.write(data))
            self.loop.call_later(DELAY, sink.close)

        await asyncio.gather(forward(reader, back_writer), hold_back(back_reader, writer), return_exceptions=True)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


class Probe:
    """Runs a contestant behind the proxy and records requests."""

    def __init__(self, cluster: Cluster, database: str, contestant: Contestant):
        self.cluster, self.database = cluster, database
        self.proxy = Delay(cluster.port)
        self.listeners: set[int] = set()
        self.log_start = os.path.getsize(cluster.log_file)
        self.cluster.setting("log_statement", "'all'")
        try:
            self.server = Server(contestant, cluster.url(database, self.proxy.port), settings.FIRST_PORT - 2, pinned=False)
        except BaseException:
            self._restore()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop()
        self._restore()

    def _restore(self):
        self.cluster.setting("log_statement", None)
        self.proxy.stop()

    def warm_up(self, requests: list[Request]) -> None:
        """Lets the server prepare its statements, on several connections as well, and look up who is asking."""
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(self.send, requests * max(1, 64 // len(requests))))
        for request in requests[:4]:
            self.send(request)
        self._read(self.log_start)

    def send(self, request: Request) -> None:
        """Sends a request that must succeed."""
        status, body = self.server.post(request.body, request.path, request.all_headers())
        if status != 200 or b'"errors"' in body[:20]:
            raise RuntimeError(f"{self.server.contestant.name}: {status} {body[:300]!r}")

    def record(self, requests: list[Request]) -> list[Recorded]:
        """What each request sent, one after the other."""
        start = os.path.getsize(self.cluster.log_file)
        spans = []
        for request in requests:
            # The log's times are in whole milliseconds, and its clock is ours.
            time.sleep(0.004)
            begun = time.time()
            self.send(request)
            spans.append((begun - 0.002, time.time()))
        statements = self._read(start)
        return [Recorded(waves([one for one in statements if begun <= one.at <= ended])) for begun, ended in spans]

    def _read(self, start: int) -> list[Statement]:
        # The collector writes a moment after the backend did: read when nothing more has come.
        size = -1
        while size != (size := os.path.getsize(self.cluster.log_file)):
            time.sleep(0.3)
        with self.cluster.log_file.open("rb") as file:
            file.seek(start)
            lines = file.read().splitlines()
        found = []
        for line in lines:
            entry = json.loads(line)
            match = MESSAGE.match(entry.get("message", ""))
            if not match or entry.get("dbname") != self.database:
                continue
            if match.group(1).startswith("LISTEN"):
                self.listeners.add(entry["pid"])
            if entry["pid"] in self.listeners or background(match.group(1)):
                continue
            moment = datetime.strptime(entry["timestamp"][:23], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
            text = match.group(1).strip()
            found.append(Statement(text, fill(text, entry.get("detail", "")), moment.timestamp()))
        return found


def background(text: str) -> bool:
    """What the product's worker asks once a second belongs to no request, as what its connection for LISTEN does."""
    return bool(re.search(r'\bFROM "?jobs"?\b|\bUPDATE "?jobs"?\b.*locked_until', text, re.DOTALL))


def waves(statements: list[Statement]) -> list[list[Statement]]:
    found: list[list[Statement]] = []
    for statement in sorted(statements, key=lambda one: one.at):
        if not found or statement.at - found[-1][-1].at > DELAY / 2:
            found.append([])
        found[-1].append(statement)
    return found


def kind(value: str) -> str:
    if re.fullmatch(r"'\{[0-9a-f-]{36}(,[0-9a-f-]{36})*\}'", value):
        return "::uuid[]"
    return "::uuid" if re.fullmatch(r"'[0-9a-f-]{36}'", value) else ""


def fill(text: str, detail: str) -> str:
    """The statement with its parameters as literals; where UUIDs stand alone, PostgreSQL could not infer their type."""
    values = {int(number): value + kind(value) for number, value in VALUE.findall(detail)}
    return re.sub(r"\$(\d+)", lambda match: values.get(int(match.group(1)), match.group(0)), text)
