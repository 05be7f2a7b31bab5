-- Rows for schema.sql: all of them; world.py then removes from each shard what is not its own. Nothing here is random.
INSERT INTO countries VALUES ('de', 'Germany', 83, 'europe'), ('fr', 'France', 68, 'europe'), ('us', 'United States', 333, 'america'),
	('br', 'Brazil', 214, 'america'), ('jp', 'Japan', 125, 'asia'), ('in', 'India', 1408, 'asia'), ('aq', 'Antarctica', NULL, NULL),
	('nz', 'New Zealand', 5, 'oceania');
INSERT INTO products SELECT i, 'product ' || chr(64 + i), CASE WHEN i % 6 = 0 THEN NULL ELSE i * 3.25 END,
	(ARRAY['tool', 'toy', 'book', NULL])[1 + i % 4], date '2024-01-01' + i * 17 FROM generate_series(1, 14) i;
INSERT INTO settings SELECT 'key' || i, 'value ' || i % 3, nullif(i % 5, 0) FROM generate_series(1, 12) i;

INSERT INTO customers
	SELECT id, 'name ' || chr((65 + i % 20)::int) || i % 7, CASE WHEN i % 5 <> 0 THEN 'c' || i || '@example.org' END,
		(ARRAY['de', 'fr', 'us', 'br', 'jp', 'xx', NULL])[1 + i % 7],
		(ARRAY['Ulm', 'ulm', 'Évian', 'Evian', 'Zürich', 'zurich', 'Åre', NULL, 'Oslo', 'oslo '])[1 + i % 10],
		round((i * 37 % 101) * 12.35 - 300, 2), CASE i % 9 WHEN 0 THEN NULL WHEN 8 THEN 0 ELSE (i * 7 % 13) / 8.0 END, i % 6,
		CASE i % 4 WHEN 3 THEN NULL WHEN 2 THEN false ELSE true END, date '1970-03-01' + (i * 613 % 9000),
		timestamptz '2024-12-31 22:00:00+00' + i * interval '17 hours',
		CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN ARRAY['vip'] WHEN 3 THEN ARRAY['new', 'vip'] ELSE ARRAY['new', NULL, 'x'] END,
		CASE WHEN i % 6 <> 0 THEN jsonb_build_object('lang', (ARRAY['de', 'en', 'fr'])[1 + i % 3], 'n', i % 4) END,
		(ARRAY['sad', 'ok', 'happy', NULL]::mood[])[1 + i % 4], CASE WHEN i % 3 <> 0 THEN (i * 11) % 50 + 1 END
	FROM (SELECT (row_number() OVER (ORDER BY id))::int AS i, id
		FROM (SELECT generate_series(1, 52)::bigint UNION ALL VALUES (-7), (0), (700000000), (2147483648), (9007199254740993)) AS x(id)) y;
INSERT INTO orders
	SELECT (i * 13) % 57 + 1, i, CASE WHEN i % 11 <> 0 THEN date '2025-01-01' + (i * 29 % 360) END,
		CASE i % 17 WHEN 0 THEN NULL WHEN 1 THEN 10 WHEN 2 THEN 10.50 WHEN 3 THEN 10.5 ELSE (i * 31 % 97) * 1.375 END,
		(ARRAY['new', 'paid', 'sent', 'void', NULL])[1 + i % 5], CASE WHEN i % 3 = 0 THEN 'note ' || i % 8 END, i % 4
	FROM generate_series(1, 150) i;
INSERT INTO items
	SELECT customer_id, id, l, CASE WHEN (id + l) % 13 = 0 THEN NULL ELSE (id * 7 + l) % 16 END, 1 + (id + l) % 5, (id * 3 + l * 7) % 40 + 0.99,
		CASE WHEN l = 2 THEN NULL ELSE ((id + l) % 4) / 10.0 END
	FROM orders, generate_series(1, 3) l WHERE l <= id % 4;
