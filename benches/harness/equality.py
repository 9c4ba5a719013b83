"""Whether everybody answers the same: JSON compared after what may differ is made alike."""

import json
import re
from datetime import datetime

from .ids import hex_of

INSTANT = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


def normal(value, key: str = ""):
    """Ids as UUIDs, times as instants, numbers by value; without cursors, which are everybody's own."""
    if isinstance(value, dict):
        return {name: normal(inner, name) for name, inner in value.items() if name not in ("endCursor", "__typename")}
    if isinstance(value, list):
        return [normal(inner, key) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return round(float(value), 9)
    if key == "id":
        return hex_of(value) or value
    if key in ("rating", "amountMinor") and re.fullmatch(r"-?\d+(\.\d+)?", value):
        # Some write 64-bit and exact numbers as text, which is theirs to choose.
        return round(float(value), 9)
    if INSTANT.match(value) and key.endswith("At"):
        moment = datetime.fromisoformat(value.replace(" ", "T").replace("Z", "+00:00"))
        return moment.timestamp()
    return value


def read(body: bytes, shape=None):
    """The `data` of an answer, alike for everybody; an error where there is none."""
    answer = json.loads(body)
    if answer.get("errors") or not isinstance(answer.get("data"), dict):
        raise ValueError(body[:600].decode(errors="replace"))
    data = answer["data"]
    return normal(shape(data) if shape else data)


def difference(expected, actual, path: str = "data") -> str | None:
    """Where two answers differ first; nothing where they don't."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        if expected.keys() != actual.keys():
            return f"{path} has {sorted(actual)} instead of {sorted(expected)}"
        pairs = [(f"{path}.{key}", expected[key], actual[key]) for key in expected]
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return f"{path} has {len(actual)} items instead of {len(expected)}"
        pairs = [(f"{path}[{place}]", *pair) for place, pair in enumerate(zip(expected, actual))]
    else:
        return None if expected == actual else f"{path} is {actual!r} instead of {expected!r}"
    for inner, left, right in pairs:
        found = difference(left, right, inner)
        if found:
            return found
    return None
