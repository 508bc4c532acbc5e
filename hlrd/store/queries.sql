-- Every statement of hlrd but the COPY of the journal and the migrations themselves.
-- A header names it; a sentence says what it does. Loaded by queries.py.

-- name: migrate_lock
-- Make daemons that start at the same time migrate one after the other.
SELECT pg_advisory_lock(hashtextextended('hlrd migrate', 0));

-- name: migrate_unlock
-- Let the next one migrate.
SELECT pg_advisory_unlock(hashtextextended('hlrd migrate', 0));

-- name: migrate_table
-- What was applied, and what the file said then.
CREATE TABLE IF NOT EXISTS migration (
    version    int PRIMARY KEY,
    name       text NOT NULL,
    checksum   bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: migrate_list
-- The migrations of this database.
SELECT version, name, checksum FROM migration ORDER BY version;

-- name: migrate_record
-- Note one migration as applied.
INSERT INTO migration (version, name, checksum) VALUES ($1, $2, $3);

-- name: node_try_lock
-- Become the one daemon that runs as this node; false while another does.
SELECT pg_try_advisory_lock(hashtextextended('hlrd node ' || $1, 0));

-- name: node_lock
-- The same, waiting for the other one to end.
SELECT pg_advisory_lock(hashtextextended('hlrd node ' || $1, 0));

-- name: node_fence
-- Wait for the group commits of the epoch before, and hold up new ones until the epoch has moved.
SELECT pg_advisory_xact_lock(hashtextextended('hlrd fence ' || $1, 0));

-- name: node_alone
-- Let no daemon of another name enter at the same time.
SELECT pg_advisory_xact_lock(hashtextextended('hlrd nodes', 0));

-- name: node_other
-- The other node that this database belongs to.
SELECT name FROM node WHERE name <> $1 LIMIT 1;

-- name: node_next_epoch
-- Take the next epoch.
INSERT INTO epoch (node) VALUES ($1) RETURNING number;

-- name: node_enter
-- Make the epoch the node's; from here on every other one is fenced.
INSERT INTO node (name, epoch) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET epoch = $2;

-- name: node_epoch
-- The epoch that may write.
SELECT epoch FROM node WHERE name = $1;

-- name: highest_order_id
-- The last accept record by id.
SELECT coalesce(max(id), 0) FROM work_order;

-- name: node_mark
-- Write down below which id every order of the node is closed: the first open one from the old mark
-- on, or $3, below which nothing can still become durable.
UPDATE node SET low_water = coalesce(
    (SELECT w.id FROM work_order w
     WHERE w.id >= node.low_water AND w.id < $3
       AND (w.id >> 40) IN (SELECT number FROM epoch WHERE epoch.node = $1)
       AND NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = w.id AND r.is_final)
     ORDER BY w.id LIMIT 1), $3)
WHERE name = $1 AND epoch = $2
RETURNING low_water;

-- name: open_orders
-- The orders of this node that are not closed, in order of id.
SELECT w.id, w.user_id, w.priority,
    EXISTS (SELECT FROM receipt i WHERE i.order_id = w.id AND NOT i.is_final) AS in_fallout
FROM work_order w
WHERE w.id >= (SELECT low_water FROM node WHERE name = $1)
  AND (w.id >> 40) IN (SELECT number FROM epoch WHERE epoch.node = $1)
  AND NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = w.id AND r.is_final)
ORDER BY w.id;

-- name: last_seq
-- The highest receipt number given out.
SELECT coalesce(max(seq), 0) FROM receipt;

-- name: begin_fenced
-- Open a transaction that only the owner of the node's epoch may write in (one round trip).
BEGIN; SELECT fence();

-- name: journal_accepted
-- Which of these accept records stand.
SELECT id FROM work_order WHERE id = ANY($1::bigint[]);

