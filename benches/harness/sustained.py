"""The load of a day: minutes of the mix at 80 % of the peak, then 3 times the peak, and how it recovers.

wrk has no rate of its own: each of many connections waits before each request, so long that together they send the rate,
which short runs find out. A prober on connections of its own sends a fiftieth of the peak beside the load, the mix's reads and
mutations, and keeps what came of it: those are the latencies of single kinds of answers, which wrk has none of.

The overload comes out of the day's load and goes back into it. What the prober saw is looked at when all is over and all
of its answers are in, so that none is left out for being slow.
"""

import http.client
import json
import math
import re
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

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
# Of so many that the prober sends one is a mutation.
PROBER_WRITES = 2
# The day's load before the overload and after it, in seconds.
LEAD = 10
RECOVERY = 10
# What follows a second, shorter overload: so many connections with no pause, for so long, of which the end is looked at.
EAGER = 30
EAGER_AFTER = 10
EAGER_SECONDS = 5
EAGER_LAST = 3


@dataclass
class Seen:
    """One answer that the prober got."""

    sent: float
    at: float
    status: int
    # Whether a mutation was asked for.
    write: bool
    # Whether it did what was asked.
    good: bool
    # Whether a refusal says what it is and when to come again.
    coded: bool

    @property
    def ms(self) -> float:
        """How long the answer took."""
        return (self.at - self.sent) * 1000


class Prober:
    """Sends reads in turn, and mutations once each, at a steady pace on a few connections."""

    def __init__(self, port: int, reads: list[Request], writes: list[Request], every: float):
        self.port, self.reads, self.writes, self.every = port, reads, deque(writes), every
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
            write = place % PROBER_WRITES == 0 and bool(self.writes)
            request = self.writes.popleft() if write else self.reads[place % len(self.reads)]
            place += LANES
            sent = time.monotonic()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("POST", request.path, request.body, {"Content-Type": "application/json", **request.all_headers()})
                answer = connection.getresponse()
                body = answer.read()
                at = time.monotonic()
                coded = answer.status == 503 and bool(answer.headers.get("Retry-After")) and b'"UNAVAILABLE"' in body
                self.seen.append(Seen(sent, at, answer.status, write, answer.status == 200 and is_good(body), coded))
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException):
                self.seen.append(Seen(sent, time.monotonic(), 0, write, False, False))
                connection = None

    def sent_between(self, begun: float, ended: float) -> list[Seen]:
        """What came of the requests that were sent in this time."""
        return [one for one in list(self.seen) if begun <= one.sent <= ended]

    def answered_between(self, begun: float, ended: float) -> list[Seen]:
        """The answers that came in this time."""
        return [one for one in list(self.seen) if begun <= one.at <= ended]

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(35)


def is_good(body: bytes) -> bool:
    """Whether an answer has no errors, nor a mutation's reasons against it."""
    try:
        return not json.loads(body).get("errors") and b'"userErrors":[{' not in body
    except ValueError:
        return False


def percentile(values: list[float], share: float) -> float | None:
    values = sorted(values)
    return round(values[min(len(values) - 1, int(len(values) * share))], 2) if values else None


def p99(seen: list[Seen], write: bool = False) -> float | None:
    """The p99 of what was accepted, in ms: reads, or mutations."""
    return percentile([one.ms for one in seen if one.good and one.write == write], 0.99)


def measure(cluster: Cluster, database: str, reads: Reads, seconds: float, overload_seconds: int) -> dict:
    """Peak, steady and overload, on a throw-away copy, unpinned: a server has its machine."""
    writes = Writes(cluster, database, reads, orders=40000)
    placement = Placement(False)
    with Server(writes.me, cluster.url(writes.name), settings.FIRST_PORT, pinned=False) as server:
        placement.place(cluster.postmaster(), [server])
        peak = the_peak(cluster, writes, server, placement)
        found = {"peak_rps": peak}
        log(f"the peak of the mix is {peak:.0f} req/s")
        rate = max(40, peak * PROBER_SHARE)
        probes, mutations = writes.mixed(int(rate / PROBER_WRITES * (seconds + overload_seconds + 300)))
        prober = Prober(server.port, probes, [one for one in mutations if one.path == "/graphql"], 1 / rate)
        try:
            wait = calibrate(writes, server, placement, peak * SHARE, CONNECTIONS)
            found["steady"] = steady(cluster, writes, server, placement, peak, seconds, prober, wait)
            ran = overload(writes, server, placement, peak, overload_seconds, wait)
        finally:
            prober.stop()
        found["overload"] = judged(ran, prober, peak, overload_seconds, found["steady"])
    dataset.drop(cluster, writes.name)
    return found


