-- Each filter of the audit trail alone is read from an index, in the trail's order.

CREATE INDEX audit_events_action_idx ON audit_events (action, created_at DESC, id DESC);
CREATE INDEX audit_events_ip_address_idx ON audit_events (ip_address, created_at DESC, id DESC);
-- What was done is nearly everything, and is found on the way.
CREATE INDEX audit_events_refused_idx ON audit_events (created_at DESC, id DESC) WHERE outcome = 'REFUSED';
