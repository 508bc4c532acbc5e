-- Orders that are carried out by many others: of a file (批量工单), or of all members of an EC.

-- A batch is in the book from its file's arrival on; the walk over an EC's members from its order's
-- turn on.
CREATE TABLE batch (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('BATCH', 'EC_SUSPEND_ALL', 'EC_RESUME_ALL')),
    source       text NOT NULL,
    order_id     text NOT NULL,     -- upstream's
    work_order   bigint,            -- the order of it, once that has its turn
    operator_id  text NOT NULL,
    province     text NOT NULL,
    priority     smallint NOT NULL, -- of the children
    child        text,              -- their kind; null: as the EC's order says
    state        text NOT NULL CHECK (state IN ('waiting', 'checking', 'reserving', 'ready',
        'running', 'paused', 'stopping', 'done', 'refused')),
    -- Of a file:
    content_hash bytea,             -- of file and parameters, telling a repeat
    file_hash    bytea,
    file_bytes   bigint,
    format       text CHECK (format IN ('csv', 'ndjson')),
    charset      text,
    common       jsonb,             -- fields that hold for every row
    cards        text[],            -- first and last ICCID of the range that rows get cards of
    is_partial   boolean NOT NULL DEFAULT false,
    checked      int NOT NULL DEFAULT 0,  -- rows looked at
    faults       int NOT NULL DEFAULT 0,
    reservations jsonb NOT NULL DEFAULT '{}',  -- ids by what they were made for
    -- Of an EC:
    ec_code      text,
    reason       text,
    seq          bigint,            -- of its order, as upstream counts
    -- Progress:
    rows         int,               -- of the file, good and bad; members, as counted at the start
    cursor       text NOT NULL DEFAULT '',  -- the last row, or member, that was handed in
    sent         int NOT NULL DEFAULT 0,    -- rows noted as handed in, or as never to be
    ok           int NOT NULL DEFAULT 0,
    failed       int NOT NULL DEFAULT 0,
    mark         text NOT NULL DEFAULT '',
    code         text,              -- why refused, as docs/api.md lists it
    cause        text,
    started_at   timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz
);
-- One that was refused may come again, under its id and corrected.
CREATE UNIQUE INDEX batch_order_id ON batch (source, order_id) WHERE state <> 'refused';
CREATE UNIQUE INDEX batch_work_order ON batch (work_order);
CREATE INDEX batch_open ON batch (id) WHERE state NOT IN ('done', 'refused');
CREATE INDEX batch_ec ON batch (ec_code, reason, id) WHERE ec_code IS NOT NULL;

-- One row, from the moment before its child is handed in. Its state is in no index: the update that
-- ends it stays in its page.
CREATE TABLE batch_row (
    batch    bigint NOT NULL REFERENCES batch,
    row_no   int NOT NULL,
    user_id  text NOT NULL,
    state    text NOT NULL CHECK (state IN ('sent', 'succeeded', 'failed', 'left')),
    order_id bigint,                -- hlrd's, once known
    msisdn   text,
    iccid    text,
    code     text,
    PRIMARY KEY (batch, row_no)
) WITH (fillfactor = 70);
