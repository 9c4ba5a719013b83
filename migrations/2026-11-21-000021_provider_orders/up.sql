-- Prices of archived services cannot be booked, so they count for nothing in a provider's cheapest price.
CREATE OR REPLACE FUNCTION keep_lowest_price() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed uuid := COALESCE(NEW.provider_id, OLD.provider_id);
    lowest record;
BEGIN
    SELECT ps.price_minor, ps.currency INTO lowest FROM provider_services ps JOIN services s ON s.id = ps.service_id
        WHERE ps.provider_id = changed AND ps.active AND s.status = 'ACTIVE'
        ORDER BY ps.currency, ps.price_minor, ps.id LIMIT 1;
    UPDATE providers SET lowest_price_minor = lowest.price_minor, lowest_price_currency = lowest.currency
        WHERE id = changed
          AND (lowest_price_minor, lowest_price_currency) IS DISTINCT FROM (lowest.price_minor, lowest.currency);
    RETURN NULL;
END
$$;

CREATE FUNCTION keep_lowest_prices_of_service() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE providers p SET (lowest_price_minor, lowest_price_currency) = (
            SELECT ps.price_minor, ps.currency FROM provider_services ps JOIN services s ON s.id = ps.service_id
                WHERE ps.provider_id = p.id AND ps.active AND s.status = 'ACTIVE'
                ORDER BY ps.currency, ps.price_minor, ps.id LIMIT 1)
        WHERE p.id IN (SELECT provider_id FROM provider_services WHERE service_id = NEW.id AND active);
    RETURN NULL;
END
$$;
CREATE TRIGGER services_keep_lowest_prices AFTER UPDATE OF status ON services
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION keep_lowest_prices_of_service();

-- The order PRICE shows who has no price, too, and last: with NULL in the key a row comparison could not go on from there.
DROP INDEX providers_by_price_idx;
CREATE INDEX providers_by_price_idx ON providers
    (COALESCE(lowest_price_currency, 'ZZZZ'), COALESCE(lowest_price_minor, 9223372036854775807), id)
    WHERE status = 'APPROVED';

-- Provider.stats counts these.
CREATE INDEX bookings_completed_idx ON bookings (provider_id) WHERE state = 'COMPLETED';
