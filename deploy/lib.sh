# shellcheck shell=bash disable=SC2034
# What deploy/quickstart and deploy/test share: the packages, a copy of the sources, the build, and how a
# step is told. Sourced, never run. Needs bash, coreutils and tar, nothing of the project.

# The Debian packages by what they are for. Where a name is not known to the system's archive, the
# installer leaves it out when it is in the second list.
packages_build=(gcc make autoconf automake pkg-config libc6-dev libssl-dev libtss2-dev libevent-dev
    libpq-dev libjansson-dev libinih-dev libseccomp-dev check)
packages_run=(postgresql postgresql-client swtpm openssl util-linux procps)
packages_optional=(libsystemd-dev)
packages_test=(python3)
packages_test_optional=(python3-pykmip systemd rsyslog)

fail() {
    printf '%s: %s\n' "${program:-holdfast}" "$*" >&2
    exit 1
}

now_ms() { date +%s%3N; }

seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# step TEXT COMMAND...: says TEXT, runs the command with its output in $step_log, says how long it took.
step_log=/dev/null
step() {
    local text=$1 began status before=0
    shift
    began=$(now_ms)
    [ ! -f "$step_log" ] || before=$(wc -l <"$step_log")
    printf '==> %s\n' "$text"
    # Not as a condition: that would switch off `set -e` inside.
    set +e
    (
        set -e
        "$@"
    ) >>"$step_log" 2>&1
    status=$?
    set -e
    if [ "$status" = 0 ]; then
        printf '    done in %s\n' "$(seconds_since "$began")"
        return
    fi
    printf '    FAILED after %s\n' "$(seconds_since "$began")" >&2
    if [ "$step_log" != /dev/null ]; then
        printf '    the last lines of %s:\n' "$step_log" >&2
        tail -n "+$((before + 1))" "$step_log" | tail -n 25 | sed 's/^/    | /' >&2
    fi
    exit 1
}

package_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] && return 0
    # A virtual name (pkg-config on Debian 13 is provided by pkgconf).
    [ "$1" = pkg-config ] && command -v pkg-config >/dev/null
}

# packages_missing NAME...: prints those that are not installed.
packages_missing() {
    local p
    for p in "$@"; do
        package_installed "$p" || printf '%s\n' "$p"
    done
}

# packages_install OPTIONAL-LIST-NAME NAME...: installs what is missing; touches no network otherwise.
# Packages of the optional list are tried one by one, and left out if the archive does not have them.
packages_install() {
    local -n optional_list=$1
    local missing wanted extra p no_cluster=/etc/postgresql-common/createcluster.conf made=
    shift
    mapfile -t missing < <(packages_missing "$@")
    mapfile -t extra < <(packages_missing "${optional_list[@]}")
    [ ${#missing[@]} -gt 0 ] || [ ${#extra[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        [ ${#missing[@]} -eq 0 ] && return 0
        fail "these packages are missing and there is no apt-get to install them: ${missing[*]}"
    fi
    # An optional package that is not to be had must not make every run ask the network again.
    if [ ${#missing[@]} -eq 0 ] && [ -e "$packages_asked" ]; then
        return 0
    fi
    [ "$(id -u)" = 0 ] || fail "root is needed to install: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update || [ ${#missing[@]} -eq 0 ] || fail "apt-get update failed; missing: ${missing[*]}"
    wanted=("${missing[@]}")
    for p in "${extra[@]}"; do
        if [ -n "$(apt-cache madison "$p" 2>/dev/null)" ]; then
            wanted+=("$p")
        fi
    done
    # The package of PostgreSQL makes and starts a cluster of its own unless told not to.
    if ! package_installed postgresql-common && [ ! -e "$no_cluster" ]; then
        mkdir -p "${no_cluster%/*}"
        echo "create_main_cluster = false" >"$no_cluster"
        made=$no_cluster
    fi
    if [ ${#wanted[@]} -gt 0 ]; then
        apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold "${wanted[@]}" ||
            fail "apt-get could not install: ${wanted[*]}"
    fi
    [ -z "$made" ] || echo "the default PostgreSQL cluster was left unmade, see $made"
    : >"$packages_asked" 2>/dev/null || :
}
packages_asked=/var/tmp/.holdfast-packages-asked

# sources_copy FROM TO: the sources without what a build or the version control left there. Times are kept,
# so make rebuilds only what changed.
sources_copy() {
    local from=$1 to=$2 list
    list=$(mktemp)
    mkdir -p "$to"
    if git -c safe.directory='*' -C "$from" ls-files -z -co --exclude-standard >"$list" 2>/dev/null &&
        [ -s "$list" ]; then
        (cd "$from" && while IFS= read -r -d '' f; do
            if [ -e "$f" ] || [ -L "$f" ]; then printf '%s\0' "$f"; fi
        done <"$list") >"$list.there"
    else
        (cd "$from" && find . \( -name .git -o -name autom4te.cache -o -name '*.o' -o -name '*.a' \
            -o -name config.status -o -name .deps \) -prune -o \( -type f -o -type l \) -print0) >"$list.there"
    fi
    # What is gone from the sources must go from the copy, or make would still find it.
    if [ -e "$to/.list" ]; then
        LC_ALL=C comm -z -23 <(LC_ALL=C sort -z "$to/.list") <(LC_ALL=C sort -z "$list.there") |
            (cd "$to" && xargs -0 -r rm -f --)
    fi
    tar -C "$from" --null --no-recursion -T "$list.there" -cf - | tar -C "$to" --no-same-owner -xpf -
    mv "$list.there" "$to/.list"
    rm -f "$list"
}

# build_tree SRC BUILD CONFIGURE-OPTION...: autoreconf if needed, configure if the options changed, make.
build_tree() {
    local src=$1 build=$2 jobs newer=yes
    shift 2
    jobs=$(nproc)
    mkdir -p "$build"
    [ ! -x "$src/configure" ] || newer=$(find "$src/configure.ac" "$src/m4" -newer "$src/configure" -print -quit)
    if [ -n "$newer" ]; then
        (cd "$src" && autoreconf -i)
    fi
    if [ ! -e "$build/Makefile" ] || [ "$(cat "$build/.options" 2>/dev/null)" != "$*" ]; then
        (cd "$build" && "$src/configure" "$@")
        printf '%s' "$*" >"$build/.options"
    fi
    make -C "$build" -j"$jobs"
}
