-- Times of the demo providers for the days up to 14 days from {{now}} that have none yet: for a start on a later day
-- than the one on which the demo data was loaded.
INSERT INTO availabilities (id, provider_id, starts_at, ends_at, created_at)
SELECT overlay(overlay(md5('companion demo window ' || p.id || ' ' || day) placing '7' from 13) placing '8' from 17)::uuid,
       p.id, (day + time '09:00') AT TIME ZONE p.time_zone, (day + time '19:00') AT TIME ZONE p.time_zone,
       timestamptz '{{now}}'
FROM users u
JOIN providers p ON p.user_id = u.id AND p.status = 'APPROVED',
     generate_series(0, 14) ahead,
     LATERAL (SELECT (timestamptz '{{now}}' AT TIME ZONE 'UTC')::date + ahead AS day) days
WHERE u.telegram_id BETWEEN 7000000101 AND 7000000142
  AND (day - DATE '2000-01-01' + u.telegram_id) % 7 <> 0
  AND day > (SELECT coalesce(max(a.starts_at) AT TIME ZONE p.time_zone, '-infinity')::date FROM availabilities a WHERE a.provider_id = p.id)
ON CONFLICT DO NOTHING;
