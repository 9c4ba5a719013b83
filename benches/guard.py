#!/usr/bin/env python3
"""The guard: instructions that the server executes for a request, compared with those in guard.json.

    benches/guard.py target/release/companion             compares; status 1 when one takes over 1 % more
    benches/guard.py target/release/companion --update    writes guard.json

GUARD.md says how it counts and how exact that is. Linux, Python 3.9 or newer, valgrind, and PostgreSQL's programs.
"""

import argparse
import glob
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE / "guard.json"
CACHE = HERE / ".cache" / "guard"
# What a request may take more, or has to take less to be worth a new file, in percent.
TOLERANCE = 1.0
# Starting under valgrind takes its time, and the first start makes a database.
PATIENCE = 300

NESTED = """query Nested($city: ID!) {
  providers(filter: {cityId: $city}, sort: RATING, first: 20) { nodes { id displayName rating
    user { displayName }
    services { price { amountMinor currency } service { title } }
    reviews(first: 3) { nodes { rating comment author { displayName } } } } }
}"""
PROVIDER = """query Provider($id: ID!) {
  provider(id: $id) { id displayName headline bio rating ratingCount timeZone cancellationPolicy }
}"""
BOOKING = """mutation Book($input: BookingCreateInput!, $key: String!) {
  bookingCreate(input: $input, idempotencyKey: $key) {
    booking { id state startsAt endsAt answerDeadline price { amountMinor currency } } userErrors { code message field }
  }
}"""

# The demo people move to two cities, so that a page of 20 is full and its variables vary, and one of them gets a year
# of bookable time, so that no two bookings meet. A year that never comes: nothing here depends on the day.
PREPARE = """
UPDATE providers SET city_id = (SELECT id FROM cities ORDER BY name OFFSET moved.place % 2 LIMIT 1)
FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM providers WHERE status = 'APPROVED') AS moved
WHERE providers.id = moved.id;
INSERT INTO availabilities (id, provider_id, starts_at, ends_at, created_at)
SELECT gen_random_uuid(), id, '2090-01-01T00:00:00Z', '2091-01-01T00:00:00Z', created_at
FROM providers WHERE status = 'APPROVED' ORDER BY id LIMIT 1;
VACUUM ANALYZE;
"""


class Failure(Exception):
    """What ends the run, with a sentence about it."""


