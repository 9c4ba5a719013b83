"""The load of a day: minutes of the mix at 80 % of the peak, then 3 times the peak, and how it recovers.

wrk has no rate of its own: each of many connections waits before each request, so long that together they send the rate,
which short runs find out. A prober on connections of its own sends a fiftieth of the load, the mix's reads, and keeps what
came of it: those are the latencies of single kinds of answers, which wrk has none of.
"""

import http.client
import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass

from . import bodies, dataset, load, settings
from .bodies import Reads, Request
from .cluster import Cluster
from .servers import Placement, Server, resident
from .settings import log
from .writes import Writes

SHARE = 0.8
TIMES = 3
# A wrk with so many connections is fast enough, and their wait is some ms, which wrk counts in.
CONNECTIONS = 64
CROWD = 1500
# The prober is so small a part of the load, on so many connections that slow answers don't slow it down.
PROBER_SHARE = 0.02
LANES = 64


@dataclass
class Seen:
    """One answer that the prober got."""

    at: float
    status: int
    ms: float
    # Whether it did what was asked.
    good: bool
    # Whether a refusal says what it is and when to come again.
    coded: bool


class Prober:
    """Sends the given requests one after the other at a steady pace, on a few connections."""

    def __init__(self, port: int, requests: list[Request], every: float):
        self.port, self.requests, self.every = port, requests, every
        self.seen: list[Seen] = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._lane, args=(lane,), daemon=True) for lane in range(LANES)]
        for thread in self.threads:
            thread.start()

    def _lane(self, lane: int) -> None:
        connection = None
        place = lane
        due = time.monotonic() + lane * self.every
        while not self.stopping.wait(max(0, due - time.monotonic())):
            # Due times go on whatever the answers take, as people do.
            due = max(due + LANES * self.every, time.monotonic() - 5)
            request = self.requests[place % len(self.requests)]
            place += LANES
            begun = time.monotonic()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("POST", request.path, request.body, {"Content-Type": "application/json", **request.all_headers()})
                answer = connection.getresponse()
                body = answer.read()
                coded = answer.status == 503 and bool(answer.headers.get("Retry-After")) and b'"UNAVAILABLE"' in body
                good = answer.status == 200 and b'"errors"' not in body[:20]
                self.seen.append(Seen(time.monotonic(), answer.status, (time.monotonic() - begun) * 1000, good, coded))
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException):
                self.seen.append(Seen(time.monotonic(), 0, (time.monotonic() - begun) * 1000, False, False))
                connection = None

    def between(self, begun: float, ended: float) -> list[Seen]:
        return [one for one in self.seen if begun <= one.at <= ended]

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(35)


def percentile(values: list[float], share: float) -> float | None:
    values = sorted(values)
    return round(values[min(len(values) - 1, int(len(values) * share))], 2) if values else None


def measure(cluster: Cluster, database: str, reads: Reads, seconds: float, overload_seconds: int) -> dict:
    """Peak, steady and overload, on a throw-away copy, unpinned: a server has its machine."""
    writes = Writes(cluster, database, reads, orders=40000)
    placement = Placement(False)
    with Server(writes.me, cluster.url(writes.name), settings.FIRST_PORT, pinned=False) as server:
        placement.place(cluster.postmaster(), [server])
        probes, _ = writes.mixed(0)
        peak = the_peak(cluster, writes, server, placement)
        found = {"peak_rps": peak}
        log(f"the peak of the mix is {peak:.0f} req/s")
        prober = Prober(server.port, probes, 1 / max(40, peak * PROBER_SHARE))
        try:
            found["steady"] = steady(cluster, writes, server, placement, peak, seconds, prober)
            found["overload"] = overload(writes, server, placement, peak, overload_seconds, prober, found["steady"]["prober_p99_ms"])
        finally:
            prober.stop()
    dataset.drop(cluster, writes.name)
    return found


def the_peak(cluster: Cluster, writes: Writes, server: Server, placement: Placement) -> float:
    """The most requests a second of the mix, at 32 connections, after a warm-up."""
    best = 0.0
    for seconds in (3, 5, 5):
        reading, writing = writes.mixed(int(seconds * 2000))
        files = bodies.write("load-reads", reading, server.port), bodies.write("load-writes", writing, server.port)
        run = load.measure(cluster, server, files[0], 32, seconds, placement, mixed=files[1])
        if run.errors:
            raise RuntimeError(f"{run.errors} errors at the peak: {server.tail()}")
        best = max(best, run.rps)
    return best