def files(writes: Writes, server: Server, name: str, rate: float, seconds: float, spare: float = 1.5) -> tuple[Path, Path]:
    """Bodies for so many seconds of the mix at this rate, with some to spare."""
    reading, writing = writes.mixed(int(rate * seconds * 0.15 * spare) + 1000)
    return bodies.write(f"{name}-reads", reading, server.port), bodies.write(f"{name}-writes", writing, server.port)


def the_peak(cluster: Cluster, writes: Writes, server: Server, placement: Placement) -> float:
    """The most requests a second of the mix, at 32 connections, after a warm-up."""
    best = 0.0
    for seconds in (3, 5, 5):
        read_file, write_file = files(writes, server, "load", 8000, seconds)
        run = load.measure(cluster, server, read_file, 32, seconds, placement, mixed=write_file)
        if run.errors:
            raise RuntimeError(f"{run.errors} errors at the peak: {server.tail()}")
        best = max(best, run.rps)
    return best


def steady(cluster: Cluster, writes: Writes, server: Server, placement: Placement, peak: float, seconds: float, prober: Prober,
           wait: float) -> dict:
    """Minutes at a share of the peak, with samples on the way."""
    rate = peak * SHARE
    read_file, write_file = files(writes, server, "load", rate, seconds, 1.3)
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
                "p99_ms": p99(prober.answered_between(last, now)),
            })
            last = now

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    log(f"{seconds / 60:.1f} minutes at {rate:.0f} req/s")
    ran = load.wrk(f"http://127.0.0.1:{server.port}/graphql", read_file, CONNECTIONS, seconds, placement, mixed=write_file, delay_ms=wait)
    stop.set()
    sampler.join(60)
    ended = time.monotonic()
    seen = prober.answered_between(begun, ended)
    failed = failed_in_log(server, log_from)
    return {
        "share": SHARE, "seconds": seconds, "rps": rate_of(ran),
        "p50_ms": ran["p50_us"] / 1000, "p99_ms": ran["p99_us"] / 1000, "max_ms": ran["max_us"] / 1000,
        "errors": sum(ran[f"{kind}_errors"] for kind in ("connect", "read", "write", "status")) + ran["timeouts"] + ran["beyond"],
        "failed_answers": failed.total(), "failed_kinds": dict(failed), "prober_p99_ms": p99(seen),
        "prober_mutations": sum(one.write for one in seen), "prober_mutations_p99_ms": p99(seen, write=True),
        "memory_peak": max([sample["memory"] for sample in samples] + [sum(resident(pid, "VmHWM:") for pid in server.processes())]),
        "connections": max((sample["connections"] for sample in samples), default=0), "samples": samples,
    }


def calibrate(writes: Writes, server: Server, placement: Placement, rate: float, connections: int) -> float:
    """The wait before each request, in ms, with which so many connections send this rate of the mix."""
    wait = connections / rate * 1000
    # How far from the rate each wait came; the closest is taken, because answers take longer at a higher rate.
    seen: list[tuple[float, float]] = []
    for _ in range(5):
        read_file, write_file = files(writes, server, "load", rate, 3, 2)
        ran = load.wrk(f"http://127.0.0.1:{server.port}/graphql", read_file, connections, 3, placement, mixed=write_file, delay_ms=wait)
        got = rate_of(ran)
        seen.append((abs(got - rate), wait))
        # What a connection takes for a request is its wait and the answer: only the wait can be turned.
        wait = max(1.0, wait + connections * 1000 / rate - connections * 1000 / got)
    return min(seen)[1]


