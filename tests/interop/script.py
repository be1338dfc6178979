"""Reads a replay: what one client product says to its server, step by step, and what it needs to hear. A replay is
text; four spaces of indent make a line part of the one above it; # begins a comment line.

    client NAME                 which product; the name of its results
    version 1.0 1.4             of KMIP; it is played in each of them
    header                      what each of its requests has in the header, between Protocol Version and Batch Count
        MaximumResponseSize 8192
    let seed random:96          a value with a name: $seed
    step TITLE                  one request, or one without any that only does what its words say:
        connect [1.2|1.3] [resumed]   first a new TLS connection; of that version; of the session before
        repeat N                the step so many times
        header                  instead of the header above
        ids N                   Unique Batch Item IDs of N bytes (a batch has them of one byte anyway)
        count N                 this Batch Count, whatever the number of items
        Create                  an operation, with its payload; then what its answer must be: Success, Undone, a reason,
            ObjectType SymmetricKey       or nothing where none must come; and fields of the payload
        -> Success
            UniqueIdentifier $key
        refused InvalidMessage  instead of answers: the message as a whole is refused with this reason

A field is a name and a value, or a name and the fields within it. Values: "text" ({salt} in it is different in each
run), hex:00ff, random:N (bytes), true, false, now, now+60, date:N, long:N, interval:N, enum:N, $name, a number, or the
name of an enumeration's value or of bits of a mask (Encrypt|Decrypt). Attribute "NAME" VALUE is the structure of 1.x.

An answer has to have the fields told, and may have more; `no` before one says that there is none such; `only NAME a b`
says that these are all of that name, in this order. * is any value. A $name without a value takes the answer's."""
import re

import names

WORD = re.compile(r'"[^"]*"|\S+')
HOW = ("no", "only")  # before the name of a field of an answer
OPTIONS = ("connect", "repeat", "header", "ids", "count")


class Line:
    """One line: its words, and the lines within it. of: the name that tells what its value's words mean."""

    def __init__(self, words, number, of=None):
        self.words, self.number, self.within = words, number, []
        self.of = of or words[1 if words[0] in HOW and len(words) > 1 else 0]

    def __repr__(self):
        return "line %d: %s" % (self.number, " ".join(self.words))


class Item:
    def __init__(self, operation):
        self.operation, self.payload, self.result, self.fields = operation.words[0], operation.within, None, []


class Step:
    def __init__(self, title):
        self.title, self.items, self.options, self.refused = title, [], {}, None


class Replay:
    def __init__(self):
        self.client, self.versions = None, []
        self.header, self.given, self.steps = [], [], []


def tree(text):
    top = Line(["top"], 0)
    open_lines = [top]
    for number, raw in enumerate(text.splitlines(), 1):
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        indent, odd = divmod(len(raw) - len(raw.lstrip(" ")), 4)
        if odd or indent >= len(open_lines):
            raise ValueError("line %d: indented by no step of four" % number)
        line = Line(WORD.findall(raw), number)
        del open_lines[indent + 1:]
        open_lines[indent].within.append(line)
        open_lines.append(line)
    return top


def expanded(lines):
    """The short form of attributes written out."""
    for line in lines:
        line.within = expanded(line.within)
        at = 1 if line.words[0] in HOW else 0
        if line.words[at] == "Attribute" and len(line.words) > at + 1:
            name, value = line.words[at + 1], line.words[at + 2:]
            inner = Line(["AttributeValue", *value], line.number, name.strip('"'))
            inner.within, line.words = line.within, line.words[:at + 1]
            line.within = [Line(["AttributeName", name], line.number)] + ([inner] if value or inner.within else [])
    return lines


def read_step(line):
    step = Step(" ".join(line.words[1:]))
    for part in line.within:
        word = part.words[0]
        if word in OPTIONS:
            step.options[word] = part
        elif word == "refused":
            step.refused = part.words[1]
        elif word == "->":
            step.items[-1].result, step.items[-1].fields = part.words[1], expanded(part.within)
        else:
            expanded(part.within)
            step.items.append(Item(part))
    for item in step.items:
        if not item.result and not step.refused:
            raise ValueError("%r has no answer to %s" % (line, item.operation))
    return step


def read(text):
    replay = Replay()
    for line in tree(text).within:
        word, rest = line.words[0], line.words[1:]
        if word == "client":
            replay.client = " ".join(rest)
        elif word == "version":
            replay.versions = [tuple(int(n) for n in word.split(".")) for word in rest]
        elif word == "header":
            replay.header = expanded(line.within)
        elif word == "let":
            replay.given.append(line)
        elif word == "step":
            replay.steps.append(read_step(line))
        else:
            raise ValueError("%r is no part of a replay" % line)
    if not replay.client or not replay.versions or not replay.steps or set(replay.versions) - set(names.VERSIONS):
        raise ValueError("a replay has a client, versions of KMIP and steps")
    return replay
