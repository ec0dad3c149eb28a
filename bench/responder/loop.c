/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running responder: one thread, one device, one loop.
 *
 * What is due is written first, then what came is read, one packet a system call (a TUN device knows no
 * other way), until nothing is there or the next answer is due. Before that answer the loop sleeps until
 * SPIN_NS before its time and then turns without sleeping: waking a thread takes some 50 us, which is more
 * than a delay may be off. With nothing pending soon it sleeps and costs nothing. An answer without a delay
 * is written at once, from the buffer in which its request came.
 *
 * A delay counts from the moment the request is read. How late each answer was is measured after its write,
 * when the kernel has delivered it, and kept as a histogram.
 *
 * Counters live in memory that is shared with a child, so that the process that opened the responder sees
 * them wherever it runs. They are written by one thread and read without a lock: each is right, two may be a
 * moment apart.
 *
 * Deliberately not done: several queues and threads. Requests of a rule are numbered in one sequence, which
 * is what makes a run repeatable; and one core answers more than one core can ask.
 */
#include "bench/responder/loop.h"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>

#define SPIN_NS      (60 * NS_PER_US)
#define STOP_LOOK_NS (2 * NS_PER_MS) /* how often a busy loop looks whether it shall stop */
#define READ_BATCH   64

/* What only the running loop needs. */
struct loop {
    struct responder *responder;
    struct responder_shared *shared;
    struct responder_queue queue;
    struct responder_memories memories;
    uint64_t now_ns, looked_ns;
    uint64_t used_before_ns; /* CPU time of this thread when the loop began */
    uint8_t packet[RESPONDER_PACKET_MAX_BYTES + RESPONDER_PACKET_GROWTH_BYTES];
};

/* --- one packet ------------------------------------------------------------------------------------------*/

static void write_packet(struct loop *loop, const uint8_t *bytes, size_t size_bytes)
{
    if (write(loop->responder->device.fd, bytes, size_bytes) < 0)
        loop->shared->figures.write_failures++;
}

static void count(struct responder_counters *counters, const struct responder_fate *fate)
{
    counters->verdicts[fate->verdict]++;
    counters->spiked += fate->spiked;
    counters->late += fate->late;
    counters->reordered += fate->reordered;
    counters->duplicates += fate->duplicate;
    counters->corrupt += fate->corruption != RESPONDER_INTACT;
    counters->truncated += fate->truncated;
    counters->wrong_source += fate->wrong_source;
}

/* Now, or when its time has come. */
static void send_answer(struct loop *loop, struct responder_counters *counters, uint64_t delay_ns,
                        size_t size_bytes)
{
    struct responder_figures *figures = &loop->shared->figures;

    if (delay_ns == 0) {
        write_packet(loop, loop->packet, size_bytes);
        return;
    }
    if (responder_queue_add(&loop->queue, loop->now_ns + delay_ns, loop->packet, size_bytes) < 0)
        counters->overflows++;
    figures->pending = loop->queue.count;
    figures->pending_most = max_u64(figures->pending_most, figures->pending);
}

static void handle_packet(struct loop *loop, size_t size_bytes)
{
    struct responder *responder = loop->responder;
    struct responder_request request = {.at_ns = loop->now_ns - responder->began_ns};
    struct responder_memory *memory = NULL;
    struct responder_counters *counters;
    const struct responder_rule *rule;
    struct responder_echo echo;
    struct responder_fate fate;

    if (!responder_echo_parse(&echo, loop->packet, size_bytes)) {
        loop->shared->figures.other++;
        return;
    }
    rule =
        &responder->rules[responder_rules_find(responder->rules, responder->rule_count, &echo.destination)];
    counters = &loop->shared->counters[rule - responder->rules];
    request.number = counters->requests++;
    request.address = echo.destination;
    request.size_bytes = echo.size_bytes;
    request.dont_fragment = echo.dont_fragment;
    if (responder_needs_memory(&rule->profile))
        memory = responder_memories_find(&loop->memories, responder_address_hash(rule, &echo.destination));
    fate = responder_decide(rule, &request, memory);
    count(counters, &fate);
    if (fate.verdict != RESPONDER_REPLY && fate.verdict != RESPONDER_ERROR)
        return;
    size_bytes = responder_answer_build(loop->packet, &echo, &rule->profile, &fate,
                                        &responder->routers[echo.destination.family == AF_INET6]);
    send_answer(loop, counters, fate.delay_ns, size_bytes);
    if (fate.duplicate)
        send_answer(loop, counters, fate.delay_ns, size_bytes);
}