-- name: journal_closed
-- Which of these receipts stand, or have a final one of their order standing before them.
SELECT seq, order_id, is_final FROM receipt WHERE seq = ANY($1::bigint[])
UNION ALL
SELECT seq, order_id, is_final FROM receipt WHERE order_id = ANY($2::bigint[]) AND is_final;

-- name: journal_taken_orders
-- Which of these orders are durable under another id.
SELECT source, order_id FROM work_order
JOIN unnest($1::text[], $2::text[]) AS t (source, order_id) USING (source, order_id);

-- name: journal_taken_keys
-- Which of these users, numbers, IMSIs and cards are bound.
SELECT user_id, msisdn, imsi, iccid FROM binding WHERE user_id = ANY($1::text[])
UNION
SELECT user_id, msisdn, imsi, iccid FROM binding WHERE msisdn = ANY($2::bigint[])
UNION
SELECT user_id, msisdn, imsi, iccid FROM binding WHERE imsi = ANY($3::bigint[])
UNION
SELECT user_id, msisdn, imsi, iccid FROM binding WHERE iccid = ANY($4::text[]);

-- name: journal_unbind
-- End these bindings, and note each in the past of its number.
WITH ended AS (
    DELETE FROM binding b
    USING unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
        AS t (msisdn, user_id, event, at, cause)
    WHERE b.msisdn = t.msisdn AND b.user_id = t.user_id
    RETURNING b.msisdn, t.event, b.since, t.at, b.user_id, b.iccid, b.order_id, t.cause)
INSERT INTO number_past (msisdn, event, since, at, user_id, iccid, order_id, cause)
SELECT * FROM ended;

-- name: journal_hold_numbers
-- Say what became of numbers whose binding ended. One that is in no range is never drawn; one that
-- was locked while in use stays locked. To be asked before its user's row says "terminated".
INSERT INTO number_hold AS h (msisdn, range_id, state, until, cause, user_id, in_arrears)
SELECT t.msisdn, r.id, t.state, t.until, t.cause, t.user_id, coalesce(u.reasons ? 'ARREARS', false)
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[])
    AS t (msisdn, state, until, cause, user_id)
LEFT JOIN number_range r ON int8range(r.first, r.last, '[]') @> t.msisdn
LEFT JOIN user_state u ON u.user_id = t.user_id
ON CONFLICT (msisdn) DO UPDATE SET
    state = CASE h.state WHEN 'locked' THEN h.state ELSE excluded.state END,
    until = CASE h.state WHEN 'locked' THEN NULL ELSE excluded.until END,
    cause = CASE h.state WHEN 'locked' THEN h.cause ELSE excluded.cause END,
    (user_id, in_arrears, lease_id, reservation_id) =
        (excluded.user_id, excluded.in_arrears, NULL, NULL);

-- name: journal_hold_cards
-- Say what became of cards whose binding ended.
INSERT INTO card_hold (iccid, lot_id, state)
SELECT t.iccid, c.lot_id, t.state
FROM unnest($1::text[], $2::text[]) AS t (iccid, state)
LEFT JOIN sim_card c USING (iccid)
ON CONFLICT (iccid) DO UPDATE SET (state, lease_id, reservation_id) =
    (excluded.state, NULL, NULL);

-- name: journal_put_users
-- Write down users that are not plainly active.
INSERT INTO user_state (user_id, state, reasons, order_id, since)
SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::bigint[], $5::timestamptz[])
ON CONFLICT (user_id) DO UPDATE SET (state, reasons, order_id, since) =
    (excluded.state, excluded.reasons, excluded.order_id, excluded.since);

-- name: journal_drop_users
-- These are plainly active again.
DELETE FROM user_state WHERE user_id = ANY($1::text[]);

-- name: facts_repeats
-- Which of these orders are durable already, with their answer.
SELECT t.n, w.id, w.content_hash, r.state AS receipt_state, r.body,
    b.user_id, b.msisdn, b.imsi, b.iccid, b.hlr, b.province, b.key_id, b.sealed_key
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t (source, order_id, n)
JOIN work_order w USING (source, order_id)
LEFT JOIN receipt r ON r.order_id = w.id AND r.is_final
LEFT JOIN binding b ON b.user_id = w.user_id AND b.order_id = w.id;

