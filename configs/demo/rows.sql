-- The demo's rows, generated on a server of the first shard, in a database of their own. Functions that end in _of say
-- on which shard a key stands; they say the same as shop.map.
CREATE FUNCTION customer_shard_of(id bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT CASE WHEN hashint8extended(id, 0) & 1023 < 512 THEN 's1' ELSE 's2' END $$;
CREATE FUNCTION day_shard_of(d date) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT CASE WHEN d < '2026-01-01' THEN 's1' ELSE 's2' END $$;
CREATE FUNCTION tenant_shard_of(name text) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT CASE WHEN name IN ('acme', 'initech', 'umbrella') THEN 's2' ELSE 's1' END $$;

CREATE UNLOGGED TABLE countries AS
SELECT * FROM (VALUES ('AT', 'Austria'), ('BE', 'Belgium'), ('CH', 'Switzerland'), ('CZ', 'Czechia'), ('DE', 'Germany'),
	('DK', 'Denmark'), ('ES', 'Spain'), ('FI', 'Finland'), ('FR', 'France'), ('GB', 'United Kingdom'), ('IE', 'Ireland'),
	('IT', 'Italy'), ('NL', 'Netherlands'), ('NO', 'Norway'), ('PL', 'Poland'), ('PT', 'Portugal'), ('SE', 'Sweden'))
	AS c (code, name);

CREATE UNLOGGED TABLE customers AS
SELECT i::bigint AS id,
	(ARRAY['Ada','Ben','Cleo','Dan','Eva','Finn','Gro','Hana','Ida','Jon','Kim','Lars'])[1 + i % 12] || ' ' ||
	(ARRAY['Adler','Berg','Conti','Dahl','Eklund','Fischer','Garcia','Holm','Ito','Jensen'])[1 + i / 12 % 10] AS name,
	(SELECT array_agg(code ORDER BY code) FROM countries)[1 + i * 7 % 17] AS country,
	(i * 37 % 100000 / 100.0)::numeric(10,2) AS credit,
	date '2019-01-01' + i * 13 % 2500 AS since
FROM generate_series(1, 50000) i;

CREATE UNLOGGED TABLE orders AS
SELECT 1 + (i::bigint * 7919) % 50000 AS customer_id, i::bigint AS id, (5 + i * 31 % 50000 / 100.0)::numeric(10,2) AS amount,
	timestamptz '2025-01-01 00:00+00' + i * interval '3 minutes' AS placed_at,
	(ARRAY['paid','paid','paid','shipped','shipped','returned'])[1 + i % 6] AS status
FROM generate_series(1, 200000) i;

CREATE UNLOGGED TABLE events AS
SELECT date '2025-07-01' + i % 365 AS happened_on, i::bigint AS id,
	(ARRAY['login','view','search','purchase'])[1 + i % 4] AS kind,
	jsonb_build_object('customer', 1 + i * 7919 % 50000) AS detail
FROM generate_series(1, 100000) i;

CREATE UNLOGGED TABLE tenants AS
SELECT * FROM (VALUES ('acme', 'gold', 120), ('globex', 'silver', 40), ('initech', 'bronze', 12), ('umbrella', 'gold', 300),
	('hooli', 'silver', 75), ('wonka', 'bronze', 5)) AS t (name, plan, seats);

CREATE UNLOGGED TABLE notes AS
SELECT name AS tenant, i AS id, 'note ' || i || ' of ' || name AS body FROM tenants, generate_series(1, 500) i;
