-- When an order's turn comes, where there is more to it than the order of acceptance.

-- Only of orders that are dated ahead, came late, or carry a business key.
CREATE TABLE turn (
    order_id     bigint PRIMARY KEY,
    user_id      text NOT NULL,
    due_at       timestamptz,        -- dated ahead
    place        bigint,             -- among its user's orders, once it fell due
    is_over      boolean NOT NULL DEFAULT false,  -- of one dated ahead: it is closed
    after        bigint NOT NULL DEFAULT 0,  -- it goes behind its user's orders up to this place
    business_key text
);
CREATE INDEX turn_due ON turn (due_at, order_id)
    WHERE due_at IS NOT NULL AND place IS NULL AND NOT is_over;
CREATE INDEX turn_scheduled ON turn (user_id)
    WHERE due_at IS NOT NULL AND place IS NULL AND NOT is_over;
CREATE INDEX turn_fallen_due ON turn (order_id) WHERE place IS NOT NULL AND NOT is_over;
CREATE INDEX turn_business_key ON turn (user_id, business_key) WHERE business_key IS NOT NULL;

-- How far upstream's sequence of a user has come: by suspension reason or product the highest number
-- applied, and under '' the highest used up.
CREATE TABLE user_sequence (
    user_id text NOT NULL,
    subject text NOT NULL,
    seq     bigint NOT NULL,
    PRIMARY KEY (user_id, subject)
);
