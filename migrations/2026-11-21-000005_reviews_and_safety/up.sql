-- Reviews, boundary rules, reports and blocks.

CREATE TABLE reviews (
    id uuid CONSTRAINT reviews_pkey PRIMARY KEY,
    booking_id uuid NOT NULL CONSTRAINT reviews_booking_id_key UNIQUE CONSTRAINT reviews_booking_id_fkey REFERENCES bookings,
    provider_id uuid NOT NULL CONSTRAINT reviews_provider_id_fkey REFERENCES providers,
    author_id uuid NOT NULL CONSTRAINT reviews_author_id_fkey REFERENCES users,
    rating integer NOT NULL CONSTRAINT reviews_rating_check CHECK (rating BETWEEN 1 AND 5),
    comment text NOT NULL CONSTRAINT reviews_comment_check CHECK (char_length(comment) <= 2000),
    visible boolean NOT NULL,
    hidden_reason text CONSTRAINT reviews_hidden_reason_check CHECK (char_length(hidden_reason) <= 2000),
    reply text CONSTRAINT reviews_reply_check CHECK (char_length(reply) BETWEEN 1 AND 2000),
    replied_at timestamptz,
    version integer NOT NULL CONSTRAINT reviews_version_check CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT reviews_reply_time_check CHECK ((reply IS NULL) = (replied_at IS NULL))
);
CREATE INDEX reviews_provider_idx ON reviews (provider_id, created_at DESC, id DESC) WHERE visible;
CREATE INDEX reviews_provider_rating_idx ON reviews (provider_id, rating, created_at DESC, id DESC) WHERE visible;
CREATE INDEX reviews_provider_id_idx ON reviews (provider_id);
CREATE INDEX reviews_author_id_idx ON reviews (author_id);

-- Rule 20: rating average and count of a provider equal the visible reviews at every moment.
CREATE FUNCTION keep_rating() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sum_change bigint := 0;
    count_change integer := 0;
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.visible THEN
        sum_change := sum_change - OLD.rating;
        count_change := count_change - 1;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.visible THEN
        sum_change := sum_change + NEW.rating;
        count_change := count_change + 1;
    END IF;
    IF sum_change <> 0 OR count_change <> 0 THEN
        UPDATE providers SET rating_sum = rating_sum + sum_change, rating_count = rating_count + count_change
            WHERE id = COALESCE(NEW.provider_id, OLD.provider_id);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER reviews_keep_rating AFTER INSERT OR DELETE OR UPDATE OF visible, rating ON reviews
    FOR EACH ROW EXECUTE FUNCTION keep_rating();

CREATE TABLE boundary_policies (
    version integer CONSTRAINT boundary_policies_pkey PRIMARY KEY
        CONSTRAINT boundary_policies_version_check CHECK (version >= 1),
    body text NOT NULL CONSTRAINT boundary_policies_body_check CHECK (char_length(body) BETWEEN 1 AND 20000),
    published_at timestamptz NOT NULL,
    published_by uuid CONSTRAINT boundary_policies_published_by_fkey REFERENCES users
);
CREATE INDEX boundary_policies_published_by_idx ON boundary_policies (published_by);
ALTER TABLE bookings ADD CONSTRAINT bookings_boundary_version_fkey FOREIGN KEY (boundary_version) REFERENCES boundary_policies;
CREATE INDEX bookings_boundary_version_idx ON bookings (boundary_version);

CREATE TABLE boundary_acknowledgements (
    user_id uuid NOT NULL CONSTRAINT boundary_acknowledgements_user_id_fkey REFERENCES users,
    version integer NOT NULL CONSTRAINT boundary_acknowledgements_version_fkey REFERENCES boundary_policies,
    acknowledged_at timestamptz NOT NULL,
    CONSTRAINT boundary_acknowledgements_pkey PRIMARY KEY (user_id, version)
);
CREATE INDEX boundary_acknowledgements_version_idx ON boundary_acknowledgements (version);

CREATE TABLE reports (
    id uuid CONSTRAINT reports_pkey PRIMARY KEY,
    reporter_id uuid NOT NULL CONSTRAINT reports_reporter_id_fkey REFERENCES users,
    -- Exactly one of these is what the report is about.
    user_id uuid CONSTRAINT reports_user_id_fkey REFERENCES users,
    booking_id uuid CONSTRAINT reports_booking_id_fkey REFERENCES bookings,
    review_id uuid CONSTRAINT reports_review_id_fkey REFERENCES reviews,
    reason text NOT NULL CONSTRAINT reports_reason_check CHECK (reason IN
        ('HARASSMENT', 'BOUNDARY_VIOLATION', 'FRAUD', 'SPAM', 'INAPPROPRIATE_CONTENT', 'SAFETY', 'OTHER')),
    details text NOT NULL CONSTRAINT reports_details_check CHECK (char_length(details) <= 4000),
    state text NOT NULL CONSTRAINT reports_state_check CHECK (state IN ('OPEN', 'ACTION_TAKEN', 'DISMISSED')),
    resolution text CONSTRAINT reports_resolution_check CHECK (char_length(resolution) <= 4000),
    resolved_by uuid CONSTRAINT reports_resolved_by_fkey REFERENCES users,
    resolved_at timestamptz,
    version integer NOT NULL CONSTRAINT reports_version_check CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    CONSTRAINT reports_one_target_check CHECK (num_nonnulls(user_id, booking_id, review_id) = 1),
    CONSTRAINT reports_resolved_check CHECK ((state = 'OPEN') = (resolved_at IS NULL))
);
CREATE INDEX reports_queue_idx ON reports (state, created_at, id);
CREATE INDEX reports_created_idx ON reports (created_at, id);
CREATE INDEX reports_reporter_idx ON reports (reporter_id, created_at DESC, id DESC);
CREATE INDEX reports_user_id_idx ON reports (user_id);
CREATE INDEX reports_booking_id_idx ON reports (booking_id);
CREATE INDEX reports_review_id_idx ON reports (review_id);
CREATE INDEX reports_resolved_by_idx ON reports (resolved_by);
-- One open report by one person about one thing.
CREATE UNIQUE INDEX reports_one_open ON reports (reporter_id, COALESCE(user_id, booking_id, review_id)) WHERE state = 'OPEN';

CREATE TABLE user_blocks (
    blocker_id uuid NOT NULL CONSTRAINT user_blocks_blocker_id_fkey REFERENCES users,
    blocked_id uuid NOT NULL CONSTRAINT user_blocks_blocked_id_fkey REFERENCES users,
    created_at timestamptz NOT NULL,
    CONSTRAINT user_blocks_pkey PRIMARY KEY (blocker_id, blocked_id),
    CONSTRAINT user_blocks_not_self_check CHECK (blocker_id <> blocked_id)
);
CREATE INDEX user_blocks_blocked_id_idx ON user_blocks (blocked_id);
CREATE INDEX user_blocks_list_idx ON user_blocks (blocker_id, created_at DESC, blocked_id DESC);