-- name: facts_users
-- What is known of these users; nothing of those that never were.
SELECT t.user_id AS asked, s.state, s.reasons,
    b.user_id, b.msisdn, b.imsi, b.iccid, b.hlr, b.province, b.key_id, b.sealed_key,
    EXISTS (SELECT FROM receipt r WHERE r.order_id = b.order_id AND r.is_final) AS is_opened
FROM unnest($1::text[]) AS t (user_id)
LEFT JOIN user_state s USING (user_id)
LEFT JOIN binding b USING (user_id)
WHERE s.user_id IS NOT NULL OR b.user_id IS NOT NULL;

-- name: facts_numbers
-- Range and state of these numbers; nothing of those in no range.
SELECT t.n, r.hlr, r.province, b.msisdn IS NOT NULL AS is_bound, h.state
FROM unnest($1::bigint[]) WITH ORDINALITY AS t (msisdn, n)
JOIN number_range r ON int8range(r.first, r.last, '[]') @> t.msisdn
LEFT JOIN binding b USING (msisdn)
LEFT JOIN number_hold h USING (msisdn);

-- name: facts_cards
-- These cards of the stock, and whether each may be bound (also one that is not of the stock).
SELECT t.n, t.iccid, c.imsi, c.key_id, c.sealed_key, l.hlr, l.province,
    b.iccid IS NULL AND coalesce(h.state, 'free') = 'free' AS is_free
FROM unnest($1::text[]) WITH ORDINALITY AS t (iccid, n)
LEFT JOIN sim_card c USING (iccid)
LEFT JOIN sim_lot l ON l.id = c.lot_id
LEFT JOIN binding b USING (iccid)
LEFT JOIN card_hold h USING (iccid);

-- name: facts_imsis
-- Which of these IMSIs are bound, or are another card's in the stock.
SELECT t.n FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS t (imsi, iccid, n)
WHERE EXISTS (SELECT FROM binding b WHERE b.imsi = t.imsi)
   OR EXISTS (SELECT FROM sim_card c WHERE c.imsi = t.imsi AND c.iccid <> t.iccid);

-- name: stored_orders
-- The open orders of the users who have these orders or are named, in order of id.
SELECT w.id, w.source, w.order_id, w.kind, w.user_id AS asked, w.priority, w.content_hash,
    w.payload, w.accepted_at, b.order_id AS bound_by, s.state, s.reasons,
    b.user_id, b.msisdn, b.imsi, b.iccid, b.hlr, b.province, b.key_id, b.sealed_key,
    EXISTS (SELECT FROM receipt o WHERE o.order_id = b.order_id AND o.is_final) AS is_opened
FROM (SELECT user_id FROM work_order WHERE id = ANY($1::bigint[])
      UNION SELECT unnest($2::text[])) AS t
JOIN work_order w USING (user_id)
LEFT JOIN user_state s USING (user_id)
LEFT JOIN binding b USING (user_id)
WHERE NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = w.id AND r.is_final)
ORDER BY w.id;

-- name: lease_ranges
-- All ranges with their secret and what is on their free list (counted up to a bound).
SELECT r.id, r.pool, r.first, r.last, r.digits, r.province, r.hlr, r.counter, p.secret,
    (SELECT count(*) FROM (
        SELECT FROM number_hold h
        WHERE h.range_id = r.id AND h.state = 'free' AND h.lease_id IS NULL
          AND h.grade IS NULL LIMIT 100000) AS few
    ) AS recycled
FROM number_range r JOIN pool p ON p.name = r.pool
ORDER BY r.id;

