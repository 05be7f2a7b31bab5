#!/usr/bin/python3
"""Runs message scripts and writes down what came back, so that two servers can be compared message by message.

  script.py [--host H] [--port P] [--user U] [--password W] [--database D] FILE …

A script is a text file, one step a line. Sends are gathered and leave together when something is read (or at `send`).

  # …                      comment                       @ manual          no login before the script (else one is made)
  > Q SQL                  Query                         @ startup K=V …   further startup parameters for the login
  > P name oid,oid SQL     Parse ("" and - are: empty)   @ user NAME       log in as this test user
  > B portal stmt [JSON params] pf=0,1 rf=1   Bind; a parameter {"x":"00ff"} is given in hex
  > D S name | > D P name  Describe                      > C S name        Close
  > E portal [max]         Execute                       > S  > H  > X     Sync, Flush, Terminate
  > d TEXT                 CopyData (Python escapes)     > c   > f TEXT    CopyDone, CopyFail
  > dr N TEXT              the same CopyData N times     > F oid [args]    FunctionCall, binary arguments in hex
  > p TEXT                 PasswordMessage               > raw HEX …       bytes
  > msg TYPE HEX           a message with this body      > startup VERSION K=V …
  < until TYPES            reads and notes messages up to and including one of these types
  < n N                    reads N messages              < eof             the server closes
  < byte                   one byte (answer to SSLRequest and GSSENCRequest)
  < error                  an error: its SQLSTATE alone is noted
  < gone                   the server closes, whatever it says before
  < none SECONDS           nothing arrives for so long   < notify          waits for a NotificationResponse
  send                     sends what was gathered       frag N            from here on, N bytes at a time
  conn NAME                another connection, logged in the same way;  on NAME goes back to one (the first is `main`)
  open NAME                a connection, not logged in   half              shuts down the sending side
  ssl | gss                SSLRequest, GSSENCRequest     tls [user]        TLS handshake, with this user's certificate
  auth                     answers authentication requests up to AuthenticationOk
  cancel NAME              cancel request for that connection      sleep SECONDS
  close                    closes the connection without a word         wrongpassword   from here on a wrong one is used

  @ expect                 PostgreSQL does otherwise here: the transcript stands in expect/NAME
  @ nostatus               ParameterStatus is left out
  @ loose                  of errors and notices only severity and SQLSTATE count
  @ repeat N               the sends are repeated N times, all at once, then N answers are read up to ReadyForQuery
  @ ddl                    changes tables
  @ oneshard               not for a database of several shards, where Weir refuses it (0A000)

$user, $password and $database stand for those of the login, $large for some 200 kB of letters. A server's own facts are
normalised: process ids, keys, SCRAM data, OIDs of tables and user types, file, line and routine of an error.
"""
import argparse
import codecs
import hashlib
import json
import os
import re
import shlex
import struct
import sys
import time

import wire

FIRST_USER_OID = 16384
SHOWN_MAX = 100
LARGE = "abcdefghij" * 20000


def unescape(text):
    return codecs.escape_decode(text.encode())[0]


def shown(value):
    """A value in the transcript: short ones as they are, long ones by length and digest."""
    if value is None:
        return "NULL"
    if len(value) > SHOWN_MAX:
        return "<%d bytes %s>" % (len(value), hashlib.md5(value).hexdigest()[:12])
    return repr(value.decode("utf-8", "backslashreplace"))


def oid_text(oid):
    return "user" if oid >= FIRST_USER_OID else str(oid)


def without_pids(text):
    return re.sub(r"\b([Pp]rocess|PID|pid) \d+", r"\1 <pid>", text)


def format_auth(body):
    code = struct.unpack_from("!I", body)[0]
    if code == 10:
        return "R 10 " + ",".join(m.decode() for m in body[4:].split(b"\0") if m)
    return "R %d" % code


