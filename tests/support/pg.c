/*
 * The private PostgreSQL of the tests; see pg.h.
 */
#include "tests/support/pg.h"

#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void __attribute__((noreturn, format(printf, 1, 2))) give_up(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

/* Runs a command line, as postgres when we are root. */
static void __attribute__((format(printf, 2, 3))) run(const struct pg *pg, const char *fmt, ...)
{
    char command[1024], line[1536];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    snprintf(line, sizeof line, "cd / && %s %s/%s >>%s/out 2>&1",
             geteuid() == 0 ? "setpriv --reuid postgres --regid postgres --init-groups" : "",
             pg->bin, command, pg->dir);
    if (system(line) != 0) {
        char show[256];
        snprintf(show, sizeof show, "tail -n 20 %s/out >&2", pg->dir);
        if (system(show) != 0)
            fputs("no output\n", stderr);
        give_up("failed: %s", line);
    }
}

static void find_bin(struct pg *pg)
{
    glob_t found;
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0)
        give_up("PostgreSQL is not installed (package postgresql)");
    const char *last = found.gl_pathv[found.gl_pathc - 1];
    snprintf(pg->bin, sizeof pg->bin, "%.*s", (int)(strrchr(last, '/') - last), last);
    globfree(&found);
}

static void write_file(const struct pg *pg, const char *name, const char *mode, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/data/%s", pg->dir, name);
    FILE *f = fopen(path, mode);
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        give_up("cannot write %s", path);
}

void pg_open(struct pg *pg)
{
    *pg = (struct pg){0};
    find_bin(pg);
    snprintf(pg->dir, sizeof pg->dir, "/tmp/holdfast-pg-XXXXXX");
    if (!mkdtemp(pg->dir))
        give_up("mkdtemp: %s", strerror(errno));
    const struct passwd *owner = geteuid() == 0 ? getpwnam("postgres") : getpwuid(geteuid());
    if (!owner || (geteuid() == 0 && chown(pg->dir, owner->pw_uid, owner->pw_gid) != 0))
        give_up("there is no user to run PostgreSQL as");
    run(pg, "initdb -D %s/data -k -E UTF8 --locale=C.UTF-8 -U postgres -A peer", pg->dir);
    write_file(pg, "pg_hba.conf", "w", "local all all peer map=test\n");
    const struct passwd *me = getpwuid(geteuid());
    char ident[128];
    write_file(pg, "pg_ident.conf", "w", "");
    static const char *const roles[] = {"postgres",        "holdfast_owner",   "holdfast_migrator",
                                        "holdfast_server", "holdfast_policy",  "holdfast_auditor",
                                        "holdfast_backup", "holdfast_forward"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        snprintf(ident, sizeof ident, "test %s %s\n", me ? me->pw_name : "root", roles[i]);
        write_file(pg, "pg_ident.conf", "a", ident);
    }
    char settings[256];
    snprintf(settings, sizeof settings,
             "listen_addresses = ''\nunix_socket_directories = '%s'\nmax_connections = 40\n"
             "shared_buffers = 32MB\nlog_min_messages = warning\n",
             pg->dir);
    write_file(pg, "postgresql.conf", "a", settings);
    snprintf(pg->conninfo, sizeof pg->conninfo, "host=%s user=postgres", pg->dir);
    pg_start(pg);
}

void pg_start(struct pg *pg)
{
    run(pg, "pg_ctl -D %s/data -l %s/log -w start", pg->dir, pg->dir);
}

void pg_stop(struct pg *pg, const char *mode)
{
    run(pg, "pg_ctl -D %s/data -m %s -w stop", pg->dir, mode);
}

void pg_failover(struct pg *pg)
{
    pg_stop(pg, "fast");
    write_file(pg, "standby.signal", "w", "");
    pg_start(pg);
    run(pg, "pg_ctl -D %s/data -w promote", pg->dir);
}

void pg_close(struct pg *pg)
{
    char line[160];
    if (pg_pid(pg) > 0)
        pg_stop(pg, "immediate");
    snprintf(line, sizeof line, "rm -rf %s", pg->dir);
    if (system(line) != 0)
        fprintf(stderr, "could not remove %s\n", pg->dir);
}

pid_t pg_pid(const struct pg *pg)
{
    char path[128];
    int pid = 0;
    snprintf(path, sizeof path, "%s/data/postmaster.pid", pg->dir);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    if (fscanf(f, "%d", &pid) != 1)
        pid = 0;
    fclose(f);
    return pid;
}

const char *pg_conninfo(const struct pg *pg, const char *database, const char *role)
{
    static char text[4][256];
    static unsigned turn;
    char *out = text[turn++ % 4];
    snprintf(out, sizeof text[0], "host=%s dbname=%s user=%s", pg->dir, database, role);
    return out;
}

static void quiet(void *arg, const char *message)
{
    (void)arg, (void)message;
}

PGconn *pg_connect(const struct pg *pg, const char *database, const char *role)
{
    PGconn *c = PQconnectdb(pg_conninfo(pg, database, role));
    if (PQstatus(c) != CONNECTION_OK)
        give_up("%s", PQerrorMessage(c));
    PQsetNoticeProcessor(c, quiet, NULL);
    return c;
}

const char *pg_value(const struct pg *pg, const char *database, const char *role, const char *sql)
{
    static char text[4][4096];
    static unsigned turn;
    char *out = text[turn++ % 4];
    PGconn *c = pg_connect(pg, database, role);
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
        give_up("%s: %s", sql, PQresultErrorMessage(r));
    snprintf(out, sizeof text[0], "%s", PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    PQfinish(c);
    return out;
}

const char *pg_error(const struct pg *pg, const char *database, const char *role, const char *sql)
{
    static char state[8];
    PGconn *c = pg_connect(pg, database, role);
    PGresult *r = PQexec(c, sql);
    const char *s = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    snprintf(state, sizeof state, "%s", s ? s : "");
    PQclear(r);
    PQfinish(c);
    return state;
}