-- name: lease_lots
-- All lots with what is on their free list, the oldest first.
SELECT l.id, l.name, l.province, l.hlr, l.quantity, l.counter,
    (SELECT count(*) FROM (
        SELECT FROM card_hold h
        WHERE h.lot_id = l.id AND h.state = 'free' AND h.lease_id IS NULL LIMIT 100000) AS few
    ) AS recycled
FROM sim_lot l
WHERE l.is_ready
ORDER BY l.id;

-- name: lease_take_range
-- Move the counter of a range on by up to $2 places.
WITH old AS (
    SELECT id, counter, least($2::bigint, last - first + 1 - counter)::int AS count,
        last - first + 1 AS size
    FROM number_range WHERE id = $1 FOR UPDATE)
UPDATE number_range r SET counter = old.counter + old.count FROM old WHERE r.id = old.id
RETURNING old.counter AS start, old.count, old.size - old.counter - old.count AS unleased;

-- name: lease_take_lot
-- Move the counter of a lot on by up to $2 rows.
WITH old AS (
    SELECT id, counter, least($2::bigint, quantity - counter)::int AS count, quantity AS size
    FROM sim_lot WHERE id = $1 FOR UPDATE)
UPDATE sim_lot l SET counter = old.counter + old.count FROM old WHERE l.id = old.id
RETURNING old.counter AS start, old.count, old.size - old.counter - old.count AS unleased;

-- name: lease_add
-- Note whose the places or rows are.
INSERT INTO lease (what, source_id, start, count, epoch) VALUES ($1, $2, $3, $4, $5) RETURNING id;

-- name: lease_pick_numbers
-- Take up to $2 numbers of a range off the free list.
UPDATE number_hold SET lease_id = $3 WHERE msisdn IN (
    SELECT h.msisdn FROM number_hold h
    WHERE h.range_id = $1 AND h.state = 'free' AND h.lease_id IS NULL AND h.grade IS NULL
      AND NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn)
    LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING msisdn;

-- name: lease_pick_cards
-- Take up to $2 cards of a lot off the free list.
UPDATE card_hold SET lease_id = $3 WHERE iccid IN (
    SELECT h.iccid FROM card_hold h
    WHERE h.lot_id = $1 AND h.state = 'free' AND h.lease_id IS NULL
      AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = h.iccid)
    LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING iccid;

-- name: lease_left_numbers
-- What a range still has for later leases.
SELECT last - first + 1 - counter AS unleased,
    (SELECT count(*) FROM (SELECT FROM number_hold h
     WHERE h.range_id = $1 AND h.state = 'free' AND h.lease_id IS NULL
       AND h.grade IS NULL LIMIT 100000) AS few
    ) AS recycled
FROM number_range WHERE id = $1;

-- name: lease_left_cards
-- What a lot still has for later leases.
SELECT quantity - counter AS unleased,
    (SELECT count(*) FROM (SELECT FROM card_hold h
     WHERE h.lot_id = $1 AND h.state = 'free' AND h.lease_id IS NULL LIMIT 100000) AS few
    ) AS recycled
FROM sim_lot WHERE id = $1;

-- name: lease_unavailable
-- Which of these numbers are bound, or held whatever the reason.
SELECT msisdn FROM binding WHERE msisdn = ANY($1::bigint[])
UNION ALL
SELECT msisdn FROM number_hold WHERE msisdn = ANY($1::bigint[]);

-- name: lease_held_numbers
-- The recycled numbers of a lease that are still idle.
SELECT h.msisdn FROM number_hold h
WHERE h.lease_id = $1 AND NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn);

-- name: lease_cards
-- The cards of a lease that are still in stock.
SELECT c.iccid, c.imsi, c.key_id, c.sealed_key, l.hlr, l.province
FROM sim_card c JOIN sim_lot l ON l.id = c.lot_id
WHERE c.lot_id = $1 AND c.row_no >= $2 AND c.row_no < $2::bigint + $3
  AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = c.iccid)
  AND NOT EXISTS (SELECT FROM card_hold h WHERE h.iccid = c.iccid)
