-- The demo's tables, the same on every shard. Each primary key holds the key the table is distributed by.
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, country char(2) NOT NULL, credit numeric(10,2) NOT NULL,
	since date NOT NULL);
CREATE TABLE orders (customer_id bigint NOT NULL REFERENCES customers (id), id bigint NOT NULL, amount numeric(10,2) NOT NULL,
	placed_at timestamptz NOT NULL, status text NOT NULL, PRIMARY KEY (customer_id, id));
CREATE TABLE events (happened_on date NOT NULL, id bigint NOT NULL, kind text NOT NULL, detail jsonb,
	PRIMARY KEY (happened_on, id));
CREATE TABLE tenants (name text PRIMARY KEY, plan text NOT NULL, seats int NOT NULL);
CREATE TABLE notes (tenant text NOT NULL REFERENCES tenants (name), id int NOT NULL, body text NOT NULL, PRIMARY KEY (tenant, id));
CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL);
CREATE INDEX ON orders (placed_at);
