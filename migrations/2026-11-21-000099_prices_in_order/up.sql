-- Providers of a service, of a category or at a price, by PRICE: the most usual search of all, and no index held both what
-- is looked for, which is in provider_services, and the order, which is in providers. The order is kept beside each price that
-- can be found: active, of a service that is not archived, of an approved provider. NULL beside the others.
ALTER TABLE provider_services
    ADD COLUMN listed_category_id uuid,
    ADD COLUMN listed_currency text,
    ADD COLUMN listed_minor bigint;

-- These columns are nobody's to set but list_prices's, and set off nothing themselves.
DROP TRIGGER provider_services_keep_lowest_price ON provider_services;

CREATE FUNCTION list_prices(changed_provider_id uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE provider_services ps
        SET (listed_category_id, listed_currency, listed_minor) = (new.category_id, new.currency, new.minor)
        FROM (
            SELECT ps.id, listed.category_id, listed.currency, listed.minor
            FROM provider_services ps
            LEFT JOIN LATERAL (
                SELECT s.category_id, p.lowest_price_currency AS currency, p.lowest_price_minor AS minor
                FROM providers p JOIN services s ON s.id = ps.service_id
                WHERE p.id = ps.provider_id AND p.status = 'APPROVED' AND s.status = 'ACTIVE' AND ps.active
            ) listed ON true
            WHERE ps.provider_id = changed_provider_id
        ) new
        WHERE new.id = ps.id AND (ps.listed_category_id, ps.listed_currency, ps.listed_minor)
            IS DISTINCT FROM (new.category_id, new.currency, new.minor)
$$;

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
    PERFORM list_prices(changed);
    RETURN NULL;
END
$$;
CREATE TRIGGER provider_services_keep_lowest_price
    AFTER INSERT OR DELETE OR UPDATE OF provider_id, service_id, price_minor, currency, active ON provider_services
    FOR EACH ROW EXECUTE FUNCTION keep_lowest_price();

CREATE FUNCTION list_prices_of_provider() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM list_prices(NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER providers_list_prices AFTER UPDATE OF status, lowest_price_minor, lowest_price_currency ON providers
    FOR EACH ROW WHEN ((OLD.status, OLD.lowest_price_minor, OLD.lowest_price_currency)
        IS DISTINCT FROM (NEW.status, NEW.lowest_price_minor, NEW.lowest_price_currency))
    EXECUTE FUNCTION list_prices_of_provider();

-- After services_keep_lowest_prices, whose name comes first: then the cheapest prices are right again.
CREATE FUNCTION list_prices_of_service() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM list_prices(provider_id) FROM provider_services WHERE service_id = NEW.id AND active;
    RETURN NULL;
END
$$;
CREATE TRIGGER services_list_prices AFTER UPDATE OF status, category_id ON services
    FOR EACH ROW WHEN ((OLD.status, OLD.category_id) IS DISTINCT FROM (NEW.status, NEW.category_id))
    EXECUTE FUNCTION list_prices_of_service();

UPDATE provider_services ps
    SET (listed_category_id, listed_currency, listed_minor) = (s.category_id, p.lowest_price_currency, p.lowest_price_minor)
    FROM providers p, services s
    WHERE p.id = ps.provider_id AND s.id = ps.service_id AND p.status = 'APPROVED' AND s.status = 'ACTIVE' AND ps.active;

CREATE INDEX provider_services_service_by_price_idx ON provider_services
    (service_id, listed_currency, listed_minor, provider_id) WHERE listed_minor IS NOT NULL;
CREATE INDEX provider_services_category_by_price_idx ON provider_services
    (listed_category_id, listed_currency, listed_minor, provider_id) WHERE listed_minor IS NOT NULL;
CREATE INDEX provider_services_currency_by_price_idx ON provider_services
    (currency, listed_currency, listed_minor, provider_id) WHERE listed_minor IS NOT NULL;
