"""Forwarding of the audit trail: every row arrives, whatever is killed, stalls or closes at any moment; what comes twice
came where something was killed; messages are those of RFC 5424; one forwarder for each destination, others stand by."""
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import client
import support
import tap
from forwarders import Forwarders, Receiver, Talker

FIELDS = ["stream", "seq", "opener", "operation", "result", "reason", "client", "client_id", "fingerprint", "address",
          "protocol", "correlation", "position", "object", "duration_us", "detail", "previous", "hash"]
ROWS = ("SELECT e.stream, e.seq, s.opener, e.operation, e.result, e.reason, e.client_name, e.client, e.fingerprint, "
        "e.address, e.protocol, e.correlation, e.position, e.object, e.duration_us, e.detail, "
        "encode(e.previous, 'hex'), encode(e.hash, 'hex') FROM audit.event e JOIN audit.stream s ON s.id = e.stream ")


def answers(state):
    """Whether the database does."""
    try:
        return state.psql("SELECT 1") == [["1"]]
    except RuntimeError:
        return False


def places(state):
    return {(r[0], int(r[1])) for r in state.psql("SELECT stream, seq FROM audit.event")}


def nasty_row(state):
    """A row of a stream of its own whose fields hold all that must be escaped, and one that is too long."""
    state.psql("""DO $$ DECLARE s uuid := gen_random_uuid(); o record; BEGIN
        SELECT * INTO o FROM audit.open_stream(s, 'forward "test" [1]');
        PERFORM audit.append(s, o.seq, o.hash, ARRAY[ROW(now(), NULL, E'a"b]c\\\\d\\n\u00fc\U0001F511', NULL, NULL, NULL,
            repeat('\u00fc', 1500), NULL, 'Get', NULL, 'Operation Failed', 'Item Not Found', NULL, '', o.hash,
            decode(repeat('ab', 32), 'hex'))::audit.entry], '{}', '{}', '{}', '{}'); END $$""", role="holdfast_server")


def fabricate(state, streams, rows):
    """Streams of rows whose hashes nobody will compute: taken away by the end of the test."""
    state.psql("""DO $$ DECLARE s uuid; o record; BEGIN FOR n IN 1 .. %d LOOP
        s := gen_random_uuid();
        SELECT * INTO o FROM audit.open_stream(s, 'forward-test-' || n);
        PERFORM audit.append(s, o.seq, o.hash, (SELECT array_agg(ROW(now(), NULL, 'made', NULL, NULL, NULL, NULL, i, 'Get',
            NULL, 'Success', NULL, i, NULL, o.hash, o.hash)::audit.entry) FROM generate_series(1, %d) AS i),
            '{}', '{}', '{}', '{}'); END LOOP; END $$""" % (streams, rows), role="holdfast_server")


def take_away(state):
    """The fabricated streams, past the triggers that forbid it: later tests verify the chain."""
    state.psql("""SET session_replication_role = replica;
        DELETE FROM audit.event WHERE stream IN (SELECT id FROM audit.stream WHERE opener LIKE 'forward%');
        DELETE FROM audit.stream WHERE opener LIKE 'forward%'""", role="postgres")