class Server:
    """The server under callgrind, with a PostgreSQL of its own."""

    def __init__(self, binary, folder):
        self.log = folder / "log"
        self.out = folder / "callgrind"
        settings = {
            "PORT": "0",
            "DATA_DIR": str(folder / "data"),
            "LOG_FORMAT": "json",
            # What runs by itself would be counted with the requests.
            "RUN_WORKER": "false",
            "TOKIO_WORKER_THREADS": "1",
            "ACCESS_TOKEN_TTL": "86400",
            "GRAPHQL_POINTS_PER_MINUTE_USER": "0",
            "GRAPHQL_POINTS_PER_MINUTE_ADDRESS": "0",
            # Instructions take fifty times as long here.
            "POOL_WAIT_MS": "60000",
            "REQUEST_TIMEOUT_MS": "60000",
            "STATEMENT_TIMEOUT_MS": "60000",
            "BODY_TIMEOUT_MS": "60000",
        }
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={self.out}"]
        self.output = folder / "output"
        with open(self.log, "wb") as log, open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [*command, str(binary), "serve"],
                cwd=folder,
                env=inherited | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            )
        self.parts = 0

    def wait(self):
        """The port, when the server listens."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = re.search(rb'"listening","address":"127\.0\.0\.1:(\d+)"', self.log.read_bytes())
            if found:
                return int(found[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        raise Failure("the server does not start:\n" + self.log.read_text(errors="replace")[-3000:])

    def step_back(self):
        """Lets PostgreSQL go first where both could run, so that its answers are there when the server looks.

        A request that finds them one by one is polled more often, which adds to its instructions."""
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(thread), 5)

    def printed(self, pattern):
        """What the server printed at its start."""
        found = re.search(pattern, self.output.read_text(), re.MULTILINE)
        if not found:
            raise Failure(f"the server did not print {pattern!r}")
        return found[1]

    def control(self, *command):
        """Has valgrind do something in the running server."""
        done = subprocess.run(
            ["vgdb", f"--pid={self.process.pid}", " ".join(command)], capture_output=True, text=True, timeout=PATIENCE
        )
        if done.returncode:
            raise Failure(f"vgdb {' '.join(command)}: {done.stderr.strip()}")

    def counted(self):
        """The instructions since the last call, or since counting began."""
        self.control("dump")
        self.parts += 1
        part = Path(f"{self.out}.{self.parts}")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = re.search(rb"^totals: (\d+)", part.read_bytes(), re.MULTILINE) if part.exists() else None
            if found:
                return int(found[1])
            time.sleep(0.05)
        raise Failure(f"callgrind did not write {part}")

    def keep_part(self, name):
        """Keeps what was counted last, for callgrind_annotate."""
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(f"{self.out}.{self.parts}", CACHE / f"{name}.callgrind")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Client:
    """One connection that is kept, for one request after the other."""

    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def bytes_of(self, query, variables=None, token=None):
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        head = f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def send(self, request):
        """The body of the answer."""
        self.socket.sendall(request)
        while b"\r\n\r\n" not in self.rest:
            self.receive()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        length = int(re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)[1])
        while len(self.rest) < length:
            self.receive()
        body, self.rest = self.rest[:length], self.rest[length:]
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Failure(f"the server answers {head!r} {body[:1000]!r}")
        return body

    def receive(self):
        received = self.socket.recv(1 << 20)
        if not received:
            raise Failure("the server closed the connection")
        self.rest += received

    def ask(self, query, variables=None, token=None):
        answer = json.loads(self.send(self.bytes_of(query, variables, token)))
        if answer.get("errors"):
            raise Failure(f"the server answers {answer}")
        return answer["data"]


def psql():
    places = ["/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"]
    found = shutil.which("psql") or next((path for place in places for path in glob.glob(f"{place}/psql")), None)
    if not found:
        raise Failure("psql, one of PostgreSQL's programs, is missing")
    return found


def operations(server, client):
    """Name, requests of a window, how to make a window's requests, and how to tell an answer from a refusal."""
    database = server.printed(r"^Database +(\S+)$")
    token = server.printed(r"^client .*\n(\S+)$")
    run = [psql(), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", database]
    done = subprocess.run(run, input=PREPARE, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"psql: {done.stderr}")

    cities = [city["id"] for city in client.ask("{ cities { id name } }")["cities"]][:2]
    pages = [client.ask(NESTED, {"city": city})["providers"]["nodes"] for city in cities]
    if any(len(page) != 20 for page in pages):
        raise Failure("the demo data no longer fill two pages of 20 providers")
    nested = [client.bytes_of(NESTED, {"city": city}) for city in cities]
    providers = [client.bytes_of(PROVIDER, {"id": node["id"]}) for node in pages[0]]

    nodes = client.ask("{ providers(sort: NEWEST, first: 100) { nodes { id services { durationMinutes service { id } } } } }")
    # The least id is the one with the year of time.
    booked = min(nodes["providers"]["nodes"], key=lambda node: node["id"])
    price = booked["services"][0]
    policy = client.ask("{ boundaryPolicy { version } }")["boundaryPolicy"]["version"]
    client.ask(
        "mutation Acknowledge($version: Int!) { boundaryAcknowledge(version: $version) { userErrors { code } } }",
        {"version": policy},
        token,
    )
    made = 0

    def bookings(count):
        nonlocal made
        requests = []
        for _ in range(count):
            minutes = made * price["durationMinutes"]
            starts_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(3786912000 + minutes * 60))
            booking = {
                "providerId": booked["id"],
                "serviceId": price["service"]["id"],
                "startsAt": starts_at,
                "note": "It is my first time.",
            }
            requests.append(client.bytes_of(BOOKING, {"input": booking, "key": f"guard-{made:06}"}, token))
            made += 1
        return requests

    def again(requests):
        return lambda count: [requests[at % len(requests)] for at in range(count)]

    return {
        "ping": (200, again([client.bytes_of("{ __typename }")]), b'{"data":{"__typename":'),
        "provider": (100, again(providers), b'{"data":{"provider":{"id":'),
        "nested": (40, again(nested), b'{"data":{"providers":{"nodes":[{"id":'),
        "bookingCreate": (40, bookings, b'{"data":{"bookingCreate":{"booking":{"id":'),
    }


def window(server, client, requests, expected):
    """Instructions and seconds of these requests."""
    server.counted()
    begun = time.monotonic()
    for request in requests:
        answer = client.send(request)
        if not answer.startswith(expected):
            raise Failure(f"the server answers {answer[:1000]!r}")
    took = time.monotonic() - begun
    return server.counted(), took


