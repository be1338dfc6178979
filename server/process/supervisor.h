/*
 * holdfastd: opens what needs rights, starts one vault and N workers, passes them descriptors on
 * request, starts again what dies, reloads, drains. Reads no byte from the network. The parts:
 * supervisor.c (start, loop, stop), children.c (life of a child), answers.c (their requests),
 * files.c (what is opened for them), control_socket.c, status.c, notes.c and traces.c (the
 * administrator's view).
 */
#ifndef SERVER_PROCESS_SUPERVISOR_H
#define SERVER_PROCESS_SUPERVISOR_H

#include <event2/event.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "server/base/config.h"
#include "server/ipc/control.h"
#include "server/process/stats.h"

enum {
    WORKERS_MAX = 32,
    LISTENERS_MAX = CONTROL_FDS_MAX,
    ADMINS_MAX = 8,        /* control socket peers at a time */
    START_MS = 30000,      /* spawn to READY */
    SILENT_MS = 15000,     /* a worker reports every second, the vault every five; silent for this
                              long, it hangs */
    STEADY_MS = 1000,      /* a child that lived this long and was ready restarts at once again */
    DRAIN_EXTRA_MS = 1000, /* beyond drain_ms, in which a worker ends its connections in order */
    VAULT_STOP_MS = 3000,  /* for the vault to end after the workers */
};

enum supervisor_state { SUPERVISOR_STARTING, SUPERVISOR_SERVING, SUPERVISOR_DRAINING };

enum child_state {
    CHILD_DOWN,     /* not there; a timer will start it */
    CHILD_STARTING, /* spawned, not READY yet */
    CHILD_READY,
    CHILD_DRAINING, /* a worker that was told to end */
};

struct supervisor;

struct child {
    struct supervisor *sup;
    enum control_side role; /* BY_VAULT or BY_WORKER */
    unsigned number;        /* worker: 1..N; vault: 0 */
    char name[16];          /* "vault", "worker-1": also the pid file */
    enum child_state state;
    pid_t pid;                      /* 0 when down */
    int control;                    /* our end, -1 when down */
    struct event *readable, *timer; /* timer: start again, or the start's deadline */
    bool greeted;                   /* HELLO came: channels may be sent */
    bool wants_channel, wants_tls;
    bool listens;     /* a worker that got its sockets: nothing it asks for is on its way any more */
    unsigned wait_ms; /* before the next start, if it dies soon */
    uint64_t restarts;
    int64_t started_us, heard_us;
    struct stats stats; /* worker */
    char *report;       /* vault: its last status, JSON; owned */
};

struct watched {
    const char *path; /* into the configuration */
    struct stat seen;
    bool missing;
};

struct admin;
struct trace_line;

struct supervisor {
    struct event_base *base;
    struct config config;
    const char *config_path;
    char libexec_dir[512];
    enum supervisor_state state;
    int64_t started_us;
    uid_t worker_uid, vault_uid;
    gid_t worker_gid, vault_gid;
    bool switch_users; /* we are root */
    gid_t admin_gid;
    bool has_admin_gid;
    int run_dir;   /* locked */
    int config_fd; /* memory file with the configuration's text */
    int counters_fd;
    struct limits *counters;
    int listeners[LISTENERS_MAX];
    unsigned listener_count, legacy_count; /* legacy: those at the end are for old cipher suites */
    struct child vault;
    struct child workers[WORKERS_MAX];
    unsigned worker_count;
    struct stats past; /* counts of workers that are gone */
    struct watched tls_files[4], node_state;
    char node_path[CONFIG_TEXT_SIZE + 16];
    struct event *on_hup, *on_term, *on_int, *on_child, *poll, *drain, *watchdog;
    int control_socket;
    struct event *on_admin;
    struct admin *admins;
    unsigned admin_count;
    struct trace_line *traces; /* under way */
    uint32_t trace_count;      /* ever begun */
    uint32_t sign_number;      /* of the last request for a signature */
    uint32_t note_number;      /* of the last note for the audit */
};

/* Runs until told to stop. The exit status of the program: 0 after an orderly stop. */
int supervisor_run(const char *config_path, const char *libexec_dir, const struct config *config);

