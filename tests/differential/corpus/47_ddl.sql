-- DDL: of tables in the map on all shards, of others on the default shard; failures leave nothing half done.
--! all cleanup DROP TABLE IF EXISTS made, made2, made3 CASCADE; DROP VIEW IF EXISTS w; DROP MATERIALIZED VIEW IF EXISTS mv; DROP TYPE IF EXISTS colour; DROP SEQUENCE IF EXISTS sq; DROP FUNCTION IF EXISTS twice(int); DROP SCHEMA IF EXISTS extra CASCADE; DROP DOMAIN IF EXISTS posint; ALTER TABLE empties DROP COLUMN IF EXISTS extra; DROP INDEX IF EXISTS empties_v, empties_kv, dups_k; ALTER TABLE empties DROP CONSTRAINT IF EXISTS positive; ALTER TABLE empties ALTER COLUMN v DROP DEFAULT; DELETE FROM empties; ALTER TABLE empties ALTER COLUMN v TYPE int; ALTER TABLE dups DROP CONSTRAINT IF EXISTS none_above; ALTER TABLE dups ALTER COLUMN c DROP NOT NULL; COMMENT ON TABLE customers IS NULL
--! script
CREATE TABLE made (id int PRIMARY KEY, v text);
INSERT INTO made VALUES (1, 'a'), (2, 'b');
SELECT * FROM made ORDER BY id;
ALTER TABLE made ADD COLUMN w int DEFAULT 5;
SELECT * FROM made ORDER BY id;
CREATE INDEX made_v ON made (v);
ALTER TABLE made RENAME COLUMN w TO x;
SELECT x FROM made ORDER BY id;
ALTER TABLE made DROP COLUMN x;
DROP TABLE made;
SELECT * FROM made;
--! end
--! script
ALTER TABLE empties ADD COLUMN extra int DEFAULT 7;
INSERT INTO empties VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z');
SELECT * FROM empties ORDER BY k;
SELECT sum(extra) FROM empties;
ALTER TABLE empties DROP COLUMN extra;
SELECT * FROM empties ORDER BY k;
--! end
--! script
CREATE INDEX empties_v ON empties (v);
CREATE INDEX empties_v ON empties (v);
CREATE INDEX IF NOT EXISTS empties_v ON empties (v);
DROP INDEX empties_v;
DROP INDEX empties_v;
DROP INDEX IF EXISTS empties_v;
--! end
--! script
CREATE UNIQUE INDEX empties_kv ON empties (k, v);
INSERT INTO empties VALUES (1, 1), (2, 1), (3, 1);
INSERT INTO empties VALUES (4, 1), (2, 1);
DROP INDEX empties_kv;
--! end
--! script
ALTER TABLE empties ADD CONSTRAINT positive CHECK (v > 0);
INSERT INTO empties VALUES (1, 1), (2, -1);
INSERT INTO empties VALUES (1, 1), (2, 2);
ALTER TABLE empties DROP CONSTRAINT positive;
--! end
--! script
ALTER TABLE empties ALTER COLUMN v SET DEFAULT 9;
INSERT INTO empties (k) VALUES (1), (2);
SELECT k, v FROM empties ORDER BY k;
ALTER TABLE empties ALTER COLUMN v DROP DEFAULT;
--! end
--! script
ALTER TABLE empties ALTER COLUMN v TYPE bigint;
INSERT INTO empties VALUES (1, 3000000000), (2, 5);
SELECT sum(v) FROM empties;
DELETE FROM empties;
ALTER TABLE empties ALTER COLUMN v TYPE int;
--! end
--! known a failure on one shard leaves the others altered
--! script
ALTER TABLE dups ADD CONSTRAINT none_above CHECK (a < 2);
ALTER TABLE dups ALTER COLUMN c SET NOT NULL;
CREATE UNIQUE INDEX dups_k ON dups (k);
SELECT count(*) FROM dups;
--! end
--! script
CREATE VIEW w AS SELECT id, name FROM customers WHERE level = 1;
SELECT count(*) FROM w;
SELECT name FROM w WHERE id = 7;
CREATE OR REPLACE VIEW w AS SELECT id, name FROM customers WHERE level = 2;
SELECT count(*) FROM w;
DROP VIEW w;
SELECT count(*) FROM w;
--! end
--! script
CREATE VIEW w AS SELECT key FROM settings;
SELECT count(*) FROM w;
DROP VIEW w;
--! end
--! script
CREATE VIEW w AS SELECT nothing FROM customers;
--! end
--! script
CREATE MATERIALIZED VIEW mv AS SELECT value, count(*) AS n FROM settings GROUP BY value;
SELECT * FROM mv ORDER BY value;
REFRESH MATERIALIZED VIEW mv;
DROP MATERIALIZED VIEW mv;
--! end
--! script
CREATE MATERIALIZED VIEW mv AS SELECT country, count(*) AS n FROM customers GROUP BY country;
SELECT * FROM mv ORDER BY country;
DROP MATERIALIZED VIEW mv;
--! end
--! script
CREATE TYPE colour AS ENUM ('red', 'green');
SELECT 'red'::colour < 'green'::colour;
ALTER TYPE colour ADD VALUE 'blue';
SELECT enum_range(NULL::colour);
DROP TYPE colour;
--! end
--! script
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
SELECT 5::posint;
SELECT (-5)::posint;
DROP DOMAIN posint;
--! end
--! script
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
SELECT id, twice(level) FROM customers WHERE id = 5;
SELECT sum(twice(level)) FROM customers;
DROP FUNCTION twice(int);
--! end
--! script
CREATE SCHEMA extra;
CREATE TABLE extra.made (a int);
INSERT INTO extra.made VALUES (1);
SELECT * FROM extra.made;
DROP SCHEMA extra CASCADE;
--! end
--! known currval after another transaction is 55000
--! script
CREATE SEQUENCE sq START 10 INCREMENT 5;
SELECT nextval('sq'), nextval('sq');
SELECT currval('sq'), lastval();
SELECT setval('sq', 100);
SELECT nextval('sq');
ALTER SEQUENCE sq RESTART;
SELECT nextval('sq');
DROP SEQUENCE sq;
SELECT nextval('sq');
--! end
--! script
CREATE TABLE made AS SELECT id, name FROM customers WHERE level = 1;
SELECT count(*) FROM made;
DROP TABLE made;
--! end
--! script
CREATE TABLE made AS SELECT * FROM settings;
SELECT count(*) FROM made;
DROP TABLE made;
--! end
--! script
SELECT key, num INTO made FROM settings WHERE num > 2;
SELECT count(*) FROM made;
DROP TABLE made;
--! end
--! script
SELECT country, count(*) AS n INTO made FROM customers GROUP BY country;
SELECT * FROM made ORDER BY country;
DROP TABLE made;
--! end
--! script
CREATE TABLE made (LIKE customers INCLUDING DEFAULTS);
INSERT INTO made (id, name) VALUES (1, 'x');
SELECT id, active, balance FROM made;
DROP TABLE made;
--! end
--! script
CREATE TABLE made (id int PRIMARY KEY);
CREATE TABLE made2 (id int REFERENCES made);
INSERT INTO made2 VALUES (1);
INSERT INTO made VALUES (1);
INSERT INTO made2 VALUES (1);
DROP TABLE made;
DROP TABLE made CASCADE;
DROP TABLE made2;
--! end
--! script
CREATE TABLE made (a int, b int) PARTITION BY RANGE (a);
CREATE TABLE made2 PARTITION OF made FOR VALUES FROM (0) TO (10);
INSERT INTO made VALUES (5, 1);
INSERT INTO made VALUES (50, 1);
SELECT * FROM made;
DROP TABLE made;
--! end
--! script
COMMENT ON TABLE customers IS 'those who buy';
SELECT obj_description('customers'::regclass);
COMMENT ON TABLE customers IS NULL;
--! end
--! script
BEGIN;
CREATE TABLE made (id int);
INSERT INTO made VALUES (1);
ROLLBACK;
SELECT * FROM made;
--! end
--! script
BEGIN;
ALTER TABLE empties ADD COLUMN extra int;
INSERT INTO empties VALUES (1, 1, 'x', 1), (2, 2, 'y', 2);
SELECT sum(extra) FROM empties;
ROLLBACK;
SELECT * FROM empties;
--! end
VACUUM dups;
VACUUM (ANALYZE) customers, orders;
VACUUM settings;
ANALYZE;
ANALYZE customers (level);
REINDEX TABLE customers;
CLUSTER customers USING customers_pkey;
GRANT SELECT ON customers TO PUBLIC\; REVOKE SELECT ON customers FROM PUBLIC;
ALTER TABLE nothing ADD COLUMN a int;
ALTER TABLE customers ADD COLUMN name text;
ALTER TABLE customers DROP COLUMN nothing;
CREATE TABLE customers (id int);
CREATE TABLE IF NOT EXISTS customers (id int);
DROP TABLE nothing;
DROP TABLE IF EXISTS nothing;
DROP TABLE orders;
CREATE INDEX ON customers (nothing);
ALTER TABLE customers ALTER COLUMN name TYPE int USING name::int;
