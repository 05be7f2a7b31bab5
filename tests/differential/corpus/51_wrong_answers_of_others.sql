-- The wrong answers that other systems gave, each with what went wrong.
-- IN list with GROUP BY sent to one shard.
SELECT country, count(*) FROM customers WHERE id IN (1, 8, 15, 22, 29, 36) GROUP BY country;
SELECT id, count(*) FROM customers WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8) GROUP BY id ORDER BY id;
SELECT customer_id, sum(amount) FROM orders WHERE customer_id IN (5, 6, 7, 8) GROUP BY customer_id ORDER BY 1;
-- HAVING applied to each shard's part of a group: groups that are large only as a whole are lost, small ones kept.
SELECT country, count(*) FROM customers GROUP BY country HAVING count(*) > 7 ORDER BY country;
SELECT country, count(*) FROM customers GROUP BY country HAVING count(*) < 8 ORDER BY country;
SELECT level FROM customers GROUP BY level HAVING sum(balance) BETWEEN 1000 AND 3500 ORDER BY level;
SELECT status FROM orders GROUP BY status HAVING avg(amount) > 60 ORDER BY status;
-- Windows computed on each shard.
SELECT id, row_number() OVER (ORDER BY id) FROM customers ORDER BY id;
SELECT id, sum(balance) OVER (PARTITION BY country ORDER BY id) FROM customers ORDER BY id;
SELECT id, rank() OVER (ORDER BY level) FROM customers ORDER BY id;
SELECT * FROM (SELECT id, country, row_number() OVER (PARTITION BY country ORDER BY balance DESC, id) AS r FROM customers) x WHERE r = 1 ORDER BY country;
-- DISTINCT applied to each shard, the results concatenated.
SELECT DISTINCT country FROM customers;
SELECT DISTINCT level, active FROM customers ORDER BY 1, 2;
SELECT DISTINCT ON (country) country, id FROM customers ORDER BY country, balance DESC, id;
-- count(DISTINCT) summed over shards; avg averaged.
SELECT count(DISTINCT country) FROM customers;
SELECT count(DISTINCT country), count(DISTINCT level), count(*) FROM customers;
SELECT level, count(DISTINCT country) FROM customers GROUP BY level ORDER BY level;
SELECT avg(balance) FROM customers;
SELECT country, avg(balance), stddev(balance) FROM customers GROUP BY country;
-- LIMIT pushed below an aggregate.
SELECT count(DISTINCT country) FROM customers LIMIT 3;
SELECT count(*) FROM customers LIMIT 1;
SELECT country, count(*) FROM customers GROUP BY country ORDER BY count(*) DESC, country LIMIT 2;
SELECT sum(balance) FROM (SELECT balance FROM customers ORDER BY balance DESC, id LIMIT 7) x;
-- OFFSET applied on each shard.
SELECT id FROM customers ORDER BY id LIMIT 3 OFFSET 10;
SELECT id FROM customers ORDER BY id DESC OFFSET 54;
-- ORDER BY on a column that is not selected: unsorted, or the column shown.
SELECT name FROM customers ORDER BY id;
SELECT name FROM customers ORDER BY balance DESC, id LIMIT 5;
SELECT id FROM customers ORDER BY length(name), id;
SELECT DISTINCT name FROM customers ORDER BY name;
-- Texts of another collation sorted by their bytes.
SELECT w_icu FROM words ORDER BY w_icu, k;
SELECT city, id FROM customers ORDER BY city, id;
SELECT DISTINCT city FROM customers ORDER BY city;
SELECT max(w_icu), min(w_icu) FROM words;
SELECT count(*) FROM words GROUP BY w_ci ORDER BY 1;
-- The order of NULLs.
SELECT id, score FROM customers ORDER BY score, id;
SELECT id, score FROM customers ORDER BY score DESC, id;
SELECT id, score FROM customers ORDER BY score NULLS FIRST, id LIMIT 10;
SELECT country, count(*) FROM customers GROUP BY country ORDER BY country DESC;
-- An outer join whose preserved side is a reference table: its rows once for each shard, and rows without a partner too often.
SELECT n.name, count(c.id) FROM countries n LEFT JOIN customers c ON c.country = n.code GROUP BY n.name ORDER BY 1;
SELECT n.code, c.id FROM countries n LEFT JOIN customers c ON c.country = n.code ORDER BY 1, 2;
SELECT n.code FROM customers c RIGHT JOIN countries n ON c.country = n.code WHERE c.id IS NULL ORDER BY 1;
SELECT count(*) FROM countries n LEFT JOIN customers c ON c.country = n.code AND c.id = 8;
-- FULL JOIN with one.
SELECT n.code, c.id FROM countries n FULL JOIN customers c ON c.country = n.code ORDER BY 1, 2;
SELECT count(*), count(n.code), count(c.id) FROM customers c FULL JOIN countries n ON c.country = n.code;
-- A join with a reference table answered by one shard.
SELECT count(*) FROM customers c JOIN countries n ON n.code = c.country;
SELECT n.region, count(*) FROM countries n JOIN customers c ON c.country = n.code GROUP BY n.region ORDER BY 1;
SELECT p.name FROM products p WHERE EXISTS (SELECT FROM items i WHERE i.product_id = p.id) ORDER BY 1;
SELECT n.name, (SELECT count(*) FROM customers c WHERE c.country = n.code) FROM countries n ORDER BY 1;
-- Semi and anti joins of a reference table, shard by shard.
SELECT n.code FROM countries n WHERE n.code NOT IN (SELECT country FROM customers WHERE country IS NOT NULL) ORDER BY 1;
SELECT n.code FROM countries n WHERE NOT EXISTS (SELECT FROM customers c WHERE c.country = n.code) ORDER BY 1;
-- Joins that are not on the key, joined shard by shard.
SELECT count(*) FROM customers a JOIN customers b ON b.id = a.referrer;
SELECT count(*) FROM customers c JOIN orders o ON o.id = c.id;
SELECT count(*) FROM customers c JOIN events e ON e.customer_id = c.id;
SELECT count(*) FROM customers, orders;
-- Set operations shard by shard.
SELECT country FROM customers EXCEPT SELECT code FROM countries;
SELECT code FROM countries EXCEPT SELECT country FROM customers ORDER BY 1;
SELECT level FROM customers INTERSECT SELECT priority FROM orders ORDER BY 1;
SELECT country FROM customers UNION SELECT country FROM customers ORDER BY 1;
-- A scalar subquery or a condition on it evaluated on each shard.
SELECT id FROM customers WHERE balance > (SELECT avg(balance) FROM customers) ORDER BY id;
SELECT id FROM customers WHERE balance = (SELECT max(balance) FROM customers);
SELECT id FROM customers WHERE level NOT IN (SELECT priority FROM orders WHERE priority IS NOT NULL) ORDER BY id;
-- An aggregate over nothing: one row for each shard, or none.
SELECT count(*), sum(balance), max(id) FROM customers WHERE false;
SELECT count(*), sum(v) FROM empties;
SELECT coalesce(sum(v), 0) FROM empties;
-- INSERT … SELECT generate_series done on every shard.
INSERT INTO dups (k) SELECT generate_series(1, 10);
INSERT INTO dups (k, a) SELECT 5, g FROM generate_series(1, 3) g;
INSERT INTO countries SELECT 'z' || g, 'z', g, NULL FROM generate_series(1, 3) g;
-- INSERT of several rows sent to every shard, or all rows to the first row's.
INSERT INTO dups VALUES (1, 1, 1, 'm'), (2, 2, 2, 'm'), (3, 3, 3, 'm'), (4, 4, 4, 'm');
INSERT INTO dups (c, k) VALUES ('m', 5), ('m', 6);
--! params 5 | 6
INSERT INTO dups (k) VALUES ($1), ($2);
-- A row left on the shard of its old key.
UPDATE dups SET k = 6 WHERE k = 5;
UPDATE dups SET k = k + 1;
UPDATE customers SET id = 1000 WHERE id = 5;
INSERT INTO customers (id, name) VALUES (5, 'x') ON CONFLICT (id) DO UPDATE SET id = 1001;
-- OR TRUE: taken for the key's shard, or for nothing at all.
UPDATE customers SET balance = 0 WHERE id = 5 OR TRUE;
DELETE FROM dups WHERE k = 5 OR TRUE;
SELECT count(*) FROM customers WHERE id = 5 OR TRUE;
SELECT count(*) FROM customers WHERE id = 5 OR 1 = 1;
SELECT count(*) FROM customers WHERE id = 5 OR id IS NOT NULL;
SELECT count(*) FROM customers WHERE NOT id = 5;
SELECT count(*) FROM customers WHERE id = 5 IS NOT TRUE;
-- A CTE that writes taken for a read.
WITH d AS (DELETE FROM dups WHERE k = 5 RETURNING k) SELECT count(*) FROM d;
WITH u AS (UPDATE customers SET level = 1 WHERE level = 2 RETURNING id) SELECT count(*) FROM u;
WITH i AS (INSERT INTO dups VALUES (5, 1, 1, 'cte') RETURNING k) SELECT * FROM i;
-- Settings and roles that stay on a server's connection, or get lost between them.
--! script
SELECT set_config('TimeZone', 'Asia/Tokyo', false);
SELECT created FROM customers WHERE id = 5;
SELECT created FROM customers WHERE id = 6;
SELECT created FROM customers WHERE id = 7;
--! on b
SELECT created FROM customers WHERE id = 5;
--! on b
SHOW TimeZone;
--! end
--! script
SET ROLE pg_monitor;
SELECT current_user;
SELECT current_user FROM countries LIMIT 1;
--! on b
SELECT current_user;
RESET ROLE;
SELECT current_user, session_user;
--! end
--! script
SET search_path = pg_catalog, public;
SELECT count(*) FROM customers WHERE id = 5;
--! on b
SHOW search_path;
SHOW search_path;
--! end
-- Prepared statements that meet another client's of the same name.
--! script
PREPARE p AS SELECT 'mine', name FROM customers WHERE id = $1;
--! on b
PREPARE p AS SELECT 'other', level FROM customers WHERE id = $1;
EXECUTE p(5);
--! on b
EXECUTE p(5);
EXECUTE p(6);
--! on b
EXECUTE p(7);
--! on b
DEALLOCATE p;
EXECUTE p(7);
--! end
-- A pipeline over shards answered in the order of the shards.
--! pipeline
--! params 5
SELECT id FROM customers WHERE id = $1;
--! params 6
SELECT id FROM customers WHERE id = $1;
SELECT count(*) FROM customers;
--! params 7
SELECT id FROM customers WHERE id = $1;
SELECT code FROM countries ORDER BY code;
--! params 8
SELECT id FROM customers WHERE id = $1;
--! end
--! pipeline
--! params 7
SELECT id FROM customers WHERE id = $1;
--! params x
SELECT id FROM customers WHERE id = $1;
--! params 5
SELECT id FROM customers WHERE id = $1;
--! end
