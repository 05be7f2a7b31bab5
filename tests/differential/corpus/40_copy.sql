-- COPY TO and FROM: text, CSV, options, columns, errors that leave nothing.
--! all simple
COPY dups TO STDOUT;
COPY dups (k, c) TO STDOUT;
COPY dups TO STDOUT WITH (FORMAT csv);
COPY dups TO STDOUT WITH (FORMAT csv, HEADER);
COPY dups TO STDOUT WITH (FORMAT csv, DELIMITER ';', NULL 'nil', QUOTE '''', FORCE_QUOTE *);
COPY dups TO STDOUT WITH (DELIMITER '|', NULL '-');
COPY customers TO STDOUT;
COPY customers TO STDOUT (FORMAT csv, HEADER true);
COPY kinds TO STDOUT;
COPY kinds TO STDOUT CSV;
COPY words TO STDOUT;
COPY accounts TO STDOUT;
COPY docs TO STDOUT;
COPY stock TO STDOUT;
COPY events TO STDOUT;
COPY notes TO STDOUT;
COPY empties TO STDOUT;
COPY empties TO STDOUT (FORMAT csv, HEADER);
COPY countries TO STDOUT;
COPY settings TO STDOUT;
--! ordered
COPY (SELECT id, name FROM customers ORDER BY id) TO STDOUT;
COPY (SELECT country, count(*) FROM customers GROUP BY country) TO STDOUT;
COPY (SELECT * FROM customers WHERE id = 5) TO STDOUT;
--! ordered
COPY (SELECT c.id, o.id FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY o.id) TO STDOUT (FORMAT csv, HEADER);
COPY (SELECT count(*) FROM orders) TO STDOUT;
COPY (VALUES (1, 'a'), (2, NULL)) TO STDOUT;
COPY (DELETE FROM dups WHERE k = 5 RETURNING *) TO STDOUT;
COPY (DELETE FROM dups WHERE a = 1 RETURNING *) TO STDOUT;
COPY (UPDATE customers SET level = 1 WHERE country = 'de' RETURNING id) TO STDOUT;
COPY dups FROM STDIN;
1	1	1	a
2	2	\N	b
3	\N	3	\N
4	4	4	tab\there
5	5	5	back\\slash
6	6	6	
\.
COPY dups (c, k) FROM STDIN;
x	7
y	8
\N	9
\.
COPY dups (k) FROM STDIN;
1
2
3
\.
COPY dups FROM STDIN;
\.
COPY dups FROM STDIN (FORMAT csv);
1,1,1,a
2,2,,"quoted, comma"
3,,3,"quote ""in"" it"
4,4,4,"two
lines"
5,5,5,""
\.
COPY dups FROM STDIN (FORMAT csv, HEADER);
k,a,b,c
1,1,1,a
2,2,2,b
\.
COPY dups (c, a, k, b) FROM STDIN (FORMAT csv, DELIMITER ';', NULL 'nil', HEADER match);
c;a;k;b
x;1;2;3
nil;nil;3;4
\.
COPY dups FROM STDIN WITH (DELIMITER '|', NULL '-');
1|1|-|a
2|-|2|-
\.
COPY customers (id, name, tags, prefs, created, feel) FROM STDIN;
100	a	{x,"y z"}	{"a": 1}	2025-01-01 00:00:00+00	happy
101	b	\N	[]	infinity	\N
102	ü	{}	null	\N	sad
\.
COPY accounts (code, amount, opened) FROM STDIN;
new 1	1.5	2025-01-01
ünï	2.12345	\N
日本	\N	infinity
\.
COPY docs (id, title, body) FROM STDIN;
00000000-0000-0000-0000-000000000001	a	\\x0102
{FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF}	b	\\x
\.
COPY stock FROM STDIN;
1	new	1	x
2	new	2	y
3	new	\N	\N
\.
COPY events (day, id) FROM STDIN;
2025-01-02	900
2025-12-02	901
2025-06-15	902
\.
COPY notes (tenant, id) FROM STDIN;
acme	90
hooli	90
unlisted	90
\.
COPY kinds (k, n, f8, ts, iv, ia, by, b) FROM STDIN;
1001	1.50	NaN	infinity	1 mon	{1,NULL}	\\xff	t
1002	NaN	-0	2025-01-01 00:00:00.5	-1 days	{}	\\x	f
1003	-Infinity	1e-300	\N	\N	\N	\N	\N
\.
COPY invoices (customer_id, total) FROM STDIN;
1	10
2	20
3	30
\.
COPY tickets (customer_id, title) FROM STDIN;
1	a
2	b
\.
COPY countries FROM STDIN;
zz	Z	1	x
yy	Y	\N	\N
\.
COPY settings FROM STDIN;
new	v	1
\.
COPY dups FROM STDIN WHERE a > 1;
1	1	1	a
2	2	2	b
3	3	3	c
\.
COPY customers (id, name) FROM STDIN;
100	a
5	exists
101	b
\.
COPY customers (id, name, level) FROM STDIN;
100	a	1
101	b	300
102	c	1
\.
COPY customers (id, name) FROM STDIN;
100	a
101	\N
\.
COPY dups FROM STDIN;
1	1	1	a
\N	1	1	b
\.
COPY dups FROM STDIN;
1	1	1	a
2	x	1	b
\.
COPY dups FROM STDIN;
1	1	1	a
x	1	1	b
\.
COPY dups FROM STDIN;
1	1	1	a
2	1	1
\.
COPY dups FROM STDIN;
1	1	1	a
2	1	1	b	c
\.
COPY dups (c) FROM STDIN;
a
\.
COPY dups (k, nothing) FROM STDIN;
1	2
\.
COPY nothing TO STDOUT;
COPY v_active TO STDOUT;
COPY dups TO STDOUT (FORMAT nothing);
COPY (SELECT nothing FROM dups) TO STDOUT;
--! script
BEGIN;
COPY dups FROM STDIN;
1	1	1	copied
2	2	2	copied
3	3	3	copied
\.
SELECT count(*) FROM dups WHERE c = 'copied';
ROLLBACK;
SELECT count(*) FROM dups WHERE c = 'copied';
--! end
--! script
BEGIN;
COPY empties FROM STDIN;
1	1	a
2	2	b
\.
INSERT INTO dups SELECT k, v, v, w FROM empties;
COMMIT;
SELECT * FROM dups WHERE c IN ('a', 'b') ORDER BY k;
--! end
