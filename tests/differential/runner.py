"""Runs scripts on one connection after the other, and judges what Weir answered by what PostgreSQL did.

A script's judgement is one for each of its statements: (class, reason), class being `same`, `refused`, `wrong`, or
`known` for a wrong answer that the corpus tells of. After a refused
statement the rest of a script is refused too, since its session is no longer PostgreSQL's. Writing scripts are judged by the tables as well:
all rows over all shards are those of PostgreSQL, each on the shard of its key, each reference table alike everywhere; where the last
statement was refused or failed, nothing of it is left. Then the tables are put back.
"""
import re
import time

import client
import compare
import corpus
import world

SAME, REFUSED, KNOWN, WRONG = "same", "refused", "known", "wrong"
# Weir does not keep the numbers of serial columns apart over the shards yet: known, wherever it shows
TWICE = "a number of its sequence was given twice"
RANK = {SAME: 0, REFUSED: 1, KNOWN: 2, WRONG: 3}


class Sessions:
    """The connections of a script, made when they are named."""

    def __init__(self, connect):
        self.make, self.open = connect, {}

    def get(self, name=""):
        if name not in self.open:
            self.open[name] = self.make()
        return self.open[name]

    def drop(self):
        for c in self.open.values():
            c.close()
        self.open = {}

    def finish(self, script):
        """To rest: open transactions end, settings are gone."""
        if script.fresh_session:
            self.drop()
            return
        for c in self.open.values():
            if c.status != "I":
                c.run_simple("ROLLBACK")


def run_statement(conn, st, mode):
    if mode in ("ext", "bin"):
        oids = [OIDS[o] for o in st.flags.get("oids", "").split()]
        return conn.run_extended(st.sql, st.params or (), mode == "bin", mode == "bin", st.fetch, oids, st.data)
    return conn.run_simple(st.sql, st.data)


OIDS = {"bool": 16, "bytea": 17, "int8": 20, "int2": 21, "int4": 23, "text": 25, "float4": 700, "float8": 701, "unknown": 0, "int4[]": 1007,
        "text[]": 1009, "int8[]": 1016, "varchar": 1043, "date": 1082, "timestamp": 1114, "timestamptz": 1184, "numeric": 1700, "uuid": 2950}
BEGIN = corpus.Statement("BEGIN", "", 0, {})
COMMIT = corpus.Statement("COMMIT", "", 0, {})


def steps(script, mode):
    return [BEGIN] + script.statements + [COMMIT] if mode == "tx" else script.statements


class Answer:
    """What PostgreSQL did with a script: replies, and the tables after each statement."""

    def __init__(self):
        self.replies, self.states, self.unlimited, self.catalog = [], [], [], None


class Plain:
    """PostgreSQL."""

    def __init__(self, db, port):
        self.db = db
        self.sessions = Sessions(lambda: client.connect(port, world.USER, db.name, world.TIMEOUT_S))
        self.types = compare.Types(world.type_names([db.connect()]))
        self.first_catalog = db.catalog()
        self.first = {t: s[:2] for t, s in db.first.items()}

    def answer(self, script, mode):
        a, db = Answer(), self.db
        if mode == "pipe":
            a.replies.append(self.sessions.get().run_pipeline([(s.sql, s.params or ()) for s in script.statements]))
            a.states.append(db.state(script.tables) if script.writes else None)
        else:
            for st in steps(script, mode):
                conn = self.sessions.get(st.session)
                a.replies.append(run_statement(conn, st, mode))
                # inside a transaction nothing is committed, and tables may be locked
                a.states.append(db.state(script.tables) if script.writes and conn.status == "I" else None)
                rows = None
                if st.without_limit:
                    extra = corpus.Statement(st.without_limit, st.file, st.line, {})
                    extra.params = st.params[:len(set(re.findall(r"\$\d+", st.without_limit)))] if st.params else st.params
                    rows = run_statement(conn, extra, mode).rows()
                a.unlimited.append(rows)
        if script.ddl:
            a.catalog = [set(db.catalog()), set(self.first_catalog)]
        self.sessions.finish(script)
        if script.writes:
            self.clean(script)
        return a

    def clean(self, script):
        if script.cleanup and self.db.catalog() != self.first_catalog:
            r = self.db.run(script.cleanup)
            if r.error:
                raise SystemExit("cleanup of %s: %s" % (script.statements[0].where(), r.error.get("M")))
        self.db.restore(self.db.state(script.tables), script.sequences)
        if script.ddl and self.db.catalog() != self.first_catalog:
            raise SystemExit("%s leaves something behind: %s" % (script.statements[0].where(), sorted(
                set(self.db.catalog()) ^ set(self.first_catalog))[:6]))


