-- Demo data, relative to {{now}}. Ids come from md5, so that every run and machine has the same.
-- Everybody below was made up.

CREATE TEMPORARY TABLE demo ON COMMIT DROP AS SELECT
    timestamptz '{{now}}' AS at,
    date_trunc('day', timestamptz '{{now}}' AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS today;

CREATE FUNCTION pg_temp.demo_id(kind text, n bigint) RETURNS uuid LANGUAGE sql AS $$
    -- Version 7's form, so that the ids look like all others.
    SELECT overlay(overlay(md5('companion demo ' || kind || ' ' || n) placing '7' from 13) placing '8' from 17)::uuid
$$;

CREATE FUNCTION pg_temp.pick(n bigint, choices text[]) RETURNS text LANGUAGE sql AS $$
    SELECT choices[1 + n % array_length(choices, 1)]
$$;

CREATE TEMPORARY TABLE demo_city ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY array_position(ARRAY['berlin','london','paris','lisbon','new-york','tokyo'], slug)) - 1 AS place, *
    FROM cities WHERE slug IN ('berlin', 'london', 'paris', 'lisbon', 'new-york', 'tokyo');

-- People: 1 admin, 1 moderator, 20 clients (3-22) and 44 providers (101-144).
INSERT INTO users (id, display_name, username, language, city_id, telegram_id, telegram_username, status, version, created_at, updated_at)
SELECT pg_temp.demo_id('user', n),
       CASE n WHEN 1 THEN 'Noor Haddad' WHEN 2 THEN 'Tomas Lind' ELSE
         pg_temp.pick(n * 7, ARRAY['Mia','Lucas','Aiko','Daniel','Sofia','Omar','Elena','Felix','Yuki','Clara','Mateo','Ines','Jonas','Priya','Leo','Amara','Hugo','Nina','Kenji','Laura','Victor','Zoe','Anton','Maya','Rafael','Lin','Emma','Samir','Olivia'])
         || ' ' ||
         pg_temp.pick(n * 5, ARRAY['Berger','Costa','Tanaka','Moreau','Silva','Novak','Schmidt','Okafor','Rossi','Jensen','Petrova','Alvarez','Klein','Mori','Dubois','Walker','Ferreira','Nguyen','Weber','Brooks','Sato','Kovacs','Lopez']) END,
       CASE n WHEN 1 THEN 'demo_admin' WHEN 2 THEN 'demo_moderator' WHEN 3 THEN 'demo_client' WHEN 101 THEN 'demo_provider' END,
       pg_temp.pick(n, ARRAY['EN','EN','EN','RU','ZH']),
       (SELECT id FROM demo_city c WHERE c.place = u.n % 6),
       7000000000 + n, NULL, 'ACTIVE', 1,
       at - interval '200 days' + n * interval '1 day', at - interval '200 days' + n * interval '1 day'
FROM (SELECT generate_series(1, 22) AS n UNION ALL SELECT generate_series(101, 144)) u, demo;

INSERT INTO user_roles (user_id, role_id, granted_at)
SELECT pg_temp.demo_id('user', n), roles.id, at
FROM (SELECT generate_series(1, 22) AS n UNION ALL SELECT generate_series(101, 144)) u, roles, demo
WHERE roles.name = 'USER'
   OR (n = 1 AND roles.name = 'ADMIN') OR (n = 2 AND roles.name = 'MODERATOR')
   OR (n BETWEEN 101 AND 142 AND roles.name = 'PROVIDER');

INSERT INTO boundary_policies (version, body, published_at)
SELECT 1, 'Be kind, be clear, be safe. Agree beforehand on what is and is not part of a booking. No means no, at any moment.', at
FROM demo ON CONFLICT DO NOTHING;
INSERT INTO boundary_acknowledgements (user_id, version, acknowledged_at)
SELECT pg_temp.demo_id('user', n), (SELECT max(version) FROM boundary_policies), at - interval '60 days'
FROM generate_series(3, 20) n, demo;

