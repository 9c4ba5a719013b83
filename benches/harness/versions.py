"""The versions of what measures and of what is measured."""

import json
import re
import subprocess
import tomllib

from . import settings
from .contestants import NODE, Contestant


def programs() -> dict[str, str]:
    """What measures, what builds and runs the contestants, and the commit of Companion."""
    found = {}
    for name, command in (
        ("Companion", [str(settings.COMPANION), "--version"]), ("wrk", ["wrk", "-v"]), ("Python", ["python3", "--version"]),
        ("rustc", ["rustc", "--version"]), ("commit", ["git", "-C", str(settings.ROOT), "rev-parse", "--short=12", "HEAD"]),
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        except OSError:
            continue
        line = (done.stdout + done.stderr).strip().splitlines()[:1]
        # wrk says its version and fails.
        if line and (name != "commit" or not done.returncode):
            found[name] = re.sub(rf"^{name} |\s*Copyright.*", "", line[0], flags=re.IGNORECASE)
    if "commit" in found and changed():
        found["commit"] += " with changes"
    return found


def changed() -> bool:
    """Whether what is measured differs from its commit; the report itself always does."""
    besides = [f":(exclude)benches/{one}" for one in ("report.json", "REPORT.md", "charts")]
    done = subprocess.run(["git", "-C", str(settings.ROOT), "status", "--porcelain", "--", ".", *besides],
                          capture_output=True, text=True, check=False, timeout=60)
    return bool(done.stdout.strip())


def libraries(contestant: Contestant) -> dict[str, str]:
    """What a contestant is built on, by its lock file: the named of a Rust program, all that others ask for themselves."""
    text = contestant.lock.read_text()
    if contestant.lock.name == "Cargo.lock":
        locked = tomllib.loads(text)["package"]
        return {one["name"]: one["version"] for one in locked if one["name"] in contestant.built_on}
    if contestant.lock.name == "package-lock.json":
        packages = json.loads(text)["packages"]
        asked = {name: packages[f"node_modules/{name}"]["version"] for name in packages[""]["dependencies"]}
        return {"Node.js": node(), **asked}
    return dict(line.split("==") for line in text.split())


def node() -> str:
    """The version of Node.js that the peers run on."""
    return next(iter(json.loads((NODE / "package.json").read_text())["optionalDependencies"].values()))
