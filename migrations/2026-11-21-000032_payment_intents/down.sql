DROP INDEX checkouts_unfinished_idx;
DROP INDEX refunds_payment_intent_idx;
DROP INDEX payment_events_payment_intent_idx;
ALTER TABLE payment_events DROP COLUMN payment_intent;
