DROP INDEX bookings_created_and_start_idx;
DROP INDEX user_roles_role_id_idx;
CREATE INDEX user_roles_role_id_idx ON user_roles (role_id);
DROP INDEX availabilities_times_idx;
DROP INDEX provider_services_price_idx;
DROP INDEX providers_city_newest_idx;
DROP INDEX providers_city_price_idx;
DROP INDEX providers_by_price_idx;
CREATE INDEX providers_by_price_idx ON providers
    (COALESCE(lowest_price_currency, 'ZZZZ'), COALESCE(lowest_price_minor, 9223372036854775807), id)
    WHERE status = 'APPROVED';
