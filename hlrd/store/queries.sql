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
-- Write down below which id every order of the node is closed, or was dated ahead: the first open one
-- from the old mark on, or $3, below which nothing can still become durable.
UPDATE node SET low_water = coalesce(
    (SELECT o.id FROM (
        SELECT w.id FROM work_order w
        WHERE w.id >= node.low_water AND w.id < $3
          AND (w.id >> 40) IN (SELECT number FROM epoch WHERE epoch.node = $1)
          AND NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = w.id AND r.is_final)
        ORDER BY w.id OFFSET 0) AS o
     WHERE NOT EXISTS (SELECT FROM turn t WHERE t.order_id = o.id AND t.due_at IS NOT NULL)
     ORDER BY o.id LIMIT 1), $3)
WHERE name = $1 AND epoch = $2
RETURNING low_water;

-- name: open_orders
-- The orders of this node that are not closed, in order of id. Of those that were dated ahead only
-- what fell due, however long ago it was accepted.
SELECT w.id, w.user_id, w.priority,
    EXISTS (SELECT FROM fallout f WHERE f.order_id = w.id AND f.way IS NULL) AS in_fallout, w.kind
FROM work_order w
WHERE w.id >= (SELECT low_water FROM node WHERE name = $1)
  AND (w.id >> 40) IN (SELECT number FROM epoch WHERE epoch.node = $1)
  AND NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = w.id AND r.is_final)
  AND NOT EXISTS (SELECT FROM turn t WHERE t.order_id = w.id AND t.due_at IS NOT NULL)
UNION ALL
SELECT w.id, w.user_id, w.priority,
    EXISTS (SELECT FROM fallout f WHERE f.order_id = w.id AND f.way IS NULL) AS in_fallout, w.kind
FROM (SELECT order_id FROM turn WHERE place IS NOT NULL AND NOT is_over OFFSET 0) AS t
JOIN work_order w ON w.id = t.order_id
WHERE (w.id >> 40) IN (SELECT number FROM epoch WHERE epoch.node = $1)
ORDER BY id;

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

-- name: journal_named
-- Note of the ranges of these numbers that some of them were not drawn.
UPDATE number_range r SET has_named = true
WHERE NOT has_named AND EXISTS (
    SELECT FROM unnest($1::bigint[]) AS t (msisdn) WHERE t.msisdn BETWEEN r.first AND r.last);

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

-- name: journal_stage_products
-- Take versions that are published for the first time; a repeat has the same content.
INSERT INTO product (id, version, state, document, order_id, since)
SELECT t.id, t.version, 'staged', t.document, t.order_id, t.since
FROM unnest($1::text[], $2::int[], $3::bytea[], $4::bigint[], $5::timestamptz[])
    AS t (id, version, document, order_id, since)
ON CONFLICT (id, version) DO NOTHING;

-- name: journal_retire_product
-- The version that was active is not offered any more.
UPDATE product SET state = 'retired' WHERE id = $1 AND version < $2 AND state = 'active';

-- name: journal_activate_product
-- Users may subscribe to this version.
UPDATE product SET state = 'active' WHERE id = $1 AND version = $2 AND state = 'staged';

-- name: journal_drop_user_products
-- Users ($1) keep the products that are named for them ($2, $3), and no other.
DELETE FROM user_product p
WHERE p.user_id = ANY($1::text[]) AND NOT EXISTS (
    SELECT FROM unnest($2::text[], $3::text[]) AS t (user_id, product)
    WHERE t.user_id = p.user_id AND t.product = p.product);

-- name: journal_put_user_products
-- What users have.
INSERT INTO user_product (user_id, product, version, attributes, place, order_id, since, ec_code,
    product_class, is_straight)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::jsonb[], $5::smallint[], $6::bigint[],
    $7::timestamptz[], $8::text[], $9::smallint[], $10::boolean[])
ON CONFLICT (user_id, product) DO UPDATE SET
    (version, attributes, place, ec_code, product_class, is_straight) =
    (excluded.version, excluded.attributes, excluded.place, excluded.ec_code,
     excluded.product_class, excluded.is_straight);

-- name: products
-- Every version of every product.
SELECT id, version, state, document, order_id, since FROM product ORDER BY id, version;

-- name: product_versions
-- The versions of one product, the newest first, and how many users have each.
SELECT p.version, p.state, p.document, p.order_id, p.since,
    (SELECT count(*) FROM user_product u WHERE (u.product, u.version) = (p.id, p.version)) AS users
FROM product p WHERE p.id = $1 ORDER BY p.version DESC;

-- name: facts_repeats
-- Which of these orders are durable already, with their answer.
SELECT t.n, w.id, w.content_hash, r.state AS receipt_state, r.body,
    EXISTS (SELECT FROM turn d WHERE d.order_id = w.id AND d.due_at IS NOT NULL
            AND d.place IS NULL AND NOT d.is_over) AS is_scheduled,
    b.user_id, b.msisdn, b.imsi, b.iccid, b.hlr, b.province, b.key_id, b.sealed_key
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t (source, order_id, n)
CROSS JOIN LATERAL (SELECT * FROM work_order u
    WHERE u.source = t.source AND u.order_id = t.order_id LIMIT 1) w
LEFT JOIN LATERAL (SELECT * FROM receipt u WHERE u.order_id = w.id AND u.is_final LIMIT 1) r ON true
LEFT JOIN LATERAL (SELECT * FROM binding u WHERE u.user_id IN (w.user_id, '-' || w.user_id)
                   AND u.order_id = w.id LIMIT 1) b ON true;

-- name: facts_users
-- What is known of these users; nothing of those that never were. One lookup by key for each, by
-- LIMIT: a plan for tables that were small would walk them whole when they are not (test_plans).
SELECT t.user_id AS asked, s.state, s.reasons,
    (SELECT jsonb_agg(jsonb_build_array(p.product, p.version, p.attributes, p.ec_code,
        p.product_class, p.is_straight) ORDER BY p.place)
     FROM user_product p WHERE p.user_id = t.user_id) AS products,
    ARRAY(SELECT n.msisdn FROM renumbering n WHERE n.user_id = t.user_id
          ORDER BY n.at DESC LIMIT 8) AS numbers_before,
    (SELECT ARRAY[m.ec_code, m.route, m.product] FROM ec_member m
     WHERE m.user_id = t.user_id) AS member,
    b.user_id, b.msisdn, b.imsi, b.iccid, b.hlr, b.province, b.key_id, b.sealed_key,
    (SELECT r.is_final FROM receipt r WHERE r.order_id = b.order_id AND r.is_final) IS NOT NULL
        AS is_opened
FROM unnest($1::text[]) AS t (user_id)
LEFT JOIN LATERAL (SELECT * FROM user_state u WHERE u.user_id = t.user_id LIMIT 1) s ON true
LEFT JOIN LATERAL (SELECT * FROM binding u WHERE u.user_id = t.user_id LIMIT 1) b ON true
WHERE s.user_id IS NOT NULL OR b.user_id IS NOT NULL;

-- name: facts_opened_with
-- The opening of each of these users that succeeded last.
SELECT DISTINCT ON (t.user_id) t.user_id, w.payload
FROM unnest($1::text[]) AS t (user_id)
CROSS JOIN LATERAL (
    SELECT b.order_id FROM binding b WHERE b.user_id = t.user_id
    UNION ALL
    SELECT n.order_id FROM renumbering o CROSS JOIN LATERAL (SELECT u.order_id FROM number_past u
        WHERE u.msisdn = o.msisdn AND u.user_id = t.user_id OFFSET 0) n
    WHERE o.user_id = t.user_id OFFSET 0) AS made
CROSS JOIN LATERAL (SELECT * FROM work_order u WHERE u.id = made.order_id
    AND u.user_id = t.user_id AND is_opening(u.kind) LIMIT 1) w
CROSS JOIN LATERAL (SELECT FROM receipt u
    WHERE u.order_id = w.id AND u.is_final AND u.state = 'succeeded' LIMIT 1) r
ORDER BY t.user_id, w.id DESC;

-- name: facts_numbers
-- Range and state of these numbers; nothing of those in no range.
SELECT t.n, r.hlr, r.province, b.msisdn IS NOT NULL AS is_bound, h.state, h.reservation_id
FROM unnest($1::bigint[]) WITH ORDINALITY AS t (msisdn, n)
CROSS JOIN LATERAL (SELECT * FROM number_range u
    WHERE int8range(u.first, u.last, '[]') @> t.msisdn LIMIT 1) r
LEFT JOIN LATERAL (SELECT * FROM binding u WHERE u.msisdn = t.msisdn LIMIT 1) b ON true
LEFT JOIN LATERAL (SELECT * FROM number_hold u WHERE u.msisdn = t.msisdn LIMIT 1) h ON true;

-- name: facts_cards
-- These cards of the stock, and whether each may be bound (also one that is not of the stock, as
-- is one of a lot that is still being imported).
SELECT t.n, t.iccid, CASE WHEN l.is_ready THEN c.imsi END AS imsi, c.key_id, c.sealed_key,
    l.hlr, l.province,
    b.iccid IS NULL AND coalesce(h.state, 'free') IN ('free', 'reserved') AS is_free,
    CASE h.state WHEN 'reserved' THEN h.reservation_id END AS reservation_id
FROM unnest($1::text[]) WITH ORDINALITY AS t (iccid, n)
LEFT JOIN LATERAL (SELECT * FROM sim_card u WHERE u.iccid = t.iccid LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT * FROM sim_lot u WHERE u.id = c.lot_id LIMIT 1) l ON true
LEFT JOIN LATERAL (SELECT * FROM binding u WHERE u.iccid = t.iccid LIMIT 1) b ON true
LEFT JOIN LATERAL (SELECT * FROM card_hold u WHERE u.iccid = t.iccid LIMIT 1) h ON true;

-- name: facts_imsis
-- Which of these IMSIs are bound, or are another card's in the stock; where no card is named, of any
-- that may still be drawn.
SELECT t.n FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS t (imsi, iccid, n)
WHERE (SELECT true FROM binding b WHERE b.imsi = t.imsi)
   OR (SELECT true FROM sim_card c WHERE c.imsi = t.imsi AND c.iccid <> t.iccid
       AND (t.iccid <> '' OR (SELECT true FROM card_hold h
                              WHERE h.iccid = c.iccid AND h.state = 'scrapped') IS NULL));

-- name: stored_orders
-- The open orders of the users who have these orders or are named, in order of id. $3: also those
-- whose time is to come.
SELECT w.id, w.source, w.order_id, w.kind, w.user_id AS asked, w.priority, w.content_hash,
    w.payload, w.accepted_at, b.order_id AS bound_by, s.state, s.reasons,
    (SELECT jsonb_agg(jsonb_build_array(p.product, p.version, p.attributes, p.ec_code,
        p.product_class, p.is_straight) ORDER BY p.place)
     FROM user_product p WHERE p.user_id = w.user_id) AS products,
    ARRAY(SELECT n.msisdn FROM renumbering n WHERE n.user_id = w.user_id
          ORDER BY n.at DESC LIMIT 8) AS numbers_before,
    c.msisdn AS claim_msisdn, c.imsi AS claim_imsi, c.iccid AS claim_iccid, c.hlr AS claim_hlr,
    c.province AS claim_province, c.key_id AS claim_key_id, c.sealed_key AS claim_sealed_key,
    (SELECT ARRAY[m.ec_code, m.route, m.product] FROM ec_member m
     WHERE m.user_id = w.user_id) AS member,
    b.user_id, b.msisdn, b.imsi, b.iccid, b.hlr, b.province, b.key_id, b.sealed_key,
    (SELECT o.is_final FROM receipt o WHERE o.order_id = b.order_id AND o.is_final) IS NOT NULL
        AS is_opened,
    n.due_at, n.place, n.after, n.business_key
FROM (SELECT user_id FROM work_order WHERE id = ANY($1::bigint[])
      UNION SELECT unnest($2::text[])) AS t
CROSS JOIN LATERAL orders_of(t.user_id) w
LEFT JOIN LATERAL (SELECT * FROM user_state u WHERE u.user_id = t.user_id LIMIT 1) s ON true
LEFT JOIN LATERAL (SELECT * FROM binding u WHERE u.user_id = t.user_id LIMIT 1) b ON true
LEFT JOIN LATERAL (SELECT * FROM binding u WHERE u.user_id = '-' || w.user_id
                   AND u.order_id = w.id LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT * FROM turn u WHERE u.order_id = w.id LIMIT 1) n ON true
WHERE (SELECT r.is_final FROM receipt r WHERE r.order_id = w.id AND r.is_final) IS NULL
  AND ($3 OR n.due_at IS NULL OR n.place IS NOT NULL)
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
    SELECT id, counter, least($2::bigint, last - first + 1 - counter)::int AS count
    FROM number_range WHERE id = $1 FOR UPDATE)
