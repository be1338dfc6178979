/*
 * What the supervisor opens for its children, and the files it writes itself: pid files. Opened
 * anew at each request, so that a child never shares a file's position with another. See
 * supervisor.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/process/supervisor.h"

static int listen_on(const struct addrinfo *a, const struct config *c)
{
    int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, (int)c->server_listen_backlog)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* One address of the list: 192.0.2.1, ::1 or [::1]. */
static rc_t open_listener(struct supervisor *s, char *address, unsigned port_number)
{
    struct addrinfo hint = {.ai_family = AF_UNSPEC,
                            .ai_socktype = SOCK_STREAM,
                            .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    size_t len = strlen(address);
    char port[12];
    int fd;

    if (len > 1 && address[0] == '[' && address[len - 1] == ']') {
        address[len - 1] = 0;
        address++;
    }
    snprintf(port, sizeof port, "%u", port_number);
    if (s->listener_count == LISTENERS_MAX || getaddrinfo(address, port, &hint, &found)) {
        log_error("listen.address",
                  "address=%s error=\"not a numeric address, or more than %d of them\"", address,
                  LISTENERS_MAX);
        return RC_CONFIG;
    }
    fd = listen_on(found, &s->config);
    freeaddrinfo(found);
    if (fd < 0) {
        log_error("listen.open", "address=%s port=%s error=\"%s\"", address, port, strerror(errno));
        return RC_IO;
    }
    s->listeners[s->listener_count++] = fd;
    log_info("listen.open", "address=%s port=%s", address, port);
    return RC_OK;
}

static rc_t open_list(struct supervisor *s, const char *addresses, unsigned port)
{
    char list[CONFIG_TEXT_SIZE], *rest = list, *address;

    snprintf(list, sizeof list, "%s", addresses);
    while ((address = strtok_r(rest, ", ", &rest)))
        TRY(open_listener(s, address, port));
    return RC_OK;
}

rc_t files_open_listeners(struct supervisor *s)
{
    TRY(open_list(s, s->config.server_listen_address, s->config.server_port));
    unsigned usual = s->listener_count;
    TRY(open_list(s, s->config.server_legacy_listen_address, s->config.server_legacy_port));
    s->legacy_count = s->listener_count - usual;
    return usual ? RC_OK : RC_CONFIG;
}

rc_t files_make_config(struct supervisor *s)
{
    AUTO_BUF text = BUF_EMPTY;
    int fd;

    TRY(config_print(&s->config, false, &text));
    fd = memfd_create("holdfast-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return RC_IO;
    if (write(fd, text.data, text.len) != (ssize_t)text.len ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
        close(fd);
        return RC_IO;
    }
    if (s->config_fd >= 0)
        close(s->config_fd);
    s->config_fd = fd;
    return RC_OK;
}

rc_t files_open_run_dir(struct supervisor *s)
{
    const char *path = s->config.server_run_dir;

    if (mkdir(path, 0755) == 0) {
        (void)chmod(path, 0755); /* whatever the umask: pid files are for all to read */
    } else if (errno != EEXIST) {
        log_error("run_dir.make", "path=%s error=\"%s\"", path, strerror(errno));
        return RC_IO;
    }
    s->run_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->run_dir < 0) {
        log_error("run_dir.open", "path=%s error=\"%s\"", path, strerror(errno));
        return RC_IO;
    }
    if (flock(s->run_dir, LOCK_EX | LOCK_NB)) {
        log_error("run_dir.lock", "path=%s error=\"another holdfastd runs there\"", path);
        return RC_BUSY;
    }
    return RC_OK;
}

/* By rename, so that a reader finds the old process or the new one, never half a number. */
void files_write_pid(struct supervisor *s, const char *name, pid_t pid)
{
    char fresh[40], text[16];
    int len = snprintf(text, sizeof text, "%d\n", (int)pid);
    int fd;

    snprintf(fresh, sizeof fresh, ".%s.new", name);
    fd = openat(s->run_dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || fchmod(fd, 0644) || write(fd, text, (size_t)len) != len ||
        renameat(s->run_dir, fresh, s->run_dir, name))
        log_error("pid_file.write", "name=%s error=\"%s\"", name, strerror(errno));
    if (fd >= 0)
        close(fd);
}

void files_remove_pid(struct supervisor *s, const char *name)
{
    (void)unlinkat(s->run_dir, name, 0);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof to.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* Never waits for a full queue of the other side; the vault asks again. */
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    (void)fcntl(fd, F_SETFL, 0);
    return fd;
}

static int open_file(const char *path, char *why, size_t room)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) {
        close(fd);
        fd = -1;
        errno = EINVAL;
    }
    if (fd < 0) {
        int error = errno;
        snprintf(why, room, "%.180s cannot be read: %s", path, strerror(error));
        errno = error;
    }
    return fd;
}

