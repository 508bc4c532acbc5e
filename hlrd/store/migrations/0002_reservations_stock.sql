-- Reservations, grades, the staff's work on numbers and cards, and imports that can be resumed.

-- Numbers, and cards if wanted, kept for one owner until a time is over (预占).
CREATE TABLE reservation (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source       text NOT NULL,
    key          text NOT NULL,  -- the Idempotency-Key of the request that made it
    content_hash bytea NOT NULL, -- of that request
    operator_id  text NOT NULL,
    pool         text NOT NULL REFERENCES pool,
    province     text NOT NULL,
    digits       smallint NOT NULL,
    hlr          text,           -- null: numbers of any home HLR
    grade        text,           -- null: plain numbers
    with_cards   boolean NOT NULL,
    asked        int NOT NULL,   -- numbers asked for; with `partial` fewer may be granted
    granted      int,            -- null: being filled, and shown to nobody yet
    state        text NOT NULL CHECK (state IN ('filling', 'open', 'cancelled', 'expired')),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    closed_at    timestamptz,
    is_released  boolean NOT NULL DEFAULT false,  -- what no order confirmed is idle again
    CONSTRAINT reservation_source_key UNIQUE (source, key)
);
CREATE INDEX reservation_expires_at ON reservation (expires_at) WHERE NOT is_released;

-- A number that was bound once and is not, is reserved, locked, or of a grade and passed by the
-- counter. Beside a binding, 'locked' means locked by staff while in use, 'reserved' that the
-- binding confirmed the reservation; any other is out of date.
ALTER TABLE number_hold DROP CONSTRAINT number_hold_state_check;
ALTER TABLE number_hold ADD CONSTRAINT number_hold_state_check
    CHECK (state IN ('free', 'reserved', 'quarantined', 'locked'));
ALTER TABLE number_hold ADD COLUMN grade text;  -- never drawn at random while it has one
ALTER TABLE number_hold ADD COLUMN reservation_id bigint REFERENCES reservation;
ALTER TABLE number_hold ADD COLUMN in_arrears boolean NOT NULL DEFAULT false; -- when its user left
DROP INDEX number_hold_until;
CREATE INDEX number_hold_due ON number_hold (range_id, until)
    WHERE state = 'quarantined' AND NOT in_arrears;
DROP INDEX number_hold_free;
-- Where it lies on the free list: by chance, so that a lease does not take what came first, and
-- nobody can tell which numbers are leased together.
ALTER TABLE number_hold ADD COLUMN place double precision NOT NULL DEFAULT random();
CREATE INDEX number_hold_free ON number_hold (range_id, place)
    WHERE state = 'free' AND lease_id IS NULL AND grade IS NULL;
CREATE INDEX number_hold_grade ON number_hold (range_id, grade)
    WHERE state = 'free' AND grade IS NOT NULL;
CREATE INDEX number_hold_reserved ON number_hold (reservation_id, msisdn)
    WHERE reservation_id IS NOT NULL;

ALTER TABLE card_hold DROP CONSTRAINT card_hold_state_check;
ALTER TABLE card_hold ADD CONSTRAINT card_hold_state_check
    CHECK (state IN ('free', 'reserved', 'scrapped'));
ALTER TABLE card_hold ADD COLUMN cause text;
ALTER TABLE card_hold ADD COLUMN reservation_id bigint REFERENCES reservation;
CREATE INDEX card_hold_reserved ON card_hold (reservation_id, iccid)
    WHERE reservation_id IS NOT NULL;

-- The rules by which the grades in number_hold were given.
CREATE TABLE grading (
    rules text NOT NULL
);

-- What a number went through, one row for each thing that is over: a user's time with it, a
-- reservation that ended without one, a lock. What holds now is in binding and number_hold.
CREATE TABLE number_past (
    msisdn         bigint NOT NULL,
    event          text NOT NULL,  -- NumberEvent
    since          timestamptz,    -- when what ended had begun
    at             timestamptz NOT NULL,
    user_id        text,
    iccid          text,
    order_id       bigint,
    reservation_id bigint,
    operator_id    text,           -- staff, where it was staff
    cause          text
);
CREATE INDEX number_past_msisdn ON number_past (msisdn, at);

ALTER TABLE pool ADD COLUMN low_water bigint;  -- idle numbers of a province below it are an alarm
ALTER TABLE number_range ADD COLUMN is_share boolean NOT NULL DEFAULT false;  -- cut from a national

-- Numbers drawn and returned by day (Beijing time), for the forecast.
CREATE TABLE pool_day (
    pool     text NOT NULL REFERENCES pool,
    province text NOT NULL,
    day      date NOT NULL,
    drawn    bigint NOT NULL,
    returned bigint NOT NULL,
    PRIMARY KEY (pool, province, day)
);

-- A vendor's file on its way into the stock. Its cards are in sim_card, and drawn only when all are.
CREATE TABLE sim_import (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_hash   bytea NOT NULL,
    file_bytes  bigint NOT NULL,
    lot         text,              -- as its header names it
    lot_id      int REFERENCES sim_lot,
    province    text NOT NULL,
    hlr         text NOT NULL,
    operator_id text NOT NULL,
    state       text NOT NULL
        CHECK (state IN ('waiting', 'checking', 'loading', 'removing', 'done', 'refused')),
    rows        int,               -- cards of the file, as its header announces them
    checked     int NOT NULL DEFAULT 0,
    loaded      int NOT NULL DEFAULT 0,
    faults      int NOT NULL DEFAULT 0,
    left_s      real,              -- until its end, as estimated with the last chunk
    code        text,              -- why refused, as docs/api.md lists it
    cause       text,              -- and in words
    started_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz
);
-- A file that was refused may come again.
CREATE UNIQUE INDEX sim_import_file ON sim_import (file_hash)
    WHERE state IN ('waiting', 'checking', 'loading', 'done');
CREATE INDEX sim_import_open ON sim_import (id)
    WHERE state IN ('waiting', 'checking', 'loading', 'removing');
-- So that the file of a lot that is here already is known again.
INSERT INTO sim_import (file_hash, file_bytes, lot, lot_id, province, hlr, operator_id, state,
    rows, checked, loaded, started_at, ended_at)
SELECT file_hash, 0, name, id, province, hlr, '', 'done', quantity, quantity, quantity,
    loaded_at, loaded_at FROM sim_lot;
ALTER TABLE sim_lot ADD COLUMN is_ready boolean NOT NULL DEFAULT true;  -- false while it is loaded
