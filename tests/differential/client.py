"""A small client that keeps all that a server says about a statement: columns, types, rows, tags, errors, COPY data."""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "wire"))
import wire  # noqa: E402

Closed, TimedOut = wire.Closed, wire.TimedOut


class Result:
    """One statement's answer. columns: (name, type oid, typmod, format), or None when there were no rows to describe."""

    def __init__(self):
        self.columns, self.rows, self.copy, self.tag, self.suspended = None, [], None, None, 0


class Reply:
    """All that came up to ReadyForQuery."""

    def __init__(self):
        self.results, self.error, self.params, self.status = [], None, None, None

    def rows(self):
        return self.results[-1].rows if self.results else []

    @property
    def sqlstate(self):
        return self.error and self.error.get("C")

    def refused(self):
        return self.sqlstate == "0A000" and bool(self.error.get("H"))


class Failed(Exception):
    pass


class Connection(wire.Wire):
    def send_simple(self, sql):
        self.send(wire.query(sql))

    def run_simple(self, sql, copy_data=None):
        self.send_simple(sql)
        return self.receive(copy_data)

    def must(self, sql):
        """For the harness itself: a statement that cannot fail."""
        r = self.run_simple(sql)
        if r.error:
            raise Failed("%s: %s\n%s" % (r.error.get("C"), r.error.get("M"), sql[:2000]))
        return r

    def run_extended(self, sql, params=(), binary=False, named=False, fetch=0, oids=(), copy_data=None):
        """Parse to Sync in one batch; named: a prepared statement, described first, executed after a Sync of its own."""
        fmt = (1,) if binary else ()
        bound = wire.bind("", "st" if named else "", params, (), fmt) + wire.describe("P", "") + wire.execute("", fetch)
        if named:
            self.send(wire.close("S", "st") + wire.parse("st", sql, oids) + wire.describe("S", "st") + wire.SYNC)
            first = self.receive()
            if first.error:
                return first
            self.send(bound + wire.SYNC)
            reply = self.receive(copy_data, fetch)
            reply.params = first.params
            if first.results and reply.results and first.results[0].columns:
                reply.described = [c[:3] for c in first.results[0].columns]
            return reply
        self.send(wire.parse("", sql, oids) + wire.describe("S", "") + bound + (wire.FLUSH if fetch else wire.SYNC))
        return self.receive(copy_data, fetch)

    def run_pipeline(self, statements):
        """Several statements before one Sync: one reply."""
        self.send(b"".join(wire.parse("", sql) + wire.bind("", "", params) + wire.describe("P", "") + wire.execute() for sql, params in statements)
                  + wire.SYNC)
        return self.receive()

    def receive(self, copy_data=None, fetch=0):
        reply, now, buf, pos = Reply(), Result(), self.buf, 0
        described = False
        while True:
            while len(buf) - pos < 5 or len(buf) - pos < 1 + struct.unpack_from("!I", buf, pos + 1)[0]:
                buf, pos = buf[pos:] + self._more(), 0
            kind, size = buf[pos], struct.unpack_from("!I", buf, pos + 1)[0]
            body = buf[pos + 5:pos + 1 + size]
            pos += 1 + size
            if kind == 68:    # D
                now.rows.append(_row(body))
            elif kind == 84:  # T
                now.columns, described = _columns(body), True
            elif kind == 67:  # C
                now.tag = body[:-1].decode()
                reply.results.append(now)
                now = Result()
                if fetch:
                    self.send(wire.SYNC)
            elif kind == 73:  # I: an empty statement
                now.tag = "(empty)"
                reply.results.append(now)
                now = Result()
            elif kind == 115:  # s: the portal has more
                now.suspended += 1
                self.send(wire.execute("", fetch) + wire.FLUSH)
            elif kind == 69:  # E
                reply.error = reply.error or wire.fields_of(body)
                if fetch:
                    self.send(wire.SYNC)
            elif kind == 116:  # t
                reply.params = struct.unpack_from("!%dI" % struct.unpack_from("!H", body)[0], body, 2)
            elif kind == 71:  # G
                self.send((wire.copy_data(copy_data) if copy_data else b"") + wire.COPY_DONE)
            elif kind == 72:  # H
                now.copy = []
            elif kind == 100:  # d
                now.copy.append(body)
            elif kind == 90:  # Z
                self.buf = buf[pos:]
                self.status = reply.status = body.decode()
                if now.rows or now.columns and described and not reply.error:
                    reply.results.append(now)
                return reply
            elif kind in (83, 78, 65, 75):
                self._note(chr(kind), body)

    def _more(self):
        self.sock.settimeout(self.timeout)
        try:
            got = self.sock.recv(262144)
        except OSError as e:
            raise TimedOut("no answer") if "timed out" in str(e) else Closed(str(e))
        if not got:
            raise Closed("closed")
        return got


def _row(body):
    out, pos = [], 2
    for _ in range(struct.unpack_from("!H", body)[0]):
        n = struct.unpack_from("!i", body, pos)[0]
        pos += 4
        if n < 0:
            out.append(None)
        else:
            out.append(body[pos:pos + n])
            pos += n
    return tuple(out)


def _columns(body):
    out, pos = [], 2
    for _ in range(struct.unpack_from("!H", body)[0]):
        end = body.index(b"\0", pos)
        oid, _, typmod, fmt = struct.unpack_from("!IhiH", body, end + 7)
        out.append((body[pos:end].decode(), oid, typmod, fmt))
        pos = end + 19
    return out


def connect(port, user, database, timeout):
    c = Connection("127.0.0.1", port, timeout)
    try:
        return c.login(user, "", database)
    except BaseException:
        c.close()
        raise
