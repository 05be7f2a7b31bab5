"""Real drivers: each program in drivers/ runs against Weir (or the server itself, with WEIR_DIRECT=1) and checks itself."""
import os
import subprocess

import pytest

import harness

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "drivers")
BUILD = os.path.join(harness.WORK, "drivers")
NODE_DIR = os.environ.get("WEIR_NODE_DIR", "/usr/local/lib/weir-tests/node")
JDBC_JAR = "/usr/share/java/postgresql.jar"
PYTHON = "/usr/bin/python3"


def built(name, command, **env):
    """Compiles a driver program when its source is newer."""
    target, source = os.path.join(BUILD, name), os.path.join(HERE, command[-1])
    os.makedirs(BUILD, exist_ok=True)
    if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
        run = [c.replace("TARGET", target) for c in command[:-1]] + [source]
        r = subprocess.run(run, env={**os.environ, **env}, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=300)
        assert r.returncode == 0, r.stdout
    return target


def libpq():
    compile_it = 'gcc -std=gnu11 -Wall -Wextra -O1 -I/usr/include/postgresql -o TARGET "$0" -lpq'
    return [built("libpq", ["sh", "-c", compile_it, "driver_libpq.c"])]


def pgx():
    go = next(g for g in ("/usr/lib/go-1.19/bin/go", "/usr/bin/go", "go") if g == "go" or os.path.exists(g))
    return [built("pgx", [go, "build", "-o", "TARGET", "pgx/main.go"], GO111MODULE="off", GOPATH="/usr/share/gocode",
                  GOFLAGS="", GOCACHE=os.path.join(BUILD, "go-cache"), GOTOOLCHAIN="local", GOROOT="")]


def jdbc():
    built("DriverJdbc.class", ["javac", "-cp", JDBC_JAR, "-d", BUILD, "DriverJdbc.java"])
    return ["java", "-Xmx256m", "-cp", BUILD + ":" + JDBC_JAR, "DriverJdbc"]


def script(*command):
    return lambda: list(command[:-1]) + [os.path.join(HERE, command[-1])]


DRIVERS = {
    "psql": script("driver_psql.sh"),
    "libpq": libpq,
    "psycopg2": script(PYTHON, "driver_psycopg2.py"),
    "psycopg3": script(PYTHON, "driver_psycopg3.py"),
    "asyncpg": script(PYTHON, "driver_asyncpg.py"),
    "sqlalchemy": script(PYTHON, "driver_sqlalchemy.py"),
    "django": script(PYTHON, "driver_django.py"),
    "jdbc": jdbc,
    "pgx": pgx,
    "node_pg": script("node", "driver_node_pg.js"),
    "ruby_pg": script("/usr/bin/ruby", "driver_ruby_pg.rb"),
    "php_pdo": script("php", "driver_pdo.php"),
    "dbd_pg": script("/usr/bin/perl", "driver_dbd_pg.pl"),
}


@pytest.mark.parametrize("database", ["drivers"] if harness.DIRECT else ["drivers", "drivers_session"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_driver(driver, database, target):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG") and k != "GOROOT"}
    env.update(target(database).environment())
    env["NODE_PATH"] = os.path.join(NODE_DIR, "usr/share/nodejs") + ":/usr/share/nodejs"
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    r = subprocess.run(DRIVERS[driver](), env=env, cwd=harness.WORK, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, errors="replace", timeout=120)
    assert r.returncode == 0 and r.stdout.strip().endswith("PASS"), "exit code %d\n%s" % (r.returncode, r.stdout[-6000:])
