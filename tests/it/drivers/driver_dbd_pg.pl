#!/usr/bin/perl
# DBD::Pg: server-side prepared statements (dbdpg_pPID_1 …), transactions, savepoints, COPY, array and bytea values.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:pg_types);

sub check {
	my ($got, $wanted) = @_;
	$got eq $wanted or die "got '$got', wanted '$wanted' at line " . (caller)[2] . "\n";
}

sub open_conn {
	return DBI->connect("dbi:Pg:", undef, undef,
		{ RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1, pg_enable_utf8 => 1 });
}

my $c = open_conn();
$c->do("SET client_min_messages = warning");
$c->do("DROP TABLE IF EXISTS drv_perl");
$c->do("CREATE TABLE drv_perl (id int PRIMARY KEY, v text, b bytea, a int[])");
my $ins = $c->prepare("INSERT INTO drv_perl VALUES (?, ?, ?, ?)");
for my $i (1 .. 10) {
	$ins->bind_param(1, $i);
	$ins->bind_param(2, "grüß € $i");
	$ins->bind_param(3, "\x00\xff", { pg_type => PG_BYTEA });
	$ins->bind_param(4, [$i, undef]);
	check($ins->execute, 1);
}
my $sel = $c->prepare("SELECT v, b, a FROM drv_perl WHERE id = ?", { pg_switch_prepared => 1 });
for my $i (1 .. 10) {
	my ($v, $b, $a) = $c->selectrow_array($sel, undef, $i);
	check($v, "grüß € $i");
	check(length $b, 2);
	check($a->[0], $i);
}

$c->begin_work;
$c->do("DELETE FROM drv_perl");
$c->rollback;
$c->begin_work;
$c->pg_savepoint("a");
eval { $ins->execute(1, "x", undef, undef) };
check($c->state, "23505");
$c->pg_rollback_to("a");
check(($c->selectrow_array("SELECT count(*) FROM drv_perl"))[0], 10);
$c->commit;
eval { $c->selectrow_array("SELECT 1 / ?::int", undef, 0) };
check($c->state, "22012");

$c->do("COPY drv_perl (id, v) FROM STDIN");
$c->pg_putcopydata("$_\tcopied\n") for 1000 .. 1999;
$c->pg_putcopyend;
$c->do("COPY (SELECT id FROM drv_perl WHERE id >= 1000) TO STDOUT");
my ($line, $lines) = ("", 0);
$lines++ while $c->pg_getcopydata($line) >= 0;
check($lines, 1000);

my @conns = map { open_conn() } 0 .. 7;
my @st = map { $conns[$_]->prepare("SELECT ?::int + $_", { pg_prepare_now => 1 }) } 0 .. 7;
for my $i (0 .. 59) {
	for my $n (0 .. 7) {
		check(($conns[$n]->selectrow_array($st[$n], undef, $i))[0], $i + $n);
	}
}
undef @st;
$_->disconnect for @conns;
$c->do("DROP TABLE drv_perl");
undef $ins;
undef $sel;
$c->disconnect;
print "PASS\n";
