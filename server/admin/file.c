/*
 * Files of the holdfast command: read whole with a limit, written whole or not at all.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/buf.h"
#include "server/admin/cli.h"

static bool write_all(int fd, struct bytes content)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        content.data += n;
        content.len -= (size_t)n;
    }
    return true;
}

/* A rename lasts only once its folder is on disk too. */
static bool sync_folder_of(const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return false;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

enum cli_exit cli_write_file(struct cli *cli, const char *path, struct bytes content, unsigned mode)
{
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
        return cli_fail(cli, CLI_INTERNAL, NULL, "out of memory");
    int fd = mkostemp(temporary, O_CLOEXEC);
    bool ok = fd >= 0 && fchmod(fd, mode) == 0 && write_all(fd, content) && fsync(fd) == 0;
    if (fd >= 0 && close(fd) != 0)
        ok = false;
    ok = ok && rename(temporary, path) == 0;
    int error = errno;
    if (!ok && fd >= 0)
        unlink(temporary);
    ok = ok && sync_folder_of(path);
    free(temporary);
    if (!ok)
        return cli_fail(cli, CLI_FILE, "Does the folder exist, and may you write there?", "%s cannot be written: %s",
                        path, strerror(error));
    return CLI_DONE;
}

enum cli_exit cli_read_file(struct cli *cli, const char *path, size_t limit, struct buf *content)
{
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cli_fail(cli, CLI_FILE, NULL, "%s cannot be opened: %s", path, strerror(errno));
    enum cli_exit code = CLI_DONE;
    for (;;) {
        if (content->len > limit) {
            code = cli_fail(cli, CLI_FILE, NULL, "%s holds more than the %zu bytes this may have", path, limit);
            break;
        }
        if (buf_reserve(content, 4096) != RC_OK) {
            code = cli_fail(cli, CLI_INTERNAL, NULL, "out of memory");
            break;
        }
        ssize_t n = read(fd, content->data + content->len, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = cli_fail(cli, CLI_FILE, NULL, "%s cannot be read: %s", path, strerror(errno));
        if (n <= 0)
            break;
        content->len += (size_t)n;
    }
    if (!standard_input)
        close(fd);
    return code;
}
