"""The golden bodies: what PostgreSQL itself answers, by SQL of its own that no contestant runs."""

import json
from concurrent.futures import ThreadPoolExecutor

from . import settings
from .bodies import Reads
from .cluster import Cluster
from .equality import difference, normal, read
from .servers import Server

GOLDEN = settings.BENCHES / "operations" / "golden"
# Choices compared for each contestant and operation.
COMPARED = 100


class Golden:
    """Golden bodies of one data set, by operation and variables."""

    def __init__(self, cluster: Cluster, database: str, reads: Reads):
        self.cluster, self.database, self.reads = cluster, database, reads
        self.kept: dict[str, list] = {}

    def bodies(self, operation: str) -> list[tuple[dict, object]]:
        """The first choices with what must be answered."""
        if operation not in self.kept:
            choices = self.reads.choices(operation)[:COMPARED]
            if operation == "ping":
                self.kept[operation] = [(choices[0], {})]
                return self.kept[operation]
            # One psql for all: it takes longer to start than the statements do.
            sql = (GOLDEN / f"{operation}.sql").read_text()
            script = []
            for choice in choices:
                values = dict(choice)
                if "user" in values:
                    values["user"] = self.reads.known.sessions[values["user"]][1]
                script += [f"\\set {name} '{value}'" for name, value in values.items()] + [sql + ";"]
            lines = self.cluster.psql(["-f", "-"], self.database, stdin="\n".join(script)).splitlines()
            # json_build_object spreads over several lines where json_agg does; each answer is one document.
            self.kept[operation] = list(zip(choices, documents("\n".join(lines)), strict=True))
        return self.kept[operation]

    def check(self, server: Server, operation: str) -> tuple[str | None, float, float]:
        """Where the server's answers differ first, if they do; the mean length of their bodies in bytes, and with their heads."""
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda pair: self._check_one(server, operation, *pair), self.bodies(operation)))
        problem = next((problem for problem, *_ in answers if problem), None)
        return problem, sum(length for _, length, _ in answers) / len(answers), sum(whole for *_, whole in answers) / len(answers)

    def _check_one(self, server: Server, operation: str, choice: dict, expected) -> tuple[str | None, int, int]:
        request = self.reads.request(server.contestant, operation, choice)
        status, body, whole = server.post_and_measure(request.body, request.path, request.all_headers())
        if status != 200:
            return f"status {status}: {body[:300].decode(errors='replace')}", 0, 0
        try:
            found = difference(expected, read(body))
        except ValueError as error:
            return f"{choice}: {error}", 0, 0
        return found and f"{choice}: {found}", len(body), whole


def documents(text: str) -> list:
    """JSON documents one after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        while at < len(text) and text[at].isspace():
            at += 1
        if at >= len(text):
            break
        value, at = decoder.raw_decode(text, at)
        found.append(normal(value))
    return found
