-- The audit trail: rows are added and never changed. What each hash covers: hlrd/domain/audit.py.

CREATE TABLE audit_trail (
    seq      bigint PRIMARY KEY,
    at       timestamptz NOT NULL,
    actor    text NOT NULL,
    source   text NOT NULL,
    action   text NOT NULL,
    subject  text NOT NULL,
    order_id bigint,
    before   text,            -- JSON as it was hashed, to the character
    after    text,
    hash     bytea NOT NULL
);
CREATE INDEX audit_trail_subject ON audit_trail (subject, seq);
CREATE INDEX audit_trail_actor ON audit_trail (actor, seq);
CREATE INDEX audit_trail_order_id ON audit_trail (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX audit_trail_at ON audit_trail (at);

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is only added to: % is refused', TG_OP;
END $$;
CREATE TRIGGER audit_trail_rows_stand BEFORE UPDATE OR DELETE ON audit_trail
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_trail_stands BEFORE TRUNCATE ON audit_trail
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
