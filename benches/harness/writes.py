"""What writes: bookings, sign-ins, payment webhooks, and the mix of a day. Companion alone, all on one throw-away copy."""

import datetime
import itertools
import json
import random
import uuid

from . import bodies, compare, dataset, load, settings
from .bodies import Reads, Request, post
from .cluster import Cluster
from .contestants import companion
from .ids import typed
from .probe import Probe
from .servers import Placement, Server
from .settings import log
from .sign import access_token, init_data, stripe_header

OPERATIONS = ("booking_create", "booking_contended", "telegram_sign_in", "webhook")
SCRATCH = "bench_scratch"
# Clients who book; the hundred before them are those whose lists are read.
BOOKERS = 2000
HOURS = range(6, 21, 2)
DAYS = range(2, 32)
# Of a hundred requests of the mix.
MIX_READS = {"nested": 30, "flat": 25, "provider": 20, "mine": 10}
MIX_WRITES = {"booking_create": 8, "telegram_sign_in": 5, "webhook": 2}
# Connections of the contended run: so many people want one time.
RIVALS = 50


class Writes:
    """Requests that each work once, taken from the front of endless rows."""

    def __init__(self, cluster: Cluster, database: str, reads: Reads, orders: int):
        self.cluster, self.database, self.reads = cluster, database, reads
        self.me = companion()
        self.today = datetime.datetime.now(datetime.UTC).date()
        self.tokens = [access_token(*pair) for pair in reads.known.sessions[bodies.REGULARS:bodies.REGULARS + BOOKERS]]
        self.orders = self._prepare(orders)
        facts = cluster.json(
            f"""SELECT json_build_object(
                'makers', (SELECT json_agg(json_build_array(id, service_id) ORDER BY id) FROM (
                    SELECT p.id, (SELECT service_id FROM provider_services s WHERE s.provider_id = p.id ORDER BY s.id LIMIT 1) AS service_id
                    FROM providers p WHERE status = 'APPROVED' ORDER BY id LIMIT {BOOKERS}) m),
                'due', (SELECT coalesce(json_agg(json_build_array(k.gateway_session_id, o.id, o.total_minor, o.currency) ORDER BY k.id), '[]')
                        FROM checkouts k JOIN orders o ON o.id = k.order_id WHERE k.state = 'OPEN'),
                'people', (SELECT json_agg(telegram_id ORDER BY telegram_id) FROM (
                    SELECT telegram_id FROM users WHERE telegram_id IS NOT NULL ORDER BY telegram_id LIMIT 20000) t))""",
            self.name,
        )
        self.makers, self.due, self.people = facts["makers"], facts["due"], facts["people"]
        # So that two rows of requests on one database never share a key or a hash.
        self.nonce = uuid.uuid4().hex[:12]
        self.rows = {"booking_create": self._bookings(), "booking_contended": self._rivals(),
                     "telegram_sign_in": self._sign_ins(), "webhook": self._webhooks()}

    @property
    def name(self) -> str:
        return SCRATCH

    def _prepare(self, orders: int) -> int:
        """The copy; never more orders than there are providers for, and two for each client."""
        size = self.reads.known.size
        orders = max(0, min(orders, 2 * (size // 2 - 2300), size - size // 25 - 2100))
        log(f"copying {self.database} for the writes")
        dataset.copy(self.cluster, self.database, self.name)
        self.cluster.psql(["-v", f"today={self.today}", "-v", f"orders={orders}", "-f", dataset.DATA / "writes.sql"], self.name)
        return orders

    def take(self, operation: str, number: int) -> list[Request]:
        """The next so many requests; fewer where there are no more."""
        return list(itertools.islice(self.rows[operation], number))

    def _times(self):
        for day in DAYS:
            for hour in HOURS:
                yield f"{self.today + datetime.timedelta(days=day)}T{hour:02}:00:00Z"

    def _booking(self, maker: int, client: int, start: str, key: str) -> Request:
        provider, service = self.makers[maker]
        variables = {
            "input": {"providerId": typed("prv", provider), "serviceId": typed("srv", service), "startsAt": start,
                      "note": "Looking forward to it!"},
            "key": f"bench-{self.nonce}-{key}",
        }
        return Request(post(self.me.document("booking_create"), variables), token=self.tokens[client])

    def _bookings(self):
        """At each time each client books a provider of their own. The last day is the rivals'."""
        for start in list(self._times())[:-len(HOURS)]:
            for place in range(min(len(self.makers), len(self.tokens))):
                yield self._booking(place, place, start, f"{start}-{place}")

    def _rivals(self):
        """Groups of clients who all want the same time of the same provider; each may be in many groups."""
        for start in list(self._times())[-len(HOURS):]:
            for maker in range(len(self.makers)):
                for rival in range(RIVALS):
                    # A client who won elsewhere at this time would be refused for that, so groups share nobody.
                    client = (maker * RIVALS + rival) % len(self.tokens)
                    yield self._booking(maker, client, start, f"{start}-{maker}-{rival}")

    def _sign_ins(self):
        for number in itertools.count():
            data = init_data(self.people[number % len(self.people)], f"{self.nonce}{number}")
            yield Request(post(self.me.document("telegram_sign_in"), {"initData": data}))

    def _webhooks(self):
        """Each order is paid; every tenth event comes twice, as Stripe's do."""
        at = int(datetime.datetime.now().timestamp())
        for number, (session, order, total, currency) in enumerate(self.due):
            public = typed("ord", order)
            event = {
                "id": f"evt_{self.nonce}{number}", "object": "event", "api_version": "2026-09-30.endive", "created": at,
                "data": {"object": {
                    "id": session, "object": "checkout.session", "amount_subtotal": total, "amount_total": total,
                    "cancel_url": "http://127.0.0.1/no", "client_reference_id": public, "created": at, "currency": currency.lower(),
                    "customer": None, "customer_email": None, "expires_at": at + 3600, "livemode": False,
                    "metadata": {"order_id": public}, "mode": "payment", "payment_intent": f"pi_{self.nonce}{number}",
                    "payment_method_types": ["card"], "payment_status": "paid", "status": "complete",
                    "success_url": "http://127.0.0.1/ok", "ui_mode": "hosted_page", "url": None,
                }},
                "livemode": False, "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None},
                "type": "checkout.session.completed",
            }
            body = json.dumps(event, separators=(",", ":")).encode()
            request = Request(body, path="/v1/payments/webhook", headers=(("Stripe-Signature", stripe_header(body)),))
            yield request
            if number % 10 == 9:
                yield request

    def mixed(self, number: int) -> tuple[list[Request], list[Request]]:
        """Reads to go round in, and so many writes, each in its share."""
        order = random.Random("mixed")
        rows = {operation: iter(itertools.cycle(self.reads.requests(self.me, operation))) for operation in MIX_READS}
        reads = [next(rows[one]) for one in order.choices(list(MIX_READS), list(MIX_READS.values()), k=4000)]
        writes = {operation: self.take(operation, -(-number * share // sum(MIX_WRITES.values())))
                  for operation, share in MIX_WRITES.items()}
        mixed = []
        names = order.choices(list(MIX_WRITES), list(MIX_WRITES.values()), k=number)
        left = {operation: iter(requests) for operation, requests in writes.items()}
        for name in names:
            request = next(left[name], None)
            if request is None:
                # Out of orders or of people: somebody books instead.
                request = next(self.rows["booking_create"])
            mixed.append(request)
        return reads, mixed

    def counts(self) -> dict[str, int]:
        """What is in the tables that the operations write to."""
        return self.cluster.json(
            """SELECT json_build_object('booking_create', (SELECT count(*) FROM bookings), 'booking_contended', (SELECT count(*) FROM bookings),
                   'telegram_sign_in', (SELECT count(*) FROM sessions), 'webhook', (SELECT count(*) FROM payment_events),
                   'paid', (SELECT count(*) FROM orders WHERE state = 'PAID'))""", self.name)


def measure(cluster: Cluster, database: str, reads: Reads, rounds: int, seconds: float, modes: list[tuple[bool, int]]) -> dict:
    """operation → figures, as the reads have them."""
    # Enough for the fastest that any of them can be.
    most = int(seconds * 6000)
    writes = Writes(cluster, database, reads, orders=64000)
    # There are only so many orders to pay, some of them in the mix, and what is taken and not sent is gone.
    webhooks = int(writes.orders * 0.75 / (len(modes) * rounds))
    found: dict[str, dict] = {operation: {} for operation in (*OPERATIONS, "mixed")}
    with Probe(cluster, writes.name, writes.me) as probe:
        for operation in ("booking_create", "telegram_sign_in", "webhook"):
            requests = writes.take(operation, 30)
            for request in requests[:20]:
                probe.send(request)
            recorded = probe.record(requests[20:])
            found[operation]["statements"] = round(sum(one.statements for one in recorded) / len(recorded), 2)
            found[operation]["waves"] = sum(len(one.waves) for one in recorded) / len(recorded)
    for pinned, group in itertools.groupby(modes, lambda mode: mode[0] and settings.can_pin()):
        # A server counts its cores when it starts.
        with Server(writes.me, cluster.url(writes.name), settings.FIRST_PORT, pinned) as server:
            placement = Placement(pinned)
            placement.place(cluster.postmaster(), [server])
            some = [connections for _, connections in group]
            for operation in OPERATIONS:
                for connections in [RIVALS] if operation == "booking_contended" else some:
                    runs, problem = [], None
                    for turn in range(rounds + 1):
                        number = (webhooks if operation == "webhook" else most) if turn else 200
                        path = bodies.write(operation, writes.take(operation, number), server.port)
                        before = writes.counts()[operation]
                        run = load.measure(cluster, server, path, connections, seconds if turn else 1, placement, once=True)
                        problem = problem or wrong(operation, writes.counts()[operation] - before, run, connections) if turn else None
                        # The first is the warm-up.
                        runs += [run] if turn else []
                    keep(found[operation], pinned, connections, runs, operation, problem)
            for connections in some:
                runs = []
                for turn in range(rounds + 1):
                    reading, writing = writes.mixed(int(most * 0.15) if turn else 200)
                    read_file, write_file = bodies.write("mixed-reads", reading, server.port), bodies.write("mixed-writes", writing, server.port)
                    run = load.measure(cluster, server, read_file, connections, seconds if turn else 1, placement, mixed=write_file)
                    runs += [run] if turn else []
                keep(found["mixed"], pinned, connections, runs, "mixed")
    dataset.drop(cluster, writes.name)
    return found


def keep(found: dict, pinned: bool, connections: int, runs: list[load.Run], what: str, problem: str | None = None) -> None:
    """Puts the figures of one mode into the operation's."""
    mode = f"{'pinned' if pinned else 'unpinned'}/{connections}"
    found[mode] = compare.summary(runs)
    if problem:
        found[mode]["suspect"] = problem
    log(f"{what} {mode}: {found[mode]['rps']['median']:.0f} req/s{', ' + problem if problem else ''}")


def wrong(operation: str, grown: int, run: load.Run, connections: int) -> str | None:
    """Whether as much was written as was answered; requests on their way at the end may have been done or not."""
    expected = run.requests
    if operation == "booking_contended":
        expected = run.requests / RIVALS
    elif operation == "webhook":
        expected = run.requests * 10 / 11
    if not expected - connections - expected * 0.01 <= grown <= expected + 2 * connections + expected * 0.01:
        return f"{run.requests} answers, but {grown} rows"
    return None