/* supervisor.c */
void supervisor_reload(struct supervisor *s);
/* Ends: with a drain, or at once. Repeated calls only speed it up. */
void supervisor_stop(struct supervisor *s, bool drain);
/* Tells the workers to look now for domains that wait for their key. */
void supervisor_look_at_domains(struct supervisor *s);
/* A child became ready or went down: serving, or ended, when all are. */
void supervisor_look(struct supervisor *s);

/* children.c */
void child_init(struct child *c, struct supervisor *s, enum control_side role, unsigned number);
void child_start(struct child *c);
/* Ends it now (SIGKILL); SIGCHLD does the rest. */
void child_kill(struct child *c, const char *why);
void child_signal(struct child *c, int signal);
/* Collects dead children. */
void children_reap(struct supervisor *s);
void child_free(struct child *c);
/* Sends, and kills a child that does not read. */
rc_t child_send(struct child *c, enum control_code code, struct bytes body, const int *fds,
                unsigned count);
/* Makes a new channel between the vault and this worker when both are up. */
void child_link(struct child *worker);

/* answers.c */
void child_answer(struct child *c, struct control_message *m);
void child_send_tls(struct child *c);

/* files.c */
rc_t files_open_listeners(struct supervisor *s);
rc_t files_make_config(struct supervisor *s);
rc_t files_open_run_dir(struct supervisor *s);
void files_write_pid(struct supervisor *s, const char *name, pid_t pid);
void files_remove_pid(struct supervisor *s, const char *name);
/* The TPM as configured, then the file of its owner's authorisation if there is one. How many were
 * opened; 0 and a sentence when one of them cannot be. */
unsigned files_open_tpm(const struct config *c, enum control_tpm *kind, int fds[static 2],
                        char *why, size_t room);
/* Key, certificate, client CAs, CRL if configured. RC_IO with a sentence. */
rc_t files_open_tls(const struct config *c, int fds[static 4], unsigned *count, char *why,
                    size_t room);
/* -1 where it cannot be read: `why` says so, and is empty where the node was never set up. */
int files_open_node_state(const struct config *c, char *why, size_t room);
void files_watch(struct supervisor *s);
/* Looks again. Which of the two changed since the last look. */
void files_poll(struct supervisor *s, bool *tls_changed, bool *node_changed);

/* control_socket.c */
rc_t control_socket_open(struct supervisor *s);
void control_socket_close(struct supervisor *s);
/* Whether what an administrator asked for is in the audit now, and may be done. */
void control_socket_noted(struct supervisor *s, uint32_t number, bool audited);
/* The vault's answer to CONTROL_SIGN (ipc/control.def) goes to the administrator who asked, if it
 * is still there. */
void control_socket_signed(struct supervisor *s, struct bytes body);

/*
 * notes.c. Lets a worker write down an act of an administrator; note_written() tells of this number later, if the
 * worker lives. RC_UNAVAILABLE: no worker is up; RC_TOO_LARGE.
 */
rc_t note_send(struct supervisor *s, const char *act, const char *who, const char *detail, uint32_t *number_out);
/* A worker has written a note, or could not: goes to who waits for it, if anybody does. */
void note_written(struct supervisor *s, uint32_t number, bool audited);
/* A worker that has all it asked for, and is to stay. */
bool child_takes_notes(const struct child *c);

/*
 * traces.c. Begins to watch whom the command line "text|json WHOM" names, for `who`: written to the audit first, so it
 * calls back once: with why not, or with NULL and the reader's end, to be passed on (it is closed afterwards).
 * The line is the caller's to close, when the administrator leaves. RC_TOO_MANY, RC_BAD_VALUE: no such whom;
 * RC_UNAVAILABLE: no worker is up; RC_IO, RC_NO_MEMORY.
 */
typedef void trace_begun_fn(void *arg, const char *error, int fd);
rc_t trace_line_open(struct supervisor *s, const char *command, const char *who, trace_begun_fn *begun, void *arg,
                     struct trace_line **out);
void trace_line_close(struct trace_line **line);
/* A note was written, or could not be. False: it is not one of a trace that begins. */
bool trace_line_noted(struct supervisor *s, uint32_t number, bool audited);
/* A worker has begun to listen: it watches too. */
void trace_lines_join(struct child *worker);

/* status.c: the answer to `status`; malloc'ed text or NULL. */
char *status_text(const struct supervisor *s);

#endif
