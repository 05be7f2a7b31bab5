"""Reads the corpus: statements in SQL files, with directives in comments.

A statement ends with `;` at the end of a line, `\\;` joins several into one query string. After COPY … FROM STDIN its data
follow, up to `\\.`. A line `--! WORD …` is about the next statement; `--! all WORD …` about the rest of the file.

  params A | B          parameters in text, `\\N` is NULL; the statement runs by the extended protocol only
  oids int8 text        the types of the parameters that the client declares
  partial 1 3           ORDER BY decides by these output columns only
  subset                LIMIT without a total order: the number of rows is compared, and that they are among those without LIMIT
  ordered | bag         rows are in order, or are not, whatever the text looks like
  mask 1 3              of these columns only NULL or not is compared (numbers from sequences, clocks)
  shape                 only errors, tags and columns are compared (EXPLAIN, versions)
  tx                    also between BEGIN and COMMIT
  simple | extended     by this protocol only
  fetch N               the extended protocol takes N rows at a time
  on NAME               on a second session of that name
  known TEXT            Weir is known to answer it wrongly, TEXT says how: it is counted apart
  cleanup SQL           run on every server when the script is over
  script, pipeline, end statements that belong together, in one session; a pipeline has one Sync
"""
import glob
import os
import re

import world

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = set("params oids partial subset ordered bag mask shape tx simple extended fetch on known cleanup script pipeline end all".split())
WRITES = re.compile(r"\b(insert|update|delete|merge|truncate|copy|create|drop|alter|nextval|setval|into|execute|call|do|comment|reindex)\b", re.I)
DDL = re.compile(r"\b(create|drop|alter|comment on|into)\b", re.I)
SESSION = re.compile(r"\b(set|reset|prepare|declare|temp|temporary|listen|load|discard|deallocate|set_config|pg_advisory\w*|currval|lastval|nextval)\b",
                     re.I)
TOKEN = re.compile(r"""\s+|--[^\n]*|/\*.*?\*/|(?:\b[eE])'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$\w*\$).*?\1|[A-Za-z_]\w*|\d[\w.]*|.""", re.S)


def tokens(sql):
    """(text, start, depth of parentheses) of each token that is neither space nor comment."""
    depth, out = 0, []
    for m in TOKEN.finditer(sql):
        t = m.group(0)
        if t.isspace() or t.startswith("--") or t.startswith("/*"):
            continue
        if t == ")":
            depth -= 1
        out.append((t, m.start(), depth))
        if t == "(":
            depth += 1
    return out


def top_level(sql, *words):
    """Where the first of the words stands outside all parentheses, or None."""
    for t, start, depth in tokens(sql):
        if depth == 0 and t.upper() in words:
            return start
    return None


class Statement:
    def __init__(self, sql, file, line, flags):
        self.sql, self.file, self.line, self.flags = sql, file, line, flags
        self.data = None
        self.params = None
        if "params" in flags:
            self.params = [None if p.strip() == "\\N" else p.strip() for p in flags["params"].split("|")] if flags["params"] else []
        self.partial = [int(n) - 1 for n in flags.get("partial", "").split()]
        self.mask = {int(n) - 1 for n in flags.get("mask", "").split()}
        self.fetch = int(flags.get("fetch", 0))
        self.session = flags.get("on", "")
        self.multi = bool(re.search(r";\s*\S", sql.rstrip().rstrip(";"))) and "$$" not in sql
        self.ordered = "bag" not in flags and ("ordered" in flags or "partial" in flags or top_level(sql, "ORDER") is not None)
        self.without_limit = None
        if "subset" in flags:
            at = top_level(sql, "LIMIT", "OFFSET", "FETCH")
            self.without_limit = sql[:at]

    def where(self):
        return "%s:%d" % (os.path.basename(self.file), self.line)


class Script:
    """Statements of one session, mostly one."""

    def __init__(self, subject, statements, pipeline=False, cleanup="", known=None):
        self.known = known
        self.subject, self.statements, self.pipeline, self.cleanup = subject, statements, pipeline, cleanup
        text = "\n".join(s.sql for s in statements)
        self.writes = bool(WRITES.search(text))
        self.ddl = bool(DDL.search(text))
        self.fresh_session = bool(SESSION.search(text)) or any(s.session for s in statements)
        self.tables = world.tables_of(text)
        self.sequences = "counter_seq" in text or "RESTART" in text

    def modes(self):
        """simple, ext (unnamed, text), bin (named, binary results), tx (simple, between BEGIN and COMMIT), pipe."""
        if self.pipeline:
            return ["pipe"]
        s = self.statements
        if any(x.params is not None or x.fetch or "extended" in x.flags for x in s):
            return ["ext"] if any(x.fetch for x in s) else ["ext", "bin"]
        out = ["simple"]
        if not any(x.multi or x.data is not None or "simple" in x.flags for x in s):
            out += ["ext", "bin"]
        if len(s) == 1 and "tx" in s[0].flags:
            out.append("tx")
        return out


def parse(path, text=None):
    subject = re.sub(r"^\d+_|\.sql$", "", os.path.basename(path))
    if text is None:
        with open(path, encoding="utf-8") as f:
            text = f.read()
    lines = text.split("\n")
    scripts, flags, common, group, gflags, sql, start, dollar = [], {}, {}, None, {}, [], 0, False
    i = 0
    while i < len(lines):
        line = lines[i]
        i += 1
        if not sql and line.startswith("--!"):
            word, _, rest = line[3:].strip().partition(" ")
            if word not in WORDS:
                raise SystemExit("%s:%d: no directive '%s'" % (path, i, word))
            if word == "all":
                word, _, rest = rest.partition(" ")
                common[word] = rest
            elif word in ("script", "pipeline"):
                group, gflags = [], dict(flags, pipeline=(word == "pipeline"))
                flags = {}
            elif word == "end":
                scripts.append(Script(subject, group, gflags["pipeline"], gflags.get("cleanup", common.get("cleanup", "")),
                                      gflags.get("known")))
                group = None
            else:
                flags[word] = rest.strip()
            continue
        if not sql and (not line.strip() or line.startswith("--")):
            continue
        if not sql:
            start = i
        sql.append(line)
        if line.count("$$") % 2:
            dollar = not dollar
        if dollar or not line.rstrip().endswith(";"):
            continue
        st = Statement("\n".join(sql).rstrip()[:-1].replace("\\;", ";"), path, start, dict(common, **flags))
        if re.match(r"\s*COPY\b.*\bFROM\s+STDIN\b", st.sql, re.I | re.S):
            data = []
            while lines[i] != "\\.":
                data.append(lines[i] + "\n")
                i += 1
            i += 1
            st.data = "".join(data).encode()
        sql, flags_of = [], flags
        flags = {}
        if group is not None:
            group.append(st)
        else:
            scripts.append(Script(subject, [st], False, flags_of.get("cleanup", common.get("cleanup", "")),
                                  flags_of.get("known")))
    if sql or group is not None:
        raise SystemExit("%s:%d: a statement or script without an end" % (path, start))
    return scripts


def load(subjects=()):
    out = []
    for path in sorted(glob.glob(os.path.join(HERE, "corpus", "*.sql"))):
        name = re.sub(r"^\d+_|\.sql$", "", os.path.basename(path))
        if not subjects or name in subjects:
            out += parse(path)
    return out
