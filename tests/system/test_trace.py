"""holdfast trace: what a client asks and is answered, from all workers, without secrets; slow readers lose, the server
does not wait; the audit tells who watched whom."""
import base64
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import client
import tap
from client import BYTES, ENUM, INT, STRUCT, TEXT, item
from support import MAIN, wait_for
from test_revocation import add_client


class Trace:
    """A running `holdfast trace`. lines: what it has printed; with --json, blocks() are the objects."""

    def __init__(self, state, *args, read=True):
        self.state = state
        told, want = state.log().count("event=trace.begin"), 1 + len(state.workers())
        env = {"PATH": os.environ["PATH"], **state.env, "HOLDFAST_CONFIG": state.conf}
        self.process = subprocess.Popen([os.path.join(MAIN, "holdfast"), "trace", *args], env=env, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.lines = []
        self.begun = wait_for(lambda: state.log().count("event=trace.begin") >= told + want, 15)
        if read:
            self.read()

    def read(self):
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def blocks(self):
        return [json.loads(line) for line in list(self.lines)]

    def wait(self, condition, seconds=10):
        """Until some block fulfils it; None if none does."""
        return wait_for(lambda: next((b for b in self.blocks() if condition(b)), None), seconds)

    def text(self):
        return "".join(self.lines)

    def end(self):
        """By an interrupt, as people end it. Its exit code."""
        self.process.send_signal(2)
        code = self.process.wait(20)
        self.reader.join(20)
        return code


def answers(blocks, operation):
    return [b for b in blocks if b.get("event") == "answer" and operation in b["operations"]]


def check_both_workers(state, trace, sentence):
    """Connections enough that each worker has some; all of them are traced."""
    before = len(answers(trace.blocks(), "Locate"))
    addresses = set()
    for _ in range(24):
        link = client.Connection(state.env)
        addresses.add("%s:%d" % link.tls.getsockname()[:2])
        link.call(client.locate("trace-none"))
        link.close()
    wait_for(lambda: len(answers(trace.blocks(), "Locate")) >= before + 24, 10)
    seen = {b["address"] for b in answers(trace.blocks(), "Locate")}
    tap.ok(addresses <= seen, sentence, "%d of %d" % (len(addresses & seen), len(addresses)))


def check_messages(state):
    files, _ = add_client(state, "traced-1")
    trace = Trace(state, "traced-1", "--json")
    tap.ok(trace.begun, "a trace begins in every worker", state.log()[-2000:])
    link, other = client.Connection(state.env, **files), client.Connection(state.env)
    made = link.call(client.create("traced-key"))
    link.call(client.get(made.uid))
    other.call(client.get(made.uid))
    link.call(client.get("00000000-0000-7000-8000-00000000ffff"))
    failed = trace.wait(lambda b: b.get("event") == "answer" and b["operations"] == ["Get"]
                        and b["items"][0]["result"] != "RC_OK")
    blocks = trace.blocks()
    told = [(b["event"], b["operations"]) for b in blocks if "operations" in b]
    tap.ok(told[:4] == [("request", ["Create"]), ("answer", ["Create"]), ("request", ["Get"]), ("answer", ["Get"])],
           "requests and answers are told in their order", told)
    tap.ok(failed and failed["items"][0]["result"] == "RC_NOT_FOUND" and failed["items"][0]["why"] == "no such object",
           "a refusal tells its reason", failed)
    tap.ok(all(b.get("client") == "traced-1" for b in blocks if "operations" in b) and len(told) == 6,
           "another client's messages are not in it", told)
    tap.ok(any(b["event"] == "connection" and b["what"] == "connected" and "TLS" in b["tls"] for b in blocks),
           "connections are told", blocks[:2])
    link.close()
    other.close()
    tap.ok(trace.wait(lambda b: b.get("what") == "closed"), "and their ends")
    ended = state.log().count("event=trace.end")
    tap.ok(trace.end() == 0, "an interrupt ends it")
    tap.ok(wait_for(lambda: state.log().count("event=trace.end") > ended + len(state.workers()), 10),
           "and the workers trace no more")
    rows = state.psql("SELECT operation, client, detail, result FROM audit.events WHERE operation LIKE 'Admin % Trace'"
                      " ORDER BY at")
    tap.ok([r[0] for r in rows[-2:]] == ["Admin Begin Trace", "Admin End Trace"] and rows[-1][2] == "client:traced-1"
           and rows[-1][1].startswith("root (uid 0, pid "), "the audit has who watched whom, from when to when",
           rows[-3:])


def check_text(state):
    trace = Trace(state, "*", "--count", "3")
    link = client.Connection(state.env)
    link.call(client.create("trace-text", extra=[client.attribute("x-Mine", TEXT, "my own words")]))
    link.call(client.locate("x"))
    code = trace.process.wait(20)
    trace.reader.join(5)
    text = trace.text()
    tap.ok(code == 0 and text.count("\n\n") == 3, "--count ends it after so many messages", text)
    tap.ok('"first" 127.0.0.1:' in text and " request: KMIP 1.4, Create, " in text
           and "\n            Attribute Value: Encrypt | Decrypt\n" in text
           and "\n        Object Type: Symmetric Key\n" in text,
           "the text names tags and values", text)
    tap.ok("Attribute Value: (TextString, 12 bytes)" in text and "my own words" not in text,
           "a client's own attribute shows its length alone", text)
    began = time.monotonic()
    answer = state.holdfast("trace", "--address", "192.0.2.77", "--for", "1")
    tap.ok(answer.returncode == 0 and not answer.stdout and 0.9 < time.monotonic() - began < 10,
           "--for ends it after so long", answer.stderr)
    trace = Trace(state, "first", "--json", "--for", "2")
    while trace.process.poll() is None and time.monotonic() - began < 30:
        link.call(client.locate("busy"))
    tap.ok(trace.process.poll() == 0 and len(answers(trace.blocks(), "Locate")) > 10, "also when it is busy")
    trace = Trace(state, "--address", "127.0.0.1", "--json")
    link.call(client.locate("x"))
    tap.ok(trace.wait(lambda b: b.get("event") == "request"), "--address watches whoever comes from there")
    trace.end()
    link.close()


def check_no_request(state):
    """What never becomes a request."""
    files, _ = add_client(state, "traced-2")
    trace = Trace(state, "traced-2", "--json")
    folder = os.path.join(state.top, "traced-foreign")
    os.mkdir(folder)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem", "-days", "2", "-subj", "/CN=x",
                    "-addext", "subjectAltName=URI:urn:holdfast:client:traced-2"], check=True, capture_output=True)

    def attempt(data=None, **own):
        try:
            link = client.Connection(state.env, timeout=10, **own)
            if data is not None:
                link.tls.sendall(data)
                link.tls.recv(1)
            else:
                link.call(client.locate("x"))
        except (OSError, ssl.SSLError):
            pass

    attempt(cert=folder + "/cert.pem", key=folder + "/key.pem")
    told = trace.wait(lambda b: b.get("what") == "tls failed")
    tap.ok(told and told["why"] == "self-signed certificate" and told["name"].endswith(":traced-2") and told["serial"],
           "a handshake that fails is told by the name of the certificate that failed", trace.text())
    attempt(b"GET / HTTP/1.1\r\n\r\n", **files)
    tap.ok(trace.wait(lambda b: b.get("what") == "malformed"), "what is no KMIP is told", trace.text())
    attempt(bytes.fromhex("4200780100000010420077010000000c0000000000000000"), **files)
    told = trace.wait(lambda b: b.get("event") == "request" and b["message"] is None)
    tap.ok(told and "length" in told["error"], "a message that cannot be decoded is told with its reason", trace.text())
    state.psql("SELECT policy.client_enable('traced-2', false)", role="holdfast_policy")
    attempt(**files)
    told = trace.wait(lambda b: b.get("what") == "refused")
    tap.ok(told and "disabled" in told["why"], "a client that is not let in is told", trace.text())
    trace.end()


