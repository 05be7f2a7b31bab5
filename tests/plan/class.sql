--- reads
SELECT * FROM orders WHERE customer_id = 5;
SELECT * FROM orders WHERE customer_id = 5 FOR UPDATE;
SELECT * FROM orders WHERE customer_id = 5 FOR SHARE;
SELECT * FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE id = 5 FOR UPDATE);
WITH d AS (DELETE FROM orders WHERE customer_id = 5 RETURNING 1) SELECT 1;
WITH d AS (SELECT 1) SELECT * FROM d;
SELECT * FROM scratch;
SELECT last_value FROM order_ids;
TABLE countries;
--- built-in functions
SELECT count(*), max(total), string_agg(note, ',') FROM orders WHERE customer_id = 5;
SELECT now(), CURRENT_TIMESTAMP, current_user, random(), clock_timestamp(), timeofday(), gen_random_uuid();
SELECT pg_is_in_recovery(), inet_server_port(), current_setting('port');
SELECT lower('X'), abs(-1), coalesce(1, 2), extract(year FROM now()), substring('abc' FROM 2);
SELECT txid_current();
SELECT pg_current_xact_id();
SELECT pg_current_wal_lsn();
SELECT pg_stat_get_numscans(1);
SELECT pg_last_wal_replay_lsn();
SELECT pg_sleep(0);
SELECT nextval('order_ids');
SELECT setval('order_ids', 1);
SELECT currval('order_ids');
SELECT lastval();
SELECT pg_advisory_lock(1);
SELECT pg_advisory_xact_lock(1) FROM orders WHERE customer_id = 5;
SELECT lo_create(0);
SELECT pg_notify('a', 'b');
SELECT set_config('a.b', 'c', false);
SELECT pg_terminate_backend(1);
SELECT pg_total_relation_size('orders');
SELECT query_to_xml('SELECT * FROM orders', true, true, '');
SELECT * FROM generate_series(1, 3);
SELECT * FROM unnest(ARRAY[1, 2]) WITH ORDINALITY;
SELECT pg_catalog.random();
\noschema
SELECT random(), lower('X');
\map nodefault
SELECT nextval('order_ids');
SELECT random();
\map shop
--- users' functions
SELECT add_tax(1);
SELECT add_tax(total) FROM orders WHERE customer_id = 5;
SELECT lookup_total(5);
SELECT do_things(1);
SELECT do_things(1, 2);
SELECT do_things(1, 2, 3);
SELECT * FROM orders WHERE customer_id = 5 AND do_things(1) = 1;
SELECT unheard_of(1);
SELECT app.lower('x');
SELECT lower('x');
\path app, public
SELECT lower('x');
SELECT public.add_tax(1);
\noschema
SELECT add_tax(1);
--- functions of the map
SELECT place_order(5, 'x');
SELECT place_order(-5, 'x');
SELECT public.place_order(5, 'x');
\params 5
SELECT place_order($1, 'x');
SELECT place_order(2 + 3, 'x');
SELECT place_order(c.id, 'x') FROM customers c WHERE c.id = 5;
SELECT place_order(5, 'x') FROM customers c WHERE c.id = 5;
SELECT place_order(5, 'x') FROM customers c WHERE c.id = 6;
SELECT place_order(note => 'x', customer => 5);
SELECT * FROM place_order(5, 'x');
SELECT read_balance(5);
SELECT read_balance(5), read_balance(6);
SELECT pick_any();
SELECT pick_any() FROM orders WHERE customer_id = 5;
CALL cleanup(5);
CALL cleanup(2 + 3);
CALL other(5);
DO $$ BEGIN END $$;
--- users' operators
SELECT * FROM countries WHERE code ~~~ 'x';
SELECT * FROM countries WHERE code =~= 'x';
--- EXPLAIN, cursors, COPY
EXPLAIN SELECT * FROM orders WHERE customer_id = 5;
EXPLAIN ANALYZE SELECT * FROM orders WHERE customer_id = 5;
EXPLAIN SELECT * FROM orders;
EXPLAIN UPDATE orders SET total = 1 WHERE customer_id = 5;
EXPLAIN (ANALYZE) DELETE FROM orders WHERE customer_id = 5;
DECLARE c CURSOR FOR SELECT * FROM orders WHERE customer_id = 5;
DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders WHERE customer_id = 5;
LISTEN c;
DECLARE c CURSOR FOR SELECT * FROM orders;
FETCH 10 FROM c;
CLOSE c;
COPY orders FROM STDIN;
COPY orders (id, customer_id) TO STDOUT;
COPY (SELECT * FROM orders WHERE customer_id = 5) TO STDOUT;
COPY (SELECT * FROM orders WHERE customer_id = 5) TO '/tmp/x';
COPY (SELECT * FROM orders) TO STDOUT;
COPY (DELETE FROM orders WHERE customer_id = 5 RETURNING *) TO STDOUT;
COPY countries TO STDOUT;
COPY countries FROM STDIN;
COPY settings FROM STDIN;
COPY settings TO STDOUT;
COPY onlys FROM STDIN;
COPY customer_orders TO STDOUT;
--- hints
/* weir: primary */ SELECT * FROM orders WHERE customer_id = 5;
/* weir: replica */ SELECT do_things(1) FROM onlys;
/* weir: replica */ SELECT pg_advisory_lock(1);
/* weir: replica */ UPDATE orders SET total = 1 WHERE customer_id = 5;
/* weir: shard=s2 */ SELECT * FROM orders;
/* weir: shard=s2 */ SELECT do_things(1);
/* weir: shard=s9 */ SELECT 1;
/* weir: shard=s3 */ DELETE FROM orders;
--- session
BEGIN;
COMMIT;
SET x = 1;
SHOW x;
SET search_path = app;
RESET ALL;
SAVEPOINT a;
DISCARD ALL;
PREPARE p AS SELECT 1;
EXECUTE p;
DEALLOCATE p;
LISTEN a;
NOTIFY a;
PREPARE TRANSACTION 'x';
SET CONSTRAINTS ALL DEFERRED;
SELECT 1; SELECT * FROM orders WHERE customer_id = 5; SELECT * FROM orders;
SELEC 1;
SELECT * FROM;
--- one shard: everything goes there
\map plain
SELECT * FROM orders;
SELECT * FROM orders o FULL JOIN customers c ON true;
UPDATE orders SET customer_id = 1;
SELECT do_things(1);
SELECT lookup_total(1);
SELECT unheard_of(1);
SELECT random();
SELECT nextval('x');
SELECT * FROM scratch;
SELECT * FROM pg_stat_activity;
SELECT * FROM orders FOR UPDATE;
SELEC 1;
CREATE TABLE x (a int);
CREATE DATABASE d;
CREATE TABLE x AS SELECT 1;
VACUUM;
COPY orders FROM STDIN;
COPY orders TO STDOUT;
DO $$ BEGIN END $$;
CALL cleanup(1);
SHOW x;
/* weir: primary */ SELECT 1;
\noschema
SELECT lower('x'), count(*) FROM orders;
\noschema
SELECT whatever(1);
\map shop
