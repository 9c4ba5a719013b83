-- Providers of a service up to a price: neither may be rare where both together are, and then no index led to them.
CREATE INDEX provider_services_service_price_idx ON provider_services (service_id, currency, price_minor, provider_id)
    WHERE active;
