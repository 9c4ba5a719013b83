-- What triggers and foreign keys would have kept while fill.sql ran, checked in one go; any row is an error.
\set ON_ERROR_STOP on
SET work_mem = '128MB';

DO $$
DECLARE
    k record;
    wrong bigint;
BEGIN
    FOR k IN
        SELECT c.conname, c.conrelid::regclass AS child, c.confrelid::regclass AS parent,
               (SELECT string_agg(format('p.%I = c.%I', pa.attname, ca.attname), ' AND ')
                FROM unnest(c.conkey, c.confkey) AS x (child_no, parent_no)
                JOIN pg_attribute ca ON ca.attrelid = c.conrelid AND ca.attnum = x.child_no
                JOIN pg_attribute pa ON pa.attrelid = c.confrelid AND pa.attnum = x.parent_no) AS matches,
               (SELECT string_agg(format('c.%I IS NOT NULL', ca.attname), ' AND ')
                FROM unnest(c.conkey) AS x (child_no)
                JOIN pg_attribute ca ON ca.attrelid = c.conrelid AND ca.attnum = x.child_no) AS present
        FROM pg_constraint c WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
    LOOP
        EXECUTE format('SELECT count(*) FROM %s c WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)',
                       k.child, k.present, k.parent, k.matches) INTO wrong;
        IF wrong > 0 THEN
            RAISE EXCEPTION '% rows of % break %', wrong, k.child, k.conname;
        END IF;
    END LOOP;

    SELECT count(*) INTO wrong FROM providers p
        LEFT JOIN (SELECT provider_id, sum(rating) AS total, count(*) AS number FROM reviews WHERE visible GROUP BY 1) r
            ON r.provider_id = p.id
        WHERE (p.rating_sum, p.rating_count) IS DISTINCT FROM (coalesce(r.total, 0)::bigint, coalesce(r.number, 0)::integer);
    IF wrong > 0 THEN RAISE EXCEPTION '% providers have another rating than their reviews', wrong; END IF;

    SELECT count(*) INTO wrong FROM providers p
        LEFT JOIN (SELECT DISTINCT ON (ps.provider_id) ps.provider_id, ps.price_minor, ps.currency
                   FROM provider_services ps JOIN services s ON s.id = ps.service_id
                   WHERE ps.active AND s.status = 'ACTIVE'
                   ORDER BY ps.provider_id, ps.currency, ps.price_minor, ps.id) l ON l.provider_id = p.id
        WHERE (p.lowest_price_minor, p.lowest_price_currency) IS DISTINCT FROM (l.price_minor, l.currency);
    IF wrong > 0 THEN RAISE EXCEPTION '% providers have another lowest price than their prices', wrong; END IF;

    SELECT count(*) INTO wrong FROM provider_services ps
        JOIN services s ON s.id = ps.service_id JOIN providers p ON p.id = ps.provider_id
        CROSS JOIN LATERAL (SELECT ps.active AND s.status = 'ACTIVE' AND p.status = 'APPROVED' AS listed) l
        WHERE (ps.listed_category_id, ps.listed_currency, ps.listed_minor) IS DISTINCT FROM
              (CASE WHEN l.listed THEN s.category_id END, CASE WHEN l.listed THEN p.lowest_price_currency END,
               CASE WHEN l.listed THEN p.lowest_price_minor END);
    IF wrong > 0 THEN RAISE EXCEPTION '% prices are listed elsewhere than they belong', wrong; END IF;

    SELECT count(*) INTO wrong FROM reviews r JOIN bookings b ON b.id = r.booking_id
        WHERE b.state <> 'COMPLETED' OR b.client_id <> r.author_id OR b.provider_id <> r.provider_id;
    IF wrong > 0 THEN RAISE EXCEPTION '% reviews belong to no completed booking of author and provider', wrong; END IF;

    SELECT count(*) INTO wrong FROM bookings b
        LEFT JOIN provider_services ps ON ps.provider_id = b.provider_id AND ps.service_id = b.service_id
        WHERE (b.price_minor, b.currency, b.duration_minutes) IS DISTINCT FROM (ps.price_minor, ps.currency, ps.duration_minutes);
    IF wrong > 0 THEN RAISE EXCEPTION '% bookings are of a price that their provider has not', wrong; END IF;
END
$$;