def check_calm(state, f, receiver):
    answer = f.command(receiver.name, "--once")
    rows = state.psql(ROWS)
    got = receiver.messages()
    tap.ok(answer.returncode == 0 and sorted(m.place for m in got) == sorted((r[0], int(r[1])) for r in rows),
           "with --once every row goes to the receiver, once", (answer.stderr, len(got), len(rows)))
    last, jumps = {}, []
    for stream, seq in (m.place for m in got):
        if seq != last.get(stream, 0) + 1:
            jumps.append((stream, seq))
        last[stream] = seq
    tap.ok(not jumps, "each stream arrives in its order", jumps)
    by_place, wrong = {m.place: m for m in got}, []
    for row in rows:
        message, want = by_place.get((row[0], int(row[1]))), {n: v for n, v in zip(FIELDS, row) if v != ""}
        if message is None or "cut" in message.fields:
            continue
        if {n: v for n, v in message.fields.items() if v != ""} != want or message.procid != row[0]:
            wrong.append((want, message.fields))
    tap.ok(not wrong, "a message has all fields of its row", wrong[:3])
    tap.ok({m.pri for m in got if m.fields["result"] == "Success"} == {13 * 8 + 6}
           and {m.pri for m in got if m.fields["result"] != "Success"} <= {13 * 8 + 4},
           "what failed has the severity of failures", {m.pri for m in got})
    odd = [m for m in got if m.fields["opener"] == 'forward "test" [1]' and m.fields["operation"] == "Get"]
    tap.ok(len(odd) == 1 and odd[0].fields["client"] == 'a"b]c\\d\n\u00fc\U0001F511' and odd[0].fields["cut"] == "correlation"
           and odd[0].fields["correlation"] == "\u00fc" * 1024 and "\n" not in odd[0].text and odd[0].msgid == "read",
           "escapes, characters and a long field arrive as they should", [m.fields for m in odd])
    status = f.status(receiver.name)
    tap.ok(status.get("rows_behind") == 0 and status["forwarded"] == len(rows) and not status["running"],
           "--status shows a destination that has all", status)
    answer = f.command(receiver.name, "--once")
    again = receiver.messages()
    tap.ok(answer.returncode == 0 and len(again) == len(got), "sent again is nothing", (len(again), len(got)))


class Storm:
    """Forwarders and receivers of all kinds, and what happens to them."""

    def __init__(self, state, f, receivers, seed):
        self.state, self.f, self.receivers, self.random = state, f, receivers, random.Random(seed)
        self.running = {r.name: [f.start(r.name)] for r in receivers}
        self.stop = threading.Event()
        self.traffic = threading.Thread(target=self.work, daemon=True)

    def work(self):
        """Requests that go on all the time; while the database is away they fail, and that is no matter here."""
        link = None
        while not self.stop.is_set():
            try:
                link = link or client.Connection(self.state.env)
                for _ in range(20):
                    link.call(client.get(client_nobody))
            except Exception:
                link = None
                time.sleep(0.2)

    def strike(self):
        for receiver in self.receivers:
            what = self.random.choice(["forwarder", "forwarder", "receiver", "stall", "rude", "both", "nothing"])
            if what in ("forwarder", "both"):
                self.running[receiver.name].pop().kill()
            if what in ("receiver", "both"):
                receiver.kill()
                time.sleep(self.random.random() * 0.2)
                receiver.start()
            if what == "stall":
                receiver.process.send_signal(signal.SIGSTOP)
                threading.Timer(self.random.random() * 3, receiver.process.send_signal, [signal.SIGCONT]).start()
            if what == "rude" and receiver.kind != "unix":
                receiver.process.send_signal(signal.SIGUSR1)
            if what in ("forwarder", "both"):
                self.running[receiver.name].append(self.f.start(receiver.name))

    def run(self, rounds):
        self.traffic.start()
        for n in range(rounds):
            fabricate(self.state, 2, 300)
            time.sleep(self.random.random() * 0.7)
            self.strike()
            if n == rounds // 2:
                old = self.state.kill("postgres", signal.SIGINT)
                support.wait_for(lambda: self.state.pid("postgres") != old, 60)
                support.wait_for(lambda: answers(self.state), 60)
            if n == rounds // 3:
                self.state.kill("worker-0")
        time.sleep(3.5)  # the last stall is over
        self.stop.set()
        self.traffic.join()


client_nobody = "00000000-0000-7000-8000-00000000f0ed"


def check_storm(state, f, receivers, rounds, seed):
    storm = Storm(state, f, receivers, seed)
    storm.run(rounds)
    for receiver in receivers:
        done = support.wait_for(lambda r=receiver: f.status(r.name).get("rows_behind") == 0, 60, 0.3)
        rows, got = places(state), [m.place for m in receiver.messages()]
        lost = rows - set(got)
        tap.ok(done and not lost, "%s: no row is lost, whatever was killed" % receiver.kind,
               "%d rows, %d lost, status %s, seed %d\n%s\n%s" % (len(rows), len(lost), f.status(receiver.name), seed,
                                                               sorted(lost)[:10], f.log()[-3000:]))
        tap.ok(not set(got) - rows, "%s: nothing else arrives" % receiver.kind, sorted(set(got) - rows)[:5])
        jumps = 0
        for connection in receiver.connections():
            last = {}
            for message in connection:
                stream, seq = message.place
                jumps += seq > last.get(stream, seq) + 1
                last[stream] = seq
        tap.ok(jumps == 0, "%s: no connection skips a row of a stream" % receiver.kind, jumps)
        tap.note("report forward %s: %d rows, %d of them twice or more" % (receiver.kind, len(rows), len(got) - len(set(got))))
    log = f.log()
    tap.ok(log.count("event=forward.active") > len(receivers) and not support.sanitizer_reports(log),
           "the forwarders began again, and no sanitizer had anything to say", log[-2000:])
    return storm


