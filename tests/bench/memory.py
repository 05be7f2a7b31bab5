"""What an idle client costs a proxy: growth of its PSS (/proc/PID/smaps_rollup) over many clients, before and after a query each.

  /usr/bin/python3 tests/bench/memory.py [CLIENTS [TLS_CLIENTS]]      10000 and 2000 by default

Kernel memory is apart: the growth of Slab in /proc/meminfo, which has both ends of every connection in it.
"""
import os
import resource
import socket
import ssl
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peers  # noqa: E402

QUERY = b"Q" + struct.pack("!i", 4 + 9) + b"SELECT 1\0"


def raise_limits():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, 65536), max(hard, 65536)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def kb(path, name):
    with open(path) as f:
        for line in f:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


def until_ready(s):
    have = b""
    while True:
        got = s.recv(65536)
        if not got:
            raise RuntimeError("the proxy closed the connection")
        have += got
        while len(have) >= 5:
            size = 1 + struct.unpack("!i", have[1:5])[0]
            if len(have) < size:
                break
            if have[:1] == b"E":
                raise RuntimeError(have[5:size].replace(b"\0", b" ").decode(errors="replace"))
            if have[:1] == b"Z":
                return
            have = have[size:]


def connect(port, tls):
    s = socket.create_connection(("127.0.0.1", port), 30)
    if tls:
        s.sendall(struct.pack("!ii", 8, 80877103))
        if s.recv(1) != b"S":
            raise RuntimeError("no TLS")
        s = tls.wrap_socket(s)
    body = struct.pack("!i", 196608) + b"user\0" + peers.USER.encode() + b"\0database\0bench\0\0"
    s.sendall(struct.pack("!i", len(body) + 4) + body)
    until_ready(s)
    return s


def ask(s):
    s.sendall(QUERY)
    until_ready(s)


def measure(peer, n, tls=None):
    """Bytes a client: {"idle": …, "after": …, "kernel": …}"""
    rollup = "/proc/%d/smaps_rollup" % peer.process.pid
    first = [connect(peer.port, tls) for _ in range(20)]
    for s in first:
        ask(s)
    time.sleep(0.5)
    pss, slab = kb(rollup, "Pss"), kb("/proc/meminfo", "Slab")
    clients = []
    try:
        for _ in range(n):
            clients.append(connect(peer.port, tls))
        time.sleep(0.5)
        idle, kernel = kb(rollup, "Pss") - pss, kb("/proc/meminfo", "Slab") - slab
        for s in clients:
            ask(s)
        time.sleep(0.5)
        after = kb(rollup, "Pss") - pss
    finally:
        for s in clients + first:
            s.close()
    return {"clients": n, "idle": idle * 1024 / n, "after": after * 1024 / n, "kernel": kernel * 1024 / n}


def certificate(directory):
    key, cert = os.path.join(directory, "tls.key"), os.path.join(directory, "tls.crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=bench", "-keyout", key, "-out", cert], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.chmod(key, 0o644)
    return key, cert


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def measure_all(bench, n, n_tls):
    """[(what, tls, figures or the reason why not)] for those that pool."""
    raise_limits()
    key, cert = certificate(bench.dir)
    found = []
    for tls in (False, True):
        weir = peers.Weir("memory-weir", "Weir, io_uring", "io_uring")
        epoll = peers.Weir("memory-epoll", "Weir, epoll", "epoll")
        bouncer = peers.PgBouncer("memory-pgbouncer", "PgBouncer")
        if tls:
            weir.tls = epoll.tls = 'tls = { mode = "allow"; cert = "%s"; key = "%s"; }; ' % (cert, key)
            bouncer.tls = "client_tls_sslmode = allow\nclient_tls_key_file = %s\nclient_tls_cert_file = %s\n" % (key, cert)
        for p in (weir, epoll, bouncer):
            try:
                if p.why_absent():
                    raise RuntimeError(p.why_absent())
                p.start(bench)
                found.append((p.what, tls, measure(p, n_tls if tls else n, client_context() if tls else None)))
            except (RuntimeError, OSError) as e:
                found.append((p.what, tls, str(e).strip().splitlines()[0]))
            finally:
                p.stop()
    return found


def table(found):
    out = ["| | clients | idle | after a query each | kernel, both ends |", "|---|---|---|---|---|"]
    for what, tls, m in found:
        name = what + (", TLS" if tls else "")
        out.append("| %s | %s |" % (name, "– | – | – | %s" % m if isinstance(m, str) else "%d | %.0f | %.0f | %.0f" % (
            m["clients"], m["idle"], m["after"], m["kernel"])))
    return out


if __name__ == "__main__":
    bench = peers.Servers(1)
    try:
        print("\n".join(table(measure_all(bench, int(sys.argv[1]) if len(sys.argv) > 1 else 10000,
                                          int(sys.argv[2]) if len(sys.argv) > 2 else 2000))))
    finally:
        bench.close()