def format_message(kind, body, loose=False):
    """One message as one canonical line."""
    if kind == "R":
        return format_auth(body)
    if kind == "K":
        return "K"
    if kind == "Z":
        return "Z " + body.decode()
    if kind == "S":
        return "S " + " = ".join(repr(p.decode()) for p in body.split(b"\0")[:2])
    if kind == "v":
        version, n = struct.unpack_from("!II", body)
        names = [p.decode() for p in body[8:].split(b"\0") if p]
        return "v %d.%d %d %s" % (version >> 16, version & 0xffff, n, names)
    if kind in "EN":
        f = wire.fields_of(body)
        left_out = "FLRMDHPWqp" if loose else "FLR"
        return kind + " " + " ".join("%s=%r" % (k, without_pids(f[k])) for k in sorted(f) if k not in left_out)
    if kind == "T":
        cols = ["%s:%s/%d:%s:%d:%d:%d" % (repr(c[0]), "table" if c[1] else "-", c[2], oid_text(c[3]), *c[4:])
                for c in wire.columns_of(body)]
        return "T " + " ".join(cols)
    if kind == "D":
        return "D " + " | ".join(shown(v) for v in wire.row_of(body))
    if kind == "C":
        return "C " + body[:-1].decode()
    if kind == "t":
        n = struct.unpack_from("!H", body)[0]
        return "t " + " ".join(oid_text(o) for o in struct.unpack_from("!%dI" % n, body, 2))
    if kind == "A":
        channel, payload = body[4:].split(b"\0")[:2]
        return "A %r %r" % (channel.decode(), payload.decode())
    if kind in "GHW":
        fmt, n = struct.unpack_from("!BH", body)
        return "%s %d %s" % (kind, fmt, list(struct.unpack_from("!%dH" % n, body, 3)))
    if kind == "V":
        n = struct.unpack_from("!i", body)[0]
        return "V " + shown(None if n < 0 else body[4:])
    return (kind + " " + shown(body)) if body else kind


class ScriptError(Exception):
    pass


