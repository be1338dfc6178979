# shellcheck shell=bash disable=SC2154
# The processes of a quick start: each is kept running by a keeper of its own. deploy/quickstart, which reads this,
# says where things lie: base, run, logs, keepers, conf, state.

keeper_pid() {
    # The keeper writes its pid into the file it holds locked; a lock nobody holds names nobody.
    [ -s "$keepers/$1.lock" ] || return 1
    if flock -n "$keepers/$1.lock" true; then return 1; fi
    cat "$keepers/$1.lock"
}

# keep NAME STOP-SIGNAL PIDFILE COMMAND...: starts the keeper unless it is there.
keep() {
    local name=$1 signal=$2 pidfile=$3
    shift 3
    keeper_pid "$name" >/dev/null && return 0
    setsid "$here/keeper" "$name" "$signal" "$pidfile" "$logs/$name.log" "$keepers/$name.lock" "$@" \
        </dev/null >/dev/null 2>&1 &
    disown
}

# unkeep NAME: stops the keeper and what it keeps; waits.
unkeep() {
    local pid i
    pid=$(keeper_pid "$1") || return 0
    kill "$pid" 2>/dev/null || return 0
    for ((i = 0; i < 600; i++)); do
        keeper_pid "$1" >/dev/null || return 0
        sleep 0.1
    done
    return 1
}

# wait_for SECONDS COMMAND...
wait_for() {
    local end=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# ---- all of them -----------------------------------------------------------------------------------------
stop_all() {
    unkeep forward && unkeep holdfastd && unkeep swtpm && unkeep postgres
}

stop_leftovers() {
    # A keeper that was killed leaves its program behind; each is known by its pid file and its command line.
    # A new keeper's program could not run beside it.
    local name file pid
    for name in forward holdfastd swtpm postgres; do
        if keeper_pid "$name" >/dev/null; then continue; fi
        file=$run/$name
        [ "$name" != holdfastd ] || file=$run/supervisor
        pid=$(cat "$file" 2>/dev/null) || continue
        if [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -F -e "$base/"; then
            # PostgreSQL ends its sessions at SIGINT; at SIGTERM it would wait for them.
            if [ "$name" = postgres ]; then kill -INT "$pid"; else kill -TERM "$pid"; fi 2>/dev/null || :
            wait_for 30 test ! -d "/proc/$pid" || return 1
        fi
        rm -f "$file"
    done
}

forwards() { grep -q '^destinations = ' "$conf" 2>/dev/null; }

show_status() {
    local name pid ok=0
    for name in postgres swtpm holdfastd forward; do
        [ "$name" != forward ] || forwards || continue
        [ "$name" != swtpm ] || [ -d "$tpmdir" ] || continue
        [ "$name" != postgres ] || [ -d "$pg" ] || continue
        if pid=$(keeper_pid "$name"); then
            echo "$name: kept by process $pid"
        else
            echo "$name: not running"
            ok=1
        fi
    done
    "$holdfast" --config "$conf" status || {
        ok=$?
        echo "deploy/quickstart --state $state starts what does not run; the log: $logs/holdfastd.log"
    }
    return "$ok"
}
