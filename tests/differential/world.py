"""Where the statements run: a plain PostgreSQL, and Weir over three shards in several placements of the same rows.

One fleet of three servers carries it all. Each placement is a database on every shard (`even`, `skew`, `reversed`); the plain
PostgreSQL is the databases `whole` and `whole2` on the first server. `whole2` holds the same rows in another physical order and
prefers other plans: a statement whose answer differs between the two is not decided by SQL, so it proves nothing.

The first state of every table is kept in the schema `first_state` of each database, from which restore() puts rows back.
"""
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import harness  # noqa: E402
import client  # noqa: E402

SHARDS = ["s1", "s2", "s3"]
USER = "trust_user"
TIMEOUT_S = 20
# table: (distribution, key columns); None is a reference table, "" a table on the default shard
TABLES = {
    "customers": ("customer", ["id"]), "orders": ("customer", ["customer_id"]), "items": ("customer", ["customer_id"]),
    "dups": ("customer", ["k"]), "empties": ("customer", ["k"]), "kinds": ("customer", ["k"]), "words": ("customer", ["k"]),
    "tickets": ("customer", ["customer_id"]), "invoices": ("customer", ["customer_id"]),
    "accounts": ("account", ["code"]), "entries": ("account", ["code"]), "docs": ("doc", ["id"]),
    "stock": ("stock", ["shop", "sku"]), "events": ("day", ["day"]), "tenants": ("tenant", ["name"]),
    "notes": ("tenant", ["tenant"]), "countries": (None, []), "products": (None, []), "settings": ("", []),
}
# columns whose values are given by a sequence: they need to be unique over the shards, not those of one PostgreSQL
SERIAL = {"tickets": "id", "invoices": "id"}
HASHES = {"customer": ('"bigint"', 64, "hashint8extended({0}, 0)"), "account": ('"text"', 64, "hashtextextended({0}, 0)"),
          "doc": ('"uuid"', 64, "uuid_hash_extended({0}, 0)"), "stock": ('( "bigint", "text" )', 8, None)}


class Placement:
    """A shard map. spread(bucket, buckets) names a bucket's shard; days are the ends of the ranges; directory the entries."""

    def __init__(self, name, default, spread, days, directory, other):
        self.name, self.default, self.spread, self.days, self.directory, self.other = name, default, spread, days, directory, other

    def map_text(self):
        out = []
        for name, (kind, n, _) in HASHES.items():
            by = {}
            for b in range(n):
                by.setdefault(self.spread(b, n), []).append(str(b))
            places = ", ".join('{ shard = "%s"; buckets = "%s"; }' % (s, ",".join(bs)) for s, bs in sorted(by.items()))
            out.append('{ name = "%s"; kind = "hash"; type = %s; buckets = %d; placement = ( %s ); }' % (name, kind, n, places))
        low, ranges = None, []
        for shard, to in self.days:
            ranges.append("{ %s%sshard = \"%s\"; }" % ('from = "%s"; ' % low if low else "", 'to = "%s"; ' % to if to else "", shard))
            low = to
        out.append('{ name = "day"; kind = "range"; type = "date"; ranges = ( %s ); }' % ", ".join(ranges))
        out.append('{ name = "tenant"; kind = "directory"; type = "text"; default = "%s"; entries = ( %s ); }' % (
            self.other, ", ".join('{ key = "%s"; shard = "%s"; }' % e for e in self.directory.items())))
        tables = []
        for name, (dist, key) in TABLES.items():
            if dist is None:
                tables.append('{ name = "%s"; reference = true; }' % name)
            elif dist:
                tables.append('{ name = "%s"; distribution = "%s"; key = ( %s ); }' % (
                    name, dist, ", ".join('"%s"' % k for k in key)))
        return "distributions = ( %s );\ntables = ( %s );" % (",\n".join(out), ",\n".join(tables))

    def home(self, table):
        """SQL: the name of the shard on which a row of the table belongs."""
        dist, key = TABLES[table]
        if dist in HASHES:
            n, fn = HASHES[dist][1:]
            names = "ARRAY[%s]" % ",".join("'%s'" % self.spread(b, n) for b in range(n))
            bucket = ("(%s & %d)" % (fn.format(*key), n - 1) if fn else
                      "(SELECT b FROM generate_series(0, %d) b WHERE satisfies_hash_partition('first_state.%s_parts'::regclass, %d, b, %s))"
                      % (n - 1, dist, n, ", ".join(key)))
            return "(%s)[1 + %s]" % (names, bucket)
        if dist == "day":
            return "CASE %s ELSE '%s' END" % (
                " ".join("WHEN day < '%s' THEN '%s'" % (to, s) for s, to in self.days if to), self.days[-1][0])
        return "CASE %s %s ELSE '%s' END" % (
            key[0], " ".join("WHEN '%s' THEN '%s'" % e for e in self.directory.items()), self.other)


