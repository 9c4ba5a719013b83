-- What staff have settled leaves their lists, and stays settled.

-- Whether both sides said that the other did not come: kept when staff take the booking off their list.
ALTER TABLE bookings ADD COLUMN contested boolean NOT NULL DEFAULT false;
UPDATE bookings SET contested = true WHERE state = 'NO_SHOW' AND needs_attention IS NOT NULL;
ALTER TABLE bookings ADD CONSTRAINT bookings_contested_check CHECK (state = 'NO_SHOW' OR NOT contested);

ALTER TABLE booking_events
    DROP CONSTRAINT booking_events_action_check,
    ADD CONSTRAINT booking_events_action_check CHECK (action IN
        ('CREATE', 'ACCEPT', 'REJECT', 'PAY', 'EXPIRE', 'CANCEL', 'COMPLETE', 'NO_SHOW', 'RESCHEDULE', 'RESCHEDULE_ACCEPT',
         'RESCHEDULE_DECLINE', 'RESCHEDULE_EXPIRE', 'SUSPEND', 'SETTLE'));

-- The reasons that staff have looked at: an order's state is computed anew from all of its events each time, and what
-- is settled must not come up again.
ALTER TABLE orders ADD COLUMN attention_seen text[] NOT NULL DEFAULT '{}';
ALTER TABLE orders ADD CONSTRAINT orders_attention_seen_check CHECK (array_position(attention_seen, NULL) IS NULL);

UPDATE permissions SET description = 'Refund any order, in whole or in part, and settle what of it needs a person.'
    WHERE name = 'refunds:create' AND built_in;