def steady(cluster: Cluster, writes: Writes, server: Server, placement: Placement, peak: float, seconds: float, prober: Prober) -> dict:
    rate = peak * SHARE
    wait = calibrate(writes, server, placement, rate, CONNECTIONS)
    reading, writing = writes.mixed(int(rate * seconds * 0.15 * 1.3) + 1000)
    read_file, write_file = bodies.write("load-reads", reading, server.port), bodies.write("load-writes", writing, server.port)
    log_from = server.log_path.stat().st_size
    samples: list[dict] = []
    stop = threading.Event()
    begun = time.monotonic()

    def sample() -> None:
        last = begun
        while not stop.wait(min(30, max(1, seconds / 20))):
            now = time.monotonic()
            samples.append({
                "at": round(now - begun, 1), "memory": server.memory(),
                "connections": int(cluster.sql(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{writes.name}'")),
                "p99_ms": percentile([one.ms for one in prober.between(last, now)], 0.99),
            })
            last = now

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    log(f"{seconds / 60:.1f} minutes at {rate:.0f} req/s")
    ran = load.wrk(f"http://127.0.0.1:{server.port}/graphql", read_file, CONNECTIONS, seconds, placement, mixed=write_file, delay_ms=wait)
    stop.set()
    sampler.join(60)
    ended = time.monotonic()
    seen = prober.between(begun, ended)
    failed = failed_in_log(server, log_from)
    return {
        "share": SHARE, "seconds": seconds, "rps": ran["requests"] / ran["microseconds"] * 1e6,
        "p50_ms": ran["p50_us"] / 1000, "p99_ms": ran["p99_us"] / 1000, "max_ms": ran["max_us"] / 1000,
        "errors": sum(ran[f"{kind}_errors"] for kind in ("connect", "read", "write", "status")) + ran["timeouts"] + ran["beyond"],
        "failed_answers": failed.total(), "failed_kinds": dict(failed), "prober_p99_ms": percentile([one.ms for one in seen], 0.99),
        "memory_peak": max([sample["memory"] for sample in samples] + [sum(resident(pid, "VmHWM:") for pid in server.processes())]),
        "connections": max((sample["connections"] for sample in samples), default=0), "samples": samples,
    }


def calibrate(writes: Writes, server: Server, placement: Placement, rate: float, connections: int) -> float:
    """The wait before each request, in ms, with which so many connections send this rate of the mix."""
    wait = connections / rate * 1000
    # How far from the rate each wait came; the closest is taken, because answers take longer at a higher rate.
    seen: list[tuple[float, float]] = []
    for _ in range(5):
        reading, writing = writes.mixed(int(rate * 3 * 0.15 * 2) + 200)
        files = bodies.write("load-reads", reading, server.port), bodies.write("load-writes", writing, server.port)
        ran = load.wrk(f"http://127.0.0.1:{server.port}/graphql", files[0], connections, 3, placement, mixed=files[1], delay_ms=wait)
        got = ran["requests"] / ran["microseconds"] * 1e6
        seen.append((abs(got - rate), wait))
        # What a connection takes for a request is its wait and the answer: only the wait can be turned.
        wait = max(1.0, wait + connections * 1000 / rate - connections * 1000 / got)
    return min(seen)[1]


def overload(writes: Writes, server: Server, placement: Placement, peak: float, seconds: int, prober: Prober, normal: float) -> dict:
    offered = peak * TIMES
    wait = calibrate(writes, server, placement, offered, CROWD)
    reading, writing = writes.mixed(int(offered * seconds * 0.15 * 1.5) + 1000)
    read_file, write_file = bodies.write("load-reads", reading, server.port), bodies.write("load-writes", writing, server.port)
    log(f"{seconds} s at {offered:.0f} req/s on {CROWD} connections")
    begun = time.monotonic()
    ran = load.wrk(f"http://127.0.0.1:{server.port}/graphql", read_file, CROWD, seconds, placement, mixed=write_file,
                   delay_ms=wait, statuses=True)
    ended = time.monotonic()
    recovery = recovered(prober, ended, normal)
    seen = prober.between(begun + 1, ended)
    accepted = [one.ms for one in seen if one.good]
    refused = [one for one in seen if not one.good]
    statuses = {**ran["statuses"]}
    return {
        "times": TIMES, "seconds": seconds, "connections": CROWD, "offered_rps": offered,
        "answered_rps": ran["requests"] / ran["microseconds"] * 1e6,
        "accepted_rps": statuses.get("200", 0) / ran["microseconds"] * 1e6, "statuses": statuses, "without_retry": ran["without_retry"],
        "errors": sum(ran[f"{kind}_errors"] for kind in ("connect", "read", "write")) + ran["timeouts"] + ran["beyond"],
        "refused_seen": len(refused), "coded": sum(one.coded for one in refused),
        "statuses_seen": dict(Counter(one.status for one in seen)),
        "accepted_p99_ms": percentile(accepted, 0.99), "normal_p99_ms": normal,
        "recovery_seconds": recovery[0], "after_p99_ms": recovery[1],
    }


def recovered(prober: Prober, ended: float, normal: float) -> tuple[float, float | None]:
    """How many seconds after the load every answer of a second was good and as quick as normal; looked at for 30 s."""
    for second in range(30):
        time.sleep(max(0, ended + second + 1.2 - time.monotonic()))
        seen = prober.between(ended + second, ended + second + 1)
        p99 = percentile([one.ms for one in seen], 0.99)
        if seen and all(one.good for one in seen) and p99 <= 3 * normal:
            return second, p99
    return 30, p99


def failed_in_log(server: Server, start: int) -> Counter[str]:
    """Requests that Companion logged with an error's code or a status from 400 on, by what they were and what came of them."""
    failed: Counter[str] = Counter()
    with server.log_path.open("rb") as file:
        file.seek(start)
        for line in file:
            if b'"message":"request"' not in line:
                continue
            status = re.search(rb'"status":(\d+)', line)
            # 499: wrk hung up at its end.
            if (status and int(status.group(1)) >= 400 and status.group(1) != b"499") or b'"codes"' in line:
                said = json.loads(line)
                failed[" ".join(str(said[key]) for key in ("operation_type", "route", "status", "codes") if key in said)] += 1
    return failed
