"""Test Anything Protocol for the tests in Python: ok() for each sentence, end() at the last."""
import sys

count = 0
failed = 0


def ok(condition, sentence, detail=""):
    """One result. The detail is printed only where the condition does not hold."""
    global count, failed
    count += 1
    sentence = sentence.replace("#", " ").replace("\n", " ")
    print(("ok" if condition else "not ok"), count, "-", sentence)
    if not condition:
        failed += 1
        for line in str(detail).splitlines()[-40:]:
            print("#   " + line)
    sys.stdout.flush()
    return bool(condition)


def skip(sentence, why):
    global count
    count += 1
    print("ok", count, "-", sentence, "# SKIP", why)
    sys.stdout.flush()


def note(text):
    for line in text.splitlines():
        print("#", line)
    sys.stdout.flush()


def skip_all(why):
    print("1..0 # SKIP", why)
    sys.exit(0)


def end():
    print("1..%d" % count)
    sys.exit(1 if failed else 0)