UPDATE number_range r SET counter = old.counter + old.count FROM old WHERE r.id = old.id
RETURNING old.counter AS start, old.count, has_named AS may_be_bound;

-- name: lease_take_lot
-- Move the counter of a lot on by up to $2 rows.
WITH old AS (
    SELECT id, counter, least($2::bigint, quantity - counter)::int AS count
    FROM sim_lot WHERE id = $1 FOR UPDATE)
UPDATE sim_lot l SET counter = old.counter + old.count FROM old WHERE l.id = old.id
RETURNING old.counter AS start, old.count, true AS may_be_bound;

-- name: lease_add
-- Note whose the places or rows are.
INSERT INTO lease (what, source_id, start, count, epoch) VALUES ($1, $2, $3, $4, $5) RETURNING id;

-- name: lease_pick_numbers
-- Take up to $2 numbers of a range off the free list, from a random place on, so that those which
-- came first are not drawn first. One that was bound by name meanwhile is taken as well: no draw
-- gets it, and its row goes when the lease ends.
WITH point AS MATERIALIZED (SELECT random() AS place), after AS MATERIALIZED (
    SELECT msisdn FROM number_hold
    WHERE range_id = $1 AND state = 'free' AND lease_id IS NULL AND grade IS NULL
      AND place >= (SELECT place FROM point)
    ORDER BY place LIMIT $2 FOR UPDATE SKIP LOCKED), before AS MATERIALIZED (
    SELECT msisdn FROM number_hold
    WHERE range_id = $1 AND state = 'free' AND lease_id IS NULL AND grade IS NULL
      AND place < (SELECT place FROM point)
    ORDER BY place LIMIT $2 - (SELECT count(*) FROM after) FOR UPDATE SKIP LOCKED)
UPDATE number_hold SET lease_id = $3
WHERE msisdn IN (SELECT msisdn FROM after UNION ALL SELECT msisdn FROM before)
RETURNING msisdn;

-- name: lease_pick_cards
-- Take up to $2 cards of a lot off the free list; one that was bound by name meanwhile is taken as
-- well, as with numbers.
UPDATE card_hold SET lease_id = $3 WHERE iccid IN (
    SELECT h.iccid FROM card_hold h
    WHERE h.lot_id = $1 AND h.state = 'free' AND h.lease_id IS NULL
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
-- Which of these numbers are bound, or held whatever the reason. Without $2 none can be bound, and
-- two thirds of the work are spared.
SELECT msisdn FROM binding WHERE $2 AND msisdn = ANY($1::bigint[])
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
-- Take over what earlier runs of this node had in memory, before it leases itself; what an earlier
-- try took over, whose answer was lost, is told again.
UPDATE lease SET epoch = $2
WHERE epoch IN (SELECT number FROM epoch WHERE node = $1)
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

-- name: reservation_add
-- A reservation under a key that its source has not used, to be filled.
INSERT INTO reservation (source, key, content_hash, operator_id, pool, province, digits, hlr, grade,
    with_cards, asked, state, created_at, expires_at)
SELECT $1, $2, $3, $4, name, $6, $7, $8, $9, $10, $11, 'filling', now(),
    now() + make_interval(secs => $12)
FROM pool WHERE name = $5
ON CONFLICT (source, key) DO NOTHING
RETURNING id;

-- name: reservation_open
-- It is filled: from now on it is seen, and its time runs.
UPDATE reservation SET state = 'open', granted = $2, expires_at = now() + make_interval(secs => $3)
WHERE id = $1 AND state = 'filling';

-- name: reservation_drop
-- It could not be filled, and holds nothing any more.
DELETE FROM reservation WHERE id = $1 AND state = 'filling';

-- name: reservations_filling
-- Those that a run before this one did not finish.
SELECT id FROM reservation WHERE state = 'filling';

-- name: reservation
-- One reservation, and how many of its numbers orders have confirmed.
SELECT r.id, r.source, r.key, r.content_hash, r.operator_id, r.pool, r.province, r.digits, r.hlr,
    r.grade, r.with_cards, r.asked, r.granted, r.created_at, r.expires_at,
    CASE WHEN r.state = 'open' AND r.expires_at <= now() THEN 'expired' ELSE r.state END AS state,
    (SELECT count(*) FROM number_hold h JOIN binding b USING (msisdn)
     WHERE h.reservation_id = r.id AND h.state = 'reserved') AS confirmed
FROM reservation r WHERE r.id = $1 AND ($2::text IS NULL OR r.source = $2);

-- name: reservation_by_key
-- What a source reserved under this key.
SELECT id, content_hash, state FROM reservation WHERE source = $1 AND key = $2;

-- name: reservations_before
-- Filled reservations, the newest first.
SELECT r.id, r.source, r.key, r.content_hash, r.operator_id, r.pool, r.province, r.digits, r.hlr,
    r.grade, r.with_cards, r.asked, r.granted, r.created_at, r.expires_at,
    CASE WHEN r.state = 'open' AND r.expires_at <= now() THEN 'expired' ELSE r.state END AS state,
    NULL::bigint AS confirmed
FROM reservation r
WHERE r.id < $1 AND ($2::text IS NULL OR r.source = $2) AND r.state <> 'filling'
ORDER BY r.id DESC LIMIT $3;

-- name: reservation_numbers
-- Its numbers past a cursor, and who has confirmed each.
SELECT h.msisdn, g.hlr, ltrim(b.user_id, '-') AS user_id
FROM number_hold h JOIN number_range g ON g.id = h.range_id LEFT JOIN binding b USING (msisdn)
WHERE h.reservation_id = $1 AND h.state = 'reserved' AND h.msisdn > $2
ORDER BY h.msisdn LIMIT $3;

-- name: reservation_left
-- Its numbers past a cursor that no order has confirmed.
SELECT h.msisdn, g.hlr
FROM number_hold h JOIN number_range g ON g.id = h.range_id
WHERE h.reservation_id = $1 AND h.state = 'reserved' AND h.msisdn > $2
  AND NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn)
ORDER BY h.msisdn LIMIT $3;

-- name: reservation_cards_left
-- Its cards past a cursor that no order has confirmed.
SELECT c.iccid, c.imsi, c.key_id, c.sealed_key, l.hlr, l.province
FROM card_hold h JOIN sim_card c USING (iccid) JOIN sim_lot l ON l.id = c.lot_id
WHERE h.reservation_id = $1 AND h.state = 'reserved' AND h.iccid > $2
  AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = h.iccid)
ORDER BY h.iccid LIMIT $3;

-- name: reservation_hold_numbers
-- Reserve numbers that were idle; once or twice is the same.
INSERT INTO number_hold AS h (msisdn, range_id, state, cause, reservation_id)
SELECT t.msisdn, t.range_id, 'reserved', 'reserved', $1
FROM unnest($2::bigint[], $3::int[]) AS t (msisdn, range_id)
WHERE NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = t.msisdn)
ON CONFLICT (msisdn) DO UPDATE SET (state, cause, until, lease_id, reservation_id) =
    ('reserved', 'reserved', NULL, NULL, excluded.reservation_id)
WHERE h.state = 'free' OR (h.state = 'reserved' AND h.reservation_id = excluded.reservation_id)
RETURNING msisdn;

-- name: reservation_hold_cards
-- Reserve cards that were in stock; once or twice is the same.
INSERT INTO card_hold AS h (iccid, lot_id, state, cause, reservation_id)
SELECT c.iccid, c.lot_id, 'reserved', 'reserved', $1
FROM unnest($2::text[]) AS t (iccid) JOIN sim_card c USING (iccid)
WHERE NOT EXISTS (SELECT FROM binding b WHERE b.iccid = t.iccid)
ON CONFLICT (iccid) DO UPDATE SET (state, cause, lease_id, reservation_id) =
    ('reserved', 'reserved', NULL, excluded.reservation_id)
WHERE h.state = 'free' OR (h.state = 'reserved' AND h.reservation_id = excluded.reservation_id)
RETURNING iccid;

-- name: reservation_release_numbers
-- Up to $3 numbers that no order confirmed are idle again, but for those of $2. $4: worth noting.
WITH over AS (
    SELECT h.msisdn FROM number_hold h
    WHERE h.reservation_id = $1 AND h.state = 'reserved' AND NOT h.msisdn = ANY($2::bigint[])
      AND NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn)
    ORDER BY h.msisdn LIMIT $3 FOR UPDATE),
freed AS (
    UPDATE number_hold h SET (state, cause, reservation_id) = ('free', 'reservationEnded', NULL)
    FROM over WHERE h.msisdn = over.msisdn RETURNING h.msisdn),
noted AS (
    INSERT INTO number_past (msisdn, event, since, at, reservation_id, operator_id)
    SELECT freed.msisdn, 'reservationEnded', r.created_at, now(), r.id, r.operator_id
    FROM freed, reservation r WHERE r.id = $1 AND $4)
SELECT msisdn FROM freed;

-- name: reservation_release_cards
-- Up to $3 cards that no order confirmed are in stock again; of each home, $2 are kept.
WITH kept AS (
    SELECT key AS hlr, value::bigint AS count FROM jsonb_each_text($2::jsonb)),
ranked AS (
    SELECT h.iccid, l.hlr, row_number() OVER (PARTITION BY l.hlr ORDER BY h.iccid) AS place
    FROM card_hold h JOIN sim_lot l ON l.id = h.lot_id
    WHERE h.reservation_id = $1 AND h.state = 'reserved'
      AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = h.iccid)),
over AS (
    SELECT iccid FROM ranked LEFT JOIN kept USING (hlr)
    WHERE place > coalesce(kept.count, 0) LIMIT $3)
UPDATE card_hold h SET (state, cause, reservation_id) = ('free', 'reservationEnded', NULL)
FROM over WHERE h.iccid = over.iccid RETURNING h.iccid;

-- name: reservation_extend
-- Another end, which may not be sooner.
UPDATE reservation SET expires_at = greatest(expires_at, now() + make_interval(secs => $2))
WHERE id = $1 AND state = 'open' AND expires_at > now() RETURNING id;

-- name: reservation_cancel
-- No order may draw from it any more.
UPDATE reservation SET (state, closed_at) = ('cancelled', now())
WHERE id = $1 AND state = 'open' AND expires_at > now() RETURNING id;

-- name: reservation_choose
-- It has fewer numbers from now on, those that orders confirmed and these, and another end.
UPDATE reservation r SET (granted, expires_at) =
    ($2 + (SELECT count(*) FROM number_hold h JOIN binding b USING (msisdn)
           WHERE h.reservation_id = r.id AND h.state = 'reserved'),
     now() + make_interval(secs => $3))
WHERE id = $1 AND state = 'open' AND expires_at > now() RETURNING id;

-- name: reservations_over
-- Reservations that ended and still hold something; those that expired are marked so.
WITH due AS (
    UPDATE reservation SET (state, closed_at) = ('expired', now())
    WHERE NOT is_released AND state = 'open' AND expires_at <= now() RETURNING id)
SELECT id FROM due
UNION
SELECT id FROM reservation WHERE NOT is_released AND state IN ('cancelled', 'expired')
LIMIT 1000;

-- name: reservation_released
-- It holds nothing any more but what orders confirmed.
UPDATE reservation SET is_released = true WHERE id = $1;

-- name: reservation_homes
-- The ranges that a reservation may take numbers of.
SELECT id, first, last, hlr FROM number_range
WHERE pool = $1 AND province = $2 AND digits = $3 AND ($4::text IS NULL OR hlr = $4)
ORDER BY id;

-- name: reservation_given
-- What is known of numbers that are to be reserved by name.
SELECT t.n, r.id AS range_id, r.pool, r.province, r.hlr, b.msisdn IS NOT NULL AS is_bound, h.state
FROM unnest($1::bigint[]) WITH ORDINALITY AS t (msisdn, n)
LEFT JOIN number_range r ON int8range(r.first, r.last, '[]') @> t.msisdn
LEFT JOIN binding b USING (msisdn)
LEFT JOIN number_hold h USING (msisdn)
ORDER BY t.n;

-- name: reservation_named
-- Which of these numbers it still has, and their home.
SELECT h.msisdn, g.hlr
FROM number_hold h JOIN number_range g ON g.id = h.range_id
WHERE h.msisdn = ANY($2::bigint[]) AND h.reservation_id = $1 AND h.state = 'reserved'
  AND NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn);

-- name: reservation_taken
-- Which of these numbers are bound, or held by somebody.
SELECT msisdn FROM binding WHERE msisdn = ANY($1::bigint[])
UNION ALL
SELECT msisdn FROM number_hold WHERE msisdn = ANY($1::bigint[]) AND state <> 'free';

-- name: facts_reservations
-- Reservations that orders name. Their end is told by the clock of the database.
SELECT id, source, province, with_cards,
    CASE WHEN state = 'open' AND expires_at <= now() THEN 'expired' ELSE state END AS state
FROM reservation WHERE id = ANY($1::bigint[]);

