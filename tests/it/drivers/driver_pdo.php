<?php
// PDO_PGSQL: native and emulated prepared statements (pdo_stmt_00000001 … on every connection), transactions, COPY, cursors;
// and ext/pgsql: pg_query_params, pg_prepare, asynchronous queries on eight connections with the same names.
declare(strict_types=1);

function check($got, $wanted): void
{
    if ($got !== $wanted) {
        fwrite(STDERR, 'got ' . var_export($got, true) . ', wanted ' . var_export($wanted, true) . "\n");
        debug_print_backtrace();
        exit(1);
    }
}

function state(callable $f): ?string
{
    try {
        $f();
        return null;
    } catch (PDOException $e) {
        return $e->errorInfo[0];
    }
}

$dsn = sprintf('pgsql:host=%s;port=%s;dbname=%s', getenv('PGHOST'), getenv('PGPORT'), getenv('PGDATABASE'));
$c = new PDO($dsn, getenv('PGUSER'), getenv('PGPASSWORD'), [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$c->exec('DROP TABLE IF EXISTS drv_php');
$c->exec('CREATE TABLE drv_php (id int PRIMARY KEY, v text, ok boolean, n numeric)');
foreach ([false, true] as $emulate) {
    $c->setAttribute(PDO::ATTR_EMULATE_PREPARES, $emulate);
    $ins = $c->prepare('INSERT INTO drv_php VALUES (?, ?, ?, ?)');
    for ($i = 1; $i <= 10; $i++) {
        $ins->bindValue(1, $emulate ? 100 + $i : $i, PDO::PARAM_INT);
        $ins->bindValue(2, "grüß € '$i'");
        $ins->bindValue(3, true, PDO::PARAM_BOOL);
        $ins->bindValue(4, null, PDO::PARAM_NULL);
        $ins->execute();
    }
    $sel = $c->prepare('SELECT v, ok, n FROM drv_php WHERE id = :id');
    for ($i = 1; $i <= 10; $i++) {
        $sel->execute(['id' => $emulate ? 100 + $i : $i]);
        check($sel->fetch(PDO::FETCH_NUM), ["grüß € '$i'", true, null]);
    }
    $ins = $sel = null;     // DEALLOCATE is sent here
}
$c->setAttribute(PDO::ATTR_EMULATE_PREPARES, false);
$c->beginTransaction();
$c->exec('DELETE FROM drv_php');
$c->rollBack();
$c->beginTransaction();
$c->exec('SAVEPOINT a');
check(state(fn() => $c->prepare('INSERT INTO drv_php (id) VALUES (?)')->execute([1])), '23505');
check(state(fn() => $c->query('SELECT 1')), '25P02');
$c->exec('ROLLBACK TO a');
$c->commit();
check($c->query('SELECT count(*) FROM drv_php')->fetchColumn(), 20);
check(state(fn() => $c->query('SELECT 1/0')), '22012');
check($c->pgsqlCopyFromArray('drv_php', array_map(fn($i) => "$i\tcopied\tt\t1.5", range(1000, 1999))), true);
check(count($c->pgsqlCopyToArray('drv_php')), 1020);
$c->beginTransaction();
$scroll = $c->prepare('SELECT id FROM drv_php WHERE id >= 1000 ORDER BY id', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
$scroll->execute();
check($scroll->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST), [1999]);
$scroll = null;
$c->commit();

$conninfo = ' ';    // libpq's variables say it all
$conns = [];
for ($n = 0; $n < 8; $n++) {
    $conns[$n] = pg_connect($conninfo, PGSQL_CONNECT_FORCE_NEW);
    check(pg_prepare($conns[$n], 'same', "SELECT \$1::int + $n") !== false, true);
}
for ($i = 0; $i < 60; $i++) {
    foreach ($conns as $x) {
        pg_send_execute($x, 'same', [$i]);
    }
    foreach ($conns as $n => $x) {
        check((int) pg_fetch_result(pg_get_result($x), 0, 0), $i + $n);
        check(pg_get_result($x), false);
    }
}
check(pg_fetch_result(pg_query_params($conns[0], 'SELECT $1 || $2', ['a', 'ö']), 0, 0), 'aö');
array_map('pg_close', $conns);
$c->exec('DROP TABLE drv_php');
echo "PASS\n";
