-- Parameters: their types told and untold, as text; in every place; NULL, arrays, casts.
--! params 5
SELECT id, name FROM customers WHERE id = $1;
--! params 5
--! oids int8
SELECT id, name FROM customers WHERE id = $1;
--! params 5
--! oids int4
SELECT id, name FROM customers WHERE id = $1;
--! params 5
--! oids int2
SELECT id, name FROM customers WHERE id = $1;
--! params 5
--! oids text
SELECT id, name FROM customers WHERE id = $1::bigint;
--! params 5
--! oids numeric
SELECT id, name FROM customers WHERE id = $1;
--! params 5.0
--! oids numeric
SELECT id, name FROM customers WHERE id = $1;
--! params 5
SELECT id, name FROM customers WHERE id = $1::int;
--! params 4
SELECT id, name FROM customers WHERE id = $1 + 1;
--! params 5 | 6
SELECT id, name FROM customers WHERE id IN ($1, $2) ORDER BY id;
--! params 5 | 5
SELECT id, name FROM customers WHERE id IN ($1, $2) ORDER BY id;
--! params 5 | 6
SELECT id, name FROM customers WHERE id = $1 OR id = $2 ORDER BY id;
--! params 5 | 8
SELECT id FROM customers WHERE id BETWEEN $1 AND $2 ORDER BY id;
--! params {5,6,7}
SELECT id FROM customers WHERE id = ANY ($1) ORDER BY id;
--! params {5,6,7}
--! oids int4[]
SELECT id FROM customers WHERE id = ANY ($1) ORDER BY id;
--! params {5}
--! oids int8[]
SELECT id FROM customers WHERE id = ANY ($1) ORDER BY id;
--! params {}
SELECT id FROM customers WHERE id = ANY ($1) ORDER BY id;
--! params \N
SELECT id FROM customers WHERE id = ANY ($1) ORDER BY id;
--! params {5,NULL,6}
SELECT id FROM customers WHERE id = ANY ($1) ORDER BY id;
--! params {5,6}
SELECT id FROM customers WHERE id <> ALL ($1) AND id < 9 ORDER BY id;
--! params 9007199254740993
SELECT id FROM customers WHERE id = $1;
--! params -7
SELECT id FROM customers WHERE id = $1;
--! params 99999999999999999999
SELECT id FROM customers WHERE id = $1;
--! params x
SELECT id FROM customers WHERE id = $1;
--! params
SELECT id FROM customers ORDER BY id;
--! params acc7
SELECT * FROM accounts WHERE code = $1;
--! params acc7
--! oids varchar
SELECT * FROM accounts WHERE code = $1;
--! params acc7
--! oids text
SELECT * FROM accounts WHERE code = $1;
--! params acc%
SELECT code FROM accounts WHERE code LIKE $1 ORDER BY code;
--! params {acc1,acc2,"Kto 6"}
SELECT code FROM accounts WHERE code = ANY ($1) ORDER BY code;
--! params d2b56c5d-7e6a-4cd6-5c84-c58b50a2ea1b
SELECT title FROM docs WHERE id = $1;
--! params d2b56c5d-7e6a-4cd6-5c84-c58b50a2ea1b
--! oids uuid
SELECT title FROM docs WHERE id = $1;
--! params 3 | sku3-0
SELECT * FROM stock WHERE shop = $1 AND sku = $2;
--! params 3
SELECT * FROM stock WHERE shop = $1 ORDER BY sku;
--! params 2025-01-14
SELECT id FROM events WHERE day = $1;
--! params 2025-04-25 | 2025-05-05
SELECT id FROM events WHERE day >= $1 AND day < $2 ORDER BY id;
--! params 2025-04-25
--! oids timestamp
SELECT id FROM events WHERE day = $1;
--! params acme
SELECT seats FROM tenants WHERE name = $1;
--! params nobody
SELECT seats FROM tenants WHERE name = $1;
--! params de | 3
SELECT id FROM customers WHERE country = $1 AND level < $2 ORDER BY id;
--! params 2
SELECT id, level + $1 FROM customers ORDER BY id;
--! params 2
SELECT id, $1 AS p FROM customers ORDER BY id LIMIT 3;
--! params 2 | 3
SELECT $1::int + $2::int, count(*) FROM customers;
--! params 2
SELECT level % $1 AS m, count(*) FROM customers GROUP BY m ORDER BY m;
--! params 2
SELECT id FROM customers ORDER BY level % $1, id;
--! params 10
SELECT country, count(*) FROM customers GROUP BY country HAVING count(*) > $1 ORDER BY country;
--! params 100
SELECT count(*) FILTER (WHERE balance > $1), sum(balance + $1) FROM customers;
--! params 3
SELECT id, lag(id, $1) OVER (ORDER BY id) FROM customers ORDER BY id;
--! params 5
SELECT id, sum(level) OVER (ORDER BY id ROWS BETWEEN $1 PRECEDING AND CURRENT ROW) FROM customers ORDER BY id;
--! params 14
SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = $1 ORDER BY o.id;
--! params 50
SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.amount > $1 ORDER BY c.id, o.id;
--! params 14
SELECT id FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE customer_id = $1);
--! params paid
SELECT id, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id AND o.status = $1) FROM customers c ORDER BY id;
--! params 14
SELECT id FROM customers WHERE id = $1 UNION ALL SELECT id FROM orders WHERE customer_id = $1 ORDER BY 1;
--! params 3 | 4
SELECT id FROM customers WHERE level = $1 UNION SELECT id FROM customers WHERE level = $2 ORDER BY 1;
--! params 4
WITH t AS (SELECT id FROM customers WHERE level = $1) SELECT count(*) FROM t;
--! params ,
SELECT string_agg(name, $1 ORDER BY id) FROM customers;
--! params 0.5
SELECT percentile_cont($1) WITHIN GROUP (ORDER BY balance) FROM customers;
--! known a parameter of a type with another oid on another server fails with XX000
--! params happy
SELECT id FROM customers WHERE feel = $1 ORDER BY id;
--! params {vip}
SELECT id FROM customers WHERE tags = $1 ORDER BY id;
--! params {"lang": "de"}
SELECT id FROM customers WHERE prefs @> $1 ORDER BY id;
--! params lang
SELECT id, prefs->>$1 FROM customers ORDER BY id;
--! params 1.5 | 2.5
SELECT id FROM orders WHERE amount BETWEEN $1 * 10 AND $2 * 10 ORDER BY id;
--! params 10 days
SELECT id FROM customers WHERE created < timestamptz '2025-01-01' + $1::interval ORDER BY id;
--! params \x00000300
SELECT k FROM kinds WHERE by > $1 ORDER BY k;
--! params t
SELECT k FROM kinds WHERE b = $1 ORDER BY k;
--! params t
--! oids bool
SELECT count(*) FROM customers WHERE $1;
--! params 1
SELECT CASE WHEN id = $1 THEN 'one' ELSE 'other' END, count(*) FROM customers GROUP BY 1 ORDER BY 1;
--! params 5 | 1
INSERT INTO dups (k, a) VALUES ($1, $2) RETURNING *;
--! params 5 | 6 | 7
INSERT INTO dups (k) VALUES ($1), ($2), ($3);
--! params 5 | 100
UPDATE customers SET balance = $2 WHERE id = $1;
--! params 3 | 100
UPDATE customers SET balance = $2 WHERE level = $1 RETURNING id, balance;
--! params 1 | y
DELETE FROM dups WHERE a = $1 AND c = $2;
--! params 5
SELECT $1;
--! known 08P01 of the missing $2 comes before 42P18 of $1, by an unnamed statement
--! params 5
SELECT id FROM customers WHERE id = $2;
--! params 5 | 6
SELECT id FROM customers WHERE id = $1;
--! params 5
SELECT id FROM customers WHERE name = $1 AND id = $1;
--! pipeline
--! params 5
SELECT name FROM customers WHERE id = $1;
--! params 6
SELECT name FROM customers WHERE id = $1;
--! params 7
SELECT name FROM customers WHERE id = $1;
--! end
--! pipeline
SELECT count(*) FROM customers;
--! params 5
SELECT name FROM customers WHERE id = $1;
SELECT count(*) FROM orders;
SELECT id FROM customers ORDER BY id LIMIT 3;
--! end
--! pipeline
--! params 5 | 1
INSERT INTO dups (k, a) VALUES ($1, $2);
--! params 6 | 2
INSERT INTO dups (k, a) VALUES ($1, $2);
--! params 7 | 3
INSERT INTO dups (k, a) VALUES ($1, $2);
SELECT count(*) FROM dups;
--! end
--! pipeline
--! params 5
UPDATE customers SET balance = 1 WHERE id = $1;
UPDATE customers SET balance = 1 / 0 WHERE id = 6;
--! params 7
UPDATE customers SET balance = 1 WHERE id = $1;
--! end
--! pipeline
BEGIN;
--! params 5
UPDATE customers SET balance = 1 WHERE id = $1;
--! params 6
UPDATE customers SET balance = 1 WHERE id = $1;
COMMIT;
--! end
