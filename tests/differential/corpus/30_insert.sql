-- INSERT … VALUES: one row, several on one shard and on many, defaults, expressions, errors that leave nothing.
--! all tx
INSERT INTO dups VALUES (5, 1, 1, 'new');
INSERT INTO dups VALUES (5, 1, 1, 'new'), (5, 2, 2, 'new');
INSERT INTO dups VALUES (1, 1, 1, 'new'), (2, 2, 2, 'new'), (3, 3, 3, 'new'), (4, 4, 4, 'new');
INSERT INTO dups (k) VALUES (1), (2), (3);
INSERT INTO dups (c, k) VALUES ('x', 1), ('y', 2), ('z', 30);
INSERT INTO dups (a, b, c, k) VALUES (1, 2, 'x', 7), (3, 4, 'y', 8), (3, 4, NULL, 9);
INSERT INTO dups VALUES (1), (2), (3);
INSERT INTO dups VALUES (2 + 3, 1 + 1, abs(-4), 'a' || 'b');
INSERT INTO dups VALUES (1, 1 + 1, abs(-4), upper('b')), (2, 5 % 3, NULL, lower('B')), (3, length('abc'), 0, left('abc', 2));
INSERT INTO dups VALUES ('5', '1', '2', 3), ('6', '1', '2', 4);
INSERT INTO dups VALUES (5.0, 1, 1, 'x'), (6.0, 1, 1, 'y');
INSERT INTO dups VALUES (-1, 1, 1, 'x'), (0, 1, 1, 'y'), (9007199254740993, 1, 1, 'z');
INSERT INTO dups VALUES (1, NULL, NULL, DEFAULT), (2, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO dups VALUES (1, (SELECT count(*) FROM countries), 0, 'x'), (2, (SELECT max(id) FROM products), 0, 'y');
INSERT INTO dups VALUES (1, (SELECT count(*) FROM customers), 0, 'x');
INSERT INTO dups VALUES ((SELECT max(id) FROM products), 1, 1, 'x');
INSERT INTO dups VALUES ((SELECT max(level) FROM customers), 1, 1, 'x');
INSERT INTO dups AS d VALUES (5, 1, 1, 'x');
INSERT INTO public.dups VALUES (5, 1, 1, 'x'), (6, 1, 1, 'x');
INSERT INTO dups DEFAULT VALUES;
INSERT INTO customers (id, name) VALUES (100, 'a'), (101, 'b'), (102, 'c'), (103, 'd');
INSERT INTO customers (id, name, active, balance) VALUES (100, 'a', DEFAULT, DEFAULT), (101, 'b', false, 5);
INSERT INTO customers (id, name, created) VALUES (100, 'a', '2025-01-01'), (101, 'b', '2025-01-01 10:00+03');
INSERT INTO customers (id, name, tags, prefs, feel) VALUES (100, 'a', '{x,y}', '{"a": [1]}', 'happy'), (101, 'b', ARRAY['p'], '[]', NULL);
INSERT INTO customers SELECT 100, 'a';
INSERT INTO orders (customer_id, id) VALUES (1, 1000), (2, 1000), (3, 1000);
INSERT INTO orders (id, customer_id, status) VALUES (1001, 14, 'x'), (1002, 15, DEFAULT);
INSERT INTO items VALUES (14, 1, 9, 1, 1, 1.5, 0.5);
INSERT INTO items VALUES (14, 1, 9, 1, 1, 1.555, 0.5), (27, 2, 9, 2, 2, 2.5, NULL);
INSERT INTO accounts (code, amount) VALUES ('new1', 1), ('new2', 2.55555), ('new3', NULL);
INSERT INTO accounts (code) VALUES ('ünï'), ('日本'), (''), ('a''b');
INSERT INTO entries (code, seq, at) VALUES ('acc1', 50, '2025-01-01 00:00+00'), ('acc2', 50, NULL), ('acc3', 50, 'epoch');
INSERT INTO docs (id, title) VALUES ('00000000-0000-0000-0000-000000000001', 'a'), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'b'), ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'c');
INSERT INTO docs (id, body) VALUES ('00000000-0000-0000-0000-000000000001', '\x0102');
INSERT INTO stock VALUES (1, 'new', 5, 'b'), (2, 'new', 5, 'b'), (3, 'new', 5, 'b'), (4, 'new', 5, 'b');
INSERT INTO events (day, id) VALUES ('2025-02-01', 900), ('2025-06-01', 901), ('2025-11-01', 902);
INSERT INTO events (day, id) VALUES ('1999-12-31', 900), ('2031-01-01', 901);
INSERT INTO events (day, id) VALUES ('infinity', 900), ('-infinity', 901);
INSERT INTO tenants VALUES ('newcomer', 'free', 1), ('hooli2', 'pro', 2);
INSERT INTO notes VALUES ('acme', 90, 'x', 1), ('hooli', 90, 'y', 2), ('globex', 90, 'z', 3);
INSERT INTO settings VALUES ('new', 'v', 1), ('new2', 'v', 2);
INSERT INTO empties SELECT 1, 1, 'x';
INSERT INTO empties TABLE empties;
INSERT INTO empties VALUES (1, 1, 'x') RETURNING *;
INSERT INTO invoices (customer_id, total) VALUES (1, 10);
INSERT INTO invoices (customer_id, total) VALUES (1, 10), (2, 20), (3, 30);
INSERT INTO invoices (customer_id, total, id) OVERRIDING SYSTEM VALUE VALUES (1, 10, 5000), (2, 20, 5001);
INSERT INTO tickets (customer_id, title) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');
INSERT INTO tickets (customer_id, id, title) VALUES (1, 5000, 'a'), (2, DEFAULT, 'b');
-- nothing of a statement that fails stays, on no shard
INSERT INTO customers (id, name) VALUES (5, 'exists');
INSERT INTO customers (id, name) VALUES (100, 'a'), (5, 'exists'), (101, 'b');
INSERT INTO customers (id, name) VALUES (100, 'a'), (101, 'b'), (100, 'twice');
INSERT INTO customers (id, name) VALUES (100, 'a'), (101, NULL), (102, 'c');
INSERT INTO customers (id, name, level) VALUES (100, 'a', 1), (101, 'b', 200), (102, 'c', 1);
INSERT INTO customers (id, name, balance) VALUES (100, 'a', 1), (101, 'b', 1e15), (102, 'c', 1);
INSERT INTO customers (id, name, email) VALUES (100, 'a', repeat('x', 41)), (101, 'b', 'x');
INSERT INTO customers (id, name, country) VALUES (100, 'a', 'deu'), (101, 'b', 'de');
INSERT INTO items VALUES (14, 9999, 1, 1, 1, 1, 1);
INSERT INTO items VALUES (14, 1, 8, 1, 1, 1, 1), (15, 9999, 1, 1, 1, 1, 1);
INSERT INTO dups VALUES (1, 1 / 0, 1, 'x'), (2, 1, 1, 'x');
INSERT INTO dups VALUES (1, 1, 1, 'x'), (NULL, 1, 1, 'x');
INSERT INTO dups VALUES (1, 1, 1, 'x', 5);
INSERT INTO dups (k, a) VALUES (1), (2);
INSERT INTO dups (k, k) VALUES (1, 2);
INSERT INTO dups (k, nothing) VALUES (1, 2), (2, 3);
INSERT INTO dups VALUES ('x', 1, 1, 'x');
INSERT INTO dups VALUES (1, 'x', 1, 'x'), (2, 1, 1, 'x');
INSERT INTO invoices (customer_id, id, total) VALUES (1, 1, 1);
INSERT INTO invoices (customer_id, twice) VALUES (1, 1), (2, 2);
INSERT INTO nothing VALUES (1);
INSERT INTO v_totals VALUES (1);
--! params 5 | 1
INSERT INTO dups (k, a) VALUES ($1, $2);
--! params 5 | 1 | 6 | 2
INSERT INTO dups (k, a) VALUES ($1, $2), ($3, $4);
--! params 5 | x
INSERT INTO dups (k, c) VALUES ($1, $2), ($1 + 1, $2), ($1 + 2, upper($2));
--! params new | 1.5
INSERT INTO accounts (code, amount) VALUES ($1, $2), ($1 || '2', $2 * 2);
--! params 00000000-0000-0000-0000-000000000001 | t
INSERT INTO docs (id, title) VALUES ($1, $2);
--! params 2025-03-01 | 2025-10-01
INSERT INTO events (day, id) VALUES ($1, 900), ($2, 901);
--! params 100 | a | {x,y} | {"k": 1}
INSERT INTO customers (id, name, tags, prefs) VALUES ($1, $2, $3, $4);
