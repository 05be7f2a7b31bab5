--- equality carried over inner joins
SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 5;
SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 5;
SELECT * FROM customers c, orders o WHERE o.customer_id = c.id AND c.id = 5;
SELECT * FROM customers c, orders o, order_lines l WHERE o.customer_id = c.id AND l.customer_id = o.customer_id AND l.customer_id = 5;
SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id AND c.id = 5;
SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id JOIN order_lines l USING (customer_id) WHERE c.id = 5;
SELECT * FROM orders JOIN order_lines USING (customer_id) WHERE customer_id = 5;
SELECT * FROM orders o JOIN order_lines l USING (customer_id) WHERE l.customer_id = 5;
SELECT * FROM orders NATURAL JOIN order_lines WHERE customer_id = 5;
SELECT * FROM customers c CROSS JOIN orders o WHERE c.id = 5 AND o.customer_id = 5;
SELECT * FROM customers c CROSS JOIN orders o WHERE c.id = 5;
SELECT * FROM customers c, orders o WHERE c.id = 5 AND o.customer_id = 1;
SELECT * FROM customers c, orders o WHERE c.id = 5 AND o.customer_id = 6;
SELECT * FROM customers c JOIN orders o ON o.id = c.id WHERE c.id = 5;
SELECT * FROM customers c JOIN orders o ON o.customer_id < c.id WHERE c.id = 5;
SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id IN (5, 5);
SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 5 OR o.customer_id = 5;
SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id OR o.id = 1 WHERE c.id = 5;
SELECT * FROM customers a JOIN customers b ON a.referred_by = b.id WHERE a.id = 5;
SELECT * FROM customers a JOIN customers b ON a.referred_by = b.id WHERE a.id = 5 AND a.referred_by = 5;
SELECT * FROM (customers c JOIN orders o ON o.customer_id = c.id) WHERE id = 5;
SELECT * FROM (customers c JOIN orders o ON o.customer_id = c.id) AS j WHERE j.customer_id = 5;
SELECT * FROM (customers c JOIN orders o ON o.customer_id = c.id) AS j WHERE c.id = 5;
SELECT * FROM customers c JOIN orders o ON c.id::bigint = o.customer_id WHERE c.id = 5;
SELECT * FROM customers c JOIN orders o ON c.id::text = o.customer_id::text WHERE c.id = 5;
--- a key column that only one table has needs no prefix
SELECT * FROM customers c JOIN orders o ON customer_id = c.id WHERE customer_id = 5;
SELECT * FROM customers JOIN countries ON country = code WHERE customers.id = 5;
SELECT * FROM customers, orders WHERE id = 5 AND customer_id = 5;
--- through other tables' columns
SELECT * FROM settings s JOIN orders o ON o.customer_id = s.customer_id WHERE s.customer_id = 5;
SELECT * FROM customers c JOIN settings s ON s.customer_id = c.id JOIN orders o ON o.customer_id = s.customer_id WHERE c.id = 1;
SELECT * FROM events e JOIN orders o ON o.customer_id = e.customer_id WHERE e.happened_on = '2025-01-01' AND e.customer_id = 1;
SELECT * FROM currencies r JOIN tenants t ON t.name = r.code WHERE r.code = 'acme';
\noschema
SELECT * FROM currencies r JOIN tenants t ON t.name = r.code WHERE r.code = 'acme';
--- left joins: the nullable side is pinned through ON
SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id = 5;
SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND c.id = 5;
SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.customer_id = 5;
SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 5;
SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = 5 WHERE c.id = 5;
SELECT * FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id WHERE c.id = 5;
SELECT * FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id WHERE o.customer_id = 5;
SELECT * FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id AND o.customer_id = 5;
SELECT * FROM customers c LEFT JOIN orders o USING (id) WHERE c.id = 5;
SELECT * FROM orders o LEFT JOIN order_lines l USING (customer_id) WHERE customer_id = 5;
SELECT * FROM orders o RIGHT JOIN order_lines l USING (customer_id) WHERE customer_id = 5;
SELECT * FROM orders o FULL JOIN order_lines l USING (customer_id) WHERE customer_id = 5;
SELECT * FROM customers c LEFT JOIN (orders o JOIN order_lines l ON l.customer_id = o.customer_id) ON o.customer_id = c.id WHERE c.id = 5;
SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id LEFT JOIN order_lines l ON l.customer_id = o.customer_id WHERE c.id = 5;
SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id JOIN order_lines l ON l.customer_id = o.customer_id WHERE c.id = 5;
SELECT * FROM customers c LEFT JOIN orders o ON o.customer_id = c.id JOIN order_lines l ON l.customer_id = o.customer_id AND l.customer_id = 5;
SELECT * FROM customers c LEFT JOIN orders o ON o.total > 5 WHERE c.id = 5;
--- full joins
SELECT * FROM customers c FULL JOIN orders o ON o.customer_id = c.id WHERE c.id = 5;
SELECT * FROM customers c FULL JOIN orders o ON o.customer_id = c.id WHERE c.id = 5 AND o.customer_id = 5;
SELECT * FROM customers c FULL JOIN orders o ON o.customer_id = c.id AND c.id = 5;
SELECT * FROM customers c FULL JOIN countries k ON k.code = c.country WHERE c.id = 5;
SELECT * FROM customers c FULL JOIN countries k ON k.code = c.country AND c.id = 5;
--- reference tables
SELECT * FROM countries;
SELECT * FROM countries WHERE code = 'de';
SELECT * FROM countries k JOIN currencies r ON r.country = k.code;
SELECT * FROM customers c JOIN countries k ON k.code = c.country WHERE c.id = 5;
SELECT * FROM customers c LEFT JOIN countries k ON k.code = c.country WHERE c.id = 5;
SELECT * FROM customers c JOIN countries k ON k.code = c.country;
SELECT * FROM countries k LEFT JOIN customers c ON c.country = k.code AND c.id = 5;
SELECT * FROM countries k LEFT JOIN customers c ON c.country = k.code WHERE c.id = 5;
SELECT * FROM countries k LEFT JOIN customers c ON c.country = k.code;
SELECT * FROM countries k LEFT JOIN (customers c JOIN orders o ON o.customer_id = c.id AND c.id = 5) ON c.country = k.code;
SELECT * FROM customers c RIGHT JOIN countries k ON c.country = k.code AND c.id = 5;
SELECT * FROM countries k FULL JOIN customers c ON c.country = k.code AND c.id = 5;
--- other tables
SELECT * FROM settings;
SELECT * FROM settings s JOIN countries k ON k.code = s.key;
SELECT * FROM settings s JOIN customers c ON c.id = 5;
SELECT * FROM settings s JOIN customers c ON c.id = 1;
SELECT * FROM settings s JOIN orders o ON o.customer_id = 3 WHERE s.key = 'x';
SELECT * FROM events e JOIN tenants t ON true WHERE e.happened_on = '2026-05-05' AND t.name = 'acme';
SELECT * FROM events e JOIN tenants t ON true WHERE e.happened_on = '2026-05-05' AND t.name = 'globex';
\map nodefault
SELECT * FROM settings;
SELECT * FROM countries;
SELECT 1;
SELECT * FROM pg_class;
\map shop
--- lateral
SELECT * FROM customers c, LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id ORDER BY placed LIMIT 3) x WHERE c.id = 5;
SELECT * FROM customers c LEFT JOIN LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id ORDER BY placed LIMIT 3) x ON true WHERE c.id = 5;
SELECT * FROM customers c LEFT JOIN LATERAL (SELECT count(*) AS n FROM orders o WHERE o.customer_id = c.id) x ON x.n = c.id WHERE c.id = 5;
SELECT * FROM customers c LEFT JOIN LATERAL (SELECT * FROM orders o WHERE o.customer_id = c.id) x ON c.id = 5;
SELECT * FROM customers c, LATERAL (SELECT * FROM orders o WHERE o.total = c.balance LIMIT 3) x WHERE c.id = 5;
SELECT * FROM customers c, (SELECT * FROM orders o WHERE o.customer_id = c.id) x WHERE c.id = 5;
SELECT * FROM customers c, generate_series(1, c.id) g WHERE c.id = 5;
SELECT * FROM generate_series(1, 10) g JOIN orders o ON o.customer_id = g WHERE g = 5;
SELECT * FROM customers c TABLESAMPLE BERNOULLI (10) WHERE id = 5;
SELECT * FROM customers c TABLESAMPLE BERNOULLI (10);
