"""A bank on four shards. Clients transfer money between accounts through two Weirs, while these are killed and frozen at every step of a
commit (base/fault.h), connections are cut, and a server crashes. When all is quiet, every transfer is there in whole or not at all, as
its client was told. WEIR_BANK_ROUNDS makes it longer."""
import os
import random
import signal
import threading
import time

import pytest

import harness
import wire
from test_txn_recovery import Site, transactions, until

pytestmark = pytest.mark.skipif(harness.DIRECT, reason="WEIR_DIRECT: without Weir")
ROUNDS = int(os.environ.get("WEIR_BANK_ROUNDS", "1"))
CLIENTS, ACCOUNTS, START = 8, 40, 1000
DEADLINE = 240 * ROUNDS  # an answer to what hangs, not to what is slow

# Each life of a Weir has its end, after so many transactions that got there. What it is frozen at goes on once another has recovered it.
LIVES = [
    "kill@PREPARING.send=9", "late@PREPARING.send=7", "kill@PREPARING.reply=8", "kill@DECIDING.send=6",
    "stop@DECIDING.send=5*1,kill@DECIDING.send=30", "stop@FINISHING.send=4*1,kill@FINISHING.send=20",
    "late@DECIDING.send=8", "kill@recovery.step=2", "kill@DECIDING.reply=5", "kill@OVER.over=10", "late@FINISHING.send=6",
    "stop@PREPARING.reply=7*1,kill@FINISHING.reply=20", "stop@DECIDING.reply=6*1,kill@DECIDING.reply=20", "late@ABORTING.send=2",
    "kill@ABORTING.reply=2", "kill@ABORTING.send=2",
]

SETUP = """
CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE entry (account int NOT NULL, transfer text NOT NULL, amount bigint NOT NULL, PRIMARY KEY (account, transfer));
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'P0007'; END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON entry DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (new.amount = 0) EXECUTE FUNCTION refuse();
"""


class Bank(Site):
    def __init__(self, fleet):
        super().__init__(fleet, 4)
        for p, db in self.at:
            fleet.psql(p, "SET ROLE app;" + SETUP, db)

    def block(self, settings=""):
        shards = ",\n".join('{ name = "%s"; primary = "%s"; }' % ("abcd"[i], harness.conninfo(p, db)) for i, (p, db) in enumerate(self.at))
        return """{ name = "bank"; default_shard = "a"; recovery_grace = "300ms"; pool_size = 12; commit_timeout = "20s"; %s
          shards = ( %s );
          distributions = ( { name = "account"; kind = "hash"; type = "int"; buckets = 64; placement = (
            { shard = "a"; buckets = "0-15"; }, { shard = "b"; buckets = "16-31"; },
            { shard = "c"; buckets = "32-47"; }, { shard = "d"; buckets = "48-63"; } ); } );
          tables = ( { name = "account"; distribution = "account"; key = "id"; },
            { name = "entry"; distribution = "account"; key = "account"; } ); }""" % (settings, shards)

    def column(self, i, sql):
        return [x for x in self.psql(i, sql).split("\n") if x]


def statement(c, protocol, sql):
    if protocol == "simple":
        return c.simple(sql)
    return c.prepared(sql, [])


def commit_messages(protocol, sql):
    return wire.query(sql) if protocol == "simple" else wire.parse("", sql) + wire.bind("", "") + wire.execute() + wire.SYNC


class Told:
    """What a client knows of its transfer."""
    COMMIT, NO, UNKNOWN = "committed", "not", "unknown"


def outcome(c, shards):
    """Reads the answer to COMMIT."""
    tag, error = None, None
    for kind, body in c.read_until("Z", 60):
        if kind == "C":
            tag = body
        elif kind == "E" and error is None:
            error = wire.fields_of(body)
    if error is None:
        return Told.COMMIT if tag == b"COMMIT\0" else Told.NO
    # a plain COMMIT's answer may be lost with its server
    unknown = ("08007",) if shards > 1 else ("08007", "08006", "57P01")
    return Told.UNKNOWN if error["C"] in unknown else Told.NO


