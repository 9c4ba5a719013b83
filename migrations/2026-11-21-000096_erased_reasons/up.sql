-- A person who is deleted takes along what they typed: the reason of an entry may go, and nothing else of it changes.

CREATE FUNCTION refuse_change_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    OLD.reason := NULL;
    IF NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER booking_events_append_only ON booking_events;
CREATE TRIGGER booking_events_append_only BEFORE DELETE OR TRUNCATE ON booking_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER booking_events_erasure_only BEFORE UPDATE ON booking_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change_but_erasure();
