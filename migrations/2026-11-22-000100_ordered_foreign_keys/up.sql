-- Where the rows of one city or one provider are few on average, the planner takes an index that holds them without an order
-- and sorts, for those that have a hundred thousand as well. So the index of the foreign key is the one in the list's order.
DROP INDEX reviews_provider_id_idx;
DROP INDEX reviews_provider_idx;
CREATE INDEX reviews_provider_idx ON reviews (provider_id, visible, created_at DESC, id DESC);

DROP INDEX providers_city_id_idx;
DROP INDEX providers_city_rating_idx;
CREATE INDEX providers_city_rating_idx ON providers (city_id, status, rating DESC, rating_count DESC, id DESC);
