"""report.json, and from it REPORT.md and the charts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from . import settings
from .contestants import READS, everyone

JSON = settings.BENCHES / "report.json"
MARKDOWN = settings.BENCHES / "REPORT.md"
TITLES = {
    "nested": "Nested list: 20 providers with user, priced services, 3 newest reviews with author",
    "flat": "Flat list of 20 providers",
    "provider": "One provider by id",
    "ping": "`ping`: `{ __typename }`",
    "mine": "My bookings → provider → services (signed in)",
    "booking_create": "`bookingCreate`, uncontended",
    "booking_contended": "`bookingCreate`, 50 people for one time",
    "telegram_sign_in": "Telegram sign-in",
    "webhook": "Payment webhook (every tenth event twice)",
    "mixed": "Mixed: 85 % read, 15 % write",
}
# The report's other parts, by the name that they have in it.
SECTIONS = {"Writes": "writes", "Growth": "growth", "Plans": "plans", "Load": "load", "Where the time goes, by statement and code": "profile"}
# performance.md's figures: what, target, how it is worked out, and whether more or less is wanted.
TARGETS = [
    ("nested list, pinned, ÷ pgbench", 1.10, "more", ("nested", "pinned/32", "rps", "pgbench")),
    ("nested list, unpinned, ÷ pgbench", 0.75, "more", ("nested", "unpinned/32", "rps", "pgbench")),
    ("server CPU ÷ hand-written server", 1.15, "less", ("nested", "pinned/32", "server_cpu_ms", "handwritten")),
    ("÷ Mercurius", 3.0, "more", ("nested", "pinned/32", "rps", "mercurius")),
    ("÷ PostGraphile", 3.0, "more", ("nested", "pinned/32", "rps", "postgraphile")),
    ("÷ Apollo + knex", 5.5, "more", ("nested", "pinned/32", "rps", "apollo-knex")),
    ("÷ Apollo + Prisma", 8.0, "more", ("nested", "pinned/32", "rps", "apollo-prisma")),
    ("÷ Strawberry + FastAPI", 50.0, "more", ("nested", "pinned/32", "rps", "strawberry")),
    ("÷ stock async-graphql with its DataLoader", 1.6, "more", ("nested", "pinned/32", "rps", "stock")),
    ("p50 at one connection ÷ hand-written", 1.15, "less", ("nested", "pinned/1", "p50_ms", "handwritten")),
    ("`ping` ÷ bare axum", 0.9, "more", ("ping", "pinned/32", "rps", "bare")),
]


@dataclass
class Measure:
    """A figure to reach."""

    what: str
    target: str
    measured: str
    # None: not measured without errors.
    reached: bool | None
    # Where it goes, by figures of the report; for what is missed.
    goes: str = ""


def load() -> dict | None:
    """The last report, if there is one."""
    return json.loads(JSON.read_text()) if JSON.exists() else None


def save(found: dict) -> None:
    JSON.write_text(json.dumps(found, indent=1, ensure_ascii=False, sort_keys=False) + "\n")


def write(found: dict) -> None:
    """The report for people, and the charts."""
    # Only here: what draws is installed for reports alone.
    from . import charts

    drawn = charts.draw(found)
    wanted = list(measures(found))
    parts = [head(found), targets(wanted), where(found, wanted), operations(found, drawn), writes(found), growth(found, drawn),
             plans(found), sustained(found), setup(found)]
    MARKDOWN.write_text("\n\n".join(part for part in parts if part) + "\n")
    settings.log(f"wrote {MARKDOWN}")


def value(found: dict, operation: str, name: str, mode: str, key: str) -> float | None:
    return median(found["operations"].get(operation, {}).get(name, {}).get(mode, {}), key)


def median(figures: dict, key: str) -> float | None:
    """Nothing of a run with errors: refusals are quick, and who sends them is not fast."""
    return None if figures.get("errors") or figures.get("suspect") else figures.get(key, {}).get("median")


def ratio(found: dict, operation: str, mode: str, key: str, other: str) -> float | None:
    ours, theirs = value(found, operation, "companion", mode, key), value(found, operation, other, mode, key)
    return ours / theirs if ours is not None and theirs else None


def head(found: dict) -> str:
    machine = found["machine"]
    return (f"# Side by side\n\n"
            f"Measured at commit {found['setup']['versions'].get('commit', '?')} until {found['made'][:10]}, but for what says otherwise; "
            f"[README.md](README.md) says how, and every figure is in [report.json](report.json). Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
            f"{machine['system']}. Figures are medians of interleaved rounds, with their range in brackets, or in report.json; "
            f"compare ratios, not machines. Instructions a request are counted apart: [GUARD.md](GUARD.md).\n\n"
            f"Of what is read, every contestant's replies were equal to golden bodies that PostgreSQL made by SQL of their own, ids, numbers "
            f"and times compared by value.")


def measures(found: dict) -> Iterator[Measure]:
    """What performance.md wants, with what was measured."""
    for what, target, wanted, (operation, mode, key, other) in TARGETS:
        got = ratio(found, operation, mode, key, other)
        reached = None if got is None else got >= target if wanted == "more" else got <= target
        yield Measure(what, f"{'≥' if wanted == 'more' else '≤'} {target:g}",
                      "–" if got is None else f"{got:.2f}" + at_commit(found, f"{operation} {mode}"), reached,
                      goes(found, operation, mode, key, other, target) if reached is False else "")
    ours = found["operations"].get("nested", {}).get("companion", {})
    if "statements" in ours:
        yield Measure("SQL of the nested list", "≤ 5 statements in ≤ 3 waves, no `SELECT 1`, no `BEGIN`",
                      f"{ours['statements']:g} in {ours['waves']:g}, {ours['idle'] or 'none'} of these",
                      ours["statements"] <= 5 and ours["waves"] <= 3 and not ours["idle"])
    lost = lost_by_growth(found)
    if lost is not None:
        cost = ", ".join(f"{short(one.get('postgres_cpu_ms'), 3)} at {int(size):,}".replace(",", " ")
                         for size, one in nested_by_size(found).items())
        yield Measure("requests lost from 10⁴ to 10⁶ rows, nested list", "≤ 20 %", f"{lost:.0%}" + at_commit(found, "growth"),
                      lost <= 0.2, f"PostgreSQL's CPU ms a request: {cost} rows.")
    steady, over = found.get("load", {}).get("steady"), found.get("load", {}).get("overload")
    if steady:
        peak, flat = steady["memory_peak"] / 1e6, grown(steady)
        yield Measure("memory in the mixed load", "≤ 64 MB, flat (≤ 1 MB more)",
                      f"{peak:.0f} MB, {flat:+.1f} MB in its second half" + at_commit(found, "load"), peak <= 64 and flat <= 1, at_steps(steady))
        # What wrk saw is in the log, too, unless no answer came.
        wrong = max(steady["errors"], steady["failed_answers"])
        yield Measure("errors in the mixed load", "none", f"{wrong}" + at_commit(found, "load"), not wrong,
                      f"wrk saw {steady['errors']}; in the log: {kinds_of(steady) or 'none'}.")
    if over and over["accepted_p99_ms"] and over["normal_p99_ms"]:
        times = over["accepted_p99_ms"] / over["normal_p99_ms"]
        offered = over["answered_rps"] / found["load"]["peak_rps"]
        yield Measure("p99 of accepted reads at 3 times the peak ÷ normal", "≤ 3",
                      f"{times:.1f} at {offered:.1f} times the peak" + at_commit(found, "load"),
                      times <= 3 and offered >= 0.95 * over["times"],
                      f"{milliseconds(over['accepted_p99_ms'])} against 3 × {milliseconds(over['normal_p99_ms'])}, while "
                      f"{over['accepted_rps'] / found['load']['peak_rps']:.0%} of the peak were accepted.")
        mutations = over["mutations"]
        if mutations["p99_ms"] and mutations["normal_p99_ms"]:
            times = mutations["p99_ms"] / mutations["normal_p99_ms"]
            yield Measure("p99 of accepted mutations at 3 times the peak ÷ normal", "≤ 3",
                          f"{times:.1f}, of {mutations['accepted']} answers" + at_commit(found, "load"), times <= 3,
                          f"{milliseconds(mutations['p99_ms'])} against 3 × {milliseconds(mutations['normal_p99_ms'])}. In the first half second, "
                          "and whenever it is tried whether the crowd is gone, the last to be let in wait for the connections that the others write on.")


def goes(found: dict, operation: str, mode: str, key: str, other: str, target: float) -> str:
    """Where a missed ratio goes: what of the time is whose CPU, and what no server could change."""
    def cpu(name: str, of: str) -> float:
        """CPU ms a request, of the server or of PostgreSQL for it."""
        return value(found, operation, name, mode, f"{of}_cpu_ms") or 0

    names = {"companion": "Companion", other: title(found, other)}
    if key == "server_cpu_ms":
        return f"{cpu('companion', 'server') - cpu(other, 'server'):.3f} ms more a request. " + spent_on(found, operation, "companion", mode)
    if key == "p50_ms":
        both = [f"{name} {cpu(one, 'server'):.3f} + {cpu(one, 'postgres'):.3f} of {value(found, operation, one, mode, key):.2f} ms"
                for one, name in names.items()]
        return f"CPU of the server + PostgreSQL's: {', '.join(both)}."
    took = {one: 1000 / value(found, operation, one, mode, "rps") for one in names}
    if mode.startswith("unpinned"):
        # How many cores there were is known of the report's own machine.
        cores = 0 if older_origin(found, f"{operation} {mode}") else found["machine"]["cores"]
        both = [f"{name} {cpu(one, 'server'):.3f} + {cpu(one, 'postgres'):.3f}"
                + (f" of the {cores * took[one]:.3f} ms that {cores} cores have for it, "
                   f"{cores * took[one] - cpu(one, 'server') - cpu(one, 'postgres'):.3f} left for the load and idling" if cores else " ms")
                for one, name in names.items()]
        return f"CPU a request, the server's + PostgreSQL's: {'; '.join(both)}."
    if not found["operations"][operation]["companion"].get("statements"):
        return (f"{cpu('companion', 'server'):.3f} ms of the server's CPU against {cpu(other, 'server'):.3f}; the target leaves "
                f"{took[other] / target:.3f}. " + spent_on(found, operation, "companion", mode))
    bound = took[other] / cpu("companion", "postgres")
    return (f"PostgreSQL's {cpu('companion', 'postgres'):.3f} ms a request are on the load's core: with these statements a server that cost "
            f"nothing would reach at most {took[other]:.3f} ÷ {cpu('companion', 'postgres'):.3f} = {bound:.2f}, "
            + ("less than the target." if bound < target else f"more than the target; the server's own core: {cpu('companion', 'server'):.3f} "
               f"of {took['companion']:.3f} ms."))


def spent_on(found: dict, operation: str, name: str, mode: str) -> str:
    """What the server's CPU a request goes to most, by the profile of the operation."""
    shares = found.get("profile", {}).get("server", {}).get(operation) or []
    took = value(found, operation, name, mode, "server_cpu_ms")
    most = sorted(shares, key=lambda one: -one["share"])[:4]
    if not most or not took:
        return ""
    named = "; ".join(f"{one['whose']} {one['share']:.0%}" for one in most)
    return f"Most of its {took:.3f} ms, by `perf`: {named}."


