-- Segments of numbers or cards that move from one HLR to another (割接).

-- One at a time: a move that has not ended holds its orders.
CREATE TABLE route_move (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity    text NOT NULL CHECK (identity IN ('msisdn', 'imsi')),
    prefix      text NOT NULL,
    old_hlr     text NOT NULL,
    new_hlr     text NOT NULL,
    operator_id text NOT NULL,
    state       text NOT NULL CHECK (state IN ('draining', 'drained', 'switching', 'verifying',
        'unproven', 'returning', 'done', 'returned')),
    sample      int,                        -- subscribers to be asked for; null: all
    switched    bigint NOT NULL DEFAULT 0,  -- bindings that got the new home
    asked       int NOT NULL DEFAULT 0,     -- by the last verification: subscribers,
    missing     int NOT NULL DEFAULT 0,     -- of them not there as they should be,
    silent      int NOT NULL DEFAULT 0,     -- and without a word of the HLR
    examples    jsonb NOT NULL DEFAULT '[]',  -- some of those: number and why
    started_at  timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX route_move_open ON route_move ((true)) WHERE state NOT IN ('done', 'returned');
