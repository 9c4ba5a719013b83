"""Requests, built before a run: a file of raw HTTP requests that wrk.lua sends one after the other."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

from . import settings
from .contestants import Contestant
from .dataset import Known
from .ids import typed
from .sign import access_token

# Bodies a file, at least; a run cycles over them.
NUMBER = 1000
# Clients with 30 bookings and more.
REGULARS = 100


@dataclass
class Request:
    """One request; `variables` has plain UUIDs, whatever goes over the wire."""

    body: bytes
    path: str = "/graphql"
    token: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    variables: dict | None = None

    def raw(self, port: int) -> bytes:
        lines = [f"POST {self.path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json", "Accept: application/json"]
        lines += [f"{name}: {value}" for name, value in self.all_headers().items()]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode() + self.body

    def all_headers(self) -> dict[str, str]:
        found = dict(self.headers)
        if self.token:
            found["Authorization"] = f"Bearer {self.token}"
        return found


def post(document: str, variables: dict | None = None) -> bytes:
    body = {"query": document} if not variables else {"query": document, "variables": variables}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


class Reads:
    """The read operations' requests over one data set."""

    def __init__(self, known: Known):
        self.known = known
        self.tokens = [access_token(*pair) for pair in known.sessions[:REGULARS]]

    def choices(self, operation: str) -> list[dict]:
        """All values of the variables that are asked for; `golden` compares each."""
        if operation in ("flat", "nested"):
            return [{"city": city} for city in self.known.cities]
        if operation == "provider":
            return [{"id": provider} for provider in self.known.providers]
        if operation == "mine":
            return [{"user": place} for place in range(len(self.tokens))]
        return [{}]

    def request(self, contestant: Contestant, operation: str, choice: dict) -> Request:
        document = contestant.document(operation)
        variables, token = dict(choice), None
        if operation == "mine":
            token = self.tokens[variables.pop("user")]
        elif contestant.typed_ids:
            prefixes = {"city": "cty", "id": "prv"}
            variables = {name: typed(prefixes[name], value) for name, value in variables.items()}
        return Request(post(document, variables), token=token, variables=choice)

    def requests(self, contestant: Contestant, operation: str, number: int = NUMBER) -> list[Request]:
        """The same choices in the same order for everybody."""
        order = random.Random(f"{operation}").choices(self.choices(operation), k=number)
        kept: dict[str, Request] = {}
        found = []
        for choice in order:
            key = json.dumps(choice)
            if key not in kept:
                kept[key] = self.request(contestant, operation, choice)
            found.append(kept[key])
        return found


def write(name: str, requests: list[Request], port: int) -> Path:
    """The file that wrk.lua reads: each request with its length on a line before."""
    folder = settings.CACHE / "bodies"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with path.open("wb") as file:
        for request in requests:
            raw = request.raw(port)
            file.write(b"%d\n" % len(raw))
            file.write(raw)
    return path
