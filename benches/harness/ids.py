"""Companion's typed ids (TypeID): a prefix, an underscore, and a UUID in Crockford's base 32."""

import re
import uuid

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TYPED = re.compile(r"^[a-z]{3}_([0-7][0-9a-hjkmnp-tv-z]{25})$")
PLAIN = re.compile(r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")


def typed(prefix: str, value: str | uuid.UUID) -> str:
    """`prefix_` and the UUID in 26 characters."""
    number = uuid.UUID(str(value)).int
    digits = [ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def hex_of(text: str) -> str | None:
    """The UUID of a typed id or of a UUID's text, as 32 hex digits; nothing for other text."""
    if PLAIN.match(text):
        return text.replace("-", "").lower()
    match = TYPED.match(text)
    if not match:
        return None
    number = 0
    for digit in match.group(1):
        number = number << 5 | ALPHABET.index(digit)
    return f"{number:032x}"
