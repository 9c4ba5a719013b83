"""pgbench with the statements that the server sends: what PostgreSQL alone can do."""

import re
import shutil
import subprocess
import time
from pathlib import Path

from . import settings
from .cluster import Cluster
from .load import Run
from .probe import Recorded
from .servers import Placement, cpu_seconds

CONNECTIONS = (1, 2, 4, 8)
# pgbench prepares each script's statements when a connection first runs it; what is counted comes after.
WARM_UP = 2
PROGRESS = re.compile(r"progress: ([\d.]+) s, ([\d.]+) tps")


def write(name: str, recorded: list[Recorded]) -> list[Path]:
    """A script for each recorded request: its waves are pipelines."""
    folder = settings.CACHE / "pgbench" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = []
    for number, request in enumerate(recorded):
        lines = []
        for wave in request.waves:
            piped = len(wave) > 1
            lines += ["\\startpipeline"] * piped
            # A statement is one command however many lines it has; a colon before a letter would be a variable.
            lines += [" ".join(one.filled.rstrip(";").split("\n")) + ";" for one in wave]
            lines += ["\\endpipeline"] * piped
        path = folder / f"{number:03}.sql"
        path.write_text("\n".join(lines) + "\n")
        found.append(path)
    return found


def run(cluster: Cluster, database: str, scripts: list[Path], connections: int, seconds: float, placement: Placement) -> Run:
    """One run, after a warm-up of its own."""
    total = WARM_UP + round(seconds)
    command = [str(cluster.programs / "pgbench"), "-n", "-M", "prepared", "-c", str(connections), "-j", "1", "-T", str(total + 1), "-P", "1"]
    for script in scripts:
        command += ["-f", str(script)]
    command += [cluster.url(database)]
    if placement.pinned:
        command = ["taskset", "-c", str(settings.SERVER_CORE), *command]
    postmaster = cluster.postmaster()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    started = time.monotonic()
    try:
        time.sleep(WARM_UP)
        before = cpu_seconds(process.pid), cpu_seconds(postmaster)
        begun = time.monotonic()
        time.sleep(max(0, started + total - time.monotonic()))
        after = cpu_seconds(process.pid), cpu_seconds(postmaster)
        ended = time.monotonic()
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise RuntimeError(f"pgbench failed: {output[-2000:]}")
    seen = [(float(at), float(tps)) for at, tps in PROGRESS.findall(output)]
    # Its reports come late on a busy machine: then what there is after the warm-up counts.
    counted = [tps for at, tps in seen if WARM_UP + 0.5 < at <= total + 0.5] or [tps for at, tps in seen if at > WARM_UP]
    if not counted:
        raise RuntimeError(f"pgbench said nothing of its progress: {output[-2000:]}")
    tps = sum(counted) / len(counted)
    requests = max(1.0, tps * (ended - begun))
    return Run(
        rps=tps,
        server_cpu_ms=(after[0] - before[0]) * 1000 / requests,
        postgres_cpu_ms=(after[1] - before[1]) * 1000 / requests,
        requests=round(requests),
    )


def best_connections(cluster: Cluster, database: str, scripts: list[Path], placement: Placement, seconds: float = 2) -> int:
    """The number of connections with which pgbench is fastest here."""
    return max(CONNECTIONS, key=lambda number: run(cluster, database, scripts, number, seconds, placement).rps)
