DROP INDEX audit_events_refused_idx;
DROP INDEX audit_events_ip_address_idx;
DROP INDEX audit_events_action_idx;
