/*
 * Load generator: KMIP over mutual TLS, one thread. Verifies every answer, measures latency from
 * the moment a request is handed to TLS to the moment its answer is read, prints one JSON object.
 * Used by `make bench` and, with --facts and --keep-going, by the kill test.
 */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

#include "proto/ttlv/read.h"

struct load_options load_options = {.host = "127.0.0.1",
                                    .port = 5696,
                                    .connections = 8,
                                    .depth = 1,
                                    .keys = 64,
                                    .version = 0x0104,
                                    .request_bytes = 160,
                                    .answer_bytes = 400,
                                    .warm = true};

static const char help[] =
    "Usage: load --mode MODE --cert FILE --key FILE --ca FILE [options]\n"
    "Sends KMIP requests over mutual TLS, verifies every answer and prints one JSON object.\n"
    "\n"
    "  --mode get        fetch keys made before; each must be the same key again\n"
    "         create     make AES-256 keys; each identifier must be new\n"
    "         locate     find one key by name; it must be that one and no other\n"
    "         query      Query Operations\n"
    "         discover   Discover Versions\n"
    "         handshake  connect, take the session that the server gives, close; one after the other "
    "on\n"
    "                    each connection\n"
    "         life       create, get, activate, get, revoke, destroy, and get again, which must "
    "fail\n"
    "         canned     any TTLV request of --request-bytes, any answer of --answer-bytes (the "
    "floor)\n"
    "         check      fetch every key of --facts FILE and compare with what was acknowledged\n"
    "  --host NAME       server, default 127.0.0.1 (also what its certificate must name)\n"
    "  --port N          default 5696\n"
    "  --cert, --key, --ca FILE   the client's certificate and key, the server's CA; PEM\n"
    "  --connections N   default 8\n"
    "  --depth N         requests under way on each connection, default 1\n"
    "  --seconds S       how long to measure, default 5 unless --count is given; half a second of\n"
    "                    warming up comes before (not with --count, life or check)\n"
    "  --count N         end after so many requests (life: so many keys)\n"
    "  --keys N          keys made for get and locate, default 64\n"
    "  --known FILE      get and locate these keys instead, one 'UID NAME' a line\n"
    "  --named           create gives each key a name\n"
    "  --hold            one request on each connection, then say 'held N' and keep them open and "
    "silent\n"
    "                    until standard input ends\n"
    "  --per-connection N   close and connect anew after so many requests; 0, the default: never\n"
    "  --resume          resume TLS sessions when connecting anew\n"
    "  --version 1.0 to 1.4   protocol version, default 1.4\n"
    "  --name TEXT       prefix of key names and client correlation values, default load-PID-TIME\n"
    "  --facts FILE      append each acknowledged fact before the next request is sent; lines are\n"
    "                    KIND OPERATION UID DIGEST NAME CORRELATION, KIND A (acknowledged) or\n"
    "                    U (sent, and the connection ended without an answer), '-' for none;\n"
    "                    DIGEST is the SHA-256 of the key bytes. CORRELATION stands in the audit "
    "row.\n"
    "  --keep-going      connect again after an error instead of ending; outcomes that stay open "
    "are\n"
    "                    counted as unknown\n"
    "  --request-bytes N, --answer-bytes N   sizes of whole messages in mode canned\n"
    "\n"
    "JSON: ops_per_s, p50_us, p90_us, p99_us, p999_us, max_us, mean_us, answers, refused "
    "(answered\n"
    "General Failure or Server Limit Exceeded, tried again), wrong (must be 0), unknown, "
    "reconnects,\n"
    "connect_errors, setup (answers before the run), handshakes, resumed (TLS),\n"
    "request_bytes, answer_bytes (mean), client_cpu_us (a "
    "request).\n"
    "Exit status: 0; 1 when an answer was wrong; 2 when the run could not be done.\n";

