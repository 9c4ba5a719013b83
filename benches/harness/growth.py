"""Plans on the largest data set: what each list's statements read, by row counts, which no clock changes."""

import json
import re
import tomllib
from dataclasses import replace

from . import dataset, settings
from .bodies import Reads, Request, post
from .cluster import Cluster
from .contestants import companion
from .dataset import Known
from .ids import typed
from .probe import Probe
from .settings import log
from .sign import access_token
from .writes import Writes

LISTS = settings.BENCHES / "operations" / "lists.toml"
# As many rows a list asks for that doesn't say how many.
FIRST = 20
# So many rows of the order a search may look at for each row that it reads, the one after the page among them, and so many
# times as many where those don't fill the page (src/db/search.rs); a provider has two prices.
LOOKED_AT = 100
AGAIN = 5
PRICES = 2
# A table of fewer rows doesn't grow with the market: categories, cities, roles.
GROWING = 5000


def check(cluster: Cluster, database: str) -> dict:
    """Every list of lists.toml, with what of it grows with the data."""
    known = Known(cluster, database)
    rows = cluster.sql("SELECT count(*) FROM providers", database)
    growing = set(cluster.sql(f"SELECT relname FROM pg_class WHERE relkind IN ('r', 'i') AND reltuples > {GROWING}", database).split())
    tokens = {"client": access_token(*known.sessions[0]), "staff": access_token(*known.staff), "anyone": None}
    lists = tomllib.loads(LISTS.read_text())["list"]
    checked = []
    # What a worker does when it starts would be taken for a list's.
    me = companion()
    idle = replace(me, environment={**me.environment, "RUN_WORKER": "false"})
    with Probe(cluster, database, idle) as probe:
        values = placeholders(cluster, database, known, probe)
        for one in lists:
            checked.append(check_one(cluster, database, growing, probe, one, values, tokens[one.get("as", "anyone")]))
    checked += check_writes(cluster, database, known, growing)
    broken = [one["name"] for one in checked if one["problems"]]
    log(f"{len(checked)} lists checked on {rows} rows, {len(broken)} break the rule")
    return {"rows": int(rows), "checked": checked, "broken": broken, "scans_of_listed": True}


def page(first: int) -> int:
    """What a page may read in one node of a plan: its rows and one more, and where the index knows an instant alone the next."""
    return first + 2


def page_below(first: int) -> int:
    """What hangs on the rows of a page: for each of them at most three, and a few for what is asked beside."""
    return 3 * first + 4


def search(first: int) -> int:
    """What a search may: the rows of the order that it looks at, with their prices, and then what hangs on its page."""
    return AGAIN * LOOKED_AT * (first + 1) * PRICES + page_below(first)


def placeholders(cluster: Cluster, database: str, known: Known, probe: Probe) -> dict[str, str]:
    """What $NAME stands for."""
    client = known.sessions[0][1]
    facts = cluster.json(
        f"""SELECT json_build_object(
            'provider', (SELECT provider_id FROM reviews ORDER BY id LIMIT 1),
            'service', (SELECT id FROM services ORDER BY title LIMIT 1),
            'category', (SELECT category_id FROM services ORDER BY title LIMIT 1),
            'other_category', (SELECT category_id FROM services
                WHERE category_id <> (SELECT category_id FROM services ORDER BY title LIMIT 1) ORDER BY title LIMIT 1),
            'booking', (SELECT id FROM bookings WHERE client_id = '{client}' ORDER BY id DESC LIMIT 1),
            'role', (SELECT id FROM roles WHERE name = 'ADMIN'))""", database)
    found = {
        "CITY": typed("cty", known.cities[7]), "PROVIDER": typed("prv", facts["provider"]), "SERVICE": typed("srv", facts["service"]),
        "CATEGORY": typed("cat", facts["category"]), "OTHER_CATEGORY": typed("cat", facts["other_category"]),
        "BOOKING": typed("bkg", facts["booking"]), "ROLE": typed("rol", facts["role"]), "CLIENT": typed("usr", client),
        "FROM": "2025-01-02T00:00:00Z", "TO": "2025-01-20T00:00:00Z",
        # In a window of data/fill.sql; those are from 9 to 17.
        "SOON": "2090-01-03T10:00:00Z", "LATER": "2090-01-03T15:00:00Z",
    }
    status, body = probe.server.post(post("{ providers(first: 100) { pageInfo { endCursor } } }"))
    found["CURSOR_RATING"] = json.loads(body)["data"]["providers"]["pageInfo"]["endCursor"]
    return found