UNION ALL
SELECT c.iccid, c.imsi, c.key_id, c.sealed_key, l.hlr, l.province
FROM card_hold h JOIN sim_card c USING (iccid) JOIN sim_lot l ON l.id = c.lot_id
WHERE h.lease_id = $4 AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = h.iccid);

-- name: lease_unknown
-- A lease of this epoch and source whose commit was never answered.
SELECT id, start, count FROM lease
WHERE epoch = $1 AND what = $2 AND source_id = $3 AND NOT id = ANY($4::bigint[]);

-- name: lease_inherit
-- Take over what earlier runs of this node had in memory.
UPDATE lease SET epoch = $2
WHERE epoch IN (SELECT number FROM epoch WHERE node = $1) AND epoch <> $2
RETURNING id, what, source_id, start, count;

-- name: lease_return_numbers
-- Put fresh numbers that were leased and not used on the free list.
INSERT INTO number_hold (msisdn, range_id, state, cause)
SELECT t.msisdn, l.source_id, 'free', 'returned'
FROM unnest($2::bigint[]) AS t (msisdn), lease l WHERE l.id = $1
ON CONFLICT (msisdn) DO NOTHING;

-- name: lease_return_cards
-- Put fresh cards that were leased and not used on the free list.
INSERT INTO card_hold (iccid, lot_id, state)
SELECT t.iccid, l.source_id, 'free'
FROM unnest($2::text[]) AS t (iccid), lease l WHERE l.id = $1
ON CONFLICT (iccid) DO NOTHING;

-- name: lease_forget_numbers
-- A recycled number that is bound needs its row no more, until it is released again.
DELETE FROM number_hold h
WHERE h.lease_id = $1 AND EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn);

-- name: lease_forget_cards
-- A recycled card that is bound needs its row no more, until it is released again.
DELETE FROM card_hold h
WHERE h.lease_id = $1 AND EXISTS (SELECT FROM binding b WHERE b.iccid = h.iccid);

-- name: lease_free_numbers
-- What else was picked from the free list is back on it.
UPDATE number_hold SET lease_id = NULL WHERE lease_id = $1;

-- name: lease_free_cards
-- What else was picked from the free list is back on it.
UPDATE card_hold SET lease_id = NULL WHERE lease_id = $1;

-- name: lease_end
-- The lease is over.
DELETE FROM lease WHERE id = $1;

-- name: grade_numbers
-- Keep graded numbers that a lease has come to out of every draw.
INSERT INTO number_hold (msisdn, range_id, state, cause, grade)
SELECT t.msisdn, $1, 'free', 'graded', t.grade
FROM unnest($2::bigint[], $3::text[]) AS t (msisdn, grade)
ON CONFLICT (msisdn) DO UPDATE SET (grade, lease_id) = (excluded.grade, NULL)
WHERE number_hold.state = 'free';

-- name: grading
-- By which rules the grades were given.
SELECT rules FROM grading;

-- name: grading_put
-- Every grade is by these rules now.
WITH gone AS (DELETE FROM grading) INSERT INTO grading (rules) VALUES ($1);

-- name: graded_after
-- Numbers with a grade, some at a time.
SELECT msisdn, grade FROM number_hold WHERE grade IS NOT NULL AND msisdn > $1
ORDER BY msisdn LIMIT $2;

-- name: grade_again
-- Other rules, other grades; without one a number is drawn at random.
UPDATE number_hold h SET grade = t.grade
FROM unnest($1::bigint[], $2::text[]) AS t (msisdn, grade) WHERE h.msisdn = t.msisdn;

-- name: recycle_quarantined
-- Numbers whose quarantine has ended are idle again; some at a time.
UPDATE number_hold SET (state, until) = ('free', NULL) WHERE msisdn IN (
    SELECT msisdn FROM number_hold
    WHERE state = 'quarantined' AND until <= now()
    ORDER BY until LIMIT $1 FOR UPDATE SKIP LOCKED);