class Through:
    """Weir with one placement."""

    def __init__(self, the_world, placement, plain):
        self.w, self.placement, self.plain = the_world, placement, plain
        self.dbs = the_world.shards[placement.name]
        self.sessions = Sessions(self.connect)
        self.types = compare.Types(world.type_names([d.connect() for d in self.dbs]))
        self.catalogs = [set(d.catalog()) for d in self.dbs]
        self.default = world.SHARDS.index(placement.default)

    def connect(self):
        end = time.time() + 30
        while True:
            try:
                return self.w.weir_connect(self.placement.name)
            except (OSError, client.wire.WireError):
                if time.time() > end:
                    raise
                time.sleep(0.2)

    def judge(self, script, mode, answer):
        """[(class, reason)] for the script's statements."""
        todo = steps(script, mode)
        out, refused, tables = [], False, None
        try:
            if mode == "pipe":
                out = self.pipeline(script, answer)
                refused = any(c == REFUSED for c, _ in out)
                done = 1
            else:
                done = 0
                for st, ref, unlimited in zip(todo, answer.replies, answer.unlimited):
                    got = run_statement(self.sessions.get(st.session), st, mode)
                    verdict = self.verdict(st, ref, got, unlimited)
                    out.append(verdict)
                    if verdict[0] != SAME:
                        refused = verdict[0] == REFUSED
                        break
                    done += 1
                if done < len(todo):
                    out += [(REFUSED, "a statement before it was " + out[-1][0])] * (len(todo) - len(out))
            self.sessions.finish(script)
        except (client.wire.WireError, OSError) as e:
            self.sessions.drop()
            out = (out + [(WRONG, "%s: %s" % (type(e).__name__, e))] + [(REFUSED, "not run")] * len(todo))[:len(todo)]
            done = None
        if script.writes:
            try:
                tables = self.tables(script, answer, done, refused, mode)
            except (client.Failed, client.wire.WireError, OSError) as e:
                tables = "the tables cannot be compared: %s" % e
                for d in self.dbs:
                    d.conn.close()
                    d.conn = None
            if tables and not any(c == WRONG for c, _ in out):
                at = len(out) - 1 if done is None or done >= len(out) else done
                out[at] = (KNOWN if tables.endswith(TWICE) else WRONG, tables)
        if script.known is not None:
            out = [(KNOWN, why) if c == WRONG else (c, why) for c, why in out]
        if mode == "tx":
            out = [max(out, key=lambda v: RANK[v[0]])]
        return out

    def verdict(self, st, ref, got, unlimited=None):
        if got.refused() and ref.sqlstate != "0A000":
            return REFUSED, got.error.get("M")
        if got.sqlstate == "0A000" and ref.sqlstate != "0A000":
            return WRONG, "0A000 without a hint: " + got.error.get("M")
        why = compare.compare(st, ref, got, self.plain.types, self.types, unlimited)
        return (WRONG, why) if why else (SAME, "")

    def pipeline(self, script, answer):
        got = self.sessions.get().run_pipeline([(s.sql, s.params or ()) for s in script.statements])
        c, why = self.verdict(script.statements[0], answer.replies[0], got)
        return [(c, why)] * len(script.statements)

    # ---- tables ----
    def tables(self, script, answer, done, refused, mode):
        """None, or what is wrong with the rows or the catalog after a script; puts everything back."""
        now = self.state(script)
        why = None
        if done is not None:
            # what was committed before the statement that ended it
            rest = [i for i in range(min(done, len(answer.states))) if answer.replies[i].status == "I"]
            want = {t: x[:2] for t, x in answer.states[rest[-1]].items()} if rest else self.plain.first
            if mode == "pipe" and refused:
                want = self.plain.first
            why = self.wrong_rows(now, want)
        if script.ddl and done is not None and not refused and answer.catalog and not why:
            why = self.wrong_catalog(answer)
        if script.cleanup and any(set(d.catalog()) != first for d, first in zip(self.dbs, self.catalogs)):
            self.clean(script)
            now = self.state(script)
        for d, s in zip(self.dbs, now):
            try:
                d.restore(s, script.sequences)
            except (client.Failed, client.wire.WireError) as e:
                why = why or "the tables cannot be put back: %s" % e
                d.conn.close()
                d.conn = None
        if script.ddl:
            left = [set(d.catalog()) ^ first for d, first in zip(self.dbs, self.catalogs)]
            if any(left) and not why:
                why = "left behind: %s" % sorted(set().union(*left))[:4]
        return why

    def clean(self, script):
        """Through Weir, shard by shard, so that it knows of the change."""
        conn = self.connect()
        for d in self.dbs:
            for sql in ["SET weir.shard = '%s'" % d.shard] + script.cleanup.split("; "):
                conn.run_simple(sql)
        conn.close()

    def state(self, script):
        for d in self.dbs:
            d.send_state(script.tables)
        return [d.read_state(script.tables) for d in self.dbs]

    def wrong_rows(self, now, want):
        for t in now[0]:
            dist = world.TABLES[t][0]
            stray = [(d.shard, s[t][2]) for d, s in zip(self.dbs, now) if s[t][2]]
            if stray:
                return "table %s: rows on a shard that is not theirs: %s" % (t, stray)
            if want is None:
                continue
            if dist is None:
                bad = [d.shard for d, s in zip(self.dbs, now) if s[t][:2] != want[t]]
                if bad:
                    return "reference table %s differs on %s: %s" % (t, bad, self.rows_of(t))
                continue
            total = (sum(s[t][0] for s in now), sum(s[t][1] for s in now))
            if total != want[t]:
                return "table %s has %d rows, not %d, or others: %s" % (t, total[0], want[t][0], self.rows_of(t))
            ids = sum((s[t][3] for s in now), [])
            if t in world.SERIAL and len(ids) != len(set(ids)) and dist:
                return "table %s: %s" % (t, TWICE)
        return None

    def rows_of(self, table):
        first = [d.connect().must("SELECT x::text FROM first_state.%s x" % table).rows() for d in self.dbs]
        now = [d.connect().must("SELECT x::text FROM public.%s x" % table).rows() for d in self.dbs]
        return "; ".join("%s %s" % (d.shard, compare.difference(f, n)) for d, f, n in zip(self.dbs, first, now) if f != n)

    def wrong_catalog(self, answer):
        want_more, want_less = answer.catalog[0] - answer.catalog[1], answer.catalog[1] - answer.catalog[0]
        for i, (d, first) in enumerate(zip(self.dbs, self.catalogs)):
            now = set(d.catalog())
            for want, have, verb in ((want_more, now - first, "made"), (want_less, first - now, "gone")):
                missing = {x for x in want - have if i == self.default or self.everywhere(x)}
                if missing or have - want:
                    return "catalog of %s, %s: missing %s, too much %s" % (d.shard, verb, sorted(missing)[:3], sorted(have - want)[:3])
        return None

    def everywhere(self, line):
        return line.startswith(("type", "label", "function")) or any(
            re.search(r"\b(public\.)?%s\b" % t, line) for t, (dist, _) in world.TABLES.items() if dist != "")
