--- text parameters
\params 5
SELECT * FROM orders WHERE customer_id = $1;
\params 5
\oids 20
SELECT * FROM orders WHERE customer_id = $1;
\params 5
\oids 23
SELECT * FROM orders WHERE customer_id = $1;
\params 5
\oids 25
SELECT * FROM orders WHERE customer_id = $1;
\params 5
\oids 25
SELECT * FROM orders WHERE customer_id = $1::bigint;
\params 5
SELECT * FROM orders WHERE customer_id = $1::int;
\params 5
SELECT * FROM orders WHERE customer_id = $1::text::bigint;
\params 5.0
\oids 1700
SELECT * FROM orders WHERE customer_id = $1;
\params 5
\oids 701
SELECT * FROM orders WHERE customer_id = $1;
\params abc
SELECT * FROM orders WHERE customer_id = $1;
\params NULL
SELECT * FROM orders WHERE customer_id = $1;
\params 5
SELECT * FROM orders WHERE customer_id = $2;
\unbound
SELECT * FROM orders WHERE customer_id = $1;
\unbound
SELECT * FROM orders WHERE customer_id = $1 OR total > $2;
\unbound
SELECT * FROM orders WHERE customer_id = 5 AND total > $1;
\unbound
SELECT * FROM onlys WHERE id = $1;
\params acme
SELECT * FROM tenants WHERE name = $1;
\params acme
\oids 1043
SELECT * FROM tenants WHERE name = $1;
\params acme
\oids 19
SELECT * FROM tenants WHERE name = $1;
\params acme
\oids 1042
SELECT * FROM tenants WHERE name = $1;
\params {5;5}
SELECT * FROM orders WHERE customer_id = ANY ($1);
\params {5;5}
\oids 1016
SELECT * FROM orders WHERE customer_id = ANY ($1);
\params {5}
\oids 1007
SELECT * FROM orders WHERE customer_id = ANY ($1);
\params {5}
\oids 1009
SELECT * FROM orders WHERE customer_id = ANY ($1);
\params {5}
SELECT * FROM orders WHERE customer_id = ANY ($1::bigint[]);
\params NULL
SELECT * FROM orders WHERE customer_id = ANY ($1);
\params {acme}
SELECT * FROM tenants WHERE name = ANY ($1);
\params 5, 5
SELECT * FROM orders WHERE customer_id IN ($1, $2);
\params 2026-01-01, 2026-05-01
SELECT * FROM events WHERE happened_on BETWEEN $1 AND $2;
\params 2026-05-01
\oids 1114
SELECT * FROM events WHERE happened_on = $1;
\params 1, A
SELECT * FROM seats WHERE venue = $1 AND row_name = $2;
--- binary parameters
\binary 0000000000000005
\oids 20
SELECT * FROM orders WHERE customer_id = $1;
\binary 00000005
\oids 23
SELECT * FROM orders WHERE customer_id = $1;
\binary 0005
\oids 21
SELECT * FROM orders WHERE customer_id = $1;
\binary 0000000000000005
SELECT * FROM orders WHERE customer_id = $1;
\binary 00000005
SELECT * FROM order_lines WHERE customer_id = $1;
\binary 000005
SELECT * FROM orders WHERE customer_id = $1;
\binary 4014000000000000
\oids 701
SELECT * FROM orders WHERE customer_id = $1;
\binary 35
\oids 25
SELECT * FROM orders WHERE customer_id = $1::bigint;
\binary 61636d65
SELECT * FROM tenants WHERE name = $1;
\binary a0eebc999c0b4ef8bb6d6bb9bd380a11
\oids 2950
SELECT * FROM items WHERE id = $1;
\binary 000000010000000000000014000000010000000100000008 0000000000000005
SELECT * FROM orders WHERE customer_id = ANY ($1);
\binary 0000000100000000000000140000000100000001000000080000000000000005
SELECT * FROM orders WHERE customer_id = ANY ($1);
\binary 000000000000000000000014
\oids 1016
SELECT * FROM orders WHERE customer_id = ANY ($1);
\binary 00000001000000000000001400ffffff00000001
\oids 1016
SELECT * FROM orders WHERE customer_id = ANY ($1);
\binary 00002577
SELECT * FROM events WHERE happened_on = $1;
--- encodings
\encoding LATIN1
SELECT * FROM tenants WHERE name = 'acme';
\encoding LATIN1
SELECT * FROM codes WHERE code = 'é';
\params é
\encoding LATIN1
SELECT * FROM codes WHERE code = $1;
SELECT * FROM codes WHERE code = 'é';
--- limits and other places of parameters do not matter
\params 5, 10
SELECT * FROM orders WHERE customer_id = $1 ORDER BY placed LIMIT $2;
\params 5
SELECT $1 FROM orders WHERE customer_id = 5;
