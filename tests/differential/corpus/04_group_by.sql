-- GROUP BY: columns, expressions, positions, names; keys and other columns; functional dependency.
SELECT country, count(*) FROM customers GROUP BY country;
SELECT country, count(*) FROM customers GROUP BY country ORDER BY country;
SELECT country, count(*) FROM customers GROUP BY 1 ORDER BY 2 DESC, 1;
SELECT country AS c, count(*) AS n FROM customers GROUP BY c ORDER BY n, c NULLS FIRST;
SELECT count(*) FROM customers GROUP BY country;
SELECT country FROM customers GROUP BY country;
SELECT country, level, count(*) FROM customers GROUP BY country, level;
SELECT level, country, count(*) FROM customers GROUP BY country, level ORDER BY 1, 2;
SELECT id, count(*) FROM customers GROUP BY id;
SELECT customer_id, count(*), sum(amount) FROM orders GROUP BY customer_id ORDER BY customer_id;
SELECT customer_id, status, count(*) FROM orders GROUP BY customer_id, status;
SELECT customer_id, order_id, sum(qty * price) FROM items GROUP BY customer_id, order_id ORDER BY 3 DESC, 1, 2;
SELECT id, name, balance, count(*) FROM customers GROUP BY id ORDER BY id;
SELECT c.id, c.name, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id;
SELECT c.*, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id;
SELECT c.name, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name;
SELECT level % 2, count(*) FROM customers GROUP BY level % 2;
SELECT level % 2 AS odd, sum(balance) FROM customers GROUP BY odd ORDER BY odd;
SELECT level + 1, count(*) FROM customers GROUP BY level;
SELECT level * 2 + 1, max(id) FROM customers GROUP BY level * 2;
SELECT balance > 0 AS rich, count(*) FROM customers GROUP BY balance > 0;
SELECT active, count(*) FROM customers GROUP BY active ORDER BY active NULLS FIRST;
SELECT coalesce(country, '--'), count(*) FROM customers GROUP BY coalesce(country, '--');
SELECT CASE WHEN level < 2 THEN 'low' WHEN level < 4 THEN 'mid' ELSE 'high' END AS band, count(*) FROM customers GROUP BY band;
SELECT extract(year FROM born), count(*) FROM customers GROUP BY extract(year FROM born) ORDER BY 1;
SELECT date_trunc('month', day) AS m, count(*), sum(val) FROM events GROUP BY m ORDER BY m;
SELECT date_trunc('day', created)::date, count(*) FROM customers GROUP BY 1 ORDER BY 1;
SELECT left(name, 6), min(id), max(id) FROM customers GROUP BY left(name, 6);
SELECT lower(c), count(*) FROM dups GROUP BY lower(c);
SELECT a, b, c, count(*) FROM dups GROUP BY a, b, c;
SELECT a, count(*) FROM dups GROUP BY a, b ORDER BY a, count(*);
SELECT a + b, count(*) FROM dups GROUP BY a + b;
SELECT a, a IS NULL, count(*) FROM dups GROUP BY a;
SELECT prefs->>'lang', count(*) FROM customers GROUP BY prefs->>'lang';
SELECT prefs, count(*) FROM customers GROUP BY prefs;
SELECT tags, count(*) FROM customers GROUP BY tags;
SELECT feel, count(*), avg(balance) FROM customers GROUP BY feel ORDER BY feel;
SELECT md, b, count(*) FROM kinds GROUP BY md, b;
SELECT ip & inet '255.255.0.0', count(*) FROM kinds GROUP BY 1;
SELECT ia[1], count(*) FROM kinds GROUP BY ia[1];
SELECT ROW(a, b), count(*) FROM dups GROUP BY ROW(a, b);
SELECT (a, b), count(*) FROM dups GROUP BY (a, b);
SELECT status, priority, min(id), max(amount) FROM orders GROUP BY status, priority ORDER BY status, priority;
SELECT product_id, sum(qty) FROM items GROUP BY product_id ORDER BY sum(qty) DESC, product_id LIMIT 5;
SELECT kind, sum(amount) FROM accounts GROUP BY kind;
SELECT code, sum(delta), count(memo) FROM entries GROUP BY code ORDER BY code;
SELECT title, count(*), min(id::text) FROM docs GROUP BY title ORDER BY title;
SELECT shop, sum(qty), count(*) FROM stock GROUP BY shop ORDER BY shop;
SELECT shop, sku, sum(qty) FROM stock GROUP BY shop, sku;
SELECT bin, avg(qty) FROM stock GROUP BY bin ORDER BY bin;
SELECT kind, customer_id, count(*) FROM events GROUP BY kind, customer_id HAVING count(*) > 1;
SELECT tenant, count(*), avg(stars) FROM notes GROUP BY tenant ORDER BY tenant;
SELECT stars, count(*) FROM notes GROUP BY stars ORDER BY stars NULLS FIRST;
SELECT plan, sum(seats) FROM tenants GROUP BY plan ORDER BY plan;
SELECT region, sum(population), count(*) FROM countries GROUP BY region ORDER BY region;
SELECT value, count(num) FROM settings GROUP BY value ORDER BY value;
SELECT v, count(*) FROM empties GROUP BY v;
-- conditions, keys, constants
SELECT country, count(*) FROM customers WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8) GROUP BY country ORDER BY country;
SELECT status, count(*) FROM orders WHERE customer_id IN (5, 6, 7, 8) GROUP BY status;
SELECT country, count(*) FROM customers WHERE id = 9 GROUP BY country;
SELECT country, count(*) FROM customers WHERE false GROUP BY country;
SELECT status, count(*) FROM orders WHERE amount IS NULL GROUP BY status;
SELECT 'x' AS const, count(*) FROM customers GROUP BY const;
SELECT 1, count(*) FROM customers GROUP BY ();
SELECT count(*) FROM empties GROUP BY ();
SELECT kind, count(*) FROM events WHERE day >= '2025-06-01' GROUP BY kind;
SELECT name, count(*) FROM tenants WHERE name > 'i' GROUP BY name;
-- joins beneath
SELECT n.region, count(*), sum(c.balance) FROM customers c JOIN countries n ON n.code = c.country GROUP BY n.region ORDER BY 1;
SELECT n.name, count(c.id) FROM countries n LEFT JOIN customers c ON c.country = n.code GROUP BY n.name;
SELECT p.category, sum(i.qty * i.price) FROM items i JOIN products p ON p.id = i.product_id GROUP BY p.category ORDER BY 2;
SELECT c.country, o.status, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.country, o.status;
SELECT o.status, count(DISTINCT i.product_id) FROM orders o JOIN items i ON i.customer_id = o.customer_id AND i.order_id = o.id GROUP BY o.status;
SELECT e.kind, c.country, count(*) FROM events e JOIN customers c ON c.id = e.customer_id GROUP BY 1, 2;
SELECT c.id, sum(t.v) FROM customers c, (VALUES (1), (2)) t(v) GROUP BY c.id ORDER BY c.id LIMIT 5;
-- subqueries beneath, and groups of groups
SELECT n, count(*) FROM (SELECT country, count(*) AS n FROM customers GROUP BY country) x GROUP BY n ORDER BY n;
SELECT n, count(*) FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) x GROUP BY n ORDER BY n;
SELECT max(s), min(s), avg(s) FROM (SELECT sum(amount) AS s FROM orders WHERE amount < 'NaN' GROUP BY customer_id) x;
SELECT total > 100, count(*) FROM (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY 1) x GROUP BY 1;
SELECT x.country, x.n, y.n FROM (SELECT country, count(*) n FROM customers GROUP BY 1) x
	JOIN (SELECT country, count(*) n FROM customers WHERE active GROUP BY 1) y ON x.country = y.country ORDER BY 1;
