-- EXPLAIN: that it answers, in each form, and changes nothing. What it says is Weir's own.
--! all shape
EXPLAIN SELECT * FROM customers WHERE id = 5;
EXPLAIN SELECT * FROM customers;
EXPLAIN (COSTS OFF) SELECT count(*) FROM customers;
EXPLAIN (VERBOSE) SELECT country, count(*) FROM customers GROUP BY country;
EXPLAIN ANALYZE SELECT count(*) FROM orders;
EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) SELECT * FROM customers ORDER BY balance LIMIT 3;
EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM customers WHERE id = 5;
EXPLAIN (FORMAT json) SELECT * FROM customers WHERE level = 3;
EXPLAIN (FORMAT json, ANALYZE) SELECT count(DISTINCT country) FROM customers;
EXPLAIN (FORMAT yaml) SELECT 1;
EXPLAIN (FORMAT xml) SELECT count(*) FROM orders;
EXPLAIN SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id;
EXPLAIN SELECT c.id, e.id FROM customers c JOIN events e ON e.customer_id = c.id;
EXPLAIN SELECT c.id, n.name FROM customers c LEFT JOIN countries n ON n.code = c.country;
EXPLAIN SELECT id FROM customers UNION SELECT customer_id FROM orders;
EXPLAIN WITH t AS (SELECT id FROM customers) SELECT count(*) FROM t;
EXPLAIN SELECT id, rank() OVER (ORDER BY balance) FROM customers;
EXPLAIN INSERT INTO dups VALUES (1), (2), (3);
EXPLAIN INSERT INTO dups (k) SELECT id FROM customers;
EXPLAIN UPDATE customers SET balance = 1 WHERE level = 2;
EXPLAIN DELETE FROM dups WHERE k = 5;
EXPLAIN DELETE FROM dups;
EXPLAIN ANALYZE UPDATE customers SET balance = 1 WHERE id = 5;
EXPLAIN ANALYZE DELETE FROM dups WHERE a = 1;
EXPLAIN ANALYZE INSERT INTO dups VALUES (1, 1, 1, 'e'), (2, 2, 2, 'e');
EXPLAIN VALUES (1), (2);
EXPLAIN SELECT * FROM countries;
EXPLAIN SELECT * FROM settings;
EXPLAIN CREATE TABLE x AS SELECT 1;
--! params 5
EXPLAIN SELECT * FROM customers WHERE id = $1;
--! known EXPLAIN EXECUTE does not find the statement by the extended protocol
--! script
PREPARE p (bigint) AS SELECT * FROM customers WHERE id = $1;
EXPLAIN EXECUTE p(5);
EXPLAIN ANALYZE EXECUTE p(6);
--! end
--! script
BEGIN;
EXPLAIN ANALYZE DELETE FROM dups;
ROLLBACK;
SELECT count(*) FROM dups;
--! end
EXPLAIN SELECT nothing FROM customers;
EXPLAIN nothing;
EXPLAIN (NOTHING) SELECT 1;
