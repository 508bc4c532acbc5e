-- What people said of network elements.

-- Keep from it: send nothing, log out. One word per element; a later one takes its place.
CREATE TABLE ne_halt (
    ne       text PRIMARY KEY,
    kind     text NOT NULL CHECK (kind IN ('hold', 'drain')),
    cause    text NOT NULL,
    since    timestamptz NOT NULL,
    until    timestamptz,  -- of a hold; a drain ends by a release
    CHECK ((kind = 'hold') = (until IS NOT NULL))
);
