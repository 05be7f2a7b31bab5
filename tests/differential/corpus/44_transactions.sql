-- Transaction blocks over several shards: reads see the block's own writes, COMMIT keeps all, ROLLBACK nothing, an error fails the block.
--! script
BEGIN;
INSERT INTO dups VALUES (5, 1, 1, 'tx');
INSERT INTO dups VALUES (6, 2, 2, 'tx');
INSERT INTO dups VALUES (7, 3, 3, 'tx');
SELECT count(*) FROM dups WHERE c = 'tx';
COMMIT;
SELECT k, a FROM dups WHERE c = 'tx' ORDER BY k;
--! end
--! script
BEGIN;
UPDATE customers SET balance = balance - 100 WHERE id = 5;
UPDATE customers SET balance = balance + 100 WHERE id = 6;
SELECT sum(balance) FROM customers;
ROLLBACK;
SELECT balance FROM customers WHERE id IN (5, 6) ORDER BY id;
--! end
--! script
BEGIN;
SELECT name FROM customers WHERE id = 5;
SELECT name FROM customers WHERE id = 6;
SELECT name FROM customers WHERE id = 7;
COMMIT;
--! end
--! script
BEGIN;
SELECT count(*) FROM customers;
SELECT count(*) FROM orders;
COMMIT;
--! end
--! script
BEGIN;
DELETE FROM dups WHERE a = 1;
SELECT count(*) FROM dups;
INSERT INTO dups SELECT id, 1 FROM customers;
SELECT count(*) FROM dups;
COMMIT;
--! end
--! script
BEGIN;
UPDATE customers SET balance = 1 WHERE id = 5;
INSERT INTO customers (id, name) VALUES (6, 'exists');
SELECT 1;
COMMIT;
SELECT balance FROM customers WHERE id = 5;
--! end
--! script
BEGIN;
SELECT nothing;
SELECT 1;
ROLLBACK;
SELECT 1;
--! end
--! script
BEGIN;
UPDATE customers SET balance = 1 WHERE id = 5;
SELECT 1 / 0;
UPDATE customers SET balance = 1 WHERE id = 6;
ROLLBACK;
--! end
--! script
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM customers WHERE id = 5;
SHOW transaction_isolation;
COMMIT;
--! end
--! script
BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY;
SELECT name FROM customers WHERE id = 5;
UPDATE customers SET level = 1 WHERE id = 5;
ROLLBACK;
--! end
--! script
BEGIN READ ONLY;
SELECT name FROM customers WHERE id = 5;
INSERT INTO dups VALUES (6);
ROLLBACK;
--! end
--! script
START TRANSACTION;
INSERT INTO dups VALUES (5, 9, 9, 'tx');
END;
SELECT count(*) FROM dups WHERE c = 'tx';
--! end
--! script
BEGIN WORK;
INSERT INTO dups VALUES (5, 9, 9, 'tx');
ABORT;
SELECT count(*) FROM dups WHERE c = 'tx';
--! end
--! script
BEGIN;
INSERT INTO dups VALUES (5, 9, 9, 'tx');
COMMIT AND CHAIN;
INSERT INTO dups VALUES (6, 9, 9, 'tx');
ROLLBACK AND CHAIN;
INSERT INTO dups VALUES (7, 9, 9, 'tx');
COMMIT;
SELECT k FROM dups WHERE c = 'tx' ORDER BY k;
--! end
--! script
BEGIN;
COMMIT;
BEGIN;
ROLLBACK;
COMMIT;
ROLLBACK;
--! end
--! script
BEGIN;
BEGIN;
SELECT 1;
COMMIT;
--! end
--! script
BEGIN;
SELECT code FROM countries ORDER BY code;
SELECT name FROM customers WHERE id = 5;
SELECT name FROM customers WHERE id = 6;
COMMIT;
--! end
--! script
BEGIN;
SELECT key FROM settings ORDER BY key;
INSERT INTO settings VALUES ('tx', 'v', 1);
UPDATE customers SET level = 1 WHERE id = 5;
UPDATE customers SET level = 1 WHERE id = 7;
COMMIT;
--! end
--! script
BEGIN;
SET LOCAL work_mem = '8MB';
SHOW work_mem;
SELECT name FROM customers WHERE id = 5;
SHOW work_mem;
COMMIT;
SHOW work_mem;
--! end
--! script
BEGIN;
SET LOCAL TimeZone = 'Asia/Tokyo';
SELECT created FROM customers WHERE id = 5;
SELECT created FROM customers WHERE id = 6;
SELECT id, created FROM customers ORDER BY id LIMIT 3;
COMMIT;
SELECT created FROM customers WHERE id = 5;
--! end
--! script
BEGIN;
SELECT now() = now(), transaction_timestamp() = statement_timestamp() IS NOT NULL;
SELECT count(DISTINCT x) FROM (SELECT now() AS x FROM customers UNION ALL SELECT now() FROM events) y;
COMMIT;
--! end
--! script
BEGIN;
DELETE FROM orders WHERE customer_id = 14;
SELECT count(*) FROM items WHERE customer_id = 14;
SELECT count(*) FROM items;
ROLLBACK;
SELECT count(*) FROM items;
--! end
--! script
BEGIN;
UPDATE accounts SET amount = amount - 10 WHERE code = 'acc1';
UPDATE accounts SET amount = amount + 10 WHERE code = 'acc2';
INSERT INTO entries (code, seq, delta) VALUES ('acc1', 90, -10), ('acc2', 90, 10);
SELECT sum(delta) FROM entries WHERE seq = 90;
COMMIT;
--! end
--! script
BEGIN;
INSERT INTO events (day, id) VALUES ('2025-01-02', 900);
INSERT INTO events (day, id) VALUES ('2025-12-02', 901);
SELECT day, id FROM events WHERE id >= 900 ORDER BY id;
ROLLBACK;
--! end
--! script
BEGIN;
UPDATE dups SET a = 5;
UPDATE dups SET a = a + 1;
SELECT DISTINCT a FROM dups;
COMMIT;
--! end
--! script
UPDATE customers SET balance = 1 WHERE id = 5; UPDATE customers SET balance = 1 WHERE id = 6;
--! end
--! script
INSERT INTO dups VALUES (5, 9, 9, 'm')\; SELECT count(*) FROM dups WHERE k = 5\; SELECT 1;
--! end
SELECT 1\; SELECT 2\; SELECT 3;
SELECT name FROM customers WHERE id = 5\; SELECT name FROM customers WHERE id = 6;
SELECT count(*) FROM customers\; SELECT count(*) FROM orders;
INSERT INTO dups VALUES (5, 9, 9, 'm')\; INSERT INTO dups VALUES (6, 9, 9, 'm')\; SELECT 1 / 0;
INSERT INTO dups VALUES (5, 9, 9, 'm')\; SELECT 1 / 0\; INSERT INTO dups VALUES (6, 9, 9, 'm');
BEGIN\; INSERT INTO dups VALUES (5, 9, 9, 'm')\; INSERT INTO dups VALUES (6, 9, 9, 'm')\; COMMIT;
BEGIN\; INSERT INTO dups VALUES (5, 9, 9, 'm')\; ROLLBACK\; SELECT count(*) FROM dups WHERE k = 5;
SELECT 1\; SELECT nothing\; SELECT 2;
COMMIT;
ROLLBACK;
--! script
BEGIN;
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM dups WHERE k = 5;
UPDATE dups SET a = 1 WHERE k = 5;
COMMIT;
--! end
--! script
BEGIN;
SELECT name FROM customers WHERE id = 5;
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
ROLLBACK;
--! end
--! script
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO dups VALUES (5), (6);
COMMIT;
--! end
--! script
SET TimeZone = 'America/New_York';
SELECT id, created FROM customers ORDER BY id LIMIT 3;
SELECT created FROM customers WHERE id = 5;
RESET TimeZone;
SELECT created FROM customers WHERE id = 5;
--! end
--! script
SET DateStyle = 'German';
SELECT id, born FROM customers ORDER BY id LIMIT 3;
SELECT count(*) FROM events WHERE day >= '01.05.2025' AND day < '10.05.2025';
SELECT id FROM events WHERE day = '14.01.2025';
--! end
--! script
SET extra_float_digits = 0;
SELECT k, f8, f4 FROM kinds ORDER BY k;
SELECT sum(score) FROM customers;
--! end
--! script
SET IntervalStyle = 'iso_8601';
SELECT k, iv FROM kinds ORDER BY k;
SELECT sum(iv) FROM kinds WHERE k < 10;
--! end
--! script
SET bytea_output = 'escape';
SELECT k, by FROM kinds ORDER BY k;
--! end
--! script
SET search_path = pg_catalog;
SELECT count(*) FROM public.customers;
SELECT count(*) FROM customers;
--! end
--! script
SET standard_conforming_strings = off;
SELECT count(*) FROM accounts WHERE code = 'acc\x37';
SELECT code FROM accounts WHERE code > 'acc\x37' AND code < 'acc8' ORDER BY code;
--! end
--! script
SET client_encoding = 'LATIN1';
SELECT name FROM tenants WHERE seats = 0;
SELECT name FROM tenants ORDER BY name;
--! end
--! script
SET transform_null_equals = on;
SELECT id FROM customers WHERE country = NULL ORDER BY id;
--! end
--! script
CREATE TEMP TABLE tmp (k bigint, v text);
INSERT INTO tmp VALUES (5, 'a'), (6, 'b'), (7, 'c');
SELECT * FROM tmp ORDER BY k;
SELECT t.v, c.name FROM tmp t JOIN customers c ON c.id = t.k ORDER BY t.k;
DROP TABLE tmp;
--! end
--! script
CREATE TEMP TABLE dups (x int);
SELECT count(*) FROM dups;
SELECT count(*) FROM public.dups;
INSERT INTO dups VALUES (1), (2);
SELECT x FROM dups ORDER BY x;
DROP TABLE dups;
SELECT count(*) FROM dups;
--! end
--! script
BEGIN;
CREATE TEMP TABLE tmp ON COMMIT DROP AS SELECT id, level FROM customers WHERE level = 1;
SELECT count(*) FROM tmp;
COMMIT;
--! end