def check_killed_worker(state):
    trace = Trace(state, "first", "--json")
    check_both_workers(state, trace, "all workers are traced")
    name = state.workers()[0]
    before = state.kill(name)
    tap.ok(wait_for(lambda: state.pid(name) not in (None, before), 20) and state.wait_serving(), "a worker is killed")
    check_both_workers(state, trace, "a worker that was started again traces as well")
    state.holdfast("status")
    tap.ok(trace.process.poll() is None, "the trace outlives the worker")
    trace.end()


def check_limits(state):
    several = [Trace(state, "nobody-%d" % i) for i in range(4)]
    answer = state.holdfast("trace", "nobody-5")
    tap.ok(answer.returncode == 4 and b"end another" in answer.stderr, "there are four traces at a time", answer.stderr)
    for trace in several:
        trace.end()
    tap.ok(wait_for(lambda: state.holdfast("trace", "x", "--for", "1").returncode == 0, 10),
           "another one when they end")
    for args in ([], ["a", "--address", "b"], ["x" * 300], ["a\nb"]):
        answer = state.holdfast("trace", *args)
        tap.ok(answer.returncode == 2, "trace %s is refused as usage" % [a[:9] for a in args], answer.stderr)


def control(state, command):
    """The answer of the control socket to root, as text."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(os.path.join(state.env["HOLDFAST_RUN"], "control.sock"))
        s.sendall(command.encode() + b"\n")
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def check_no_audit(state):
    """What cannot be written to the audit is not done."""
    digest = "5a" * 32
    state.stop_one("postgres")
    answer = state.holdfast("trace", "first", "--for", "1")
    tap.ok(answer.returncode == 4 and b"audit" in answer.stderr and not answer.stdout, "no audit, no trace",
           answer.stderr)
    said = control(state, "sign-stub " + digest)
    tap.ok("cannot be written to the audit" in said and "signature\":" not in said, "and no signature", said)
    state.start_one("postgres")
    tap.ok(state.wait_serving() and state.wait_all_open()
           and state.holdfast("trace", "first", "--for", "1").returncode == 0, "it can be had again with the database")
    said = control(state, "sign-stub " + digest)
    rows = state.psql("SELECT client FROM audit.events WHERE operation = 'Admin Sign Audit Stub' AND detail = 'digest=%s'" % digest)
    tap.ok(json.loads(said).get("ok") and rows and rows[-1][0].startswith("root (uid 0, pid "),
           "a signature too, and the audit has who asked for it", (said, rows))
    tap.ok([c in line for line in state.log().splitlines() if digest in line.lower() for c in ("audited=no", "audited=yes")]
           == [True, False, False, True], "and the log, both times", [line for line in state.log().splitlines() if "stub" in line])


def check_slow_reader(state):
    trace = Trace(state, "first", "--json", read=False)
    link = client.Connection(state.env)
    times = []
    for _ in range(1500):
        began = time.monotonic()
        link.call(client.locate("slow-reader"))
        times.append(time.monotonic() - began)
    link.close()
    times.sort()
    tap.ok(times[-1] < 2, "a reader that does not read does not slow the server", times[-5:])
    trace.read()
    lost = wait_for(lambda: sum(b.get("lost", 0) for b in trace.blocks()), 15)
    time.sleep(1.5)
    lost = sum(b.get("lost", 0) for b in trace.blocks())
    told = sum("operations" in b for b in trace.blocks())
    tap.ok(lost and lost + told >= 3000, "and is told how much it has lost", "lost %s, told %d" % (lost, told))
    trace.end()


MARK = b"hOLdFaST*sEcReT!" * 2


def encodings():
    """The mark as it might be shown: as it is, in numbers of any base, turned round, and what of it base64 has whatever
    stands before it."""
    raw = MARK[:16]
    found = {raw, raw[::-1], raw.hex().encode(), raw.hex().upper().encode(), raw[::-1].hex().encode(),
             " ".join("%02x" % b for b in raw).encode(), ":".join("%02X" % b for b in raw).encode(),
             "".join("\\x%02x" % b for b in raw).encode(), "".join("\\u%04x" % b for b in raw).encode(),
             ", ".join(str(b) for b in raw).encode(), base64.b32encode(raw)[:20], raw.decode().encode("utf-16-le"),
             str(int.from_bytes(raw, "big")).encode()}
    for shift in range(3):
        found.add(base64.b64encode(bytes(shift) + MARK)[4:36])
    for start in range(0, 16, 8):
        found.add(str(int.from_bytes(raw[start:start + 8], "big")).encode())
    found.add(str(int.from_bytes(raw[:4], "big")).encode())
    return found


# Tags whose values are secret, or may be, by themselves, and two that KMIP does not have: each is sent as bytes, as
# text, as numbers, and as a structure.
SECRET_TAGS = [
    0x420043, 0x420045, 0x4200A1, 0x420025, 0x4200C2, 0x42003D, 0x42003A, 0x42002E, 0x42005E, 0x420071,
    0x420037, 0x42009F, 0x420063, 0x42003F, 0x4200C3, 0x4200C6, 0x4200C8, 0x4200C9, 0x4200CA, 0x42005A,
    0x420030, 0x420084, 0x42000B, 0x42009C, 0x420051, 0x420099, 0x420002, 0x420022, 0x420080, 0x4200FC,
    0x4200FD, 0x420141, 0x420156, 0x420157, 0x420155, 0x42014B, 0x420060, 0x420027, 0x42001E, 0x4200FE,
    0x4200FF, 0x4200D1, 0x4200B0, 0x42015B, 0x4200FB, 0x4200B9, 0x4200CB, 0x4200D6, 0x540001, 0x42FFFF,
]
PARTS = 4  # of the tags: a message with all of them would be cut


def secret_items(tag):
    text, number = MARK.decode(), int.from_bytes(MARK[:4], "big")
    return [item(tag, BYTES, MARK), item(tag, TEXT, text), item(tag, INT, number), item(tag, client.BIG, MARK),
            item(tag, client.LONG, int.from_bytes(MARK[:8], "big")),
            item(tag, STRUCT, [item(0x420094, TEXT, text), item(0x420043, BYTES, MARK)])]


def marked_message(operation, version, part):
    credential = item(0x42000C, STRUCT, [item(0x420023, STRUCT, [
        item(0x420024, ENUM, 1), item(0x420025, STRUCT, [item(0x420099, TEXT, MARK.decode()),
                                                         item(0x4200A1, TEXT, MARK.decode())])])])
    number = item(0x420069, STRUCT, [item(0x42006A, INT, version[0]), item(0x42006B, INT, version[1])])
    header = item(0x420077, STRUCT, [number, credential, item(0x42000D, INT, 1)])
    own = [client.attribute("x-Mark", TEXT, MARK.decode()),
           client.attribute("Contact Information", TEXT, MARK.decode())]
    payload = [client.uid("11111111-2222-7333-8444-555555555555"), item(0x420091, STRUCT, own)]
    payload += [secret for tag in SECRET_TAGS[part::PARTS] for secret in secret_items(tag)]
    return item(0x420078, STRUCT, [header, item(0x42000F, STRUCT, [item(0x42005C, ENUM, operation),
                                                                   item(0x420079, STRUCT, payload)])])


def check_secrecy(state):
    traces = [Trace(state, "first"), Trace(state, "first", "--json")]
    link = client.Connection(state.env)
    for kind in ("aes", "secret", "opaque"):
        material = MARK if kind == "aes" else MARK * 3
        made = link.call(client.register(kind, material, "marked-" + kind, [
            client.attribute("x-Mark", TEXT, MARK.decode()),
            client.attribute("x-Bytes", BYTES, MARK),
            client.attribute("Application Specific Information", STRUCT,
                             [item(0x420003, TEXT, "space"), item(0x420002, TEXT, MARK.decode())])]))
        tap.ok(made.ok and link.call(client.get(made.uid)).material == material, "a marked %s comes and goes" % kind,
               made)
        link.call(client.get_attributes(made.uid))
        link.call(client.add_attribute(made.uid, "x-More", TEXT, MARK.decode()))
    link.call(("Log", [item(0x420141, TEXT, MARK.decode())]))
    link.close()
    for part, version in enumerate(((1, 0), (1, 4), (2, 0), (2, 1))):
        link = client.Connection(state.env)
        for operation in range(1, 0x40):
            link.tls.sendall(marked_message(operation, version, (operation + part) % PARTS))
            link.receive()
            time.sleep(0.01)  # the reader keeps up: nothing may be lost
        link.close()
    last = client.Connection(state.env)
    last.call(client.locate("the-last-one"))
    last.close()
    tap.ok(wait_for(lambda: all("the-last-one" in t.text() for t in traces), 20), "all of it was told")
    for trace, form in zip(traces, ("text", "JSON")):
        text = trace.text().encode()
        told = text.count(b"request: KMIP") + text.count(b'"event":"request"')
        shown = [e for e in encodings() if e in text]
        tap.ok(told > 250 and not shown and b"-- " not in text and b'"lost"' not in text and
               b"bytes more of it" not in text,
               "no encoding of a secret is in the %s, of %d requests" % (form, told), shown)
        tap.ok(text.count(b"11111111-2222-7333-8444-555555555555") >= 250, "what is no secret is there")
        trace.end()


def run(state):
    check_messages(state)
    check_text(state)
    check_no_request(state)
    check_killed_worker(state)
    check_limits(state)
    check_no_audit(state)
    check_slow_reader(state)
    check_secrecy(state)
