-- Run by the superuser before each script: what an earlier script changed or left behind.
DO $$
DECLARE r record;
BEGIN
	FOR r IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
		AND c.relkind = 'r' AND c.relname NOT IN ('kv', 'nums', 'people')
	LOOP EXECUTE 'DROP TABLE ' || r.name || ' CASCADE'; END LOOP;
END $$;
DELETE FROM kv;
INSERT INTO kv VALUES (1, 'one'), (2, 'two'), (3, NULL);
