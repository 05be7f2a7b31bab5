"""Compares two answers to one statement. All is compared exactly, but for what is said here:

- Without ORDER BY rows are bags. With it they are lists; where the statement says that only some columns decide (`partial`),
  those columns are a list and the rows a bag.
- float4 and float8 of statements that sum up (avg, stddev, corr …) may differ by 1 in 10^5 and 10^9: the sum of floats
  depends on its order, on one PostgreSQL too.
- Types are compared by name: what a user defined has another oid in each database. Binary values with such oids inside
  (records, arrays of user types) are not compared; their text is.
- The table and column number of an output column are not compared.
"""
import math
import re
import struct

import world

SUMS = re.compile(r"\b(sum|avg|stddev\w*|var\w*|corr|covar\w*|regr_\w*|percentile_cont)\s*\(", re.I)
FLOATS = {"real": (1e-5, "!f"), "double precision": (1e-9, "!d"), "double precision[]": (1e-9, None)}
NO_BINARY = ("record", "record[]", "mood[]", "regtype", "regclass", "oid")


class Types:
    """Names of type oids. A proxy may answer with the oids of any shard."""

    def __init__(self, maps):
        self.maps = maps

    def name(self, oid):
        for m in self.maps:
            if oid in m:
                return m[oid]
        return "a type made meanwhile"


def compare(st, ref, got, ref_types, got_types, unlimited=None):
    """None when both agree, else a sentence."""
    if ref.error or got.error:
        if not got.error:
            return "an error %s: %s, but an answer through Weir" % (ref.sqlstate, ref.error.get("M"))
        if not ref.error:
            return "an answer, but an error through Weir: %s: %s" % (got.sqlstate, got.error.get("M"))
        if ref.sqlstate != got.sqlstate:
            return "error %s (%s), through Weir %s (%s)" % (ref.sqlstate, ref.error.get("M"), got.sqlstate, got.error.get("M"))
    elif ref.status != got.status:
        return "transaction status %s, through Weir %s" % (ref.status, got.status)
    if ref.params is not None and got.params is not None:
        a, b = ([t.name(o) for o in p] for t, p in ((ref_types, ref.params), (got_types, got.params)))
        if a != b:
            return "parameter types %s, through Weir %s" % (a, b)
    # what an error cut off does not count
    wanted, had = ([r for r in x.results if r.tag or not x.error] for x in (ref, got))
    if len(wanted) != len(had):
        return "%d results, through Weir %d" % (len(wanted), len(had))
    for a, b in zip(wanted, had):
        why = compare_result(st, a, b, ref_types, got_types, unlimited)
        if why:
            return why
    return None


def described(columns, types):
    return columns and [(c[0], types.name(c[1]), c[2], c[3]) for c in columns]


def compare_result(st, a, b, ref_types, got_types, unlimited):
    if a.tag != b.tag:
        return "tag %s, through Weir %s" % (a.tag, b.tag)
    ca, cb = described(a.columns, ref_types), described(b.columns, got_types)
    if ca != cb:
        return "columns %s, through Weir %s" % (ca, cb)
    if (a.copy is None) != (b.copy is None):
        return "COPY data, or none"
    if "shape" in st.flags:
        return None
    if a.copy is not None:
        if (a.copy if st.ordered else sorted(a.copy)) != (b.copy if st.ordered else sorted(b.copy)):
            return "COPY data differ: %s" % difference(sorted(a.copy), sorted(b.copy))
        return None
    if a.suspended != b.suspended:
        return "suspended %d times, through Weir %d" % (a.suspended, b.suspended)
    hidden = set(st.mask) | {i for i, c in enumerate(ca or []) if c[3] == 1 and (c[1] in NO_BINARY or c[1] in world.TABLES or c[1] == "a type made meanwhile")}
    x, y = (masked(r.rows, hidden) for r in (a, b))
    if unlimited is not None:
        return compare_subset(st, x, y, masked(unlimited, hidden))
    floats = {i: c for i, c in enumerate(ca or []) if c[1] in FLOATS} if SUMS.search(st.sql) else {}
    return compare_rows(st, x, y, floats)


def masked(rows, hidden):
    if not hidden:
        return rows
    return [tuple(b"?" if i in hidden and v is not None else v for i, v in enumerate(r)) for r in rows]


def compare_subset(st, x, y, everything):
    if len(x) != len(y):
        return "%d rows, through Weir %d" % (len(x), len(y))
    left = {}
    for r in everything:
        left[r] = left.get(r, 0) + 1
    for r in y:
        if not left.get(r):
            return "a row that is not among those without LIMIT: %s" % (r,)
        left[r] -= 1
    if st.partial and keys(x, st.partial) != keys(y, st.partial):
        return "sort keys differ"
    return None


def keys(rows, columns):
    return [tuple(r[i] for i in columns) for r in rows]


def compare_rows(st, x, y, floats):
    if len(x) != len(y):
        return "%d rows, through Weir %d: %s" % (len(x), len(y), difference(x, y))
    if x == y:
        return None
    if st.ordered and not st.partial:
        if floats and all(near(p, q, floats) for p, q in zip(x, y)):
            return None
        return "order or values: " + difference(x, y, True)
    if st.partial and keys(x, st.partial) != keys(y, st.partial):
        return "sort keys: " + difference(keys(x, st.partial), keys(y, st.partial), True)
    sx, sy = sorted(x, key=bag_key), sorted(y, key=bag_key)
    if sx == sy:
        return None
    if floats:
        sx, sy = (sorted(r, key=lambda row: float_key(row, floats)) for r in (x, y))
        if all(near(p, q, floats) for p, q in zip(sx, sy)):
            return None
    return "rows: " + difference(x, y)


def bag_key(row):
    return [(v is None, v or b"") for v in row]


def number(value, column):
    try:
        if column[3] == 1:
            return struct.unpack(FLOATS[column[1]][1], value)[0]
        return float(value)
    except (ValueError, struct.error, TypeError):
        return None


def float_key(row, floats):
    rest = [(v is None, v or b"") for i, v in enumerate(row) if i not in floats]
    return rest, [(v is None, 0.0 if v is None else number(v, floats[i]) or 0.0) for i, v in enumerate(row) if i in floats]


def near(p, q, floats):
    for i, (v, w) in enumerate(zip(p, q)):
        if v == w:
            continue
        if i not in floats or v is None or w is None:
            return False
        if floats[i][1].endswith("[]"):
            if not all(math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=1e-9)
                       for a, b in zip(v.strip(b"{}").split(b","), w.strip(b"{}").split(b","))):
                return False
            continue
        a, b = number(v, floats[i]), number(w, floats[i])
        if a is None or b is None or not math.isclose(a, b, rel_tol=FLOATS[floats[i][1]][0], abs_tol=FLOATS[floats[i][1]][0]):
            return False
    return True


def show(row):
    return "(%s)" % ", ".join("NULL" if v is None else v.decode("utf-8", "backslashreplace") if isinstance(v, bytes) else str(v) for v in row) \
        if isinstance(row, tuple) else str(row)


def difference(x, y, in_order=False):
    if in_order:
        for i, (p, q) in enumerate(zip(x, y)):
            if p != q:
                return "row %d %s, through Weir %s" % (i + 1, show(p), show(q))
    more, less = list(x), []
    for r in y:
        if r in more:
            more.remove(r)
        else:
            less.append(r)
    return "missing %s; too many %s" % (" ".join(map(show, more[:4])), " ".join(map(show, less[:4])))
