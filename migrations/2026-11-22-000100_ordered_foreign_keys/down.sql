DROP INDEX providers_city_rating_idx;
CREATE INDEX providers_city_rating_idx ON providers (city_id, rating DESC, rating_count DESC, id DESC) WHERE status = 'APPROVED';
CREATE INDEX providers_city_id_idx ON providers (city_id);

DROP INDEX reviews_provider_idx;
CREATE INDEX reviews_provider_idx ON reviews (provider_id, created_at DESC, id DESC) WHERE visible;
CREATE INDEX reviews_provider_id_idx ON reviews (provider_id);
