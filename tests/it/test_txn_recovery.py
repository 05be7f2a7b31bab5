"""Recovery of transactions over shards on real servers: prepared transactions are left behind by hand, in every stage in which a
coordinator may have died, with the statements that router/txn/commit.c sends."""
import hashlib
import os
import random
import signal
import subprocess
import time

import pytest

import harness
import wire

TABLE = "CREATE TABLE acct (id int PRIMARY KEY, v int NOT NULL, CHECK (v >= 0))"


def command(conf, *args, ok=True):
    r = subprocess.run([harness.WEIR_BIN, *args[:2], "-c", conf, *args[2:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=120)
    assert (r.returncode == 0) == ok, r.stdout
    return r.stdout


def until(what, seconds=30):
    """Waits until what() is true; nobody asks how fast it was."""
    end = time.time() + seconds
    while True:
        got = what()
        if got:
            return got
        assert time.time() < end, "it does not become true"
        time.sleep(0.05)


class Site:
    """Shards with schema weir: databases of their own on the fleet's primaries. Names: a, b, … in turn over the servers, so four
    shards are two databases on each of two servers."""

    def __init__(self, fleet, n):
        self.fleet, self.n, self.supers, self.identities = fleet, n, {}, {}
        primaries = [s["primary"] for s in fleet.d["shards"]]
        self.at = [(primaries[i % len(primaries)], "txn%d" % (i // len(primaries))) for i in range(n)]
        for p in primaries:
            self.clear_prepared(p)
        for p, db in self.at:
            fleet.psql(p, "DROP DATABASE IF EXISTS %s WITH (FORCE)" % db, "postgres")
            fleet.psql(p, "CREATE DATABASE %s OWNER app" % db, "postgres")
            fleet.psql(p, "SET ROLE app;" + TABLE, db)

    def clear_prepared(self, p):
        for line in self.fleet.psql(p, "SELECT database || ' ' || gid FROM pg_prepared_xacts", "postgres").split("\n"):
            if line:
                self.fleet.psql(p, "ROLLBACK PREPARED '%s'" % line.split(" ", 1)[1], line.split(" ", 1)[0])

    def block(self, settings=""):
        shards = ",\n".join('{ name = "%s"; primary = "%s"; }' % (
            "abcdefgh"[i], harness.conninfo(p, db)) for i, (p, db) in enumerate(self.at))
        return """{ name = "bank"; default_shard = "a"; recovery_grace = "300ms"; %s
          shards = ( %s );
          distributions = ( { name = "acct"; kind = "directory"; type = "int"; default = "a"; entries = ( ); } );
          tables = ( { name = "acct"; distribution = "acct"; key = "id"; } ); }""" % (settings, shards)

    def psql(self, i, sql):
        """As the superuser, on a connection that is kept: psql itself takes a process each time."""
        for again in (True, False):
            try:
                if i not in self.supers:
                    self.supers[i] = self.connect(i, "postgres")
                rows = self.supers[i].simple(sql)
                return "\n".join("|".join("" if v is None else v for v in row) for row in rows)
            except (wire.Closed, OSError):
                self.supers.pop(i).close()
                if not again:
                    raise

    def close(self):
        for c in self.supers.values():
            c.close()
        for p in {id(p): p for p, _ in self.at}.values():
            self.clear_prepared(p)

    def connect(self, i, user="app"):
        p, db = self.at[i]
        return wire.connect("127.0.0.1", p["port"], user, harness.USERS[user] or "", db)

    def identity(self, i):
        if i not in self.identities:
            self.identities[i] = self.psql(i, "SELECT weir.shard_identity()")
        return self.identities[i]

    def init(self, conf):
        return command(conf, "catalog", "init", "-u", "postgres")

    def prepared(self):
        """Of ours, on all shards."""
        return [g for i in range(self.n) for g in self.psql(
            i, "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY 1").split("\n") if g]

    def rows(self, id):
        return [self.psql(i, "SELECT v FROM acct WHERE id = %d" % id) for i in range(self.n)]

    def verdicts(self, i):
        return self.psql(i, "SELECT string_agg(verdict, ',') FROM weir.txn")


class Txn:
    """A transaction that writes one row on each shard. The coordinator is the test."""
    last = 0

    def __init__(self, site, anchor=0, shards=None, begin="BEGIN", user="app", first=""):
        Txn.last += 1
        self.id, self.site, self.anchor = Txn.last, site, anchor
        self.shards = list(range(site.n)) if shards is None else shards
        self.identity = {i: site.identity(i) for i in self.shards}
        self.token = "%032x" % random.getrandbits(128)
        self.key = "weir_%s_%s" % (self.identity[anchor], hashlib.sha256(self.token.encode()).hexdigest()[:32])
        self.others = [i for i in self.shards if i != anchor]
        self.conns = {}
        for i in self.shards:
            self.conns[i] = site.connect(i, user)
            self.conns[i].simple(begin)
            if first:
                self.conns[i].simple(first)
            self.conns[i].simple("INSERT INTO acct VALUES (%d, %d)" % (self.id, self.id))

    def gid(self, i):
        return "%s_%d" % (self.key, i)

    def prepare(self, *shards):
        for i in shards or self.others:
            self.conns[i].simple("SELECT pg_catalog.set_config('synchronous_commit', 'on', true) WHERE false; "
                                 "PREPARE TRANSACTION '%s'" % self.gid(i))
        return self

    def verdict_sql(self):
        return "SELECT weir.txn_commit('%s', '%s', '{%s}')" % (
            self.key, self.token, ",".join("%d:%s" % (i, self.identity[i]) for i in self.others))

    def decide(self):
        self.conns[self.anchor].simple(self.verdict_sql() + "; COMMIT")
        return self

    def finish(self, i):
        self.conns[i].simple("COMMIT PREPARED '%s'" % self.gid(i))
        return self

    def die(self):
        for c in self.conns.values():
            c.close()
        return self

    def committed(self):
        rows = [self.site.rows(self.id)[i] for i in self.shards]
        assert all(rows) or not any(rows), "half committed: %s" % rows
        return bool(rows[0])


@pytest.fixture(params=[2, 4])
def site(fleet, request):
    s = Site(fleet, request.param)
    yield s
    s.close()


@pytest.fixture
def two(fleet):
    s = Site(fleet, 2)
    yield s
    s.close()


@pytest.fixture
def weirs(own_weir, tmp_path, fleet):
    """weirs(site, n): makes the catalog, and n Weirs that recover at once."""
    def make(site, n=1, settings="", catalog=True, extra='recovery_period = "200ms";'):
        first = harness.Weir(fleet, "txn-conf", databases=[site.block(settings)], extra=extra)
        first.write()
        if catalog:
            site.init(first.conf)
        return [own_weir(databases=[site.block(settings)], extra=extra) for _ in range(n)]
    return make


def transactions(w):
    admin = w.admin()
    with admin:
        admin.send(wire.query("SHOW TRANSACTIONS"))
        names, rows = [], []
        for kind, body in admin.read_until("Z"):
            if kind == "T":
                names = [c[0] for c in wire.columns_of(body)]
            elif kind == "D":
                rows.append(dict(zip(names, [None if v is None else v.decode() for v in wire.row_of(body)])))
        return rows


# ---- every stage in which a coordinator may die ----

def some_prepared(t):
    return t.prepare(t.others[0]).die(), False


def all_prepared(t):
    return t.prepare().die(), False


def decided(t):
    return t.prepare().decide().die(), True


def one_finished(t):
    return t.prepare().decide().finish(t.others[0]).die(), True


def decided_but_not_committed(t):
    t.prepare()
    t.conns[t.anchor].simple(t.verdict_sql())
    return t.die(), False


STAGES = [some_prepared, all_prepared, decided, one_finished, decided_but_not_committed]


@pytest.mark.parametrize("n", [1, 2])
def test_every_stage(site, weirs, n):
    weirs(site, n)
    made = [(stage.__name__, *stage(Txn(site, anchor=k % site.n))) for k in range(3) for stage in STAGES]
    until(lambda: not site.prepared())
    for name, t, outcome in made:
        assert t.committed() == outcome, name


def test_anchor_still_open(two, weirs):
    """A coordinator that sleeps: recovery has given its transaction up, and it wakes. The 'abort' stays as long as it might."""
    w, = weirs(two)
    t = Txn(two).prepare()
    until(lambda: not two.prepared())
    assert two.verdicts(0) == "abort"
    with pytest.raises(wire.ServerError) as e:
        t.decide()
    assert e.value.sqlstate == "40001"
    t.die()
    assert not t.committed()
    w.stop()  # the first look of the next one removes what nobody can need any more
    w.start()
    until(lambda: two.verdicts(0) == "")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_late_decision_at_higher_levels(two, weirs, level):
    weirs(two)
    t = Txn(two, begin="BEGIN ISOLATION LEVEL " + level).prepare()
    until(lambda: not two.prepared())
    with pytest.raises(wire.ServerError) as e:
        t.decide()
    assert e.value.sqlstate == "40001"
    assert not t.die().committed()


def test_decision_in_flight(two, weirs):
    """The verdict is written but not committed: recovery's insert waits for it, and gives up for now."""
    w, = weirs(two)
    t = Txn(two).prepare()
    t.conns[0].simple(t.verdict_sql())
    until(lambda: any("committing it right now" in (r["why"] or "") for r in transactions(w)))
    assert len(two.prepared()) == 1
    t.conns[0].simple("COMMIT")
    until(lambda: not two.prepared())
    assert t.die().committed()


def test_read_only_anchor(two, weirs):
    weirs(two, 0)
    t = Txn(two)
    t.conns[0].simple("SET TRANSACTION READ ONLY")
    with pytest.raises(wire.ServerError) as e:
        t.decide()
    assert e.value.sqlstate == "25006"
    t.die()


def test_synchronous_commit_is_raised(two, weirs):
    """For the decision alone, and never lowered."""
    weirs(two, 0)
    for was, then in (("off", "on"), ("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply", "remote_apply")):
        t = Txn(two, first="SET synchronous_commit = " + was)
        c = t.conns[0]
        c.simple(t.verdict_sql())
        assert c.simple("SHOW synchronous_commit") == [(then,)]
        c.simple("COMMIT")
        assert c.simple("SHOW synchronous_commit") == [(was,)]
        t.die()


# ---- servers that are down ----

def test_anchor_down(two, weirs, fleet):
    """What has its anchor elsewhere is recovered; what has not is reported, and recovered when the anchor is back."""
    weir, = weirs(two)
    lost = Txn(two, anchor=0).prepare().decide().die()
    p = two.at[0][0]
    until(lambda: not two.prepared())
    weir.kill()
    weir.expect_death = True
    lost = Txn(two, anchor=0).prepare().decide().die()
    gone = Txn(two, anchor=1).prepare().decide().die()
    fleet.down(p, signal.SIGQUIT)
    try:
        w, = weirs(two, catalog=False)
        row = until(lambda: [r for r in transactions(w) if r["gid"] == lost.gid(1) and "anchor" in (r["why"] or "")])[0]
        assert row["state"] == "IN DOUBT" and row["shard"] == "b" and row["verdict"] is None
        assert "cannot be reached" in row["why"]
        assert two.psql(1, "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'weir%'") == "1"
        out = command(w.conf, "txn", "list", ok=False)
        assert lost.gid(1) in out and "?" in out
    finally:
        fleet.up(p)
    until(lambda: not two.prepared())
    assert lost.committed() and gone.committed()
    until(lambda: not transactions(w))


def test_holder_down(two, weirs, fleet):
    w, = weirs(two)
    t = Txn(two).prepare().decide().die()
    p = two.at[1][0]
    fleet.down(p, signal.SIGQUIT)
    fleet.up(p)
    until(lambda: not two.prepared())
    assert t.committed()


# ---- what is not to be touched ----

def test_foreign(two, weirs):
    w, = weirs(two)
    others = ["mine", "weir_x", "weir_" + "0" * 32 + "_" + "0" * 32, "weir_" + "0" * 32 + "_" + "0" * 31 + "g_1"]
    for i, gid in enumerate(others):
        with two.connect(1) as c:
            c.simple("BEGIN; INSERT INTO acct VALUES (%d, 1); PREPARE TRANSACTION '%s'" % (90000 + i, gid))
    # one of ours in name, but no shard of this database is its anchor
    strange = "weir_%s_%s_1" % ("0" * 32, "0" * 32)
    with two.connect(1) as c:
        c.simple("BEGIN; INSERT INTO acct VALUES (99999, 1); PREPARE TRANSACTION '%s'" % strange)
    t = Txn(two).prepare().decide().die()
    row = until(lambda: [r for r in transactions(w) if r["gid"] == strange and "identity" in (r["why"] or "")])[0]
    assert row["anchor"] is None
    until(lambda: t.gid(1) not in two.prepared())
    assert t.committed()
    assert sorted(two.prepared()) == sorted(others + [strange])


def test_other_database_of_the_server(fleet, weirs):
    """Two databases of one server, of which Weir knows one."""
    four = Site(fleet, 4)
    first = Site.__new__(Site)
    first.fleet, first.n, first.at, first.supers, first.identities = fleet, 2, four.at[:2], {}, {}
    weirs(four, 0)
    t = Txn(four, anchor=0).prepare().decide().die()
    w, = weirs(first)
    until(lambda: t.gid(1) not in four.prepared())
    assert sorted(four.prepared()) == sorted([t.gid(2), t.gid(3)])
    assert not transactions(w)
    weirs(four)
    until(lambda: not four.prepared())
    assert t.committed()
    first.close()
    four.close()


# ---- rights ----

def test_applications_cannot_forge(two, weirs):
    weirs(two, 0)
    t = Txn(two).prepare()
    with two.connect(0) as c:
        for sql, state in (
                ("SELECT weir.txn_commit('%s', '%s', '{}')" % (t.key, "0" * 32), "42501"),
                ("SELECT weir.txn_abort('%s')" % t.key, "42501"),
                ("SELECT weir.txn_forget('%s', '0')" % t.key, "42501"),
                ("SELECT weir.txn_forget_aborts()", "42501"),
                ("INSERT INTO weir.txn VALUES ('%s', 'commit')" % t.key, "42501"),
                ("SELECT * FROM weir.txn", "42501"),
                ("DELETE FROM weir.txn", "42501"),
                ("UPDATE weir.identity SET id = id", "42501"),
                ("CREATE TABLE weir.x (a int)", "42501")):
            with pytest.raises(wire.ServerError) as e:
                c.simple(sql)
            assert e.value.sqlstate == state, sql
        # a schema of the application's own in front does not change what the functions do
        c.simple("CREATE SCHEMA mine; CREATE FUNCTION mine.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT $1 $$; "
                 "SET search_path = mine, pg_catalog")
        with pytest.raises(wire.ServerError) as e:
            c.simple("SELECT weir.txn_commit('%s', '%s', '{}')" % (t.key, "0" * 32))
        assert e.value.sqlstate == "42501"
        assert c.simple("SELECT weir.txn_verdict('%s')" % t.key) == [(None,)]
    assert t.decide().finish(1).die().committed()


def test_owner_that_recovery_may_not_act_for(two, weirs, fleet):
    w, = weirs(two)
    p = two.at[1][0]
    fleet.psql(p, "DROP ROLE IF EXISTS nobody_can; CREATE ROLE nobody_can", "postgres")
    try:
        two.psql(1, "GRANT ALL ON acct TO nobody_can")
        t = Txn(two, user="postgres")
        t.conns[1].simple("SET LOCAL ROLE nobody_can")
        t.prepare().decide().die()
        row = until(lambda: [r for r in transactions(w) if r["gid"] == t.gid(1) and "may not" in (r["why"] or "")])[0]
        assert row["user"] == "nobody_can" and row["verdict"] == "commit"
        assert two.prepared()
        two.psql(1, "GRANT nobody_can TO weir")
        until(lambda: not two.prepared())
        assert t.committed()
    finally:
        two.clear_prepared(p)
        two.psql(1, "REVOKE ALL ON acct FROM nobody_can; DROP ROLE nobody_can")


# ---- the commands ----

def test_catalog_init(two, weirs, fleet):
    conf = weirs(two, 0, catalog=False, extra='recovery_period = "1h";')
    w = harness.Weir(fleet, "txn-conf", databases=[two.block()])
    w.write()
    out = command(w.conf, "catalog", "init", ok=False)
    assert "permission denied for database" in out
    out = two.init(w.conf)
    for name in ("bank/a: made schema weir", "bank/b: made table weir.txn", "made function weir.txn_commit(text, text, text[])"):
        assert name in out
    identity = two.psql(0, "SELECT weir.shard_identity()")
    assert identity != two.psql(1, "SELECT weir.shard_identity()")
    out = two.init(w.conf)
    assert out.count("all is there") == 2 and "made" not in out
    two.psql(0, "DROP FUNCTION weir.txn_verdict(text)")
    two.psql(1, "CREATE OR REPLACE FUNCTION weir.shard_identity() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$")
    out = two.init(w.conf)
    assert "bank/a: made function weir.txn_verdict(text)" in out
    assert "bank/b: made a newer function weir.shard_identity()" in out
    assert two.psql(0, "SELECT weir.shard_identity()") == identity
    assert conf == []


def test_no_catalog(two, weirs):
    w, = weirs(two, catalog=False)
    until(lambda: "schema weir is missing" in w.log_since(0))
    two.init(w.conf)
    t = Txn(two).prepare().decide().die()
    until(lambda: not two.prepared())
    assert t.committed()


def test_copied_identity(two, weirs):
    """A shard that was made from a copy of another: nobody can say which one is the anchor."""
    w, = weirs(two)
    t = Txn(two).prepare().decide().die()
    until(lambda: not two.prepared())
    w.kill()
    w.expect_death = True
    t = Txn(two).prepare().decide().die()
    identity = two.psql(1, "SELECT id FROM weir.identity")
    two.psql(1, "UPDATE weir.identity SET id = '%s'" % two.psql(0, "SELECT id FROM weir.identity"))
    w2, = weirs(two, catalog=False)
    until(lambda: [r for r in transactions(w2) if "identity" in (r["why"] or "")])
    assert two.prepared() == [t.gid(1)]
    two.psql(1, "UPDATE weir.identity SET id = '%s'" % identity)
    w2.stop()
    w2.start()
    until(lambda: not two.prepared())
    assert t.committed()


def test_list_and_resolve(two, weirs, fleet):
    weirs(two, 0)
    w = harness.Weir(fleet, "txn-conf", databases=[two.block('')])
    w.write()
    assert "no transaction is in doubt" in command(w.conf, "txn", "list")
    committed = Txn(two).prepare().decide().die()
    open_one = Txn(two).prepare().die()
    forced = Txn(two, anchor=1).prepare().die()
    out = command(w.conf, "txn", "list", ok=False)
    line = {l.split()[-1]: l.split() for l in out.split("\n") if "weir_" in l}
    assert line[committed.gid(1)][:3] == ["bank", "b", "a"] and line[committed.gid(1)][4] == "commit"
    assert line[open_one.gid(1)][4] == "none" and line[forced.gid(0)][:3] == ["bank", "a", "b"]
    assert "rolled back" in command(w.conf, "txn", "resolve", open_one.gid(1))
    assert "committed" in command(w.conf, "txn", "resolve", committed.key)
    assert "not prepared" in command(w.conf, "txn", "resolve", committed.key, ok=False)
    command(w.conf, "txn", "resolve", "--force", "maybe", forced.gid(0), ok=False)
    assert "committed" in command(w.conf, "txn", "resolve", forced.gid(0), "--force", "commit")
    assert committed.committed() and not open_one.committed()
    assert two.rows(forced.id) == [str(forced.id), ""]  # what force is for, and why it is a last resort
    last = Txn(two).prepare().die()
    time.sleep(0.5)
    command(w.conf, "txn", "resolve", "--all")
    assert not two.prepared() and not last.committed()


def test_check(two, weirs, fleet, tmp_path):
    weirs(two, 0, catalog=False)
    w = harness.Weir(fleet, "txn-conf", databases=[two.block()])
    w.write()
    r = subprocess.run([harness.WEIR_BIN, "check", "-c", w.conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.stdout.count("schema weir is missing") == 2 and "weir catalog init" in r.stdout
    two.init(w.conf)
    r = subprocess.run([harness.WEIR_BIN, "check", "-c", w.conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert "schema weir" not in r.stdout
    two.psql(1, "UPDATE weir.identity SET id = '%s'" % two.psql(0, "SELECT id FROM weir.identity"))
    r = subprocess.run([harness.WEIR_BIN, "check", "-c", w.conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 1 and "identity" in r.stdout


# ---- verdicts that can go ----

def test_retention(two, weirs):
    """A 'commit' goes after txn_retention, but not while a participant still has it prepared: it would be rolled back."""
    w, = weirs(two)
    old = Txn(two).prepare().decide().finish(1).die()
    young = Txn(two).prepare().decide().finish(1).die()
    w.stop()
    held = Txn(two).prepare().decide().die()
    two.psql(0, "UPDATE weir.txn SET decided_at = decided_at - interval '8 days' WHERE gid IN ('%s', '%s')" % (old.key, held.key))
    two.psql(1, "UPDATE pg_database SET datconnlimit = 0 WHERE datname = current_database()")  # its holder cannot be asked
    w.start()
    time.sleep(1)
    assert two.psql(0, "SELECT count(*) FROM weir.txn") == "3"
    w.stop()
    two.psql(1, "UPDATE pg_database SET datconnlimit = -1 WHERE datname = current_database()")
    w.start()
    until(lambda: two.psql(0, "SELECT gid FROM weir.txn") == young.key)
    assert not two.prepared()
    assert old.committed() and young.committed() and held.committed()


# ---- two recoverers, one of them asleep ----

def test_frozen_recoverers(site, weirs):
    """Two Weirs recover; each is stopped in the middle of it again and again, and wakes when all is over."""
    a, b = weirs(site, 2, extra='recovery_period = "100ms";', settings='')
    rnd = random.Random(4)
    made, stopped = [], None
    for k in range(30):
        stage = STAGES[k % len(STAGES)]
        made.append((stage.__name__, *stage(Txn(site, anchor=k % site.n))))
        if stopped:
            stopped.signal(signal.SIGCONT)
        stopped = rnd.choice([a, b])
        stopped.signal(signal.SIGSTOP)
        time.sleep(rnd.random() * 0.4)
    until(lambda: not site.prepared())
    stopped.signal(signal.SIGCONT)
    for name, t, outcome in made:
        assert t.committed() == outcome, name
    late = Txn(site).prepare().decide().die()
    until(lambda: not site.prepared())
    assert late.committed()


def test_shutdown_while_a_server_is_frozen(two, weirs):
    """A server that says nothing any more keeps Weir from ending for some seconds only."""
    w, = weirs(two)
    until(lambda: two.psql(0, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weir recovery' AND datname = current_database()") == "1")
    pid = int(two.psql(0, "SELECT pid FROM pg_stat_activity WHERE application_name = 'weir recovery' AND datname = current_database() LIMIT 1"))
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(0.5)
        assert w.stop(60) == 0
    finally:
        os.kill(pid, signal.SIGCONT)
    w.start()
    t = Txn(two, anchor=1).prepare().decide().die()
    until(lambda: not two.prepared())
    assert t.committed()