void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("load: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void load_wrong(const char *fmt, ...)
{
    va_list args;
    if (load_result.wrong++ == 0) {
        va_start(args, fmt);
        vsnprintf(load_result.first_problem, sizeof load_result.first_problem, fmt, args);
        va_end(args);
        fprintf(stderr, "load: %s\n", load_result.first_problem);
    }
}

/* ---- connections ---------------------------------------------------------------------------- */

int load_connect(bool non_blocking)
{
    static struct addrinfo *to;
    char port[8];
    int on = 1;
    if (!to) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        snprintf(port, sizeof port, "%u", load_options.port);
        int r = getaddrinfo(load_options.host, port, &hints, &to);
        if (r != 0)
            die("%s: %s", load_options.host, gai_strerror(r));
    }
    int fd =
        socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | (non_blocking ? SOCK_NONBLOCK : 0), 0);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

static SSL_CTX *context_make(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct in6_addr address;
    bool numeric = inet_pton(AF_INET, load_options.host, &address) == 1 ||
                   inet_pton(AF_INET6, load_options.host, &address) == 1;
    if (!ctx)
        die("no TLS context");
    if (!load_options.cert || !load_options.key || !load_options.ca)
        die("--cert, --key and --ca are needed");
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    if (numeric ? X509_VERIFY_PARAM_set1_ip_asc(param, load_options.host) != 1
                : X509_VERIFY_PARAM_set1_host(param, load_options.host, 0) != 1)
        die("%s is no host", load_options.host);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (SSL_CTX_use_certificate_chain_file(ctx, load_options.cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, load_options.key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_locations(ctx, load_options.ca, NULL) != 1)
        die("certificate, key or CA: %s", ERR_reason_error_string(ERR_peek_last_error()));
    return ctx;
}

/* ---- set-up: one request at a time ---------------------------------------------------------- */

struct sync_client {
    int fd;
    SSL *ssl;
    struct arena arena;
};

struct sync_client *sync_open(SSL_CTX *ctx)
{
    struct sync_client *c = calloc(1, sizeof *c);
    if (!c)
        die("out of memory");
    c->arena = ARENA_OF(64u << 20);
    c->fd = load_connect(false);
    if (c->fd < 0)
        die("%s:%u: %s", load_options.host, load_options.port, strerror(errno));
    c->ssl = SSL_new(ctx);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1)
        die("TLS: %s", ERR_reason_error_string(ERR_peek_last_error()));
    return c;
}

static void sync_read(struct sync_client *c, struct buf *in, size_t len)
{
    while (in->len < len) {
        if (buf_reserve(in, len - in->len) != RC_OK)
            die("out of memory");
        int n = SSL_read(c->ssl, in->data + in->len, (int)(len - in->len));
        if (n <= 0)
            die("the server closed the connection during set-up");
        in->len += (size_t)n;
    }
}

void sync_ask(struct sync_client *c, const struct load_request *rq, struct load_answer *out)
{
    AUTO_BUF message = BUF_EMPTY;
    size_t total;
    if (load_request_write(rq, &message) != RC_OK ||
        SSL_write(c->ssl, message.data, (int)message.len) != (int)message.len)
        die("a request cannot be sent");
    buf_clear(&message);
    sync_read(c, &message, TTLV_HEADER_BYTES);
    if (ttlv_frame_check_response(message.data, 16u << 20, &total) != RC_OK)
        die("the answer is no KMIP message");
    sync_read(c, &message, total);
    if (load_answer_read(&c->arena, buf_view(&message), out) != RC_OK)
        die("the answer cannot be read");
    arena_reset(&c->arena);
    load_result.setup++;
    if (out->status != 0)
        die("%s failed: reason 0x%x, %s", step_operation(rq->step), out->reason, out->message);
}

void sync_close(struct sync_client *c)
{
    SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    arena_free(&c->arena);
    free(c);
}

static void keys_make(SSL_CTX *ctx)
{
    struct sync_client *c = sync_open(ctx);
    load_keys = calloc(load_options.keys, sizeof *load_keys);
    if (!load_keys)
        die("out of memory");
    for (unsigned i = 0; i < load_options.keys; i++) {
        char *name = load_keys[i].name, correlation[CORRELATION_BYTES];
        struct load_answer answer;
        snprintf(name, NAME_BYTES, "%s-key-%u", load_options.name, i);
        snprintf(correlation, sizeof correlation, "%s-setup-%u", load_options.name, i);
        struct load_request rq = {STEP_CREATE, NULL, name, correlation};
        sync_ask(c, &rq, &answer);
        snprintf(load_keys[i].uid, UID_BYTES, "%s", answer.uid);
        rq = (struct load_request){STEP_GET, load_keys[i].uid, NULL, correlation};
        sync_ask(c, &rq, &answer);
        load_digest(&answer, load_keys[i].digest);
    }
    load_key_count = load_options.keys;
    sync_close(c);
}

