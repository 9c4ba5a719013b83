ALTER TABLE orders DROP COLUMN lost_minor;
