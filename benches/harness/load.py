"""One run of wrk against one server, with what it cost."""

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import settings
from .cluster import Cluster
from .servers import Placement, Server, cpu_seconds

LUA = Path(__file__).with_name("wrk.lua")


@dataclass
class Run:
    """What one run measured. CPU is in ms a request, memory in bytes."""

    rps: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    server_cpu_ms: float | None = None
    postgres_cpu_ms: float | None = None
    memory: int | None = None
    bytes_per_answer: float | None = None
    requests: int = 0
    sent: int = 0
    errors: int = 0


def check_wrk() -> None:
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk, or brew install wrk")


def wrk(url: str, bodies: Path, connections: int, seconds: float, placement: Placement, once: bool = False,
        mixed: Path | None = None, delay_ms: float = 0, statuses: bool = False) -> dict:
    """What wrk says of a run; whole seconds. With `mixed`, 15 of 100 requests are the next of that file."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "30s", "-s", str(LUA), url,
               "--", str(bodies), "once" if once else "again", str(mixed or "-"), str(delay_ms), "statuses" if statuses else "-"]
    if placement.pinned:
        command = ["taskset", "-c", str(settings.LOAD_CORE), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise RuntimeError(f"wrk failed: {done.stdout}{done.stderr}")


def measure(cluster: Cluster, server: Server, bodies: Path, connections: int, seconds: float, placement: Placement,
            once: bool = False, mixed: Path | None = None) -> Run:
    """A measured run; the caller has warmed up and placed everything."""
    postmaster = cluster.postmaster()
    before = cpu_seconds(server.process.pid), cpu_seconds(postmaster)
    found = wrk(f"http://127.0.0.1:{server.port}/graphql", bodies, connections, seconds, placement, once, mixed)
    after = cpu_seconds(server.process.pid), cpu_seconds(postmaster)
    requests = max(1, found["requests"])
    errors = sum(found[f"{kind}_errors"] for kind in ("connect", "read", "write", "status")) + found["timeouts"]
    if found["beyond"]:
        # The bodies were all sent before the time was over: the rest was filler and counts as wrong.
        errors += found["beyond"]
    return Run(
        rps=found["requests"] / found["microseconds"] * 1e6,
        p50_ms=found["p50_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
        server_cpu_ms=(after[0] - before[0]) * 1000 / requests,
        postgres_cpu_ms=(after[1] - before[1]) * 1000 / requests,
        memory=server.memory(),
        bytes_per_answer=found["bytes"] / requests,
        requests=found["requests"],
        sent=found["sent"],
        errors=errors,
    )


def settle() -> None:
    """A moment in which what the last run left comes to its end."""
    time.sleep(0.2)