PLACEMENTS = [
    Placement("even", "s1", lambda b, n: SHARDS[b * 3 // n], [("s1", "2025-05-01"), ("s2", "2025-09-01"), ("s3", None)],
              {"acme": "s2", "globex": "s1", "hooli": "s3", "Wayne": "s3", "initech": "s2", "pied piper": "s1"}, "s1"),
    Placement("skew", "s3", lambda b, n: "s1" if b < n // 16 else "s3" if b >= n - n // 16 - 1 else "s2",
              [("s1", "2025-01-20"), ("s2", "2025-12-10"), ("s3", None)], {"stark": "s1", "wonka": "s3"}, "s2"),
    # s1 has no row but those of reference tables; the order of the shards is not that of the keys
    Placement("reversed", "s2", lambda b, n: SHARDS[2 - b * 2 // n], [("s3", "2025-07-01"), ("s2", None)],
              {"acme": "s3", "globex": "s2", "hooli": "s3", "umbrella": "s3", "Ünal": "s3"}, "s2"),
]


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return f.read()


def state_queries(placement, shard):
    """PREPAREs a statement for each table: rows, sum of the rows' hashes, rows that belong elsewhere, the serial column's values."""
    out = []
    for t, (dist, _) in TABLES.items():
        stray = "0" if placement is None or not dist else "count(*) FILTER (WHERE %s <> '%s')" % (placement.home(t), shard)
        row, ids = "x::text", "NULL"
        if t in SERIAL:
            row = "(to_jsonb(x) - '%s')::text" % SERIAL[t]
            ids = "string_agg(%s::text, ',')" % SERIAL[t]
        out.append("PREPARE state_%s AS SELECT count(*), coalesce(sum(hashtextextended(%s, 0)), 0), %s, %s FROM ONLY public.%s x;"
                   % (t, row, stray, ids, t))
    return "".join(out)


def tables_of(sql):
    """The tables that a script may change: those it names; all if it names none, or a view."""
    out = {t for t in TABLES if re.search(r"\b%s\b" % t, sql)}
    if not out or re.search(r"\bv_|\bselect public\b", sql, re.I):
        return list(TABLES)
    return sorted(out | ({"items"} if "orders" in out else set()))


# The names, columns, keys and views that a client can see; no oids. One text line each.
CATALOG_QUERY = """
SELECT 'table ' || c.relkind::text || ' ' || n.nspname || '.' || c.relname || coalesce(' ' || a.attname || ' ' ||
	format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '-'), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'first_state', 'weir')
UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0
UNION ALL SELECT 'view ' || schemaname || '.' || viewname || ' ' || definition FROM pg_views WHERE schemaname = 'public'
UNION ALL SELECT 'index ' || tablename || ' ' || indexdef FROM pg_indexes WHERE schemaname NOT LIKE 'pg\\_%' AND schemaname <> 'first_state'
UNION ALL SELECT 'type ' || typname FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace WHERE nspname = 'public' AND typtype IN ('e', 'd')
UNION ALL SELECT 'label ' || enumtypid::regtype || ' ' || enumlabel FROM pg_enum
UNION ALL SELECT 'function ' || p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'public'
UNION ALL SELECT 'comment ' || objoid::regclass || ' ' || objsubid || ' ' || description FROM pg_description WHERE objoid >= 16384 AND classoid = 'pg_class'::regclass
ORDER BY 1"""


class Database:
    """One database of one server: its state, compared and put back."""

    def __init__(self, port, name, placement=None, shard=None):
        self.port, self.name, self.placement, self.shard = port, name, placement, shard
        self.conn = None
        self.first = None
        self.restored = 0

    def connect(self):
        if self.conn is None:
            self.conn = client.connect(self.port, USER, self.name, TIMEOUT_S)
            self.conn.must("SET lock_timeout = '5s'; SET session_replication_role = replica; SET client_min_messages = error; "
                           + state_queries(self.placement, self.shard))
        return self.conn

    def state(self, tables=None):
        self.send_state(tables)
        return self.read_state(tables)

    def send_state(self, tables=None):
        self.connect().send_simple(";".join("EXECUTE state_" + t for t in tables or TABLES))

    def read_state(self, tables=None):
        """table: (rows, hash, stray rows, the serial column's values)"""
        reply = self.conn.receive()
        if reply.error:
            raise client.Failed("%s: %s" % (reply.sqlstate, reply.error.get("M")))
        rows = (r.rows[0] for r in reply.results)
        return {t: (int(r[0]), int(r[1]), int(r[2]), r[3].decode().split(",") if r[3] else []) for t, r in zip(tables or TABLES, rows)}

    def catalog(self):
        return [r[0].decode() for r in self.connect().must(CATALOG_QUERY).rows()]

    def remember(self):
        self.first = self.state()

    def restore(self, now, sequences=False):
        """Puts back the tables whose state differs from the first one."""
        changed = [t for t in now if now[t] != self.first[t]]
        if changed:
            self.connect().must("BEGIN;" + "".join("DELETE FROM public.%s; INSERT INTO public.%s OVERRIDING SYSTEM VALUE SELECT * FROM "
                                                   "first_state.%s;" % (t, t, t) if t != "invoices" else
                                                   "DELETE FROM invoices; INSERT INTO invoices (customer_id, id, total) OVERRIDING SYSTEM "
                                                   "VALUE SELECT customer_id, id, total FROM first_state.invoices;" for t in changed) + "COMMIT")
        self.restored += bool(changed)
        if self.restored == 200:    # there is no autovacuum, which would make times uneven
            self.restored = 0
            self.connect().must("VACUUM")
        if sequences:
            self.connect().must("SELECT setval('public.counter_seq', 1, false), "
                                "setval('public.tickets_id_seq', (SELECT greatest(last_value, 1000) FROM public.tickets_id_seq))")

    def rows(self, table):
        return [b"|".join(b"NULL" if v is None else v for v in r) for r in self.connect().must("SELECT * FROM public." + table).rows()]

    def run(self, sql):
        return self.connect().run_simple(sql)


class World:
    def __init__(self, weir=True, fresh=False):
        self.fleet = harness.fleet_tool.Fleet(os.path.join(harness.WORK, "differential"))
        self.fleet.start(len(SHARDS), 0, "postgres2", "off", {"autovacuum": "off", "shared_buffers": "64MB"}, fresh)
        ports = [s["primary"]["port"] for s in self.fleet.d["shards"]]
        self.whole = Database(ports[0], "whole")
        self.whole2 = Database(ports[0], "whole2")
        self.shards = {p.name: [Database(port, p.name, p, s) for s, port in zip(SHARDS, ports)] for p in PLACEMENTS}
        self.make()
        self.weir = self.start_weir() if weir else None
        if weir:
            self.wait_ready()

    def everything(self):
        return [self.whole, self.whole2] + sum(self.shards.values(), [])

    # ---- making the databases ----
    def make(self):
        text = read("schema.sql") + read("data.sql")
        for d in self.everything():
            server = next(s for s in self.fleet.servers() if s["port"] == d.port)
            self.fleet.psql(server, "DROP DATABASE IF EXISTS %s WITH (FORCE)" % d.name, "postgres")
            self.fleet.psql(server, "CREATE DATABASE %s OWNER %s" % (d.name, USER), "postgres")
            for setting in ("statement_timeout = '10s'", "idle_in_transaction_session_timeout = '60s'"):
                self.fleet.psql(server, "ALTER DATABASE %s SET %s" % (d.name, setting), "postgres")
            # what a superuser may do: triggers off while rows are put back
            self.fleet.psql(server, "GRANT SET ON PARAMETER session_replication_role TO " + USER, "postgres")
        for d in self.everything():
            self.fill(d, text)

    def fill(self, d, text):
        c = client.connect(d.port, USER, d.name, TIMEOUT_S)
        c.must(text)
        if d.name == "whole2":
            for t in TABLES:
                c.must("SET session_replication_role = replica; CREATE TEMP TABLE shuffled AS SELECT * FROM %s ORDER BY md5(%s::text || 'x'); "
                       "DELETE FROM %s; INSERT INTO %s %s; DROP TABLE shuffled" % (t, t, t, t, (
                           "(customer_id, id, total) OVERRIDING SYSTEM VALUE SELECT customer_id, id, total FROM shuffled" if t == "invoices" else
                           "SELECT * FROM shuffled")))
            c.must("ALTER DATABASE whole2 SET enable_hashagg = off; ALTER DATABASE whole2 SET enable_hashjoin = off; "
                   "ALTER DATABASE whole2 SET enable_indexscan = off")
        c.must("CREATE SCHEMA first_state; CREATE TABLE first_state.stock_parts (a bigint, b text) PARTITION BY HASH (a, b)")
        if d.placement:
            for t, (dist, _) in TABLES.items():
                if dist:
                    c.must("SET session_replication_role = replica; DELETE FROM %s WHERE %s <> '%s'" % (t, d.placement.home(t), d.shard))
                elif dist == "" and d.shard != d.placement.default:
                    c.must("DELETE FROM " + t)
            # sequences of the shards stand beyond what was loaded, at different places
        c.must("".join("CREATE TABLE first_state.%s AS TABLE %s;" % (t, t) for t in TABLES) + "ANALYZE")
        c.close()
        d.remember()

    # ---- Weir ----
    def start_weir(self):
        databases = [harness.database_block(self.fleet, p.name, p.name, None, False, "pool_size = 6;", p.map_text(), p.default)
                     for p in PLACEMENTS]
        weir = harness.Weir(self.fleet, "differential-weir", databases)
        weir.write()
        done = subprocess.run([harness.WEIR_BIN, "catalog", "init", "-c", weir.conf, "-u", "postgres"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise SystemExit("weir catalog init:\n" + done.stdout)
        return weir.start()

    def wait_ready(self):
        """Until Weir knows the shards' catalogs, which commits over shards need."""
        for p in PLACEMENTS:
            c, end = self.weir_connect(p.name), time.time() + 30
            while time.time() < end:
                done = c.run_simple("BEGIN")
                for k in range(1, 13):
                    done = c.run_simple("UPDATE customers SET level = level WHERE id = %d" % k)
                done = c.run_simple("COMMIT")
                if not done.error:
                    break
                c.run_simple("ROLLBACK")
                time.sleep(0.2)
            c.close()

    def weir_connect(self, database):
        return client.connect(self.weir.port, USER, database, TIMEOUT_S)

    def plain_connect(self, database="whole"):
        return client.connect(self.whole.port, USER, database, TIMEOUT_S)

    def stop(self):
        reports = ""
        if self.weir:
            try:
                self.weir.stop()
            except RuntimeError as e:
                reports = str(e)
            reports += self.weir.sanitizer_reports()
        for d in self.everything():
            if d.conn:
                d.conn.close()
        if not os.environ.get("WEIR_KEEP_FLEET"):
            self.fleet.stop()
        return reports


def type_names(connections):
    """oid -> name as a client would write it; user types may have another oid on each server: one map for each connection."""
    return [{int(r[0]): r[1].decode() for r in c.must("SELECT oid, format_type(oid, NULL) FROM pg_type").rows()} for c in connections]
