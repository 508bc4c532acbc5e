-- The journal (insert-only but for bindings and user_state), the number pool and the SIM stock.
-- Why it is cut like this: docs/adr/0003-journal-by-group-commit.md.

-- Every start of a node takes the next epoch; the order ids of an epoch begin at epoch << 40.
CREATE TABLE epoch (
    number   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node     text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE node (
    name      text PRIMARY KEY,
    epoch     int NOT NULL,
    low_water bigint NOT NULL DEFAULT 0  -- every order of the node below it is closed
);

-- Opens a writing transaction: a takeover waits for the ones that run and stops the ones to come.
-- A function, so that the epoch is read by a statement of its own, after the lock is held.
CREATE FUNCTION fence() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(
        hashtextextended('hlrd fence ' || current_setting('hlrd.node'), 0));
    PERFORM FROM node
        WHERE name = current_setting('hlrd.node') AND epoch = current_setting('hlrd.epoch')::int;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another daemon runs as node %', current_setting('hlrd.node')
            USING ERRCODE = 'HLR01';
    END IF;
END $$;

CREATE TABLE work_order (
    id           bigint PRIMARY KEY,
    source       text NOT NULL,
    order_id     text NOT NULL,
    kind         text NOT NULL,
    user_id      text NOT NULL,
    operator_id  text NOT NULL,
    province     text NOT NULL,
    priority     smallint NOT NULL,
    content_hash bytea NOT NULL,
    payload      bytea NOT NULL,
    accepted_at  timestamptz NOT NULL,
    CONSTRAINT work_order_source_order_id UNIQUE (source, order_id)
);
CREATE INDEX work_order_user_id ON work_order (user_id);

-- One number, card and user in use together. The unique keys make a double allocation impossible.
CREATE TABLE binding (
    msisdn     bigint PRIMARY KEY,
    imsi       bigint NOT NULL CONSTRAINT binding_imsi UNIQUE,  -- 15 digits when padded with zeros
    iccid      text NOT NULL CONSTRAINT binding_iccid UNIQUE,
    user_id    text NOT NULL CONSTRAINT binding_user_id UNIQUE,
    order_id   bigint NOT NULL,  -- the order that made it
    hlr        text NOT NULL,
    province   text NOT NULL,
    key_id     text NOT NULL,
    sealed_key bytea NOT NULL,
    since      timestamptz NOT NULL
);

-- An order is open until it has its final receipt.
CREATE TABLE receipt (
    seq      bigint PRIMARY KEY,
    order_id bigint NOT NULL,
    source   text NOT NULL,
    user_id  text NOT NULL,
    is_final boolean NOT NULL,
    state    text NOT NULL,
    body     bytea NOT NULL,
    trail    bytea NOT NULL,
    at       timestamptz NOT NULL
);
CREATE UNIQUE INDEX receipt_final ON receipt (order_id) WHERE is_final;
CREATE INDEX receipt_interim ON receipt (order_id) WHERE NOT is_final;
CREATE INDEX receipt_source_seq ON receipt (source, seq);

-- How far each source has fetched its receipts; for the dashboard only.
CREATE TABLE receipt_cursor (
    source text PRIMARY KEY,
    seq    bigint NOT NULL
);

-- A bound user without a row is active with no reasons, or provisioning until its opening closes.
CREATE TABLE user_state (
    user_id  text PRIMARY KEY,
    state    text NOT NULL,
    reasons  jsonb NOT NULL,
    order_id bigint NOT NULL,
    since    timestamptz NOT NULL
);

CREATE TABLE pool (
    name       text PRIMARY KEY,
    secret     bytea NOT NULL,  -- keys the permutation: who knows it can guess the next number
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE number_range (
    id       int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool     text NOT NULL REFERENCES pool,
    first    bigint NOT NULL,
    last     bigint NOT NULL CHECK (first <= last),
    digits   smallint NOT NULL CHECK (digits IN (11, 13)),
    province text NOT NULL,
    hlr      text NOT NULL,
    counter  bigint NOT NULL DEFAULT 0,  -- places of the permutation leased so far
    CONSTRAINT number_range_overlap EXCLUDE USING gist (int8range(first, last, '[]') WITH &&)
);

-- A number that was bound once and is not now. From its first release on, a number is bound or has
-- a row here, and the counter of its range passes it by.
CREATE TABLE number_hold (
    msisdn   bigint PRIMARY KEY,
    range_id int REFERENCES number_range,  -- null: in no range, so never drawn
    state    text NOT NULL CHECK (state IN ('free', 'quarantined', 'locked')),
    until    timestamptz,  -- end of the quarantine
    cause    text NOT NULL,
    user_id  text,  -- who had it last
    lease_id bigint  -- free, and in the memory of the node that has this lease
);
CREATE INDEX number_hold_until ON number_hold (until) WHERE state = 'quarantined';
CREATE INDEX number_hold_free ON number_hold (range_id) WHERE state = 'free' AND lease_id IS NULL;
CREATE INDEX number_hold_lease ON number_hold (lease_id) WHERE lease_id IS NOT NULL;

CREATE TABLE sim_lot (
    id        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text NOT NULL UNIQUE,
    vendor    text NOT NULL,
    province  text NOT NULL,
    hlr       text NOT NULL,
    quantity  int NOT NULL CHECK (quantity > 0),
    file_hash bytea NOT NULL UNIQUE,
    counter   bigint NOT NULL DEFAULT 0,  -- rows leased so far
    loaded_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sim_card (
    lot_id     int NOT NULL REFERENCES sim_lot,
    row_no     int NOT NULL,  -- from 0
    iccid      text NOT NULL CONSTRAINT sim_card_iccid UNIQUE,
    imsi       bigint NOT NULL CONSTRAINT sim_card_imsi UNIQUE,
    key_id     text NOT NULL,
    sealed_key bytea NOT NULL,
    PRIMARY KEY (lot_id, row_no)
);

-- As number_hold, for cards.
CREATE TABLE card_hold (
    iccid    text PRIMARY KEY,
    lot_id   int REFERENCES sim_lot,  -- null: not of the stock
    state    text NOT NULL CHECK (state IN ('free', 'scrapped')),
    lease_id bigint
);
CREATE INDEX card_hold_free ON card_hold (lot_id) WHERE state = 'free' AND lease_id IS NULL;
CREATE INDEX card_hold_lease ON card_hold (lease_id) WHERE lease_id IS NOT NULL;

-- What a node has in memory: places [start, start + count) of a range's permutation or of a lot's
-- rows, and the free holds that name the lease. Less what is bound or held otherwise by now.
CREATE TABLE lease (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what      text NOT NULL CHECK (what IN ('numbers', 'cards')),
    source_id int NOT NULL,  -- the range, or the lot
    start     bigint NOT NULL,
    count     int NOT NULL CHECK (count >= 0),
    epoch     int NOT NULL
);
