-- Bookable windows, bookings and the table of held times.

CREATE TABLE availabilities (
    id uuid CONSTRAINT availabilities_pkey PRIMARY KEY,
    provider_id uuid NOT NULL CONSTRAINT availabilities_provider_id_fkey REFERENCES providers,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT availabilities_order_check CHECK (starts_at < ends_at),
    CONSTRAINT availabilities_no_overlap EXCLUDE USING gist (provider_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
);
CREATE INDEX availabilities_provider_id_idx ON availabilities (provider_id, starts_at);

CREATE TABLE bookings (
    id uuid CONSTRAINT bookings_pkey PRIMARY KEY,
    client_id uuid NOT NULL CONSTRAINT bookings_client_id_fkey REFERENCES users,
    provider_id uuid NOT NULL CONSTRAINT bookings_provider_id_fkey REFERENCES providers,
    service_id uuid NOT NULL CONSTRAINT bookings_service_id_fkey REFERENCES services,
    state text NOT NULL CONSTRAINT bookings_state_check CHECK (state IN
        ('REQUESTED', 'ACCEPTED', 'CONFIRMED', 'COMPLETED', 'NO_SHOW', 'REJECTED', 'CANCELLED', 'EXPIRED')),
    version integer NOT NULL CONSTRAINT bookings_version_check CHECK (version >= 1),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    note text NOT NULL CONSTRAINT bookings_note_check CHECK (char_length(note) <= 2000),
    -- Frozen when the booking is made (rule 4).
    price_minor bigint NOT NULL CONSTRAINT bookings_price_minor_check CHECK (price_minor BETWEEN 0 AND 9007199254740991),
    currency text NOT NULL CONSTRAINT bookings_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    duration_minutes integer NOT NULL CONSTRAINT bookings_duration_check CHECK (duration_minutes > 0),
    cancellation_policy text NOT NULL CONSTRAINT bookings_cancellation_policy_check
        CHECK (cancellation_policy IN ('FLEXIBLE', 'MODERATE', 'STRICT')),
    boundary_version integer NOT NULL,
    buffer_before_minutes integer NOT NULL CONSTRAINT bookings_buffer_before_check CHECK (buffer_before_minutes >= 0),
    buffer_after_minutes integer NOT NULL CONSTRAINT bookings_buffer_after_check CHECK (buffer_after_minutes >= 0),
    -- Until when the provider may answer, and then until when the client may pay.
    answer_deadline timestamptz NOT NULL,
    payment_deadline timestamptz,
    -- Why it was rejected, cancelled or closed as a no-show.
    reason text CONSTRAINT bookings_reason_check CHECK (char_length(reason) <= 2000),
    -- Which side ended or completed it.
    closed_by text CONSTRAINT bookings_closed_by_check CHECK (closed_by IN ('CLIENT', 'PROVIDER', 'STAFF', 'SYSTEM')),
    -- Who did not come, by the other side's word.
    absent_side text CONSTRAINT bookings_absent_side_check CHECK (absent_side IN ('CLIENT', 'PROVIDER')),
    completed_at timestamptz,
    needs_attention text CONSTRAINT bookings_needs_attention_check CHECK (char_length(needs_attention) <= 500),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT bookings_order_check CHECK (starts_at < ends_at),
    CONSTRAINT bookings_completed_check CHECK (state <> 'COMPLETED' OR completed_at IS NOT NULL)
);
CREATE INDEX bookings_client_idx ON bookings (client_id, starts_at DESC, id DESC);
CREATE INDEX bookings_provider_idx ON bookings (provider_id, starts_at DESC, id DESC);
CREATE INDEX bookings_service_id_idx ON bookings (service_id);
CREATE INDEX bookings_created_idx ON bookings (created_at DESC, id DESC);
CREATE INDEX bookings_attention_idx ON bookings (created_at DESC, id DESC) WHERE needs_attention IS NOT NULL;
CREATE INDEX bookings_answer_due_idx ON bookings (answer_deadline) WHERE state = 'REQUESTED';
CREATE INDEX bookings_payment_due_idx ON bookings (payment_deadline) WHERE state = 'ACCEPTED';
CREATE INDEX bookings_completion_due_idx ON bookings (ends_at) WHERE state = 'CONFIRMED';

CREATE TABLE booking_proposals (
    id uuid CONSTRAINT booking_proposals_pkey PRIMARY KEY,
    booking_id uuid NOT NULL CONSTRAINT booking_proposals_booking_id_fkey REFERENCES bookings,
    proposed_by text NOT NULL CONSTRAINT booking_proposals_proposed_by_check CHECK (proposed_by IN ('CLIENT', 'PROVIDER')),
    state text NOT NULL CONSTRAINT booking_proposals_state_check CHECK (state IN ('OPEN', 'ACCEPTED', 'DECLINED', 'EXPIRED', 'CLOSED')),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    answer_deadline timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    answered_at timestamptz,
    CONSTRAINT booking_proposals_order_check CHECK (starts_at < ends_at)
);
CREATE INDEX booking_proposals_booking_id_idx ON booking_proposals (booking_id, created_at DESC);
CREATE UNIQUE INDEX booking_proposals_one_open ON booking_proposals (booking_id) WHERE state = 'OPEN';
CREATE INDEX booking_proposals_due_idx ON booking_proposals (answer_deadline) WHERE state = 'OPEN';

-- Rule 1: a row for each booking in REQUESTED, ACCEPTED or CONFIRMED and one for an open proposal.
CREATE TABLE held_times (
    id uuid CONSTRAINT held_times_pkey PRIMARY KEY,
    booking_id uuid NOT NULL CONSTRAINT held_times_booking_id_fkey REFERENCES bookings,
    proposal_id uuid CONSTRAINT held_times_proposal_id_key UNIQUE CONSTRAINT held_times_proposal_id_fkey REFERENCES booking_proposals,
    provider_id uuid NOT NULL CONSTRAINT held_times_provider_id_fkey REFERENCES providers,
    client_id uuid NOT NULL CONSTRAINT held_times_client_id_fkey REFERENCES users,
    -- [start - buffer before, end + buffer after) for the provider, [start, end) for the client.
    during tstzrange NOT NULL,
    exact tstzrange NOT NULL,
    CONSTRAINT held_times_during_check CHECK (NOT isempty(during) AND during @> exact AND NOT isempty(exact)),
    CONSTRAINT held_times_provider_no_overlap
        EXCLUDE USING gist (provider_id WITH =, during WITH &&, booking_id WITH <>),
    CONSTRAINT held_times_client_no_overlap
        EXCLUDE USING gist (client_id WITH =, exact WITH &&, booking_id WITH <>)
);
CREATE UNIQUE INDEX held_times_one_per_booking ON held_times (booking_id) WHERE proposal_id IS NULL;
CREATE INDEX held_times_booking_id_idx ON held_times (booking_id);
CREATE INDEX held_times_client_id_idx ON held_times (client_id);
CREATE INDEX held_times_provider_id_idx ON held_times (provider_id);

CREATE TABLE booking_events (
    id uuid CONSTRAINT booking_events_pkey PRIMARY KEY,
    booking_id uuid NOT NULL CONSTRAINT booking_events_booking_id_fkey REFERENCES bookings,
    action text NOT NULL,
    from_state text,
    to_state text NOT NULL,
    actor_side text NOT NULL CONSTRAINT booking_events_actor_side_check CHECK (actor_side IN ('CLIENT', 'PROVIDER', 'STAFF', 'SYSTEM')),
    actor_id uuid CONSTRAINT booking_events_actor_id_fkey REFERENCES users,
    reason text,
    created_at timestamptz NOT NULL
);
CREATE INDEX booking_events_booking_id_idx ON booking_events (booking_id, created_at, id);
CREATE INDEX booking_events_actor_id_idx ON booking_events (actor_id);
CREATE TRIGGER booking_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON booking_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