def at_steps(steady: dict) -> str:
    """The memory on the way through a load."""
    samples = steady["samples"]
    steps = [samples[round(step * (len(samples) - 1) / 4)] for step in range(5)] if samples else []
    return ("MB at minute " + ", ".join(f"{one['at'] / 60:.1f}: {one['memory'] / 1e6:.1f}" for one in steps)
            + f"; most at any time {steady['memory_peak'] / 1e6:.1f}.")


def targets(wanted: list[Measure]) -> str:
    said = {None: "not measured without errors", True: "yes", False: "**no**"}
    return ("## Figures to reach\n\n"
            + table(["measure", "target", "measured", "reached"], [[one.what, one.target, one.measured, said[one.reached]] for one in wanted])
            + "\n\nRequests a second and latency are of one machine at one time: where others share it, rounds differ by as much as the "
              "ranges below say. pgbench sends the same statements, but its connections have those of a hundred requests prepared, "
              "which the CPU that PostgreSQL takes for it shows; the peers and the stock server read 21 providers for a page of 20. "
              "async-graphql's own loaders keep what they are asked for in a map (`scc`) whose lock spins when two workers want "
              "it: unpinned, 86 % of the stock server's time was there when it was looked at (by `perf`, at commit 0325e3b), pinned it has "
              "one worker and none of it.")