/* --- the loop --------------------------------------------------------------------------------------------*/

static void write_due(struct loop *loop)
{
    struct responder_figures *figures = &loop->shared->figures;

    for (int i = 0; i < READ_BATCH && responder_queue_due_ns(&loop->queue) <= loop->now_ns; i++) {
        struct responder_pending pending = responder_queue_take(&loop->queue);

        write_packet(loop, pending.bytes, pending.size_bytes);
        free(pending.bytes);
        loop->now_ns = clock_now_ns(CLOCK_MONOTONIC);
        responder_lateness_note(figures, sub_sat_u64(loop->now_ns, pending.due_ns));
    }
    figures->pending = loop->queue.count;
}

/* Reads what is there, a batch at most, and no longer than until an answer is due. 1: some was there; 0; or
 * a negative errno. */
static int read_requests(struct loop *loop)
{
    for (int i = 0; i < READ_BATCH; i++) {
        ssize_t n = read(loop->responder->device.fd, loop->packet, RESPONDER_PACKET_MAX_BYTES);

        if (n < 0 && errno == EAGAIN)
            return i > 0;
        if (n < 0 && errno != EINTR && errno != EIO) /* EIO: the device is down for now */
            return -errno;
        loop->now_ns = clock_now_ns(CLOCK_MONOTONIC);
        if (n >= 0)
            handle_packet(loop, (size_t)n);
        if (responder_queue_due_ns(&loop->queue) <= loop->now_ns)
            break;
    }
    return 1;
}

/* Waits for a packet, for the end, or until wait_ns are over (NEVER_NS: for ever). 1: the end; 0; or a
 * negative errno. */
static int wait_for(struct loop *loop, int stop_fd, uint64_t wait_ns)
{
    struct pollfd fds[] = {{.fd = stop_fd, .events = POLLIN},
                           {.fd = loop->responder->device.fd, .events = POLLIN}};
    const struct timespec timeout = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
                                     .tv_nsec = (long)(wait_ns % NS_PER_S)};

    loop->shared->figures.busy_ns = clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - loop->used_before_ns;
    if (ppoll(fds, ARRAY_SIZE(fds), wait_ns == NEVER_NS ? NULL : &timeout, NULL) < 0)
        return errno == EINTR ? 0 : -errno;
    loop->now_ns = loop->looked_ns = clock_now_ns(CLOCK_MONOTONIC);
    return fds[0].revents != 0;
}

static int turn(struct loop *loop, int stop_fd)
{
    uint64_t left_ns;
    int r;

    write_due(loop);
    r = read_requests(loop);
    if (r < 0)
        return r;
    loop->now_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (loop->now_ns - loop->looked_ns > STOP_LOOK_NS)
        return wait_for(loop, stop_fd, 0);
    left_ns = sub_sat_u64(responder_queue_due_ns(&loop->queue), loop->now_ns);
    if (r > 0 || left_ns <= SPIN_NS)
        return 0;
    return wait_for(loop, stop_fd, loop->queue.count ? left_ns - SPIN_NS : NEVER_NS);
}

/* 0 or a negative errno. */
static int be_prompt(bool realtime)
{
    const struct sched_param lowest = {.sched_priority = 1};

    /* The default slack of 50 us is as much as the loop is willing to spin. */
    prctl(PR_SET_TIMERSLACK, 1);
    return realtime && sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest) < 0 ? -errno : 0;
}

int responder_run(struct responder *responder, int stop_fd)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    int r;

    if (!loop)
        return -ENOMEM;
    loop->responder = responder;
    loop->shared = responder->shared;
    loop->now_ns = loop->looked_ns = clock_now_ns(CLOCK_MONOTONIC);
    loop->used_before_ns = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    r = be_prompt(responder->realtime);
    if (r == 0)
        r = responder_memories_open(&loop->memories);
    while (r == 0) {
        r = turn(loop, stop_fd);
        loop->shared->figures.forgotten = loop->memories.forgotten;
    }
    responder_queue_clear(&loop->queue);
    responder_memories_close(&loop->memories);
    free(loop);
    return r < 0 ? r : 0;
}
