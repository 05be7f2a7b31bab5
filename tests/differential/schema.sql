-- The schema of the differential tests, made alike on the plain PostgreSQL and on every shard. world.py has its shard maps.
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);

-- by hash of the customer, a bigint
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, email varchar(40), country char(2), city text COLLATE "en-x-icu",
	balance numeric(12,2) DEFAULT 0, score float8, level smallint, active boolean DEFAULT true, born date, created timestamptz,
	tags text[], prefs jsonb, feel mood, referrer bigint, CHECK (level < 100));
CREATE TABLE orders (customer_id bigint NOT NULL, id int NOT NULL, placed date, amount numeric, status text DEFAULT 'new', note text,
	priority smallint, PRIMARY KEY (customer_id, id));
CREATE TABLE items (customer_id bigint NOT NULL, order_id int NOT NULL, line int NOT NULL, product_id int, qty int,
	price numeric(10,2), discount float8, PRIMARY KEY (customer_id, order_id, line),
	FOREIGN KEY (customer_id, order_id) REFERENCES orders ON DELETE CASCADE);
CREATE TABLE dups (k bigint NOT NULL, a int, b int, c text);
CREATE TABLE empties (k bigint NOT NULL, v int, w text);
CREATE TABLE kinds (k bigint PRIMARY KEY, i2 smallint, i4 int, i8 bigint, n numeric, f4 real, f8 double precision, t text, vc varchar(12),
	ch char(5), by bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid, b boolean, js json, jb jsonb,
	ia int[], ta text[], md mood, ip inet);
CREATE TABLE words (k bigint PRIMARY KEY, w_c text COLLATE "C", w_db text, w_icu text COLLATE "en-x-icu", w_ci text COLLATE nocase);
CREATE TABLE tickets (customer_id bigint NOT NULL, id serial, title text NOT NULL, PRIMARY KEY (customer_id, id));
CREATE TABLE invoices (customer_id bigint NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY, total numeric(10,2),
	twice numeric GENERATED ALWAYS AS (total * 2) STORED, PRIMARY KEY (customer_id, id));
-- by hash of a text
CREATE TABLE accounts (code text PRIMARY KEY, owner_id bigint, kind text, opened date, amount numeric(14,4), flags int);
CREATE TABLE entries (code text NOT NULL, seq int NOT NULL, delta numeric(14,4), at timestamptz, memo text, PRIMARY KEY (code, seq));
-- by hash of a uuid
CREATE TABLE docs (id uuid PRIMARY KEY, title text, body bytea, customer_id bigint, meta json, pages int);
-- by hash of two columns
CREATE TABLE stock (shop bigint NOT NULL, sku text NOT NULL, qty int, bin text, PRIMARY KEY (shop, sku));
-- by range of a date
CREATE TABLE events (day date NOT NULL, id int NOT NULL, kind text, customer_id bigint, val int, payload jsonb, PRIMARY KEY (day, id));
-- by a directory of texts
CREATE TABLE tenants (name text PRIMARY KEY, plan text, seats int);
CREATE TABLE notes (tenant text NOT NULL, id int NOT NULL, body text, stars int, PRIMARY KEY (tenant, id));
-- the same on every shard
CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL, population bigint, region text);
CREATE TABLE products (id int PRIMARY KEY, name text, price numeric(10,2), category text, made date);
-- on the default shard alone
CREATE TABLE settings (key text PRIMARY KEY, value text, num int);
CREATE SEQUENCE counter_seq;

CREATE INDEX ON orders (status);
CREATE INDEX ON items (product_id);
CREATE UNIQUE INDEX ON customers (id, email);

CREATE FUNCTION plus_one(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION initials(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT upper(left($1, 1)) || '.' $$;
CREATE FUNCTION pair(int, OUT lo int, OUT hi int) LANGUAGE sql IMMUTABLE AS 'SELECT $1 - 1, $1 + 1';
CREATE FUNCTION upto(int) RETURNS SETOF int LANGUAGE sql IMMUTABLE AS 'SELECT generate_series(1, $1)';

CREATE VIEW v_active AS SELECT id, name, country, balance FROM customers WHERE active;
CREATE VIEW v_totals AS SELECT customer_id, count(*) AS n, sum(amount) AS total FROM orders GROUP BY customer_id;
CREATE VIEW v_all_ids AS SELECT id AS k, 'customer' AS what FROM customers UNION ALL SELECT customer_id, 'order' FROM orders;
CREATE VIEW v_lines AS SELECT o.customer_id, o.id AS order_id, o.status, i.line, i.qty * i.price AS worth
	FROM orders o JOIN items i ON i.customer_id = o.customer_id AND i.order_id = o.id;
CREATE VIEW v_countries AS SELECT DISTINCT country FROM customers;
CREATE VIEW v_rich AS SELECT a.id, a.name, t.total FROM v_active a JOIN v_totals t ON t.customer_id = a.id WHERE t.total > 100;
CREATE VIEW v_ranked AS SELECT id, name, country, rank() OVER (PARTITION BY country ORDER BY balance DESC, id) AS r FROM customers;
CREATE VIEW v_last_events AS SELECT DISTINCT ON (customer_id) customer_id, day, id, kind FROM events
	ORDER BY customer_id, day DESC, id DESC;
CREATE VIEW v_plain AS SELECT key, num FROM settings WHERE num IS NOT NULL;