def at_commit(found: dict, part: str) -> str:
    """Of which commit and processor a figure is, where they are not the report's."""
    kept = older_origin(found, part)
    return f" (at {kept})" if kept else ""


def origin(found: dict) -> str | None:
    """The commit that a report was measured at, and the processor it was measured on."""
    commit = found.get("setup", {}).get("versions", {}).get("commit")
    return commit and f"{commit}, {found['machine']['cpu']}"


def older_origin(found: dict, part: str) -> str | None:
    """The origin of a part, where it is not the report's."""
    kept = found.get("older", {}).get(part)
    return kept if kept != origin(found) else None


def grown(steady: dict) -> float:
    """How much more memory the last quarter of the load took than the one before the middle, in MB."""
    samples = [one["memory"] / 1e6 for one in steady["samples"]]
    quarter = max(1, len(samples) // 4)
    middle, end = samples[quarter:2 * quarter] or samples, samples[-quarter:]
    return sum(end) / len(end) - sum(middle) / len(middle)


def where(found: dict, wanted: list[Measure]) -> str:
    """Where the time goes, for the figures that are missed."""
    parts = ["## Where the time goes"]
    missed = [[one.what, one.measured, one.goes] for one in wanted if one.reached is False and one.goes]
    if missed:
        parts.append("What was missed, and what its own figures say of it; medians, CPU of all processes:")
        parts.append(table(["measure", "measured", "where it goes"], missed))
    kept = found.get("profile")
    if not kept:
        return "\n\n".join(parts) if missed else ""
    parts += [older(found, "profile") + "PostgreSQL, for each statement of the nested list alone, by pgbench on "
             "4 connections; `SELECT 1` is what any statement takes, before it does anything:",
             table(["wave", "statement of", "PostgreSQL CPU ms"],
                   [[str(one["wave"]), one["of"], f"{one['postgres_cpu_ms']:.3f}"] for one in kept["statements"]])]
    server = {operation: shares for operation, shares in kept["server"].items() if shares}
    if server:
        parts.append("The server, by `perf` under load, in whose code its CPU time is spent. What the hand-written server and bare axum do "
                     "not do at all – a document that is looked up, validated and priced, limits, access, metrics, a log line – is most of "
                     "what a `ping` takes beyond bare axum's:")
        names = list(dict.fromkeys(one["whose"] for shares in server.values() for one in shares))
        by_name = {operation: {one["whose"]: one["share"] for one in shares} for operation, shares in server.items()}
        parts.append(table(["", *server], [[name, *[f"{shares.get(name, 0):.1%}" for shares in by_name.values()]] for name in names]))
    return "\n\n".join(parts)


def lost_by_growth(found: dict) -> float | None:
    sizes = nested_by_size(found)
    rps = [median(sizes.get(str(rows), {}), "rps") for rows in (10_000, 1_000_000)]
    return None if None in rps else 1 - rps[1] / rps[0]


def nested_by_size(found: dict) -> dict[str, dict]:
    """Companion's figures of the nested list on each size of the data."""
    return {size: by_operation.get("nested", {}).get("companion", {}).get("pinned/32", {}) for size, by_operation in found.get("growth", {}).items()}


def operations(found: dict, drawn: dict[str, str]) -> str:
    parts = ["## Reads"]
    measured = {operation: {mode for row in found["operations"].get(operation, {}).values() for mode in row if "/" in mode}
                for operation in READS}
    every = set().union(*measured.values())
    for operation in ("nested", "flat", "provider", "mine", "ping"):
        by_name = found["operations"].get(operation, {})
        if not by_name:
            continue
        parts.append(f"### {TITLES[operation]}")
        if operation in drawn:
            parts.append(f"![{operation}]({drawn[operation]})")
        unable = [one.title for one in everyone() if operation not in one.operations and one.name not in by_name]
        if unable:
            parts.append(f"No such operation: {'; '.join(unable)}.")
        if by_name.get("companion", {}).get("bytes"):
            parts.append(f"Companion's reply: {by_name['companion']['bytes']:,} bytes.".replace(",", " "))
        for mode in sorted(measured[operation], key=mode_order):
            parts.append(older(found, f"{operation} {mode}") + f"{mode_title(mode)}\n\n" + comparison(found, operation, mode))
            parts.append(absent(found, operation, mode))
        without = [mode_title(mode).rstrip(":") for mode in sorted(every - measured[operation], key=mode_order)]
        if without:
            parts.append("Not asked for: " + "; ".join(without) + ".")
        wrong = [f"- {title(found, name)}: {row['wrong']}" for name, row in by_name.items() if "wrong" in row]
        if wrong:
            parts.append("Left out, because the reply was another one:\n\n" + "\n".join(wrong))
        if operation == "nested" and "cpu" in drawn:
            parts.append(f"![CPU a request]({drawn['cpu']})")
    missing = [f"- {title(found, name)}: {why}" for name, why in found["skipped"].items()]
    missing += [f"- {TITLES[operation]}: not asked for" for operation in READS if not measured[operation]]
    missing += [f"- {name}: not asked for" for name, section in SECTIONS.items() if not found.get(section)]
    if missing:
        parts.append("### Not here\n\n" + "\n".join(missing))
    return "\n\n".join(part for part in parts if part)


def absent(found: dict, operation: str, mode: str) -> str:
    """Who has the operation and yet no figures in a table, and why."""
    by_name = found["operations"][operation]
    now = not older_origin(found, f"{operation} {mode}")
    why: dict[str, list[str]] = {}
    for one in everyone():
        row = by_name.get(one.name, {})
        if operation in one.operations and mode not in row and "wrong" not in row:
            why.setdefault("Left out, see “Not here”" if now and one.name in found["skipped"] else "Not asked for here", []).append(one.title)
    if mode not in by_name.get("pgbench", {}):
        if by_name.get("companion", {}).get("statements") == 0:
            reason = "Without a statement to send"
        else:
            reason = "Measured with its best number of connections, beside 32" if mode.endswith("/1") else "Not asked for here"
        why.setdefault(reason, []).append("pgbench")
    return " ".join(f"{reason}: {'; '.join(names)}." for reason, names in why.items())


def mode_order(mode: str) -> tuple:
    pinned, connections = mode.split("/")
    return pinned != "pinned", -int(connections)


def mode_title(mode: str) -> str:
    pinned, connections = mode.split("/")
    where = "pinned: the server on one core, PostgreSQL and the load on the other" if pinned == "pinned" else "unpinned"
    return f"{connections} connection{'s' if connections != '1' else ''}, {where}:"


def comparison(found: dict, operation: str, mode: str) -> str:
    by_name = found["operations"][operation]
    ours = value(found, operation, "companion", mode, "rps")
    rows = []
    for name, row in sorted(by_name.items(), key=lambda item: -(item[1].get(mode, {}).get("rps", {}).get("median", 0))):
        figures = row.get(mode)
        if not figures:
            continue
        label = title(found, name)
        if name == "pgbench":
            label = f"pgbench, the same statements, {figures['connections']} connection{'s' if figures['connections'] > 1 else ''}"
            row = by_name.get("companion", {})
        rps = median(figures, "rps")
        rows.append([
            label, spread(figures["rps"], 0), f"{ours / rps:.2f}" if ours and rps else "–",
            spread(figures.get("p50_ms"), 2), spread(figures.get("p99_ms"), 1), short(figures.get("server_cpu_ms"), 3),
            short(figures.get("postgres_cpu_ms"), 3), f"{row.get('statements', 0):g} / {row.get('waves', 0):g}",
            mebibytes(figures), notes(figures),
        ])
    return table(["", "req/s", "Companion ÷ it", "p50 ms", "p99 ms", "server CPU ms", "PostgreSQL CPU ms", "SQL / waves", "MiB", ""], rows)


def mebibytes(figures: dict) -> str:
    """The memory of a server's processes."""
    return "–" if "memory" not in figures else f"{figures['memory']['median'] / 2**20:.0f}"


def notes(figures: dict) -> str:
    found = []
    if figures.get("errors"):
        found.append(f"{figures['errors']} errors")
    if figures.get("suspect"):
        found.append(figures["suspect"])
    return "; ".join(found)


def writes(found: dict) -> str:
    if not found.get("writes"):
        return ""
    rows = []
    for operation, row in found["writes"].items():
        for mode in sorted((mode for mode in row if "/" in mode), key=mode_order):
            figures = row[mode]
            rows.append([
                TITLES[operation], mode.replace("/", ", "), spread(figures["rps"], 0), spread(figures.get("p50_ms"), 2),
                spread(figures.get("p99_ms"), 1), short(figures.get("server_cpu_ms"), 3), short(figures.get("postgres_cpu_ms"), 3),
                f"{row['statements']:g} / {row['waves']:g}" if "statements" in row else "–", mebibytes(figures), notes(figures)])
    others = [one.title for one in everyone() if one.name != "companion" and set(one.operations) & set(found["writes"])]
    alone = "Companion alone" if others else \
        "Companion alone (nobody else has these operations: they are its rules for time, money and sign-in, not a query)"
    return ("## Writes\n\n" + older(found, "writes") + alone + ", on a throw-away copy of 10⁵ rows, PostgreSQL with `fsync` as ever. What was answered "
            "was counted in the tables afterwards, but for the mix. BEGIN and COMMIT count as statements here; statements are counted one request "
            "after the other, so of neither the race for one time nor the mix.\n\n"
            + table(["operation", "placed, connections", "req/s", "p50 ms", "p99 ms", "server CPU ms", "PostgreSQL CPU ms", "SQL / waves", "MiB", ""], rows))


def older(found: dict, section: str) -> str:
    """A sentence before a section that was kept from an earlier run."""
    kept = older_origin(found, section)
    return f"Kept from a run at commit {kept}. " if kept else ""


def growth(found: dict, drawn: dict[str, str]) -> str:
    sizes = found.get("growth")
    if not sizes:
        return ""
    names = sorted({name for by_operation in sizes.values() for row in by_operation.values() for name in row})
    rows = []
    for operation in ("nested", "flat", "provider", "mine"):
        for name in ["companion", *[one for one in names if one != "companion"]]:
            figures = [sizes[size].get(operation, {}).get(name, {}).get("pinned/32", {}) for size in sizes]
            cells = [one.get("rps") for one in figures]
            if any(cells):
                ends = [median(one, "rps") for one in (figures[0], figures[-1])]
                lost = f"{1 - ends[1] / ends[0]:.0%}" if all(ends) else "–"
                rows.append([operation, title(found, name), *[spread(cell, 0) for cell in cells], lost])
    pictures = "".join(f"\n\n![{name}]({path})" for name, path in drawn.items() if name.startswith("growth-"))
    here = {name for by_operation in sizes.values() for row in by_operation.values() for name in row}
    without = "; ".join(one.title for one in everyone() if one.name not in here)
    unasked = ", ".join(operation for operation in READS if not any(operation in by_operation for by_operation in sizes.values()))
    missing = "\n\nNot asked for here, where it is the data that grows: " + ". Operations: ".join(filter(None, (without, unasked))) + "." \
        if without or unasked else ""
    return ("## Growth\n\n" + older(found, "growth") + "Requests a second, pinned, 32 connections, by the number of providers, bookings and reviews each; the charts show "
            "them as shares of those at the first."
            + pictures + "\n\n" + table(["operation", "", *[f"{int(size):,}".replace(",", " ") for size in sizes], "lost"], rows) + missing)


def plans(found: dict) -> str:
    kept = found.get("plans")
    if not kept:
        return ""
    rows = []
    for one in kept["checked"]:
        # What writes is explained and not run.
        read = ["–", "–"] if one["kind"] == "write" else [str(one["rows"]), f"{one['ms']:.1f}"]
        rows.append([TITLES.get(one["name"], one["name"]), str(one["statements"]), *read, one["kind"], "; ".join(one["problems"])])
    broken = kept["broken"]
    # Older figures don't know of the scans of what is listed.
    verdict = "No plan reads a growing table from end to end, and, but for those that are listed, rows read stay within the page or the search's bound." \
        if kept.get("scans_of_listed") \
        else "But for those that are listed, no plan reads a growing table from end to end, and rows read stay within the page or the search's bound."
    if broken:
        verdict = f"**{len(broken)} break the rule:** {', '.join(broken)}."
    return (f"## Plans on {kept['rows']:,} rows\n\n".replace(",", " ")
            + older(found, "plans") + f"`EXPLAIN (ANALYZE)` of every statement that each list sends, each order alone and with one filter; what writes is "
              f"explained and not run. {verdict} "
              "Searches look at the next hundred rows of their order for each row of the page, then at what the index of the rarest "
              "condition leads to, then at five hundred rows of the order for each; what all of this doesn't find is sorted. That, and combined "
              "filters, are listed with what they read.\n\n"
            + table(["list", "statements", "most rows a node reads", "ms in all", "bound", ""], rows))


def sustained(found: dict) -> str:
    kept = found.get("load")
    if not kept:
        return ""
    parts = ["## Load", *filter(None, [older(found, "load").strip()])]
    steady, over = kept.get("steady"), kept.get("overload")
    if steady:
        kinds = kinds_of(steady) and f" ({kinds_of(steady)})"
        parts.append(
            f"**{steady['seconds'] / 60:.0f} minutes of the mix at {steady['share']:.0%} of the peak** "
            f"(peak {kept['peak_rps']:.0f} req/s): {steady['rps']:.0f} req/s, p50 {steady['p50_ms']:.1f} ms, p99 {steady['p99_ms']:.1f} ms, "
            f"{steady['errors']} errors, {steady['failed_answers']} failed answers in the log{kinds}, most memory {steady['memory_peak'] / 2**20:.0f} MiB, "
            f"at most {steady['connections']} connections to PostgreSQL.")
        parts.append(table(["minute", "MiB resident", "connections", "p99 of a prober, ms"],
                           [[f"{one['at'] / 60:.1f}", f"{one['memory'] / 2**20:.1f}", str(one["connections"]), f"{one['p99_ms'] or 0:.1f}"]
                            for one in steady["samples"]]))
    if over:
        codes = ", ".join(f"{number} × {code}" for code, number in over["statuses"].items())
        parts.append(
            f"**{over['seconds']} s at {over['times']:g} times the peak** ({over['connections']} connections, which should send {over['offered_rps']:.0f} req/s; "
            f"{over['answered_rps']:.0f} a second were sent and answered): "
            f"{codes}. Coded answers among the refused that were looked at: {over['coded']} of {over['refused_seen']}; "
            f"without Retry-After: {over['without_retry']}; without any answer, or not of the mix: {over['errors']}. "
            f"{over['accepted_rps']:.0f} requests a second were accepted. p99 of the accepted reads {milliseconds(over['accepted_p99_ms'])}, "
            f"{slower(over)} the {milliseconds(over['normal_p99_ms'])} of the steady run's prober (wanted: at most 3 times). "
            + mutations(over))
        parts.append(after(kept, over))
    return "\n\n".join(parts)


def kinds_of(steady: dict) -> str:
    """The failed answers of a load, by kind."""
    return ", ".join(f"{number} × {kind}" for kind, number in steady.get("failed_kinds", {}).items())


def mutations(over: dict) -> str:
    """What became of the prober's mutations in the overload."""
    kept = over.get("mutations")
    if not kept:
        return "That of mutations was not measured."
    # Of fewer than a hundred the p99 is the slowest.
    what = "p99" if kept["accepted"] >= 100 else "slowest"
    return (f"Of the prober's mutations {kept['accepted']} were accepted and {kept['refused']} refused; {what} of the accepted "
            f"{milliseconds(kept['p99_ms'])}, p99 in the steady run {milliseconds(kept['normal_p99_ms'])}.")


def after(kept: dict, over: dict) -> str:
    """How the overload ended."""
    back, eager = over.get("recovery"), over.get("eager")
    if not back:
        return (f"**After it**, with the prober alone: back to normal {over['recovery_seconds']} s after the end, with a p99 of "
                f"{milliseconds(over['after_p99_ms'])}. Under load it was not measured.")
    share = kept["steady"]["share"]
    last = "none was refused after the end" if back["last_refused_seconds"] is None else \
        f"{back['refused']} of its answers and {back['refused_seen']} of the prober's were refusals, the last {back['last_refused_seconds']:.1f} s after the end"
    normal = f"**not back to normal within {back['seconds']} s**" if over["recovery_seconds"] is None else \
        f"back to normal after {over['recovery_seconds']} s, from when on the p99 of reads was {milliseconds(over['after_p99_ms'])}"
    text = (f"**After it**, with the load of {share:.0%} of the peak back at once for {back['seconds']} s ({back['answered_rps']:.0f} req/s): "
            f"{last}; {normal}; p99 of accepted reads over all of it {milliseconds(back['p99_ms'])}.")
    if eager:
        text += (f" After another {eager['after_seconds']} s at {over['times']:g} times the peak, {eager['connections']} connections with no pause "
                 f"for {eager['seconds']} s: {eager['answered_rps']:.0f} answers a second, {eager['refused']} refusals, {eager['refused_in_last']} of them "
                 f"in the last {eager['last_seconds']} s.")
    return text


def milliseconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} ms"


