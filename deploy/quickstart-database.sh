# shellcheck shell=bash disable=SC2154
# The database of a quick start: a PostgreSQL cluster of its own, or that of --database. deploy/quickstart, which reads
# this, says where things lie (pg, pgsocket, run, state, registry) and for whom (human, database).

# ---- a cluster of its own --------------------------------------------------------------------------------
pg_bin() {
    # The newest server that is installed.
    find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -t/ -k5,5n | tail -n 1 | xargs -r dirname
}

as_postgres() { (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"); }

start_postgres() {
    local bin buffers role there
    bin=$(pg_bin)
    # A quarter of the memory, as its manual advises, from 128 MB to 1 GB.
    buffers=$(awk '/^MemTotal:/ { m = int($2 / 4096); print (m < 128 ? 128 : m > 1024 ? 1024 : m) }' /proc/meminfo)
    [ -n "$bin" ] || fail "no PostgreSQL server found under /usr/lib/postgresql"
    mkdir -p "$pgsocket"
    chown postgres: "$pgsocket"
    chmod 755 "$pgsocket"
    if [ ! -s "$pg/PG_VERSION" ]; then
        rm -rf "$pg"
        install -d -o postgres -g postgres -m 700 "$pg"
        as_postgres "$bin/initdb" --data-checksums --auth=peer --encoding=UTF8 --locale=C.UTF-8 \
            --username=postgres -D "$pg"
        {
            echo "# Written by deploy/quickstart: reached through a Unix socket only, as the user one is."
            echo "listen_addresses = ''"
            echo "unix_socket_directories = '$pgsocket'"
            echo "synchronous_commit = on"
            # PostgreSQL's own default of 128 MB does not hold the working set of a million keys.
            echo "shared_buffers = ${buffers}MB"
            # To make a segment of the WAL takes 10 ms in which nobody is answered: old ones are used again.
            echo "min_wal_size = 1GB"
            echo "max_wal_size = 4GB"
            echo "log_min_messages = warning"
            # Who tries to change the audit trail is refused, and seen here.
            echo "log_line_prefix = '%m [%p] %u '"
        } | as_postgres tee -a "$pg/postgresql.conf"
        echo "local all all peer map=holdfast" | as_postgres tee "$pg/pg_hba.conf"
    fi
    {
        echo "# map      system user  role"
        for role in postgres holdfast_migrator holdfast_policy holdfast_auditor holdfast_forward holdfast_server \
            holdfast_backup; do
            echo "holdfast   root         $role"
        done
        echo "holdfast   postgres     postgres"
        echo "holdfast   holdfast     holdfast_server"
        echo "holdfast   holdfast-forward holdfast_forward"
        [ "$human" = root ] || echo "holdfast   $human       holdfast_auditor"
    } | as_postgres tee "$pg/pg_ident.conf"
    keep postgres INT "$run/postgres" setpriv --reuid=postgres --regid=postgres --init-groups \
        "$bin/postgres" -D "$pg"
    wait_for 60 "$bin/pg_isready" -q -h "$pgsocket" -U postgres -d postgres
    "$bin/psql" -X -q -h "$pgsocket" -U postgres -d postgres -c 'SELECT pg_reload_conf()'
    there=$("$bin/psql" -X -At -h "$pgsocket" -U postgres -d postgres \
        -c "SELECT 1 FROM pg_database WHERE datname = 'holdfast'")
    [ -n "$there" ] || "$bin/psql" -X -q -h "$pgsocket" -U postgres -d postgres -c 'CREATE DATABASE holdfast'
}

# ---- the database of --database --------------------------------------------------------------------------
# The roles and their passwords belong to a whole cluster of PostgreSQL, not to one database of it: states whose
# databases lie in one cluster must agree.
agree_on_passwords() {
    local cluster name
    cluster=$(psql -X -At -d "$database" -c 'SELECT system_identifier FROM pg_control_system()')
    for name in dbpass dbpass.reader; do
        if [ ! -s "$registry/password.$cluster.$name" ]; then
            (umask 077 && od -An -N 24 -tx1 /dev/urandom | tr -d ' \n' >"$registry/password.$cluster.$name")
        fi
        (umask 077 && cp "$registry/password.$cluster.$name" "$state/.$name")
    done
    echo "$cluster" >"$state/.cluster"
    (umask 077 && printf '%s' "$database" >"$state/.database")
}

# The connection of --database, as the roles of the server: the same place, their own name and password.
external_conninfo() {
    local place options
    # shellcheck disable=SC2016
    place=$(psql -X -At -d "$database" -c '\echo host=:HOST port=:PORT dbname=:DBNAME') || return 1
    options=$(printf '%s' "$database" | grep -oE 'ssl(mode|rootcert)=[^& ]+' | tr '\n' ' ' || :)
    printf '%s %spassword=%s' "$place" "$options" "$(cat "$state/.dbpass")"
}

conninfo() {
    local external
    if [ -n "$database" ]; then
        external=$(external_conninfo) || return 1
        printf '%s user=%s' "$external" "$1"
    else
        printf 'host=%s dbname=holdfast user=%s' "$pgsocket" "$1"
    fi
}

# ---- of either -------------------------------------------------------------------------------------------
migrate() {
    local role
    hf db migrate --database "${database:-host=$pgsocket dbname=holdfast user=postgres}"
    [ -n "$database" ] || return 0
    # Passwords go through standard input: a command line can be read by everybody.
    for role in holdfast_migrator holdfast_policy holdfast_auditor holdfast_forward holdfast_server; do
        printf '\\set password %s\nALTER ROLE %s LOGIN PASSWORD :'"'password'"';\n' "$(cat "$state/.dbpass")" "$role"
    done | psql -X -q -v ON_ERROR_STOP=1 -d "$database"
    # Who runs this reads the audit trail with a name and a password that open nothing else.
    if [ -z "$(psql -X -At -d "$database" -c "SELECT 1 FROM pg_roles WHERE rolname = 'holdfast_reader'")" ]; then
        psql -X -q -d "$database" -c 'CREATE ROLE holdfast_reader LOGIN IN ROLE holdfast_auditor'
    fi
    printf '\\set password %s\nALTER ROLE holdfast_reader PASSWORD :'"'password'"';\n' \
        "$(cat "$state/.dbpass.reader")" | psql -X -q -v ON_ERROR_STOP=1 -d "$database"
}
