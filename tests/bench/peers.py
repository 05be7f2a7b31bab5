"""The peers of tests/bench/run: what stands between the load and PostgreSQL, each with the shortest configuration that does the same.

A peer that is not installed, or does not answer, is left out by name. Variables name programs that are not in the PATH: PGBOUNCER,
HAPROXY, PGPOOL, ODYSSEY, PGCAT, PGDOG, SPQR (the router), WEIR_BIN.
"""
import importlib.machinery
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
WEIR_BIN = os.path.abspath(os.environ.get("WEIR_BIN", os.path.join(TOP, "build", "release", "weir")))
POOL = 20
CLIENTS_MAX = 12000
USER = "trust_user"
MAP = """
    distributions = ( { name = "account"; kind = "hash"; type = "int4"; buckets = 64;
      placement = ( { shard = "s1"; buckets = "0-31"; }, { shard = "s2"; buckets = "32-63"; } ); } );
    tables = ( { name = "pgbench_accounts"; distribution = "account"; key = "aid"; } );
"""

def load_fleet_tool():
    loader = importlib.machinery.SourceFileLoader("fleet_tool", os.path.join(TOP, "tools", "fleet"))
    sys.dont_write_bytecode = True
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("fleet_tool", loader))
    loader.exec_module(module)
    return module


fleet_tool = load_fleet_tool()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def first_line(command):
    try:
        out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10).stdout
        return out.splitlines()[0].strip() if out else ""
    except (OSError, subprocess.TimeoutExpired):
        return ""