SELECT country, (SELECT count(*) FROM countries), count(*) FROM customers GROUP BY country ORDER BY country;
SELECT country, (SELECT n.name FROM countries n WHERE n.code = c.country), count(*) FROM customers c GROUP BY country;
SELECT (SELECT region FROM countries WHERE code = country) AS r, count(*) FROM customers GROUP BY r;
SELECT country, sum(balance) / count(*) AS mean, max(balance) - min(balance) AS spread FROM customers GROUP BY country ORDER BY country;
SELECT country, sum(balance) * 100 / (SELECT sum(balance) FROM customers) FROM customers GROUP BY country;
SELECT level, sum(sum(balance)) OVER (ORDER BY level) FROM customers GROUP BY level ORDER BY level;
SELECT country, rank() OVER (ORDER BY count(*) DESC) FROM customers GROUP BY country ORDER BY country;
SELECT generate_series(1, 2) AS g, count(*) FROM customers GROUP BY g;
SELECT unnest(tags) AS tag, count(*) FROM customers GROUP BY tag;
SELECT DISTINCT ON (country) country, level, count(*) FROM customers GROUP BY country, level ORDER BY country, count(*) DESC, level;
-- parameters
--! params 3
SELECT level % $1, count(*) FROM customers GROUP BY 1;
--! params 20
SELECT country, count(*) FROM customers WHERE id < $1 GROUP BY country ORDER BY country;
-- errors
SELECT country, name, count(*) FROM customers GROUP BY country;
SELECT name, count(*) FROM customers;
SELECT country FROM customers GROUP BY 2;
SELECT country, count(*) AS n FROM customers GROUP BY n;
SELECT js, count(*) FROM kinds GROUP BY js;
SELECT c.name, o.note FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id;
SELECT level, count(*) FROM customers GROUP BY level + 0;
--! simple
SELECT level % $1, count(*) FROM customers GROUP BY level % $2;
