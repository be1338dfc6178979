/*
 * What the load generator knows: identifiers seen, and the facts file of the kill test. A fact is
 * written (appended, not synced: the machine stays up) before anything more is sent, so that
 * whatever was acknowledged to us stands in the file however we end.
 *
 * Lines: KIND OPERATION UID DIGEST NAME CORRELATION, "-" for none. KIND: A acknowledged, U unknown.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/load.h"

static int facts_fd = -1;
static struct buf pending;

/* An open hash of the identifiers, as they are uniform already. */
static char (*seen)[UID_BYTES];
static size_t seen_room, seen_count;

static size_t uid_hash(const char *uid)
{
    size_t h = 1469598103934665603u;
    for (; *uid; uid++)
        h = (h ^ (unsigned char)*uid) * 1099511628211u;
    return h;
}

static bool seen_put(char (*table)[UID_BYTES], size_t room, const char *uid)
{
    size_t at = uid_hash(uid) & (room - 1);
    while (table[at][0]) {
        if (!strcmp(table[at], uid))
            return false;
        at = (at + 1) & (room - 1);
    }
    snprintf(table[at], UID_BYTES, "%s", uid);
    return true;
}

bool seen_add(const char *uid)
{
    if (seen_count * 2 >= seen_room) {
        size_t room = seen_room ? seen_room * 2 : 4096;
        char(*table)[UID_BYTES] = calloc(room, UID_BYTES);
        if (!table)
            die("out of memory");
        for (size_t i = 0; i < seen_room; i++)
            if (seen[i][0])
                seen_put(table, room, seen[i]);
        free(seen);
        seen = table;
        seen_room = room;
    }
    bool fresh = seen_put(seen, seen_room, uid);
    seen_count += fresh;
    return fresh;
}

void facts_open(const char *path)
{
    facts_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (facts_fd < 0)
        die("%s: %s", path, strerror(errno));
}

static const char *or_dash(const char *text)
{
    return text && *text ? text : "-";
}

void facts_line(char kind, enum step step, const char *uid, const char *digest, const char *name,
                const char *correlation)
{
    if (facts_fd >= 0 &&
        buf_add_fmt(&pending, "%c %s %s %s %s %s\n", kind, step_operation(step), or_dash(uid),
                    or_dash(digest), or_dash(name), or_dash(correlation)) != RC_OK)
        die("out of memory");
}

void facts_write(void)
{
    if (!pending.len)
        return;
    ssize_t n = write(facts_fd, pending.data, pending.len);
    if (n != (ssize_t)pending.len)
        die("the facts file cannot be written: %s", strerror(errno));
    buf_clear(&pending);
}

static struct known *known_find(struct known *all, size_t *index, size_t room, const char *uid,
                                size_t *count)
{
    size_t at = uid_hash(uid) & (room - 1);
    while (index[at]) {
        if (!strcmp(all[index[at] - 1].uid, uid))
            return &all[index[at] - 1];
        at = (at + 1) & (room - 1);
    }
    snprintf(all[*count].uid, UID_BYTES, "%s", uid);
    index[at] = ++*count;
    return &all[*count - 1];
}

static void known_apply(struct known *k, char kind, const char *operation, const char *digest)
{
    bool destroy = !strcmp(operation, "Destroy");
    if (kind == 'U')
        k->maybe_destroyed |= destroy;
    else if (destroy)
        k->destroyed = true;
    if (kind == 'A' && digest[0] != '-') {
        if (k->digest[0] && strcmp(k->digest, digest) != 0)
            load_wrong("the facts name two keys for %s", k->uid);
        snprintf(k->digest, sizeof k->digest, "%s", digest);
    }
}

struct known *facts_read(const char *path, size_t *count)
{
    FILE *f = fopen(path, "re");
    char line[512], kind, operation[32], uid[UID_BYTES], digest[DIGEST_HEX];
    size_t lines = 0, room = 1;
    if (!f)
        die("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, f))
        lines++;
    rewind(f);
    while (room < lines * 2 + 2)
        room *= 2;
    struct known *all = calloc(lines + 1, sizeof *all);
    size_t *index = calloc(room, sizeof *index);
    if (!all || !index)
        die("out of memory");
    *count = 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%c %31s %63s %64s", &kind, operation, uid, digest) == 4 && uid[0] != '-')
            known_apply(known_find(all, index, room, uid, count), kind, operation, digest);
    fclose(f);
    free(index);
    return all;
}

struct known *known_read(const char *path, size_t *count)
{
    FILE *f = fopen(path, "re");
    char line[256];
    size_t room = 0;
    struct known *all = NULL, key = {0};
    if (!f)
        die("%s: %s", path, strerror(errno));
    *count = 0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%63s %63s", key.uid, key.name) != 2)
            die("%s: '%s' is no identifier and name", path, line);
        if (*count == room) {
            room = room ? room * 2 : 1024;
            all = reallocarray(all, room, sizeof *all);
            if (!all)
                die("out of memory");
        }
        all[(*count)++] = key;
    }
    fclose(f);
    if (!*count)
        die("%s names no key", path);
    return all;
}