-- name: order_by_id
-- One order with its user's binding.
SELECT w.id, w.source, w.order_id, w.kind, w.user_id AS asked, w.operator_id, w.session,
    w.province AS sent_from, w.priority, w.accepted_at, w.payload,
    (SELECT t.due_at FROM turn t
     WHERE t.order_id = w.id AND t.place IS NULL AND NOT t.is_over) AS scheduled_for,
    b.user_id, b.msisdn, b.imsi, b.iccid, b.hlr, b.province, b.key_id, b.sealed_key,
    (SELECT a.payload FROM order_amendment a WHERE a.order_id = w.id
     ORDER BY a.number DESC LIMIT 1) AS amended
FROM work_order w LEFT JOIN binding b USING (user_id)
WHERE w.id = $1;

-- name: order_by_key
-- The same by upstream's own id.
SELECT w.id, w.source, w.order_id, w.kind, w.user_id AS asked, w.operator_id, w.session,
    w.province AS sent_from, w.priority, w.accepted_at, w.payload,
    (SELECT t.due_at FROM turn t
     WHERE t.order_id = w.id AND t.place IS NULL AND NOT t.is_over) AS scheduled_for,
    b.user_id, b.msisdn, b.imsi, b.iccid, b.hlr, b.province, b.key_id, b.sealed_key,
    (SELECT a.payload FROM order_amendment a WHERE a.order_id = w.id
     ORDER BY a.number DESC LIMIT 1) AS amended
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
SELECT name, low_water FROM pool ORDER BY name;

-- name: pool_add
-- A new pool under a name that is free.
INSERT INTO pool (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING name;

-- name: range_add
-- A new range.
INSERT INTO number_range (pool, first, last, digits, province, hlr, has_named)
VALUES ($1, $2, $3, $4, $5, $6, EXISTS (SELECT FROM binding WHERE msisdn BETWEEN $2 AND $3))
RETURNING id;

-- name: range_counts
-- Every range with its numbers by state, but for those in the memory of a node. Locked goes before
-- in use, in use before any other hold.
SELECT r.id, r.pool, r.first, r.last, r.digits, r.province, r.hlr, r.is_share,
    (SELECT count(*) FROM binding b WHERE b.msisdn BETWEEN r.first AND r.last)
        - count(h.msisdn) FILTER (WHERE h.state = 'locked' AND h.is_bound) AS in_use,
    count(h.msisdn) FILTER (WHERE h.state = 'reserved' AND NOT h.is_bound) AS reserved,
    count(h.msisdn) FILTER (WHERE h.state = 'quarantined' AND NOT h.is_bound) AS quarantined,
    count(h.msisdn) FILTER (WHERE h.state = 'locked') AS locked
FROM number_range r
LEFT JOIN (SELECT n.msisdn, n.range_id, n.state,
        EXISTS (SELECT FROM binding b WHERE b.msisdn = n.msisdn) AS is_bound
    FROM number_hold n WHERE n.state <> 'free') h ON h.range_id = r.id
GROUP BY r.id
ORDER BY r.first;

-- name: ranges
-- Every range as it is, nothing counted.
SELECT id, pool, first, last, digits, province, hlr, is_share FROM number_range ORDER BY first;

-- name: range_overlapping
-- A range that has some of these numbers.
SELECT id, pool, first, last, digits, province, hlr, counter FROM number_range
WHERE int8range(first, last, '[]') && int8range($1, $2, '[]') ORDER BY first LIMIT 1;

-- name: range_adopt
-- Numbers of a new range that were bound or held before it was there are its own.
UPDATE number_hold SET range_id = $1 WHERE msisdn BETWEEN $2 AND $3 AND range_id IS NULL;

-- name: pool_low_water
-- Set or lift the mark of one pool.
UPDATE pool SET low_water = $2 WHERE name = $1 RETURNING name;

-- name: leases
-- What every node has in memory.
SELECT id, what, source_id, start, count FROM lease ORDER BY id;

-- name: number
-- One number of a range, and who has it or why it is held.
SELECT r.pool, r.province, r.hlr, ltrim(b.user_id, '-') AS user_id,
    ltrim(b.iccid, '-') AS iccid, h.state, h.until,
    h.lease_id IS NOT NULL AS is_leased, r.id AS range_id
FROM number_range r
LEFT JOIN binding b ON b.msisdn = $1
LEFT JOIN number_hold h ON h.msisdn = $1
WHERE int8range(r.first, r.last, '[]') @> $1::bigint;

-- name: lots
-- Every lot.
SELECT id, name, vendor, province, hlr, quantity, counter FROM sim_lot
WHERE is_ready AND ($1::text IS NULL OR name = $1)
ORDER BY id;

-- name: lot_counts
-- Cards by state of every lot that has any that is not simply in stock. Walks all bindings once.
WITH used AS (
    SELECT c.lot_id, count(*) AS cards
    FROM binding b JOIN sim_card c USING (iccid) GROUP BY c.lot_id
), held AS (
    SELECT h.lot_id, count(*) FILTER (WHERE h.state = 'scrapped') AS scrapped,
        count(*) FILTER (WHERE h.state = 'reserved') AS reserved,
        count(*) FILTER (WHERE h.state = 'free' AND h.lease_id IS NOT NULL) AS leased
    FROM card_hold h
    WHERE NOT EXISTS (SELECT FROM binding b WHERE b.iccid = h.iccid) GROUP BY h.lot_id
), fresh AS (
    SELECT c.lot_id, count(*) AS leased
    FROM lease e JOIN sim_card c ON c.lot_id = e.source_id
       AND c.row_no >= e.start AND c.row_no < e.start + e.count
    WHERE e.what = 'cards'
      AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = c.iccid)
      AND NOT EXISTS (SELECT FROM card_hold h WHERE h.iccid = c.iccid)
    GROUP BY c.lot_id
)
SELECT l.id, coalesce(u.cards, 0) AS in_use, coalesce(h.scrapped, 0) AS scrapped,
    coalesce(h.reserved, 0) AS reserved, coalesce(h.leased, 0) + coalesce(f.leased, 0) AS leased
FROM sim_lot l
LEFT JOIN used u ON u.lot_id = l.id
LEFT JOIN held h ON h.lot_id = l.id
LEFT JOIN fresh f ON f.lot_id = l.id
WHERE l.is_ready;

-- name: card
-- One card of the stock, and who has it or why it is held.
SELECT c.iccid, c.imsi, l.name AS lot, l.province, l.hlr, abs(b.msisdn) AS msisdn,
    ltrim(b.user_id, '-') AS user_id, h.cause, h.state,
    b.iccid IS NOT NULL AS is_bound,
    h.lease_id IS NOT NULL OR (h.iccid IS NULL AND EXISTS (
        SELECT FROM lease e WHERE e.what = 'cards' AND e.source_id = c.lot_id
          AND c.row_no >= e.start AND c.row_no < e.start + e.count)) AS is_leased
FROM sim_card c
JOIN sim_lot l ON l.id = c.lot_id AND l.is_ready
LEFT JOIN binding b ON b.iccid = c.iccid
LEFT JOIN card_hold h ON h.iccid = c.iccid
WHERE c.iccid = $1;

-- name: lot_cards
-- A page of a lot's cards, by row, each with who has it or why it is held.
SELECT c.row_no, c.iccid, c.imsi, abs(b.msisdn) AS msisdn, h.state, b.iccid IS NOT NULL AS is_bound,
    h.lease_id IS NOT NULL OR (h.iccid IS NULL AND EXISTS (
        SELECT FROM lease e WHERE e.what = 'cards' AND e.source_id = c.lot_id
          AND c.row_no >= e.start AND c.row_no < e.start + e.count)) AS is_leased
FROM sim_card c
LEFT JOIN binding b ON b.iccid = c.iccid
LEFT JOIN card_hold h ON h.iccid = c.iccid
WHERE c.lot_id = $1 AND c.row_no >= $2 AND c.row_no < $2::int + $3
ORDER BY c.row_no;

-- name: card_scrap
-- Take a card of the stock that nobody has out of it for good.
INSERT INTO card_hold (iccid, lot_id, state, cause)
SELECT c.iccid, c.lot_id, 'scrapped', $2 FROM sim_card c WHERE c.iccid = $1
ON CONFLICT (iccid) DO UPDATE SET (state, cause, lease_id, reservation_id) =
    ('scrapped', excluded.cause, NULL, NULL);

-- name: import_add
-- A vendor's file that waits for its turn, unless the same one does, runs or is in stock.
INSERT INTO sim_import (file_hash, file_bytes, province, hlr, operator_id, state)
VALUES ($1, $2, $3, $4, $5, 'waiting')
ON CONFLICT (file_hash) WHERE state IN ('waiting', 'checking', 'loading', 'done') DO NOTHING
RETURNING id;

-- name: import_of_file
-- The import of this very file that goes on or is done.
SELECT id, province, hlr FROM sim_import
WHERE file_hash = $1 AND state IN ('waiting', 'checking', 'loading', 'done');

-- name: import_get
-- One import.
SELECT id, file_hash, file_bytes, lot, lot_id, province, hlr, operator_id, state, rows, checked,
    loaded, faults, left_s, code, cause, started_at, ended_at
FROM sim_import WHERE id = $1;

-- name: import_list
-- The newest imports, the newest first.
SELECT id, file_hash, file_bytes, lot, lot_id, province, hlr, operator_id, state, rows, checked,
    loaded, faults, left_s, code, cause, started_at, ended_at
FROM sim_import ORDER BY id DESC LIMIT $1;

-- name: import_open
-- The imports that wait or run, those to be removed first, then the oldest.
SELECT id, file_hash, file_bytes, lot, lot_id, province, hlr, operator_id, state, rows, checked,
    loaded, faults, left_s, code, cause, started_at, ended_at
FROM sim_import WHERE state IN ('waiting', 'checking', 'loading', 'removing')
ORDER BY state <> 'removing', id;

-- name: import_withdraw
-- Have what was loaded of it removed, and say why.
UPDATE sim_import SET (state, code, cause, left_s) = ('removing', $2, $3, NULL)
WHERE id = $1 AND state IN ('waiting', 'checking', 'loading') RETURNING id;

-- name: import_start
-- Begin to check the file, from its start.
UPDATE sim_import SET (state, lot, rows, checked, faults, left_s) = ('checking', $2, $3, 0, 0, NULL)
WHERE id = $1 AND state IN ('waiting', 'checking') RETURNING id;

-- name: import_checked
-- How far the check has come.
UPDATE sim_import SET (checked, faults, left_s) = ($2, $3, $4)
WHERE id = $1 AND state = 'checking' RETURNING id;

-- name: import_refuse
-- The file has faults, and its error file names them.
UPDATE sim_import SET (state, code, cause, checked, faults, left_s, ended_at) =
    ('refused', $2, $3, $4, $5, NULL, now())
WHERE id = $1 AND state IN ('waiting', 'checking') RETURNING id;

-- name: import_load
-- The check found nothing: a lot that nobody draws from yet takes the cards.
UPDATE sim_import SET (state, lot_id, loaded, hlr) = ('loading', $2, 0, $3)
WHERE id = $1 AND state = 'checking' RETURNING id;

-- name: import_loaded
-- How many cards are in, in the same transaction as the last of them.
UPDATE sim_import SET (loaded, left_s) = ($2, $3)
WHERE id = $1 AND state = 'loading' RETURNING id;

-- name: import_finish
-- All cards are in.
UPDATE sim_import SET (state, left_s, ended_at) = ('done', NULL, now())
WHERE id = $1 AND state = 'loading' RETURNING lot_id;

-- name: import_removed
-- Nothing of it is left.
UPDATE sim_import SET (state, lot_id, ended_at) = ('refused', NULL, now())
WHERE id = $1 AND state = 'removing' RETURNING id;

-- name: import_hashes
-- The files that are still needed.
SELECT file_hash FROM sim_import WHERE state IN ('waiting', 'checking', 'loading');

-- name: lot_by_name
-- The lot of this name.
SELECT id FROM sim_lot WHERE name = $1;

-- name: lot_add
-- A new lot under a name that is free, from which nothing is drawn yet.
INSERT INTO sim_lot (name, vendor, province, hlr, quantity, file_hash, is_ready)
VALUES ($1, $2, $3, $4, $5, $6, false) ON CONFLICT DO NOTHING RETURNING id;

-- name: lot_ready
-- From now on its cards can be drawn.
UPDATE sim_lot SET (is_ready, loaded_at) = (true, now()) WHERE id = $1;

-- name: lot_drop_cards
-- Take cards of a lot that never was ready out again, from this row on.
DELETE FROM sim_card WHERE lot_id = $1 AND row_no >= $2;

-- name: lot_drop
-- Forget a lot that never was ready.
DELETE FROM sim_lot WHERE id = $1 AND NOT is_ready;

-- name: cards_known
-- Which of these cards, by ICCID or IMSI, are in stock, in use or scrapped already, and how.
WITH t AS (
    SELECT * FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS t (iccid, imsi, n))