-- Twelve services over the catalog's categories.
INSERT INTO services (id, category_id, title, description, status, version, created_at, updated_at)
SELECT pg_temp.demo_id('service', n), categories.id, s.title, s.description, 'ACTIVE', 1, at - interval '190 days', at - interval '190 days'
FROM (VALUES
    (1, 'city-companion', 'City walk', 'A relaxed walk through the city with somebody who knows it.'),
    (2, 'city-companion', 'Museum visit', 'Company for an exhibition, with time to talk about it.'),
    (3, 'event-companion', 'Concert companion', 'Go to a concert together; tickets are the client''s.'),
    (4, 'event-companion', 'Dinner company', 'A table for two and a good conversation.'),
    (5, 'travel-companion', 'Day trip', 'A day out of town by train, with a plan for rain.'),
    (6, 'tutoring', 'Language practice', 'An hour of conversation in the language you learn.'),
    (7, 'tutoring', 'Homework help', 'Patient help with school subjects.'),
    (8, 'wellness-sport', 'Running partner', 'Run at your pace, with a warm-up and a stretch.'),
    (9, 'wellness-sport', 'Yoga at home', 'A quiet session for beginners and the stiff.'),
    (10, 'pet-care', 'Dog walk', 'A long walk for your dog, with photos.'),
    (11, 'home-help', 'Moving day help', 'Two more hands on the day of the move.'),
    (12, 'senior-care', 'Afternoon company', 'Cards, a walk, errands: company for an older person.')
) AS s (n, category, title, description), demo, categories WHERE categories.slug = s.category;

-- 42 approved providers, one application that waits and one that was rejected.
INSERT INTO providers (id, user_id, status, display_name, headline, bio, city_id, time_zone, cancellation_policy, applied_at, reviewed_at, reviewed_by, decision_reason, version, created_at, updated_at)
SELECT pg_temp.demo_id('provider', n), pg_temp.demo_id('user', n),
       CASE n WHEN 143 THEN 'PENDING' WHEN 144 THEN 'REJECTED' ELSE 'APPROVED' END,
       users.display_name,
       pg_temp.pick(n, ARRAY['Calm company for busy days','Your local for a day','Talks a lot, listens more','On time, every time','Good shoes, better stories','Patient with beginners','Early bird and coffee lover']),
       pg_temp.pick(n * 3, ARRAY['I grew up here and still find new corners.','I have worked with people for ten years and enjoy every day of it.','I teach, run and read, not always in this order.','I like quiet places and people with questions.','Former nurse, now company by profession.']),
       c.id, c.time_zone, pg_temp.pick(n, ARRAY['FLEXIBLE','MODERATE','STRICT']),
       at - interval '180 days' + n * interval '1 hour',
       CASE WHEN n <> 143 THEN at - interval '170 days' + n * interval '1 hour' END,
       CASE WHEN n <> 143 THEN pg_temp.demo_id('user', 2) END,
       CASE n WHEN 144 THEN 'Please tell more about your experience and apply again.' END,
       1, at - interval '180 days' + n * interval '1 hour', at - interval '170 days' + n * interval '1 hour'
FROM generate_series(101, 144) n
JOIN users ON users.id = pg_temp.demo_id('user', n)
JOIN demo_city c ON c.place = n % 6, demo;

-- Three services each, priced in the city's currency; every seventh provider offers one for free.
INSERT INTO provider_services (id, provider_id, service_id, price_minor, currency, duration_minutes, active, version, created_at, updated_at)
SELECT pg_temp.demo_id('price', n * 10 + k), pg_temp.demo_id('provider', n), pg_temp.demo_id('service', 1 + (n * 5 + k * 4) % 12),
       CASE WHEN n % 7 = 0 AND k = 2 THEN 0
            WHEN c.slug = 'tokyo' THEN 3000 + (n * 13 + k * 7) % 20 * 500
            ELSE 2000 + (n * 13 + k * 7) % 20 * 250 END,
       CASE c.slug WHEN 'london' THEN 'GBP' WHEN 'new-york' THEN 'USD' WHEN 'tokyo' THEN 'JPY' ELSE 'EUR' END,
       (ARRAY[60, 90, 120])[1 + (n + k) % 3], true, 1, at - interval '160 days', at - interval '160 days'
FROM generate_series(101, 142) n CROSS JOIN generate_series(0, 2) k
JOIN demo_city c ON c.place = n % 6, demo;

