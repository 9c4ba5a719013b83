"""What people and gateways sign: access tokens, Telegram's init data, Stripe's webhooks."""

import base64
import hashlib
import hmac
import json
import time
import urllib.parse

from . import settings
from .ids import typed


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def access_token(session: str, user: str, lifetime: int = 86400) -> str:
    """A token of Companion's for a session that is in the database."""
    now = int(time.time())
    claims = {
        "exp": now + lifetime, "iat": now, "iss": "companion", "aud": "companion",
        "sub": typed("usr", user), "sid": typed("ses", session), "typ": "access",
    }
    message = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode())
                       for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    mac = hmac.new(settings.JWT_SECRET.encode(), message.encode(), hashlib.sha256).digest()
    return f"{message}.{_base64url(mac)}"


def init_data(telegram_id: int, query: str) -> str:
    """What a Mini App gets at its start; another `query` makes another hash."""
    fields = {
        "auth_date": str(int(time.time())),
        "query_id": query,
        "user": json.dumps({"id": telegram_id, "first_name": "Mia", "language_code": "en"}, separators=(",", ":")),
    }
    lines = "\n".join(f"{name}={value}" for name, value in sorted(fields.items()))
    key = hmac.new(b"WebAppData", settings.BOT_TOKEN.encode(), hashlib.sha256).digest()
    mac = hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()
    return urllib.parse.urlencode({**fields, "hash": mac})


def stripe_header(body: bytes, ahead: int = 3600) -> str:
    """A `Stripe-Signature`; made ahead of the time, because bodies are built before the run."""
    at = int(time.time()) + ahead
    mac = hmac.new(settings.WEBHOOK_SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"
