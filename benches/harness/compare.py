"""Side by side: everybody's replies are checked, then everybody is measured in interleaved rounds."""

import itertools
import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from . import bodies, load, pgbench, settings
from .bodies import Reads
from .cluster import Cluster
from .contestants import Contestant
from .golden import Golden
from .load import Run
from .probe import Probe, Recorded
from .servers import Placement, Server
from .settings import log

PGBENCH = "pgbench"
# Requests whose statements are kept for pgbench, which are its variables.
RECORDED = 100
# Answers after which a contestant is warm (peers/README.md).
WARM = 2000
# Requests of the others whose statements are counted.
COUNTED = 10
# Statements that ask for nothing: a connection's test, and a transaction's ends.
IDLE = re.compile(r"SELECT 1;?$|(BEGIN|START TRANSACTION|COMMIT|ROLLBACK)\b", re.IGNORECASE)


@dataclass
class Round:
    """What is measured together: these, so often, so long."""

    operation: str
    connections: int
    rounds: int
    seconds: float
    pinned: bool = True
    # All without.
    only: tuple[str, ...] | None = None


@dataclass
class Facts:
    """What was found of one contestant for one operation before measuring."""

    statements: float = 0
    # Of these, `SELECT 1`, BEGIN and the like.
    idle: float = 0
    waves: float = 0
    bytes: float = 0
    whole: float = 0
    wrong: str | None = None
    recorded: list[Recorded] = field(default_factory=list)


