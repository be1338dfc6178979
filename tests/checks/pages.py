#!/usr/bin/env python3
"""Each option and command of the tables is in its manual page, and the page has none that is gone."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap

SRC = os.environ.get("HOLDFAST_SRC", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BUILD = os.environ.get("HOLDFAST_BUILD", SRC)
HOLDFAST = os.path.join(BUILD, "server/main/holdfast")


def read(path):
    with open(os.path.join(SRC, path), encoding="utf-8") as f:
        return f.read()


def run(*args):
    return subprocess.run([HOLDFAST, *args], capture_output=True, text=True, timeout=60)


def check_config():
    table = re.findall(r"^OPTION\((\w+), (\w+),", read("server/base/config.def"), re.M)
    page = read("deploy/man/holdfast.conf.5")
    section, written = None, []
    for line in page.splitlines():
        found = re.match(r"\.Sh SECTION \[(\w+)\]", line)
        if found:
            section = found.group(1)
        elif line.startswith(".Sh"):
            section = None
        found = re.match(r"\.It Cm (\w+)", line)
        if found and section:
            written.append((section, found.group(1)))
    tap.ok(len(table) > 50, "the option table was read")
    missing = [o for o in table if o not in written]
    tap.ok(not missing, "every option is in holdfast.conf(5)", missing)
    gone = [o for o in written if o not in table]
    tap.ok(not gone, "holdfast.conf(5) has no option that is gone", gone)
    full = re.findall(r'^OPTION\((\w+), (\w+), (\w+), "([^"]*)", (\d+), (\d+), "([^"]*)", (\w+),\s*'
                      r'"((?:[^"\\]|\\.)*)"\)',
                      read("server/base/config.def"), re.M)
    stale = []
    for part, name, kind, preset, least, most, unit, when, text in full:
        entry = page.split(".Sh SECTION [%s]" % part)[-1].split("\n.Sh ")[0]
        entry = entry.split(".It Cm %s\n" % name)[-1].split(".It Cm")[0]
        wanted = [text[1:], "Default: " + (preset or "empty")]
        if kind == "NUMBER":
            wanted.append("from %s to %s" % (least, most))
        if when == "RELOAD":
            wanted.append("Reload.")
        stale += [name + ": " + w for w in wanted if w not in entry]
    tap.ok(len(full) == len(table) and not stale, "holdfast.conf(5) tells meaning, default and range as the table",
           stale)
    example = read("deploy/holdfast.conf.example")
    section, wrong = None, []
    for line in example.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith((";", "#")):
            if (section, line.split("=")[0].strip()) not in table:
                wrong.append(line)
    tap.ok(not wrong, "the example names options of the table only", wrong)


def check_commands():
    answer = run("help", "--table")
    commands = dict(line.split("\t") for line in answer.stdout.splitlines())
    tap.ok(answer.returncode == 0 and len(commands) > 20, "the command table was read", answer.stderr)
    page = read("deploy/man/holdfast.1")
    headings = re.findall(r"^\.Ss holdfast ([a-z -]+?)(?: \[?[A-Z].*)?$", page, re.M)
    tap.ok(sorted(headings) == sorted(commands), "holdfast(1) has each command and no other",
           set(headings) ^ set(commands))
    common, blocks = page.split(".Sh COMMANDS")
    missing = []
    for words, options in commands.items():
        block = re.split(r"^\.Ss ", blocks, flags=re.M)
        own = [b for b in block if b.startswith("holdfast " + words)]
        for option in options.split():
            name = ".It Fl -" + option[2:].split("=")[0]
            pattern = re.escape(name) + r"( |$)"
            if not re.search(pattern, common, re.M) and not any(re.search(pattern, b, re.M) for b in own):
                missing.append(words + " " + option)
    tap.ok(not missing, "every option of every command is in holdfast(1)", missing)
    bad = [w for w in commands if run(*w.split(), "--help").returncode != 0
           or not run(*w.split(), "--help").stdout.startswith("usage: holdfast " + w)]
    tap.ok(not bad, "every command explains itself with --help", bad)
    codes = re.findall(r"EXIT_CODE\(\w+,\s*(\d+),", read("server/admin/exit.def"))
    listed = re.findall(r"^\.It (\d+)$", page.split(".Sh EXIT STATUS")[1], re.M)
    tap.ok(codes == listed, "every exit code is in holdfast(1)", (codes, listed))


def check_usage():
    for args, want in [((), 2), (("nonsense",), 2), (("key", "get"), 2), (("key",), 2), (("status", "--nonsense"), 2),
                       (("key", "create", "--length", "x"), 2), (("--help",), 0), (("--version",), 0),
                       (("config", "check", "--config", "/nonexistent"), 5)]:
        answer = run(*args)
        tap.ok(answer.returncode == want, "holdfast %s ends with %d" % (" ".join(args), want),
               "%d: %s%s" % (answer.returncode, answer.stdout, answer.stderr))
    env = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}
    answer = subprocess.run([HOLDFAST, "key", "locate"], capture_output=True, text=True, env=env, timeout=60)
    tap.ok(answer.returncode == 2 and "HOLDFAST_CERT" in answer.stderr,
           "without a certificate the client says what to set", answer.stderr)


def check_completion():
    script = os.path.join(SRC, "deploy/completion/holdfast")
    ask = (". '%s'; COMP_WORDS=('%s' %%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _holdfast; echo \"${COMPREPLY[*]}\""
           % (script, HOLDFAST))
    for words, want in [("ke", "key"), ("key lo", "locate"),
                        ("audit ''", "drop export forward partitions retention stubs tail verify"),
                        ("key get --std", "--stdout")]:
        answer = subprocess.run(["bash", "-c", ask % words], capture_output=True, text=True, timeout=60)
        tap.ok(answer.stdout.strip() == want, "completion of 'holdfast %s' is %s" % (words, want),
               answer.stdout + answer.stderr)
    check_all_completions(script)


def check_all_completions(script):
    """Each word and each option of each command comes up when it is begun: one shell for all."""
    commands = [line.split("\t") for line in run("help", "--table").stdout.splitlines()]
    asked = []
    for words, options in commands:
        words = words.split()
        asked += [(words[:n], words[n]) for n in range(len(words))]
        asked += [(words, option.split("=")[0]) for option in options.split()]
    shell = [". '%s'" % script]
    for before, word in asked:
        line = " ".join(["'%s'" % HOLDFAST] + before + [word[:-1]])
        shell.append('COMP_WORDS=(%s); COMP_CWORD=%d; _holdfast; echo "${COMPREPLY[*]}"' % (line, len(before) + 1))
    answer = subprocess.run(["bash", "-c", "\n".join(shell)], capture_output=True, text=True, timeout=120)
    replies = answer.stdout.split("\n")[:-1]
    lost = [" ".join(before + [word]) for (before, word), reply in zip(asked, replies) if word not in reply.split()]
    tap.ok(len(replies) == len(asked) > 100 and not lost, "every command and every option is completed",
           answer.stderr or lost)


check_config()
check_commands()
check_usage()
check_completion()
tap.end()
