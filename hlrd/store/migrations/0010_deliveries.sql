-- Receipts on their way to the endpoints of their sources. The receipt table is the outbox: what goes
-- well has no row here, the endpoint's cursor says that it is settled.

CREATE TABLE receipt_endpoint (
    id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source        text NOT NULL,
    name          text NOT NULL,
    since_seq     bigint NOT NULL,  -- it gets the receipts after this one
    seq           bigint NOT NULL,  -- each up to this is delivered, unless it has a row below
    failing_since timestamptz,  -- the first failure since it last took one
    UNIQUE (source, name)
);

CREATE TABLE delivery (
    endpoint_id int NOT NULL REFERENCES receipt_endpoint,
    seq         bigint NOT NULL,  -- of the receipt
    user_id     text NOT NULL,
    state       text NOT NULL CHECK (state IN ('pending', 'dead')),
    failures    int NOT NULL,
    since       timestamptz,  -- its first failure
    due_at      timestamptz NOT NULL,
    said        text NOT NULL,  -- how the last try ended
    PRIMARY KEY (endpoint_id, seq)
);
CREATE INDEX delivery_state ON delivery (endpoint_id, state, seq);
