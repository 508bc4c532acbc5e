-- Users who go on with another card or under another number (补换卡, 改号).

-- What a change holds until it is done is a row of `binding` beside the user's: the new card or number
-- as it is; everything that the user has already, and his id, with a minus in front. So the unique
-- keys of bindings hold for it as they stand.

-- Numbers that users gave up for others: an order that was taken before names the old one.
CREATE TABLE renumbering (
    order_id bigint PRIMARY KEY,
    user_id  text NOT NULL,
    msisdn   bigint NOT NULL,  -- the one given up
    at       timestamptz NOT NULL
);
CREATE INDEX renumbering_user_id ON renumbering (user_id);
