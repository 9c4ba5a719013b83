"""The private PostgreSQL of the benchmark: its own cluster in the cache, on the loopback alone."""

import glob
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import machine, settings
from .settings import log

USER = "companion"
# All that differs from PostgreSQL's defaults; it stands in the report.
CONFIGURATION = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    # A quarter of the machine's memory, as PostgreSQL's documentation advises, in huge pages where the machine lets it.
    "shared_buffers": f"'{machine.memory_bytes() // 4 // 2**20}MB'",
    "huge_pages": "try",
    "max_connections": "200",
    # Where the harness reads the statements that a server sends, while it asks for them.
    "logging_collector": "on",
    "log_destination": "'jsonlog'",
    "log_filename": "'postgresql.log'",
    "log_rotation_age": "0",
    "log_rotation_size": "0",
    "log_checkpoints": "off",
    "log_timezone": "'UTC'",
}


class Cluster:
    """A PostgreSQL cluster that stays in the cache between runs."""

    def __init__(self, port: int = settings.PG_PORT):
        self.port = port
        self.programs = programs()
        self.data = data_folder()
        self.started_here = False
        self.huge_pages_before = settings.CACHE / "huge_pages_before"

    def url(self, database: str, port: int | None = None) -> str:
        """The database's URL; through another port where a proxy is in between."""
        return f"postgres://{USER}@127.0.0.1:{port or self.port}/{database}?sslmode=disable"

    @property
    def log_file(self) -> Path:
        return self.data / "log" / "postgresql.json"

    def start(self) -> None:
        """Starts it, made new where there is none; one that runs already is taken as it is."""
        if not (self.data / "PG_VERSION").exists():
            log(f"making a PostgreSQL cluster in {self.data}")
            self.run("initdb", "-D", self.data, "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions")
        if self.run("pg_ctl", "status", "-D", self.data, check=False).returncode == 0:
            self.port = int((self.data / "postmaster.pid").read_text().splitlines()[3])
            return
        lines = "".join(f"{name} = {value}\n" for name, value in CONFIGURATION.items())
        own = self.data / "companion.conf"
        own.write_text(f"port = {self.port}\n{lines}")
        give_away(own)
        main = self.data / "postgresql.conf"
        if "companion.conf" not in main.read_text():
            with main.open("a") as file:
                file.write("include 'companion.conf'\n")
        # All statements of all probes, which nobody reads any more; while it runs, probes hold places in it.
        self.log_file.unlink(missing_ok=True)
        self._make_room()
        try:
            self.run("pg_ctl", "start", "-w", "-t", "60", "-D", self.data, "-l", self.data / "start.log")
        except RuntimeError:
            self._give_room_back()
            raise
        self.started_here = True

    @classmethod
    def stop_any(cls) -> None:
        """Stops the one of the cache, whoever started it, and gives the memory of one back that was killed."""
        if (settings.CACHE / "pg" / "PG_VERSION").exists():
            found = cls()
            found.run("pg_ctl", "stop", "-m", "fast", "-w", "-D", found.data, check=False)
            found._give_room_back()

    def stop(self) -> None:
        """Stops it, if it was started here."""
        if self.started_here:
            self.run("pg_ctl", "stop", "-m", "fast", "-w", "-D", self.data)
            self._give_room_back()
            self.started_here = False

    def _make_room(self) -> None:
        """Sets the huge pages aside that it would take; before PostgreSQL 15 it doesn't say how many."""
        said = self.run("postgres", "-D", self.data, "-C", "shared_memory_size_in_huge_pages", check=False).stdout.strip()
        before = machine.huge_pages()
        if said.isdigit() and int(said) > before:
            if not self.huge_pages_before.exists():
                self.huge_pages_before.write_text(str(before))
            machine.set_huge_pages(int(said))

    def _give_room_back(self) -> None:
        """Sets as many aside as there were; whoever made the room may be a process that is gone."""
        if self.huge_pages_before.exists():
            machine.set_huge_pages(int(self.huge_pages_before.read_text()))
            self.huge_pages_before.unlink()

    def run(self, program: str, *arguments, check: bool = True) -> subprocess.CompletedProcess:
        """One of the server's programs, as the user that owns the cluster."""
        command = [str(self.programs / program), *map(str, arguments)]
        # Daemons must not inherit the pipes, or reading them never ends.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(as_owner(command), stdout=output, stderr=subprocess.STDOUT, cwd="/", check=False)
            output.seek(0)
            done.stdout = output.read().decode(errors="replace")
        if check and done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}")
        return done

    def sql(self, sql: str, database: str = "postgres") -> str:
        """What psql answers, unaligned and without headers."""
        return self.psql(["-c", sql], database)

    def json(self, sql: str, database: str):
        """The one JSON value that a statement answers."""
        return json.loads(self.sql(sql, database))

    def psql(self, arguments: list, database: str, stdin: str | None = None) -> str:
        command = [str(self.programs / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url(database)]
        done = subprocess.run(command + [str(one) for one in arguments], capture_output=True, text=True, input=stdin or "", check=False)
        if done.returncode:
            raise RuntimeError(f"psql {' '.join(map(str, arguments))[:300]}:\n{done.stderr}")
        return done.stdout.strip()

    def databases(self) -> set[str]:
        return set(self.sql("SELECT datname FROM pg_database").split())

    def postmaster(self) -> int:
        """The process id of the server."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def setting(self, name: str, value: str | None) -> None:
        """Changes a setting for all sessions at once, or takes it back."""
        change = f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = {value}"
        self.sql(change)
        self.sql("SELECT pg_reload_conf()")

    def version(self) -> str:
        return self.sql("SHOW server_version")

    def configuration(self) -> dict[str, str]:
        """What it says of the settings that differ from the defaults."""
        return {name: self.sql(f"SHOW {name}") for name in CONFIGURATION}


def programs() -> Path:
    """The folder of PostgreSQL's programs, the newest where there are several."""
    found = os.environ.get("BENCH_PG_BIN")
    if found:
        return Path(found)
    folders = [Path(one).parent for pattern in (
        "/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb", "/opt/homebrew/opt/postgresql*/bin/initdb",
    ) for one in glob.glob(pattern)]
    if folders:
        return max(folders, key=lambda path: [int(part) for part in "".join(c if c.isdigit() else " " for c in str(path)).split()])
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    raise SystemExit("PostgreSQL's programs are missing (initdb); set BENCH_PG_BIN to their folder")


def owner() -> str | None:
    """Who runs the cluster where we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise SystemExit("run as somebody else than root, or make a user postgres")


def as_owner(command: list[str]) -> list[str]:
    name = owner()
    if name is None:
        return command
    record = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={record.pw_uid}", f"--regid={record.pw_gid}", "--clear-groups", *command]


def give_away(path: Path) -> None:
    name = owner()
    if name is not None:
        record = pwd.getpwnam(name)
        os.chown(path, record.pw_uid, record.pw_gid)


def data_folder() -> Path:
    """The cluster's folder: in the cache, or where its owner can get at it."""
    folder = settings.CACHE / "pg"
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        reachable = subprocess.run(as_owner(["test", "-x", str(folder.parent)]), check=False).returncode == 0
        if reachable:
            folder.mkdir(mode=0o700)
        else:
            elsewhere = Path(tempfile.mkdtemp(prefix="companion-bench-", dir="/var/tmp"))
            folder.symlink_to(elsewhere)
        give_away(folder.resolve())
    return folder.resolve()