class Comparison:
    """All contestants on one data set."""

    def __init__(self, cluster: Cluster, database: str, contestants: list[Contestant], reads: Reads, quick: bool = False):
        # Quick: pgbench's connections are chosen once, with the first operation, and not for each.
        self.quick = quick
        self.connections: dict[tuple, int] = {}
        self.cluster, self.database, self.contestants, self.reads = cluster, database, contestants, reads
        self.golden = Golden(cluster, database, reads)
        self.facts: dict[str, dict[str, Facts]] = {}
        self.failed: dict[str, str] = {}
        # operation → contestant → mode → figures
        self.figures: dict[str, dict[str, dict[str, dict]]] = {}

    def probe(self, operations: list[str]) -> None:
        """Checks every reply against the golden bodies and records the statements behind it."""
        for contestant in self.contestants:
            wanted = [one for one in operations if one in contestant.operations]
            if not wanted:
                continue
            try:
                with Probe(self.cluster, self.database, contestant) as probe:
                    for operation in wanted:
                        self.facts.setdefault(operation, {})[contestant.name] = self._facts(probe, operation)
            except (RuntimeError, OSError) as error:
                self.failed[contestant.name] = str(error)[:600]
                log(f"{contestant.name} fails: {error}")

    def _facts(self, probe: Probe, operation: str) -> Facts:
        contestant = probe.server.contestant
        wrong, length, whole = self.golden.check(probe.server, operation)
        if wrong:
            log(f"{contestant.name} answers {operation} wrongly: {wrong}")
            return Facts(wrong=wrong)
        number = RECORDED if contestant.name == "companion" else COUNTED
        requests = self.reads.requests(contestant, operation)[:number]
        probe.warm_up(requests)
        recorded = probe.record(requests)
        found = Facts(
            # The median: a job of the server may fall into one of them.
            statements=statistics.median(one.statements for one in recorded),
            idle=statistics.median(sum(bool(IDLE.match(sent.text)) for wave in one.waves for sent in wave) for one in recorded),
            waves=statistics.median(len(one.waves) for one in recorded),
            bytes=length,
            whole=whole,
            recorded=recorded,
        )
        log(f"{contestant.name} {operation}: equal, {length:.0f} bytes, {found.statements:.1f} statements in {found.waves:.0f} waves")
        return found

    def takes_part(self, contestant: Contestant, operation: str) -> bool:
        facts = self.facts.get(operation, {}).get(contestant.name)
        return contestant.name not in self.failed and facts is not None and facts.wrong is None

    def measure(self, plan: list[Round]) -> None:
        """Runs the plan. Servers count their cores when they start, so pinned and unpinned rounds have servers of their own."""
        for pinned, steps in itertools.groupby(plan, lambda step: step.pinned and settings.can_pin()):
            self._measure(list(steps), pinned)

    def _measure(self, plan: list[Round], pinned: bool) -> None:
        taking_part = {one.name: one for one in self.contestants
                       if any(self.takes_part(one, step.operation) for step in plan if step.only is None or one.name in step.only)}
        servers: dict[str, Server] = {}
        try:
            for place, (name, contestant) in enumerate(taking_part.items()):
                servers[name] = Server(contestant, self.cluster.url(self.database), settings.FIRST_PORT + place, pinned)
            fresh = set(servers)
            for step in plan:
                self._step(step, servers, fresh)
        finally:
            for server in servers.values():
                server.stop()

    def _step(self, step: Round, servers: dict[str, Server], fresh: set[str]) -> None:
        placement = Placement(step.pinned and settings.can_pin())
        here = {name: server for name, server in servers.items()
                if self.takes_part(server.contestant, step.operation) and (step.only is None or name in step.only)}
        placement.place(self.cluster.postmaster(), list(servers.values()))
        files = {name: bodies.write(f"{name}-{step.operation}", self.reads.requests(server.contestant, step.operation), server.port)
                 for name, server in here.items()}
        for name, server in here.items():
            self._warm_up(server, files[name], step.connections, 3 if name in fresh else 1, placement)
            fresh.discard(name)
        entrants = list(here)
        scripts, connections = None, 0
        facts = self.facts[step.operation].get("companion")
        # One connection says nothing of PostgreSQL that the best of 1, 2, 4 and 8 doesn't.
        if step.connections > 1 and facts and facts.recorded and facts.statements >= 1 and (step.only is None or PGBENCH in step.only):
            scripts = pgbench.write(step.operation, facts.recorded)
            key = (placement.pinned,) if self.quick else (placement.pinned, step.operation)
            if key not in self.connections:
                self.connections[key] = pgbench.best_connections(self.cluster, self.database, scripts, placement)
            connections = self.connections[key]
            entrants.append(PGBENCH)
        runs: dict[str, list[Run]] = {name: [] for name in entrants}
        for turn in range(step.rounds):
            for name in entrants if turn % 2 == 0 else reversed(entrants):
                load.settle()
                if name == PGBENCH:
                    run = pgbench.run(self.cluster, self.database, scripts, connections, step.seconds, placement)
                else:
                    run = load.measure(self.cluster, here[name], files[name], step.connections, step.seconds, placement)
                runs[name].append(run)
        mode = f"{'pinned' if placement.pinned else 'unpinned'}/{step.connections}"
        for name, measured in runs.items():
            figures = summary(measured)
            if name == PGBENCH:
                figures["connections"] = connections
            else:
                facts = self.facts[step.operation][name]
                # An error in an answer of 200, which wrk doesn't see, is shorter than what was asked for.
                if figures["bytes_per_answer"] < facts.whole * 0.97:
                    figures["suspect"] = "its answers were shorter than the ones that were checked"
            self.figures.setdefault(step.operation, {}).setdefault(name, {})[mode] = figures
            log(f"{step.operation} {mode} {name}: {figures['rps']['median']:.0f} req/s")

    @staticmethod
    def _warm_up(server: Server, file: Path, connections: int, seconds: int, placement: Placement) -> None:
        """So long, and longer for who has not answered often enough yet: a run-time compiler takes longer to get warm."""
        answered = 0
        for _ in range(4):
            answered += load.wrk(f"http://127.0.0.1:{server.port}/graphql", file, connections, seconds, placement)["requests"]
            if answered >= WARM or connections == 1:
                return

    def result(self) -> dict:
        """operation → contestant → what was found and measured."""
        found: dict[str, dict] = {}
        for operation, by_name in self.facts.items():
            for name, facts in by_name.items():
                row = found.setdefault(operation, {}).setdefault(name, {})
                if facts.wrong:
                    row["wrong"] = facts.wrong
                else:
                    row.update(statements=round(facts.statements, 2), idle=facts.idle, waves=facts.waves, bytes=round(facts.bytes))
        for operation, by_name in self.figures.items():
            for name, modes in by_name.items():
                found.setdefault(operation, {}).setdefault(name, {}).update(modes)
        return found


def summary(runs: list[Run]) -> dict:
    """Medians with range."""
    found: dict = {}
    for key in ("rps", "p50_ms", "p99_ms", "server_cpu_ms", "postgres_cpu_ms", "memory", "bytes_per_answer"):
        values = [getattr(run, key) for run in runs if getattr(run, key) is not None]
        if values:
            found[key] = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    found["bytes_per_answer"] = found.get("bytes_per_answer", {}).get("median")
    found["runs"] = len(runs)
    found["errors"] = sum(run.errors for run in runs)
    return found
