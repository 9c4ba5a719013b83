DROP TRIGGER booking_events_erasure_only ON booking_events;
DROP TRIGGER booking_events_append_only ON booking_events;
CREATE TRIGGER booking_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON booking_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP FUNCTION refuse_change_but_erasure;