class Client(threading.Thread):
    def __init__(self, number, weirs, shard_of, stop):
        super().__init__()
        self.number, self.weirs, self.shard_of, self.stop = number, weirs, shard_of, stop
        self.rnd = random.Random(number)
        self.conn, self.n = None, 0
        self.transfers = {}   # name -> (entries, told, how)
        self.failure = None

    def run(self):
        try:
            while not self.stop.is_set():
                self.one()
        except BaseException as e:  # noqa: B902: the test tells it
            self.failure = e
            raise
        finally:
            self.drop()

    def drop(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def connected(self):
        while self.conn is None and not self.stop.is_set():
            try:
                self.conn = self.rnd.choice(self.weirs).connect("bank", timeout=60)
                self.conn.simple("SET lock_timeout = '4s'")
            except (OSError, wire.WireError):
                self.drop()
                time.sleep(0.05)
        return self.conn

    def one(self):
        c = self.connected()
        if c is None:
            return
        self.n += 1
        name = "%d-%d" % (self.number, self.n)
        ids = sorted(self.rnd.sample(range(ACCOUNTS), self.rnd.choice([2, 2, 2, 3])))
        amount = self.rnd.randint(1, 9)
        amounts = [-amount * (len(ids) - 1)] + [amount] * (len(ids) - 1)
        how = self.rnd.choices(["simple", "extended", "pipeline", "shards", "deferred", "rollback", "error", "leave", "cancel"],
                               [6, 6, 3, 3, 2, 1, 1, 1, 1])[0]
        entries = set(zip(ids, amounts))
        told, committing = Told.NO, [False]
        try:
            told = self.transfer(c, how, name, ids, amounts, committing)
        except wire.ServerError:   # before COMMIT
            self.after_error(c)
        except (wire.Closed, OSError):
            told = Told.UNKNOWN if committing[0] else Told.NO
            self.drop()
        self.transfers[name] = (entries, told, how)

    def after_error(self, c):
        try:
            if c.status != "I":
                c.simple("ROLLBACK")
        except (wire.WireError, OSError):
            self.drop()

    def transfer(self, c, how, name, ids, amounts, committing):
        shards = len({self.shard_of[i] for i in ids})
        protocol = "extended" if how == "extended" else "simple"
        if how == "pipeline":
            committing[0] = True
            sql = ["BEGIN"] + self.statements(name, ids, amounts) + ["COMMIT"]
            c.send(b"".join(wire.parse("", x) + wire.bind("", "") + wire.execute() for x in sql) + wire.SYNC)
            told = outcome(c, shards)
            self.after_error(c)
            return told
        statement(c, protocol, "BEGIN")
        for sql in self.over_shards(name, ids, amounts) if how == "shards" else self.statements(name, ids, amounts):
            if self.rnd.random() < 0.1:
                self.wrong_way(c, protocol, name)
            statement(c, protocol, sql)
        if how == "deferred":  # fails at PREPARE, or at the decision
            statement(c, protocol, "INSERT INTO entry VALUES (%d, 'refused %s', 0)" % (self.rnd.choice(ids), name))
        if how == "error":
            with pytest.raises(wire.ServerError):
                statement(c, protocol, "UPDATE account SET balance = -1 WHERE id = %d" % ids[0])
        committing[0] = how != "rollback"
        c.send(commit_messages(protocol, "ROLLBACK" if how == "rollback" else "COMMIT"))
        if how == "leave":
            self.drop()
            return Told.UNKNOWN
        if how == "cancel":
            self.cancel(c)
        return outcome(c, shards)

    @staticmethod
    def cancel(c):
        try:
            c.cancel()
        except (wire.WireError, OSError):
            pass

    def wrong_way(self, c, protocol, name):
        """A savepoint that is rolled back to."""
        statement(c, protocol, "SAVEPOINT a")
        for id in self.rnd.sample(range(ACCOUNTS), 2):
            statement(c, protocol, "INSERT INTO entry VALUES (%d, 'wrong %s %d', 1)" % (id, name, id))
        statement(c, protocol, "ROLLBACK TO a")
        if self.rnd.random() < 0.5:
            statement(c, protocol, "RELEASE a")

    @staticmethod
    def statements(name, ids, amounts):
        return [sql for id, amount in zip(ids, amounts) for sql in (
            "UPDATE account SET balance = balance + %d WHERE id = %d" % (amount, id),
            "INSERT INTO entry VALUES (%d, '%s', %d)" % (id, name, amount))]

    @staticmethod
    def over_shards(name, ids, amounts):
        """The same by statements that are each on all shards."""
        return ["UPDATE account SET balance = balance + CASE id %s END WHERE id IN (%s)" % (
            " ".join("WHEN %d THEN %d" % x for x in zip(ids, amounts)), ", ".join(map(str, ids))),
            "INSERT INTO entry VALUES " + ", ".join("(%d, '%s', %d)" % (i, name, a) for i, a in zip(ids, amounts))]


class Keeper(threading.Thread):
    """Gives a Weir its lives, one after the other."""

    def __init__(self, weir, lives):
        super().__init__()
        self.weir, self.lives, self.left, self.frozen = weir, lives, len(lives), 0
        self.failure = None

    def state(self):
        with open("/proc/%d/stat" % self.weir.process.pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    def live(self, faults):
        self.weir.kill()
        self.weir.start(60, faults={"WEIR_FAULTS": faults})
        end = time.time() + 30
        while self.weir.process.poll() is None and time.time() < end:
            if self.state() == "T":  # recovery_grace passes, and whoever looks then gives its transactions up
                self.frozen += 1
                time.sleep(1)
                self.weir.signal(signal.SIGCONT)
            time.sleep(0.01)

    def run(self):
        try:
            for faults in self.lives:
                self.live(faults)
                self.left -= 1
            self.weir.kill()
            self.weir.start(60)
        except BaseException as e:  # noqa: B902: the test tells it
            self.failure = e
            raise


class Saboteur(threading.Thread):
    """Cuts connections of servers, and lets one server crash."""

    def __init__(self, bank, keepers):
        super().__init__()
        self.bank, self.keepers, self.rnd = bank, keepers, random.Random(7)
        self.crashes, self.cut, self.failure = 0, 0, None

    def crash(self):
        p = self.bank.at[1][0]
        self.bank.fleet.down(p, signal.SIGQUIT)
        time.sleep(0.3)
        self.bank.fleet.up(p)
        self.crashes += 1

    def run(self):
        n = len(self.keepers[0].lives)
        try:
            while any(k.is_alive() for k in self.keepers):
                self.cut += self.bank.psql(
                    self.rnd.randrange(4), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND "
                    "datname = current_database() AND state <> 'idle' ORDER BY random() LIMIT 1") == "t"
                if self.crashes * (n // 2) < n - self.keepers[0].left - n // 4:
                    self.crash()
                time.sleep(0.1 + self.rnd.random() * 0.3)
        except BaseException as e:  # noqa: B902
            self.failure = e
            raise


@pytest.fixture
def bank(fleet):
    b = Bank(fleet)
    yield b
    b.close()


def audit(bank, clients):
    there, wrong = {}, []
    for i in range(4):
        for line in bank.column(i, "SELECT account, transfer, amount FROM entry"):
            account, name, amount = line.split("|")
            there.setdefault(name, set()).add((int(account), int(amount)))
        wrong += bank.column(i, "SELECT id, balance FROM account a WHERE balance <> %d + "
                                "(SELECT coalesce(sum(amount), 0) FROM entry WHERE account = id)" % START)
    known = {}
    for c in clients:
        known.update(c.transfers)
    for name, (entries, told, how) in known.items():
        got = there.pop(name, set())
        if got and got != entries:
            wrong.append("%s (%s): half of it is there: %s of %s; told %s" % (name, how, got, entries, told))
        elif got and told == Told.NO:
            wrong.append("%s (%s): it is there, and its client was told an error" % (name, how))
        elif not got and told == Told.COMMIT:
            wrong.append("%s (%s): it is lost, and its client was told COMMIT" % (name, how))
    assert not wrong and not there, (wrong, there)
    assert sum(int(bank.psql(i, "SELECT sum(balance) FROM account")) for i in range(4)) == ACCOUNTS * START
    return [told for _, told, _ in known.values()]


def test_bank(bank):
    weirs = [harness.Weir(bank.fleet, "bank-%d" % i, databases=[bank.block()], extra='recovery_period = "200ms";') for i in range(2)]
    weirs[0].write()
    bank.init(weirs[0].conf)
    try:
        play(bank, weirs)
    finally:
        for w in weirs:
            w.stop()
    for w in weirs:
        assert not w.sanitizer_reports(), w.sanitizer_reports()


def open_accounts(bank, weir):
    weir.start(60)
    with weir.connect("bank", timeout=60) as c:
        for i in range(ACCOUNTS):
            c.simple("INSERT INTO account VALUES (%d, %d)" % (i, START))


def faults_of(weirs):
    return {x.split("name=")[1].split()[0] for w in weirs for x in w.log_since(0).split("\n") if "msg=fault " in x}


def play(bank, weirs):
    open_accounts(bank, weirs[0])
    shard_of = {int(id): i for i in range(4) for id in bank.column(i, "SELECT id FROM account")}
    stop = threading.Event()
    keepers = [Keeper(w, LIVES[i::2] * ROUNDS) for i, w in enumerate(weirs)]
    saboteur = Saboteur(bank, keepers)
    clients = [Client(i, weirs, shard_of, stop) for i in range(CLIENTS)]
    for t in keepers + [saboteur] + clients:
        t.start()
    for t in keepers + [saboteur]:
        t.join(DEADLINE)
    stop.set()
    for t in clients:
        t.join(DEADLINE)
    for t in keepers + [saboteur] + clients:
        assert not t.is_alive() and t.failure is None, repr(t.failure)
    until(lambda: not bank.prepared(), 60)
    for w in weirs:
        until(lambda: not transactions(w))
    told = audit(bank, clients)
    assert told.count(Told.COMMIT) > 50 * ROUNDS and saboteur.crashes > 0 and saboteur.cut > 0
    assert all(k.frozen for k in keepers)
    wanted = {f.split("=")[0] for life in LIVES for f in life.split(",")}
    assert faults_of(weirs) >= wanted, wanted - faults_of(weirs)
