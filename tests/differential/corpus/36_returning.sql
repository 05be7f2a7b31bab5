-- RETURNING: columns, expressions, aggregates above it, order of nothing.
--! all tx
INSERT INTO dups VALUES (5, 1, 1, 'x') RETURNING *;
INSERT INTO dups VALUES (1, 1, 1, 'x'), (2, 2, 2, 'y'), (3, 3, 3, 'z') RETURNING *;
INSERT INTO dups VALUES (1, 1, 1, 'x'), (2, 2, 2, 'y'), (3, 3, 3, 'z') RETURNING k AS key, a + b AS sum, upper(c);
INSERT INTO dups SELECT id, level FROM customers WHERE level = 2 RETURNING k, a;
INSERT INTO dups (k) SELECT generate_series(1, 6) RETURNING k * 2;
INSERT INTO customers (id, name) VALUES (100, 'a'), (101, 'b') RETURNING id, balance, active, created IS NULL;
INSERT INTO customers (id, name, prefs, tags) VALUES (100, 'a', '{"a": 1}', '{x}'), (101, 'b', NULL, NULL) RETURNING prefs->'a', tags[1], customers;
INSERT INTO invoices (customer_id, total) VALUES (1, 10), (2, 20), (3, 30) RETURNING customer_id, total, twice;
--! mask 2
INSERT INTO invoices (customer_id, total) VALUES (1, 10), (2, 20), (3, 30) RETURNING customer_id, id;
--! mask 2
INSERT INTO tickets (customer_id, title) VALUES (1, 'a'), (2, 'b'), (3, 'c') RETURNING customer_id, id, title;
INSERT INTO accounts (code, amount) VALUES ('n1', 1), ('n2', 2.123456) RETURNING code, amount;
INSERT INTO events (day, id) VALUES ('2025-01-02', 900), ('2025-12-02', 901) RETURNING day - 1, id;
INSERT INTO notes (tenant, id) VALUES ('acme', 90), ('hooli', 91) RETURNING tenant || id;
INSERT INTO settings VALUES ('n', 'v', 1) RETURNING *;
INSERT INTO countries VALUES ('zz', 'Z', 1, NULL) RETURNING *;
INSERT INTO dups VALUES (5, 1, 1, 'x') RETURNING (SELECT count(*) FROM countries);
INSERT INTO dups VALUES (5, 1, 1, 'x'), (6, 1, 1, 'x') RETURNING (SELECT name FROM customers WHERE id = k);
UPDATE customers SET balance = balance + 1 WHERE id = 5 RETURNING *;
UPDATE customers SET balance = balance + 1 WHERE id = 999 RETURNING *;
UPDATE customers SET balance = balance + 1 WHERE level = 3 RETURNING id, balance;
UPDATE customers SET balance = balance + 1 RETURNING id;
UPDATE customers c SET level = 9 WHERE country = 'de' RETURNING c.id, c.level, name;
UPDATE customers c SET level = 9 FROM countries n WHERE n.code = c.country AND n.region = 'asia' RETURNING c.id, n.name;
UPDATE customers c SET level = 9 FROM orders o WHERE o.customer_id = c.id AND o.id = 20 RETURNING c.id, o.id, o.note;
UPDATE customers c SET level = 9 FROM orders o WHERE o.customer_id = c.id AND o.status = 'void' AND o.priority = 1 RETURNING c.id;
UPDATE orders SET amount = amount * 2 WHERE amount > 100 RETURNING customer_id, id, amount, amount / 2;
UPDATE orders SET note = NULL WHERE customer_id IN (14, 15) RETURNING id, note IS NULL;
UPDATE accounts SET flags = 0 WHERE kind = 'loan' RETURNING code, flags;
UPDATE events SET val = val + 1 WHERE day > '2025-11-15' RETURNING day, id, val;
UPDATE tenants SET seats = 1 RETURNING name, seats, plan;
UPDATE settings SET num = 1 WHERE num IS NULL RETURNING key;
UPDATE countries SET population = 1 WHERE region = 'asia' RETURNING code;
UPDATE customers SET level = 1 WHERE false RETURNING id;
UPDATE dups SET k = k + 1 WHERE a = 1 RETURNING k, b;
DELETE FROM dups RETURNING *;
DELETE FROM dups WHERE k = 5 RETURNING a, b;
DELETE FROM dups WHERE a = 1 RETURNING k, c;
DELETE FROM dups WHERE a = 99 RETURNING k;
DELETE FROM dups d USING customers c WHERE c.id = d.k AND c.active RETURNING d.k, c.name;
DELETE FROM orders WHERE status = 'void' RETURNING customer_id, id, amount;
DELETE FROM entries WHERE delta < 0 RETURNING code, seq;
DELETE FROM settings WHERE num = 2 RETURNING *;
DELETE FROM products WHERE id > 12 RETURNING id, name;
DELETE FROM customers WHERE id = 5 RETURNING customers.*;
DELETE FROM dups RETURNING tableoid::regclass, k;
-- above it
WITH d AS (DELETE FROM dups WHERE a = 1 RETURNING *) SELECT k, count(*) FROM d GROUP BY k ORDER BY k;
WITH d AS (DELETE FROM dups RETURNING *) SELECT a, count(*), sum(b) FROM d GROUP BY a ORDER BY a;
WITH u AS (UPDATE customers SET level = level + 1 RETURNING level) SELECT level, count(*) FROM u GROUP BY level ORDER BY level;
WITH u AS (UPDATE customers SET balance = 1 WHERE id < 10 RETURNING id) SELECT u.id, o.id FROM u JOIN orders o ON o.customer_id = u.id ORDER BY 1, 2;
WITH i AS (INSERT INTO dups VALUES (1, 1, 1, 'n'), (2, 2, 2, 'n') RETURNING k) SELECT i.k, c.name FROM i JOIN customers c ON c.id = i.k ORDER BY 1;
WITH i AS (INSERT INTO dups SELECT id, 1 FROM customers RETURNING k) SELECT count(*), max(k) FROM i;
WITH d AS (DELETE FROM dups WHERE a = 2 RETURNING k, a, b, c) INSERT INTO empties SELECT k, a, c FROM d RETURNING k, v;
WITH d AS (DELETE FROM empties RETURNING 1) SELECT count(*) FROM d;
--! params 5
DELETE FROM dups WHERE k = $1 RETURNING a, $1::int;
--! params 2
UPDATE customers SET level = $1 + 1 WHERE level = $1 RETURNING id, level - $1;
INSERT INTO dups VALUES (5, 1, 1, 'x') RETURNING nothing;
UPDATE customers SET level = 1 WHERE id = 5 RETURNING count(*);
DELETE FROM dups RETURNING 1 / (k - 5);