def check_one(cluster: Cluster, database: str, growing: set[str], probe: Probe, one: dict, values: dict[str, str], token: str | None) -> dict:
    query = re.sub(r"\$([A-Z_]+)", lambda match: f'"{values[match.group(1)]}"', one["query"])
    request = Request(post(query), token=token)
    kind, first = one.get("kind", "page"), one.get("first", FIRST)
    found = {"name": one["name"], "kind": kind, "statements": 0, "rows": 0, "ms": 0.0, "problems": []}
    try:
        probe.send(request)
        recorded = probe.record([request])[0]
    except RuntimeError as error:
        found["problems"].append(str(error)[:200])
        return found
    for number, wave in enumerate(recorded.waves):
        for statement in wave:
            if not re.match(r"(?i)\s*(SELECT|WITH)\b", statement.filled):
                continue
            found["statements"] += 1
            explained = cluster.psql(["-c", "SET jit = off", "-c", "EXPLAIN (ANALYZE, FORMAT JSON) " + statement.filled], database)
            plan = json.loads(explained)[0]
            most, scanned = work(plan["Plan"], growing)
            found["rows"] = max(found["rows"], most)
            found["ms"] += plan["Execution Time"]
            for table in sorted(scanned):
                found["problems"].append(f"reads {table} from end to end")
            bound = page(first) if number == 0 else page_below(first)
            if kind == "search":
                bound = search(first)
            # What is listed may read what its most selective index holds.
            if kind != "listed" and most > bound:
                found["problems"].append(f"a node of statement {found['statements']} reads {most} rows, more than {bound}")
    if not found["statements"]:
        found["problems"].append("no statement was seen")
    log(f"{one['name']}: {found['rows']} rows in {found['ms']:.1f} ms{' — ' + '; '.join(found['problems']) if found['problems'] else ''}")
    return found


def check_writes(cluster: Cluster, database: str, known: Known, growing: set[str]) -> list[dict]:
    """The statements of what writes, on a throw-away copy; explained and not run again."""
    writes = Writes(cluster, database, Reads(known), orders=200)
    checked = []
    try:
        with Probe(cluster, writes.name, writes.me) as probe:
            for operation in ("booking_create", "telegram_sign_in", "webhook"):
                requests = writes.take(operation, 12)
                for request in requests[:11]:
                    probe.send(request)
                found = {"name": operation, "kind": "write", "statements": 0, "rows": 0, "ms": 0.0, "problems": []}
                for statement in (one for wave in probe.record(requests[11:])[0].waves for one in wave):
                    if not re.match(r"(?i)\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b", statement.filled):
                        continue
                    found["statements"] += 1
                    plan = json.loads(cluster.psql(["-c", "EXPLAIN (FORMAT JSON) " + statement.filled], writes.name))[0]
                    for table in sorted(scans(plan["Plan"]) & growing):
                        found["problems"].append(f"reads {table} from end to end: {statement.text[:60]}")
                checked.append(found)
                log(f"{operation}: {found['statements']} statements{' — ' + '; '.join(found['problems']) if found['problems'] else ''}")
    finally:
        dataset.drop(cluster, writes.name)
    return checked


def scans(plan: dict) -> set[str]:
    """The tables that a plan would read from end to end."""
    found = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return found.union(*(scans(child) for child in plan.get("Plans", [])))


def work(plan: dict, growing: set[str]) -> tuple[int, set[str]]:
    """The most rows of a growing table that a node touched, and the growing tables that were read from end to end."""
    most, scanned = 0, set()
    # What makes a bitmap names the index alone.
    table = plan.get("Relation Name", plan.get("Index Name"))
    if table in growing:
        removed = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        most = int((plan["Actual Rows"] + removed) * max(1, plan["Actual Loops"]))
        if plan["Node Type"] == "Seq Scan" and most > page(FIRST):
            scanned = {table}
    for child in plan.get("Plans", []):
        below, tables = work(child, growing)
        most, scanned = max(most, below), scanned | tables
    return most, scanned
