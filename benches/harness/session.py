"""What each command of run.py does."""

import argparse
import time

from . import (
    compare,
    dataset,
    growth,
    load,
    machine,
    profile,
    report,
    settings,
    sustained,
    versions,
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
    if options.command == "stop":
        Cluster.stop_any()
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
    load.check_wrk()
    found = start(cluster)
    parts = [part for name, part in PARTS.items() if name != "load"] if options.command == "full" else [PARTS[options.command]]
    try:
        for part in parts:
            part(cluster, options, found)
            report.save(found)
        report.write(found)
    finally:
        cluster.stop()
    if "plans" not in found["older"] and found.get("plans", {}).get("broken"):
        raise SystemExit("some plans grow with the data: see REPORT.md")


def short(cluster: Cluster, options: argparse.Namespace, found: dict) -> None:
    """Under 10 minutes, once everything is installed and the data is made: the main figure of everybody, and what of it is
    the shell's and the latency's; in five rounds like everything that is compared."""
    side_by_side(cluster, options, found, [
        Round("nested", 32, *rounds(options)),
        Round("nested", 1, *rounds(options), only=("companion", "handwritten")),
        Round("ping", 32, *rounds(options), only=("companion", "bare")),
    ])


def reads(cluster: Cluster, options: argparse.Namespace, found: dict) -> None:
    """All that `short` doesn't measure of everybody, pinned and not."""
    others = [operation for operation in READS if operation != "nested"]
    plan = [Round(operation, connections, *rounds(options)) for operation in others for connections in (32, 1)]
    plan += [Round("nested", 1, *rounds(options))]
    plan += [Round(operation, 32, *rounds(options), pinned=False) for operation in READS]
    side_by_side(cluster, options, found, plan)


def write(cluster: Cluster, options: argparse.Namespace, found: dict) -> None:
    """What writes, and the mix."""
    name = dataset.ensure(cluster, MAIN)
    modes = [(True, 32), (True, 1), (False, 32)]
    measured(found, "writes", writes.measure(cluster, name, Reads(dataset.Known(cluster, name)), *rounds(options), modes))


def sizes(cluster: Cluster, options: argparse.Namespace, found: dict) -> None:
    """The reads on data sets of each size."""
    sized = {}
    for rows in SIZES:
        here: dict = {}
        operations = [one for one in ("nested", "flat", "provider", "mine") if wants(options, one)]
        plan = [Round(operation, 32, *rounds(options), only=CLOSE) for operation in operations]
        side_by_side(cluster, options, here, plan, rows)
        sized[str(rows)] = here["operations"]
    measured(found, "growth", sized)


def grow(cluster: Cluster, options: argparse.Namespace, found: dict) -> None:
    """The plans of every list on the largest data set."""
    measured(found, "plans", growth.check(cluster, dataset.ensure(cluster, options.rows or SIZES[-1])))


def look(cluster: Cluster, _: argparse.Namespace, found: dict) -> None:
    """Where the time of a request goes."""
    name = dataset.ensure(cluster, MAIN)
    measured(found, "profile", profile.measure(cluster, name, Reads(dataset.Known(cluster, name))))


def sustain(cluster: Cluster, options: argparse.Namespace, found: dict) -> None:
    """Minutes of the mix, and too much of it."""
    name = dataset.ensure(cluster, MAIN)
    reading = Reads(dataset.Known(cluster, name))
    measured(found, "load", sustained.measure(cluster, name, reading, options.minutes * 60, options.overload_seconds))


# The parts of a report, each a command; `full` is all of them but the load.
PARTS = {"short": short, "reads": reads, "writes": write, "sizes": sizes, "growth": grow, "profile": look, "load": sustain}
# What a run leaves as the one before found it, if it doesn't measure it.
SECTIONS = ("writes", "growth", "plans", "profile", "load")


def start(cluster: Cluster) -> dict:
    """The report so far, all of it marked with the commit and the processor that it was measured at."""
    before = report.load() or {}
    origin = report.origin(before)
    kept = {name: before[name] for name in ("operations", *SECTIONS) if before.get(name)}
    modes = [f"{operation} {mode}" for operation, rows in kept.get("operations", {}).items()
             for mode in {mode for row in rows.values() for mode in row if "/" in mode}]
    return {
        **kept,
        "operations": kept.get("operations", {}),
        "older": {name: before.get("older", {}).get(name, origin) for name in [*kept, *modes] if name != "operations"},
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine.describe(),
        "setup": {
            "postgresql": cluster.version(),
            "configuration": cluster.configuration(),
            "huge_pages": machine.is_in_huge_pages(cluster.postmaster()),
            "rows": MAIN,
            "pinned": settings.can_pin(),
            "companion": {name: text for name, text in companion().environment.items() if name != "DATA_DIR"},
            "versions": versions.programs(),
            "libraries": {one.name: versions.libraries(one) for one in everyone()},
            "titles": {one.name: one.title for one in everyone()},
        },
        "skipped": {},
    }


def rounds(options: argparse.Namespace) -> tuple[int, int]:
    """How many rounds, and how many seconds each."""
    return options.rounds or 5, options.seconds or 4


def wants(options: argparse.Namespace, operation: str) -> bool:
    return not options.operations or operation in options.operations.split(",")


def side_by_side(cluster: Cluster, options: argparse.Namespace, found: dict, plan: list[Round], rows: int = MAIN) -> None:
    """Measures the plan on one data set and puts what was found into the report, in the place of what was there."""
    plan = [step for step in plan if wants(options, step.operation)]
    only = set(options.only.split(",")) if options.only else None
    contestants, skipped = present(only, options.no_install)
    needed = {name for step in plan for name in (step.only or [one.name for one in contestants])}
    name = dataset.ensure(cluster, rows)
    comparison = Comparison(cluster, name, [one for one in contestants if one.name in needed], Reads(dataset.Known(cluster, name)),
                            quick=options.command == "short")
    comparison.probe([one for one in READS if any(step.operation == one for step in plan)])
    comparison.measure(plan)
    found.setdefault("skipped", {}).update(skipped | {one: f"it failed: {why}" for one, why in comparison.failed.items()})
    kept = found.setdefault("operations", {})
    result = comparison.result()
    for operation in result:
        for mode in {mode for row in result[operation].values() for mode in row if "/" in mode}:
            # Who is not measured now is compared with nobody.
            for row in kept.get(operation, {}).values():
                row.pop(mode, None)
            found.get("older", {}).pop(f"{operation} {mode}", None)
        for contestant, row in result[operation].items():
            kept.get(operation, {}).get(contestant, {}).pop("wrong", None)
            kept.setdefault(operation, {}).setdefault(contestant, {}).update(row)


def measured(found: dict, section: str, figures: dict) -> None:
    """Puts a section into the report in the place of an older one."""
    found[section] = figures
    found.get("older", {}).pop(section, None)
