#!/usr/bin/env python3
"""The benchmark's entry: `run.py --help`, and benches/README.md for the rest."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import settings  # noqa: E402  (found by the line before)


def in_venv() -> None:
    """Goes on in the virtual environment of the cache, made where it is missing, with what requirements.txt locks."""
    folder = settings.CACHE / "venv"
    python = folder / "bin" / "python"
    wanted = (settings.BENCHES / "harness" / "requirements.txt").read_text()
    mark = folder / "installed.txt"
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    if not mark.exists() or mark.read_text() != wanted:
        settings.log("installing what the report needs")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes",
                        "-r", settings.BENCHES / "harness" / "requirements.txt"], check=True)
        mark.write_text(wanted)
    os.execv(python, [str(python), *sys.argv])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Companion side by side with others.")
    commands = parser.add_subparsers(dest="command", required=True)
    who = {"only": {"help": "contestants by comma; all without"}, "operations": {"help": "operations by comma; all without"},
           "no-install": {"action": "store_true", "help": "take contestants as they are installed"}}
    long = {"rounds": {"type": int, "help": "interleaved rounds"}, "seconds": {"type": int, "help": "seconds a run, at least 4 for CPU figures"}}
    size = {"rows": {"type": int, "help": "another size of the data set whose plans are checked"}}
    for name, about, takes in (("short", "the main figure of everybody on 10^5 rows, under 10 minutes", who | long),
                               ("reads", "the other reads, and unpinned", who | long),
                               ("writes", "what writes, and the mix", long),
                               ("sizes", "the reads on 10^4, 10^5 and 10^6 rows", who | long),
                               ("growth", "the plans of every list on 10^6 rows", size),
                               ("profile", "where the time of a request goes", {}),
                               ("full", "all of these", who | long | size)):
        one = commands.add_parser(name, help=about)
        for option, kind in takes.items():
            one.add_argument(f"--{option}", **kind)
    load = commands.add_parser("load", help="10 minutes at 80 %% of the peak, then 3 times the peak")
    load.add_argument("--minutes", type=float, default=10)
    load.add_argument("--overload-seconds", type=int, default=60)
    database = commands.add_parser("db", help="make data sets and leave PostgreSQL running")
    database.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000])
    commands.add_parser("stop", help="stop the PostgreSQL that `db` left running")
    commands.add_parser("report", help="write REPORT.md and the charts from report.json again")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.command not in ("db", "stop"):
        in_venv()
    from harness import session

    session.run(options)


if __name__ == "__main__":
    main()
