-- ORDER BY over shards: keys, directions, NULLs, expressions, columns that are not selected, ties, names.
SELECT id FROM customers ORDER BY id;
SELECT id FROM customers ORDER BY id DESC;
SELECT id, balance FROM customers ORDER BY balance, id;
--! partial 2
SELECT id, country FROM customers ORDER BY country;
--! partial 2
SELECT id, country FROM customers ORDER BY country DESC;
--! partial 2
SELECT id, country FROM customers ORDER BY country NULLS FIRST;
--! partial 2
SELECT id, country FROM customers ORDER BY country DESC NULLS LAST;
SELECT id, score FROM customers ORDER BY score NULLS FIRST, id DESC;
SELECT id, score FROM customers ORDER BY score DESC NULLS LAST, id;
SELECT id, referrer FROM customers ORDER BY referrer ASC NULLS LAST, id;
SELECT id, level, active FROM customers ORDER BY level DESC, active NULLS FIRST, id;
SELECT id, active FROM customers ORDER BY active, id;
SELECT id, born FROM customers ORDER BY born DESC, id;
SELECT id, created FROM customers ORDER BY created DESC;
-- by position, by the name of an output, by an expression
SELECT name, id FROM customers ORDER BY 2;
SELECT name, id FROM customers ORDER BY 1, 2 DESC;
SELECT id AS number, balance AS b FROM customers ORDER BY b DESC, number;
SELECT -id AS id FROM customers ORDER BY id;
SELECT id AS balance, balance AS id FROM customers ORDER BY id, balance;
SELECT id FROM customers ORDER BY -id;
SELECT id FROM customers ORDER BY id % 7, id;
SELECT id, id % 7 AS m FROM customers ORDER BY m DESC, id;
SELECT id FROM customers ORDER BY abs(balance), id;
SELECT id FROM customers ORDER BY balance * 2 - level, id;
SELECT id FROM customers ORDER BY coalesce(referrer, -1), id;
SELECT id FROM customers ORDER BY CASE WHEN active THEN 0 WHEN active IS NULL THEN 1 ELSE 2 END, id;
SELECT id FROM customers ORDER BY country IS NULL, country, id;
SELECT id FROM customers ORDER BY (country = 'de') DESC NULLS LAST, id;
SELECT id FROM customers ORDER BY length(name), id;
SELECT id FROM customers ORDER BY name COLLATE "C" DESC, id;
SELECT id FROM customers ORDER BY lower(email), id;
SELECT id FROM customers ORDER BY extract(month FROM born), id;
SELECT id FROM customers ORDER BY date_trunc('week', created), id DESC;
SELECT id FROM customers ORDER BY prefs->>'lang', id;
SELECT id FROM customers ORDER BY (prefs->>'n')::int DESC NULLS LAST, id;
SELECT id FROM customers ORDER BY tags, id;
SELECT id FROM customers ORDER BY array_length(tags, 1) NULLS FIRST, id;
SELECT id FROM customers ORDER BY feel, id;
SELECT id FROM customers ORDER BY feel DESC NULLS LAST, id DESC;
SELECT id FROM customers ORDER BY prefs, id;
-- columns that are not selected
SELECT name FROM customers ORDER BY id;
SELECT name, country FROM customers ORDER BY balance DESC, id;
SELECT 1 FROM customers ORDER BY id;
SELECT FROM customers ORDER BY id;
SELECT note FROM orders ORDER BY amount NULLS FIRST, customer_id, id;
SELECT customer_id FROM orders ORDER BY customer_id, placed;
SELECT upper(name) FROM customers WHERE level > 2 ORDER BY born, id;
-- USING, whole rows, several tables' orders
SELECT id FROM customers ORDER BY id USING >;
SELECT id FROM customers ORDER BY balance USING <, id USING >;
--! bag
SELECT dups FROM dups ORDER BY dups;
SELECT * FROM dups ORDER BY k, a, b, c;
SELECT * FROM dups ORDER BY c NULLS FIRST, b DESC, a DESC NULLS LAST, k;
SELECT * FROM stock ORDER BY shop, sku COLLATE "C";
SELECT * FROM stock ORDER BY qty DESC, shop, sku COLLATE "C" DESC;
SELECT * FROM entries ORDER BY code COLLATE "C", seq;
SELECT * FROM entries ORDER BY delta, code COLLATE "C" DESC, seq;
SELECT * FROM accounts ORDER BY amount, code COLLATE "C";
SELECT code FROM accounts ORDER BY code;
SELECT code FROM accounts ORDER BY kind, code DESC;
SELECT id, title FROM docs ORDER BY id;
SELECT id, title FROM docs ORDER BY title, id DESC;
SELECT day, id FROM events ORDER BY day, id;
SELECT day, id, val FROM events ORDER BY val DESC NULLS LAST, day DESC, id;
SELECT * FROM tenants ORDER BY seats, name;
SELECT tenant, id FROM notes ORDER BY stars NULLS FIRST, tenant DESC, id;
SELECT * FROM countries ORDER BY population DESC NULLS LAST;
SELECT * FROM settings ORDER BY num NULLS FIRST, key DESC;
SELECT * FROM empties ORDER BY v;
-- with conditions: keys that exclude shards, none at all, empty answers
SELECT id FROM customers WHERE id IN (1, 2, 3, 4, 5, 6) ORDER BY id DESC;
SELECT id FROM customers WHERE id > 40 AND country IS NOT NULL ORDER BY country, id;
SELECT id FROM customers WHERE false ORDER BY id;
SELECT id FROM customers WHERE balance > 1000000 ORDER BY balance;
SELECT id, day FROM events WHERE day BETWEEN '2025-04-15' AND '2025-09-15' ORDER BY day DESC, id;
SELECT tenant, id FROM notes WHERE tenant IN ('acme', 'hooli', 'stark') ORDER BY tenant, id;
SELECT id FROM customers WHERE name LIKE 'name A%' OR email IS NULL ORDER BY email NULLS FIRST, id;
-- ORDER BY with DISTINCT, GROUP BY, subqueries beneath
SELECT DISTINCT level FROM customers ORDER BY level DESC;
SELECT DISTINCT country, level FROM customers ORDER BY level, country NULLS FIRST;
SELECT country, count(*) FROM customers GROUP BY country ORDER BY count(*) DESC, country;
SELECT level FROM customers GROUP BY level ORDER BY sum(balance);
SELECT * FROM (SELECT id, name FROM customers ORDER BY id DESC) x ORDER BY id;
SELECT x FROM (SELECT id * 2 AS x FROM customers) y ORDER BY x DESC;
SELECT id FROM customers ORDER BY (SELECT count(*) FROM countries WHERE code = country), id;
SELECT id FROM customers c ORDER BY (SELECT max(o.amount) FROM orders o WHERE o.customer_id = c.id) DESC NULLS LAST, id;
SELECT id FROM customers ORDER BY random() * 0, id;
SELECT id FROM customers ORDER BY 'a'::text, id;
SELECT id FROM customers ORDER BY (SELECT NULL::int), id;
SELECT id FROM customers ORDER BY id, id DESC;
SELECT id FROM customers ORDER BY least(balance, 0), greatest(level, 3), id;
SELECT id FROM customers ORDER BY name ~ 'A', name COLLATE "C", id;
-- errors
SELECT id FROM customers ORDER BY 3;
SELECT id FROM customers ORDER BY nothing;
SELECT DISTINCT country FROM customers ORDER BY id;
SELECT id FROM customers ORDER BY 1.5;
SELECT name, id FROM customers ORDER BY 2 COLLATE "C";
SELECT js FROM kinds ORDER BY js;
SELECT id FROM customers UNION SELECT id FROM orders ORDER BY id + 1;
