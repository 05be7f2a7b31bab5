-- LIMIT, OFFSET, FETCH FIRST: under orders, without, as parameters, under aggregates.
SELECT id FROM customers ORDER BY id LIMIT 5;
SELECT id FROM customers ORDER BY id DESC LIMIT 5;
SELECT id FROM customers ORDER BY id OFFSET 50;
SELECT id FROM customers ORDER BY id LIMIT 5 OFFSET 5;
SELECT id FROM customers ORDER BY id OFFSET 5 LIMIT 5;
SELECT id FROM customers ORDER BY id LIMIT 0;
SELECT id FROM customers ORDER BY id LIMIT ALL;
SELECT id FROM customers ORDER BY id LIMIT NULL OFFSET NULL;
SELECT id FROM customers ORDER BY id OFFSET 0;
SELECT id FROM customers ORDER BY id LIMIT 1000;
SELECT id FROM customers ORDER BY id OFFSET 1000;
SELECT id FROM customers ORDER BY id LIMIT 9223372036854775807 OFFSET 3;
SELECT id FROM customers ORDER BY id LIMIT 9223372036854775807 OFFSET 9223372036854775807;
SELECT id FROM customers ORDER BY id LIMIT 2 + 3;
SELECT id FROM customers ORDER BY id LIMIT 5.4;
SELECT id FROM customers ORDER BY id LIMIT '7';
SELECT id FROM customers ORDER BY id LIMIT (SELECT 4);
SELECT id FROM customers ORDER BY id LIMIT (SELECT count(*) FROM countries) OFFSET (SELECT min(id) FROM products);
SELECT id FROM customers ORDER BY id LIMIT (SELECT count(*) / 10 FROM customers);
SELECT id FROM customers ORDER BY id FETCH FIRST ROW ONLY;
SELECT id FROM customers ORDER BY id OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY;
--! partial 2
SELECT id, level FROM customers WHERE id < 50 ORDER BY level FETCH FIRST 9 ROWS WITH TIES;
--! partial 2
SELECT id, country FROM customers ORDER BY country FETCH FIRST 3 ROWS WITH TIES;
SELECT level FROM customers ORDER BY level DESC OFFSET 4 FETCH FIRST 2 ROWS WITH TIES;
-- no order, or one that does not decide
--! subset
SELECT id FROM customers LIMIT 5;
--! subset
SELECT * FROM dups LIMIT 100;
--! subset
SELECT id FROM customers OFFSET 55;
--! subset
SELECT id FROM orders LIMIT 10 OFFSET 145;
--! subset
SELECT country FROM customers WHERE country IS NOT NULL LIMIT 3;
--! subset
--! partial 2
SELECT id, country FROM customers ORDER BY country LIMIT 12;
--! subset
--! partial 2
SELECT id, country FROM customers ORDER BY country DESC NULLS LAST LIMIT 20 OFFSET 3;
--! subset
--! partial 1
SELECT level, name FROM customers ORDER BY level DESC LIMIT 7;
--! subset
SELECT DISTINCT country FROM customers LIMIT 3;
--! subset
SELECT k FROM kinds WHERE b LIMIT 4;
--! subset
SELECT country, count(*) FROM customers GROUP BY country LIMIT 3;
--! subset
SELECT id FROM customers UNION ALL SELECT customer_id FROM orders LIMIT 17;
--! subset
SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id LIMIT 11;
-- with everything else
SELECT name FROM customers ORDER BY balance DESC, id LIMIT 4;
SELECT note FROM orders ORDER BY amount NULLS FIRST, id LIMIT 9 OFFSET 2;
SELECT id FROM customers WHERE id IN (3, 4, 5, 6, 7) ORDER BY id LIMIT 2;
SELECT id FROM customers WHERE id = 5 ORDER BY id LIMIT 1 OFFSET 1;
SELECT DISTINCT level FROM customers ORDER BY level LIMIT 2 OFFSET 1;
SELECT DISTINCT country, level FROM customers ORDER BY country DESC, level LIMIT 6;
SELECT DISTINCT ON (country) country, id FROM customers ORDER BY country, id DESC LIMIT 3 OFFSET 1;
SELECT country, sum(balance) FROM customers GROUP BY country ORDER BY 2 DESC LIMIT 2;
SELECT country, count(*) FROM customers GROUP BY country HAVING count(*) > 5 ORDER BY 1 LIMIT 2 OFFSET 1;
SELECT status, avg(amount) FROM orders WHERE amount < 1000 GROUP BY status ORDER BY status LIMIT 2;
SELECT count(*) FROM customers LIMIT 1;
SELECT count(*) FROM customers LIMIT 0;
SELECT count(*) FROM customers OFFSET 1;
SELECT count(DISTINCT country) FROM customers LIMIT 5;
SELECT sum(x) FROM (SELECT balance AS x FROM customers ORDER BY balance DESC, id LIMIT 10) y;
SELECT count(*) FROM (SELECT 1 FROM customers LIMIT 30) y;
SELECT count(*) FROM (SELECT 1 FROM customers OFFSET 30) y;
SELECT max(id) FROM (SELECT id FROM orders ORDER BY id LIMIT 30 OFFSET 20) y;
SELECT * FROM (SELECT id FROM customers ORDER BY id LIMIT 10) x ORDER BY id DESC LIMIT 3;
SELECT * FROM (SELECT id FROM customers ORDER BY id LIMIT 10) x WHERE id > 3 ORDER BY id;
SELECT id FROM customers WHERE id IN (SELECT customer_id FROM orders ORDER BY amount DESC NULLS LAST, id LIMIT 5) ORDER BY id;
SELECT id FROM customers WHERE balance > (SELECT balance FROM customers ORDER BY balance OFFSET 20 LIMIT 1) ORDER BY id;
(SELECT id FROM customers ORDER BY id LIMIT 2) UNION ALL (SELECT id FROM orders ORDER BY id DESC LIMIT 2) ORDER BY 1;
(SELECT id FROM customers ORDER BY id DESC LIMIT 3);
SELECT id FROM customers UNION SELECT customer_id FROM orders ORDER BY 1 LIMIT 7 OFFSET 2;
SELECT id, row_number() OVER (ORDER BY id) FROM customers ORDER BY id LIMIT 5 OFFSET 10;
SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY c.id, o.id LIMIT 6 OFFSET 6;
SELECT c.id, x.id FROM customers c, LATERAL (SELECT id FROM orders o WHERE o.customer_id = c.id ORDER BY id LIMIT 1) x ORDER BY 1 LIMIT 10;
WITH t AS (SELECT id FROM customers ORDER BY id LIMIT 8) SELECT count(*), min(id), max(id) FROM t;
SELECT string_agg(name, ',' ORDER BY name COLLATE "C") FROM (SELECT name FROM customers ORDER BY id LIMIT 6) x;
SELECT * FROM empties LIMIT 3;
SELECT * FROM countries ORDER BY code LIMIT 3 OFFSET 2;
SELECT * FROM settings ORDER BY key LIMIT 3;
SELECT day, id FROM events ORDER BY day, id LIMIT 5;
SELECT day, id FROM events ORDER BY day DESC, id LIMIT 5 OFFSET 60;
SELECT tenant, id FROM notes ORDER BY tenant, id LIMIT 4 OFFSET 20;
SELECT code FROM accounts ORDER BY amount DESC, code COLLATE "C" LIMIT 5;
VALUES (1), (2), (3) LIMIT 2;
SELECT generate_series(1, 5) LIMIT 2 OFFSET 1;
-- as parameters
--! params 5
SELECT id FROM customers ORDER BY id LIMIT $1;
--! params 5 | 10
SELECT id FROM customers ORDER BY id LIMIT $1 OFFSET $2;
--! params \N
SELECT id FROM customers ORDER BY id LIMIT $1;
--! params 0
SELECT id FROM customers ORDER BY id LIMIT $1;
--! params 3 | de
SELECT id FROM customers WHERE country = $2 ORDER BY id OFFSET $1;
--! params 2
SELECT id FROM customers ORDER BY id LIMIT $1 + 1 OFFSET $1;
--! params -1
SELECT id FROM customers ORDER BY id LIMIT $1;
--! params 3
SELECT id, level FROM customers ORDER BY level, id FETCH FIRST $1 ROWS ONLY;
-- errors
SELECT id FROM customers ORDER BY id LIMIT -1;
SELECT id FROM customers ORDER BY id OFFSET -1;
SELECT id FROM customers LIMIT 'x';
--! known 42703, not 42P10
SELECT id FROM customers LIMIT id;
SELECT id FROM customers LIMIT 2 FETCH FIRST 3 ROWS ONLY;
SELECT id FROM customers FETCH FIRST 3 ROWS WITH TIES;
SELECT id FROM customers LIMIT 3, 4;
