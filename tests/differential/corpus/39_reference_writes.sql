-- Writes of reference tables: on every shard, alike.
--! all tx
INSERT INTO countries VALUES ('zz', 'Z', 1, 'nowhere');
INSERT INTO countries VALUES ('zz', 'Z', 1, 'nowhere'), ('yy', 'Y', 2, NULL);
INSERT INTO countries (code, name) VALUES ('zz', 'Z') RETURNING code, population;
INSERT INTO countries SELECT 'z' || g, 'z', g, NULL FROM generate_series(1, 5) g;
INSERT INTO countries SELECT left(name, 1) || '!', name, id, category FROM products WHERE id < 4 AND left(name, 1) || id <> 'x' ORDER BY id LIMIT 1;
INSERT INTO countries SELECT 'c' || level, max(name), count(*), NULL FROM customers GROUP BY level;
INSERT INTO countries (code, name) VALUES ('de', 'again');
INSERT INTO countries (code, name) VALUES ('zz', 'Z'), ('de', 'again');
INSERT INTO countries (code, name) VALUES ('zz', NULL);
UPDATE countries SET population = population + 1;
UPDATE countries SET population = 0 WHERE code = 'de';
UPDATE countries SET population = 0 WHERE region = 'asia' RETURNING code, name;
UPDATE countries SET population = (SELECT count(*) FROM products);
UPDATE countries SET population = (SELECT count(*) FROM customers WHERE country = code);
UPDATE countries n SET name = p.name FROM products p WHERE p.id = length(n.name);
UPDATE countries n SET population = x.c FROM (SELECT country, count(*) AS c FROM customers GROUP BY country) x WHERE x.country = n.code;
UPDATE countries SET code = 'zz' WHERE code = 'nz';
UPDATE countries SET name = NULL WHERE code = 'nz';
DELETE FROM countries;
DELETE FROM countries WHERE code = 'nz';
DELETE FROM countries WHERE region IS NULL RETURNING *;
DELETE FROM countries WHERE code IN (SELECT country FROM customers);
DELETE FROM countries n USING products p WHERE p.id = length(n.code);
DELETE FROM countries WHERE code NOT IN (SELECT country FROM customers WHERE country IS NOT NULL);
INSERT INTO products VALUES (100, 'n', 1.5, 'toy', '2025-01-01'), (101, 'm', NULL, NULL, NULL);
INSERT INTO products (id, name, made) VALUES (100, 'today', current_date);
UPDATE products SET price = price * 1.1 WHERE category = 'toy';
UPDATE products SET made = current_date WHERE id < 5;
UPDATE products SET price = round((price * 10) / 3, 2);
DELETE FROM products WHERE price IS NULL;
WITH d AS (DELETE FROM products WHERE id > 10 RETURNING id) SELECT count(*), max(id) FROM d;
WITH u AS (UPDATE countries SET population = 1 RETURNING code) SELECT c.id FROM customers c JOIN u ON u.code = c.country WHERE c.id < 10 ORDER BY 1;
--! params zz | Z
INSERT INTO countries (code, name) VALUES ($1, $2);
--! params de
UPDATE countries SET population = 5 WHERE code = $1 RETURNING population;
--! params nz
DELETE FROM countries WHERE code = $1;
--! script
INSERT INTO countries VALUES ('zz', 'Z', 1, 'nowhere');
SELECT n.name, c.id FROM countries n LEFT JOIN customers c ON c.country = n.code WHERE n.code = 'zz';
UPDATE customers SET country = 'zz' WHERE level = 1;
SELECT n.name, count(*) FROM countries n JOIN customers c ON c.country = n.code GROUP BY n.name ORDER BY 1;
DELETE FROM countries WHERE code = 'zz';
SELECT count(*) FROM customers c LEFT JOIN countries n ON c.country = n.code WHERE n.code IS NULL;
--! end
--! script
BEGIN;
INSERT INTO countries VALUES ('zz', 'Z', 1, 'nowhere');
UPDATE countries SET population = 2 WHERE code = 'zz';
SELECT * FROM countries WHERE code = 'zz';
ROLLBACK;
SELECT * FROM countries WHERE code = 'zz';
--! end
--! script
BEGIN;
INSERT INTO countries VALUES ('zz', 'Z', 1, 'nowhere');
INSERT INTO customers (id, name, country) VALUES (100, 'n', 'zz'), (101, 'm', 'zz');
SELECT c.id, n.name FROM customers c JOIN countries n ON n.code = c.country WHERE c.id >= 100 AND c.id < 200 ORDER BY 1;
COMMIT;
--! end
INSERT INTO countries VALUES ('zzz', 'Z', 1, 'nowhere');
UPDATE countries SET nothing = 1;
UPDATE products SET price = 1 / (id - 5);