-- name: order_by_id
-- One order with its user's binding.
SELECT w.id, w.source, w.order_id, w.kind, w.user_id AS asked, w.operator_id,
    w.province AS sent_from, w.priority, w.accepted_at, w.payload,
    b.user_id, b.msisdn, b.imsi, b.iccid, b.hlr, b.province, b.key_id, b.sealed_key
FROM work_order w LEFT JOIN binding b USING (user_id)
WHERE w.id = $1;

-- name: order_by_key
-- The same by upstream's own id.
SELECT w.id, w.source, w.order_id, w.kind, w.user_id AS asked, w.operator_id,
    w.province AS sent_from, w.priority, w.accepted_at, w.payload,
    b.user_id, b.msisdn, b.imsi, b.iccid, b.hlr, b.province, b.key_id, b.sealed_key
FROM work_order w LEFT JOIN binding b USING (user_id)
WHERE w.source = $1 AND w.order_id = $2;

-- name: order_receipts
-- Its receipts, oldest first.
SELECT is_final, state, body, trail, at FROM receipt WHERE order_id = $1 AND is_final
UNION ALL
SELECT is_final, state, body, trail, at FROM receipt WHERE order_id = $1 AND NOT is_final
ORDER BY is_final, at;

-- name: receipts_after
-- Receipts of a source past a cursor, up to the mark below which none can appear any more.
SELECT seq, body FROM receipt WHERE source = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4;

-- name: receipt_cursors
-- How far each source had fetched.
SELECT source, seq FROM receipt_cursor;

-- name: receipt_cursor_put
-- Note how far a source has fetched.
INSERT INTO receipt_cursor (source, seq) VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE SET seq = greatest(receipt_cursor.seq, excluded.seq);

-- name: receipts_pending
-- Receipts that wait for their source, counted up to a bound.
SELECT count(*) FROM (SELECT FROM receipt WHERE source = $1 AND seq > $2 LIMIT 1000000) AS few;

-- name: pools
-- Every pool.
SELECT name FROM pool ORDER BY name;

-- name: pool_add
-- A new pool under a name that is free.
INSERT INTO pool (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING name;

-- name: range_add
-- A new range.
INSERT INTO number_range (pool, first, last, digits, province, hlr)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING id;

-- name: range_counts
-- Every range with its numbers by state, but for those in the memory of a node.
SELECT r.id, r.pool, r.first, r.last, r.province, r.hlr, r.last - r.first + 1 AS size,
    (SELECT count(*) FROM binding b WHERE b.msisdn BETWEEN r.first AND r.last) AS in_use,
    count(h.msisdn) FILTER (WHERE h.state = 'reserved') AS reserved,
    count(h.msisdn) FILTER (WHERE h.state = 'quarantined') AS quarantined,
    count(h.msisdn) FILTER (WHERE h.state = 'locked') AS locked
FROM number_range r
LEFT JOIN number_hold h ON h.range_id = r.id AND h.state <> 'free'
    AND NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn)
GROUP BY r.id
ORDER BY r.first;

-- name: leases
-- What every node has in memory.
SELECT id, what, source_id, start, count FROM lease ORDER BY id;

-- name: number
-- One number of a range, and who has it or why it is held.
SELECT r.pool, r.province, r.hlr, b.user_id, b.iccid, h.state, h.until,
    h.lease_id IS NOT NULL AS is_leased, r.id AS range_id
FROM number_range r
LEFT JOIN binding b ON b.msisdn = $1
LEFT JOIN number_hold h ON h.msisdn = $1
WHERE int8range(r.first, r.last, '[]') @> $1::bigint;

