"""Where things are and what can be set from the environment."""

import os
from pathlib import Path

BENCHES = Path(__file__).resolve().parent.parent
ROOT = BENCHES.parent
CACHE = Path(os.environ.get("BENCH_CACHE", BENCHES / ".cache")).resolve()
LOGS = CACHE / "logs"

# The release binary that is measured; it also migrates.
COMPANION = Path(os.environ.get("BENCH_COMPANION", ROOT / "target" / "release" / "companion")).resolve()
PG_PORT = int(os.environ.get("BENCH_PG_PORT", "54321"))
# The first of the ports that servers under test listen on.
FIRST_PORT = int(os.environ.get("BENCH_PORT", "18100"))
# Pinned runs: the server on the first, PostgreSQL and the load on the second.
SERVER_CORE = int(os.environ.get("BENCH_SERVER_CORE", "0"))
LOAD_CORE = int(os.environ.get("BENCH_LOAD_CORE", "1"))

# The one row of settings that the servers share with the signing code. None of them opens anything.
JWT_SECRET = "benchmark-only-secret-of-more-than-32-bytes"
BOT_TOKEN = "123456:benchmark-only-bot-token"
WEBHOOK_SECRET = "whsec_benchmark_only"


def inherited() -> dict[str, str]:
    """What programs under test get of our environment: their own settings in it would be measured and not be in the report."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}


def cores() -> set[int]:
    """The cores that this process may run on."""
    return os.sched_getaffinity(0)


def can_pin() -> bool:
    """Whether there are two cores to pin to."""
    return {SERVER_CORE, LOAD_CORE} <= cores() and SERVER_CORE != LOAD_CORE


def shown(path: Path) -> str:
    """A path as it stands in the report, which is no place for a machine's folders."""
    for base, name in ((CACHE, "the cache"), (ROOT, "")):
        if path.is_relative_to(base):
            return f"{name}/{path.relative_to(base)}".lstrip("/")
    return path.name


def log(text: str) -> None:
    """A line about what is being done."""
    import time

    print(time.strftime("%H:%M:%S"), text, flush=True)
