--- update and delete
UPDATE orders SET total = total + 1 WHERE total > 5;
DELETE FROM orders WHERE placed < '2020-01-01' RETURNING id;
UPDATE orders SET note = k.name FROM customers c, countries k WHERE c.id = customer_id AND k.code = c.country;
DELETE FROM orders o USING customers c WHERE c.id = o.customer_id AND c.country = 'de';
DELETE FROM orders WHERE customer_id IN (5, 6) AND total > 1;
DELETE FROM orders WHERE id IN (SELECT order_id FROM order_lines l WHERE l.customer_id = orders.customer_id);
DELETE FROM orders WHERE id = 5 OR true;
UPDATE orders SET customer_id = 5 WHERE id = 3;
UPDATE orders SET placed = now();
UPDATE orders SET total = DEFAULT;
DELETE FROM orders o USING events e WHERE e.id = o.id;
DELETE FROM orders WHERE id IN (SELECT order_id FROM order_lines);
--- rows parted by key
INSERT INTO orders (customer_id, id) VALUES (5, 1), (6, 2), (7, 3), (5, 4);
INSERT INTO orders (customer_id, id, note) VALUES (5, 1, 'a'), (6, 2, 'b') RETURNING id, note;
\params 5, 1, 6, 2
INSERT INTO orders (customer_id, id) VALUES ($1, $2), ($3, $4);
INSERT INTO orders (customer_id, id) VALUES (5, 1), (6, 2) ON CONFLICT (customer_id, id) DO UPDATE SET note = excluded.note RETURNING id;
INSERT INTO orders (customer_id, id) VALUES (5, 1), (NULL, 2);
INSERT INTO orders (customer_id, id) VALUES (5, 1), (6, (SELECT max(id) FROM orders));
INSERT INTO seats VALUES (1, 'a', 1), (1, 'b', 2), (2, 'a', 3);
INSERT INTO tenants VALUES ('acme', 'x'), ('globex', 'y');
INSERT INTO events (id, happened_on) VALUES (1, '2025-05-05'), (2, '2027-05-05');
--- insert select
INSERT INTO order_lines (order_id, customer_id) SELECT id, customer_id FROM orders WHERE total > 5;
INSERT INTO orders (customer_id, id) SELECT customer_id, max(order_id) FROM order_lines GROUP BY customer_id;
INSERT INTO orders (customer_id, id) SELECT id, customer_id FROM orders;
INSERT INTO orders (customer_id, id) SELECT customer_id, id FROM orders LIMIT 5;
INSERT INTO orders (customer_id, id) SELECT g, g FROM generate_series(1, 10) g;
INSERT INTO settings (key) SELECT name FROM customers;
--- reference tables
INSERT INTO countries VALUES ('de', 'Germany', 80);
INSERT INTO countries (code) VALUES ('de') RETURNING code;
INSERT INTO countries VALUES ('xx', 'Nowhere', 0);
INSERT INTO countries VALUES ('xx', 'from now, 5', 0);
UPDATE countries SET population = population + 1 WHERE code = 'de';
DELETE FROM countries WHERE code NOT IN (SELECT country FROM currencies);
INSERT INTO currencies (code, country) SELECT code, name FROM countries;
UPDATE countries SET population = random();
DELETE FROM countries WHERE code IN (SELECT country FROM customers);
INSERT INTO currencies (code) SELECT code FROM countries LIMIT 1;
--- refused
MERGE INTO orders USING order_lines l ON l.order_id = orders.id WHEN MATCHED THEN DELETE;
WITH d AS (DELETE FROM orders RETURNING *) INSERT INTO orders SELECT * FROM d;
