DROP INDEX provider_services_currency_by_price_idx;
DROP INDEX provider_services_category_by_price_idx;
DROP INDEX provider_services_service_by_price_idx;
DROP TRIGGER services_list_prices ON services;
DROP FUNCTION list_prices_of_service();
DROP TRIGGER providers_list_prices ON providers;
DROP FUNCTION list_prices_of_provider();
DROP TRIGGER provider_services_keep_lowest_price ON provider_services;
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
CREATE TRIGGER provider_services_keep_lowest_price AFTER INSERT OR UPDATE OR DELETE ON provider_services
    FOR EACH ROW EXECUTE FUNCTION keep_lowest_price();
DROP FUNCTION list_prices(uuid);
ALTER TABLE provider_services DROP COLUMN listed_category_id, DROP COLUMN listed_currency, DROP COLUMN listed_minor;
