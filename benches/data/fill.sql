-- Fills a freshly migrated database with n providers, n bookings and n reviews: psql -v n=100000 -f fill.sql
--
-- Everything follows from a row's number, so that two fills of one n are the same to the byte. Triggers and foreign
-- keys don't run row by row here; verify.sql checks afterwards what they would have kept.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET session_replication_role = replica;
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SET work_mem = '64MB';
BEGIN;

-- The functions are STABLE, as what they call is: PostgreSQL then puts their bodies in their place, which is several times
-- faster. Rows lie in the order of their times, as a server would have written them.

-- A row of the past for each number, 25 s apart: a million of them are 290 days.
CREATE FUNCTION pg_temp.at(n bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT timestamptz '2025-01-01 00:00:00Z' + n * interval '25 seconds'
$$;

-- UUIDs of version 7, as the server makes them: the time first, so that keys grow.
CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT (lpad(to_hex(1735689600000 + n * 25000), 12, '0') || '7' || substr(md5(kind || n), 1, 3)
        || '8' || substr(md5(kind || n), 4, 15))::uuid
$$;

-- Scatters: the same number for the same n and k, without a pattern in n.
CREATE FUNCTION pg_temp.h(n bigint, k bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT ((n * 2654435761 + k * 40503 + 12345) % 4294967291) / 1009
$$;

CREATE FUNCTION pg_temp.pick(n bigint, choices text[]) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT choices[1 + n % array_length(choices, 1)]
$$;

-- Indexes that back no constraint are built at the end, which is faster and leaves them as a new server would.
CREATE TEMPORARY TABLE later AS
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
    FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace s ON s.oid = t.relnamespace
    WHERE s.nspname = 'public'
      AND t.relname IN ('users', 'user_roles', 'providers', 'provider_services', 'bookings', 'booking_events', 'reviews',
                        'orders', 'order_lines', 'boundary_acknowledgements', 'sessions', 'audit_events', 'availabilities')
      AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid);
SELECT format('DROP INDEX %s', name) FROM later \gexec

-- 100 cities: those of the migrations, and made-up towns.
INSERT INTO cities (id, slug, name, country_code, time_zone)
SELECT pg_temp.id('city', k), 'town-' || lpad(k::text, 3, '0'),
       pg_temp.pick(k, ARRAY['North','South','East','West','Upper','Lower','New','Old']) || ' '
           || pg_temp.pick(k / 8, ARRAY['Haven','Bridge','Field','Ford','Mill','Harbour','Wood','Hill','Brook','Stone','Castle']),
       pg_temp.pick(k, ARRAY['DE','FR','GB','ES','PL','PT','NL','US']),
       pg_temp.pick(k, ARRAY['Europe/Berlin','Europe/Paris','Europe/London','Europe/Madrid','Europe/Warsaw',
                             'Europe/Lisbon','Europe/Amsterdam','America/New_York'])
FROM generate_series(1, 100 - (SELECT count(*) FROM cities)) k;

CREATE TEMPORARY TABLE city AS
    SELECT row_number() OVER (ORDER BY slug) - 1 AS no, id, name, time_zone,
           (ARRAY['EUR','USD','GBP','EUR'])[1 + (row_number() OVER (ORDER BY slug)) % 4] AS currency
    FROM cities;
CREATE UNIQUE INDEX ON city (no);

-- 20 services in 5 categories.
INSERT INTO services (id, category_id, title, description, status, version, created_at, updated_at)
SELECT pg_temp.id('service', s.no), c.id, s.title, s.title || ', by somebody who likes to do it and does it well.', 'ACTIVE', 1,
       pg_temp.at(s.no), pg_temp.at(s.no)
FROM (VALUES
    (0, 'city-companion', 'City walk'), (1, 'city-companion', 'Museum visit'), (2, 'city-companion', 'Market morning'),
    (3, 'city-companion', 'Photo walk'), (4, 'event-companion', 'Concert companion'), (5, 'event-companion', 'Dinner company'),
    (6, 'event-companion', 'Wedding guest'), (7, 'event-companion', 'Theatre evening'), (8, 'travel-companion', 'Day trip'),
    (9, 'travel-companion', 'Weekend away'), (10, 'travel-companion', 'Airport pick-up'), (11, 'travel-companion', 'Train company'),
    (12, 'tutoring', 'Language practice'), (13, 'tutoring', 'Homework help'), (14, 'tutoring', 'Exam preparation'),
    (15, 'tutoring', 'Conversation hour'), (16, 'wellness-sport', 'Running partner'), (17, 'wellness-sport', 'Yoga at home'),
    (18, 'wellness-sport', 'Tennis hour'), (19, 'wellness-sport', 'Swimming lesson')
) AS s (no, category, title) JOIN categories c ON c.slug = s.category;

-- People: 1 to n are providers, n + 1 to n + n / 2 clients.
INSERT INTO users (id, display_name, username, language, city_id, telegram_id, telegram_username, status, version,
                   created_at, updated_at)
SELECT pg_temp.id('user', u),
       pg_temp.pick(pg_temp.h(u, 1), ARRAY['Mia','Lucas','Aiko','Daniel','Sofia','Omar','Elena','Felix','Yuki','Clara','Mateo',
           'Ines','Jonas','Priya','Leo','Amara','Hugo','Nina','Kenji','Laura','Victor','Zoe','Anton','Maya','Rafael','Lin'])
         || ' ' ||
         pg_temp.pick(pg_temp.h(u, 2), ARRAY['Berger','Costa','Tanaka','Moreau','Silva','Novak','Schmidt','Okafor','Rossi',
           'Jensen','Petrova','Alvarez','Klein','Mori','Dubois','Walker','Ferreira','Nguyen','Weber','Brooks','Sato','Kovacs']),
       CASE WHEN u % 3 = 0 THEN 'person_' || u END,
       pg_temp.pick(u, ARRAY['EN','EN','EN','RU','ZH']), city.id, 5000000000 + u,
       CASE WHEN u % 2 = 0 THEN 'tg_person_' || u END, 'ACTIVE', 1, pg_temp.at(u), pg_temp.at(u)
FROM generate_series(1, :n + :n / 2) u JOIN city ON city.no = u % 100 ORDER BY u;

INSERT INTO user_roles (user_id, role_id, granted_at)
SELECT pg_temp.id('user', u), r.id, pg_temp.at(u)
FROM generate_series(1, :n + :n / 2) u JOIN roles r ON r.name = 'USER' OR (r.name = 'PROVIDER' AND u <= :n AND u % 53 <> 49);

INSERT INTO boundary_acknowledgements (user_id, version, acknowledged_at)
SELECT pg_temp.id('user', u), (SELECT max(version) FROM boundary_policies), pg_temp.at(u)
FROM generate_series(:n + 1, :n + :n / 2) u;

-- The harness signs in as the first clients, with access tokens of these sessions.
INSERT INTO sessions (id, user_id, device_name, ip_address, created_at, last_used_at, expires_at)
SELECT pg_temp.id('session', c), pg_temp.id('user', :n + c), 'Mini App', '127.0.0.1', pg_temp.at(:n + c), pg_temp.at(:n + c),
       '2099-01-01Z'
FROM generate_series(1, least(2200, :n / 2)) c;

-- One administrator, for the staff's lists.
INSERT INTO users (id, display_name, username, language, status, version, created_at, updated_at)
VALUES (pg_temp.id('user', 0), 'Noor Haddad', 'bench_admin', 'EN', 'ACTIVE', 1, pg_temp.at(0), pg_temp.at(0));
INSERT INTO user_roles (user_id, role_id, granted_at)
SELECT pg_temp.id('user', 0), id, pg_temp.at(0) FROM roles WHERE name IN ('USER', 'ADMIN');
INSERT INTO sessions (id, user_id, device_name, ip_address, created_at, last_used_at, expires_at)
VALUES (pg_temp.id('session', 0), pg_temp.id('user', 0), 'Staff', '127.0.0.1', pg_temp.at(0), pg_temp.at(0), '2099-01-01Z');

-- What each provider p offers: two services of the 20, each at one of 40 prices; and a fourth of them are open to be booked.
-- Numbers of h with another k are shifted copies of each other, so that each of these is scattered from the one before. After
-- two steps a number still shows through, so that who is open is three from the nearest price.
CREATE TEMPORARY TABLE offer AS
SELECT p, two.k, two.service_no, two.minor, (ARRAY[60, 90, 120])[1 + (p + two.k) % 3] AS minutes, e.no % 4 = 0 AS is_open
FROM generate_series(1, :n::bigint) p
CROSS JOIN LATERAL (SELECT pg_temp.h(p, 14) AS no) a
CROSS JOIN LATERAL (SELECT pg_temp.h(a.no, 15) AS no) b
CROSS JOIN LATERAL (SELECT pg_temp.h(b.no, 16) AS no) c
CROSS JOIN LATERAL (SELECT pg_temp.h(c.no, 17) AS no) d
CROSS JOIN LATERAL (SELECT pg_temp.h(pg_temp.h(pg_temp.h(d.no, 18), 19), 20) AS no) e
CROSS JOIN LATERAL (VALUES (0, a.no % 20, 2000 + c.no % 40 * 250),
                           (1, (a.no + 1 + b.no % 19) % 20, 2000 + d.no % 40 * 250)) two (k, service_no, minor);
CREATE UNIQUE INDEX ON offer (p, k);
ANALYZE offer;

-- Each booking's facts by its number b. Every third provider (3 r) has the reviews r, r + R and r + 2 R, of three ages by
-- three authors; the clients 1 to 100 have 30 bookings more each, some of them not kept.
CREATE TEMPORARY TABLE booking AS
SELECT b, p, :n + c AS u, k, rated, offer.service_no, offer.minor AS price_minor, offer.minutes,
       (ARRAY[5, 4, 5, 3, 5, 4, 5, 5, 2, 4, 1, 5])[1 + pg_temp.h(b, 3) % 12] AS rating,
       pg_temp.at(b) AS made_at,
       date_trunc('hour', pg_temp.at(b)) + interval '50 hours' AS starts_at,
       CASE WHEN b <= :n THEN 'COMPLETED'
            ELSE pg_temp.pick(pg_temp.h(b, 4), ARRAY['COMPLETED','COMPLETED','COMPLETED','COMPLETED','COMPLETED','COMPLETED',
                                                     'COMPLETED','CANCELLED','REJECTED','EXPIRED','NO_SHOW']) END AS state
FROM (
    SELECT b, CASE WHEN b <= 3 * (:n / 3) THEN 3 * (1 + (b - 1) % (:n / 3)) ELSE b END AS p,
           1 + (b * 7919) % (:n / 2) AS c, b % 2 AS k, b <= 3 * (:n / 3) AS rated
    FROM generate_series(1, :n::bigint) b
    UNION ALL
    SELECT :n + x, 1 + pg_temp.h(x, 5) % :n, 1 + x % 100, x % 2, false FROM generate_series(1, 3000::bigint) x
) numbered JOIN offer USING (p, k);
ANALYZE booking;

INSERT INTO providers (id, user_id, status, display_name, headline, bio, city_id, time_zone, cancellation_policy, applied_at,
                       reviewed_at, reviewed_by, rating_sum, rating_count, lowest_price_minor, lowest_price_currency, version,
                       created_at, updated_at)
SELECT pg_temp.id('provider', p), users.id, CASE WHEN p % 53 = 49 THEN 'WITHDRAWN' ELSE 'APPROVED' END, users.display_name,
       pg_temp.pick(pg_temp.h(p, 6), ARRAY['Calm company for busy days','Your local for a day','Talks little, listens more',
           'On time, every time','Good shoes, better stories','Patient with beginners','Early bird and coffee lover'])
         || ' in ' || city.name,
       pg_temp.pick(pg_temp.h(p, 7), ARRAY['I grew up here and still find new corners every week.',
           'I have worked with people for ten years and enjoy it.','I teach, run and read, and not always in this order.',
           'I like quiet places, and people who come with questions.'])
         || ' ' || pg_temp.pick(pg_temp.h(p, 8), ARRAY['Before this I was a nurse for a long while, in two countries.',
           'My mornings are free, my evenings are for music and friends.','I speak four languages and understand two more of them.',
           'Rain is no reason to stay in; there is always a plan for it.'])
         || ' ' || pg_temp.pick(pg_temp.h(p, 9), ARRAY['Tell me what you like, and I will think of something for us to do.',
           'We meet where it suits you, and end when you have had enough of it.','I bring the tickets, the map and the patience; you bring time.',
           'Nothing has to be seen; what counts is that the day was a good one.'])
         || ' ' || pg_temp.pick(pg_temp.h(p, 10), ARRAY['Children and grandparents are welcome, and so are dogs of any size.',
           'I answer within an hour on most days, and by the evening on others.','Ask me about the old harbour, the markets and the small museums.',
           'Whoever has been here before gets a day that is not in any book.']),
       city.id, city.time_zone, pg_temp.pick(p, ARRAY['FLEXIBLE','MODERATE','STRICT']), pg_temp.at(p),
       pg_temp.at(p) + interval '1 day', NULL, coalesce(r.total, 0), coalesce(r.number, 0), least_price.minor, city.currency, 1,
       pg_temp.at(p), pg_temp.at(p) + interval '1 day'
FROM generate_series(1, :n::bigint) p
JOIN users ON users.id = pg_temp.id('user', p)
JOIN city ON city.no = p % 100
JOIN (SELECT p AS of, min(minor) AS minor FROM offer GROUP BY p) least_price ON least_price.of = p
LEFT JOIN (SELECT p AS of, sum(rating) AS total, count(*) AS number FROM booking WHERE rated GROUP BY p) r ON r.of = p
ORDER BY p;

INSERT INTO provider_services (id, provider_id, service_id, price_minor, currency, duration_minutes, active, version,
                               created_at, updated_at, listed_category_id, listed_currency, listed_minor)
SELECT pg_temp.id('price', p * 3 + k), pg_temp.id('provider', p), services.id,
       minor, city.currency, minutes, true, 1,
       pg_temp.at(p) + interval '2 days', pg_temp.at(p) + interval '2 days',
       CASE WHEN p % 53 <> 49 THEN services.category_id END, CASE WHEN p % 53 <> 49 THEN city.currency END,
       CASE WHEN p % 53 <> 49 THEN min(minor) OVER (PARTITION BY p) END
FROM offer JOIN city ON city.no = p % 100 JOIN services ON services.id = pg_temp.id('service', service_no)
ORDER BY p, k;

-- Bookable windows, one a day for two weeks that no run lives to see: what the writes book are days of their own. They are all
-- from 9 to 17, so that a stretch of some hours is in a fourth of everybody's windows, or in nobody's.
INSERT INTO availabilities (id, provider_id, starts_at, ends_at, created_at)
SELECT pg_temp.id('window', day * :n + p), pg_temp.id('provider', p), opens, opens + interval '8 hours',
       pg_temp.at(:n) + day * interval '1 day'
FROM generate_series(0, 13::bigint) day
CROSS JOIN LATERAL (SELECT timestamptz '2090-01-01 09:00:00Z' + day * interval '1 day' AS opens) at
JOIN offer ON offer.k = 0 AND offer.is_open
ORDER BY day, p;

INSERT INTO bookings (id, client_id, provider_id, service_id, state, version, starts_at, ends_at, note, price_minor, currency,
                      duration_minutes, cancellation_policy, boundary_version, buffer_before_minutes, buffer_after_minutes,
                      answer_deadline, payment_deadline, reason, closed_by, absent_side, completed_at, created_at, updated_at)
SELECT pg_temp.id('booking', b), pg_temp.id('user', u), pg_temp.id('provider', p), pg_temp.id('service', service_no), state,
       CASE state WHEN 'COMPLETED' THEN 4 WHEN 'NO_SHOW' THEN 4 ELSE 2 END, starts_at, starts_at + make_interval(mins => minutes),
       pg_temp.pick(pg_temp.h(b, 11), ARRAY['Looking forward to it!','Could we meet at the station?','','It is my first time.','']),
       price_minor, city.currency, minutes, pg_temp.pick(p, ARRAY['FLEXIBLE','MODERATE','STRICT']),
       (SELECT max(version) FROM boundary_policies), 0, 0, made_at + interval '24 hours',
       CASE WHEN state IN ('COMPLETED', 'NO_SHOW') THEN made_at + interval '3 hours' END,
       CASE state WHEN 'CANCELLED' THEN 'Plans changed, sorry.' WHEN 'REJECTED' THEN 'I am away that day.'
                  WHEN 'NO_SHOW' THEN 'Nobody came.' END,
       CASE state WHEN 'CANCELLED' THEN 'CLIENT' WHEN 'EXPIRED' THEN 'SYSTEM' ELSE 'PROVIDER' END,
       CASE state WHEN 'NO_SHOW' THEN 'CLIENT' END,
       CASE state WHEN 'COMPLETED' THEN starts_at + make_interval(mins => minutes) END, made_at,
       CASE WHEN state IN ('COMPLETED', 'NO_SHOW') THEN starts_at + make_interval(mins => minutes)
            ELSE made_at + interval '24 hours' END
FROM booking JOIN city ON city.no = p % 100 ORDER BY b;

INSERT INTO booking_events (id, booking_id, action, from_state, to_state, actor_side, actor_id, created_at)
SELECT pg_temp.id('event', b * 2), pg_temp.id('booking', b), 'CREATE', NULL, 'REQUESTED', 'CLIENT', pg_temp.id('user', u), made_at
FROM booking
UNION ALL
SELECT pg_temp.id('event', b * 2 + 1), pg_temp.id('booking', b), 'COMPLETE', 'CONFIRMED', 'COMPLETED', 'PROVIDER',
       pg_temp.id('user', p), starts_at + make_interval(mins => minutes)
FROM booking WHERE state = 'COMPLETED';

INSERT INTO orders (id, booking_id, client_id, state, currency, total_minor, captured_minor, refunded_minor, paid_at, version,
                    created_at, updated_at)
SELECT pg_temp.id('order', b), pg_temp.id('booking', b), pg_temp.id('user', u), 'PAID', city.currency, price_minor, price_minor, 0,
       made_at + interval '2 hours', 2, made_at + interval '1 hour', made_at + interval '2 hours'
FROM booking JOIN city ON city.no = p % 100 WHERE state = 'COMPLETED' ORDER BY b;

INSERT INTO order_lines (id, order_id, position, title, amount_minor)
SELECT pg_temp.id('line', b), pg_temp.id('order', b), 0, s.title, price_minor
FROM booking JOIN services s ON s.id = pg_temp.id('service', service_no) WHERE state = 'COMPLETED'
ORDER BY b;

INSERT INTO reviews (id, booking_id, provider_id, author_id, rating, comment, visible, reply, replied_at, version, created_at,
                     updated_at)
SELECT pg_temp.id('review', b), pg_temp.id('booking', b), pg_temp.id('provider', p), pg_temp.id('user', u), rating,
       pg_temp.pick(pg_temp.h(b, 12), ARRAY['A lovely afternoon, thank you very much!','On time, very kind, and full of ideas.',
           'Good company, I would book again.','Knows every corner of the city.','It was fine, if a bit short for me.'])
         || ' ' || pg_temp.pick(pg_temp.h(b, 13), ARRAY['My mother still talks of it every week.','We laughed a lot and got wet.',
           'The way there was easy to find.','Next time we will take the whole day for it.','Made a hard week easier.']),
       true, CASE WHEN b % 4 = 0 THEN 'Thank you, see you again!' END,
       CASE WHEN b % 4 = 0 THEN starts_at + interval '30 hours' END, 1, starts_at + interval '7 hours', starts_at + interval '7 hours'
FROM booking WHERE rated ORDER BY b;

INSERT INTO audit_events (id, actor_kind, actor_id, action, outcome, target_kind, target_id, after, ip_address, request_id, created_at)
SELECT pg_temp.id('audit', b), 'USER', pg_temp.id('user', u), 'booking.create', 'DONE', 'bkg', pg_temp.id('booking', b),
       '{"state": "REQUESTED"}', '127.0.0.1', NULL, made_at
FROM booking;

SELECT definition FROM later ORDER BY name \gexec
COMMIT;
SET session_replication_role = origin;
VACUUM (ANALYZE);
