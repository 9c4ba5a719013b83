-- What the rules say and a row alone can show.

-- A word that the machine does not know would make a booking's history unreadable.
ALTER TABLE booking_events
    ADD CONSTRAINT booking_events_action_check CHECK (action IN
        ('CREATE', 'ACCEPT', 'REJECT', 'PAY', 'EXPIRE', 'CANCEL', 'COMPLETE', 'NO_SHOW', 'RESCHEDULE', 'RESCHEDULE_ACCEPT',
         'RESCHEDULE_DECLINE', 'RESCHEDULE_EXPIRE', 'SUSPEND')),
    ADD CONSTRAINT booking_events_from_state_check CHECK (from_state IN
        ('REQUESTED', 'ACCEPTED', 'CONFIRMED', 'COMPLETED', 'NO_SHOW', 'REJECTED', 'CANCELLED', 'EXPIRED')),
    ADD CONSTRAINT booking_events_to_state_check CHECK (to_state IN
        ('REQUESTED', 'ACCEPTED', 'CONFIRMED', 'COMPLETED', 'NO_SHOW', 'REJECTED', 'CANCELLED', 'EXPIRED')),
    ADD CONSTRAINT booking_events_reason_check CHECK (char_length(reason) <= 2000);

ALTER TABLE bookings
    ADD CONSTRAINT bookings_length_check CHECK (ends_at = starts_at + make_interval(mins => duration_minutes)),
    ADD CONSTRAINT bookings_payment_deadline_check CHECK (state <> 'ACCEPTED' OR payment_deadline IS NOT NULL),
    ADD CONSTRAINT bookings_no_show_check CHECK ((state = 'NO_SHOW') = (absent_side IS NOT NULL));

ALTER TABLE booking_proposals
    ADD CONSTRAINT booking_proposals_answered_check CHECK ((state = 'OPEN') = (answered_at IS NULL));

-- Rule 10.
ALTER TABLE orders
    ADD CONSTRAINT orders_refund_cap_check CHECK (refunded_minor <= captured_minor),
    ADD CONSTRAINT orders_paid_check CHECK ((state IN ('PAID', 'PARTIALLY_REFUNDED', 'REFUNDED')) = (paid_at IS NOT NULL));

-- An event stays as it came; only what it was found to be about is added.
CREATE TRIGGER payment_events_unchanged BEFORE UPDATE OF id, kind, raw_body, created_at, received_at ON payment_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Rule 5.
ALTER TABLE reports ADD CONSTRAINT reports_not_self_check CHECK (user_id <> reporter_id);

ALTER TABLE reviews ADD CONSTRAINT reviews_hidden_check CHECK (visible = (hidden_reason IS NULL));

ALTER TABLE uploads ADD CONSTRAINT uploads_token_hash_check CHECK (octet_length(token_hash) = 32);
ALTER TABLE media ADD CONSTRAINT media_sha256_check CHECK (octet_length(sha256) = 32);
ALTER TABLE idempotency_keys ADD CONSTRAINT idempotency_keys_input_sha256_check CHECK (octet_length(input_sha256) = 32);
