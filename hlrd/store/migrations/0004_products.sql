-- Products as they were published, and which users have which.

-- One version of a product. Its content never changes: users and orders keep the one they began with.
CREATE TABLE product (
    id       text NOT NULL,
    version  int NOT NULL,
    state    text NOT NULL CHECK (state IN ('staged', 'active', 'retired')),
    document bytea NOT NULL,  -- JSON, as published
    order_id bigint NOT NULL, -- the first order that published it
    since    timestamptz NOT NULL,
    PRIMARY KEY (id, version)
);
CREATE UNIQUE INDEX product_active ON product (id) WHERE state = 'active';

-- What a user has. Which functions are on at the HLR follows from it.
CREATE TABLE user_product (
    user_id    text NOT NULL,
    product    text NOT NULL,
    version    int NOT NULL,
    attributes jsonb NOT NULL,
    place      smallint NOT NULL,  -- in the order they came
    order_id   bigint NOT NULL,
    since      timestamptz NOT NULL,
    PRIMARY KEY (user_id, product),
    FOREIGN KEY (product, version) REFERENCES product (id, version)
);
CREATE INDEX user_product_product ON user_product (product, version);