def check_calm_again(state, f, receivers):
    """Nothing is killed: nothing comes twice."""
    before = {r.name: len(r.messages()) for r in receivers}
    known = places(state)
    fabricate(state, 4, 500)
    new = places(state) - known
    for receiver in receivers:
        support.wait_for(lambda r=receiver: f.status(r.name).get("rows_behind") == 0, 60, 0.2)
        got = [m.place for m in receiver.messages()[before[receiver.name]:]]
        got = [p for p in got if p in new]
        tap.ok(len(got) == len(set(got)) == len(new) == 4 * 501, "%s: unharmed, every row arrives once" % receiver.kind,
               (len(got), len(set(got)), len(new)))


def check_standby(f, receiver, first):
    second = f.start(receiver.name)
    name = "event=forward.standby destination=%s" % receiver.name
    tap.ok(support.wait_for(lambda: name in f.log(), 20), "a second forwarder stands by", f.log()[-500:])
    taken = f.log().count("event=forward.active destination=%s" % receiver.name)
    first.kill()
    tap.ok(support.wait_for(lambda: f.log().count("event=forward.active destination=%s" % receiver.name) > taken, 20),
           "it takes over when the first one dies", f.log()[-500:])
    tap.ok(f.status(receiver.name)["running"], "--status shows that a forwarder runs")
    with open("/proc/%d/status" % second.pid, encoding="ascii") as status:
        text = status.read()
    tap.ok(not re.search(r"^Uid:\s+0\b", text, re.M) and re.search(r"^CapEff:\s+0+$", text, re.M),
           "the forwarder has no right of root", text)
    second.terminate()
    tap.ok(second.wait(30) == 0, "SIGTERM ends a forwarder")


def check_tls(state, f, receiver, top):
    """A receiver whose certificate is not that of the CA gets nothing."""
    wrong = os.path.join(top, "wrong.pem")
    make_certificate(top, "wrong", "localhost")
    f.configure([receiver], ca=wrong)
    count = len(receiver.messages())
    fabricate(state, 1, 1)
    answer = f.command(receiver.name, "--once")
    tap.ok(answer.returncode == 3 and b"not to be believed" in answer.stderr, "a certificate of another CA is refused",
           answer.stderr)
    tap.ok(len(receiver.messages()) == count, "and gets no row")
    trouble = f.status(receiver.name).get("trouble") or ""
    tap.ok("not to be believed" in trouble, "--status says what is wrong", trouble)
    receiver_ip = receiver.target.replace("localhost", "127.0.0.1")
    f.configure([receiver], ca=os.path.join(top, "tls.pem"), destinations=receiver_ip)
    answer = f.command(receiver.name, "--once")
    tap.ok(answer.returncode == 3 and b"IP address mismatch" in answer.stderr, "a certificate for another name is refused",
           answer.stderr)
    f.configure([receiver], ca=os.path.join(top, "tls.pem"))
    answer = f.command(receiver.name, "--once")
    status = f.status(receiver.name)
    tap.ok(answer.returncode == 0 and not status["trouble"] and len(receiver.messages()) > count,
           "with the right CA it goes on, and the trouble is over", (answer.stderr, status))


