"""Where the time of a request goes: what PostgreSQL takes for each statement, and in whose code the server is.

Each statement of the nested list is sent alone by pgbench, with the values of the recorded requests. The server is
sampled by `perf` under load, if it is installed, and each sample counted for the code that it was in.
"""

import re
import shutil
import subprocess
from collections import Counter

from . import bodies, load, pgbench, settings
from .bodies import Reads
from .cluster import Cluster
from .contestants import companion
from .probe import Probe
from .servers import Placement, Server
from .settings import log

REQUESTS = 50
SECONDS = 4
CONNECTIONS = 4
# In whose code a sample is: the first that its symbol contains.
WHOSE = (
    ("allocator", ("mi_", "__rg_", "alloc::raw_vec")),
    ("copying and comparing memory", ("memmove", "memcpy", "memcmp", "memset")),
    ("log lines and metrics", ("tracing", "sharded_slab", "metrics")),
    ("PostgreSQL's client (diesel, tokio-postgres)", ("diesel", "tokio_postgres", "postgres_protocol", "postgres_types", "fallible_iterator")),
    ("GraphQL library", ("async_graphql",)),
    ("our plans and their JSON", ("companion::graphql", "serde_json")),
    ("our HTTP, limits and access", ("companion::http", "companion::auth")),
    ("our features", ("companion::features", "companion::db", "companion::money", "companion")),
    ("HTTP and routing libraries", ("hyper", "http::", "http_body", "httparse", "axum", "tower", "matchit")),
    ("runtime", ("tokio", "futures", "mio", "parking_lot", "dataloader", "deadpool")),
    # Of PostgreSQL's client and of HTTP alike.
    ("buffers (bytes)", ("bytes::",)),
)


def measure(cluster: Cluster, database: str, reads: Reads) -> dict:
    return {"statements": statements(cluster, database, reads),
            "server": {operation: server(cluster, database, reads, operation) for operation in ("nested", "ping")}}


def statements(cluster: Cluster, database: str, reads: Reads) -> list[dict]:
    """What PostgreSQL takes for each statement of the nested list, and for `SELECT 1`, which is what any statement takes."""
    contestant = companion()
    with Probe(cluster, database, contestant) as probe:
        requests = reads.requests(contestant, "nested")[:REQUESTS]
        probe.warm_up(requests)
        recorded = probe.record(requests)
    usual = max({len(one.waves) for one in recorded}, key=[len(one.waves) for one in recorded].count)
    recorded = [one for one in recorded if len(one.waves) == usual]
    by_place: dict[tuple, list] = {}
    for one in recorded:
        for wave, sent in enumerate(one.waves):
            for statement in sent:
                table = re.search(r'FROM \(?"?(\w+)|FROM unnest.* FROM (\w+)', statement.text)
                name = next(filter(None, re.findall(r"FROM (reviews)", statement.text) or (table.groups() if table else ())), "?")
                by_place.setdefault((wave, name), []).append(statement)
    placement = Placement(settings.can_pin())
    placement.place(cluster.postmaster(), [])
    folder = settings.CACHE / "pgbench" / "profile"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = []
    for (wave, name), sent in [*sorted(by_place.items()), ((0, "SELECT 1"), None)]:
        scripts = []
        for number, text in enumerate(["SELECT 1;"] if sent is None else [" ".join(one.filled.rstrip(";").split("\n")) + ";" for one in sent]):
            path = folder / f"{wave}-{name.replace(' ', '_')}-{number:03}.sql"
            path.write_text(text + "\n")
            scripts.append(path)
        ran = pgbench.run(cluster, database, scripts, CONNECTIONS, SECONDS, placement)
        found.append({"wave": wave + 1, "of": name, "postgres_cpu_ms": ran.postgres_cpu_ms})
        log(f"{name} in wave {wave + 1}: {ran.postgres_cpu_ms:.3f} ms of PostgreSQL's CPU")
    return found


def server(cluster: Cluster, database: str, reads: Reads, operation: str) -> list[dict] | None:
    """In whose code the server is, as shares of its CPU time; nothing without perf."""
    if not shutil.which("perf"):
        log("perf is not installed: the server is not profiled")
        return None
    contestant, placement = companion(), Placement(settings.can_pin())
    samples = settings.CACHE / "perf.data"
    with Server(contestant, cluster.url(database), settings.FIRST_PORT) as running:
        placement.place(cluster.postmaster(), [running])
        requests = bodies.write(f"profile-{operation}", reads.requests(contestant, operation), running.port)
        load.wrk(f"http://127.0.0.1:{running.port}/graphql", requests, 32, 3, placement)
        pids = ",".join(map(str, running.processes()))
        recorder = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-o", samples, "-p", pids, "--", "sleep", str(SECONDS)],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        load.wrk(f"http://127.0.0.1:{running.port}/graphql", requests, 32, SECONDS + 1, placement)
        recorder.wait()
    script = subprocess.run(["perf", "script", "-i", samples, "-F", "ip,sym,dso"], capture_output=True, text=True, check=False).stdout
    counts: Counter = Counter()
    for line in script.splitlines():
        sample = re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", line)
        if sample:
            counts[whose(*sample.groups())] += 1
    total = sum(counts.values())
    return [{"whose": name, "share": number / total} for name, number in counts.most_common()] if total else None


def whose(symbol: str, binary: str) -> str:
    if "kernel" in binary or "vdso" in binary:
        return "kernel: network, waking, the log's file"
    for name, parts in WHOSE:
        if any(part in symbol for part in parts):
            return name
    return "the standard library, and what was inlined into it"