def overload(writes: Writes, server: Server, placement: Placement, peak: float, seconds: int, wait: float) -> dict[str, dict]:
    """What wrk says of the overload and of what follows it: the day's load, and a few who don't wait."""
    url = f"http://127.0.0.1:{server.port}/graphql"
    crowd_wait = calibrate(writes, server, placement, peak * TIMES, CROWD)
    again = min(seconds, EAGER_AFTER)
    # name, connections, seconds, a connection's wait, the rate
    steps = [("lead", CONNECTIONS, LEAD, wait, peak * SHARE), ("overload", CROWD, seconds, crowd_wait, peak * TIMES),
             ("recovery", CONNECTIONS, RECOVERY, wait, peak * SHARE), ("again", CROWD, again, crowd_wait, peak * TIMES),
             # Refusals are quick, so that there may be many more than at the peak.
             ("eager", EAGER, EAGER_SECONDS, 0, peak * TIMES)]
    # All before the first: one follows the other at once.
    made = {name: files(writes, server, f"load-{name}", rate, lasts) for name, _, lasts, _, rate in steps}
    ran = {}
    for name, connections, lasts, delay, rate in steps:
        log(f"{name}: {lasts} s on {connections} connections" + (f", {rate:.0f} req/s" if delay else ", no pause"))
        ran[name] = load.wrk(url, made[name][0], connections, lasts, placement, mixed=made[name][1], delay_ms=delay, statuses=True)
        ran[name]["ended"] = ran[name]["began"] + ran[name]["microseconds"] / 1e6
    return ran


def judged(ran: dict[str, dict], prober: Prober, peak: float, seconds: int, steady: dict) -> dict:
    """The overload's figures, from its first request on, and how it was after it."""
    over, eager = ran["overload"], ran["eager"]
    seen = prober.sent_between(over["began"], over["ended"])
    refused = [one for one in seen if not one.good]
    mutations = [one for one in seen if one.write]
    normal = steady["prober_p99_ms"]
    back = back_to_normal(ran["recovery"], prober, over["ended"], normal)
    return {
        "times": TIMES, "seconds": seconds, "connections": CROWD, "offered_rps": peak * TIMES,
        "answered_rps": rate_of(over), "accepted_rps": over["statuses"].get("200", 0) / over["microseconds"] * 1e6,
        "statuses": over["statuses"], "without_retry": over["without_retry"],
        "errors": sum(over[f"{kind}_errors"] for kind in ("connect", "read", "write")) + over["timeouts"] + over["beyond"],
        # More than none: the overload did not come out of a normal load.
        "refused_just_before": sum(ran["lead"]["refused_by_second"][LEAD - EAGER_LAST:]),
        "refused_seen": len(refused), "coded": sum(one.coded for one in refused),
        "statuses_seen": dict(Counter(one.status for one in seen)),
        "accepted_p99_ms": p99(seen), "normal_p99_ms": normal,
        "mutations": {
            "accepted": sum(one.good for one in mutations), "refused": sum(not one.good for one in mutations),
            "p99_ms": p99(mutations, write=True), "normal_p99_ms": steady["prober_mutations_p99_ms"],
        },
        "recovery_seconds": back.pop("recovery_seconds"), "after_p99_ms": back.pop("after_p99_ms"), "recovery": back,
        "eager": {
            "after_seconds": min(seconds, EAGER_AFTER), "connections": EAGER, "seconds": EAGER_SECONDS, "answered_rps": rate_of(eager),
            "refused": sum(eager["refused_by_second"]), "last_seconds": EAGER_LAST,
            "refused_in_last": sum(eager["refused_by_second"][EAGER_SECONDS - EAGER_LAST:]),
        },
    }


def rate_of(ran: dict) -> float:
    """Answers a second."""
    return ran["requests"] / ran["microseconds"] * 1e6


def back_to_normal(ran: dict, prober: Prober, ended: float, normal: float) -> dict:
    """How the day's load was answered after the overload's end: refusals, and from which second on there were none and
    reads were as quick as normal. No second is named where refusals go on to the end."""
    seen = prober.answered_between(ended, ended + RECOVERY)
    refused = [one.at - ended for one in seen if not one.good]
    if ran["last_refused"] is not None:
        refused.append(ran["began"] + ran["last_refused"] - ended)
    last = max(refused, default=None)
    found = {
        "seconds": RECOVERY, "answered_rps": rate_of(ran), "refused": sum(ran["refused_by_second"]),
        "refused_seen": sum(not one.good for one in seen), "last_refused_seconds": last and round(last, 2),
        "p99_ms": p99(prober.sent_between(ended, ended + RECOVERY)),
        "recovery_seconds": None, "after_p99_ms": None,
    }
    for second in range(0 if last is None else math.ceil(last), RECOVERY):
        slowest = p99(prober.sent_between(ended + second, ended + second + 1))
        if slowest is not None and slowest <= 3 * normal:
            found["recovery_seconds"] = second
            found["after_p99_ms"] = p99(prober.sent_between(ended + second, ended + RECOVERY))
            break
    return found


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
