-- Sequences, serial and identity columns. Numbers of sharded tables are unique over all shards; which they are is not PostgreSQL's.
SELECT nextval('counter_seq');
SELECT nextval('counter_seq'), nextval('counter_seq');
SELECT last_value, is_called FROM counter_seq;
--! known currval after another transaction is 55000
--! script
SELECT nextval('counter_seq');
SELECT currval('counter_seq');
SELECT lastval();
SELECT setval('counter_seq', 50);
SELECT nextval('counter_seq');
SELECT setval('counter_seq', 70, false);
SELECT nextval('counter_seq');
--! end
--! script
BEGIN;
SELECT nextval('counter_seq');
ROLLBACK;
SELECT nextval('counter_seq');
--! end
SELECT id, nextval('counter_seq') FROM customers ORDER BY id LIMIT 1;
--! mask 2
SELECT id, nextval('counter_seq') FROM customers;
SELECT count(DISTINCT x) FROM (SELECT nextval('counter_seq') AS x FROM customers) y;
SELECT nextval('counter_seq') FROM generate_series(1, 3);
INSERT INTO settings SELECT 'n' || nextval('counter_seq'), 'x', 1;
INSERT INTO dups (k, a) VALUES (5, nextval('counter_seq'));
INSERT INTO dups (k, a) VALUES (nextval('counter_seq'), 1);
INSERT INTO dups (k, a) VALUES (nextval('counter_seq'), 1), (nextval('counter_seq'), 2), (nextval('counter_seq'), 3);
INSERT INTO dups (k, a) SELECT nextval('counter_seq'), level FROM customers WHERE id = 5;
UPDATE settings SET num = nextval('counter_seq') WHERE key = 'key1';
UPDATE dups SET a = nextval('counter_seq') WHERE k = 5 AND a = 99;
INSERT INTO tickets (customer_id, title) VALUES (5, 'a');
INSERT INTO tickets (customer_id, title) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f'), (7, 'g');
INSERT INTO tickets (customer_id, id, title) VALUES (1, DEFAULT, 'a'), (2, DEFAULT, 'b');
INSERT INTO tickets (customer_id, title) SELECT id, name FROM customers WHERE id < 20;
INSERT INTO tickets (customer_id, id, title) VALUES (1, nextval('tickets_id_seq'), 'a');
--! script
INSERT INTO tickets (customer_id, title) VALUES (5, 'a');
INSERT INTO tickets (customer_id, title) VALUES (6, 'b');
INSERT INTO tickets (customer_id, title) VALUES (7, 'c');
INSERT INTO tickets (customer_id, title) VALUES (8, 'd');
SELECT count(*), count(DISTINCT id) FROM tickets;
SELECT count(*) FROM tickets a JOIN tickets b ON a.id = b.id;
--! end
--! known currval after another transaction is 55000
--! script
--! mask 1
INSERT INTO tickets (customer_id, title) VALUES (5, 'a') RETURNING id;
--! mask 1
SELECT currval('tickets_id_seq');
--! mask 1
SELECT lastval();
SELECT title FROM tickets WHERE customer_id = 5 AND id = currval('tickets_id_seq');
--! end
INSERT INTO invoices (customer_id, total) VALUES (5, 1);
INSERT INTO invoices (customer_id, total) VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6);
INSERT INTO invoices (customer_id, id, total) VALUES (5, DEFAULT, 1);
INSERT INTO invoices (customer_id, id, total) OVERRIDING SYSTEM VALUE VALUES (5, 9999, 1);
INSERT INTO invoices (customer_id, id, total) OVERRIDING USER VALUE VALUES (5, 9999, 1), (6, 9999, 2);
INSERT INTO invoices (customer_id, id, total) VALUES (5, 9999, 1);
INSERT INTO invoices (customer_id, total) SELECT id, balance FROM customers WHERE level = 1;
COPY invoices (customer_id, total) FROM STDIN;
1	1
2	2
3	3
\.
UPDATE invoices SET id = 5;
SELECT nextval('nothing');
SELECT currval('tickets_id_seq');
SELECT setval('counter_seq', 0);
SELECT nextval('customers');
