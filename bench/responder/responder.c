/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The responder as its users see it: opened, started, stopped, asked, closed. The work is done elsewhere:
 *
 *   responder_profile  text to data           responder_packet  bytes of requests and answers
 *   responder_rules    which profile is whose responder_queue   answers that wait for their time
 *   responder_model    what becomes of it     responder_memory  what is remembered of addresses
 *   responder_device   the TUN device         responder_loop    reads, decides, waits, writes
 *
 * Who opens it owns it, in one thread. The child of responder_start() holds the reading end of a pipe and
 * nothing else of its parent: when the parent is gone, killed or not, the pipe ends and so does the child,
 * and with the last descriptor of the device the device and its routes.
 */
#include "bench/responder/responder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "bench/responder/loop.h"

/* The address after this one; the one before where that would be the broadcast address. */
static struct address neighbour_of(const struct responder_prefix *prefix)
{
    struct address neighbour = prefix->address;
    uint8_t *last = &neighbour.bytes[neighbour.family == AF_INET ? 3 : 15];
    uint8_t hosts = prefix->length > 24 && neighbour.family == AF_INET ? 0xff >> (prefix->length - 24) : 0xff;

    if (hosts <= 1) /* a network of two, or of one */
        *last ^= 1;
    else
        *last = (uint8_t)((*last & hosts) + 1 >= hosts ? *last - 1 : *last + 1);
    return neighbour;
}

static void choose_routers(struct responder *responder, const struct responder_settings *settings)
{
    for (size_t i = settings->address_count; i-- > 0;) {
        const struct responder_prefix *prefix = &settings->addresses[i];

        responder->routers[prefix->address.family == AF_INET6] = neighbour_of(prefix);
    }
}

static int take_rules(struct responder *responder, const struct responder_settings *settings, char *message,
                      size_t size_bytes)
{
    size_t which = 0;

    responder->rules = calloc(settings->rule_count + 1, sizeof(*responder->rules));
    if (!responder->rules)
        return -ENOMEM;
    if (settings->rule_count)
        memcpy(responder->rules, settings->rules, settings->rule_count * sizeof(*responder->rules));
    responder->rule_count = settings->rule_count + 1;
    if (responder_rules_sort(responder->rules, responder->rule_count, &which) < 0) {
        const struct responder_prefix *prefix = &responder->rules[which].prefix;

        snprintf(message, size_bytes, "%s/%u has two profiles", ADDRESS_TEXT(&prefix->address),
                 prefix->length);
        return -EINVAL;
    }
    for (size_t i = 0; i < responder->rule_count; i++)
        responder->rules[i].key = responder_rule_key(&responder->rules[i].prefix, settings->seed);
    return 0;
}

