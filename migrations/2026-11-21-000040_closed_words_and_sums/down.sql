ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_input_sha256_check;
ALTER TABLE media DROP CONSTRAINT media_sha256_check;
ALTER TABLE uploads DROP CONSTRAINT uploads_token_hash_check;
ALTER TABLE reviews DROP CONSTRAINT reviews_hidden_check;
ALTER TABLE reports DROP CONSTRAINT reports_not_self_check;
DROP TRIGGER payment_events_unchanged ON payment_events;
ALTER TABLE orders DROP CONSTRAINT orders_paid_check, DROP CONSTRAINT orders_refund_cap_check;
ALTER TABLE booking_proposals DROP CONSTRAINT booking_proposals_answered_check;
ALTER TABLE bookings
    DROP CONSTRAINT bookings_no_show_check,
    DROP CONSTRAINT bookings_payment_deadline_check,
    DROP CONSTRAINT bookings_length_check;
ALTER TABLE booking_events
    DROP CONSTRAINT booking_events_reason_check,
    DROP CONSTRAINT booking_events_to_state_check,
    DROP CONSTRAINT booking_events_from_state_check,
    DROP CONSTRAINT booking_events_action_check;
