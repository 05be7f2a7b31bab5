-- SELECT … FOR UPDATE and its like, LOCK, advisory locks; with a second session where that shows something.
--! script
BEGIN;
SELECT id FROM customers WHERE id = 5 FOR UPDATE;
COMMIT;
--! end
--! script
BEGIN;
SELECT id FROM customers WHERE level = 3 ORDER BY id FOR UPDATE;
COMMIT;
--! end
SELECT id FROM customers ORDER BY id FOR UPDATE;
SELECT id FROM customers ORDER BY id FOR NO KEY UPDATE;
SELECT id FROM customers WHERE level = 1 ORDER BY id FOR SHARE;
SELECT id FROM customers WHERE level = 1 ORDER BY id FOR KEY SHARE;
SELECT id FROM customers ORDER BY id FOR UPDATE SKIP LOCKED;
SELECT id FROM customers ORDER BY id LIMIT 5 FOR UPDATE NOWAIT;
SELECT id FROM customers WHERE id IN (5, 6, 7) ORDER BY id FOR UPDATE;
SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.level = 1 ORDER BY o.id FOR UPDATE;
SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.level = 1 ORDER BY o.id FOR UPDATE OF o;
SELECT c.id, n.name FROM customers c JOIN countries n ON n.code = c.country ORDER BY c.id FOR UPDATE OF c;
SELECT c.id, n.name FROM customers c JOIN countries n ON n.code = c.country WHERE c.id = 8 FOR SHARE OF c;
SELECT code FROM countries WHERE region = 'asia' ORDER BY code FOR UPDATE;
SELECT key FROM settings WHERE num = 1 ORDER BY key FOR UPDATE;
SELECT * FROM (SELECT id FROM customers WHERE level = 1 FOR UPDATE) x ORDER BY id;
SELECT id FROM v_active ORDER BY id LIMIT 3 FOR UPDATE;
--! script
BEGIN;
SELECT id FROM customers WHERE id = 5 FOR UPDATE;
--! on b
SELECT id FROM customers WHERE id = 5 FOR UPDATE NOWAIT;
--! on b
SELECT id FROM customers WHERE id IN (5, 6, 7) ORDER BY id FOR UPDATE SKIP LOCKED;
--! on b
SELECT id FROM customers WHERE id < 8 ORDER BY id FOR UPDATE SKIP LOCKED;
--! on b
SELECT id FROM customers WHERE id = 5 FOR KEY SHARE SKIP LOCKED;
COMMIT;
--! on b
SELECT id FROM customers WHERE id = 5 FOR UPDATE NOWAIT;
--! end
--! script
BEGIN;
SELECT id FROM customers WHERE level = 2 ORDER BY id FOR UPDATE;
--! on b
SELECT id FROM customers WHERE level IN (1, 2) ORDER BY id FOR UPDATE SKIP LOCKED;
--! on b
SELECT id FROM customers ORDER BY id FOR UPDATE NOWAIT;
ROLLBACK;
--! end
--! script
BEGIN;
UPDATE customers SET level = 9 WHERE id = 5;
--! on b
SELECT level FROM customers WHERE id = 5;
--! on b
SELECT count(*) FROM customers WHERE level = 9;
--! on b
SELECT id FROM customers WHERE id = 5 FOR UPDATE NOWAIT;
COMMIT;
--! on b
SELECT count(*) FROM customers WHERE level = 9;
--! end
--! script
BEGIN;
UPDATE customers SET level = 9 WHERE level = 1;
--! on b
SELECT count(*) FROM customers WHERE level = 9;
--! on b
SELECT count(*) FROM customers WHERE level = 1;
COMMIT;
--! on b
SELECT count(*) FROM customers WHERE level = 9;
--! end
--! script
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM dups WHERE k = 5;
--! on b
INSERT INTO dups VALUES (5, 1, 1, 'other');
SELECT count(*) FROM dups WHERE k = 5;
COMMIT;
SELECT count(*) FROM dups WHERE k = 5;
--! end
--! script
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM dups;
--! on b
INSERT INTO dups VALUES (5, 1, 1, 'other'), (6, 1, 1, 'other'), (7, 1, 1, 'other');
SELECT count(*) FROM dups;
SELECT count(*) FROM dups WHERE c = 'other';
COMMIT;
SELECT count(*) FROM dups;
--! end
--! script
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT level FROM customers WHERE id = 5;
--! on b
UPDATE customers SET level = 9 WHERE id = 5;
UPDATE customers SET level = 8 WHERE id = 5;
ROLLBACK;
--! end
--! script
BEGIN;
LOCK TABLE dups IN EXCLUSIVE MODE;
--! on b
SELECT count(*) FROM dups;
ROLLBACK;
--! end
--! script
BEGIN;
LOCK TABLE settings;
LOCK TABLE countries IN SHARE MODE;
COMMIT;
--! end
LOCK TABLE dups;
--! script
SELECT pg_advisory_lock(5);
--! on b
SELECT pg_try_advisory_lock(5);
SELECT pg_advisory_unlock(5);
--! on b
SELECT pg_try_advisory_lock(5);
--! end
--! script
BEGIN;
SELECT pg_advisory_xact_lock(7);
--! on b
SELECT pg_try_advisory_xact_lock(7);
COMMIT;
--! on b
SELECT pg_try_advisory_xact_lock(7);
--! end
SELECT count(*) FROM customers FOR UPDATE;
SELECT country, count(*) FROM customers GROUP BY country FOR UPDATE;
SELECT DISTINCT id FROM customers FOR SHARE;
SELECT id FROM customers FOR UPDATE OF nothing;
SELECT c.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id FOR UPDATE OF o;
SELECT id, rank() OVER () FROM customers FOR UPDATE;
