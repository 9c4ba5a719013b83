ALTER TABLE bookings DROP CONSTRAINT bookings_boundary_version_fkey;
DROP INDEX bookings_boundary_version_idx;
DROP TABLE user_blocks, reports, boundary_acknowledgements, boundary_policies, reviews;
DROP FUNCTION keep_rating;
