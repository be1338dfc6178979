"""What durable rows cost without a key server: pgbench sends SELECT and INSERT of N rows as one transaction in one
pipeline, on one connection to the same PostgreSQL; and what one fdatasync of a page costs in the same place."""
import glob
import os
import statistics
import subprocess
import tempfile
import time

SCRIPT = r"""\set first random(1, 10000 - {rows})
\startpipeline
BEGIN;
SELECT id, data FROM object WHERE id >= :first AND id < :first + {rows};
INSERT INTO audit (at, data) SELECT now(), repeat('x', 200) FROM generate_series(1, {rows});
COMMIT;
\endpipeline
"""


def program():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/pgbench"))
    return found[-1] if found else "pgbench"


def prepare(state):
    def psql(database, *commands):
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database,
                        *(part for c in commands for part in ("-c", c))], check=True,
                       env={"PATH": os.environ["PATH"], **state.env}, stdout=subprocess.DEVNULL)
    psql("postgres", "CREATE DATABASE bare")
    psql("bare", "CREATE TABLE object (id bigint PRIMARY KEY, data bytea)",
         "INSERT INTO object SELECT i, decode(repeat('00', 200), 'hex') FROM generate_series(1, 10000) i",
         "CREATE TABLE audit (id bigserial PRIMARY KEY, at timestamptz, data text)", "VACUUM ANALYZE")


def transactions(state, rows, seconds):
    """Latencies in microseconds: their median and 99th percentile."""
    with tempfile.TemporaryDirectory() as top:
        script = os.path.join(top, "script")
        with open(script, "w", encoding="ascii") as f:
            f.write(SCRIPT.format(rows=rows))
        subprocess.run([program(), "-n", "-M", "prepared", "-c", "1", "-T", str(max(1, round(seconds))), "-f", script,
                        "-l", "--log-prefix", os.path.join(top, "log"), "-U", "postgres", "bare"], check=True,
                       env={"PATH": os.environ["PATH"], **state.env}, capture_output=True)
        times = []
        for name in glob.glob(os.path.join(top, "log*")):
            with open(name, encoding="ascii") as f:
                times += [int(line.split()[2]) for line in f]
    times.sort()
    return {"p50_us": times[len(times) // 2], "p99_us": times[len(times) * 99 // 100]}


def fdatasync_us(state, count=100):
    times = []
    path = os.path.join(state.top, "fdatasync")
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(fd, bytes(8192 * count), 0)
        os.fsync(fd)
        for i in range(count):
            os.pwrite(fd, b"x" * 8192, 8192 * i)
            began = time.perf_counter()
            os.fdatasync(fd)
            times.append((time.perf_counter() - began) * 1e6)
    finally:
        os.close(fd)
        os.unlink(path)
    return statistics.median(times)