SELECT t.n, 'ICCID' AS field, 'in stock already, lot ' || l.name AS how
FROM t JOIN sim_card c USING (iccid) JOIN sim_lot l ON l.id = c.lot_id
UNION ALL
SELECT t.n, 'IMSI', 'in stock already, lot ' || l.name
FROM t JOIN sim_card c USING (imsi) JOIN sim_lot l ON l.id = c.lot_id WHERE c.iccid <> t.iccid
UNION ALL
SELECT t.n, 'ICCID', 'in use already, and not of the stock'
FROM t JOIN binding b USING (iccid)
WHERE NOT EXISTS (SELECT FROM sim_card c WHERE c.iccid = t.iccid)
UNION ALL
SELECT t.n, 'IMSI', 'in use already, by another card'
FROM t JOIN binding b USING (imsi) WHERE b.iccid <> t.iccid
UNION ALL
SELECT t.n, 'ICCID', 'was in use before, and is scrapped'
FROM t JOIN card_hold h USING (iccid)
WHERE NOT EXISTS (SELECT FROM sim_card c WHERE c.iccid = t.iccid)
  AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = t.iccid)
ORDER BY n;

-- name: cards_used
-- Which of these cards, by ICCID or IMSI, came into use while they were being loaded.
WITH t AS (
    SELECT * FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS t (iccid, imsi, n))
SELECT t.n FROM t JOIN binding b USING (iccid)
UNION
SELECT t.n FROM t JOIN binding b USING (imsi)
UNION
SELECT t.n FROM t JOIN card_hold h USING (iccid)
ORDER BY n;

-- name: statistics_renew
-- Analyze tables that are ten times as large as when somebody last did: plans that were kept since
-- may walk them whole. An empty one is the worst; to read all of it by any index costs nothing.
DO $$
DECLARE
    outgrown text;
BEGIN
    FOR outgrown IN
        SELECT relname FROM pg_class
        WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
          AND pg_relation_size(oid) / current_setting('block_size')::int
              > greatest(10 * relpages, 100)
    LOOP
        EXECUTE format('ANALYZE %I', outgrown);
    END LOOP;
END $$;

-- name: proof_counts
-- What the journal holds, and what must not be.
SELECT
    (SELECT count(*) FROM work_order) AS orders,
    (SELECT count(*) FROM receipt WHERE is_final) AS final_receipts,
    (SELECT count(*) FROM binding WHERE NOT user_id LIKE '-%') AS bindings,
    (SELECT count(*) FROM binding b WHERE b.user_id LIKE '-%' AND EXISTS
        (SELECT FROM receipt r WHERE r.order_id = b.order_id AND r.is_final)) AS claims_stranded,
    (SELECT count(*) FROM fallout f WHERE EXISTS
        (SELECT FROM receipt r WHERE r.order_id = f.order_id AND r.is_final))
    + (SELECT count(DISTINCT i.order_id) FROM receipt i WHERE NOT i.is_final
        AND NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = i.order_id AND r.is_final)
        AND NOT EXISTS (SELECT FROM fallout f WHERE f.order_id = i.order_id)) AS fallouts_stranded,
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
    (SELECT count(*) FROM number_hold h LEFT JOIN reservation r ON r.id = h.reservation_id
     WHERE h.state = 'reserved' AND r.is_released IS NOT false
       AND NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn))
    + (SELECT count(*) FROM card_hold h LEFT JOIN reservation r ON r.id = h.reservation_id
       WHERE h.state = 'reserved' AND r.is_released IS NOT false
         AND NOT EXISTS (SELECT FROM binding b WHERE b.iccid = h.iccid)) AS reserved_stranded,
    (SELECT count(*) FROM sim_lot l JOIN sim_card c ON c.lot_id = l.id AND c.row_no < l.counter
     WHERE NOT EXISTS (SELECT FROM binding b WHERE b.iccid = c.iccid)
       AND NOT EXISTS (SELECT FROM card_hold h WHERE h.iccid = c.iccid)
       AND NOT EXISTS (SELECT FROM lease e WHERE e.what = 'cards' AND e.source_id = l.id
                       AND c.row_no >= e.start AND c.row_no < e.start + e.count)) AS cards_leaked;

-- name: recycle_due
-- Numbers of one home HLR that may be recycled if the HLR has no record of them: their quarantine is
-- over, nobody has them, their last user has no open order and owes nothing.
SELECT h.msisdn, r.hlr, r.province
FROM number_range r JOIN number_hold h ON h.range_id = r.id
WHERE r.hlr = $1 AND h.state = 'quarantined' AND NOT h.in_arrears AND h.until <= now()
  AND NOT h.msisdn = ANY($2::bigint[])
  AND NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn)
  AND NOT EXISTS (SELECT FROM orders_of(h.user_id) w
      WHERE NOT EXISTS (SELECT FROM receipt c WHERE c.order_id = w.id AND c.is_final))
LIMIT $3;

-- name: recycle_blocked
-- Numbers whose quarantine is over and that are kept back, and why; some.
SELECT h.msisdn, h.in_arrears
FROM number_range r JOIN number_hold h ON h.range_id = r.id
WHERE h.state = 'quarantined' AND h.until <= now()
  AND NOT EXISTS (SELECT FROM binding b WHERE b.msisdn = h.msisdn)
  AND (h.in_arrears OR EXISTS (SELECT FROM orders_of(h.user_id) w
      WHERE NOT EXISTS (SELECT FROM receipt c WHERE c.order_id = w.id AND c.is_final)))
LIMIT $1;

-- name: recycle_free
-- These are idle again, unless they left the quarantine by another way meanwhile.
WITH freed AS (
    UPDATE number_hold SET (state, until, cause, in_arrears) = ('free', NULL, 'recycled', false)
    WHERE msisdn = ANY($1::bigint[]) AND state = 'quarantined' AND (NOT in_arrears OR $4)
    RETURNING msisdn, user_id)
INSERT INTO number_past (msisdn, event, at, user_id, operator_id, cause)
SELECT msisdn, 'recycled', now(), user_id, $2, $3 FROM freed
RETURNING msisdn;

-- name: recycle_lock
-- The HLR has a record of these: locked until a person has looked.
WITH found AS (
    UPDATE number_hold h SET (state, until, cause) = ('locked', NULL, t.cause)
    FROM unnest($1::bigint[], $2::text[]) AS t (msisdn, cause)
    WHERE h.msisdn = t.msisdn AND h.state = 'quarantined'
    RETURNING h.msisdn, h.user_id, h.cause)
INSERT INTO number_past (msisdn, event, at, user_id, operator_id, cause)
SELECT msisdn, 'recordFound', now(), user_id, $3, cause FROM found
RETURNING msisdn;

-- name: desk_number
-- One number as staff's work finds it; nobody else changes it before the transaction ends.
SELECT r.id AS range_id, r.pool, r.province, r.hlr, ltrim(b.user_id, '-') AS user_id,
    h.state, h.cause, h.until,
    h.in_arrears, h.user_id AS last_user_id,
    EXISTS (SELECT FROM orders_of(h.user_id) w WHERE b.user_id IS NULL
        AND NOT EXISTS (SELECT FROM receipt c WHERE c.order_id = w.id AND c.is_final)
    ) AS has_open_order
FROM number_range r
LEFT JOIN number_hold h ON h.msisdn = $1
LEFT JOIN binding b ON b.msisdn = $1
WHERE int8range(r.first, r.last, '[]') @> $1::bigint;

-- name: desk_hold
-- Hold back what else may change this number until the transaction ends.
SELECT FROM number_hold WHERE msisdn = $1 FOR UPDATE;

-- name: desk_lock
-- Lock one number, bound or not. A reservation that had it has one number less.
INSERT INTO number_hold AS h (msisdn, range_id, state, cause) VALUES ($1, $2, 'locked', $3)
ON CONFLICT (msisdn) DO UPDATE SET (state, cause, until, lease_id, reservation_id) =
    ('locked', excluded.cause, NULL, NULL, NULL);

-- name: desk_unlock
-- Put one number on the free list.
UPDATE number_hold SET (state, cause, until, in_arrears) = ('free', 'unlocked', NULL, false)
WHERE msisdn = $1;

-- name: desk_unlock_bound
-- The number is its user's alone again; one with a grade keeps the row that says so.
WITH kept AS (
    UPDATE number_hold SET (state, cause) = ('free', 'unlocked')
    WHERE msisdn = $1 AND grade IS NOT NULL RETURNING msisdn)
DELETE FROM number_hold WHERE msisdn = $1 AND grade IS NULL;

-- name: desk_note
-- Write down what staff did with a number; `since`: when the lock that ends began.
INSERT INTO number_past (msisdn, event, since, at, user_id, operator_id, cause)
SELECT $1, $2, CASE WHEN $2 IN ('unlocked', 'unlockedBound') THEN
    (SELECT max(at) FROM number_past
     WHERE msisdn = $1 AND event IN ('locked', 'recordFound', 'rollBackUnproven')) END,
    now(), $3, $4, $5;

-- name: number_past
-- What a number went through, the latest first.
SELECT event, since, at, user_id, iccid, order_id, reservation_id, operator_id, cause
FROM number_past WHERE msisdn = $1 ORDER BY at DESC LIMIT $2;

-- name: number_now
-- What holds of a number besides its state.
SELECT b.order_id, abs(b.imsi) AS imsi, b.since, h.cause, h.user_id AS last_user_id, h.grade,
    h.reservation_id,
    coalesce(h.in_arrears, false) AS in_arrears
FROM (SELECT $1::bigint AS msisdn) n
LEFT JOIN binding b USING (msisdn)
LEFT JOIN number_hold h USING (msisdn);

-- name: halt_keep
-- Note a hold or a drain of an NE in the place of the one before.
INSERT INTO ne_halt (ne, kind, cause, since, until) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (ne) DO UPDATE SET kind = $2, cause = $3, since = $4, until = $5;

-- name: halt_drop
-- The NE is released.
DELETE FROM ne_halt WHERE ne = $1;

-- name: halt_list
-- The holds and drains that have not ended.
SELECT ne, kind, cause, since, until FROM ne_halt WHERE until IS NULL OR until > now();

-- name: share_sources
-- National ranges of a pool that nothing was leased of, and how far from below they are touched.
SELECT r.id, r.pool, r.first, r.last, r.digits, r.province, r.hlr, r.counter,
    greatest(r.first - 1,
        (SELECT max(b.msisdn) FROM binding b WHERE b.msisdn BETWEEN r.first AND r.last),
        (SELECT max(h.msisdn) FROM number_hold h WHERE h.msisdn BETWEEN r.first AND r.last)
    ) AS touched_to
FROM number_range r
WHERE r.pool = $1 AND r.province = '000' AND r.counter = 0 AND r.hlr = coalesce($2, r.hlr)
  AND r.digits = coalesce($3, r.digits)
  AND NOT EXISTS (SELECT FROM lease e
      WHERE e.source_id = r.id AND e.what = 'numbers')
ORDER BY r.first
FOR UPDATE OF r;

-- name: share_shorten
-- What is left of a national range.
UPDATE number_range SET last = $2 WHERE id = $1;

-- name: share_drop
-- Nothing is left of it.
DELETE FROM number_range WHERE id = $1;

-- name: share_add
-- A range of its own for one province, or one that is national again.
INSERT INTO number_range (pool, first, last, digits, province, hlr, is_share)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id;

-- name: share_at
-- The share that begins at this number, and how far it is touched.
SELECT r.id, r.pool, r.first, r.last, r.digits, r.province, r.hlr, r.counter,
    r.counter > 0
    OR EXISTS (SELECT FROM binding b WHERE b.msisdn BETWEEN r.first AND r.last)
    OR EXISTS (SELECT FROM number_hold h WHERE h.msisdn BETWEEN r.first AND r.last)
    OR EXISTS (SELECT FROM lease e WHERE e.source_id = r.id AND e.what = 'numbers') AS is_touched
FROM number_range r
WHERE r.pool = $1 AND r.first = $2 AND r.is_share
FOR UPDATE OF r;

-- name: day_add
-- Add what was drawn and put back to the day's count.
INSERT INTO pool_day (pool, province, day, drawn, returned)
SELECT t.pool, t.province, t.day, t.drawn, t.returned
FROM unnest($1::text[], $2::text[], $3::date[], $4::bigint[], $5::bigint[])
    AS t (pool, province, day, drawn, returned)
JOIN pool p ON p.name = t.pool
ON CONFLICT (pool, province, day) DO UPDATE SET
    drawn = pool_day.drawn + excluded.drawn, returned = pool_day.returned + excluded.returned;

-- name: days
-- What was drawn and put back on these days.
SELECT pool, province, day, drawn, returned FROM pool_day WHERE day = ANY($1::date[]);

-- name: export_numbers
-- Numbers of one range past a place that are bound or held, in order, some at a time.
SELECT msisdn, ltrim(b.user_id, '-') AS user_id, ltrim(b.iccid, '-') AS iccid, b.since, h.state,
    h.until, h.cause, h.grade,
    h.user_id AS last_user_id
