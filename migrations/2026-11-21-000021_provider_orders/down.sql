DROP INDEX bookings_completed_idx;
DROP INDEX providers_by_price_idx;
CREATE INDEX providers_by_price_idx ON providers (lowest_price_currency, lowest_price_minor, id)
    WHERE status = 'APPROVED' AND lowest_price_minor IS NOT NULL;
DROP TRIGGER services_keep_lowest_prices ON services;
DROP FUNCTION keep_lowest_prices_of_service;
CREATE OR REPLACE FUNCTION keep_lowest_price() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed uuid := COALESCE(NEW.provider_id, OLD.provider_id);
    lowest record;
BEGIN
    SELECT price_minor, currency INTO lowest FROM provider_services
        WHERE provider_id = changed AND active
        ORDER BY currency, price_minor, id LIMIT 1;
    UPDATE providers SET lowest_price_minor = lowest.price_minor, lowest_price_currency = lowest.currency
        WHERE id = changed
          AND (lowest_price_minor, lowest_price_currency) IS DISTINCT FROM (lowest.price_minor, lowest.currency);
    RETURN NULL;
END
$$;
