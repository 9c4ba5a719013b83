"""The databases: the product's own migrations, filled by data/*.sql."""

import subprocess
import time

from . import settings
from .cluster import Cluster
from .settings import log

DATA = settings.BENCHES / "data"
# A change of these files makes the data sets anew.
SOURCES = [DATA / "fill.sql"]


def name_of(rows: int) -> str:
    return f"bench_{rows}"


def ensure(cluster: Cluster, rows: int) -> str:
    """The name of the database with so many providers, bookings and reviews, made where it is missing."""
    name = name_of(rows)
    mark = fingerprint()
    if name in cluster.databases():
        kept = cluster.sql(f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{name}'")
        if kept == mark:
            return name
        log(f"{name} was made by other migrations or data: making it anew")
        drop(cluster, name)
    started = time.monotonic()
    cluster.sql(f"CREATE DATABASE {name}")
    migrate(cluster, name)
    log(f"filling {name}")
    cluster.psql(["-v", f"n={rows}", "-f", DATA / "fill.sql"], name)
    cluster.psql(["-f", DATA / "verify.sql"], name)
    cluster.sql(f"COMMENT ON DATABASE {name} IS '{mark}'")
    cluster.sql("CHECKPOINT")
    log(f"{name} is ready after {time.monotonic() - started:.0f} s")
    return name


def migrate(cluster: Cluster, name: str) -> None:
    environment = dict(settings.inherited(), DATABASE_URL=cluster.url(name), ENVIRONMENT="development", LOG_LEVEL="warn")
    subprocess.run([settings.COMPANION, "migrate", "up"], env=environment, check=True, stdout=subprocess.DEVNULL, cwd="/")


def copy(cluster: Cluster, source: str, target: str) -> str:
    """A throw-away copy, for what writes."""
    drop(cluster, target)
    cluster.sql(f"CREATE DATABASE {target} TEMPLATE {source}")
    cluster.sql("CHECKPOINT")
    return target


def drop(cluster: Cluster, name: str) -> None:
    cluster.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def fingerprint() -> str:
    """Names what a data set follows from: the migrations and the SQL that fills."""
    import hashlib

    digest = hashlib.sha256()
    for path in sorted((settings.ROOT / "migrations").glob("*/up.sql")) + SOURCES:
        digest.update(path.parent.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Known:
    """What bodies are built of: ids of one data set, in an order that is always the same."""

    def __init__(self, cluster: Cluster, database: str):
        rows = cluster.json(
            """SELECT json_build_object(
                'cities', (SELECT json_agg(id ORDER BY slug) FROM cities),
                'providers', (SELECT json_agg(id ORDER BY id) FROM (
                    SELECT id FROM providers WHERE status = 'APPROVED' ORDER BY md5(id::text) LIMIT 2000) p),
                'sessions', (SELECT json_agg(json_build_array(id, user_id) ORDER BY id) FROM sessions
                    WHERE expires_at = '2099-01-01Z' AND device_name = 'Mini App'),
                'staff', (SELECT json_build_array(id, user_id) FROM sessions
                    WHERE expires_at = '2099-01-01Z' AND device_name = 'Staff'),
                'providers_number', (SELECT count(*) FROM providers))""",
            database,
        )
        self.cities: list[str] = rows["cities"]
        self.providers: list[str] = rows["providers"]
        # Session and person; the first 100 have 30 bookings and more.
        self.sessions: list[tuple[str, str]] = [tuple(pair) for pair in rows["sessions"]]
        self.staff: tuple[str, str] = tuple(rows["staff"])
        self.size: int = rows["providers_number"]
