/* Fetches policies as a sender that meets each tenant for the first time: a new TCP connection, a
 * full TLS 1.3 handshake, one GET, close. Each answer is judged: the certificate's name, the status
 * and the body, which must be the whole policy of that tenant. Prints one line of JSON.
 *
 *     client --port P --tenants N [--count C | --seconds S] [--threads K] [--rate R]
 *            [--pick uniform|zipf|sequential] [--seed S] [--first T] [--policies own|shared]
 *     client --port P --first T --until right|age=SECONDS|serial=HEX [--seconds S]
 *            [--policies own|shared]
 *
 * --rate: fetches a second in all; latency then counts from the moment when a fetch was due.
 * --until: one tenant again and again, until the answer is right and the newest one. */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/judge.h"
#include "tests/bench/pick.h"
#include "tests/bench/tenant.h"

#define TIMEOUT_S   10
#define THREADS_MAX 64
#define ANSWER_SIZE 4096
#define RETRY_NS    1000000 /* between two attempts of --until */

struct options {
    unsigned port, threads;
    unsigned long count;
    double seconds, rate;
    struct pick pick;
    uint64_t seed;
    const char *until;
    bool shared; /* what the policies are: tenant.h */
};

struct answer {
    unsigned max_age;
    char serial[64];
};

struct worker {
    pthread_t thread;
    uint64_t random;
    uint32_t *us; /* of right answers */
    size_t count, capacity;
    unsigned long wrong, failed, tickets;
    unsigned source;
};

static struct options options = {.threads = 8, .pick.tenants = 1, .seed = 1};
static SSL_CTX *context;
static atomic_ulong taken;
static uint64_t begin_ns;
static char complaint[256]; /* the first one */
static pthread_mutex_t complaint_lock = PTHREAD_MUTEX_INITIALIZER;
static int ticket_index;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
}

static enum outcome complain(enum outcome outcome, const char *host, const char *what)
{
    pthread_mutex_lock(&complaint_lock);
    if (!complaint[0])
        snprintf(complaint, sizeof(complaint), "%s: %.160s", host, what);
    pthread_mutex_unlock(&complaint_lock);
    return outcome;
}

/* --- One fetch --- */
static int open_connection(struct worker *w)
{
    static const struct timeval limit = {.tv_sec = TIMEOUT_S};
    static const int on = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    /* Many addresses, so that ports in TIME_WAIT never run out. */
    w->source = (w->source + THREADS_MAX) % 60000;
    from.sin_addr.s_addr = htonl(0x7f010001 + w->source);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
        connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct worker *w = SSL_get_ex_data(ssl, ticket_index);

    (void)session;
    w->tickets++;
    return 0;
}

static bool judge_certificate(SSL *ssl, const char *host, struct answer *out)
{
    X509 *leaf = SSL_get0_peer_certificate(ssl);

    if (!leaf || X509_check_host(leaf, host, 0, 0, NULL) != 1)
        return false;
    if (options.until) {
        BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
        char *hex = number ? BN_bn2hex(number) : NULL;
        snprintf(out->serial, sizeof(out->serial), "%s", hex ? hex : "");
        OPENSSL_free(hex);
        BN_free(number);
    }
    return true;
}

/* `done_ns`: when the body was complete. What follows is the end of the connection, which is waited
 * for, so that all of the server's work belongs to fetches that were counted. */
static enum outcome talk(SSL *ssl, unsigned tenant, const char *host, struct answer *out,
                         uint64_t *done_ns)
{
    char text[ANSWER_SIZE];
    size_t len = 0, got;
    int request = snprintf(text, sizeof(text),
                           "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\n"
                           "User-Agent: bench\r\nConnection: close\r\n\r\n",
                           host);

    if (SSL_set_tlsext_host_name(ssl, host) != 1 || SSL_connect(ssl) != 1)
        return complain(FAILED, host, "no handshake");
    if (!judge_certificate(ssl, host, out))
        return complain(WRONG, host, "a certificate of another name");
    if (SSL_write(ssl, text, request) != request)
        return complain(FAILED, host, "no request");
    while (len < sizeof(text) - 1 && SSL_read_ex(ssl, text + len, sizeof(text) - 1 - len, &got)) {
        len += got;
        *done_ns = now_ns();
    }
    SSL_shutdown(ssl);
    enum outcome outcome = judge_answer(tenant, options.shared, text, len, &out->max_age);
    return outcome == RIGHT ? RIGHT : complain(outcome, host, text);
}

static enum outcome fetch(struct worker *w, unsigned tenant, struct answer *out, uint64_t *done_ns)
{
    char host[HOST_SIZE];
    enum outcome outcome;
    int fd = open_connection(w);
    SSL *ssl;

    tenant_host(tenant, host);
    if (fd < 0)
        return complain(FAILED, host, strerror(errno));
    ssl = SSL_new(context);
    if (!ssl || SSL_set_fd(ssl, fd) != 1)
        exit(1);
    SSL_set_ex_data(ssl, ticket_index, w);
    outcome = talk(ssl, tenant, host, out, done_ns);
    SSL_free(ssl);
    ERR_clear_error();
    close(fd);
    return outcome;
}

/* --- Many --- */
static void note(struct worker *w, uint64_t ns)
{
    if (w->count == w->capacity) {
        w->capacity = w->capacity ? 2 * w->capacity : 4096;
        w->us = realloc(w->us, w->capacity * sizeof(*w->us));
        if (!w->us)
            exit(1);
    }
    w->us[w->count++] = (uint32_t)(ns / 1000);
}

