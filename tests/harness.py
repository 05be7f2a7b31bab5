"""What the integration tests share: the fleet of PostgreSQL servers, Weir processes, their configuration and users.

Environment: WEIR_BIN the program (default build/asan/weir), WEIR_EVENT_LOOP auto, io_uring or epoll, WEIR_WORKERS,
WEIR_DIRECT=1 leaves Weir out and runs everything against PostgreSQL, which tests the tests. All files are under .test/.
"""
import glob
import importlib.machinery
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
sys.path[:0] = [HERE, os.path.join(HERE, "wire"), os.path.join(HERE, "it")]
import wire  # noqa: E402

WORK = os.environ.get("WEIR_TEST_DIR", os.path.join(TOP, ".test"))
WEIR_BIN = os.path.abspath(os.environ.get("WEIR_BIN", os.path.join(TOP, "build", "asan", "weir")))
EVENT_LOOP = os.environ.get("WEIR_EVENT_LOOP", "auto")
WORKERS = int(os.environ.get("WEIR_WORKERS", "2"))
DIRECT = os.environ.get("WEIR_DIRECT", "") not in ("", "0")
SHARDS, REPLICAS = 2, 1


def load_fleet_tool():
    path = os.path.join(TOP, "tools", "fleet")
    loader = importlib.machinery.SourceFileLoader("fleet_tool", path)
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader("fleet_tool", loader))
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = keep
    return module


fleet_tool = load_fleet_tool()
USERS = {name: v[0] for name, v in fleet_tool.USERS.items()}

# ---- the databases of the tests ----
SHOP_TABLES = """
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, country char(2), credit numeric(12,2) DEFAULT 0);
CREATE TABLE orders (customer_id bigint NOT NULL, id bigint NOT NULL, amount numeric(12,2), note text,
	PRIMARY KEY (customer_id, id));
CREATE TABLE events (happened_on date NOT NULL, id bigint NOT NULL, kind text, PRIMARY KEY (happened_on, id));
CREATE TABLE tenants (name text PRIMARY KEY, plan text);
CREATE TABLE notes (tenant text NOT NULL, id int NOT NULL, body text, PRIMARY KEY (tenant, id));
CREATE TABLE countries (code char(2) PRIMARY KEY, name text);
"""
SHOP_MAP = """
distributions = (
  { name = "customer"; kind = "hash"; type = "bigint"; buckets = 1024;
    placement = ( { shard = "s1"; buckets = "0-511"; }, { shard = "s2"; buckets = "512-1023"; } ); },
  { name = "day"; kind = "range"; type = "date";
    ranges = ( { to = "2026-01-01"; shard = "s1"; }, { from = "2026-01-01"; shard = "s2"; } ); },
  { name = "tenant"; kind = "directory"; type = "text"; default = "s1";
    entries = ( { key = "acme"; shard = "s2"; }, { key = "globex"; shard = "s1"; } ); } );
tables = (
  { name = "customers"; distribution = "customer"; key = "id"; },
  { name = "orders"; distribution = "customer"; key = "customer_id"; },
  { name = "events"; distribution = "day"; key = "happened_on"; },
  { name = "tenants"; distribution = "tenant"; key = "name"; },
  { name = "notes"; distribution = "tenant"; key = "tenant"; },
  { name = "countries"; reference = true; } );
"""
# The scripts' functions, which a database of several shards must know.
WIRE_FUNCTIONS = """
functions = ( { name = "say"; reference = true; }, { name = "boom"; reference = true; },
  { name = "two_steps"; reference = true; } );
"""


def psql_file(fleet, server, database, path):
    with open(path) as f:
        fleet.psql(server, f.read(), database)


def make_fleet():
    """The suite's fleet, running, with empty databases: shop and wire on every shard, drivers on the first."""
    fleet = fleet_tool.Fleet(os.path.join(WORK, "fleet"))
    fleet.start(SHARDS, REPLICAS, "shop", "off", {}, False)
    for shard in fleet.d["shards"]:
        p = shard["primary"]
        for db in ("shop", "wire", "drivers"):
            fleet.psql(p, "DROP DATABASE IF EXISTS %s WITH (FORCE)" % db, "postgres")
            fleet.psql(p, "CREATE DATABASE %s OWNER app" % db, "postgres")
        fleet.psql(p, "GRANT CREATE ON SCHEMA public TO PUBLIC; SET ROLE app;" + SHOP_TABLES +
                   "GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC", "shop")
        fleet.psql(p, "GRANT ALL ON SCHEMA public TO PUBLIC", "drivers")
        psql_file(fleet, p, "wire", os.path.join(HERE, "wire", "setup.sql"))
        psql_file(fleet, p, "wire", os.path.join(HERE, "wire", "reset.sql"))
    if not DIRECT:
        init_catalogs(fleet)
    fleet.wait_streaming()
    return fleet


