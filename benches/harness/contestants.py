"""Who takes part: a row each, with how to install, how to serve, and which operations it answers."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import settings
from .settings import log

PEERS = settings.BENCHES / "peers"
NODE = PEERS / "_node"
CONTESTANTS = settings.BENCHES / "contestants"
CONTESTANTS_TARGET = settings.CACHE / "contestants"
READS = ("ping", "provider", "flat", "nested", "mine")


@dataclass(frozen=True)
class Contestant:
    """A server under test. `serve` is run with DATABASE_URL and PORT in its environment."""

    name: str
    title: str
    serve: tuple[str, ...]
    operations: tuple[str, ...]
    # The folder of its documents, `<operation>.graphql`.
    documents: Path = settings.BENCHES / "operations"
    # Whether variables hold Companion's typed ids or plain UUIDs.
    typed_ids: bool = True
    # Run once before the first start; must be idempotent.
    install: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    # What must be there, or the contestant is skipped with this said.
    needs: tuple[Path, ...] = ()
    # What fixes the versions of its libraries, and those of a Rust program that the report names.
    lock: Path = settings.ROOT / "Cargo.lock"
    built_on: tuple[str, ...] = ()

    def document(self, operation: str) -> str:
        return (self.documents / f"{operation}.graphql").read_text().strip()


def companion() -> Contestant:
    """The product, with the settings of production. Limits are raised, not switched off: they are counted as ever."""
    return Contestant(
        name="companion",
        title="Companion",
        serve=(str(settings.COMPANION), "serve"),
        operations=READS,
        needs=(settings.COMPANION,),
        built_on=("async-graphql", "axum", "diesel", "diesel-async", "tokio-postgres"),
        environment={
            "ENVIRONMENT": "production",
            "BASE_URL": "http://127.0.0.1",
            "JWT_SECRET": settings.JWT_SECRET,
            "TELEGRAM_BOT_TOKEN": settings.BOT_TOKEN,
            "TELEGRAM_MAX_AGE": "86400",
            "STRIPE_SECRET_KEY": "sk_test_benchmark_only",
            # Nothing is asked of Stripe while benchmarks run, and nothing may be.
            "STRIPE_API_BASE": "http://127.0.0.1:9",
            "STRIPE_WEBHOOK_SECRET": settings.WEBHOOK_SECRET,
            "DATA_DIR": str(settings.CACHE / "companion"),
            "LOG_FORMAT": "json",
            "GRAPHQL_POINTS_PER_MINUTE_USER": "1000000000",
            "GRAPHQL_POINTS_BURST_USER": "1000000000",
            "GRAPHQL_POINTS_PER_MINUTE_ADDRESS": "1000000000",
            "GRAPHQL_POINTS_BURST_ADDRESS": "1000000000",
            "SIGN_IN_PER_MINUTE": "1000000",
        },
    )


def rust(name: str, title: str, operations: tuple[str, ...], built_on: tuple[str, ...]) -> Contestant:
    """A binary of the workspace in benches/contestants."""
    binary = CONTESTANTS_TARGET / "release" / name
    return Contestant(
        name=name,
        title=title,
        serve=(str(binary),),
        operations=operations,
        needs=(CONTESTANTS / "Cargo.toml",),
        lock=CONTESTANTS / "Cargo.lock",
        built_on=built_on,
        install=("cargo", "build", "--release", "--locked", "--manifest-path", str(CONTESTANTS / "Cargo.toml"),
                 "--target-dir", str(CONTESTANTS_TARGET), "--bin", name),
    )


def peer(name: str, title: str) -> Contestant:
    """A server in another language, in benches/peers/<name>: what it has a document of, it answers."""
    folder = PEERS / name
    documents = folder / "operations"
    operations = tuple(one for one in READS if (documents / f"{one}.graphql").exists())
    return Contestant(
        name=name,
        title=title,
        serve=(str(folder / "serve"),),
        operations=operations,
        documents=documents,
        typed_ids=False,
        install=(str(folder / "install"),),
        needs=(folder / "install", folder / "serve"),
        # pip's lock doesn't tell what was asked for from what came with it.
        lock=next(path for path in (folder / "package-lock.json", folder / "requirements.in") if path.exists()),
        environment={"NODE_ENV": "production"},
    )


def everyone() -> list[Contestant]:
    """All, in the order of the report."""
    return [
        companion(),
        rust("handwritten", "hand-written axum + tokio-postgres", ("provider", "flat", "nested"), ("axum", "tokio-postgres")),
        rust("stock", "stock async-graphql + DataLoader", ("ping", "provider", "flat", "nested"),
             ("async-graphql", "axum", "tokio-postgres")),
        rust("bare", "bare axum", ("ping",), ("axum",)),
        peer("mercurius", "Mercurius + pg, JIT"),
        peer("postgraphile", "PostGraphile 5"),
        peer("apollo-knex", "Apollo + knex + DataLoader"),
        peer("apollo-prisma", "Apollo + Prisma 7"),
        peer("strawberry", "Strawberry + FastAPI + SQLAlchemy"),
    ]


def present(wanted: set[str] | None, skip_install: bool = False) -> tuple[list[Contestant], dict[str, str]]:
    """Those of the wanted that are here and installed, and why the others are not."""
    here, missing = [], {}
    for one in everyone():
        if wanted is not None and one.name not in wanted:
            continue
        absent = [settings.shown(path) for path in one.needs if not path.exists()]
        if absent:
            missing[one.name] = f"{', '.join(absent)} is missing"
        elif not one.operations:
            missing[one.name] = f"it has no documents in {settings.shown(one.documents)}"
        else:
            problem = install(one) if not skip_install else None
            if not problem and not Path(one.serve[0]).exists():
                problem = f"{settings.shown(Path(one.serve[0]))} is missing"
            if problem:
                missing[one.name] = problem
            else:
                here.append(one)
                continue
        log(f"{one.name} is skipped: {missing[one.name]}")
    return here, missing


# Installed in this run of the harness.
installed: set[str] = set()


def install(one: Contestant) -> str | None:
    """Installs it; what went wrong, if anything did."""
    if not one.install or one.name in installed:
        return None
    settings.LOGS.mkdir(parents=True, exist_ok=True)
    path = settings.LOGS / f"{one.name}-install.log"
    log(f"installing {one.name} (log in {path})")
    environment = dict(os.environ, BENCH_CACHE=str(settings.CACHE))
    with path.open("wb") as output:
        done = subprocess.run(one.install, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False)
    if done.returncode:
        return f"its installation failed, see {settings.shown(path)}"
    installed.add(one.name)
    return None
