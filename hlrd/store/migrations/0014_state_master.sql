-- Who is master of user state, where it was switched while running; else the settings say.

CREATE TABLE state_master (
    province    text PRIMARY KEY,
    master      text NOT NULL CHECK (master IN ('BOSS', 'CRM', 'backup')),
    next        text CHECK (next IN ('BOSS', 'CRM', 'backup')),  -- while it drains
    operator_id text NOT NULL,       -- who asked for what holds, or for what is to come
    since       timestamptz NOT NULL DEFAULT now()
);
