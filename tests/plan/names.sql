--- search_path
\path app, public
SELECT * FROM customers WHERE id = 5;
\path public, app
SELECT email FROM customers WHERE id = 5;
\path app
SELECT * FROM orders WHERE customer_id = 5;
\path app
SELECT * FROM audit;
\path public
SELECT * FROM audit;
\path "App", public
SELECT * FROM customers WHERE id = 5;
\path
SELECT * FROM customers WHERE id = 5;
\path "$user", public
SELECT * FROM orders WHERE customer_id = 5;
SELECT * FROM app.customers WHERE id = 5;
SELECT * FROM app.orders WHERE customer_id = 5;
SELECT * FROM Orders WHERE Customer_ID = 5;
SELECT * FROM "Orders" WHERE customer_id = 5;
\noschema
\path nowhere, public
SELECT * FROM orders WHERE customer_id = 5;
\noschema
SELECT * FROM unheard_of;
SELECT * FROM unheard_of;
SELECT * FROM app.customers WHERE app.customers.id = 5;
SELECT * FROM app.customers, public.customers WHERE app.customers.id = 5 AND public.customers.id = 5;
--- temporary tables shadow
\temp orders
SELECT * FROM orders;
\temp orders
SELECT * FROM public.orders WHERE customer_id = 5;
\temp orders
SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.id = 5;
\temp other
SELECT * FROM orders;
SELECT * FROM pg_temp.orders;
\temp orders
DELETE FROM orders;
\temp orders
\path pg_temp, public
SELECT * FROM orders;
\temp orders
\path public, pg_temp
SELECT * FROM orders WHERE customer_id = 5;
\path pg_temp, public
CREATE TABLE orders (a int);
\path pg_temp, public
CREATE TABLE orders AS SELECT 1;
--- catalogs
SELECT * FROM pg_class;
SELECT * FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace;
SELECT * FROM information_schema.tables;
SELECT * FROM pg_stat_activity;
SELECT * FROM pg_locks;
SELECT * FROM pg_stats WHERE tablename = 'orders';
SELECT * FROM pg_class c, orders o WHERE o.customer_id = 5 AND c.relname = o.note;
--- no table
SELECT 1;
SELECT now(), version();
VALUES (1), (2);
--- partitions, indexes, sequences belong to their tables
SELECT * FROM parted WHERE customer_id = 5;
SELECT * FROM parted_2026 WHERE customer_id = 5;
SELECT * FROM parted_2026;
INSERT INTO parted_2026 VALUES (5, '2026-01-01');
SELECT * FROM owned_ids;
SELECT * FROM order_ids;
--- the join of an alias and a table of the same name
SELECT * FROM settings orders JOIN public.orders o ON true WHERE orders.customer_id = 5;
SELECT * FROM settings AS orders WHERE orders.customer_id = 5;
SELECT * FROM countries customers WHERE customers.code = 'x';
--- views
SELECT * FROM customer_orders WHERE customer = 5;
SELECT * FROM customer_orders;
SELECT * FROM customer_orders WHERE name = 'x';
SELECT * FROM customer_orders a JOIN customer_orders b ON a.customer = b.customer WHERE a.customer = 5;
SELECT * FROM customer_orders a, customer_orders b WHERE a.customer = 5 AND b.customer = 5;
SELECT * FROM customer_orders a, customer_orders b WHERE a.customer = 5;
SELECT * FROM renamed WHERE cust = 5;
SELECT * FROM renamed WHERE customer_id = 5;
SELECT * FROM nested WHERE cust = 5;
SELECT * FROM nested n(a, b) WHERE a = 5;
SELECT * FROM big_customers WHERE customer_id = 5;
SELECT * FROM newest WHERE customer_id = 5;
SELECT * FROM both_kinds WHERE k = 5;
SELECT * FROM both_kinds;
SELECT * FROM of_local;
SELECT * FROM of_reference;
SELECT * FROM customers c JOIN renamed r ON r.cust = c.id WHERE c.id = 5;
SELECT * FROM customers c WHERE c.id = 5 AND EXISTS (SELECT 1 FROM renamed r WHERE r.cust = c.id);
INSERT INTO orders (customer_id) SELECT cust FROM renamed WHERE cust = 5;
UPDATE renamed SET what = 'x' WHERE cust = 5;
INSERT INTO renamed VALUES (5, 'x');
DELETE FROM of_reference;
UPDATE of_local SET value = 'x';
INSERT INTO of_local VALUES ('a', 'b');
\noschema
SELECT * FROM renamed WHERE cust = 5;
