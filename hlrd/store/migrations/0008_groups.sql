-- Enterprises (EC), what they have, and who is a member of which.

CREATE TABLE ec (
    code     text PRIMARY KEY,
    name     text NOT NULL,
    province text NOT NULL,  -- the lead's
    since    timestamptz NOT NULL
);

-- One product that an enterprise has, or is about to have or to lose. Gone with its cancellation.
CREATE TABLE ec_subscription (
    ec_code           text NOT NULL REFERENCES ec,
    product           text NOT NULL,
    version           int NOT NULL,
    product_class     smallint NOT NULL,
    scope             text NOT NULL,
    route             text NOT NULL,
    lead_province     text NOT NULL,
    partner_provinces text[] NOT NULL,
    is_straight       boolean NOT NULL,
    state             text NOT NULL CHECK (state IN ('pending', 'active', 'ending')),
    order_id          bigint NOT NULL,  -- the last that changed its state
    since             timestamptz NOT NULL,
    PRIMARY KEY (ec_code, product),
    FOREIGN KEY (product, version) REFERENCES product (id, version)
);

-- Our own users who are members. Number and state are the user's.
CREATE TABLE ec_member (
    user_id  text PRIMARY KEY,
    ec_code  text NOT NULL,
    route    text NOT NULL,
    product  text NOT NULL,  -- that the member was reported with; may be empty
    order_id bigint NOT NULL,
    since    timestamptz NOT NULL
);
CREATE INDEX ec_member_ec_code ON ec_member (ec_code, user_id);

-- Members that partner provinces opened: all we know of them.
CREATE TABLE ec_partner_member (
    ec_code  text NOT NULL REFERENCES ec,
    msisdn   bigint NOT NULL,
    province text NOT NULL,
    order_id bigint NOT NULL,
    since    timestamptz NOT NULL,
    PRIMARY KEY (ec_code, msisdn)
);

-- Of a product that the user has as a member of an enterprise.
ALTER TABLE user_product
    ADD COLUMN ec_code       text NOT NULL DEFAULT '',
    ADD COLUMN product_class smallint NOT NULL DEFAULT 0,
    ADD COLUMN is_straight   boolean NOT NULL DEFAULT false;
CREATE INDEX user_product_ec_code ON user_product (ec_code, product) WHERE ec_code <> '';
