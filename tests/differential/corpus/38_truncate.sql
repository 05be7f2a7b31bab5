-- TRUNCATE.
TRUNCATE dups;
TRUNCATE TABLE dups, empties;
TRUNCATE ONLY dups;
TRUNCATE items;
TRUNCATE orders CASCADE;
TRUNCATE orders, items;
TRUNCATE orders;
TRUNCATE tickets RESTART IDENTITY;
TRUNCATE tickets CONTINUE IDENTITY;
TRUNCATE accounts, entries, docs;
TRUNCATE events;
TRUNCATE tenants, notes;
TRUNCATE countries;
TRUNCATE settings;
TRUNCATE dups, settings;
TRUNCATE dups, countries;
TRUNCATE nothing;
TRUNCATE v_active;
TRUNCATE dups, nothing;
--! script
BEGIN;
TRUNCATE dups;
SELECT count(*) FROM dups;
ROLLBACK;
SELECT count(*) FROM dups;
--! end
--! script
TRUNCATE dups;
INSERT INTO dups VALUES (1, 1, 1, 'x'), (2, 2, 2, 'y'), (3, 3, 3, 'z');
SELECT * FROM dups ORDER BY k;
--! end
