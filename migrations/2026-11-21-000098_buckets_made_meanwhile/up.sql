-- A request takes from all of its buckets or from none. Where another request makes one of them in the same moment, that
-- one can't be taken from, so the statement has to undo the rest: as a conflict it is tried again, and finds the row there.
CREATE FUNCTION bucket_made_meanwhile() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'another request made this bucket meanwhile' USING ERRCODE = 'serialization_failure';
END
$$;