-- Bookable from the morning to the evening for the last 40 and the next 14 days, with a day off each week.
INSERT INTO availabilities (id, provider_id, starts_at, ends_at, created_at)
SELECT pg_temp.demo_id('window', n * 1000 + day + 100), pg_temp.demo_id('provider', n),
       ((today AT TIME ZONE 'UTC')::date + day + time '09:00') AT TIME ZONE c.time_zone,
       ((today AT TIME ZONE 'UTC')::date + day + time '19:00') AT TIME ZONE c.time_zone,
       at - interval '50 days'
FROM generate_series(101, 142) n CROSS JOIN generate_series(-40, 14) day
JOIN demo_city c ON c.place = n % 6, demo
WHERE (n + day) % 7 <> 0;

-- Bookings. One a day and provider and time of day never overlap: client and hour follow from both.
CREATE TEMPORARY TABLE demo_booking ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY day, n) AS b, n, day, pg_temp.demo_id('user', 3 + (n + day + 60) % 18) AS client_id,
       w.starts_at + interval '1 hour' * (1 + (n - 101) / 18 * 3) AS starts_at, w.provider_id
FROM generate_series(101, 142) n CROSS JOIN generate_series(-35, 9) day
JOIN availabilities w ON w.id = pg_temp.demo_id('window', n * 1000 + day + 100)
WHERE (n * 3 + day * 5) % 11 = 0;

CREATE TEMPORARY TABLE demo_choice ON COMMIT DROP AS
SELECT d.*, ps.service_id, ps.price_minor, ps.currency, ps.duration_minutes, p.cancellation_policy,
       d.starts_at + make_interval(mins => ps.duration_minutes) AS ends_at,
       CASE WHEN d.day < -1 THEN pg_temp.pick(b, ARRAY['COMPLETED','COMPLETED','COMPLETED','COMPLETED','COMPLETED','COMPLETED','CANCELLED','NO_SHOW','EXPIRED','REJECTED'])
            WHEN d.day < 2 THEN 'CANCELLED'
            WHEN ps.price_minor = 0 THEN 'CONFIRMED'
            ELSE pg_temp.pick(b, ARRAY['REQUESTED','CONFIRMED','ACCEPTED','CONFIRMED','REQUESTED']) END AS state
FROM demo_booking d
JOIN providers p ON p.id = d.provider_id
JOIN LATERAL (SELECT * FROM provider_services ps WHERE ps.provider_id = d.provider_id ORDER BY ps.id OFFSET d.b % 3 LIMIT 1) ps ON true;

-- Between the two whom `serve` prints tokens of: one that is just over and can be completed, and one that waits for an
-- answer. The provider's day off is neither yesterday, nor today, nor the day after tomorrow.
INSERT INTO demo_choice
SELECT 900000 + k, 101, 0, pg_temp.demo_id('user', 3), t.starts_at, ps.provider_id, ps.service_id, ps.price_minor, ps.currency,
       ps.duration_minutes, p.cancellation_policy, t.starts_at + t.length, CASE k WHEN 1 THEN 'CONFIRMED' ELSE 'REQUESTED' END
FROM demo, generate_series(1, 2) k
JOIN LATERAL (SELECT * FROM provider_services WHERE provider_id = pg_temp.demo_id('provider', 101) ORDER BY id OFFSET k LIMIT 1) ps ON true
JOIN providers p ON p.id = ps.provider_id
JOIN LATERAL (
    SELECT make_interval(mins => ps.duration_minutes) AS length,
           CASE k WHEN 1 THEN least(w.ends_at, date_trunc('hour', demo.at)) - make_interval(mins => ps.duration_minutes)
                  ELSE w.starts_at + interval '4 hours' END AS starts_at
    FROM availabilities w
    WHERE w.provider_id = ps.provider_id
      AND CASE k WHEN 1 THEN w.starts_at + make_interval(mins => ps.duration_minutes) <= date_trunc('hour', demo.at)
                 ELSE w.id = pg_temp.demo_id('window', 101 * 1000 + 2 + 100) END
    ORDER BY w.starts_at DESC LIMIT 1
) t ON true;

