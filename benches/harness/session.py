"""What each command of run.py does."""

import argparse
import time

from . import (
    compare,
    dataset,
    growth,
    load,
    machine,
    report,
    settings,
    sustained,
    writes,
)
from .bodies import Reads
from .cluster import Cluster
from .compare import Comparison, Round
from .contestants import READS, companion, everyone, present
from .servers import more_files
from .settings import log

SIZES = (10_000, 100_000, 1_000_000)
MAIN = 100_000
# Who is measured beside Companion on other sizes: the limits above, and the best of the others.
CLOSE = ("companion", "handwritten", "stock", "mercurius", compare.PGBENCH)


def run(options: argparse.Namespace) -> None:
    if options.command == "report":
        report.write(report.load())
        return
    if not settings.COMPANION.exists():
        raise SystemExit(f"{settings.COMPANION} is missing: make release (WEB=optional will do), or set BENCH_COMPANION")
    more_files()
    cluster = Cluster()
    cluster.start()
    if options.command == "db":
        for rows in options.rows:
            log(f"{cluster.url(dataset.ensure(cluster, rows))}")
        return
    if options.command == "stop":
        cluster.started_here = True
        cluster.stop()
        return
    load.check_wrk()
    try:
        {"short": short, "full": full, "load": sustain, "growth": grow}[options.command](cluster, options)
    finally:
        cluster.stop()


def short(cluster: Cluster, options: argparse.Namespace) -> None:
    """Under 10 minutes, once everything is installed and the data is made: the main figure of everybody, and what of it is
    the shell's and the latency's; in five rounds like everything that is compared."""
    rounds, seconds = options.rounds or 5, options.seconds or 4
    plan = [
        Round("nested", 32, rounds, seconds),
        Round("nested", 1, rounds, seconds, only=("companion", "handwritten")),
        Round("ping", 32, rounds, seconds, only=("companion", "bare")),
    ]
    found = start(cluster, options, "short")
    name = dataset.ensure(cluster, MAIN)
    side_by_side(cluster, options, found, name, plan)
    finish(found)


def full(cluster: Cluster, options: argparse.Namespace) -> None:
    """Everything but the load of 10 minutes, which is a command of its own."""
    rounds, seconds = options.rounds or 5, options.seconds or 4
    plan = [Round(operation, connections, rounds, seconds)
            for operation in ("nested", "flat", "provider", "ping", "mine") for connections in (32, 1)]
    plan += [Round(operation, 32, rounds, seconds, pinned=False) for operation in ("nested", "flat", "provider", "ping", "mine")]
    found = start(cluster, options, "full")
    name = dataset.ensure(cluster, MAIN)
    side_by_side(cluster, options, found, name, plan)
    if wants(options, "writes"):
        figures = writes.measure(cluster, name, Reads(dataset.Known(cluster, name)), rounds, seconds,
                                 [(True, 32), (True, 1), (False, 32)])
        measured(found, "writes", figures)
    report.save(found)
    measured(found, "growth", {})
    for rows in SIZES:
        name = dataset.ensure(cluster, rows)
        steps = [Round(operation, 32, rounds, seconds, only=CLOSE) for operation in ("nested", "flat", "provider", "mine")]
        sized: dict = {}
        side_by_side(cluster, options, sized, name, steps)
        found["growth"][str(rows)] = sized["operations"]
        report.save(found)
    measured(found, "plans", growth.check(cluster, dataset.ensure(cluster, SIZES[-1])))
    finish(found)


def sustain(cluster: Cluster, options: argparse.Namespace) -> None:
    found = report.load() or start(cluster, options, "load")
    name = dataset.ensure(cluster, MAIN)
    figures = sustained.measure(cluster, name, Reads(dataset.Known(cluster, name)), options.minutes * 60, options.overload_seconds)
    measured(found, "load", figures)
    finish(found)


def grow(cluster: Cluster, options: argparse.Namespace) -> None:
    found = report.load() or start(cluster, options, "growth")
    measured(found, "plans", growth.check(cluster, dataset.ensure(cluster, options.rows)))
    finish(found)
    if found["plans"]["broken"]:
        raise SystemExit("some plans grow with the data: see REPORT.md")


# What a run leaves as the one before found it, if it doesn't measure it.
SECTIONS = ("writes", "growth", "plans", "load")


def start(cluster: Cluster, options: argparse.Namespace, kind: str) -> dict:
    before = report.load() or {}
    kept = {name: before[name] for name in SECTIONS if before.get(name)}
    commit = before.get("setup", {}).get("versions", {}).get("commit")
    return {
        **kept,
        "older": {name: before.get("older", {}).get(name, commit) for name in kept},
        "kind": kind,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine.describe(),
        "setup": {
            "postgresql": cluster.version(),
            "rows": MAIN,
            "pinned": settings.can_pin(),
            "companion": {name: text for name, text in companion().environment.items() if name != "DATA_DIR"},
            "versions": machine.versions(),
            "titles": {one.name: one.title for one in everyone()},
        },
        "skipped": {},
        "operations": {},
    }


def wants(options: argparse.Namespace, operation: str) -> bool:
    return not options.operations or operation in options.operations.split(",")


def side_by_side(cluster: Cluster, options: argparse.Namespace, found: dict, name: str, plan: list[Round]) -> None:
    """Measures the plan on one data set and puts what was found into the report."""
    plan = [step for step in plan if wants(options, step.operation)]
    only = set(options.only.split(",")) if options.only else None
    contestants, skipped = present(only, options.no_install)
    needed = {name for step in plan for name in (step.only or [one.name for one in contestants])}
    comparison = Comparison(cluster, name, [one for one in contestants if one.name in needed], Reads(dataset.Known(cluster, name)),
                            quick=options.command == "short")
    comparison.probe([one for one in READS if any(step.operation == one for step in plan)])
    comparison.measure(plan)
    found.setdefault("skipped", {}).update(skipped | {one: f"it failed: {why}" for one, why in comparison.failed.items()})
    found["operations"] = comparison.result()


def measured(found: dict, section: str, figures: dict) -> None:
    """Puts a section into the report in the place of an older one."""
    found[section] = figures
    found.get("older", {}).pop(section, None)


def finish(found: dict) -> None:
    report.save(found)
    report.write(found)