FROM (SELECT msisdn FROM (
        (SELECT msisdn FROM binding WHERE msisdn > $1 AND msisdn <= $2 ORDER BY msisdn LIMIT $3)
        UNION
        (SELECT msisdn FROM number_hold WHERE msisdn > $1 AND msisdn <= $2
         ORDER BY msisdn LIMIT $3)) AS either
    ORDER BY msisdn LIMIT $3) AS t
LEFT JOIN binding b USING (msisdn)
LEFT JOIN number_hold h USING (msisdn)
ORDER BY msisdn;

-- name: move_add
-- A move of a segment, unless another has not ended.
INSERT INTO route_move (identity, prefix, old_hlr, new_hlr, operator_id, state, sample)
VALUES ($1, $2, $3, $4, $5, 'draining', $6)
ON CONFLICT ((true)) WHERE state NOT IN ('done', 'returned') DO NOTHING
RETURNING id;

-- name: move_get
-- One move.
SELECT id, identity, prefix, old_hlr, new_hlr, operator_id, state, sample, switched, asked, missing,
    silent, examples, started_at, changed_at
FROM route_move WHERE id = $1;

-- name: move_open
-- The move that has not ended.
SELECT id, identity, prefix, old_hlr, new_hlr, operator_id, state, sample, switched, asked, missing,
    silent, examples, started_at, changed_at
FROM route_move WHERE state NOT IN ('done', 'returned');

-- name: moves
-- The newest moves, the newest first.
SELECT id, identity, prefix, old_hlr, new_hlr, operator_id, state, sample, switched, asked, missing,
    silent, examples, started_at, changed_at
FROM route_move ORDER BY id DESC LIMIT $1;

-- name: moves_done
-- Where segments have gone, in order.
SELECT identity, prefix, old_hlr, new_hlr FROM route_move WHERE state = 'done' ORDER BY id;

-- name: move_advance
-- To another state, unless it has left this one meanwhile.
UPDATE route_move SET (state, changed_at) = ($3, now()) WHERE id = $1 AND state = $2 RETURNING id;

-- name: move_switched
-- How many bindings have their new home.
UPDATE route_move SET switched = switched + $2 WHERE id = $1;

-- name: move_verified
-- What the new HLR said, so far.
UPDATE route_move SET (asked, missing, silent, examples) = ($2, $3, $4, $5) WHERE id = $1;

-- name: move_ranges
-- The ranges of the segment get their new home.
UPDATE number_range SET hlr = $4 WHERE first >= $1 AND last <= $2 AND hlr = $3 RETURNING id;

-- name: move_lots
-- The lots of the segment get their new home.
UPDATE sim_lot l SET hlr = $4
WHERE l.hlr = $3
  AND EXISTS (SELECT FROM sim_card c WHERE c.lot_id = l.id AND c.imsi BETWEEN $1 AND $2)
  AND NOT EXISTS (SELECT FROM sim_card c WHERE c.lot_id = l.id AND c.imsi NOT BETWEEN $1 AND $2)
RETURNING l.id;

-- name: move_numbers
-- Up to $4 bindings of numbers past a cursor ($1) get their new home; which were looked at.
WITH page AS MATERIALIZED (
    SELECT msisdn FROM binding WHERE msisdn > $1 AND msisdn <= $2 ORDER BY msisdn LIMIT $4),
moved AS (
    UPDATE binding b SET hlr = $5 FROM page
    WHERE b.msisdn = page.msisdn AND b.hlr = $3 RETURNING b.msisdn)
SELECT max(msisdn) AS last, (SELECT count(*) FROM moved) AS moved FROM page;

-- name: move_cards
-- The same by IMSI.
WITH page AS MATERIALIZED (
    SELECT imsi FROM binding WHERE imsi > $1 AND imsi <= $2 ORDER BY imsi LIMIT $4),
moved AS (
    UPDATE binding b SET hlr = $5 FROM page
    WHERE b.imsi = page.imsi AND b.hlr = $3 RETURNING b.imsi)
SELECT max(imsi) AS last, (SELECT count(*) FROM moved) AS moved FROM page;

-- name: move_subscribers_by_number
-- Bindings of a page of numbers past a cursor ($1), and which of them the HLR must have: not one that
-- is being opened, nor one whose user's order is in fallout.
SELECT b.msisdn AS at, b.msisdn, b.imsi, b.province, b.hlr = $3
    AND EXISTS (SELECT FROM receipt r WHERE r.order_id = b.order_id AND r.is_final)
    AND NOT EXISTS (SELECT FROM orders_of(b.user_id) w
        JOIN receipt i ON i.order_id = w.id AND NOT i.is_final
        WHERE NOT EXISTS (SELECT FROM receipt f WHERE f.order_id = w.id AND f.is_final)
    ) AS is_subscribed
FROM binding b WHERE b.msisdn > $1 AND b.msisdn <= $2 ORDER BY b.msisdn LIMIT $4;

-- name: move_subscribers_by_card
-- The same by IMSI.
SELECT b.imsi AS at, b.msisdn, b.imsi, b.province, b.hlr = $3
    AND EXISTS (SELECT FROM receipt r WHERE r.order_id = b.order_id AND r.is_final)
    AND NOT EXISTS (SELECT FROM orders_of(b.user_id) w
        JOIN receipt i ON i.order_id = w.id AND NOT i.is_final
        WHERE NOT EXISTS (SELECT FROM receipt f WHERE f.order_id = w.id AND f.is_final)
    ) AS is_subscribed
FROM binding b WHERE b.imsi > $1 AND b.imsi <= $2 ORDER BY b.imsi LIMIT $4;

-- name: move_range_in_the_way
-- A range that keeps these numbers from moving: it goes beyond them, or is at the new HLR already.
SELECT id, pool, first, last, hlr FROM number_range
WHERE int8range(first, last, '[]') && int8range($1, $2, '[]')
  AND ((hlr = $3 AND (first < $1 OR last > $2)) OR hlr = $4)
ORDER BY first LIMIT 1;

-- name: move_lot_in_the_way
-- The same of lots, by the IMSIs of their cards.
SELECT l.name, l.hlr FROM sim_lot l
WHERE l.hlr IN ($3, $4)
  AND EXISTS (SELECT FROM sim_card c WHERE c.lot_id = l.id AND c.imsi BETWEEN $1 AND $2)
  AND (l.hlr = $4 OR EXISTS (
      SELECT FROM sim_card c WHERE c.lot_id = l.id AND c.imsi NOT BETWEEN $1 AND $2))
ORDER BY l.id LIMIT 1;

-- name: move_number_in_the_way
-- A user of these numbers that is at the new HLR already.
SELECT msisdn FROM binding WHERE msisdn BETWEEN $1 AND $2 AND hlr = $3 LIMIT 1;

-- name: move_card_in_the_way
-- The same by IMSI.
SELECT abs(msisdn) FROM binding WHERE imsi BETWEEN $1 AND $2 AND hlr = $3 LIMIT 1;

-- The audit trail.

-- name: audit_head
-- The end of the chain.
SELECT seq, hash FROM audit_trail ORDER BY seq DESC LIMIT 1;

-- name: audit_hash_at
-- The hash of one row.
SELECT hash FROM audit_trail WHERE seq = $1;

-- name: audit_page
-- Rows below $6, the newest first, as far as they fit what is not null.
SELECT seq, at, actor, source, action, subject, order_id, before, after, hash FROM audit_trail
WHERE seq < $6
  AND ($1::text IS NULL OR subject = $1)
  AND ($2::text IS NULL OR actor = $2)
  AND ($3::text IS NULL OR action = $3)
  AND ($4::bigint IS NULL OR order_id = $4)
  AND ($5::timestamptz IS NULL OR at >= $5)
ORDER BY seq DESC LIMIT $7;

-- name: audit_after
-- The chain behind row $1, in its order.
SELECT seq, at, actor, source, action, subject, order_id, before, after, hash FROM audit_trail
WHERE seq > $1 ORDER BY seq LIMIT $2;

-- Deliveries of receipts to endpoints.

-- name: endpoint_register
-- An endpoint, with the receipts after the present one from now on if it is new.
INSERT INTO receipt_endpoint AS e (source, name, since_seq, seq) VALUES ($1, $2, $3, $3)
ON CONFLICT (source, name) DO UPDATE SET name = e.name
RETURNING id, since_seq, seq, failing_since;

-- name: endpoint_advance
-- How far an endpoint is.
UPDATE receipt_endpoint SET seq = greatest(seq, $2), failing_since = $3 WHERE id = $1;

-- name: delivery_page
-- The receipts of a source past a cursor, and the content of those that are the endpoint's ($6: also
-- those whose order named none).
SELECT seq, user_id, is_final, at,
    CASE WHEN position($5::bytea IN body) > 0
           OR ($6 AND position('"reply_to":"'::bytea IN body) = 0) THEN body END AS body
FROM receipt WHERE source = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4;

-- name: delivery_contents
-- What is sent of these receipts.
SELECT seq, is_final, at, body FROM receipt WHERE seq = ANY($1::bigint[]);

-- name: delivery_rows
-- The receipts that wait for an endpoint, the oldest first.
SELECT d.seq, d.user_id, d.failures, d.since, d.due_at, r.at
FROM delivery d JOIN receipt r USING (seq)
WHERE d.endpoint_id = $1 AND d.state = 'pending' ORDER BY d.seq LIMIT $2;

-- name: delivery_beyond
-- Receipts past an endpoint's cursor that have a row.
SELECT seq FROM delivery WHERE endpoint_id = $1 AND seq > $2;

-- name: delivery_put
-- What could not go at once.
INSERT INTO delivery (endpoint_id, seq, user_id, state, failures, since, due_at, said)
SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::int[], $6::timestamptz[],
    $7::timestamptz[], $8::text[])
ON CONFLICT (endpoint_id, seq) DO UPDATE SET (state, failures, since, due_at, said) =
    (excluded.state, excluded.failures, excluded.since, excluded.due_at, excluded.said);

-- name: delivery_drop
-- These were delivered in the end.
DELETE FROM delivery WHERE endpoint_id = $1 AND seq = ANY($2::bigint[]);

-- name: delivery_counts
-- Dead ones of each endpoint.
SELECT endpoint_id, count(*) AS dead FROM delivery WHERE state = 'dead' GROUP BY endpoint_id;

-- name: delivery_unread
-- Receipts of a source that no page has brought yet, counted up to a bound.
SELECT count(*) FROM (SELECT FROM receipt WHERE source = $1 AND seq > $2 LIMIT 100000) AS few;

-- name: delivery_list
-- What waits or is dead at an endpoint, the oldest first.
SELECT d.seq, d.state, d.failures, d.since, d.due_at, d.said, d.user_id, r.order_id, r.at,
    w.order_id AS upstream_id, w.kind
FROM delivery d JOIN receipt r USING (seq) JOIN work_order w ON w.id = r.order_id
WHERE d.endpoint_id = $1 AND d.state = $2 AND d.seq > $3 ORDER BY d.seq LIMIT $4;

-- name: delivery_of_order
-- The receipts of an order, and the rows of those that wait or are dead.
SELECT r.seq, r.is_final, r.state AS result, r.at, r.body,
    d.endpoint_id, d.state, d.failures, d.due_at, d.said
FROM receipt r LEFT JOIN LATERAL (SELECT u.* FROM receipt_endpoint e
    CROSS JOIN LATERAL (SELECT * FROM delivery o
        WHERE o.endpoint_id = e.id AND o.seq = r.seq LIMIT 1) u OFFSET 0) d ON true
WHERE r.order_id = $1 AND r.is_final
UNION ALL
SELECT r.seq, r.is_final, r.state AS result, r.at, r.body,
    d.endpoint_id, d.state, d.failures, d.due_at, d.said
FROM receipt r LEFT JOIN LATERAL (SELECT u.* FROM receipt_endpoint e
    CROSS JOIN LATERAL (SELECT * FROM delivery o
        WHERE o.endpoint_id = e.id AND o.seq = r.seq LIMIT 1) u OFFSET 0) d ON true
WHERE r.order_id = $1 AND NOT r.is_final
ORDER BY seq;

-- name: delivery_redeliver_dead
-- Some dead ones are due again.
WITH chosen AS (
    SELECT seq FROM delivery WHERE endpoint_id = $1 AND state = 'dead' AND seq > $3
    ORDER BY seq LIMIT $4)
UPDATE delivery d SET (state, failures, since, due_at) = ('pending', 0, NULL, $2)
FROM chosen WHERE d.endpoint_id = $1 AND d.seq = chosen.seq
RETURNING d.seq;

