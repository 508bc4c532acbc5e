-- The fallout desk: orders that need a person, and what persons decide of them (docs/fallout.md).

-- One row from an order's first interim receipt to its final one, written in the same commits.
CREATE TABLE fallout (
    order_id    bigint PRIMARY KEY,
    kind        text NOT NULL,
    user_id     text NOT NULL,
    province    text NOT NULL,
    ne          text NOT NULL,  -- where it is stuck, and in whose words
    operation   text NOT NULL,
    verdict     text NOT NULL,
    code        text NOT NULL,
    text        text NOT NULL,
    step        text NOT NULL,  -- the transaction of the task; empty: fell out before this release
    is_undo     boolean NOT NULL,
    since       timestamptz NOT NULL,  -- the first time
    fell_at     timestamptz NOT NULL,  -- the last time
    falls       int NOT NULL DEFAULT 1,
    way         text,  -- as what a person let it go; null while it waits for one
    skipped     text[] NOT NULL DEFAULT '{}',  -- steps that count as done from now on
    reason      text NOT NULL DEFAULT '',
    operator_id text,  -- who let it go last
    bulk_id     bigint,  -- with which others
    CONSTRAINT fallout_way CHECK (way IN ('resend', 'finish', 'cancel'))
);
CREATE INDEX fallout_ne_code ON fallout (ne, code);
CREATE INDEX fallout_bulk_id ON fallout (bulk_id) WHERE bulk_id IS NOT NULL;

INSERT INTO fallout (order_id, kind, user_id, province, ne, operation, verdict, code, text, step,
    is_undo, since, fell_at, falls)
SELECT w.id, w.kind, w.user_id, w.province, coalesce(b.body ->> 'ne', ''),
    coalesce(b.body ->> 'operation', ''), coalesce(b.body ->> 'ne_class', ''),
    coalesce(b.body ->> 'ne_code', ''), coalesce(b.body ->> 'ne_text', ''), '',
    w.kind IN ('MEMBER_ACTIVATE', 'USER_OPEN', 'PRODUCT_PUBLISH', 'PRODUCT_SUBSCRIBE'),
    i.since, i.fell_at, i.falls
FROM (SELECT order_id, min(at) AS since, max(at) AS fell_at, count(*) AS falls, max(seq) AS seq
      FROM receipt WHERE NOT is_final GROUP BY order_id) AS i
JOIN work_order w ON w.id = i.order_id
JOIN receipt r ON r.seq = i.seq
CROSS JOIN LATERAL (
    SELECT replace(convert_from(r.body, 'UTF8'), '\u0000', '\ufffd')::jsonb AS body) AS b
WHERE NOT EXISTS (SELECT FROM receipt f WHERE f.order_id = i.order_id AND f.is_final);

-- What a person changed in an order; the order itself stays as upstream posted it.
CREATE TABLE order_amendment (
    order_id    bigint NOT NULL,
    number      int NOT NULL,  -- from 1
    payload     bytea NOT NULL,  -- the whole order as it holds from now on
    operator_id text NOT NULL,
    reason      text NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, number)
);

-- An act on many orders at once: proposed by one person, confirmed by another, then carried out at
-- a bounded rate, in order of id, from the cursor on.
CREATE TABLE fallout_bulk (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    act          text NOT NULL,
    chosen       jsonb NOT NULL,  -- which orders: the filter
    reason       text NOT NULL,
    state        text NOT NULL,
    proposed_by  text NOT NULL,
    proposed_at  timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    count        int NOT NULL,  -- orders that it named when it was proposed
    sample       jsonb NOT NULL,
    confirmed_by text,
    confirmed_at timestamptz,  -- orders that fell out later are not meant
    next_id      bigint NOT NULL DEFAULT 0,  -- orders below it are done with
    released     int NOT NULL DEFAULT 0,
    refused      int NOT NULL DEFAULT 0,  -- that cannot be taken so, such as a roll-back
    ended_by     text,
    ended_at     timestamptz
);
CREATE INDEX fallout_bulk_open ON fallout_bulk (state) WHERE state IN ('proposed', 'running');

-- A sheet at the EOMS about an order that fell out; another fall is another sheet.
CREATE TABLE fallout_sheet (
    transaction text PRIMARY KEY,
    order_id    bigint NOT NULL,
    state       text NOT NULL,
    asked_by    text NOT NULL,
    answer      text NOT NULL DEFAULT '',  -- as the EOMS gave it
    text        text NOT NULL DEFAULT '',
    opened_at   timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    look_at     timestamptz NOT NULL DEFAULT now()  -- when it is asked about next
);
CREATE INDEX fallout_sheet_order ON fallout_sheet (order_id);
CREATE INDEX fallout_sheet_look_at ON fallout_sheet (look_at)
    WHERE state NOT IN ('closed', 'refused');