def typical(counts):
    """The lower quartile: what disturbs a window only ever adds to it."""
    return sorted(counts)[len(counts) // 4]


def measure(binary, windows, only):
    """Instructions of a request for each operation."""
    measured = {}
    # On one core the server's and PostgreSQL's turns follow one another much alike each time.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="companion-guard-") as folder:
        # PostgreSQL runs as another user where this runs as root.
        os.chmod(folder, 0o755)
        server = Server(binary, Path(folder))
        try:
            client = Client(server.wait())
            todo = operations(server, client)
            server.step_back()
            server.control("instrumentation", "on")
            # What runs by itself, a heartbeat above all, is measured alone and taken off by the second.
            server.counted()
            begun = time.monotonic()
            time.sleep(6)
            idle = server.counted() / (time.monotonic() - begun)
            print(f"idle: {idle:,.0f} instructions a second", file=sys.stderr)
            for name, (count, make, expected) in todo.items():
                if only and name not in only:
                    continue
                window(server, client, make(count), expected)
                measured[name] = []
                for _ in range(windows):
                    counted, took = window(server, client, make(count), expected)
                    measured[name].append((counted - idle * took) / count)
                server.keep_part(name)
                least = typical(measured[name])
                each = " ".join(f"{100 * (counted - least) / least:+.3f}" for counted in sorted(measured[name]))
                print(f"{name}: {least:,.0f} instructions; windows differ by {each} %", file=sys.stderr)
        finally:
            server.stop()
    return {name: round(typical(counts)) for name, counts in measured.items()}


def made_with(binary):
    """What the counts depend on beside the source."""
    compiler = re.search(rb"rustc version [ -~]+", binary.read_bytes())
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True)
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = []
    return {
        "rustc": compiler[0].decode().removeprefix("rustc version ") if compiler else "unknown",
        "valgrind": valgrind.stdout.strip().removeprefix("valgrind-"),
        "libc": " ".join(platform.libc_ver()),
        # The C library and hashes choose their code by it.
        "cpu": f"{platform.machine()} {'with' if 'avx2' in flags else 'without'} AVX2",
    }


def compare(kept, found):
    """Prints a line for each operation; whether none takes too much more."""
    differs = [f"{name} {kept['madeWith'].get(name)}, here {now}" for name, now in found["madeWith"].items()
               if kept["madeWith"].get(name) != now]
    if differs:
        print("Another tool chain than the file's; the counts differ by it, too: " + "; ".join(differs))
    good, better = True, []
    for name in kept["instructions"] | found["instructions"]:
        was, now = kept["instructions"].get(name), found["instructions"].get(name)
        if was is None or now is None:
            print(f"FAIL {name}: {'not in guard.json' if was is None else 'not measured any more'}")
            good = False
            continue
        change = 100 * (now - was) / was
        verdict = "ok  "
        if change > TOLERANCE:
            verdict, good = "FAIL", False
        elif change < -TOLERANCE:
            verdict = "less"
            better.append(name)
        print(f"{verdict} {name}: {now:,} instructions a request, {change:+.2f} % ({was:,} kept)")
    if not good:
        print("Over +1 %. Find out why: callgrind_annotate benches/.cache/guard/<operation>.callgrind, here and before "
              "the change. If it is worth it: make bench-guard UPDATE=1, with the reason in the commit.")
        if differs:
            print("First count the commit before with this tool chain: it may be that alone.")
    elif better:
        print(f"{' and '.join(better)} got better by over 1 %: make bench-guard UPDATE=1 keeps it so.")
    return good


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("binary", type=Path, help="the release binary")
    arguments.add_argument("--update", action="store_true", help="write guard.json")
    arguments.add_argument("--only", nargs="*", help="measure these operations and compare nothing")
    arguments.add_argument("--windows", type=int, default=9, help="how often each is measured; the lower quartile counts")
    arguments = arguments.parse_args()
    for program in ("valgrind", "vgdb"):
        if not shutil.which(program):
            raise Failure(f"{program} is missing: install valgrind")
    if not arguments.binary.is_file():
        raise Failure(f"{arguments.binary} is missing: cargo build --release")
    binary = arguments.binary.resolve()
    found = {"madeWith": made_with(binary), "instructions": measure(binary, arguments.windows, arguments.only)}
    if arguments.only:
        return 0
    if arguments.update:
        KEPT.write_text(json.dumps(found, indent=2) + "\n")
        print(f"{KEPT} is written: {found['instructions']}")
        return 0
    if not KEPT.exists():
        raise Failure("guard.json is missing: make bench-guard UPDATE=1")
    return 0 if compare(json.loads(KEPT.read_text()), found) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"bench-guard: {failure}")