-- name: delivery_redeliver
-- These receipts are due again, whatever became of them. What the cursor has not reached goes anyway.
INSERT INTO delivery AS d (endpoint_id, seq, user_id, state, failures, due_at, said)
SELECT $1, r.seq, r.user_id, 'pending', 0, $2, 'ordered again'
FROM receipt r JOIN receipt_endpoint e ON e.id = $1
WHERE r.seq = ANY($3::bigint[]) AND (r.seq <= e.seq OR EXISTS (
    SELECT FROM delivery o WHERE o.endpoint_id = $1 AND o.seq = r.seq))
ON CONFLICT (endpoint_id, seq) DO UPDATE
    SET (state, failures, since, due_at) = ('pending', 0, NULL, $2)
RETURNING d.seq;

-- name: receipt_at
-- The first receipt from a number on, of any source.
SELECT seq, at FROM receipt WHERE seq >= $1 ORDER BY seq LIMIT 1;

-- The fallout desk.

-- name: fallout_put
-- Orders fall out, for the first time or again.
INSERT INTO fallout (order_id, kind, user_id, province, ne, operation, verdict, code, text, step,
    is_undo, since, fell_at)
SELECT w.id, w.kind, w.user_id, w.province, t.ne, t.operation, t.verdict, t.code, t.text, t.step,
    t.is_undo, t.at, t.at
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::boolean[], $9::timestamptz[])
    AS t (order_id, ne, operation, verdict, code, text, step, is_undo, at)
JOIN work_order w ON w.id = t.order_id
ON CONFLICT (order_id) DO UPDATE SET
    (ne, operation, verdict, code, text, step, is_undo, fell_at, falls, way) =
    (excluded.ne, excluded.operation, excluded.verdict, excluded.code, excluded.text, excluded.step,
     excluded.is_undo, excluded.fell_at, fallout.falls + 1, NULL);

-- name: fallout_drop
-- They have their final receipts.
DELETE FROM fallout WHERE order_id = ANY($1::bigint[]);

-- name: fallout_releases
-- With what persons let these orders go, and what they changed in them.
SELECT f.order_id, f.way, f.skipped, f.reason, f.bulk_id,
    (SELECT a.payload FROM order_amendment a WHERE a.order_id = f.order_id
     ORDER BY a.number DESC LIMIT 1) AS payload,
    CASE WHEN f.way = 'finish' THEN (
        SELECT r.trail FROM receipt r WHERE r.order_id = f.order_id AND NOT r.is_final
        ORDER BY r.at DESC, r.seq DESC LIMIT 1) END AS trail
FROM fallout f WHERE f.order_id = ANY($1::bigint[]) AND f.way IS NOT NULL;

-- name: fallout_page
-- Orders at the desk past a cursor ($6), those that were let go included, and how many wait behind
-- each.
SELECT f.order_id, w.source, w.order_id AS upstream_id, f.kind, f.user_id, f.province, w.priority,
    w.accepted_at, f.ne, f.operation, f.verdict, f.code, f.text, f.step, f.is_undo, f.since,
    f.fell_at, f.falls, f.way, f.skipped, f.reason, f.operator_id, f.bulk_id,
    (SELECT count(*) FROM orders_of(f.user_id) o WHERE o.id <> f.order_id
       AND NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = o.id AND r.is_final)) AS waiting,
    (SELECT s.state FROM fallout_sheet s WHERE s.order_id = f.order_id
     ORDER BY s.opened_at DESC LIMIT 1) AS sheet
FROM fallout f JOIN work_order w ON w.id = f.order_id
WHERE ($1::text IS NULL OR f.ne = $1) AND ($2::text IS NULL OR f.code = $2)
  AND ($3::text IS NULL OR f.province = $3) AND ($4::text IS NULL OR f.kind = $4)
  AND ($5::float8 IS NULL OR f.since <= now() - make_interval(secs => $5))
  AND f.order_id > $6
ORDER BY f.order_id LIMIT $7;

-- name: fallout_get
-- One order at the desk.
SELECT f.order_id, w.source, w.order_id AS upstream_id, f.kind, f.user_id, f.province, w.priority,
    w.accepted_at, f.ne, f.operation, f.verdict, f.code, f.text, f.step, f.is_undo, f.since,
    f.fell_at, f.falls, f.way, f.skipped, f.reason, f.operator_id, f.bulk_id,
    (SELECT count(*) FROM orders_of(f.user_id) o WHERE o.id <> f.order_id
       AND NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = o.id AND r.is_final)) AS waiting,
    (SELECT s.state FROM fallout_sheet s WHERE s.order_id = f.order_id
     ORDER BY s.opened_at DESC LIMIT 1) AS sheet
FROM fallout f JOIN work_order w ON w.id = f.order_id
WHERE f.order_id = $1;

-- name: fallout_counts
-- How many there are by NE and code, and how many wait behind them.
SELECT f.ne, f.code, f.verdict, count(*) AS orders, count(*) FILTER (WHERE f.way IS NULL) AS idle,
    min(f.since) AS oldest, sum(b.waiting)::bigint AS waiting
FROM fallout f CROSS JOIN LATERAL (
    SELECT count(*) AS waiting FROM orders_of(f.user_id) o WHERE o.id <> f.order_id
      AND NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = o.id AND r.is_final)) AS b
GROUP BY f.ne, f.code, f.verdict ORDER BY orders DESC, f.ne, f.code, f.verdict LIMIT $1;

-- name: fallout_gauges
-- The orders that wait for a person by NE and class, and the age of the oldest in seconds.
SELECT ne, verdict, count(*) AS orders, extract(epoch FROM now() - min(since))::float8 AS age_s
FROM fallout WHERE way IS NULL GROUP BY ne, verdict;

-- name: fallout_release
-- Let one go, unless somebody has, or it is stuck elsewhere by now.
UPDATE fallout SET (way, skipped, reason, operator_id, bulk_id) =
    ($3, skipped || $4::text[], $5, $6, $7)
WHERE order_id = $1 AND way IS NULL AND step = $2
RETURNING order_id;

-- name: fallout_decided
-- Whether one was let go by this very decision: its answer was lost.
SELECT order_id FROM fallout
WHERE (order_id, step, way, reason, operator_id) = ($1, $2, $3, $4, $5)
  AND bulk_id IS NOT DISTINCT FROM $6;

-- name: fallout_released
-- Which of these orders were let go.
SELECT order_id FROM fallout WHERE order_id = ANY($1::bigint[]) AND way IS NOT NULL;

-- name: order_amend
-- Another form of an order, that holds from now on.
INSERT INTO order_amendment (order_id, number, payload, operator_id, reason)
SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4 FROM order_amendment WHERE order_id = $1;

-- name: order_amendments
-- What persons made of an order, one after the other.
SELECT payload, operator_id, reason, at FROM order_amendment WHERE order_id = $1 ORDER BY number;

-- name: fallout_chosen
-- How many orders an act would be done to.
SELECT count(*) FROM fallout f
WHERE ($1::text IS NULL OR f.ne = $1) AND ($2::text IS NULL OR f.code = $2)
  AND ($3::text IS NULL OR f.province = $3) AND ($4::text IS NULL OR f.kind = $4)
  AND ($5::float8 IS NULL OR f.since <= now() - make_interval(secs => $5))
  AND f.way IS NULL;

-- name: bulk_propose
-- A bulk act that waits for its second person.
INSERT INTO fallout_bulk (act, chosen, reason, state, proposed_by, expires_at, count, sample)
VALUES ($1, $2, $3, 'proposed', $4, now() + make_interval(secs => $5), $6, $7) RETURNING id;

-- name: bulk_open_count
-- How many bulk acts are proposed or carried out.
SELECT count(*) FROM fallout_bulk WHERE state IN ('proposed', 'running');

-- name: bulk_expire
-- Nobody confirmed it in time.
UPDATE fallout_bulk SET (state, ended_at) = ('expired', expires_at)
WHERE state = 'proposed' AND expires_at <= now();

-- name: bulk_get
-- One bulk act; of its orders, how many are under way, and how many fell out again.
SELECT b.*,
    (SELECT count(*) FROM fallout f WHERE f.bulk_id = b.id AND f.way IS NOT NULL) AS under_way,
    (SELECT count(*) FROM fallout f WHERE f.bulk_id = b.id AND f.way IS NULL) AS again
FROM fallout_bulk b WHERE b.id = $1;

-- name: bulk_newest
-- The newest bulk acts, the newest first.
SELECT b.*,
    (SELECT count(*) FROM fallout f WHERE f.bulk_id = b.id AND f.way IS NOT NULL) AS under_way,
    (SELECT count(*) FROM fallout f WHERE f.bulk_id = b.id AND f.way IS NULL) AS again
FROM fallout_bulk b ORDER BY b.id DESC LIMIT $1;

-- name: bulk_running
-- Those that are carried out, the oldest first.
SELECT b.*,
    (SELECT count(*) FROM fallout f WHERE f.bulk_id = b.id AND f.way IS NOT NULL) AS under_way,
    (SELECT count(*) FROM fallout f WHERE f.bulk_id = b.id AND f.way IS NULL) AS again
FROM fallout_bulk b WHERE b.state = 'running' ORDER BY b.id;

-- name: bulk_confirm
-- A second person agreed, in time.
UPDATE fallout_bulk SET (state, confirmed_by, confirmed_at) = ('running', $2, now())
WHERE id = $1 AND state = 'proposed' AND expires_at > now() RETURNING id;

-- name: bulk_end
-- From one of these states ($2) to its last one.
UPDATE fallout_bulk SET (state, ended_by, ended_at) = ($3, $4, now())
WHERE id = $1 AND state = ANY($2::text[]) RETURNING id;

-- name: bulk_page
-- The next orders of a bulk act: not those that fell out after it was confirmed.
SELECT f.order_id, f.kind, f.user_id, f.step, f.is_undo, f.ne, f.code, f.falls
FROM fallout f
WHERE ($1::text IS NULL OR f.ne = $1) AND ($2::text IS NULL OR f.code = $2)
  AND ($3::text IS NULL OR f.province = $3) AND ($4::text IS NULL OR f.kind = $4)
  AND ($5::float8 IS NULL OR f.since <= $8::timestamptz - make_interval(secs => $5))
  AND f.way IS NULL AND f.order_id >= $6 AND f.fell_at <= $8::timestamptz
ORDER BY f.order_id LIMIT $7;

-- name: bulk_advance
-- From one place ($2) to the next; nothing for one that is elsewhere, or was stopped meanwhile.
UPDATE fallout_bulk SET (next_id, released, refused) = ($3, released + $4, refused + $5)
WHERE id = $1 AND next_id = $2 AND state = 'running' RETURNING id;

-- name: sheet_want
-- The EOMS is to be asked about an order as it fell out last; once for each time that it does.
INSERT INTO fallout_sheet (transaction, order_id, state, asked_by)
SELECT order_id || to_char(falls, 'FM0000'), order_id, 'wanted', $2
FROM fallout WHERE order_id = ANY($1::bigint[]) AND way IS NULL
ON CONFLICT (transaction) DO NOTHING RETURNING transaction;

-- name: sheets_due
-- Sheets that are to be looked after now, and whether their orders still wait for an answer.
SELECT s.transaction, s.order_id, s.state, s.asked_by, f.kind, f.user_id, f.ne, f.operation, f.code,
    f.text, f.step, f.is_undo,
    coalesce(f.way IS NULL AND s.transaction = f.order_id || to_char(f.falls, 'FM0000'), false)
        AS is_needed
FROM fallout_sheet s LEFT JOIN fallout f USING (order_id)
WHERE s.state NOT IN ('closed', 'refused') AND s.look_at <= now()
ORDER BY s.look_at LIMIT $1;

-- name: sheet_move
-- Where a sheet stands, unless it has left this state meanwhile.
UPDATE fallout_sheet SET (state, answer, text, changed_at, look_at) =
    ($3, $4, $5, now(), now())
WHERE transaction = $1 AND state = $2 RETURNING transaction;

-- name: sheets_rest
-- Nothing new of them: look again so many seconds ($2) from now.
UPDATE fallout_sheet SET look_at = now() + make_interval(secs => $2)
WHERE transaction = ANY($1::text[]);

-- name: sheets_of
-- The sheets about one order.
SELECT transaction, state, asked_by, answer, text, opened_at, changed_at
FROM fallout_sheet WHERE order_id = $1 ORDER BY opened_at;

-- Batches: files of orders, and orders for all members of an EC.

-- name: batch_add
-- A batch file that waits for its check, unless its source has one under this order id.
INSERT INTO batch (kind, source, order_id, operator_id, province, priority, child, state,
    content_hash, file_hash, file_bytes, format, charset, common, cards, is_partial)
