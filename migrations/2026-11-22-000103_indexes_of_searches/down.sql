DROP INDEX availabilities_times_idx;
CREATE INDEX availabilities_times_idx ON availabilities USING gist (tstzrange(starts_at, ends_at));
CREATE INDEX provider_services_service_id_idx ON provider_services (service_id, provider_id) WHERE active;