/* ---- options and report --------------------------------------------------------------------- */

static const char *const modes[] = {"get", "create", "locate", "query",
                                    "discover", "handshake", "life", "canned", "check"};

static unsigned number(const char *text, unsigned least, unsigned most)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*end || !*text || n < least || n > most)
        die("'%s' is not a number from %u to %u", text, least, most);
    return (unsigned)n;
}

static enum load_mode mode_of(const char *text)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(text, modes[i]))
            return (enum load_mode)i;
    die("'%s' is no mode; see --help", text);
}

enum {
    O_MODE = 256,
    O_HOST,
    O_PORT,
    O_CERT,
    O_KEY,
    O_CA,
    O_CONNECTIONS,
    O_DEPTH,
    O_SECONDS,
    O_COUNT,
    O_KEYS,
    O_PER,
    O_RESUME,
    O_VERSION,
    O_NAME,
    O_FACTS,
    O_KNOWN,
    O_NAMED,
    O_HOLD,
    O_KEEP,
    O_REQUEST,
    O_ANSWER,
    O_HELP
};

static const struct option long_options[] = {{"mode", 1, NULL, O_MODE},
                                             {"host", 1, NULL, O_HOST},
                                             {"port", 1, NULL, O_PORT},
                                             {"cert", 1, NULL, O_CERT},
                                             {"key", 1, NULL, O_KEY},
                                             {"ca", 1, NULL, O_CA},
                                             {"connections", 1, NULL, O_CONNECTIONS},
                                             {"depth", 1, NULL, O_DEPTH},
                                             {"seconds", 1, NULL, O_SECONDS},
                                             {"count", 1, NULL, O_COUNT},
                                             {"keys", 1, NULL, O_KEYS},
                                             {"per-connection", 1, NULL, O_PER},
                                             {"resume", 0, NULL, O_RESUME},
                                             {"version", 1, NULL, O_VERSION},
                                             {"name", 1, NULL, O_NAME},
                                             {"facts", 1, NULL, O_FACTS},
                                             {"known", 1, NULL, O_KNOWN},
                                             {"named", 0, NULL, O_NAMED},
                                             {"hold", 0, NULL, O_HOLD},
                                             {"keep-going", 0, NULL, O_KEEP},
                                             {"request-bytes", 1, NULL, O_REQUEST},
                                             {"answer-bytes", 1, NULL, O_ANSWER},
                                             {"help", 0, NULL, O_HELP},
                                             {NULL, 0, NULL, 0}};

static void option_take(int option, const char *value)
{
    struct load_options *o = &load_options;
    switch (option) {
    case O_MODE:
        o->mode = mode_of(value);
        break;
    case O_HOST:
        o->host = value;
        break;
    case O_PORT:
        o->port = (uint16_t)number(value, 1, 65535);
        break;
    case O_CERT:
        o->cert = value;
        break;
    case O_KEY:
        o->key = value;
        break;
    case O_CA:
        o->ca = value;
        break;
    case O_CONNECTIONS:
        o->connections = number(value, 1, 100000);
        break;
    case O_DEPTH:
        o->depth = number(value, 1, 1024);
        break;
    case O_SECONDS:
        o->seconds = strtod(value, NULL);
        break;
    case O_COUNT:
        o->count = number(value, 1, 2000000000);
        break;
    case O_KEYS:
        o->keys = number(value, 1, 1000000);
        break;
    case O_PER:
        o->per_connection = number(value, 0, 1000000000);
        break;
    case O_RESUME:
        o->resume = true;
        break;
    case O_NAME:
        o->name = value;
        break;
    case O_FACTS:
        o->facts = value;
        break;
    case O_KNOWN:
        o->known = value;
        break;
    case O_NAMED:
        o->named = true;
        break;
    case O_HOLD:
        o->hold = true;
        break;
    case O_KEEP:
        o->keep_going = true;
        break;
    case O_REQUEST:
        o->request_bytes = number(value, 16, 1 << 20) & ~7u;
        break;
    case O_ANSWER:
        o->answer_bytes = number(value, 16, 1 << 24) & ~7u;
        break;
    case O_VERSION:
        if (strlen(value) != 3 || value[0] != '1' || value[1] != '.' || value[2] < '0' ||
            value[2] > '4')
            die("the version is 1.0 to 1.4");
        o->version = (uint16_t)(0x0100 | (value[2] - '0'));
        break;
    case O_HELP:
        fputs(help, stdout);
        exit(0);
    default:
        exit(2);
    }
}