VALUES ('BATCH', $1, $2, $3, $4, $5, $6, 'waiting', $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (source, order_id) WHERE state <> 'refused' DO NOTHING
RETURNING id;

-- name: batch_of_order
-- What a source has under this order id, but for what was refused.
SELECT id, content_hash FROM batch WHERE source = $1 AND order_id = $2 AND state <> 'refused';

-- name: batch_get
-- One batch.
SELECT * FROM batch WHERE id = $1;

-- name: batch_of_work_order
-- The one that an order carries out.
SELECT * FROM batch WHERE work_order = $1;

-- name: batches_before
-- The newest first, of one source or of all.
SELECT * FROM batch WHERE id < $1 AND ($2::text IS NULL OR source = $2) ORDER BY id DESC LIMIT $3;

-- name: batches_open
-- Those that are not over, the oldest first.
SELECT * FROM batch WHERE state NOT IN ('done', 'refused') ORDER BY id;

-- name: batch_hashes
-- The files that are still needed.
SELECT DISTINCT file_hash FROM batch
WHERE state NOT IN ('done', 'refused') AND file_hash IS NOT NULL;

-- name: batch_advance
-- Move it on, if it is still where it was.
UPDATE batch SET state = $3 WHERE id = $1 AND state = $2 RETURNING id;

-- name: batch_checked
-- How far the check has come.
UPDATE batch SET (checked, faults) = ($2, $3) WHERE id = $1 AND state = 'checking' RETURNING id;

-- name: batch_check_over
-- Its rows are known, and good enough.
UPDATE batch SET (state, rows, checked, faults) = ('reserving', $2, $2, $3)
WHERE id = $1 AND state = 'checking' RETURNING id;

-- name: batch_refuse
-- Nothing of it was handed in, and the cause says why.
UPDATE batch SET (state, code, cause, ended_at) = ('refused', $2, $3, now())
WHERE id = $1 AND state IN ('waiting', 'checking', 'reserving', 'ready') RETURNING id;

-- name: batch_reserved
-- What its rows need is kept for them.
UPDATE batch SET (state, reservations) = ('ready', $2)
WHERE id = $1 AND state = 'reserving' RETURNING id;

-- name: batch_begin
-- The order of a file has its turn.
UPDATE batch SET (state, work_order) = ('running', $2)
WHERE id = $1 AND state = 'ready' AND source = $3 AND order_id = $4 RETURNING *;

-- name: batch_begin_members
-- The order about all members of an EC has its turn.
INSERT INTO batch (kind, source, order_id, work_order, operator_id, province, priority, child,
    state, ec_code, reason, seq, rows)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'running', $9, $10, $11, $12)
RETURNING *;

-- name: batches_of_ec
-- What was begun for an EC and reason, the newest first; some.
SELECT * FROM batch WHERE ec_code = $1 AND reason = $2 ORDER BY id DESC LIMIT 100;

-- name: batch_stop
-- Hand in no more of it.
UPDATE batch SET (state, mark) = ('stopping', $2)
WHERE id = $1 AND state IN ('running', 'paused') RETURNING id;

-- name: batch_stop_rivals
-- Hand in no more of what does the opposite for the same EC and reason.
UPDATE batch SET (state, mark) = ('stopping', $4)
WHERE ec_code = $1 AND reason = $2 AND kind <> $3 AND state IN ('running', 'paused')
RETURNING id;

-- name: batch_work_order
-- The order of a batch.
SELECT source, payload FROM work_order WHERE id = $1;

-- name: batch_send
-- These rows are about to be handed in, or can never be; in one transaction with the cursor.
INSERT INTO batch_row (batch, row_no, user_id, state, msisdn, iccid, code)
SELECT $1, * FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]);

-- name: batch_cursor
-- How far it was handed in.
UPDATE batch SET (cursor, sent, failed) = ($2, sent + $3, failed + $4)
WHERE id = $1 AND state IN ('running', 'paused') RETURNING id;

-- name: batch_end_rows
-- What became of rows that were handed in; once or twice is the same.
WITH ended AS (
    UPDATE batch_row r SET (state, order_id, msisdn, iccid, code) =
        (t.state, t.order_id, coalesce(t.msisdn, r.msisdn), coalesce(t.iccid, r.iccid), t.code)
    FROM unnest($2::int[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[])
        AS t (row_no, state, order_id, msisdn, iccid, code)
    WHERE r.batch = $1 AND r.row_no = t.row_no AND r.state = 'sent' RETURNING t.state)
UPDATE batch SET (ok, failed) =
    (ok + (SELECT count(*) FROM ended WHERE state = 'succeeded'),
     failed + (SELECT count(*) FROM ended WHERE state = 'failed'))
WHERE id = $1;

-- name: batch_rows_sent
-- Rows that were handed in and have not ended, and which of them are orders. $3: by their users.
SELECT r.row_no, r.user_id, r.msisdn, w.id AS order_id
FROM batch_row r LEFT JOIN work_order w ON w.source = $2 AND w.order_id =
    'B' || r.batch || '-' || CASE WHEN $3 THEN r.user_id ELSE r.row_no::text END
WHERE r.batch = $1 AND r.state = 'sent' ORDER BY r.row_no;

-- name: batch_receipts
-- Final receipts of these orders.
SELECT order_id, body FROM receipt WHERE order_id = ANY($1::bigint[]) AND is_final;

-- name: batch_close
-- Every child that was handed in has ended.
UPDATE batch SET (state, ended_at, mark) = ('done', now(), $2)
WHERE id = $1 AND state IN ('running', 'paused', 'stopping') RETURNING *;

-- name: batch_results
-- Rows past a cursor.
SELECT row_no, user_id, state, order_id, msisdn, iccid, code FROM batch_row
WHERE batch = $1 AND row_no > $2 ORDER BY row_no LIMIT $3;

-- name: batch_users_busy
-- Which of these users have an open order, and of which kinds; what is dated ahead does not count.
SELECT DISTINCT ON (w.user_id, w.kind) w.user_id, w.kind, w.id
FROM unnest($1::text[]) AS t (user_id) CROSS JOIN LATERAL orders_of(t.user_id) w
WHERE NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = w.id AND r.is_final)
  AND NOT EXISTS (SELECT FROM turn t WHERE t.order_id = w.id
                  AND t.due_at IS NOT NULL AND t.place IS NULL)
ORDER BY w.user_id, w.kind, w.id;

-- name: batch_card_homes
-- Home HLRs of cards of the stock.
SELECT c.iccid, l.hlr FROM sim_card c JOIN sim_lot l ON l.id = c.lot_id
WHERE c.iccid = ANY($1::text[]);

-- name: batch_number_pools
-- The pools that numbers are of.
SELECT t.msisdn, r.pool FROM unnest($1::bigint[]) AS t (msisdn)
JOIN number_range r ON int8range(r.first, r.last, '[]') @> t.msisdn;

-- name: batch_cards
-- Cards of a range of ICCIDs, as they stand in it.
SELECT c.iccid FROM sim_card c JOIN sim_lot l ON l.id = c.lot_id
WHERE l.is_ready AND c.iccid BETWEEN $1 AND $2 AND c.iccid > $3
ORDER BY c.iccid OFFSET $4 LIMIT $5;

-- Enterprises and their members.

-- name: journal_put_ecs
-- Name and lead province, as the last order says.
INSERT INTO ec (code, name, province, since)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
ON CONFLICT (code) DO UPDATE SET (name, province) = (excluded.name, excluded.province);

-- name: journal_put_ec_subscriptions
-- What enterprises have, and how it stands.
INSERT INTO ec_subscription AS s (ec_code, product, version, product_class, scope, route,
    lead_province, partner_provinces, is_straight, state, order_id, since)
SELECT t.ec_code, t.product, t.version, t.product_class, t.scope, t.route, t.lead_province,
    string_to_array(t.partners, ','), t.is_straight, t.state, t.order_id, t.since
FROM unnest($1::text[], $2::text[], $3::int[], $4::smallint[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::boolean[], $10::text[], $11::bigint[], $12::timestamptz[])
    AS t (ec_code, product, version, product_class, scope, route, lead_province, partners,
          is_straight, state, order_id, since)
ON CONFLICT (ec_code, product) DO UPDATE SET
    (version, product_class, scope, route, lead_province, partner_provinces, is_straight, state,
     order_id, since) =
    (excluded.version, excluded.product_class, excluded.scope, excluded.route,
     excluded.lead_province, excluded.partner_provinces, excluded.is_straight, excluded.state,
     excluded.order_id, excluded.since);

-- name: journal_drop_ec_subscriptions
-- Enterprises that have these no more, or never came to have them.
DELETE FROM ec_subscription s USING unnest($1::text[], $2::text[]) AS t (ec_code, product)
WHERE (s.ec_code, s.product) = (t.ec_code, t.product);

-- name: journal_join_ecs
-- Users who became members.
INSERT INTO ec_member (user_id, ec_code, route, product, order_id, since)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[],
    $6::timestamptz[])
ON CONFLICT (user_id) DO UPDATE SET (ec_code, route, product, order_id, since) =
    (excluded.ec_code, excluded.route, excluded.product, excluded.order_id, excluded.since);

-- name: journal_leave_ecs
-- Users ($1) who are members no more, of whom a number ($2) is given that they have no more. Where hlrd
-- is of the partner and of the lead province, the lead's list has them too.
WITH gone AS (
    DELETE FROM ec_member m USING unnest($1::text[], $2::bigint[]) AS t (user_id, msisdn)
    WHERE m.user_id = t.user_id RETURNING m.user_id, m.ec_code, t.msisdn)
DELETE FROM ec_partner_member p
USING (SELECT g.ec_code, coalesce(g.msisdn, b.msisdn) AS msisdn FROM gone g
       LEFT JOIN LATERAL (SELECT u.msisdn FROM binding u WHERE u.user_id = g.user_id LIMIT 1) b
           ON true OFFSET 0) AS t
WHERE p.ec_code = t.ec_code AND p.msisdn = t.msisdn;

-- name: journal_put_ec_partners
-- Members that partner provinces opened; told again they are as told last.
INSERT INTO ec_partner_member (ec_code, msisdn, province, order_id, since)
SELECT DISTINCT ON (t.ec_code, t.msisdn) * FROM unnest($1::text[], $2::bigint[], $3::text[],
    $4::bigint[], $5::timestamptz[]) AS t (ec_code, msisdn, province, order_id, since)
ORDER BY t.ec_code, t.msisdn, t.order_id DESC
ON CONFLICT (ec_code, msisdn) DO UPDATE SET province = excluded.province;

-- name: facts_ec_products_used
-- Which of these products of enterprises a member has, or was reported with.
SELECT t.ec_code, t.product FROM unnest($1::text[], $2::text[]) AS t (ec_code, product)
WHERE (SELECT true FROM user_product p
       WHERE p.ec_code <> '' AND (p.ec_code, p.product) = (t.ec_code, t.product) LIMIT 1)
   OR (SELECT true FROM ec_member m
       WHERE m.ec_code = t.ec_code AND m.product = t.product LIMIT 1);

-- name: facts_ecs_with_members
-- Which of these enterprises have a member of our own.
SELECT t.ec_code FROM unnest($1::text[]) AS t (ec_code)
WHERE (SELECT true FROM ec_member m WHERE m.ec_code = t.ec_code LIMIT 1);

-- name: ec_codes
-- Enterprises that hlrd was ever told of.
SELECT code FROM ec;

-- name: ec_subscriptions
-- All that enterprises have.
SELECT s.*, e.name FROM ec_subscription s JOIN ec e ON e.code = s.ec_code
ORDER BY s.ec_code, s.since;

-- name: ec_subscriptions_of
-- What one enterprise has.
SELECT s.*, e.name FROM ec_subscription s JOIN ec e ON e.code = s.ec_code
WHERE s.ec_code = $1 ORDER BY s.product;

-- name: ecs_after
-- Enterprises past a code.
SELECT e.code, e.name, e.province, e.since,
    (SELECT count(*) FROM ec_subscription s WHERE s.ec_code = e.code) AS products
FROM ec e WHERE e.code > $1 ORDER BY e.code LIMIT $2;

-- name: ec
-- One enterprise, and how many members it has.
SELECT e.code, e.name, e.province, e.since,
    (SELECT count(*) FROM ec_subscription s WHERE s.ec_code = e.code) AS products,
    (SELECT count(*) FROM ec_member m WHERE m.ec_code = e.code) AS members,
    (SELECT count(*) FROM ec_partner_member p WHERE p.ec_code = e.code) AS partners
FROM ec e WHERE e.code = $1;

-- name: ec_members_after
-- Members of our own past a user.
SELECT m.user_id, b.msisdn::text, b.province, b.hlr, coalesce(s.state, 'active') AS state,
    coalesce(s.reasons, '{}')::text AS reasons, m.product, m.since
FROM ec_member m
JOIN binding b USING (user_id)
LEFT JOIN user_state s USING (user_id)
WHERE m.ec_code = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3;

-- name: ec_partners_after
-- Members of partner provinces past a number.
SELECT p.msisdn::text, p.province, p.since FROM ec_partner_member p
WHERE p.ec_code = $1 AND p.msisdn > $2 ORDER BY p.msisdn LIMIT $3;

-- The life of users.

