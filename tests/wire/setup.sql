-- What the message scripts find in their database. Run by the superuser, once per run.
DROP SCHEMA public CASCADE;
CREATE SCHEMA public AUTHORIZATION app;
GRANT ALL ON SCHEMA public TO PUBLIC;
GRANT app2 TO app;
SET ROLE app;
CREATE TABLE kv (id int PRIMARY KEY, v text);
CREATE TABLE nums (n int PRIMARY KEY, half numeric, even boolean);
INSERT INTO nums SELECT i, i / 2.0, i % 2 = 0 FROM generate_series(1, 1000) i;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE people (name text, feels mood, born date, note bytea, tags text[], doc jsonb, at timestamptz);
INSERT INTO people VALUES ('Ann', 'happy', '1990-02-28', '\x00ff10', '{a,b}', '{"k": [1, null]}', '2024-05-06 07:08:09+00'),
	('Bo', NULL, NULL, NULL, NULL, NULL, NULL);
CREATE FUNCTION say(text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE '%', $1 USING DETAIL = 'said by a function'; RETURN 1; END $$;
CREATE FUNCTION boom(int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN IF $1 > 3 THEN RAISE EXCEPTION 'boom at %', $1 USING ERRCODE = 'WX001', HINT = 'stay below four'; END IF;
RETURN $1; END $$;
CREATE PROCEDURE two_steps() LANGUAGE plpgsql AS $$
BEGIN INSERT INTO kv VALUES (801, 'first'); COMMIT; INSERT INTO kv VALUES (802, 'second'); ROLLBACK; END $$;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
