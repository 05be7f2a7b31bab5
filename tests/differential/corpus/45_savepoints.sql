-- SAVEPOINT, ROLLBACK TO, RELEASE over several shards.
--! script
BEGIN;
INSERT INTO dups VALUES (5, 1, 1, 'sp');
SAVEPOINT a;
INSERT INTO dups VALUES (6, 2, 2, 'sp');
ROLLBACK TO a;
INSERT INTO dups VALUES (7, 3, 3, 'sp');
COMMIT;
SELECT k FROM dups WHERE c = 'sp' ORDER BY k;
--! end
--! script
BEGIN;
SAVEPOINT a;
INSERT INTO dups VALUES (5, 1, 1, 'sp');
SAVEPOINT b;
INSERT INTO dups VALUES (6, 1, 1, 'sp');
SAVEPOINT c;
INSERT INTO dups VALUES (7, 1, 1, 'sp');
ROLLBACK TO b;
SELECT k FROM dups WHERE c = 'sp' ORDER BY k;
COMMIT;
SELECT k FROM dups WHERE c = 'sp' ORDER BY k;
--! end
--! script
BEGIN;
SAVEPOINT a;
SELECT 1 / 0;
ROLLBACK TO a;
SELECT name FROM customers WHERE id = 5;
COMMIT;
--! end
--! script
BEGIN;
INSERT INTO dups VALUES (5, 1, 1, 'sp');
SAVEPOINT a;
INSERT INTO customers (id, name) VALUES (6, 'exists');
ROLLBACK TO SAVEPOINT a;
INSERT INTO dups VALUES (6, 1, 1, 'sp');
COMMIT;
SELECT k FROM dups WHERE c = 'sp' ORDER BY k;
--! end
--! script
BEGIN;
SAVEPOINT a;
INSERT INTO dups VALUES (5, 1, 1, 'sp');
RELEASE a;
INSERT INTO dups VALUES (6, 1, 1, 'sp');
ROLLBACK;
SELECT count(*) FROM dups WHERE c = 'sp';
--! end
--! script
BEGIN;
SAVEPOINT a;
INSERT INTO dups VALUES (5, 1, 1, 'sp');
SAVEPOINT a;
INSERT INTO dups VALUES (6, 1, 1, 'sp');
ROLLBACK TO a;
RELEASE a;
ROLLBACK TO a;
COMMIT;
SELECT count(*) FROM dups WHERE c = 'sp';
--! end
--! script
BEGIN;
UPDATE dups SET a = 9;
SAVEPOINT a;
UPDATE dups SET a = 10;
ROLLBACK TO a;
SELECT DISTINCT a FROM dups;
COMMIT;
--! end
--! script
BEGIN;
SAVEPOINT a;
UPDATE customers SET level = level + 95;
ROLLBACK TO a;
UPDATE customers SET level = 1 WHERE id IN (5, 6, 7);
COMMIT;
--! end
--! script
BEGIN;
SAVEPOINT a;
SET LOCAL work_mem = '9MB';
SHOW work_mem;
ROLLBACK TO a;
SHOW work_mem;
COMMIT;
--! end
--! script
BEGIN;
SAVEPOINT a;
RELEASE nothing;
ROLLBACK TO a;
ROLLBACK TO nothing;
ROLLBACK;
--! end
--! script
BEGIN;
SELECT name FROM customers WHERE id = 5;
SAVEPOINT a;
SELECT name FROM customers WHERE id = 6;
RELEASE SAVEPOINT a;
SELECT name FROM customers WHERE id = 7;
COMMIT;
--! end
--! script
BEGIN;
SAVEPOINT a;
INSERT INTO countries VALUES ('zz', 'Z', 1, NULL);
ROLLBACK TO a;
SELECT count(*) FROM countries;
COMMIT;
--! end
--! script
BEGIN;
INSERT INTO dups VALUES (5, 1, 1, 'sp'), (6, 1, 1, 'sp');
SAVEPOINT a;
DELETE FROM dups WHERE c = 'sp';
SELECT count(*) FROM dups WHERE c = 'sp';
ROLLBACK TO a;
SELECT count(*) FROM dups WHERE c = 'sp';
ROLLBACK;
--! end
SAVEPOINT a;
RELEASE a;
ROLLBACK TO a;
