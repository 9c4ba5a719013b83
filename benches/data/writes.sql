-- What the write operations need, in a throw-away copy of a data set: psql -v today=2026-11-21 -v orders=40000 -f writes.sql
--
-- The first 2000 providers get bookable windows for 30 days; as many orders as asked for wait for their payment.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;

CREATE TEMPORARY TABLE maker AS
    SELECT row_number() OVER (ORDER BY id) AS no, id FROM providers WHERE status = 'APPROVED';
CREATE TEMPORARY TABLE client AS
    SELECT row_number() OVER (ORDER BY id) AS no, id FROM users u
    WHERE telegram_id IS NOT NULL AND NOT EXISTS (SELECT FROM providers p WHERE p.user_id = u.id);
CREATE UNIQUE INDEX ON maker (no);
CREATE UNIQUE INDEX ON client (no);
ANALYZE maker;
ANALYZE client;
-- The first 2200 book.
SELECT count(*) - 2200 AS clients FROM client \gset

INSERT INTO availabilities (id, provider_id, starts_at, ends_at, created_at)
SELECT md5('window' || maker.no || '/' || day)::uuid, maker.id,
       (:'today'::date + day + time '06:00') AT TIME ZONE 'UTC', (:'today'::date + day + time '22:00') AT TIME ZONE 'UTC', :'today'
FROM maker, generate_series(2, 31) day
WHERE maker.no <= 2000
ORDER BY maker.no, day;

CREATE TEMPORARY TABLE due AS
    SELECT i, m.id AS provider_id, c.id AS client_id, ps.service_id, ps.price_minor, ps.currency, ps.duration_minutes,
           p.cancellation_policy,
           (:'today'::date + 5 + time '10:00' + (i - 1) / :clients * interval '4 hours') AT TIME ZONE 'UTC' AS starts_at,
           :'today'::date::timestamp AT TIME ZONE 'UTC' AS made_at
    FROM generate_series(1, :orders) i
    JOIN maker m ON m.no = 2000 + i
    -- There are half as many clients as providers: whoever has a second one has it in the afternoon.
    JOIN client c ON c.no = 2201 + (i - 1) % :clients
    JOIN providers p ON p.id = m.id
    CROSS JOIN LATERAL (SELECT * FROM provider_services s WHERE s.provider_id = m.id ORDER BY s.id LIMIT 1) ps;
ANALYZE due;

INSERT INTO bookings (id, client_id, provider_id, service_id, state, version, starts_at, ends_at, note, price_minor, currency,
                      duration_minutes, cancellation_policy, boundary_version, buffer_before_minutes, buffer_after_minutes,
                      answer_deadline, payment_deadline, created_at, updated_at)
SELECT md5('due' || i)::uuid, client_id, provider_id, service_id, 'ACCEPTED', 2, starts_at, starts_at + make_interval(mins => duration_minutes),
       '', price_minor, currency, duration_minutes, cancellation_policy, (SELECT max(version) FROM boundary_policies), 0, 0,
       made_at + interval '4 days', made_at + interval '4 days', made_at, made_at
FROM due ORDER BY i;
INSERT INTO held_times (id, booking_id, provider_id, client_id, during, exact)
SELECT md5('held' || i)::uuid, md5('due' || i)::uuid, provider_id, client_id,
       tstzrange(starts_at, starts_at + make_interval(mins => duration_minutes)),
       tstzrange(starts_at, starts_at + make_interval(mins => duration_minutes))
FROM due ORDER BY i;
INSERT INTO orders (id, booking_id, client_id, state, currency, total_minor, version, created_at, updated_at)
SELECT md5('order' || i)::uuid, md5('due' || i)::uuid, client_id, 'PENDING', currency, price_minor, 1, made_at, made_at
FROM due ORDER BY i;
INSERT INTO order_lines (id, order_id, position, title, amount_minor)
SELECT md5('line' || i)::uuid, md5('order' || i)::uuid, 0, 'A booking', price_minor FROM due ORDER BY i;
INSERT INTO checkouts (id, order_id, state, gateway_session_id, url, success_url, cancel_url, expires_at, created_at, updated_at)
SELECT md5('checkout' || i)::uuid, md5('order' || i)::uuid, 'OPEN', 'cs_test_bench' || i, 'https://checkout.stripe.com/c/pay/' || i,
       'http://127.0.0.1/ok', 'http://127.0.0.1/no', made_at + interval '4 days', made_at, made_at + interval '3 days'
FROM due ORDER BY i;
COMMIT;
VACUUM (ANALYZE) availabilities, bookings, held_times, orders, order_lines, checkouts;