def slower(over: dict) -> str:
    if not over["accepted_p99_ms"] or not over["normal_p99_ms"]:
        return "against"
    return f"{over['accepted_p99_ms'] / over['normal_p99_ms']:.1f} times"


def setup(found: dict) -> str:
    kept = found["setup"]
    versions = ", ".join(f"{name} {text}" for name, text in kept["versions"].items())
    libraries = table(["", "built on"], [[title(found, name), ", ".join(f"{library} {version}" for library, version in locked.items())]
                                         for name, locked in kept["libraries"].items()])
    others = "What was kept from an older run had the settings and versions of its own commit. " \
        if any(older_origin(found, part) for part in found.get("older", {})) else ""
    environment = "\n".join(f"{name}={text}" for name, text in kept["companion"].items())
    postgres = "\n".join(f"{name} = {text}" for name, text in kept["configuration"].items())
    memory = "its memory is in huge pages" if kept.get("huge_pages") else "its memory is not in huge pages"
    return (f"## Set-up\n\nVersions: PostgreSQL and its pgbench {kept['postgresql']}, {versions}.\n\n{libraries}\n\nLoad: `wrk` with one thread, bodies built before the run, "
            f"random variables for each request. PostgreSQL's settings besides its defaults ({memory}):\n\n"
            f"```ini\n{postgres}\n```\n\nCompanion ran with these settings; the limits are raised, not switched off, and one log line a "
            f"request went to a file:\n\n```ini\n{environment}\n```\n\n"
            f"{others}The peers are set up as [peers/README.md](peers/README.md) says, with 8 connections each and the same indexes.")


def title(found: dict, name: str) -> str:
    return found["setup"]["titles"].get(name, name)


def spread(figure: dict | None, digits: int) -> str:
    if not figure:
        return "–"
    if figure["low"] == figure["high"]:
        return f"{figure['median']:.{digits}f}"
    return f"{figure['median']:.{digits}f} ({figure['low']:.{digits}f}–{figure['high']:.{digits}f})"


def short(figure: dict | None, digits: int) -> str:
    return "–" if not figure else f"{figure['median']:.{digits}f}"


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
