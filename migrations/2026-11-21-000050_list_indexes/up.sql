-- A page of a filtered list is read from an index, however far down it is.

-- Bookings by state: me.bookings and me.provider.bookings by start, the staff's list by creation.
CREATE INDEX bookings_client_state_idx ON bookings (client_id, state, starts_at DESC, id DESC);
CREATE INDEX bookings_provider_state_idx ON bookings (provider_id, state, starts_at DESC, id DESC);
CREATE INDEX bookings_state_idx ON bookings (state, created_at DESC, id DESC);

-- The staff's list of one client, one provider, one service.
CREATE INDEX bookings_client_created_idx ON bookings (client_id, created_at DESC, id DESC);
CREATE INDEX bookings_provider_created_idx ON bookings (provider_id, created_at DESC, id DESC);
DROP INDEX bookings_service_id_idx;
CREATE INDEX bookings_service_idx ON bookings (service_id, created_at DESC, id DESC);

CREATE INDEX orders_state_idx ON orders (state, created_at DESC, id DESC);

CREATE INDEX reports_reason_idx ON reports (reason, created_at, id);
CREATE INDEX reports_state_reason_idx ON reports (state, reason, created_at, id);
