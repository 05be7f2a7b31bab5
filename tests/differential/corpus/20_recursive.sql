-- Recursive CTEs: numbers, hierarchies over shards, graphs, with SEARCH and CYCLE.
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT sum(n) FROM t;
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n * 2 FROM t WHERE n < 100) SELECT * FROM t ORDER BY n;
WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT (n * 7) % 13 FROM t) SELECT * FROM t ORDER BY n;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t LIMIT 5;
WITH RECURSIVE t(n) AS (SELECT 1::bigint UNION ALL SELECT n + 1 FROM t WHERE n < 8) SELECT n, c.name FROM t JOIN customers c ON c.id = n ORDER BY n;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 8) SELECT n, count(c.id) FROM t LEFT JOIN customers c ON c.level = n GROUP BY n ORDER BY n;
WITH RECURSIVE t(n) AS (SELECT 1::bigint UNION ALL SELECT n + 1 FROM t WHERE n < 8) SELECT id FROM customers WHERE id IN (SELECT n FROM t) ORDER BY id;
WITH RECURSIVE up AS (SELECT id, referrer, 0 AS depth FROM customers WHERE id = 10 UNION ALL SELECT c.id, c.referrer, depth + 1 FROM customers c JOIN up ON c.id = up.referrer WHERE depth < 10) SELECT id, depth FROM up ORDER BY depth;
WITH RECURSIVE up AS (SELECT id, referrer FROM customers WHERE id = 10 UNION SELECT c.id, c.referrer FROM customers c JOIN up ON c.id = up.referrer) SELECT id FROM up ORDER BY id;
WITH RECURSIVE down AS (SELECT id, 0 AS depth FROM customers WHERE referrer IS NULL AND level = 0 UNION SELECT c.id, depth + 1 FROM customers c JOIN down ON c.referrer = down.id WHERE depth < 4) SELECT depth, count(*) FROM down GROUP BY depth ORDER BY depth;
WITH RECURSIVE down AS (SELECT id, ARRAY[id] AS path FROM customers WHERE id = 12 UNION ALL SELECT c.id, path || c.id FROM customers c JOIN down ON c.referrer = down.id WHERE NOT c.id = ANY (path)) SELECT id, path FROM down ORDER BY path;
WITH RECURSIVE down(id) AS (SELECT id FROM customers WHERE id < 5 UNION SELECT c.id FROM customers c, down d WHERE c.referrer = d.id) SELECT count(*), max(id) FROM down;
WITH RECURSIVE g AS (SELECT id, referrer FROM customers WHERE id = 20 UNION ALL SELECT c.id, c.referrer FROM customers c JOIN g ON c.id = g.referrer) CYCLE id SET looped USING path SELECT id, looped FROM g ORDER BY array_length(path, 1), id;
WITH RECURSIVE g AS (SELECT id, referrer, 1 AS d FROM customers WHERE id = 20 UNION ALL SELECT c.id, c.referrer, d + 1 FROM customers c JOIN g ON c.id = g.referrer WHERE d < 6) SEARCH DEPTH FIRST BY id SET ord SELECT id, d FROM g ORDER BY ord;
WITH RECURSIVE g AS (SELECT id, 1 AS d FROM customers WHERE id IN (3, 4) UNION ALL SELECT c.id, d + 1 FROM customers c JOIN g ON c.referrer = g.id WHERE d < 3) SEARCH BREADTH FIRST BY id SET ord SELECT id, d FROM g ORDER BY ord, id;
WITH RECURSIVE t AS (SELECT id, customer_id, amount, 1 AS n FROM orders WHERE id = 20 UNION ALL SELECT o.id, o.customer_id, o.amount, n + 1 FROM orders o JOIN t ON o.customer_id = t.customer_id AND o.id > t.id WHERE n < 3) SELECT * FROM t ORDER BY n, id;
WITH RECURSIVE t AS (SELECT id, customer_id FROM orders WHERE customer_id = 14 AND id < 60 UNION SELECT o.id, o.customer_id FROM orders o JOIN t ON o.customer_id = 14 AND o.id > t.id) SELECT id FROM t ORDER BY id;
WITH RECURSIVE p AS (SELECT code, 1 AS n FROM countries WHERE region = 'asia' UNION ALL SELECT code, n + 1 FROM p WHERE n < 3) SELECT p.code, n, count(c.id) FROM p LEFT JOIN customers c ON c.country = p.code GROUP BY 1, 2 ORDER BY 1, 2;
WITH RECURSIVE m(d) AS (SELECT date '2025-01-01' UNION ALL SELECT (d + interval '1 month')::date FROM m WHERE d < '2025-12-01') SELECT d, count(e.id) FROM m LEFT JOIN events e ON e.day >= d AND e.day < d + interval '1 month' GROUP BY d ORDER BY d;
WITH RECURSIVE t(n, s) AS (SELECT min(id), 0::numeric FROM customers UNION ALL SELECT (SELECT min(id) FROM customers WHERE id > t.n), s + 1 FROM t WHERE n < 10) SELECT * FROM t ORDER BY n;
WITH RECURSIVE skip AS ((SELECT country FROM customers WHERE country IS NOT NULL ORDER BY country LIMIT 1) UNION ALL SELECT (SELECT c.country FROM customers c WHERE c.country > skip.country ORDER BY c.country LIMIT 1) FROM skip WHERE skip.country IS NOT NULL) SELECT country FROM skip WHERE country IS NOT NULL ORDER BY 1;
WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 3), b(n) AS (SELECT n FROM a UNION ALL SELECT n + 10 FROM b WHERE n < 20) SELECT n FROM b ORDER BY n;
WITH RECURSIVE t AS (SELECT count(*) AS n FROM customers UNION ALL SELECT n - 10 FROM t WHERE n > 10) SELECT n FROM t ORDER BY n;
SELECT id, (WITH RECURSIVE f(i, x) AS (SELECT 0, 1 UNION ALL SELECT i + 1, x * 2 FROM f WHERE i < c.level) SELECT max(x) FROM f) FROM customers c ORDER BY id;
WITH RECURSIVE x(k) AS (SELECT owner_id FROM accounts WHERE code = 'acc9' UNION SELECT c.referrer FROM customers c JOIN x ON c.id = x.k) SELECT k FROM x ORDER BY k;
WITH RECURSIVE e AS (SELECT day, id, customer_id FROM events WHERE id = 3 UNION SELECT v.day, v.id, v.customer_id FROM events v JOIN e ON v.customer_id = e.customer_id AND v.day > e.day) SELECT day, id FROM e ORDER BY day, id;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) INSERT INTO empties SELECT n, n FROM t;
WITH RECURSIVE t(n) AS (SELECT 1::bigint UNION ALL SELECT n + 1 FROM t WHERE n < 30) DELETE FROM dups USING t WHERE dups.k = t.n AND t.n % 2 = 0;
WITH RECURSIVE t(n) AS (SELECT 5::bigint UNION SELECT c.referrer FROM customers c JOIN t ON c.id = t.n) UPDATE customers SET level = 9 FROM t WHERE customers.id = t.n;
--! params 4
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < $1) SELECT count(*) FROM t;
--! params 10
WITH RECURSIVE up AS (SELECT id, referrer FROM customers WHERE id = $1 UNION SELECT c.id, c.referrer FROM customers c JOIN up ON c.id = up.referrer) SELECT id FROM up ORDER BY id;
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT max(n) + 1 FROM t) SELECT * FROM t;
WITH RECURSIVE t AS (SELECT n FROM t) SELECT * FROM t;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1.5 FROM t WHERE n < 3) SELECT * FROM t;
WITH RECURSIVE t(n) AS (SELECT id FROM customers LEFT JOIN t ON true UNION ALL SELECT 1) SELECT * FROM t;