def check_from_now(state, f, receiver):
    f.configure([receiver], from_now="yes")
    f.command(receiver.name, "--once")
    first = len(receiver.messages())
    fabricate(state, 1, 50)
    answer = f.command(receiver.name, "--once")
    got = receiver.messages()
    tap.ok(answer.returncode == 0 and first < 60 and len(got) - first >= 51,
           "a destination that begins now gets what is written from now on", (first, len(got), answer.stderr))
    ready = state.psql("SELECT audit.forwarded_up_to(now() - interval '1 hour')")
    receiver.kill()
    fabricate(state, 1, 1)
    answer = f.command(receiver.name, "--once")
    tap.ok(answer.returncode == 3, "--once fails where the receiver is away", answer.stderr)
    behind = state.psql("SELECT audit.forwarded_up_to('infinity'), rows_behind > 0 FROM audit.forwarding WHERE destination = '%s'"
                        % receiver.name)
    tap.ok(ready == [["t"]] and behind == [["f", "t"]], "retention learns how far all destinations have come", (ready, behind))
    answer = f.command(receiver.name, "--forget", "--reason", "a test")
    noted = state.psql("SELECT count(*) FROM audit.events WHERE operation = 'Admin Forget Forwarding' AND detail = "
                       "'destination=%s reason=a test'" % receiver.name)
    tap.ok(answer.returncode == 0 and f.status(receiver.name) == {} and noted == [["1"]],
           "a destination is forgotten, and that is audited", (answer.stderr, noted))
    tap.ok(f.command(receiver.name, "--forget", "--reason", "a test").returncode == 1, "what is unknown cannot be forgotten")


def check_udp(state, f, receiver):
    f.configure([receiver], from_now="yes")
    answer = f.command(receiver.name, "--once")
    tap.ok(answer.returncode == 0 and b"event=forward.udp" in answer.stderr, "udp is warned of", answer.stderr)
    fabricate(state, 1, 20)
    f.command(receiver.name, "--once")
    tap.ok(support.wait_for(lambda: len(receiver.messages()) >= 21, 10), "udp sends each row as a datagram",
           len(receiver.messages()))


def check_recovery(state, f, receivers):
    """A session that is ended and made again: the trouble is over though there is nothing to send."""
    before = f.log().count("event=forward.recovered")
    state.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'holdfast_forward'", role="postgres")
    tap.ok(support.wait_for(lambda: f.log().count("event=forward.recovered") >= before + len(receivers), 20)
           and not any(f.status(r.name)["trouble"] for r in receivers), "a database that answers again ends the trouble",
           (f.log()[-1500:], [f.status(r.name) for r in receivers]))


def check_talkers(state, f, files):
    """Receivers that talk and talk hold nobody up for longer than the deadline."""
    for talker in (Talker("talks"), Talker("talks-tls", files)):
        name = talker.target.split("=")[0]
        f.configure([talker], from_now="yes", ca=files[0])
        f.command(name, "--once")
        fabricate(state, 1, 100)
        began = time.monotonic()
        answer = f.command(name, "--once")
        took = time.monotonic() - began
        tap.ok(answer.returncode == 3 and b"does not end its side" in answer.stderr and took < 20,
               "%s: who never ends its side is given up" % name, (took, answer.stderr))
        f.configure([talker], from_now="yes", ca=files[0], keep_open="yes")
        answer = f.command(name, "--once")
        tap.ok(answer.returncode == 0 and f.status(name).get("rows_behind") == 0 and time.monotonic() - began < 60,
               "%s: with keep_open it gets all" % name, answer.stderr)
        f.command(name, "--forget", "--reason", "a test")


def check_words(f):
    """Mistakes in the configuration are told with what is wrong."""
    for target, code, words in [("a=tls:host", 5, b"HOST:PORT"), ("a=mail:x:1", 5, b"the kinds are"),
                                ("a b=unix:/x", 5, b"NAME=KIND:ADDRESS"), ("a=unix:log", 5, b"whole path"),
                                ("b=unix:/x", 2, b"no destination 'a'"),
                                ("a=unix:/x, a=unix:/y", 5, b"two destinations")]:
        f.configure([], destinations=target)
        answer = f.command("a", "--once")
        tap.ok(answer.returncode == code and words in answer.stderr, "'%s' is told as wrong" % target, answer)


