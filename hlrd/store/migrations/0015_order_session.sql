-- By which session of its source an order came: <user>-<epoch>-<number>, in the audit trail too.

ALTER TABLE work_order ADD COLUMN session text;
