"""What the figures were measured on."""

import os
import platform
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
