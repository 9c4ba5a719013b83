"""What the figures were measured on and with."""

import os
import platform
import re
import subprocess

from . import settings


def describe() -> dict:
    """The machine in a few words."""
    model = "unknown"
    try:
        with open("/proc/cpuinfo") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": len(settings.cores()),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


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
        if line:
            found[name] = re.sub(r"\s*Copyright.*", "", line[0])
    return found