-- name: lots
-- Every lot, with its cards by state. What is in use is counted once for all lots.
WITH used AS (
    SELECT c.lot_id, count(*) AS cards
    FROM binding b JOIN sim_card c USING (iccid) GROUP BY c.lot_id
)
SELECT l.name, l.vendor, l.province, l.hlr, l.quantity,
    coalesce((SELECT cards FROM used u WHERE u.lot_id = l.id), 0) AS in_use,
    (SELECT count(*) FROM card_hold h WHERE h.lot_id = l.id AND h.state = 'scrapped'
       AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = h.iccid)) AS scrapped,
    (SELECT count(*) FROM lease e JOIN sim_card c ON c.lot_id = e.source_id
       AND c.row_no >= e.start AND c.row_no < e.start + e.count
     WHERE e.what = 'cards' AND e.source_id = l.id
       AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = c.iccid)
       AND NOT EXISTS (SELECT FROM card_hold h WHERE h.iccid = c.iccid))
    + (SELECT count(*) FROM card_hold h WHERE h.lot_id = l.id AND h.lease_id IS NOT NULL
         AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = h.iccid)) AS leased
FROM sim_lot l
WHERE $1::text IS NULL OR l.name = $1
ORDER BY l.id;

-- name: lot_by_file
-- The lot that this very file was imported as.
SELECT province, hlr FROM sim_lot WHERE file_hash = $1;

-- name: lot_add
-- A new lot under a name that is free.
INSERT INTO sim_lot (name, vendor, province, hlr, quantity, file_hash)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id;

-- name: cards_in_stock
-- Which of these cards, by ICCID or IMSI, are in stock or in use already.
SELECT t.n FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS t (iccid, imsi, n)
WHERE EXISTS (SELECT FROM sim_card c WHERE c.iccid = t.iccid)
   OR EXISTS (SELECT FROM sim_card c WHERE c.imsi = t.imsi)
   OR EXISTS (SELECT FROM binding b WHERE b.iccid = t.iccid)
   OR EXISTS (SELECT FROM binding b WHERE b.imsi = t.imsi)
   OR EXISTS (SELECT FROM card_hold h WHERE h.iccid = t.iccid)
ORDER BY t.n;

-- name: audit_counts
-- What the journal holds, and what must not be.
SELECT
    (SELECT count(*) FROM work_order) AS orders,
    (SELECT count(*) FROM receipt WHERE is_final) AS final_receipts,
    (SELECT count(*) FROM binding) AS bindings,
    (SELECT count(*) FROM work_order w WHERE NOT EXISTS
        (SELECT FROM receipt r WHERE r.order_id = w.id AND r.is_final)) AS open_orders,
    (SELECT count(*) FROM receipt r WHERE r.is_final AND NOT EXISTS
        (SELECT FROM work_order w WHERE w.id = r.order_id)) AS receipts_without_order,
    (SELECT count(*) - count(DISTINCT (source, order_id)) FROM work_order) AS orders_twice,
    (SELECT count(*) - count(DISTINCT order_id) FROM receipt WHERE is_final) AS receipts_twice,
    (SELECT 3 * count(*) - count(DISTINCT msisdn) - count(DISTINCT imsi) - count(DISTINCT iccid)
     FROM binding) AS identities_twice,
    (SELECT count(*) FROM number_hold h WHERE h.lease_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM lease e WHERE e.id = h.lease_id))
    + (SELECT count(*) FROM card_hold h WHERE h.lease_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM lease e WHERE e.id = h.lease_id)) AS holds_stranded,
    (SELECT count(*) FROM sim_lot l JOIN sim_card c ON c.lot_id = l.id AND c.row_no < l.counter
     WHERE NOT EXISTS (SELECT FROM binding b WHERE b.iccid = c.iccid)
       AND NOT EXISTS (SELECT FROM card_hold h WHERE h.iccid = c.iccid)
       AND NOT EXISTS (SELECT FROM lease e WHERE e.what = 'cards' AND e.source_id = l.id
                       AND c.row_no >= e.start AND c.row_no < e.start + e.count)) AS cards_leaked;
