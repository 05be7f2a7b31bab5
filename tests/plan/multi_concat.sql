--- rows in any order
SELECT * FROM orders;
SELECT name FROM customers WHERE country = 'de';
SELECT * FROM orders WHERE customer_id IN (5, 6, 7);
SELECT * FROM events WHERE happened_on > '2026-05-05';
SELECT id FROM orders LIMIT 10;
SELECT id FROM orders LIMIT 10 OFFSET 5;
SELECT id FROM orders OFFSET 5;
\params 3, 4
SELECT id FROM orders WHERE total > 3 LIMIT $1 OFFSET $2;
SELECT id FROM orders LIMIT 1 + 1;
--- co-located joins, reference tables
SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.total > 5;
SELECT c.name, o.total FROM customers c LEFT JOIN orders o ON o.customer_id = c.id;
SELECT c.name, k.name FROM customers c LEFT JOIN countries k ON k.code = c.country;
SELECT c.name, k.name FROM countries k LEFT JOIN customers c ON k.code = c.country;
SELECT c.name, k.name FROM countries k FULL JOIN customers c ON k.code = c.country;
SELECT c.name, l.line FROM customers c JOIN orders o ON o.customer_id = c.id JOIN order_lines l USING (customer_id);
SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id + 1;
SELECT c.name FROM customers c WHERE EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id);
SELECT c.name FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id);
SELECT c.name, (SELECT max(o.total) FROM orders o WHERE o.customer_id = c.id) FROM customers c;
SELECT c.name, x.total FROM customers c, LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id ORDER BY o.placed LIMIT 2) x;
SELECT v.name FROM customer_orders v WHERE v.total > 5;
--- grouped within the key
SELECT customer_id, count(*) FROM orders GROUP BY customer_id;
SELECT customer_id, count(*) FROM orders GROUP BY 1 HAVING count(*) > 2;
SELECT DISTINCT customer_id, note FROM orders;
SELECT DISTINCT ON (customer_id) * FROM orders ORDER BY customer_id, placed;
SELECT id, rank() OVER (PARTITION BY customer_id ORDER BY total) FROM orders;
SELECT id, rank() OVER w FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY total);
SELECT id, rank() OVER (ORDER BY total) FROM orders;
SELECT x.s FROM (SELECT customer_id, sum(total) AS s FROM orders GROUP BY customer_id) x WHERE x.s > 5;
SELECT * FROM big_customers;
--- branches
SELECT id FROM orders UNION ALL SELECT order_id FROM order_lines;
SELECT id FROM orders UNION ALL SELECT population FROM countries;
SELECT id FROM orders UNION ALL SELECT order_id FROM order_lines LIMIT 3;
--- what differs from shard to shard is done once
SELECT id, now() FROM orders;
SELECT id FROM orders WHERE placed = 'today';
SELECT id FROM orders WHERE random() < 0.5;
SELECT o.id FROM orders o, (SELECT * FROM countries LIMIT 1) k;
