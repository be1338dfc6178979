#!/usr/bin/python3
"""Reads the tables of the OASIS KMIP specifications (plain text with box-drawn tables) and prints the
facts of the tag, item type, enumeration and bit mask tables, one a line, separated by tabs:
    version  kind (tag, enum, mask)  table  name  value in hexadecimal
usage: oasis_tables.py DIRECTORY, which holds kmip-spec-v1.0.txt ... kmip-spec-v2.1.txt.
Its output is tests/unit/proto/oasis-tables.tsv, which a unit test walks against proto/kmip/*.def.
"""
import os
import re
import sys

VERSIONS = ["1.0", "1.1", "1.2", "1.3", "1.4", "2.0", "2.1"]

# Captions that head the wrong table, or another word for the field that the table belongs to.
BY_CAPTION = {"Rotate Name Type": "Rotate Name Type", "Ticket Type": "Ticket Type",
              "Endpoint Role": "Endpoint Role"}
BY_TITLE = {"Key Wrap Encoding Option": "Encoding Option",
            "Recommended Curve Enumeration": "Recommended Curve",
            "Unique Identifier Enumerations": "Unique Identifier",
            "Object Group Member Option": "Object Group Member",
            "NIST Key Type Enumeration": "NIST Key Type",
            "Batch Error Continuation": "Batch Error Continuation Option",
            "Profile Name Type": "Profile Name", "Destroy Action Type": "Destroy Action",
            "Item Type": "Extension Type"}


def tables(path):
    """All tables of a text as [first line, rows, caption below]; a row is a list of cells."""
    found, rows, cells, start, last = [], [], None, 0, None
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        s = line.strip()
        if s[:1] == "┌":
            rows, cells, start, last = [], None, number, None
        elif s[:1] == "│":
            parts = s[1:].rstrip("│").split("│") if not s.endswith("│") else s[1:-1].split("│")
            if cells is None:
                cells = [[] for _ in parts]
            cells += [[] for _ in range(len(parts) - len(cells))]
            for i, part in enumerate(parts):
                cells[i].append(part.strip())
        elif s[:1] in ("├", "└"):
            if cells is not None:
                rows.append([" ".join(x for x in c if x) for c in cells])
                cells = None
            if s[:1] == "└":
                last = [start, rows, ""]
                found.append(last)
        elif last is not None and s:
            m = re.match(r"Table \d+: *(.*)", s)
            if m:
                last[2] = m.group(1)
            last = None
    return found


def clean(name):
    return re.sub(r"\s+", " ", name).strip()


def facts(path, version):
    for _, rows, caption in tables(path):
        if not rows:
            continue
        title = clean(rows[0][0])
        head = [clean(c).lower() for c in (rows[1] if len(rows) > 1 else [])]
        body = rows[2:]
        if caption.startswith("Allowed Item Type"):
            kind, title, body = "enum", "Item Type", rows[1:]
        elif title == "Tag":
            kind = "tag"
        elif len(rows[0]) == 1 and len(head) == 2 and head[1] in ("value", "tag value"):
            kind = "mask" if "mask" in title.lower() and title != "Mask Generator" else "enum"
        else:
            continue
        for prefix, right in BY_CAPTION.items():
            if caption.startswith(prefix):
                title = right
        title = BY_TITLE.get(title, title)
        for row in body:
            name = clean(row[0]).lstrip("(")
            value = re.sub(r"\(deprecated.*\)", "", row[1] if len(row) > 1 else "")
            value = value.replace("0x", "").replace(" ", "")
            if re.fullmatch(r"[0-9A-Fa-f]{2,8}", value) and name not in ("Reserved", "Reserved)"):
                yield version, kind, title, name, "%08X" % int(value, 16)


if __name__ == "__main__":
    print("# version\tkind\ttable\tname\tvalue")
    print("# Extracted from the tables of the OASIS Standards KMIP Specification 1.0, 1.1, 1.2, 1.3, 1.4,")
    print("# 2.0 and 2.1 (docs.oasis-open.org/kmip): section 9.1.3 in 1.x, section 11 in 2.x.")
    for v in VERSIONS:
        seen = set()
        for fact in facts(os.path.join(sys.argv[1], "kmip-spec-v%s.txt" % v), v):
            if fact not in seen:
                print("\t".join(fact))
            seen.add(fact)
