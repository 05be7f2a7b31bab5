#!/bin/bash
# psql: simple protocol, \copy, \bind-less prepared statements in SQL, error handling, single transactions.
set -euo pipefail
p() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
same() { [ "$1" = "$2" ] || { echo "got '$1', wanted '$2'"; exit 1; }; }

p -c 'DROP TABLE IF EXISTS drv_psql' 2>/dev/null
p -c 'CREATE TABLE drv_psql (id int PRIMARY KEY, v text, d date)'
same "$(p -c 'SELECT 1 + 1')" 2
seq 1 5000 | sed 's/\(.*\)/\1,row \1,2024-02-29/' | p -c '\copy drv_psql FROM STDIN WITH (FORMAT csv)'
same "$(p -c 'SELECT count(*), sum(id), max(d) FROM drv_psql')" "5000|12502500|2024-02-29"
same "$(p -c '\copy (SELECT id FROM drv_psql WHERE id < 4 ORDER BY id) TO STDOUT' | tr '\n' ' ')" "1 2 3 "
same "$(p <<'SQL'
PREPARE q (int) AS SELECT v FROM drv_psql WHERE id = $1;
EXECUTE q(7);
DEALLOCATE q;
BEGIN;
SAVEPOINT a;
DELETE FROM drv_psql;
ROLLBACK TO a;
SELECT count(*) FROM drv_psql;
DECLARE c CURSOR FOR SELECT id FROM drv_psql ORDER BY id DESC;
FETCH 2 FROM c;
ROLLBACK;
SQL
)" $'row 7\n5000\n5000\n4999'
same "$(psql -X -q -A -t -v VERBOSITY=sqlstate -c 'SELECT 1/0' 2>&1 || true)" "ERROR:  22012"
if p -1 -c 'DELETE FROM drv_psql' -c 'SELECT 1/0' 2>/dev/null; then echo "no error"; exit 1; fi
same "$(p -c 'SELECT count(*) FROM drv_psql')" 5000
same "$(p -v FETCH_COUNT=100 -c 'SELECT id FROM drv_psql ORDER BY id' | tail -1)" 5000
p -c 'DROP TABLE drv_psql'
pids=()
for i in 1 2 3 4 5 6 7 8; do
	(for n in $(seq 20); do echo "PREPARE same (int) AS SELECT \$1 + $i; EXECUTE same($n); DEALLOCATE same;"; done |
		p | awk -v i=$i '$1 != NR + i { exit 1 } END { if (NR != 20) exit 1 }') &
	pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
echo PASS