-- When each step was taken, within the deadlines; open ones are still within theirs when this is loaded.
CREATE TEMPORARY TABLE demo_state ON COMMIT DROP AS
SELECT s.*, CASE
           WHEN state = 'REQUESTED' THEN made_at
           WHEN state = 'EXPIRED' THEN made_at + interval '24 hours'
           WHEN state IN ('COMPLETED', 'NO_SHOW') THEN ends_at
           WHEN state = 'CANCELLED' THEN accepted_at + interval '1 hour'
           WHEN state = 'CONFIRMED' AND price_minor > 0 THEN paid_at
           ELSE accepted_at END AS changed_at,
       CASE WHEN state = 'REQUESTED' THEN 0 ELSE 1 END
           + CASE WHEN paid THEN 1 ELSE 0 END
           + CASE WHEN state IN ('COMPLETED', 'NO_SHOW', 'CANCELLED') THEN 1 ELSE 0 END AS steps
FROM (
    SELECT c.*, c.made_at + interval '1 hour' AS accepted_at, c.made_at + interval '90 minutes' AS paid_at,
           state NOT IN ('REQUESTED', 'REJECTED', 'EXPIRED') AS accepted,
           state IN ('CONFIRMED', 'COMPLETED', 'NO_SHOW') AND price_minor > 0 AS paid
    FROM (SELECT demo_choice.*, date_trunc('second', CASE state
              WHEN 'REQUESTED' THEN at - interval '30 minutes'
              WHEN 'ACCEPTED' THEN at - interval '100 minutes'
              ELSE least(starts_at, at) - interval '30 hours' END) AS made_at
          FROM demo_choice, demo) c
) s;

INSERT INTO bookings (id, client_id, provider_id, service_id, state, version, starts_at, ends_at, note, price_minor, currency, duration_minutes, cancellation_policy, boundary_version, buffer_before_minutes, buffer_after_minutes, answer_deadline, payment_deadline, reason, closed_by, absent_side, completed_at, created_at, updated_at)
SELECT pg_temp.demo_id('booking', b), client_id, provider_id, service_id, state,
       1 + steps, starts_at, ends_at,
       pg_temp.pick(b, ARRAY['Looking forward to it!','Could we meet at the station?','','It is my first time.','']),
       price_minor, currency, duration_minutes, cancellation_policy, (SELECT max(version) FROM boundary_policies), 0, 0,
       made_at + interval '24 hours',
       CASE WHEN accepted AND price_minor > 0 THEN accepted_at + interval '2 hours' END,
       CASE state WHEN 'CANCELLED' THEN 'Plans changed, sorry.' WHEN 'REJECTED' THEN 'I am away that day.' WHEN 'NO_SHOW' THEN 'Nobody came.' END,
       CASE state WHEN 'CANCELLED' THEN 'CLIENT' WHEN 'REJECTED' THEN 'PROVIDER' WHEN 'NO_SHOW' THEN 'PROVIDER' WHEN 'EXPIRED' THEN 'SYSTEM' WHEN 'COMPLETED' THEN 'PROVIDER' END,
       CASE state WHEN 'NO_SHOW' THEN 'CLIENT' END,
       CASE state WHEN 'COMPLETED' THEN ends_at END, made_at, changed_at
FROM demo_state;

INSERT INTO held_times (id, booking_id, provider_id, client_id, during, exact)
SELECT pg_temp.demo_id('held', b), pg_temp.demo_id('booking', b), provider_id, client_id, tstzrange(starts_at, ends_at), tstzrange(starts_at, ends_at)
FROM demo_state WHERE state IN ('REQUESTED', 'ACCEPTED', 'CONFIRMED');

INSERT INTO booking_events (id, booking_id, action, from_state, to_state, actor_side, actor_id, created_at)
SELECT pg_temp.demo_id('event', b * 10), pg_temp.demo_id('booking', b), 'CREATE', NULL, 'REQUESTED', 'CLIENT', client_id, made_at
FROM demo_state
UNION ALL
SELECT pg_temp.demo_id('event', b * 10 + 1), pg_temp.demo_id('booking', b), 'ACCEPT', 'REQUESTED',
       CASE WHEN price_minor = 0 THEN 'CONFIRMED' ELSE 'ACCEPTED' END, 'PROVIDER', pg_temp.demo_id('user', n), accepted_at
