-- A lease has a name of its own, and what is asked for while a job runs is kept.

-- No CHECK ties the lease to `locked_until`: servers of the version before still take jobs while this is applied.
ALTER TABLE jobs
    ADD COLUMN lease uuid,
    -- When to run again after this run: set by who asks for the same work, so that the end of a run that may not have
    -- seen what they wrote does not remove the job.
    ADD COLUMN next_run_at timestamptz;
