"""What the figures were measured on and with."""

import os
import platform
import re
import subprocess
from pathlib import Path

from . import settings


def describe() -> dict:
    """The machine in a few words."""
    model = "unknown"
    try:
        with open("/proc/cpuinfo") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    return {
        "cpu": model,
        "cores": len(settings.cores()),
        "memory_gib": round(memory_bytes() / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")


def huge_pages() -> int:
    """How many are set aside."""
    try:
        return int(HUGE_PAGES.read_text())
    except OSError:
        return 0


def is_in_huge_pages(process: int) -> bool:
    """Whether memory of this process is."""
    try:
        with open(f"/proc/{process}/status") as file:
            return any(line.startswith("HugetlbPages:") and line.split()[1] != "0" for line in file)
    except OSError:
        return False


def set_huge_pages(number: int) -> None:
    """Sets so many aside, where we may and the memory is there; who asks for more than there are does without."""
    try:
        HUGE_PAGES.write_text(str(number))
    except OSError:
        pass


def versions() -> dict[str, str]:
    """The programs that measure, and what is measured."""
    found = {}
    for name, command in (
        ("companion", [str(settings.COMPANION), "--version"]), ("wrk", ["wrk", "-v"]), ("python", ["python3", "--version"]),
        ("rustc", ["rustc", "--version"]), ("commit", ["git", "-C", str(settings.ROOT), "rev-parse", "--short=12", "HEAD"]),
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        except OSError:
            continue
        line = (done.stdout + done.stderr).strip().splitlines()[:1]
        # wrk says its version and fails.
        if line and (name != "commit" or not done.returncode):
            found[name] = re.sub(r"\s*Copyright.*", "", line[0])
    if "commit" in found and changed():
        found["commit"] += " with changes"
    return found


def changed() -> bool:
    """Whether what is measured differs from its commit; the report itself always does."""
    besides = [f":(exclude)benches/{one}" for one in ("report.json", "REPORT.md", "charts")]
    done = subprocess.run(["git", "-C", str(settings.ROOT), "status", "--porcelain", "--", ".", *besides],
                          capture_output=True, text=True, check=False, timeout=60)
    return bool(done.stdout.strip())