FROM demo_state WHERE accepted
UNION ALL
SELECT pg_temp.demo_id('event', b * 10 + 2), pg_temp.demo_id('booking', b), 'PAY', 'ACCEPTED', 'CONFIRMED', 'SYSTEM', NULL, paid_at
FROM demo_state WHERE paid
UNION ALL
SELECT pg_temp.demo_id('event', b * 10 + 3), pg_temp.demo_id('booking', b),
       CASE state WHEN 'COMPLETED' THEN 'COMPLETE' WHEN 'CANCELLED' THEN 'CANCEL' WHEN 'REJECTED' THEN 'REJECT' WHEN 'EXPIRED' THEN 'EXPIRE' ELSE 'NO_SHOW' END,
       CASE WHEN NOT accepted THEN 'REQUESTED' WHEN state = 'CANCELLED' AND price_minor > 0 THEN 'ACCEPTED' ELSE 'CONFIRMED' END, state,
       CASE state WHEN 'CANCELLED' THEN 'CLIENT' WHEN 'EXPIRED' THEN 'SYSTEM' ELSE 'PROVIDER' END,
       CASE state WHEN 'CANCELLED' THEN client_id WHEN 'EXPIRED' THEN NULL ELSE pg_temp.demo_id('user', n) END, changed_at
FROM demo_state WHERE state NOT IN ('REQUESTED', 'ACCEPTED', 'CONFIRMED');

-- An order for each priced booking that got so far; src/demo/payments.rs pays them.
INSERT INTO orders (id, booking_id, client_id, state, currency, total_minor, captured_minor, refunded_minor, paid_at, version, created_at, updated_at)
SELECT pg_temp.demo_id('order', b), pg_temp.demo_id('booking', b), client_id, 'PAID', currency, price_minor, price_minor, 0,
       paid_at, 2, accepted_at + interval '10 minutes', paid_at
FROM demo_state WHERE paid;
INSERT INTO order_lines (id, order_id, position, title, amount_minor)
SELECT pg_temp.demo_id('line', b), pg_temp.demo_id('order', b), 0, services.title, price_minor
FROM demo_state JOIN services ON services.id = service_id WHERE paid;

INSERT INTO reviews (id, booking_id, provider_id, author_id, rating, comment, visible, hidden_reason, reply, replied_at, version, created_at, updated_at)
SELECT pg_temp.demo_id('review', b), pg_temp.demo_id('booking', b), provider_id, client_id,
       (ARRAY[5, 4, 5, 3, 5, 4, 5, 5, 2])[1 + (b * 7 + n) % 9],
       pg_temp.pick(b + n, ARRAY['A lovely afternoon, thank you!','On time and very kind.','Good company, would book again.','Knows every corner of the city.','It was fine, a bit short.','Made a hard day easier.','Great with my dog.']),
       b % 23 <> 0, CASE WHEN b % 23 = 0 THEN 'It names other people.' END,
       CASE WHEN b % 4 = 0 THEN 'Thank you, see you again!' END,
       CASE WHEN b % 4 = 0 THEN least(ends_at + interval '30 hours', at) END,
       1, ends_at + interval '5 hours', ends_at + interval '5 hours'
FROM demo_state, demo WHERE state = 'COMPLETED' AND b % 5 <> 0;

INSERT INTO reports (id, reporter_id, user_id, reason, details, state, resolution, resolved_by, resolved_at, version, created_at)
SELECT pg_temp.demo_id('report', n), pg_temp.demo_id('user', 2 + n), pg_temp.demo_id('user', 100 + n),
       pg_temp.pick(n, ARRAY['SPAM','HARASSMENT','BOUNDARY_VIOLATION','FRAUD','OTHER']),
       pg_temp.pick(n, ARRAY['Writes to me every day.','Was rude at the meeting point.','Asked for something that was not agreed.','Wanted cash on top.','Something felt wrong.']),
       CASE WHEN n <= 4 THEN 'OPEN' WHEN n = 5 THEN 'ACTION_TAKEN' ELSE 'DISMISSED' END,
       CASE WHEN n > 4 THEN 'Talked to both.' END, CASE WHEN n > 4 THEN pg_temp.demo_id('user', 2) END,
       CASE WHEN n > 4 THEN at - interval '1 day' END, 1, at - n * interval '30 hours'
FROM generate_series(1, 6) n, demo;
