--- sorted
SELECT id, total FROM orders ORDER BY total DESC NULLS LAST, id LIMIT 5;
SELECT id FROM orders ORDER BY total, id;
SELECT * FROM orders ORDER BY customer_id, id LIMIT 3 OFFSET 2;
SELECT id AS x, total AS id FROM orders ORDER BY x, id;
SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id ORDER BY c.name, o.id LIMIT 2;
SELECT id FROM orders UNION ALL SELECT order_id FROM order_lines ORDER BY 1 LIMIT 3;
SELECT id FROM orders UNION ALL SELECT order_id FROM order_lines ORDER BY id DESC;
SELECT customer_id, count(*) FROM orders GROUP BY customer_id ORDER BY count(*) DESC, 1 LIMIT 2;
SELECT customer_id AS c, count(*) FROM orders GROUP BY c ORDER BY c LIMIT 2;
SELECT id FROM orders ORDER BY id FETCH FIRST 2 ROWS WITH TIES;
SELECT id FROM orders ORDER BY id LIMIT 1 + 1;
--- distinct
SELECT DISTINCT note FROM orders;
SELECT DISTINCT note, total FROM orders ORDER BY total, note LIMIT 3;
SELECT DISTINCT ON (note) note, total, id FROM orders ORDER BY note, total, id;
SELECT DISTINCT ON (note) id FROM orders ORDER BY note, total, id LIMIT 2;
SELECT DISTINCT * FROM order_lines ORDER BY 1, 2, 3, 4, 5;
--- parts of aggregates
SELECT count(*) FROM orders;
SELECT count(*), count(note), sum(total), avg(total), min(note), max(placed) FROM orders WHERE total > 1;
SELECT note, count(*) AS n, sum(id), avg(id), sum(customer_id) FROM orders GROUP BY note HAVING count(*) > 2 ORDER BY n DESC, note;
SELECT line, sum(amount), avg(amount), sum(amount + line), avg(amount * 2) FROM order_lines GROUP BY 1 ORDER BY 1;
SELECT sum(coalesce(total, 0)), avg(CASE WHEN note = 'a' THEN total ELSE 0 END), sum(total) FILTER (WHERE note = 'x') FROM orders;
SELECT c.country, k.name, sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN countries k ON k.code = c.country GROUP BY c.country, k.name ORDER BY 1;
SELECT lower(note), sum(total) + count(*) AS s FROM orders GROUP BY lower(note) ORDER BY lower(note);
SELECT note, line, sum(amount) FROM orders o JOIN order_lines l USING (customer_id) GROUP BY ROLLUP (note, line) ORDER BY 1, 2;
SELECT note, sum(total), rank() OVER (ORDER BY sum(total) DESC) FROM orders GROUP BY note ORDER BY 1;
SELECT bool_and(total > 1), bool_or(total > 4), every(id > 0), bit_and(id), bit_or(id) FROM orders;
SELECT sum(total) FROM orders WHERE total > 1000;
SELECT avg(amount) FROM order_lines WHERE amount > 1000;
SELECT count(*) FROM orders HAVING count(*) > 1000;
SELECT DISTINCT count(*) FROM orders GROUP BY note;
SELECT sum(total) / count(*) AS a FROM orders ORDER BY a;
SELECT o.note AS total, sum(o.total) FROM orders o GROUP BY o.note ORDER BY total;
SELECT case when note = 'a' then 1 else 2 end, count(*) FROM orders GROUP BY 1 ORDER BY 1;
SELECT country, count(*) FROM customers GROUP BY country LIMIT 1;
--- aggregates that have no parts
SELECT count(DISTINCT note) FROM orders;
SELECT note, count(DISTINCT line), sum(amount) FROM orders JOIN order_lines USING (customer_id) GROUP BY note ORDER BY note;
SELECT string_agg(note, ',' ORDER BY note) FROM orders;
SELECT array_agg(id ORDER BY id DESC), stddev(total), variance(id) FROM orders;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders;
SELECT note, json_agg(total ORDER BY id) FROM orders GROUP BY note ORDER BY note;
SELECT json_object_agg(id, total ORDER BY id) FROM orders;
SELECT corr(id, total) FILTER (WHERE note = 'a') FROM orders;
--- columns that depend on the key
SELECT c.country, c.name, count(*) FROM customers c GROUP BY c.country;
SELECT note FROM orders GROUP BY note ORDER BY note;
--- rows have no type that a column could have; direct arguments are the group's
SELECT DISTINCT ROW(note, total) FROM orders;
SELECT count(DISTINCT (note, total)) FROM orders;
SELECT line, percentile_disc(line / 10.0) WITHIN GROUP (ORDER BY amount) FROM order_lines GROUP BY line ORDER BY 1;