class Servers:
    """PostgreSQL servers with the pgbench tables, and a directory for files."""

    def __init__(self, scale, shards=1):
        self.scale = scale
        self.dir = tempfile.mkdtemp(prefix="weir-bench-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.fleet = fleet_tool.Fleet(os.path.join(self.dir, "fleet"))
        self.fleet.start(shards, 0, "bench", "off", {"max_connections": 300}, True)
        for i in range(shards):
            self.fleet.psql(self.primary(i), "GRANT ALL ON SCHEMA public TO PUBLIC")
            subprocess.run([os.path.join(fleet_tool.BIN, "pgbench"), "-h", "127.0.0.1", "-p", str(self.primary(i)["port"]), "-U", USER,
                            "-i", "-q", "-s", str(scale), "bench"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def primary(self, shard):
        return self.fleet.d["shards"][shard]["primary"]

    def close(self):
        self.fleet.stop(delete=True)
        shutil.rmtree(self.dir, ignore_errors=True)


class Peer:
    """Something that listens for clients. Subclasses write a configuration and say what to run."""
    database = "bench"
    clients_max = CLIENTS_MAX

    def __init__(self, name, what):
        self.name, self.what, self.process, self.port = name, what, None, free_port()

    def why_absent(self):
        return None

    def can(self, mode):
        return True

    def start(self, bench):
        os.makedirs(bench.dir, exist_ok=True)
        log_path = os.path.join(bench.dir, self.name + ".log")
        command = self.command(bench)
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=bench.dir)
        end = time.time() + 10
        while time.time() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        with open(log_path, errors="replace") as f:
            raise RuntimeError("%s does not listen: %s" % (self.name, " ".join(f.read()[-500:].split())))

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Direct(Peer):
    clients_max = 64

    def start(self, bench):
        self.port = bench.primary(0)["port"]


class Weir(Peer):
    def __init__(self, name, what, loop="auto", workers=1, routed=False):
        super().__init__(name, what)
        self.loop, self.workers, self.routed, self.tls = loop, workers, routed, None

    def why_absent(self):
        return None if os.access(WEIR_BIN, os.X_OK) else "%s is not there: run make" % WEIR_BIN

    def command(self, bench):
        shards = ['{ name = "s%d"; primary = "host=127.0.0.1 port=%d dbname=bench"; }' % (i + 1, bench.primary(i)["port"])
                  for i in range(2 if self.routed else 1)]
        conf = os.path.join(bench.dir, self.name + ".conf")
        users = os.path.join(bench.dir, "users.txt")
        with open(users, "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write('"%s" ""\n' % USER)
        with open(conf, "w") as f:
            f.write("""\
listen = { address = "127.0.0.1"; port = %d; %s};
workers = %d;
event_loop = "%s";
max_client_conn = %d;
auth = { type = "trust"; users_file = "%s"; };
server_tls = { mode = "disable"; };
log = { level = "warning"; };
databases = (
  { name = "bench"; pool_mode = "transaction"; pool_size = %d; default_shard = "s1";
    shards = ( %s );
%s } );
""" % (self.port, self.tls or "", self.workers, self.loop, CLIENTS_MAX, users, POOL, ", ".join(shards), MAP if self.routed else ""))
        return [WEIR_BIN, "serve", "-c", conf]


class PgBouncer(Peer):
    def __init__(self, name, what):
        super().__init__(name, what)
        self.tls = ""
        self.bin = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        found = re.search(r"(\d+)\.(\d+)", first_line([self.bin, "--version"]))
        self.version = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
        self.what = "PgBouncer %d.%d" % self.version

    def why_absent(self):
        return None if self.version > (0, 0) else "not installed"

    def can(self, mode):
        return mode != "prepared" or self.version >= (1, 21)

    def command(self, bench):
        conf = os.path.join(bench.dir, "pgbouncer.ini")
        with open(conf, "w") as f:
            f.write("[databases]\nbench = host=127.0.0.1 port=%d dbname=bench user=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                    "listen_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = %d\n"
                    "max_client_conn = %d\nserver_tls_sslmode = disable\nlog_connections = 0\nlog_disconnections = 0\n%s%s" % (
                        bench.primary(0)["port"], USER, self.port, POOL, CLIENTS_MAX,
                        "max_prepared_statements = 200\n" if self.version >= (1, 21) else "", self.tls))
        user = fleet_tool.server_user()
        return (["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"] if user else []) + [self.bin, conf]


class HAProxy(Peer):
    clients_max = 64  # each has a server connection of its own

    def __init__(self, name, what):
        super().__init__(name, what)
        self.bin = os.environ.get("HAPROXY") or shutil.which("haproxy") or "/usr/sbin/haproxy"
        self.what = "HAProxy %s, TCP mode" % (re.search(r"\d+\.\d+", first_line([self.bin, "-v"]) or "0.0").group(0))

    def why_absent(self):
        return None if os.access(self.bin, os.X_OK) else "not installed"

    def command(self, bench):
        conf = os.path.join(bench.dir, "haproxy.cfg")
        with open(conf, "w") as f:
            f.write("global\n  nbthread 1\n  maxconn %d\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n"
                    "  timeout server 1h\nlisten bench\n  bind 127.0.0.1:%d\n  server pg 127.0.0.1:%d\n" % (
                        self.clients_max * 4, self.port, bench.primary(0)["port"]))
        return [self.bin, "-db", "-f", conf]


class Named(Peer):
    """A program that a variable names, or that the PATH has."""
    variable = program = label = None

    def __init__(self):
        super().__init__(self.variable.lower(), self.label)
        self.bin = os.environ.get(self.variable) or shutil.which(self.program)

    def why_absent(self):
        return None if self.bin else "not installed; %s names it" % self.variable

    def file(self, bench, name, text):
        path = os.path.join(bench.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path


class Odyssey(Named):
    variable, program, label = "ODYSSEY", "odyssey", "Odyssey"

    def command(self, bench):
        return [self.bin, self.file(bench, "odyssey.conf", """\
daemonize no
log_to_stdout no
log_session no
workers 1
resolvers 1
client_max %d
listen { host "127.0.0.1" port %d tls "disable" }
storage "pg" { type "remote" host "127.0.0.1" port %d tls "disable" }
database "bench" { user "%s" { authentication "none" storage "pg" storage_db "bench" storage_user "%s"
  pool "transaction" pool_size %d pool_reserve_prepared_statement yes } }
""" % (CLIENTS_MAX, self.port, bench.primary(0)["port"], USER, USER, POOL))]


class PgCat(Named):
    variable, program, label = "PGCAT", "pgcat", "PgCat"

    def command(self, bench):
        return [self.bin, self.file(bench, "pgcat.toml", """\
[general]
host = "127.0.0.1"
port = %d
admin_username = "admin"
admin_password = "admin"
worker_threads = 1
prepared_statements_cache_size = 200
[pools.bench]
pool_mode = "transaction"
default_role = "any"
query_parser_enabled = false
[pools.bench.users.0]
username = "%s"
password = ""
pool_size = %d
auth_type = "trust"
[pools.bench.shards.0]
database = "bench"
servers = [["127.0.0.1", %d, "primary"]]
""" % (self.port, USER, POOL, bench.primary(0)["port"]))]


class PgDog(Named):
    variable, program, label = "PGDOG", "pgdog", "PgDog"

    def command(self, bench):
        conf = self.file(bench, "pgdog.toml", """\
[general]
host = "127.0.0.1"
port = %d
workers = 1
default_pool_size = %d
pooler_mode = "transaction"
auth_type = "trust"
[[databases]]
name = "bench"
host = "127.0.0.1"
port = %d
""" % (self.port, POOL, bench.primary(0)["port"]))
        users = self.file(bench, "pgdog-users.toml", '[[users]]\nname = "%s"\ndatabase = "bench"\npassword = "x"\n' % USER)
        return [self.bin, "--config", conf, "--users", users]


class Spqr(Named):
    variable, program, label = "SPQR", "spqr-router", "SPQR"

    def command(self, bench):
        init = self.file(bench, "spqr.sql", "CREATE DISTRIBUTION d COLUMN TYPES integer;\n"
                         "CREATE KEY RANGE k FROM 0 ROUTE TO sh1 FOR DISTRIBUTION d;\n"
                         "ALTER DISTRIBUTION d ATTACH RELATION pgbench_accounts DISTRIBUTION KEY aid;\n")
        return [self.bin, "run", "--config", self.file(bench, "spqr.yaml", """\
log_level: error
host: 127.0.0.1
router_port: '%d'
admin_console_port: '%d'
grpc_api_port: '%d'
router_mode: PROXY
with_coordinator: false
init_sql: %s
frontend_rules:
  - { usr: %s, db: bench, pool_mode: TRANSACTION, pool_prepared_statement: true, auth_rule: { auth_method: ok } }
backend_rules:
  - { usr: %s, db: bench, connection_limit: %d }
shards:
  sh1: { type: DATA, hosts: ['127.0.0.1:%d'] }
""" % (self.port, free_port(), free_port(), init, USER, USER, POOL, bench.primary(0)["port"]))]


class Pgpool(Named):
    """A process for every client, so only small numbers of clients are tried."""
    variable, program, label = "PGPOOL", "pgpool", "pgpool-II"
    clients_max = 64

    def command(self, bench):
        conf = self.file(bench, "pgpool.conf", """\
backend_clustering_mode = 'raw'
listen_addresses = '127.0.0.1'
port = %d
pcp_port = %d
unix_socket_directories = '%s'
pcp_socket_dir = '%s'
pid_file_name = '%s/pgpool.pid'
backend_hostname0 = '127.0.0.1'
backend_port0 = %d
num_init_children = %d
max_pool = 1
enable_pool_hba = off
""" % (self.port, free_port(), bench.dir, bench.dir, bench.dir, bench.primary(0)["port"], self.clients_max + 4))
        return [self.bin, "-n", "-f", conf]


def all_peers():
    return [Direct("direct", "PostgreSQL itself"),
            Weir("weir", "Weir, io_uring", "io_uring"),
            Weir("weir-epoll", "Weir, epoll", "epoll"),
            Weir("weir-routed", "Weir, routing by key over two shards", "io_uring", routed=True),
            Weir("weir-2", "Weir, two workers", "io_uring", workers=2),
            PgBouncer("pgbouncer", "PgBouncer"),
            HAProxy("haproxy", "HAProxy"), Odyssey(), PgCat(), PgDog(), Spqr(), Pgpool()]