static int share_counters(struct responder *responder)
{
    void *memory;

    responder->shared_bytes =
        sizeof(struct responder_shared) + responder->rule_count * sizeof(struct responder_counters);
    memory = mmap(NULL, responder->shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    responder->shared = memory;
    return 0;
}

int responder_open(struct responder **out, const struct responder_settings *settings, char *message,
                   size_t size_bytes)
{
    CLEANUP(responder_close) struct responder *responder = calloc(1, sizeof(*responder));
    int r;

    if (!responder)
        return -ENOMEM;
    snprintf(message, size_bytes, "%s", strerror(ENOMEM));
    responder->device.fd = responder->stop_fd = -1;
    responder->seed = settings->seed;
    responder->realtime = settings->realtime;
    choose_routers(responder, settings);
    r = take_rules(responder, settings, message, size_bytes);
    if (r == 0)
        r = share_counters(responder);
    if (r == 0)
        r = responder_device_open(&responder->device, settings, message, size_bytes);
    if (r < 0)
        return r;
    responder->began_ns = clock_now_ns(CLOCK_MONOTONIC);
    *out = TAKE(responder);
    return 0;
}

struct responder *responder_close(struct responder *responder)
{
    if (!responder)
        return NULL;
    responder_stop(responder);
    responder_device_close(&responder->device);
    if (responder->shared)
        munmap(responder->shared, responder->shared_bytes);
    free(responder->rules);
    free(responder);
    return NULL;
}

/* --- a process of its own --------------------------------------------------------------------------------*/

int responder_start(struct responder *responder)
{
    int ends[2];
    pid_t child;

    if (responder->child)
        return -EALREADY;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    fflush(NULL);
    child = fork();
    if (child == 0) {
        close(ends[1]);
        /* Ctrl-C is for the parent, which still wants the answers to what it has asked. */
        signal(SIGINT, SIG_IGN);
        _exit(responder_run(responder, ends[0]) < 0);
    }
    close(ends[0]);
    if (child < 0) {
        close(ends[1]);
        return -errno;
    }
    responder->child = child;
    responder->stop_fd = ends[1];
    return 0;
}

int responder_stop(struct responder *responder)
{
    int status = 0;

    if (!responder->child)
        return 0;
    /* Another child of ours may hold the pipe open, so that closing it is not enough. */
    if (write(responder->stop_fd, "", 1) < 0) {
        /* It has ended already. */
    }
    responder->stop_fd = close_fd(responder->stop_fd);
    while (waitpid(responder->child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    responder->child = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

/* --- what was counted ------------------------------------------------------------------------------------*/

const struct responder_rule *responder_rules(const struct responder *responder, size_t *count)
{
    *count = responder->rule_count;
    return responder->rules;
}

const struct responder_counters *responder_counters(const struct responder *responder)
{
    return responder->shared->counters;
}

const struct responder_figures *responder_figures(const struct responder *responder)
{
    return &responder->shared->figures;
}

int64_t responder_queue_drops(struct responder *responder)
{
    return responder_device_drops(&responder->device);
}

static void write_counters(const struct responder_counters *c, FILE *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"requests", c->requests},
        {"replies", c->verdicts[RESPONDER_REPLY]},
        {"errors", c->verdicts[RESPONDER_ERROR]},
        {"dead", c->verdicts[RESPONDER_DEAD]},
        {"lost", c->verdicts[RESPONDER_LOST]},
        {"lost_in_bursts", c->verdicts[RESPONDER_BURST]},
        {"limited", c->verdicts[RESPONDER_LIMITED]},
        {"too_big", c->verdicts[RESPONDER_TOO_BIG]},
        {"spiked", c->spiked},
        {"late", c->late},
        {"reordered", c->reordered},
        {"duplicates", c->duplicates},
        {"corrupt", c->corrupt},
        {"truncated", c->truncated},
        {"wrong_source", c->wrong_source},
        {"overflows", c->overflows},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        fprintf(out, "%s\"%s\":%" PRIu64, i ? "," : "", rows[i].name, rows[i].value);
}

/* Counters are nothing but numbers of 64 bits. */
static struct responder_counters sum_of(const struct responder *responder)
{
    struct responder_counters sum = {0};

    for (size_t i = 0; i < responder->rule_count; i++)
        for (size_t k = 0; k < sizeof(sum) / sizeof(uint64_t); k++)
            ((uint64_t *)&sum)[k] += ((const uint64_t *)&responder->shared->counters[i])[k];
    return sum;
}

void responder_write_json(struct responder *responder, FILE *out)
{
    const struct responder_figures *figures = responder_figures(responder);
    struct responder_counters sum = sum_of(responder);

    fprintf(out,
            "{\"schema\":\"reroute.responder/1\",\"seed\":%" PRIu64
            ",\"seconds\":%.3f,\"busy_seconds\":%.3f,",
            responder->seed, (double)(clock_now_ns(CLOCK_MONOTONIC) - responder->began_ns) / 1e9,
            (double)figures->busy_ns / 1e9);
    write_counters(&sum, out);
    fprintf(out,
            ",\"other\":%" PRIu64 ",\"queue_drops\":%" PRId64 ",\"write_failures\":%" PRIu64
            ",\"forgotten\":%" PRIu64 ",\"pending\":%" PRIu64 ",\"pending_most\":%" PRIu64,
            figures->other, responder_queue_drops(responder), figures->write_failures, figures->forgotten,
            figures->pending, figures->pending_most);
    fprintf(out, ",\"lateness_us\":{\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f},\"prefixes\":[",
            (double)responder_lateness_ns(figures, 0.5) / 1e3,
            (double)responder_lateness_ns(figures, 0.99) / 1e3,
            (double)responder_lateness_ns(figures, 0.999) / 1e3, (double)figures->lateness_most_ns / 1e3);
    for (size_t i = 0; i < responder->rule_count; i++) {
        const struct responder_prefix *prefix = &responder->rules[i].prefix;

        if (i + 1 == responder->rule_count)
            fprintf(out, "{\"prefix\":\"other\",");
        else
            fprintf(out, "{\"prefix\":\"%s/%u\",", ADDRESS_TEXT(&prefix->address), prefix->length);
        write_counters(&responder->shared->counters[i], out);
        fprintf(out, i + 1 == responder->rule_count ? "}]}\n" : "},");
    }
}
