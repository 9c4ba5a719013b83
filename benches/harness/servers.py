"""Starts contestants, pins them, and reads what they cost from /proc."""

import http.client
import os
import resource
import signal
import subprocess
import time
from dataclasses import dataclass

from . import settings
from .contestants import Contestant
from .settings import log

TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """A contestant that runs."""

    def __init__(self, contestant: Contestant, url: str, port: int, pinned: bool = True):
        self.contestant = contestant
        self.port = port
        settings.LOGS.mkdir(parents=True, exist_ok=True)
        self.log_path = settings.LOGS / f"{contestant.name}.log"
        environment = {
            **settings.inherited(), **contestant.environment,
            "DATABASE_URL": url, "PORT": str(port), "HOST": "127.0.0.1", "BENCH_CACHE": str(settings.CACHE),
        }
        home = environment.get("DATA_DIR")
        if home:
            os.makedirs(home, exist_ok=True)
        command = list(contestant.serve)
        if settings.can_pin() and pinned:
            command = ["taskset", "-c", str(settings.SERVER_CORE), *command]
        with self.log_path.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                start_new_session=True, cwd=settings.CACHE)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self, patience: float = 60) -> None:
        end = time.monotonic() + patience
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.contestant.name} ended with status {self.process.returncode}: {self.tail()}")
            try:
                status, _ = self.post(b'{"query":"{ __typename }"}')
                if status < 500:
                    return
            except OSError:
                pass
            if time.monotonic() > end:
                raise RuntimeError(f"{self.contestant.name} does not answer on port {self.port}: {self.tail()}")
            time.sleep(0.1)

    def post(self, body: bytes, path: str = "/graphql", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Posts JSON on a connection of its own."""
        status, body, _ = self.post_and_measure(body, path, headers)
        return status, body

    def post_and_measure(self, body: bytes, path: str, headers: dict[str, str] | None) -> tuple[int, bytes, int]:
        """The same, with how many bytes the whole answer had, at least."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})})
            answer = connection.getresponse()
            head = sum(len(name) + len(text) + 4 for name, text in answer.getheaders()) + len(f"HTTP/1.1 {answer.status} {answer.reason}") + 4
            found = answer.read()
            return answer.status, found, head + len(found)
        finally:
            connection.close()

    def tail(self) -> str:
        return self.log_path.read_bytes()[-1500:].decode(errors="replace")

    def processes(self) -> list[int]:
        return tree(self.process.pid)

    def memory(self) -> int:
        """Resident memory of all its processes, in bytes."""
        return sum(resident(pid) for pid in self.processes())

    def peak_memory(self) -> int:
        """The most that it was resident in at any time, in bytes."""
        return sum(resident(pid, "VmHWM:") for pid in self.processes())

    def pin(self, cores: set[int]) -> None:
        for pid in self.processes():
            pin(pid, cores)

    def stop(self) -> None:
        for how, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
            try:
                os.killpg(self.process.pid, how)
            except ProcessLookupError:
                break
            try:
                self.process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def children() -> dict[int, list[int]]:
    """The processes of this machine by their parent."""
    found: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat(int(entry))
            if fields:
                found.setdefault(int(fields[1]), []).append(int(entry))
    return found


def tree(root: int) -> list[int]:
    """A process and all below it."""
    by_parent, found, queue = children(), [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue.extend(by_parent.get(pid, []))
    return found


def stat(pid: int) -> list[str] | None:
    """What /proc/<pid>/stat says after the name: state, parent, …"""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2].decode().split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def cpu_seconds(root: int) -> float:
    """CPU time of a process, of all below it, and of those below it that ended."""
    ticks = 0
    for pid in tree(root):
        fields = stat(pid)
        if fields:
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICK


def resident(pid: int, key: str = "VmRSS:") -> int:
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(key)), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def pin(pid: int, cores: set[int]) -> None:
    """Moves all threads of a process."""
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(task), cores)
    except (FileNotFoundError, ProcessLookupError):
        pass


def equal_rights(pid: int) -> None:
    """Gives a process the priority that the load has: a cluster that was started with another would fall behind."""
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        if os.getpriority(os.PRIO_PROCESS, pid) != ours:
            os.setpriority(os.PRIO_PROCESS, pid, ours)
    except ProcessLookupError:
        pass
    except PermissionError:
        log(f"process {pid} has another priority than the load, which only root can change")


@dataclass
class Placement:
    """Where the parts run: pinned as performance.md says, or everywhere."""

    pinned: bool

    @property
    def server(self) -> set[int]:
        return {settings.SERVER_CORE} if self.pinned else settings.cores()

    @property
    def load(self) -> set[int]:
        return {settings.LOAD_CORE} if self.pinned else settings.cores()

    def place(self, postmaster: int, servers: list[Server]) -> None:
        for pid in tree(postmaster):
            pin(pid, self.load)
            equal_rights(pid)
        for server in servers:
            server.pin(self.server)
            for pid in server.processes():
                equal_rights(pid)


def more_files() -> None:
    """As many open files as we may have: 3 times the peak takes many connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
