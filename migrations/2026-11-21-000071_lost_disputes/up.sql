-- What the client's bank took back for good; it can't be refunded any more (rule 10).
ALTER TABLE orders ADD COLUMN lost_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE orders ADD CONSTRAINT orders_lost_minor_check CHECK (lost_minor BETWEEN 0 AND captured_minor);