static void *work(void *data)
{
    struct worker *w = data;
    uint64_t end_ns =
        options.seconds > 0 ? begin_ns + (uint64_t)(options.seconds * 1e9) : UINT64_MAX;

    for (;;) {
        unsigned long number = atomic_fetch_add(&taken, 1);
        uint64_t due = now_ns(), done = 0;
        struct answer answer;
        if (options.rate > 0) {
            due = begin_ns + (uint64_t)((double)number * 1e9 / options.rate);
            if (due < end_ns)
                sleep_until(due);
        }
        if ((options.count && number >= options.count) || due >= end_ns)
            return NULL;
        switch (fetch(w, pick_tenant(&options.pick, &w->random, number), &answer, &done)) {
        case RIGHT:
            note(w, done - due);
            break;
        case WRONG:
            w->wrong++;
            break;
        case FAILED:
            w->failed++;
            break;
        }
    }
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double at(const struct worker *all, double part)
{
    size_t index = (size_t)(part * (double)all->count);

    if (all->count == 0)
        return 0;
    return all->us[index < all->count ? index : all->count - 1] / 1000.0;
}

static int many(void)
{
    static struct worker workers[THREADS_MAX];
    struct worker all = {0};

    pick_prepare(&options.pick);
    begin_ns = now_ns();
    for (unsigned i = 0; i < options.threads; i++) {
        workers[i].random = (options.seed * THREADS_MAX + i + 1) * 0x9e3779b97f4a7c15;
        workers[i].source = i;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            exit(1);
    }
    for (unsigned i = 0; i < options.threads; i++) {
        struct worker *w = &workers[i];
        pthread_join(w->thread, NULL);
        for (size_t j = 0; j < w->count; j++)
            note(&all, (uint64_t)w->us[j] * 1000);
        all.wrong += w->wrong;
        all.failed += w->failed;
        all.tickets += w->tickets;
        free(w->us);
    }
    double seconds = (double)(now_ns() - begin_ns) / 1e9;
    if (all.count)
        qsort(all.us, all.count, sizeof(*all.us), by_size);
    for (char *c = complaint; *c; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = '.';
    printf("{\"right\": %zu, \"wrong\": %lu, \"failed\": %lu, \"tickets\": %lu, \"seconds\": %.3f, "
           "\"p50_ms\": %.2f, \"p90_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f, "
           "\"complaint\": \"%s\"}\n",
           all.count, all.wrong, all.failed, all.tickets, seconds, at(&all, 0.5), at(&all, 0.9),
           at(&all, 0.99), at(&all, 1), complaint);
    free(all.us);
    free(options.pick.sums);
    return all.wrong || all.failed;
}

static bool is_reached(const struct answer *answer)
{
    if (strncmp(options.until, "age=", 4) == 0)
        return answer->max_age == strtoul(options.until + 4, NULL, 10);
    if (strncmp(options.until, "serial=", 7) == 0)
        return strcmp(answer->serial, options.until + 7) == 0;
    return true;
}

/* CLOCK_MONOTONIC is the same in all processes: the caller compares. */
static int until(void)
{
    struct worker w = {0};
    uint64_t give_up = now_ns() + (uint64_t)((options.seconds > 0 ? options.seconds : 60) * 1e9);

    for (unsigned long attempts = 1;; attempts++) {
        struct answer answer = {0};
        uint64_t done = 0;
        enum outcome outcome = fetch(&w, options.pick.first, &answer, &done);
        if (outcome == RIGHT && is_reached(&answer)) {
            printf("{\"at\": %.6f, \"attempts\": %lu}\n", (double)done / 1e9, attempts);
            return 0;
        }
        if (now_ns() >= give_up) {
            fprintf(stderr, "client: %s not reached: %s\n", options.until, complaint);
            return 1;
        }
        sleep_until(now_ns() + RETRY_NS);
    }
}

static bool parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", 1, NULL, 'p'},    {"tenants", 1, NULL, 'n'},  {"count", 1, NULL, 'c'},
        {"seconds", 1, NULL, 's'}, {"threads", 1, NULL, 't'},  {"rate", 1, NULL, 'r'},
        {"pick", 1, NULL, 'k'},    {"seed", 1, NULL, 'e'},     {"first", 1, NULL, 'f'},
        {"until", 1, NULL, 'u'},   {"policies", 1, NULL, 'o'}, {NULL, 0, NULL, 0},
    };
    struct options *o = &options;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        unsigned long number = c == '?' ? 0 : strtoul(optarg, NULL, 10);
        switch (c) {
        case 'p':
            o->port = (unsigned)number;
            break;
        case 'n':
            o->pick.tenants = (unsigned)number;
            break;
        case 'c':
            o->count = number;
            break;
        case 's':
            o->seconds = strtod(optarg, NULL);
            break;
        case 't':
            o->threads = (unsigned)number;
            break;
        case 'r':
            o->rate = strtod(optarg, NULL);
            break;
        case 'k':
            o->pick.by = pick_parse(optarg);
            break;
        case 'e':
            o->seed = number;
            break;
        case 'f':
            o->pick.first = (unsigned)number;
            break;
        case 'u':
            o->until = optarg;
            break;
        case 'o':
            o->shared = strcmp(optarg, "shared") == 0;
            break;
        default:
            return false;
        }
    }
    return o->port && o->pick.tenants && o->threads && o->threads <= THREADS_MAX &&
           (o->until || o->count || o->seconds > 0);
}

int main(int argc, char **argv)
{
    static const unsigned char http[] = "\x08http/1.1";

    if (!parse(argc, argv)) {
        fprintf(stderr, "client: see the head of client.c\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    context = SSL_CTX_new(TLS_client_method());
    ticket_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set1_groups_list(context, "X25519:P-256") != 1 ||
        SSL_CTX_set_alpn_protos(context, http, sizeof(http) - 1) != 0)
        return 1;
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_new_session);
    int result = options.until ? until() : many();
    SSL_CTX_free(context);
    return result;
}
