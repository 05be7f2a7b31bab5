--- joins that are not on the key
SELECT o.id, e.kind FROM orders o JOIN events e ON e.customer_id = o.customer_id WHERE o.total > 10 AND e.kind = 'x';
SELECT a.name, b.name FROM customers a JOIN customers b ON a.referred_by = b.id WHERE a.country = 'de';
SELECT * FROM orders o LEFT JOIN events e ON e.id = o.id AND e.kind = 'x' WHERE o.placed > '2026-01-01' AND e.id IS NULL;
SELECT c.name, k.name, s.value FROM customers c JOIN events e ON e.customer_id = c.id JOIN countries k ON k.code = c.country JOIN settings s ON s.key = k.name;
--- parameters keep their numbers' meaning
\params 5, x, 3
SELECT o.id FROM orders o JOIN events e ON e.id = o.id AND e.kind = $2 WHERE o.total > $3 AND o.id > $1;
--- subqueries, set operations, CTEs
SELECT name FROM customers WHERE id IN (SELECT customer_id FROM events WHERE kind = 'x');
SELECT count(*) FROM customers WHERE id NOT IN (SELECT customer_id FROM orders WHERE total > 5);
SELECT id FROM orders UNION SELECT id FROM events;
WITH big AS (SELECT customer_id, sum(total) AS t FROM orders GROUP BY customer_id) SELECT a.t FROM big a JOIN big b ON a.t < b.t;
SELECT row_number() OVER (ORDER BY total), id FROM orders WHERE total > 3;
--- names
SELECT orders.*, public.events.kind FROM orders, public.events WHERE public.events.id = orders.id;
SELECT o FROM orders o, events e WHERE o.id = e.id;
SELECT x FROM orders AS o(x, y) JOIN events e ON e.id = o.y WHERE x > 5;
SELECT 1 FROM public.customers, app.customers;
SELECT count(*) FROM (SELECT 1 FROM orders, events) z;
--- views
SELECT v.total FROM customer_orders v JOIN events e ON e.id = v.order_id WHERE v.total > 4;
SELECT b.cust FROM nested b JOIN events e ON e.id = b.cust;
--- refused
SELECT * FROM orders FOR UPDATE;
SELECT nextval('order_ids') FROM orders;
SELECT ctid FROM orders;
SELECT * FROM orders, settings s WHERE s.key = 'x' AND now() > orders.placed;
--- all columns of a join by its alias
SELECT j.* FROM (orders o JOIN events e ON e.id = o.id) AS j WHERE total > 1;
SELECT j FROM (orders o JOIN events e USING (id)) AS j;
--- columns that depend on a primary key
SELECT c.id, c.name, count(*) FROM customers c JOIN events e ON e.customer_id = c.id GROUP BY c.id;
SELECT c.id, count(*) FROM customers c JOIN events e ON e.customer_id = c.id GROUP BY c.id ORDER BY c.id;
SELECT a.id, a.email, count(*) FROM app.customers a JOIN events e ON e.customer_id = a.id GROUP BY a.id;