static void options_read(int argc, char **argv)
{
    static char name[40];
    struct load_options *o = &load_options;
    bool has_mode = false;
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        option_take(option, optarg);
        has_mode |= option == O_MODE;
    }
    if (!has_mode || optind != argc)
        die("--mode is needed; see --help");
    if (!o->name) {
        snprintf(name, sizeof name, "load-%d-%lld", getpid(), (long long)time(NULL));
        o->name = name;
    }
    if (strlen(o->name) > 30 || strpbrk(o->name, " \n"))
        die("the name is at most 30 characters without spaces");
    if (o->mode == LOAD_CHECK && !o->facts)
        die("mode check needs --facts FILE");
    if (o->named && o->mode != LOAD_CREATE)
        die("--named is for mode create");
    if (o->seconds <= 0 && !o->count && !o->hold && o->mode != LOAD_CHECK)
        o->seconds = 5;
    if (o->count || o->hold || o->mode == LOAD_CHECK || o->mode == LOAD_LIFE)
        o->warm = false;
}

static void report(void)
{
    const struct load_result *r = &load_result;
    const struct hist *h = &r->hist;
    double n = h->count ? (double)h->count : 1, seconds = r->seconds > 0 ? r->seconds : 1;
    printf("{\"mode\":\"%s\",\"connections\":%u,\"depth\":%u,\"seconds\":%.3f,\"ops\":%llu,"
           "\"ops_per_s\":%.1f,\"mean_us\":%.1f,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,"
           "\"p999_us\":%.1f,\"max_us\":%.1f,",
           modes[load_options.mode], load_options.connections, load_options.depth, r->seconds,
           (unsigned long long)h->count, (double)h->count / seconds, (double)h->sum_ns / n / 1000,
           hist_us(h, 0.5), hist_us(h, 0.9), hist_us(h, 0.99), hist_us(h, 0.999),
           (double)h->max_ns / 1000);
    printf("\"answers\":%llu,\"refused\":%llu,\"wrong\":%llu,\"unknown\":%llu,\"reconnects\":%llu,"
           "\"connect_errors\":%llu,\"handshakes\":%llu,\"resumed\":%llu,\"request_bytes\":%llu,"
           "\"setup\":%llu,\"answer_bytes\":%.1f,\"client_cpu_us\":%.2f,\"name\":\"%s\"}\n",
           (unsigned long long)r->answers, (unsigned long long)r->refused,
           (unsigned long long)r->wrong, (unsigned long long)r->unknown,
           (unsigned long long)r->reconnects, (unsigned long long)r->connect_errors,
           (unsigned long long)r->handshakes, (unsigned long long)r->resumed,
           (unsigned long long)r->request_bytes, (unsigned long long)r->setup,
           (double)r->answer_bytes / n,
           r->cpu_seconds * 1e6 / n, load_options.name);
    if (r->first_problem[0] && !r->wrong)
        fprintf(stderr, "load: first problem: %s\n", r->first_problem);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    options_read(argc, argv);
    SSL_CTX *ctx = context_make();
    if (load_options.mode == LOAD_CHECK)
        load_keys = facts_read(load_options.facts, &load_key_count);
    else if (load_options.facts)
        facts_open(load_options.facts);
    if (load_options.known)
        load_keys = known_read(load_options.known, &load_key_count);
    else if (load_options.mode == LOAD_GET || load_options.mode == LOAD_LOCATE)
        keys_make(ctx);
    load_run(ctx);
    report();
    free(load_keys);
    SSL_CTX_free(ctx);
    return load_result.wrong ? 1 : 0;
}