unsigned files_open_tpm(const struct config *c, enum control_tpm *kind, int fds[static 2],
                        char *why, size_t room)
{
    bool software = !strncmp(c->vault_tpm, "swtpm:", 6);
    const char *path = strchr(c->vault_tpm, ':') + 1;

    *kind = software ? CONTROL_TPM_SOFTWARE : CONTROL_TPM_DEVICE;
    fds[0] = software ? connect_unix(path) : open(path, O_RDWR | O_CLOEXEC);
    if (fds[0] < 0) {
        snprintf(why, room, "the TPM %.120s cannot be opened: %s", c->vault_tpm, strerror(errno));
        return 0;
    }
    if (!*c->vault_tpm_owner_auth)
        return 1;
    fds[1] = open_file(c->vault_tpm_owner_auth, why, room);
    if (fds[1] >= 0)
        return 2;
    close(fds[0]);
    return 0;
}

rc_t files_open_tls(const struct config *c, int fds[static 4], unsigned *count, char *why,
                    size_t room)
{
    const char *const paths[4] = {c->tls_key, c->tls_certificate, c->tls_client_ca, c->tls_crl};

    *count = 0;
    for (unsigned i = 0; i < 4 && *paths[i]; i++) {
        int fd = open_file(paths[i], why, room);
        if (fd < 0) {
            while (*count)
                close(fds[--*count]);
            return RC_IO;
        }
        fds[(*count)++] = fd;
    }
    return RC_OK;
}

int files_open_node_state(const struct config *c, char *why, size_t room)
{
    char path[CONFIG_TEXT_SIZE + 16];
    int fd;

    snprintf(path, sizeof path, "%s/node.state", c->server_state_dir);
    fd = open_file(path, why, room);
    if (fd < 0 && errno == ENOENT)
        *why = 0;
    return fd;
}

/* True when it is not the file, or not the content, of the last look. */
static bool look(struct watched *w)
{
    struct stat st;
    bool missing = !*w->path || stat(w->path, &st), changed;

    if (missing)
        memset(&st, 0, sizeof st);
    changed = missing != w->missing || st.st_ino != w->seen.st_ino || st.st_dev != w->seen.st_dev ||
              st.st_size != w->seen.st_size || st.st_mtim.tv_sec != w->seen.st_mtim.tv_sec ||
              st.st_mtim.tv_nsec != w->seen.st_mtim.tv_nsec ||
              st.st_ctim.tv_sec != w->seen.st_ctim.tv_sec ||
              st.st_ctim.tv_nsec != w->seen.st_ctim.tv_nsec;
    w->missing = missing;
    w->seen = st;
    return changed;
}

void files_watch(struct supervisor *s)
{
    bool tls, node;

    s->tls_files[0].path = s->config.tls_key;
    s->tls_files[1].path = s->config.tls_certificate;
    s->tls_files[2].path = s->config.tls_client_ca;
    s->tls_files[3].path = s->config.tls_crl;
    snprintf(s->node_path, sizeof s->node_path, "%s/node.state", s->config.server_state_dir);
    s->node_state.path = s->node_path;
    files_poll(s, &tls, &node);
}

void files_poll(struct supervisor *s, bool *tls_changed, bool *node_changed)
{
    *tls_changed = false;
    for (unsigned i = 0; i < 4; i++)
        *tls_changed |= look(&s->tls_files[i]);
    *node_changed = look(&s->node_state) && !s->node_state.missing;
}
