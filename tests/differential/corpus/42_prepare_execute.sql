-- PREPARE, EXECUTE, DEALLOCATE in SQL.
--! script
PREPARE p AS SELECT id, name FROM customers WHERE id = $1;
EXECUTE p(5);
EXECUTE p(6);
EXECUTE p(7);
EXECUTE p(NULL);
EXECUTE p('8');
DEALLOCATE p;
--! end
--! script
PREPARE p (bigint) AS SELECT count(*) FROM orders WHERE customer_id = $1;
EXECUTE p(14);
EXECUTE p(15);
EXECUTE p(1 + 2);
DEALLOCATE PREPARE p;
--! end
--! script
PREPARE p (int) AS SELECT id FROM customers WHERE level = $1 ORDER BY id;
--! ordered
EXECUTE p(1);
--! ordered
EXECUTE p(2);
DEALLOCATE ALL;
--! end
--! script
PREPARE p AS SELECT count(*) FROM customers;
EXECUTE p;
EXECUTE p;
--! end
--! script
PREPARE p (text, int) AS SELECT country, count(*) FROM customers WHERE country <> $1 AND level > $2 GROUP BY country ORDER BY country;
--! ordered
EXECUTE p('de', 2);
--! ordered
EXECUTE p('fr', 4);
--! end
--! script
PREPARE p (bigint[]) AS SELECT id FROM customers WHERE id = ANY ($1) ORDER BY id;
--! ordered
EXECUTE p('{5}');
--! ordered
EXECUTE p('{5,6,7}');
EXECUTE p('{}');
--! end
--! script
PREPARE p (bigint, int) AS INSERT INTO dups (k, a) VALUES ($1, $2);
EXECUTE p(5, 1);
EXECUTE p(6, 2);
EXECUTE p(7, 3);
SELECT k, a FROM dups WHERE b IS NULL AND c IS NULL AND k IN (5, 6, 7) ORDER BY k;
--! end
--! script
PREPARE p (int) AS UPDATE customers SET balance = balance + 1 WHERE level = $1 RETURNING id;
EXECUTE p(1);
EXECUTE p(2);
--! end
--! script
PREPARE p (bigint) AS DELETE FROM dups WHERE k = $1;
EXECUTE p(5);
EXECUTE p(6);
EXECUTE p(5);
--! end
--! script
PREPARE a AS SELECT 1;
PREPARE b AS SELECT 2;
EXECUTE b;
EXECUTE a;
DEALLOCATE a;
EXECUTE b;
EXECUTE a;
--! end
--! script
BEGIN;
PREPARE p (bigint) AS SELECT name FROM customers WHERE id = $1;
EXECUTE p(5);
COMMIT;
EXECUTE p(6);
--! end
--! script
PREPARE p (bigint) AS SELECT name FROM customers WHERE id = $1;
BEGIN;
EXECUTE p(5);
EXECUTE p(6);
EXECUTE p(7);
COMMIT;
--! end
--! script
PREPARE p AS SELECT id FROM customers WHERE id = $1;
PREPARE p AS SELECT 2;
EXECUTE p(5);
--! end
--! script
PREPARE p AS SELECT $1::text || $2::text;
EXECUTE p('a', 'b');
EXECUTE p('a');
--! end
--! script
PREPARE p (int) AS SELECT id FROM customers ORDER BY id LIMIT $1;
--! ordered
EXECUTE p(3);
EXECUTE p(0);
--! end
--! script
PREPARE p (date, date) AS SELECT count(*) FROM events WHERE day >= $1 AND day < $2;
EXECUTE p('2025-01-01', '2025-02-01');
EXECUTE p('2025-04-01', '2025-10-01');
--! end
--! script
PREPARE p (text) AS SELECT seats FROM tenants WHERE name = $1;
EXECUTE p('acme');
EXECUTE p('hooli');
EXECUTE p('nobody');
--! end
EXECUTE nothing;
DEALLOCATE nothing;
--! known by the extended protocol the body is not looked at
PREPARE p AS SELECT nothing FROM customers;
--! script
PREPARE p (bigint) AS SELECT c.id, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id > $1 GROUP BY c.id ORDER BY c.id;
--! ordered
EXECUTE p(45);
--! ordered
EXECUTE p(50);
--! end
