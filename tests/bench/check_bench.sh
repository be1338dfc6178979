#!/bin/sh
# The bench programs against each other: the generator drives the floor, every answer is counted,
# wrong sizes and a dead server are noticed, and the facts file is read back.
set -u
bin=$HOLDFAST_BUILD/tests/bench
dir=$(mktemp -d) || exit 99
floor=
trap '[ -n "$floor" ] && kill "$floor" 2>/dev/null; rm -rf "$dir"' EXIT
cd "$dir" || exit 99

certificate() { name=$1; shift; openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$name.key" -subj "/CN=$name" "$@" 2>/dev/null; }
certificate ca -x509 -days 2 -out ca.pem
for who in server client; do
    certificate $who -out $who.csr
    echo "subjectAltName=IP:127.0.0.1" >ext
    openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext \
        -out $who.pem 2>/dev/null
done

n=0
ok() {
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}
load() { "$bin/load" --port "$port" --cert client.pem --key client.key --ca ca.pem "$@"; }

echo 1..10
"$bin/tls_floor" --cert server.pem --key server.key --ca ca.pem --answer-bytes 800 >floor.out &
floor=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    port=$(sed -n 's/^port //p' floor.out)
    [ -n "$port" ] && break
    sleep 0.2
done

load --mode canned --count 2000 --connections 4 --depth 8 --answer-bytes 800 >out
ok $? "two thousand requests over four connections, eight under way on each"
grep -q '"ops":2000,.*"answers":2000,"refused":0,"wrong":0,"unknown":0,"reconnects":0' out
ok $? "each is answered once and counted once"
load --mode canned --count 50 --connections 2 --per-connection 5 --resume --answer-bytes 800 >out &&
    ! grep -q '"resumed":0' out
ok $? "connections made anew resume their TLS session"
load --mode handshake --count 40 --connections 4 >out &&
    grep -q '"answers":40,.*"handshakes":40,"resumed":0,' out
ok $? "handshakes by themselves are full ones"
load --mode handshake --count 40 --connections 4 --resume >out &&
    grep -q '"answers":40,.*"handshakes":40,"resumed":36,' out
ok $? "or resume, all but the first of each connection"
load --mode canned --connections 5 --hold --answer-bytes 800 </dev/null >out &&
    grep -q '^held 5$' out && grep -q '"answers":5,' out
ok $? "connections are held after one request each"
load --mode canned --count 10 --answer-bytes 400 >out 2>/dev/null
[ $? -eq 1 ]
ok $? "an answer of the wrong size is a wrong answer"
kill "$floor"
wait "$floor"
floor=
grep -q '^cpu_us [0-9]* answers 20[0-9][0-9]$' floor.out
ok $? "the floor tells its processor time"
load --mode canned --count 10 >out 2>/dev/null
[ $? -eq 2 ]
ok $? "without a server it says so"
"$bin/load" --help | grep -q -- --facts
ok $? "help names the options"