INSERT INTO dups SELECT (i * 5) % 23, nullif(i % 4, 3), i % 3, (ARRAY['x', 'y', NULL, 'X', ''])[1 + i % 5] FROM generate_series(1, 40) i;
INSERT INTO dups SELECT (i * 5) % 23, nullif(i % 4, 3), i % 3, (ARRAY['x', 'y', NULL, 'X', ''])[1 + i % 5] FROM generate_series(1, 40, 2) i;
INSERT INTO kinds
	SELECT i, CASE WHEN i % 7 <> 0 THEN (i * 311 % 401 - 200) END, i * 7919 % 1000 - 500, i::bigint * 1000000007,
		CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-Infinity' WHEN 4 THEN 1.0 WHEN 5 THEN 1.00
			WHEN 6 THEN 0.1 * i ELSE i / 3.0 END,
		CASE i % 9 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' WHEN 3 THEN -0.0 ELSE i / 4.0 END,
		CASE i % 8 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-0'::float8 WHEN 4 THEN 0 ELSE i * 1.1 END,
		CASE WHEN i % 6 = 0 THEN NULL WHEN i % 6 = 1 THEN '' ELSE 'text ' || i % 9 || ' ü' END, left('vc' || i * i, 12),
		CASE WHEN i % 5 <> 0 THEN 'c' || i % 4 END, CASE WHEN i % 6 <> 0 THEN decode(lpad(to_hex(i * 77), 8, '0'), 'hex') END,
		CASE i % 12 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' ELSE date '1999-12-25' + i * 3 END,
		CASE WHEN i % 8 <> 0 THEN time '00:00' + i * interval '47 minutes' END,
		CASE i % 11 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' ELSE timestamp '2001-02-03 04:05:06.789' + i * interval '31 hours' END,
		CASE WHEN i % 13 <> 0 THEN timestamptz '2025-03-30 00:30+00' + i * interval '20 minutes' END,
		CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN interval '1 month' WHEN 2 THEN interval '30 days' WHEN 3 THEN interval '720 hours'
			ELSE i * interval '1 day 02:03:04.5' END,
		CASE WHEN i % 4 <> 0 THEN ('00000000-0000-4000-8000-' || lpad((i::bigint * 99991)::text, 12, '0'))::uuid END,
		CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN true ELSE false END,
		CASE WHEN i % 4 <> 3 THEN json_build_object('a', i % 5, 'b', 'x' || i) END,
		CASE i % 6 WHEN 0 THEN NULL WHEN 1 THEN '[]' WHEN 2 THEN '{"a": null}' ELSE jsonb_build_object('a', i % 3, 'l', jsonb_build_array(i, 'z')) END,
		CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '{}' ELSE ARRAY[i % 3, NULL, i] END,
		CASE i % 4 WHEN 0 THEN NULL ELSE ARRAY['a b', 'q"' || i % 2] END, (ARRAY['sad', 'ok', 'happy', NULL]::mood[])[1 + i % 4],
		CASE WHEN i % 5 <> 2 THEN ('10.' || i % 3 || '.0.' || i)::inet END
	FROM generate_series(1, 44) i;
INSERT INTO words SELECT i, w, w, w, w FROM unnest(ARRAY['apple', 'Apple', 'APPLE', 'äpfel', 'Äpfel', 'apfel', 'banana', 'Banana', 'b-anana',
	'ban ana', 'zebra', 'Zebra', '', ' ', 'co-op', 'coop', 'CO-OP', 'résumé', 'resume', 'Resume', '1', '10', '2', 'ß', 'ss', 'straße', 'strasse',
	'_x', '~', 'Ø', 'o', 'O', 'ö', 'apple', 'zebra', NULL, NULL, 'ı', 'I', 'i', '日本', 'Ω']) WITH ORDINALITY AS x(w, i);
INSERT INTO tickets (customer_id, title) SELECT (i * 7) % 30 + 1, 'ticket ' || i FROM generate_series(1, 24) i;
INSERT INTO invoices (customer_id, total) SELECT (i * 11) % 30 + 1, i * 10.25 FROM generate_series(1, 20) i;
INSERT INTO accounts
	SELECT CASE WHEN i % 6 = 0 THEN 'Kto ' || i ELSE 'acc' || i END, CASE WHEN i % 8 <> 0 THEN (i * 5) % 60 END,
		(ARRAY['cash', 'loan', 'Cash', NULL])[1 + i % 4], date '2020-02-29' + i * 41, (i * 53 % 89) * 10.1234 - 200, i * 37 % 64
	FROM generate_series(1, 40) i;
INSERT INTO entries
	SELECT code, s, (s * 17 + length(code) * 3 + flags) % 50 - 20 + 0.25, timestamptz '2025-06-01 12:00+00' + (s * 7 + flags) * interval '3 hours',
		CASE WHEN s % 2 = 0 THEN 'memo ' || flags % 5 END
	FROM accounts, generate_series(1, 4) s WHERE s <= 1 + flags % 4;
INSERT INTO docs
	SELECT md5('doc' || i)::uuid, 'doc ' || i % 12, decode(md5(i::text), 'hex'), CASE WHEN i % 5 <> 0 THEN (i * 3) % 40 END,
		json_build_object('n', i, 'even', i % 2 = 0), nullif(i % 9, 4)
	FROM generate_series(1, 36) i;
INSERT INTO stock SELECT i % 9, 'sku' || i % 7 || '-' || i / 9, nullif(i % 11, 5), 'bin ' || i % 4 FROM generate_series(1, 50) i;
INSERT INTO events
	SELECT date '2025-01-01' + (i * 13 % 365), i, (ARRAY['click', 'view', 'buy', NULL])[1 + i % 4], CASE WHEN i % 7 <> 0 THEN (i * 3) % 58 END,
		nullif(i * 19 % 23, 7), CASE WHEN i % 3 <> 0 THEN jsonb_build_object('k', i % 5, 'tags', jsonb_build_array('t' || i % 2)) END
	FROM generate_series(1, 110) i;
INSERT INTO tenants SELECT n, (ARRAY['free', 'pro', NULL])[1 + i % 3], i * 7 % 10
	FROM unnest(ARRAY['acme', 'globex', 'hooli', 'initech', 'umbrella', 'stark', 'Wayne', 'wonka', 'pied piper', 'Ünal']) WITH ORDINALITY AS x(n, i);
INSERT INTO notes SELECT name, s, 'body ' || (s * 7 + seats) % 9, nullif((s + seats) % 6, 3) FROM tenants, generate_series(1, 6) s WHERE s <= 2 + seats % 5;
ANALYZE;
