#!/usr/bin/env python3
"""Lines of each folder that were run, from gcov's counts. A line counts once, however many programs its file is in.
usage: report.py [--missed PREFIX] [--least PERCENT --of FOLDER...] SOURCES BUILD"""
import argparse
import collections
import json
import os
import subprocess
import sys

SHOWN = ("proto/", "db/", "certs/", "server/")


def notes(build):
    for folder, _, names in os.walk(build):
        yield from (os.path.join(folder, n) for n in names if n.endswith(".gcno"))


def counts(sources, build):
    """{path within the sources: {line: times run}}"""
    lines = collections.defaultdict(dict)
    for note in notes(build):
        # Without the counts of a run gcov says zero of each line, which is so.
        answer = subprocess.run(["gcov", "--json-format", "--stdout", note], capture_output=True, text=True, cwd=build,
                                timeout=120, check=True)
        for text in answer.stdout.splitlines():
            for entry in json.loads(text)["files"]:
                path = os.path.relpath(os.path.join(build, entry["file"]), sources)
                if not path.startswith(SHOWN):
                    continue
                known = lines[path]
                for line in entry["lines"]:
                    number = line["line_number"]
                    known[number] = max(known.get(number, 0), line["count"])
    return lines


def ranges(numbers):
    """[1, 2, 3, 7] is '1-3 7'"""
    parts = []
    for n in numbers:
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return " ".join("%d" % a if a == b else "%d-%d" % (a, b) for a, b in parts)


def share(lines, prefix):
    """Lines run and lines there are, of all files below the folder."""
    chosen = [known for path, known in lines.items() if path.startswith(prefix + "/")]
    return sum(1 for known in chosen for n in known.values() if n), sum(map(len, chosen))


def percent(run, there):
    return 100.0 * run / there if there else 0.0


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--missed", action="append", default=[])
    options.add_argument("--least", type=float, default=0)
    options.add_argument("--of", action="append", default=[])
    options.add_argument("sources")
    options.add_argument("build")
    args = options.parse_args()
    lines = counts(os.path.realpath(args.sources), os.path.realpath(args.build))
    for path in sorted(lines):
        missed = sorted(n for n, times in lines[path].items() if not times)
        if missed and path.startswith(tuple(args.missed)):
            print("%s: %s" % (path, ranges(missed)))
    for folder in sorted({os.path.dirname(path) for path in lines}):
        own = {p: known for p, known in lines.items() if os.path.dirname(p) == folder}
        run, there = share(own, folder)
        print("%-24s %6d of %6d lines  %5.1f %%" % (folder, run, there, percent(run, there)))
    low = 0
    for folder in args.of:
        run, there = share(lines, folder)
        low += percent(run, there) < args.least
        print("all of %-17s %6d of %6d lines  %5.1f %%" % (folder, run, there, percent(run, there)))
    sys.exit(1 if low else 0)


main()