def check_rsyslog(state, f, top):
    """A receiver that many have: every message arrives and is taken apart as it should."""
    program = shutil.which("rsyslogd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not program:
        tap.skip("rsyslog takes the messages apart", "rsyslogd is not installed on this machine")
        return
    port, out = support.free_port(), os.path.join(top, "rsyslog.out")
    conf = os.path.join(top, "rsyslog.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write('global(workDirectory="%s" maxMessageSize="64k")\nmodule(load="imtcp")\nmodule(load="mmpstrucdata")\n'
                   'input(type="imtcp" port="%d" address="127.0.0.1")\naction(type="mmpstrucdata")\n'
                   'template(name="t" type="string" string="%%procid%% %%msgid%% %%app-name%% %%pri%% '
                   '%%$!rfc5424-sd!holdfast@32473!seq%%\\n")\naction(type="omfile" file="%s" template="t")\n'
                   % (top, port, out))
    with open(os.path.join(top, "rsyslog.log"), "wb") as log:
        process = subprocess.Popen([program, "-n", "-f", conf, "-i", os.path.join(top, "rsyslog.pid")], stdout=log, stderr=log)
    try:
        f.configure([], destinations="rsyslog=tcp:127.0.0.1:%d" % port)
        answer = support.wait_for(lambda: f.command("rsyslog", "--once").returncode == 0, 20, 0.5)
        want = {"%s %s" % p for p in places(state)}

        def arrived():
            if not os.path.exists(out):
                return set()
            with open(out, encoding="utf-8") as file:
                return {"%s %s" % (w[0], w[4]) for w in map(str.split, file) if len(w) == 5 and w[2] == "holdfast"}
        tap.ok(answer and support.wait_for(lambda: want <= arrived(), 20, 0.5), "rsyslog takes the messages apart",
               (len(want - arrived()), sorted(arrived())[:3]))
    finally:
        process.terminate()
        process.wait(20)


def make_certificate(top, name, host):
    """A certificate that is its own CA: the key beside it."""
    pem, key = os.path.join(top, name + ".pem"), os.path.join(top, name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=" + host, "-addext", "subjectAltName=DNS:" + host, "-keyout", key, "-out", pem],
                   check=True, capture_output=True)
    return pem, key


def run(state):
    top = os.path.join(state.top, "forward")
    os.mkdir(top)
    os.chmod(top, 0o755)
    f = Forwarders(state, top)
    rounds = max(6, min(20, int(os.environ.get("HOLDFAST_ROUNDS", "50")) // 3))
    files = make_certificate(top, "tls", "localhost")
    receivers = []
    try:
        nasty_row(state)
        fabricate(state, 3, 700)
        calm = Receiver(top, "calm", "unix-stream")
        receivers.append(calm)
        f.configure([calm])
        check_calm(state, f, calm)
        kinds = [Receiver(top, kind, kind, files if kind == "tls" else ()) for kind in ("tcp", "tls", "unix-stream", "unix")]
        receivers += kinds
        f.configure(kinds, ca=files[0])
        seed = int(os.environ.get("HOLDFAST_SEED", "0")) or random.randrange(1 << 30)
        tap.note("report forward: seed %d, %d rounds" % (seed, rounds))
        storm = check_storm(state, f, kinds, rounds, seed)
        check_calm_again(state, f, kinds)
        check_recovery(state, f, kinds)
        check_standby(f, kinds[0], storm.running["tcp"][0])
        f.end()
        check_tls(state, f, kinds[1], top)
        keep = Receiver(top, "keep", "tcp")
        receivers.append(keep)
        f.configure([keep], keep_open="yes")
        answer = f.command("keep", "--once")
        got = [m.place for m in keep.messages()]
        tap.ok(answer.returncode == 0 and len(got) == len(set(got)) and set(got) == places(state)
               and len(list(keep.connections())) == 1, "keep_open sends all on one connection", (answer.stderr, len(got)))
        late, lossy = Receiver(top, "late", "tcp"), Receiver(top, "lossy", "udp")
        receivers += [late, lossy]
        check_from_now(state, f, late)
        check_udp(state, f, lossy)
        check_talkers(state, f, files)
        check_words(f)
        check_rsyslog(state, f, top)
        f.configure(kinds)
        for name in [r.name for r in kinds] + ["calm", "keep", "lossy", "rsyslog"]:
            f.command(name, "--forget", "--reason", "the test is over")
    finally:
        f.end()
        for receiver in receivers:
            with contextlib.suppress(OSError):
                receiver.kill()
        support.wait_for(lambda: answers(state), 60)
        take_away(state)
        state.wait_serving()
    code, answer = state.json("audit", "verify")
    tap.ok(code == 0, "what was fabricated is gone: the chain is whole", answer)