-- name: open_resumes
-- Payment resumes of this node that are not closed and were not to wait for a day, oldest first.
SELECT w.id, w.accepted_at FROM work_order w
WHERE w.id >= (SELECT low_water FROM node WHERE name = $1)
  AND (w.id >> 40) IN (SELECT number FROM epoch WHERE epoch.node = $1)
  AND w.kind = 'PAYMENT_RESUME'
  AND convert_from(w.payload, 'UTF8')::jsonb ->> 'effective_time' IS NULL
  AND NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = w.id AND r.is_final)
ORDER BY w.accepted_at;

-- name: batch_count_members
-- How many of our own users are members of an EC.
SELECT count(*)::int FROM ec_member WHERE ec_code = $1;

-- name: batch_members
-- Members of an EC past a cursor, with their numbers; one who was terminated has none.
SELECT m.user_id, b.msisdn FROM ec_member m JOIN binding b USING (user_id)
WHERE m.ec_code = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3;

-- Changes of card and number (`hlrd.store.changes`). A claim is a binding with a minus before what
-- its user has already.

-- name: change_drop_claims
-- These claims are over; each is of its claimant alone.
DELETE FROM binding WHERE user_id = ANY($1::text[]);

-- name: change_rebind
-- Users ($1) have another number ($2), or another card ($3 to $6), and keep the rest.
UPDATE binding b SET
    msisdn = coalesce(t.msisdn, b.msisdn),
    imsi = coalesce(t.imsi, b.imsi),
    iccid = coalesce(t.iccid, b.iccid),
    key_id = coalesce(t.key_id, b.key_id),
    sealed_key = coalesce(t.sealed_key, b.sealed_key),
    order_id = CASE WHEN t.msisdn IS NULL THEN b.order_id ELSE t.order_id END,
    since = CASE WHEN t.msisdn IS NULL THEN b.since ELSE t.at END
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bytea[],
    $7::bigint[], $8::timestamptz[])
    AS t (user_id, msisdn, imsi, iccid, key_id, sealed_key, order_id, at)
WHERE b.user_id = t.user_id;

-- name: change_renumbered
-- These numbers were given up for others by users who go on: they rest, and nobody owes for them.
-- To be asked while the users still have them. One that was locked while in use stays locked.
WITH given_up AS (
    SELECT t.*, b.since, b.iccid, b.order_id AS bound_by
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
        AS t (msisdn, user_id, order_id, at, until)
    JOIN binding b ON b.msisdn = t.msisdn AND b.user_id = t.user_id),
remembered AS (
    INSERT INTO renumbering (order_id, user_id, msisdn, at)
    SELECT order_id, user_id, msisdn, at FROM given_up),
noted AS (
    INSERT INTO number_past (msisdn, event, since, at, user_id, iccid, order_id, cause)
    SELECT msisdn, 'renumbered', since, at, user_id, iccid, bound_by, 'order ' || order_id
    FROM given_up)
INSERT INTO number_hold AS h (msisdn, range_id, state, until, cause, user_id)
SELECT g.msisdn, r.id, 'quarantined', g.until, 'renumbered', g.user_id
FROM given_up g LEFT JOIN number_range r ON int8range(r.first, r.last, '[]') @> g.msisdn
ON CONFLICT (msisdn) DO UPDATE SET
    state = CASE h.state WHEN 'locked' THEN h.state ELSE excluded.state END,
    until = CASE h.state WHEN 'locked' THEN NULL ELSE excluded.until END,
    cause = CASE h.state WHEN 'locked' THEN h.cause ELSE excluded.cause END,
    (user_id, in_arrears, lease_id, reservation_id) = (excluded.user_id, false, NULL, NULL);

-- name: change_partners_renumbered
-- Where users who have other numbers ($3 for $2) are listed as a partner province's, so are these.
WITH moved AS (
    DELETE FROM ec_partner_member p
    USING unnest($1::text[], $2::bigint[], $3::bigint[]) AS t (user_id, msisdn, target)
    JOIN ec_member m USING (user_id)
    WHERE p.ec_code = m.ec_code AND p.msisdn = t.msisdn
    RETURNING p.ec_code, t.target, p.province, p.order_id, p.since)
INSERT INTO ec_partner_member (ec_code, msisdn, province, order_id, since)
SELECT ec_code, target, province, order_id, since FROM moved
ON CONFLICT (ec_code, msisdn) DO NOTHING;

-- name: change_card_noted
-- Note the card that a user gave up in the past of his number.
INSERT INTO number_past (msisdn, event, at, user_id, iccid, order_id)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[],
    $6::bigint[]);

-- name: change_hold_numbers
-- Say what becomes of numbers that were claimed and not had; one that is locked stays locked.
WITH held AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[],
        $6::timestamptz[]) AS t (msisdn, state, event, user_id, order_id, at)),
noted AS (
    INSERT INTO number_past (msisdn, event, at, user_id, order_id, cause)
    SELECT msisdn, event, at, user_id, order_id, 'order ' || order_id FROM held)
INSERT INTO number_hold AS h (msisdn, range_id, state, cause)
SELECT t.msisdn, r.id, t.state, t.event
FROM held t LEFT JOIN number_range r ON int8range(r.first, r.last, '[]') @> t.msisdn
ON CONFLICT (msisdn) DO UPDATE SET
    state = CASE h.state WHEN 'locked' THEN h.state ELSE excluded.state END,
    cause = CASE h.state WHEN 'locked' THEN h.cause ELSE excluded.cause END,
    (until, lease_id, reservation_id) = (NULL, NULL, NULL);

-- name: change_hold_cards
-- Say what becomes of cards that were given up, or claimed and not had.
INSERT INTO card_hold (iccid, lot_id, state, cause)
SELECT t.iccid, c.lot_id, t.state, t.cause
FROM unnest($1::text[], $2::text[], $3::text[]) AS t (iccid, state, cause)
LEFT JOIN sim_card c USING (iccid)
ON CONFLICT (iccid) DO UPDATE SET (state, cause, lease_id, reservation_id) =
    (excluded.state, excluded.cause, NULL, NULL);

-- The turns of orders.

-- name: journal_put_sequences
-- How far the sequences of users have come; a late number moves nothing.
INSERT INTO user_sequence AS s (user_id, subject, seq)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (user_id, subject) DO UPDATE SET seq = excluded.seq WHERE s.seq < excluded.seq;

-- name: journal_end_turns
-- Orders that were dated ahead, and are closed.
UPDATE turn SET is_over = true WHERE order_id = ANY($1::bigint[]);

-- name: facts_sequences
-- How far the sequences of these users have come.
SELECT user_id, subject, seq FROM user_sequence WHERE user_id = ANY($1::text[]);

-- name: facts_business_keys
-- The order that first succeeded in each of these.
SELECT DISTINCT ON (t.user_id, t.business_key) t.user_id, t.business_key, k.order_id
FROM unnest($1::text[], $2::text[]) AS t (user_id, business_key)
CROSS JOIN LATERAL (SELECT u.order_id FROM turn u
    WHERE u.user_id = t.user_id AND u.business_key = t.business_key OFFSET 0) k
CROSS JOIN LATERAL (SELECT u.seq FROM receipt u
    WHERE u.order_id = k.order_id AND u.is_final AND u.state = 'succeeded' LIMIT 1) r
ORDER BY t.user_id, t.business_key, r.seq;

-- name: facts_openings_due
-- When the openings of these users fall due, of those that are dated ahead and not closed.
SELECT b.user_id, t.due_at
FROM (SELECT user_id, order_id FROM binding WHERE user_id = ANY($1::text[]) OFFSET 0) b
CROSS JOIN LATERAL (SELECT u.due_at FROM turn u
    WHERE u.order_id = b.order_id AND u.due_at IS NOT NULL AND NOT u.is_over LIMIT 1) t;

-- name: facts_scheduled
-- How many orders of these users wait for their time.
SELECT user_id, count(*)::int AS orders FROM turn
WHERE user_id = ANY($1::text[]) AND due_at IS NOT NULL AND place IS NULL AND NOT is_over
GROUP BY user_id;

-- name: turns_due
-- Orders whose time has come, the earliest first.
SELECT t.order_id, t.user_id, w.priority, w.kind FROM turn t JOIN work_order w ON w.id = t.order_id
WHERE t.due_at <= $1 AND t.due_at IS NOT NULL AND t.place IS NULL AND NOT t.is_over
ORDER BY t.due_at, t.order_id LIMIT $2;

-- name: turns_fall_due
-- They stand among their user's orders from now on.
UPDATE turn SET place = t.place
FROM unnest($1::bigint[], $2::bigint[]) AS t (order_id, place) WHERE turn.order_id = t.order_id;

-- name: turns_waiting
-- Orders dated ahead whose time is to come, counted up to a bound.
SELECT count(*) FROM (SELECT FROM turn
    WHERE due_at IS NOT NULL AND place IS NULL AND NOT is_over LIMIT $1) AS t;

-- name: turn_chase
-- Make an order as urgent as $2, and tell how urgent it was.
UPDATE work_order w SET priority = least(w.priority, $2::smallint)
FROM work_order b WHERE w.id = $1 AND b.id = w.id RETURNING b.priority;

-- name: state_masters
-- What was said of provinces while running.
SELECT province, master, next, operator_id, since FROM state_master ORDER BY province;

-- name: state_master_put
-- Who is master of a province, and who is to be.
INSERT INTO state_master (province, master, next, operator_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (province) DO UPDATE SET (master, next, operator_id, since) =
    (excluded.master, excluded.next, excluded.operator_id, now())
RETURNING province, master, next, operator_id, since;

-- name: state_master_switch
-- The one who is to be is the master; nothing if that is so already.
UPDATE state_master SET (master, next, since) = (next, NULL, now())
WHERE province = $1 AND next IS NOT NULL RETURNING master;

-- name: state_versions_forget
-- The next versions of the states of a province's users are counted by another.
DELETE FROM user_sequence s USING binding b
WHERE s.subject = $2 AND s.user_id = b.user_id AND b.province = $1;

-- name: state_orders_open
-- Orders of these kinds ($2) about users of a province that are due and not closed.
SELECT count(*) FILTER (WHERE NOT o.in_fallout) AS waiting,
    count(*) FILTER (WHERE o.in_fallout) AS fallout
FROM (
    SELECT EXISTS (SELECT FROM fallout f WHERE f.order_id = w.id AND f.way IS NULL) AS in_fallout
    FROM work_order w LEFT JOIN binding b ON b.user_id = w.user_id
    WHERE w.id >= (SELECT min(low_water) FROM node) AND w.kind = ANY($2::text[])
      AND coalesce(b.province, w.province) = $1
      AND NOT EXISTS (SELECT FROM receipt r WHERE r.order_id = w.id AND r.is_final)
      AND NOT EXISTS (SELECT FROM turn t WHERE t.order_id = w.id
                      AND t.due_at IS NOT NULL AND t.place IS NULL)) AS o;

-- name: state_stopped
-- The next users of a province that have reasons, behind user $2.
SELECT s.user_id, s.reasons, v.seq AS version
FROM user_state s
CROSS JOIN LATERAL (SELECT * FROM binding u WHERE u.user_id = s.user_id LIMIT 1) b
LEFT JOIN LATERAL (SELECT * FROM user_sequence u
                   WHERE u.user_id = s.user_id AND u.subject = $4 LIMIT 1) v ON true
WHERE b.province = $1 AND s.user_id > $2 AND s.reasons <> '{}'
ORDER BY s.user_id LIMIT $3;

-- name: state_held
-- How hlrd has these users, and whether an order of theirs is open; $2 is the subject of versions.
SELECT t.user_id, b.msisdn, b.province, coalesce(s.reasons, '{}') AS reasons,
    v.seq AS version,
    EXISTS (SELECT FROM orders_of(t.user_id) w WHERE NOT EXISTS
        (SELECT FROM receipt r WHERE r.order_id = w.id AND r.is_final)) AS is_busy
FROM unnest($1::text[]) AS t (user_id)
CROSS JOIN LATERAL (SELECT * FROM binding u WHERE u.user_id = t.user_id LIMIT 1) b
LEFT JOIN LATERAL (SELECT * FROM user_state u WHERE u.user_id = t.user_id LIMIT 1) s ON true
LEFT JOIN LATERAL (SELECT * FROM user_sequence u
                   WHERE u.user_id = t.user_id AND u.subject = $2 LIMIT 1) v ON true;

-- name: ec_stops
-- What all members of an EC are stopped for: by reason, the last order about all of them.
SELECT * FROM (
    SELECT DISTINCT ON (b.ec_code, b.reason) b.ec_code, b.reason, b.kind,
        (convert_from(w.payload, 'UTF8')::jsonb ->> 'level')::int AS level
    FROM batch b JOIN work_order w ON w.id = b.work_order
    WHERE b.ec_code IS NOT NULL AND b.mark <> 'SUPERSEDED'
    ORDER BY b.ec_code, b.reason, b.id DESC
) last WHERE kind = 'EC_SUSPEND_ALL';
