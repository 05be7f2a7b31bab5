-- DECLARE, FETCH, MOVE, CLOSE; portals that are read in parts.
--! script
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM customers ORDER BY id;
--! ordered
FETCH 3 FROM c;
--! ordered
FETCH NEXT FROM c;
--! ordered
FETCH FORWARD 2 FROM c;
--! ordered
FETCH ALL FROM c;
FETCH 1 FROM c;
CLOSE c;
COMMIT;
--! end
--! script
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM customers WHERE id = 5;
FETCH 5 FROM c;
CLOSE c;
COMMIT;
--! end
--! script
BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT country, count(*) FROM customers GROUP BY country ORDER BY country;
--! ordered
FETCH 2 FROM c;
MOVE 1 FROM c;
--! ordered
FETCH FORWARD ALL FROM c;
END;
--! end
--! script
BEGIN;
DECLARE a CURSOR FOR SELECT id FROM customers ORDER BY id;
DECLARE b CURSOR FOR SELECT id FROM orders ORDER BY id;
--! ordered
FETCH 2 FROM a;
--! ordered
FETCH 2 FROM b;
--! ordered
FETCH 2 FROM a;
CLOSE ALL;
COMMIT;
--! end
--! script
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM customers ORDER BY id;
--! ordered
FETCH 3 FROM c;
--! ordered
FETCH PRIOR FROM c;
--! ordered
FETCH FIRST FROM c;
--! ordered
FETCH LAST FROM c;
--! ordered
FETCH ABSOLUTE 10 FROM c;
--! ordered
FETCH RELATIVE -2 FROM c;
--! ordered
FETCH BACKWARD 2 FROM c;
COMMIT;
--! end
--! script
DECLARE c CURSOR WITH HOLD FOR SELECT id FROM customers ORDER BY id;
--! ordered
FETCH 2 FROM c;
--! ordered
FETCH 2 FROM c;
CLOSE c;
--! end
--! script
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT id FROM customers ORDER BY id;
--! ordered
FETCH 2 FROM c;
COMMIT;
--! ordered
FETCH 2 FROM c;
CLOSE c;
--! end
--! script
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM customers ORDER BY id;
UPDATE customers SET balance = 0 WHERE id = 1;
--! ordered
FETCH 1 FROM c;
ROLLBACK;
--! end
--! script
BEGIN;
DECLARE c CURSOR FOR SELECT k, a FROM dups WHERE k = 5 FOR UPDATE;
FETCH 1 FROM c;
DELETE FROM dups WHERE CURRENT OF c;
COMMIT;
SELECT count(*) FROM dups WHERE k = 5;
--! end
--! script
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM customers;
SAVEPOINT s;
FETCH 0 FROM c;
ROLLBACK TO s;
CLOSE c;
COMMIT;
--! end
--! script
DECLARE c CURSOR FOR SELECT id FROM customers;
--! end
--! script
BEGIN;
FETCH 1 FROM nothing;
ROLLBACK;
--! end
--! script
BEGIN;
CLOSE nothing;
ROLLBACK;
--! end
--! script
BEGIN;
DECLARE c CURSOR FOR SELECT nothing FROM customers;
ROLLBACK;
--! end
--! script
BEGIN;
DECLARE c CURSOR FOR SELECT c.id, o.id AS oid FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY o.id;
--! ordered
FETCH 5 FROM c;
COMMIT;
--! end
--! script
BEGIN;
DECLARE c BINARY CURSOR FOR SELECT id, level FROM customers ORDER BY id;
--! ordered
FETCH 2 FROM c;
COMMIT;
--! end
--! script
BEGIN;
DECLARE c CURSOR FOR SELECT code FROM countries ORDER BY code;
--! ordered
FETCH 2 FROM c;
COMMIT;
--! end
-- portals read in parts
--! known the tag of a portal read in parts counts all rows, PostgreSQL those of the last part
--! fetch 1
SELECT id FROM customers ORDER BY id LIMIT 4;
--! known the tag of a portal read in parts counts all rows, PostgreSQL those of the last part
--! fetch 10
SELECT id FROM customers ORDER BY id;
--! known the tag of a portal read in parts counts all rows, PostgreSQL those of the last part
--! fetch 57
SELECT id FROM customers ORDER BY id;
--! fetch 1000
SELECT id FROM customers ORDER BY id;
--! known the tag of a portal read in parts counts all rows, PostgreSQL those of the last part
--! fetch 7
SELECT id, name FROM customers;
--! fetch 3
SELECT id FROM customers WHERE id = 5;
--! known the tag of a portal read in parts counts all rows, PostgreSQL those of the last part
--! fetch 2
SELECT country, count(*) FROM customers GROUP BY country ORDER BY country;
--! fetch 5
SELECT id FROM customers WHERE false;
--! known the tag of a portal read in parts counts all rows, PostgreSQL those of the last part
--! fetch 4
--! params 3
SELECT id FROM customers WHERE level = $1 ORDER BY id;
--! fetch 2
SELECT * FROM countries ORDER BY code;
--! known the tag of a portal read in parts counts all rows, PostgreSQL those of the last part
--! fetch 5
SELECT c.id, e.id FROM customers c JOIN events e ON e.customer_id = c.id ORDER BY 1, 2;
--! known the tag of a portal read in parts counts all rows, PostgreSQL those of the last part
--! fetch 2
INSERT INTO dups VALUES (1, 1, 1, 'x'), (2, 2, 2, 'y'), (3, 3, 3, 'z') RETURNING k;
