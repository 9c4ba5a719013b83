-- An event about a charge, a refund or a dispute names a payment and often not our order; it may come before the one
-- that ties the payment to an order, and is then tied when that one comes (rule 9: any order of one set of events).
ALTER TABLE payment_events ADD COLUMN payment_intent text;
CREATE INDEX payment_events_payment_intent_idx ON payment_events (payment_intent) WHERE payment_intent IS NOT NULL;
CREATE INDEX refunds_payment_intent_idx ON refunds (payment_intent);
-- What the sweep of unfinished checkouts looks for.
CREATE INDEX checkouts_unfinished_idx ON checkouts (updated_at) WHERE state IN ('CREATING', 'OPEN', 'EXPIRING');
