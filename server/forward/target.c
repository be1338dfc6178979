/*
 * The list of destinations; see target.h.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "server/forward/target.h"

static const struct {
    const char *word;
    enum target_kind kind;
} kinds[] = {{"unix:", TARGET_UNIX},
             {"unix-stream:", TARGET_UNIX_STREAM},
             {"tcp:", TARGET_TCP},
             {"tls:", TARGET_TLS},
             {"udp:", TARGET_UDP}};

__attribute__((format(printf, 3, 4))) static rc_t wrong(rc_t rc, char why[static TARGET_WHY], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, TARGET_WHY, fmt, args);
    va_end(args);
    return rc;
}

/* HOST:PORT or [ADDRESS]:PORT. */
static bool read_host_port(const char *text, struct target *t)
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return false;
    size_t len = (size_t)(colon - text);
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    size_t digits = strspn(colon + 1, "0123456789");
    if (len == 0 || len >= sizeof t->host || digits == 0 || digits > 5 || colon[1 + digits])
        return false;
    long port = strtol(colon + 1, NULL, 10);
    memcpy(t->host, text, len);
    t->host[len] = 0;
    snprintf(t->port, sizeof t->port, "%ld", port);
    return port >= 1 && port <= 65535;
}

static bool read_path(const char *text, struct target *t)
{
    struct sockaddr_un address;
    size_t len = strlen(text);
    if (text[0] != '/' || len >= sizeof address.sun_path || len >= sizeof t->host)
        return false;
    memcpy(t->host, text, len + 1);
    return true;
}

static bool name_fits(const char *name, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return len >= 1 && len < TARGET_NAME && strspn(name, allowed) >= len;
}

static rc_t read_one(const char *text, struct target *t, char why[static TARGET_WHY])
{
    const char *is = strchr(text, '=');
    *t = (struct target){.kind = TARGET_UNIX};
    if (!is || !name_fits(text, (size_t)(is - text)))
        return wrong(RC_CONFIG, why,
                     "'%.100s' is no NAME=KIND:ADDRESS; a name has 1 to 64 letters, digits, dots, - and _", text);
    memcpy(t->name, text, (size_t)(is - text));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t len = strlen(kinds[i].word);
        if (strncmp(is + 1, kinds[i].word, len) != 0)
            continue;
        t->kind = kinds[i].kind;
        if (target_local(t) ? read_path(is + 1 + len, t) : read_host_port(is + 1 + len, t))
            return RC_OK;
        return wrong(RC_CONFIG, why, "'%.100s': %s", text,
                     target_local(t) ? "a UNIX socket is given by its whole path, of 107 bytes at most"
                                     : "an address is given as HOST:PORT, one of IPv6 as [ADDRESS]:PORT");
    }
    return wrong(RC_CONFIG, why, "'%.100s': the kinds are unix:, unix-stream:, tcp:, tls: and udp:", text);
}

rc_t target_find(const char *list, const char *name, struct target *out, char why[static TARGET_WHY])
{
    unsigned count = 0, found = 0;
    struct target t;
    char one[400];
    while (*list) {
        list += strspn(list, ", \t\n");
        size_t len = strcspn(list, ", \t\n");
        if (len == 0)
            break;
        if (len >= sizeof one)
            return wrong(RC_CONFIG, why, "'%.100s...' is too long", list);
        memcpy(one, list, len);
        one[len] = 0;
        list += len;
        TRY(read_one(one, &t, why));
        count++;
        if (name && strcmp(name, t.name) != 0)
            continue;
        if (found++ && name)
            return wrong(RC_CONFIG, why, "there are two destinations '%s'", name);
        *out = t;
    }
    if (count == 0)
        return wrong(RC_NOT_FOUND, why, "no destination is configured");
    if (!name && count > 1)
        return wrong(RC_NOT_FOUND, why, "there are %u destinations", count);
    if (!found)
        return wrong(RC_NOT_FOUND, why, "there is no destination '%s'", name);
    return RC_OK;
}
