-- provider_services_service_price_idx begins with the service too, and leads to its providers as well.
DROP INDEX provider_services_service_id_idx;

-- The index that keeps windows from overlapping has the provider first: where nothing is said of that, it is read from end to
-- end, and the planner takes one for as good as the other. Spelled otherwise, the range is in this index alone.
DROP INDEX availabilities_times_idx;
CREATE INDEX availabilities_times_idx ON availabilities USING gist (tstzrange(starts_at, ends_at, '[)'));