class Runner:
    """One run of one script against one server."""

    def __init__(self, target):
        self.t = target         # dict: host, port, user, password, database, users, tls_dir
        self.user, self.password = target["user"], target["password"]
        self.options = []
        self.conns, self.name = {}, "main"
        self.out, self.pending, self.fragment = [], b"", 0
        self.loose = self.nostatus = False

    # ---- connections ----
    @property
    def conn(self):
        return self.conns[self.name]

    def open(self, name):
        self.flush()
        self.conns[name] = wire.Wire(self.t["host"], self.t["port"], self.t.get("timeout", 10.0))
        self.name = name

    def login(self, name):
        self.open(name)
        self.conn.login(self.user, self.password or "", self.t["database"], self.options)

    def flush(self):
        if self.pending:
            data, self.pending = self.pending, b""
            self.conn.send(data, self.fragment)

    # ---- transcript ----
    def note(self, line):
        self.out.append(line if self.name == "main" else "%s: %s" % (self.name, line))

    def note_messages(self, messages):
        """ParameterStatus may come at any time: what counts is the last value of each, which is noted before ReadyForQuery
        or at the end of this read, sorted."""
        last = {}
        for kind, body in messages + [("", b"")]:
            if kind == "S":
                last[body.split(b"\0")[0]] = self.format(kind, body)
                continue
            if kind in ("Z", "") and not self.nostatus:
                for line in sorted(last.values()):
                    self.note(line)
                last = {}
            if kind:
                self.note(self.format(kind, body))

    def format(self, kind, body):
        return format_message(kind, body, self.loose)

    # ---- steps ----
    def send_step(self, rest):
        word, _, tail = rest.partition(" ")
        simple = {"S": wire.SYNC, "H": wire.FLUSH, "X": wire.TERMINATE, "c": wire.COPY_DONE}
        if word in simple:
            return simple[word]
        if word == "Q":
            return wire.query(unescape(self.expand(tail)))
        if word == "P":
            name, oids, sql = tail.split(" ", 2)
            return wire.parse(self.empty(name), unescape(self.expand(sql)),
                              [] if oids == "-" else [int(o) for o in oids.split(",")])
        if word == "B":
            return self.bind_step(tail)
        if word in ("D", "C"):
            kind, name = tail.split(" ")
            return (wire.describe if word == "D" else wire.close)(kind, self.empty(name))
        if word == "E":
            parts = tail.split(" ")
            return wire.execute(self.empty(parts[0]), int(parts[1]) if len(parts) > 1 else 0)
        if word == "d":
            return wire.copy_data(unescape(self.expand(tail)))
        if word == "dr":
            n, text = tail.split(" ", 1)
            return wire.copy_data(unescape(text)) * int(n)
        if word == "f":
            return wire.copy_fail(tail)
        if word == "F":
            parts = tail.split()
            return wire.function_call(int(parts[0]), [None if p == "NULL" else bytes.fromhex(p) for p in parts[1:]],
                                      [1], 1)
        if word == "p":
            return wire.msg("p", wire.cstr(unescape(self.expand(tail))))
        if word == "raw":
            return bytes.fromhex(tail)
        if word == "msg":
            kind, _, hexed = tail.partition(" ")
            return wire.msg(kind, bytes.fromhex(hexed))
        if word == "startup":
            version, *pairs = shlex.split(tail)
            major, minor = version.split(".")
            params = [tuple(self.expand(p).split("=", 1)) for p in pairs]
            return wire.startup(params, int(major) << 16 | int(minor))
        raise ScriptError("unknown message '%s'" % word)

    @staticmethod
    def empty(name):
        return "" if name in ("\"\"", "-") else unescape(name)

    def bind_step(self, tail):
        m = re.fullmatch(r"(\S+) (\S+) (\[.*\])((?: [pr]f=[\d,]+)*)", tail)
        if not m:
            raise ScriptError("bad Bind: " + tail)
        params = [bytes.fromhex(p["x"]) if isinstance(p, dict) else p for p in json.loads(self.expand(m.group(3)))]
        formats = {"pf": [], "rf": []}
        for item in m.group(4).split():
            formats[item[:2]] = [int(x) for x in item[3:].split(",")]
        return wire.bind(self.empty(m.group(1)), self.empty(m.group(2)), params, formats["pf"], formats["rf"])

    def expand(self, text):
        return (text.replace("$user", self.user).replace("$password", self.password or "").replace("$large", LARGE)
                .replace("$database", self.t["database"]))

    def read_step(self, rest):
        self.flush()
        word, _, tail = rest.partition(" ")
        if word == "until":
            got = []
            try:
                while not got or got[-1][0] not in tail:
                    got.append(self.conn.read())
            finally:
                self.note_messages(got)
        elif word == "n":
            self.note_messages([self.conn.read() for _ in range(int(tail))])
        elif word == "byte":
            self.note("byte %r" % self.conn.take(1))
        elif word == "error":
            kind, body = self.conn.read()
            self.note(kind + " " + wire.fields_of(body).get("C", "") if kind == "E" else self.format(kind, body))
        elif word == "eof":
            got = []
            try:
                while True:
                    got.append(self.conn.read())
            except wire.Closed:
                self.note_messages(got)
                self.note("closed")
        elif word == "gone":
            while not self.is_gone():
                pass
            self.note("closed")
        elif word == "none":
            self.silence(float(tail))
        elif word == "notify":
            while not self.conn.notifications:
                self.note_messages([self.conn.read()])
        else:
            raise ScriptError("unknown read '%s'" % word)

    def is_gone(self):
        try:
            self.conn.take(1)
        except wire.Closed:
            return True
        return False

    def silence(self, seconds):
        try:
            kind, body = self.conn.read(seconds)
            self.note("unexpected: " + self.format(kind, body))
        except wire.TimedOut:
            self.note("silence")

    def other_step(self, line):
        word, *args = line.split()
        if word == "frag":
            self.flush()
            self.fragment = int(args[0])
        elif word == "send":
            self.flush()
        elif word == "conn":
            self.login(args[0])
        elif word == "open":
            self.open(args[0])
        elif word == "on":
            self.flush()
            self.name = args[0]
        elif word in ("ssl", "gss"):
            self.pending += wire.request(wire.SSL_CODE if word == "ssl" else wire.GSS_CODE)
        elif word == "tls":
            self.flush()
            d = self.t["tls_dir"]
            cert = ("%s/client-%s.crt" % (d, args[0]), "%s/client-%s.key" % (d, args[0])) if args else (None, None)
            self.conn.upgrade(d + "/ca.crt", *cert)
        elif word == "auth":
            self.flush()
            try:
                self.conn.authenticate(self.user, self.password or "",
                                       on_message=lambda k, b: self.note(self.format(k, b)))
            except wire.ServerError:
                pass    # it is in the transcript
        elif word == "cancel":
            self.flush()
            self.conns[args[0]].cancel()
        elif word == "half":
            self.flush()
            self.conn.sock.shutdown(1)
        elif word == "sleep":
            self.flush()
            time.sleep(float(args[0]))
        elif word == "close":
            self.flush()
            self.conn.close()
        elif word == "wrongpassword":
            self.password = "not " + (self.password or "")
        else:
            raise ScriptError("unknown step '%s'" % word)

    def step(self, line):
        if line.startswith("> "):
            self.pending += self.send_step(line[2:])
        elif line.startswith("< "):
            self.read_step(line[2:])
        else:
            self.other_step(line)

    def run(self, text):
        lines = [(i, x.rstrip("\n")) for i, x in enumerate(text.splitlines(), 1)
                 if x.strip() and not x.startswith("#")]
        directives = [x[2:] for _, x in lines if x.startswith("@ ")]
        for d in directives:
            if d.startswith("startup "):
                self.options = [tuple(p.split("=", 1)) for p in shlex.split(d[8:])]
            elif d.startswith("user "):
                self.user = d[5:]
                self.password = self.t["users"][self.user]
            elif d == "loose":
                self.loose = True
            elif d == "nostatus":
                self.nostatus = True
            elif d.startswith("repeat "):
                steps = [x for x in lines if not x[1].startswith("@ ")]
                lines = steps * int(d[7:]) + [(0, "< until Z")] * int(d[7:])
        at = "login"
        try:
            if "manual" in directives:
                self.open("main")
            else:
                self.login("main")
            for number, line in lines:
                at = "line %d: %s" % (number, line)
                if not line.startswith("@ "):
                    self.step(line)
            self.flush()
        except (wire.WireError, struct.error) as e:
            self.note("%s at %s" % (type(e).__name__, at))
        finally:
            for c in self.conns.values():
                c.close()
        return self.out


def directives_of(path):
    with open(path) as f:
        return [line[2:].strip() for line in f if line.startswith("@ ")]


def run_script(path, target):
    """The transcript of a script, as a list of lines."""
    with open(path) as f:
        return Runner(target).run(f.read())


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    env = os.environ.get
    ap.add_argument("--host", default=env("PGHOST", "127.0.0.1"))
    ap.add_argument("--port", type=int, default=int(env("PGPORT", "6432")))
    ap.add_argument("--user", default=env("PGUSER", "app"))
    ap.add_argument("--password", default=env("PGPASSWORD", ""))
    ap.add_argument("--database", default=env("PGDATABASE", "wire"))
    ap.add_argument("--tls-dir", default="")
    ap.add_argument("files", nargs="+")
    a = ap.parse_args()
    target = {"host": a.host, "port": a.port, "user": a.user, "password": a.password, "database": a.database,
              "users": {a.user: a.password}, "tls_dir": a.tls_dir}
    for path in a.files:
        print("==", path)
        print("\n".join(run_script(path, target)))


if __name__ == "__main__":
    sys.exit(main())