def init_catalogs(fleet):
    """What transactions over shards need, in the databases of several shards."""
    w = Weir(fleet, "catalog")
    w.write()
    r = subprocess.run([WEIR_BIN, "catalog", "init", "-c", w.conf, "-u", "postgres"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=w.environment(), text=True, timeout=120)
    if r.returncode != 0:
        raise RuntimeError("weir catalog init:\n" + r.stdout + w.sanitizer_reports())


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- configuration ----
def quoted(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def conninfo(server, database, extra=""):
    return "host=127.0.0.1 port=%d dbname=%s%s" % (server["port"], database, " " + extra if extra else "")


def database_block(fleet, name, dbname, shards=None, replicas=True, settings="", map_text="", default="s1"):
    """One entry of `databases`. shards: names of the fleet's shards, all by default."""
    out = []
    for shard in fleet.d["shards"]:
        if shards and shard["name"] not in shards:
            continue
        reps = ", ".join(quoted(conninfo(r, dbname)) for r in shard["replicas"]) if replicas else ""
        out.append("      { name = %s; primary = %s; replicas = ( %s ); }" % (
            quoted(shard["name"]), quoted(conninfo(shard["primary"], dbname)), reps))
    return "  { name = %s; default_shard = %s; %s\n    shards = (\n%s );\n%s }" % (
        quoted(name), quoted(default), settings, ",\n".join(out), map_text)


def standard_databases(fleet):
    session = 'pool_mode = "session";'
    return [
        database_block(fleet, "shop", "shop", settings="pool_size = 10;", map_text=SHOP_MAP),
        database_block(fleet, "wire", "wire", ["s1"], False, "pool_size = 8;"),
        database_block(fleet, "wire_session", "wire", ["s1"], False, session + " pool_size = 8;"),
        database_block(fleet, "wire_sharded", "wire", None, False, "pool_size = 8;", WIRE_FUNCTIONS),
        database_block(fleet, "replication", "wire", ["s1"], False),
        database_block(fleet, "drivers", "drivers", ["s1"], False, "pool_size = 4;"),
        database_block(fleet, "drivers_session", "drivers", ["s1"], False, session + " pool_size = 20;"),
    ]


HBA = """\
local all trust_user trust
local all all scram-sha-256
hostssl all cert_user 127.0.0.1/32 cert
host all cert_user 127.0.0.1/32 reject
host all trust_user 127.0.0.1/32 trust
host all md5_user 127.0.0.1/32 md5
host all plain_user 127.0.0.1/32 password
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""


class Weir:
    """A Weir process: its configuration, life and log."""

    def __init__(self, fleet, name="weir", databases=None, extra="", hba=HBA, auth="", event_loop=EVENT_LOOP,
                 workers=WORKERS, edit=None):
        self.fleet, self.name = fleet, name
        self.dir = os.path.join(WORK, name)
        os.makedirs(self.dir, exist_ok=True)
        self.port = free_port()
        self.metrics_port = free_port()
        self.conf = os.path.join(self.dir, "weir.conf")
        self.log = os.path.join(self.dir, "weir.log")
        self.sanitizer = os.path.join(self.dir, "sanitizer")
        self.edit = edit or (lambda text: text)     # a last word on the configuration's text
        self.extra, self.hba, self.auth, self.event_loop, self.workers = extra, hba, auth, event_loop, workers
        self.databases = databases if databases is not None else standard_databases(fleet)
        self.process = None
        for old in glob.glob(self.sanitizer + ".*") + [self.log]:
            if os.path.exists(old):
                os.unlink(old)

    def write(self):
        """Writes the configuration files anew; called by start(), and before reload() by a test that changed something."""
        tls = self.fleet.d["tls_dir"]
        with open(os.path.join(self.dir, "users.txt"), "w") as f:
            os.fchmod(f.fileno(), 0o600)
            for user, password in USERS.items():
                f.write('"%s" "%s"\n' % (user, password or ""))
        with open(os.path.join(self.dir, "hba.conf"), "w") as f:
            f.write(self.hba)
        with open(self.conf, "w") as f:
            f.write(self.edit("""\
listen = { address = "127.0.0.1"; port = %d;
  tls = { mode = "prefer"; cert = "%s/server.crt"; key = "%s/server.key"; ca = "%s/ca.crt"; }; };
workers = %d;
event_loop = "%s";
auth = { type = "hba"; users_file = "users.txt"; hba_file = "hba.conf"; %s };
server_tls = { mode = "prefer"; cert = "%s/client-cert_user.crt"; key = "%s/client-cert_user.key"; };
admin_users = ( "postgres" );
stats_users = ( "weir" );
service_user = "weir";
metrics = { port = %d; };
server_login_retry = "200ms";
%s
%s
databases = (
%s
);
""" % (self.port, tls, tls, tls, self.workers, self.event_loop, self.auth, tls, tls,
       self.metrics_port, "" if "shutdown_timeout" in self.extra else 'shutdown_timeout = "8s";', self.extra, ",\n".join(self.databases))))

    def environment(self):
        env = dict(os.environ)
        # freed memory is kept aside for a while, but not so much that the tests of memory cannot see
        options = "log_path=%s:abort_on_error=0:exitcode=99:quarantine_size_mb=8" % self.sanitizer
        env["ASAN_OPTIONS"] = options + ":detect_leaks=1:" + env.get("ASAN_OPTIONS", "")
        env["UBSAN_OPTIONS"] = options + ":print_stacktrace=1"
        env["TSAN_OPTIONS"] = options + ":" + env.get("TSAN_OPTIONS", "")
        return env

    def start(self, wait_s=20, faults=None):
        self.write()
        env = self.environment()
        env.update(faults or {})
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([WEIR_BIN, "serve", "-c", self.conf], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=env, cwd=self.dir)
        end = time.time() + wait_s
        while True:
            if self.process.poll() is not None:
                raise RuntimeError("weir ended with %d:\n%s" % (self.process.returncode, self.log_tail()))
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if time.time() > end:
                    self.kill()
                    raise RuntimeError("weir does not listen:\n" + self.log_tail())
                time.sleep(0.05)

    def signal(self, sig):
        self.process.send_signal(sig)

    def reload(self):
        """SIGHUP with the files as they are now; returns when the log has a new line about it."""
        before = self.log_size()
        self.write()
        self.signal(signal.SIGHUP)
        end = time.time() + 5
        while time.time() < end:
            if re.search(r"reload|configuration", self.log_since(before)):
                return
            time.sleep(0.02)
        raise RuntimeError("no word about a reload in the log")

    def stop(self, wait_s=20):
        """SIGTERM and the end; returns the exit code."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(wait_s)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError("weir did not end on SIGTERM:\n" + self.log_tail())
        return self.process.returncode

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    # ---- log ----
    def log_size(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def log_since(self, offset):
        with open(self.log, "rb") as f:
            f.seek(offset)
            return f.read().decode("utf-8", "replace")

    def log_tail(self, n=4000):
        return self.log_since(max(0, self.log_size() - n)) + self.sanitizer_reports()

    def sanitizer_reports(self):
        """What the sanitizers wrote into files of their own, and what UBSan wrote to the log."""
        found = re.search(r"^.*runtime error: .*(?:\n +#.*)*", self.log_since(0) if os.path.exists(self.log) else "", re.M)
        out = "\n--- log\n" + found.group(0) if found else ""
        for path in sorted(glob.glob(self.sanitizer + ".*")):
            with open(path, errors="replace") as f:
                out += "\n--- %s\n%s" % (os.path.basename(path), f.read()[:8000])
        return out

    # ---- clients ----
    def connect(self, database="shop", user="app", **kw):
        return wire.connect("127.0.0.1", self.port, user, USERS[user] or "", database, **kw)

    def admin(self):
        return self.connect("weir", "postgres")


class Target:
    """Where a test's clients go: Weir, or a server straight."""

    def __init__(self, fleet, port, database, name):
        self.fleet, self.port, self.database, self.name = fleet, port, database, name
        self.host = "127.0.0.1"

    def connect(self, user="app", **kw):
        return wire.connect(self.host, self.port, user, USERS[user] or "", self.database, **kw)

    def as_script_target(self, timeout=6.0):
        return {"host": self.host, "port": self.port, "user": "app", "password": USERS["app"], "timeout": timeout,
                "database": self.database, "users": USERS, "tls_dir": self.fleet.d["tls_dir"]}

    def environment(self, user="app"):
        """libpq's variables, which every driver program here reads."""
        return {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": user, "PGPASSWORD": USERS[user] or "",
                "PGDATABASE": self.database}
