#!/usr/bin/python3
"""Reads the tables of the OASIS KMIP specifications (plain text, box-drawn tables) and prints the
facts of the tag, enumeration and bit mask tables as tab-separated lines:
    version  kind(tag|enum|mask)  table  name  value
usage: oasis_tables.py DIRECTORY   (holding kmip-spec-v1.0.txt ... kmip-spec-v2.1.txt)
The result is tests/unit/proto/oasis-tables.tsv, which a unit test walks against proto/kmip/*.def.
"""
import re, sys, os
VERSIONS = ["1.0", "1.1", "1.2", "1.3", "1.4", "2.0", "2.1"]

def tables(path):
    """All tables of a text: (first line, [rows], caption after it); a row is a list of cells."""
    out, rows, cells, start = [], [], None, 0
    pending = None
    for n, line in enumerate(open(path, encoding="utf-8"), 1):
        s = line.strip()
        if s[:1] == "┌":
            rows, cells, start = [], None, n
            pending = None
        elif s[:1] in "│" and s:
            parts = s[1:].rstrip("│").split("│") if not s.endswith("│") else s[1:-1].split("│")
            if cells is None:
                cells = [[] for _ in parts]
            if len(parts) > len(cells):
                cells += [[] for _ in range(len(parts) - len(cells))]
            for i, p in enumerate(parts):
                cells[i].append(p.strip())
        elif s[:1] in ("├", "└"):
            if cells is not None:
                rows.append([" ".join(x for x in c if x) for c in cells])
                cells = None
            if s[:1] == "└":
                pending = [start, rows, ""]
                out.append(pending)
        elif pending is not None and s:
            m = re.match(r"Table \d+: *(.*)", s)
            if m:
                pending[2] = m.group(1)
            pending = None
    return out

def clean(name):
    return re.sub(r"\s+", " ", name).strip()

def facts(path, version):
    for start, rows, caption in tables(path):
        if not rows:
            continue
        title = clean(rows[0][0])
        head = [clean(c).lower() for c in (rows[1] if len(rows) > 1 else [])]
        if title == "Tag" or (len(rows[0]) == 1 and title in ("Tag",)):
            kind = "tag"
        elif len(rows[0]) == 1 and len(head) == 2 and head[1] in ("value", "tag value"):
            kind = "mask" if "mask" in title.lower() else "enum"
        else:
            continue
        for r in rows[2:]:
            if len(r) < 2:
                continue
            name = clean(r[0])
            value = re.sub(r"\(deprecated.*\)", "", r[1]).replace("0x", "").replace(" ", "")
            if not re.fullmatch(r"[0-9A-Fa-f]{6,8}", value) or "(" in name and "eserved" in name:
                if not re.search("eserved|xtension|nused", name + value):
                    print("?", version, start, title, r, file=sys.stderr)
                continue
            yield version, kind, caption, title, name, value.upper()

if __name__ == "__main__":
    for v in VERSIONS:
        for f in facts(os.path.join(sys.argv[1], "kmip-spec-v%s.txt" % v), v):
            print("\t".join(f))
