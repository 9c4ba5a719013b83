-- Lists of which no index held the order or the filter, so that what they read grew with the tables.

-- A city's providers by price and by age. With the bare columns, a search reads the order from the index alone.
CREATE INDEX providers_city_price_idx ON providers
    (city_id, COALESCE(lowest_price_currency, 'ZZZZ'), COALESCE(lowest_price_minor, 9223372036854775807), id)
    INCLUDE (lowest_price_currency, lowest_price_minor) WHERE status = 'APPROVED';
DROP INDEX providers_by_price_idx;
CREATE INDEX providers_by_price_idx ON providers
    (COALESCE(lowest_price_currency, 'ZZZZ'), COALESCE(lowest_price_minor, 9223372036854775807), id)
    INCLUDE (lowest_price_currency, lowest_price_minor) WHERE status = 'APPROVED';
CREATE INDEX providers_city_newest_idx ON providers (city_id, created_at DESC, id DESC) WHERE status = 'APPROVED';

-- Where a search by price starts.
CREATE INDEX provider_services_price_idx ON provider_services (currency, price_minor, provider_id) WHERE active;

-- Where a search for a free time starts.
CREATE INDEX availabilities_times_idx ON availabilities USING gist (tstzrange(starts_at, ends_at));

-- Where a search by role starts, in an order of its own.
DROP INDEX user_roles_role_id_idx;
CREATE INDEX user_roles_role_id_idx ON user_roles (role_id, user_id);

-- Bookings that start between two times, the last asked for first: the nearest to the end of time, of which only a GiST
-- index knows within a range of another column.
CREATE INDEX bookings_created_and_start_idx ON bookings USING gist (created_at, starts_at);
