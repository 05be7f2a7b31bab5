"""Clients that mean harm: what they send, by the state they are in when they send it."""
import random
import struct

import wire
from wire import cstr, msg

ALL_TYPES = [chr(c) for c in range(33, 127)] + ["\0", "\x7f", "\xff"]


def raw(kind, length, body=b""):
    return kind.encode("latin1") + struct.pack("!I", length) + body


def typed(kind, body=b""):
    return raw(kind, len(body) + 4, body)


# ---- bringing a connection into a state before login ----
def fresh(w):
    pass


def after_ssl_refused(w):
    w.ask(wire.GSS_CODE)


def after_tls(w):
    w.ask(wire.SSL_CODE)
    w.upgrade()


def auth_asked(w):
    w.send(wire.startup([("user", "app"), ("database", "wire")]))
    w.read_until("R")


def sasl_begun(w):
    auth_asked(w)
    w.send(wire.Scram("app", "x", "SCRAM-SHA-256").first())
    w.read_until("R")


def auth_failed(w):
    sasl_begun(w)
    w.send(msg("p", b"c=biws,r=nonsense,p=AAAA"))


STATES = [fresh, after_ssl_refused, after_tls, auth_asked, sasl_begun, auth_failed]


# ---- start-up packets ----
def sized_startups():
    """Names of 8 kB and more, and packets at and over the limit."""
    for n in (64, 255, 8000, 8192, 9900):
        yield "user-%d" % n, wire.startup([("user", "u" * n), ("database", "wire")])
        yield "database-%d" % n, wire.startup([("user", "app"), ("database", "d" * n)])
        yield "application_name-%d" % n, wire.startup([("user", "app"), ("application_name", "a" * n)])
        yield "options-%d" % n, wire.startup([("user", "app"), ("options", "-c work_mem=" + "1" * n)])
        yield "parameter-%d" % n, wire.startup([("user", "app"), ("p" * n, "x")])
    yield "many-parameters", wire.startup([("user", "app")] + [("p%d" % i, "") for i in range(1500)])
    yield "many-users", wire.startup([("user", "app%d" % i) for i in range(700)])
    yield "percent", wire.startup([("user", "%s%n%s%n"), ("database", "%s%n%x")])
    yield "conninfo-in-database", wire.startup([("user", "app"), ("database", "host=127.0.0.1 port=1 user=postgres")])
    yield "uri-in-database", wire.startup([("user", "app"), ("database", "postgresql://127.0.0.1:1/postgres")])
    yield "newline-in-user", wire.startup([("user", "app\nlevel=error forged=1"), ("database", "wire")])
    yield "invalid-utf8", wire.startup([("user", b"\xff\xfe"), ("database", b"\xc3")])
    yield "odd-strings", struct.pack("!II", 18, wire.PROTOCOL_3_0) + b"user\0app\0\0"[:10]
    yield "no-terminator", struct.pack("!II", 16, wire.PROTOCOL_3_0) + b"user\0app"
    yield "cancel-too-short", struct.pack("!III", 12, wire.CANCEL_CODE, 1)
    yield "cancel-long-key", struct.pack("!III", 12 + 300, wire.CANCEL_CODE, 1) + b"k" * 300
    yield "cancel-huge-key", struct.pack("!III", 9000, wire.CANCEL_CODE, 1) + b"k" * 8988


def bad_lengths():
    for n in (0, 1, 3, 0x7fffffff, 0x80000000, 0xffffffff):
        yield n


def sasl_initial(length, data=b"n,,n=,r=abcdef", mechanism="SCRAM-SHA-256"):
    return msg("p", cstr(mechanism) + struct.pack("!I", length) + data)


def sasl_firsts():
    for n in (0, 3, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff):
        yield "length-%x" % n, sasl_initial(n)
    for name, data in {
        "empty": b"", "no-gs2": b"r=abc", "y": b"y,,n=,r=abcdef", "authzid": b"n,a=postgres,n=,r=abc", "bare-n": b"n",
        "extension": b"n,,m=x,n=,r=abc", "no-nonce": b"n,,n=", "empty-nonce": b"n,,n=,r=", "zero": b"n,,n=\0,r=abc",
        "long-nonce": b"n,,n=,r=" + b"n" * 9000, "million-nonce": b"n,,n=,r=" + b"n" * 1000000, "comma": b",,,,,,,,",
        "binary": bytes(range(256)), "plus-without-tls": b"p=tls-server-end-point,,n=,r=abc",
    }.items():
        yield name, sasl_initial(len(data), data)
    yield "mechanism-unknown", sasl_initial(14, mechanism="PLAIN")
    yield "mechanism-long", sasl_initial(14, mechanism="M" * 100000)
    yield "mechanism-unterminated", msg("p", b"SCRAM-SHA-256")
    yield "nothing", msg("p")


def sasl_finals():
    for name, data in {
        "empty": b"", "no-proof": b"c=biws,r=x", "short-proof": b"c=biws,r=x,p=AA==", "bad-base64": b"c=biws,r=x,p=!!!!",
        "long-proof": b"c=biws,r=x,p=" + b"A" * 100000, "other-binding": b"c=eSws,r=x,p=" + b"A" * 44,
        "million": b"c=" + b"A" * 1000000, "zeroes": b"\0" * 100,
    }.items():
        yield name, msg("p", data)


# ---- after login ----
def mutated(rnd, data):
    """Bytes with some flipped, cut out, doubled or put in."""
    out = bytearray(data)
    for _ in range(rnd.randint(1, 6)):
        if not out:
            break
        i = rnd.randrange(len(out))
        what = rnd.randrange(4)
        if what == 0:
            out[i] = rnd.randrange(256)
        elif what == 1:
            del out[i:i + rnd.randint(1, 8)]
        elif what == 2:
            out[i:i] = out[i:i + rnd.randint(1, 16)]
        else:
            out[i:i] = bytes(rnd.randrange(256) for _ in range(rnd.randint(1, 5)))
    return bytes(out)


def valid_streams():
    """Message sequences that are right, to be made wrong by mutated()."""
    yield wire.query("select 1; select 'two'")
    yield wire.query("begin") + wire.query("select 1/0") + wire.query("rollback")
    yield (wire.parse("s", "select $1::int", [23]) + wire.describe("S", "s") + wire.bind("p", "s", ["1"], [0], [1])
           + wire.describe("P", "p") + wire.execute("p", 1) + wire.close("P", "p") + wire.close("S", "s") + wire.SYNC)
    yield wire.parse("", "select 1") + wire.bind("", "") + wire.execute() + wire.FLUSH + wire.SYNC
    yield wire.query("copy kv from stdin") + wire.copy_data(b"9000\tx\n") + wire.copy_fail("no")
    yield wire.query("copy (select 1) to stdout")
    yield wire.function_call(177, [b"\0\0\0\1", b"\0\0\0\2"], [1], 1)
    yield wire.query("prepare a as select 1") + wire.query("execute a") + wire.query("deallocate a")
    yield wire.query("set application_name = 'fuzz'") + wire.query("show application_name")


def random_stream(seed):
    rnd = random.Random(seed)
    streams = list(valid_streams())
    return b"".join(mutated(rnd, rnd.choice(streams)) for _ in range(rnd.randint(1, 4)))
