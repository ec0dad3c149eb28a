/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter's NFS stream: a real NFS client (libnfs, NFSv3 over TCP) writes to a file of the service as a database
 * writes its log: a block of 4 KiB every 10 ms, written through (FILE_SYNC), each when the one before is acknowledged.
 * In the end it reads back the whole file and compares every byte, see blocks.h.
 *
 * How it reconnects and sends its request again is libnfs' affair, as in a hypervisor that has libnfs built in; there
 * is no timeout of a request. Only the pace is ours: where connections are refused it would try without a pause.
 *
 * It says what the meter says (meter.c), of the stream "nfs". An interruption is a write that took more than 50 ms, or
 * one in which the connection broke. It lasts from the issuing of the write to its acknowledgement: for so long a VM's
 * disk stood still.
 */
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sys/random.h>

#include <nfsc/libnfs.h>

#include "tools/meter/blocks.h"
#include "tools/meter/timing.h"

#define ATTEMPTS  2 /* in vain, at once; from then on one a tick */
#define TICK_NS   (10 * NS_PER_MS)
#define HITCH_NS  (50 * NS_PER_MS)
#define FINISH_NS (5 * NS_PER_S) /* in the end so long is waited for a write that is under way */
#define FILE_NAME "/lab-nfs"

/* What was found in the file. */
struct found {
    unsigned verdicts[BLOCK_DAMAGED + 1]; /* blocks of each */
    unsigned unread;                      /* asked for in vain */
};

struct writer {
    const char *server, *export;
    uint16_t nfs_port, mount_port;
    struct nfs_context *nfs;
    struct nfsfh *file;
    int timer, signals;
    uint64_t started_ns, token;
    struct meter_figures figures;
    struct meter_stalls stalls;

    uint8_t block[BLOCK_BYTES]; /* under way */
    uint64_t issued, acknowledged;
    uint64_t issued_ns, issued_stalls_ns; /* of the write that is under way */
    struct meter_interruption run;        /* since then */
    bool again;                           /* it failed, and goes out again at the next tick */

    uint16_t port; /* of the connection: another port, another connection */
    unsigned breaks;
    bool pausing;  /* libnfs tries again at the next tick */
    bool stopping; /* a signal has come: nothing new is issued */
};

/* --- writes ----------------------------------------------------------------------------------------------*/

static uint64_t silence_ns(const struct writer *w, uint64_t now_ns)
{
    return now_ns - max_u64(w->figures.last_arrived_ns, w->started_ns);
}

static void interrupted(struct writer *w, uint64_t until_ns, bool open)
{
    w->run.from_ns = w->issued_ns;
    w->run.until_ns = until_ns;
    w->run.silence_ns = silence_ns(w, until_ns);
    w->run.own_ns = w->stalls.total_ns - w->issued_stalls_ns;
    w->run.open = open;
    meter_interrupted(&w->figures, &w->run);
}

static bool took_long(const struct writer *w, uint64_t now_ns)
{
    uint64_t own_ns = w->stalls.total_ns - w->issued_stalls_ns;

    return w->run.breaks || sub_sat_u64(now_ns - w->issued_ns, own_ns) > HITCH_NS;
}

static void acknowledge(struct writer *w, uint64_t now_ns)
{
    if (w->figures.started && took_long(w, now_ns))
        interrupted(w, now_ns, false);
    w->figures.longest_silence_ns = max_u64(w->figures.longest_silence_ns, silence_ns(w, now_ns));
    w->run = (struct meter_interruption){0};
    w->acknowledged = w->issued;
    meter_arrived(&w->figures, now_ns);
}

static void on_written(int result, struct nfs_context *nfs, void *data, void *context)
{
    struct writer *w = context;

    if (result == BLOCK_BYTES) {
        acknowledge(w, clock_now_ns(CLOCK_MONOTONIC));
        return;
    }
    w->run.errors++;
    w->run.error = result < 0 ? -result : EIO;
    w->figures.send_errors++;
    w->again = true;
}

static void send_block(struct writer *w)
{
    w->again = nfs_pwrite_async(w->nfs, w->file, block_place(w->issued) * BLOCK_BYTES, BLOCK_BYTES, w->block,
                                on_written, w) < 0;
}

static void write_block(struct writer *w, uint64_t now_ns)
{
    w->issued++;
    w->issued_ns = now_ns;
    w->issued_stalls_ns = w->stalls.total_ns;
    w->figures.sent++;
    block_fill(w->block, w->token, w->issued);
    send_block(w);
}

static void tick(struct writer *w, uint64_t ticks)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);

    w->pausing = false;
    meter_note_stall(&w->stalls, (ticks - 1) * TICK_NS);
    meter_watch(&w->figures, now_ns);
    if (w->again)
        send_block(w);
    else if (w->issued == w->acknowledged && !w->stopping)
        write_block(w, now_ns);
}

/* --- the connection --------------------------------------------------------------------------------------*/

static uint16_t local_port(int fd)
{
    struct sockaddr_in at = {0};
    socklen_t size = sizeof(at);

    return getsockname(fd, (struct sockaddr *)&at, &size) < 0 ? 0 : ntohs(at.sin_port);
}

/* libnfs does not tell that it has connected again. After a break each further port is an attempt that failed. */
static void note_break(struct writer *w)
{
    uint16_t port = local_port(nfs_get_fd(w->nfs));

    if (port == w->port)
        return;
    w->port = port;
    if (w->run.breaks) {
        w->run.errors++;
        w->figures.send_errors++;
    } else {
        w->run.breaks = 1;
        w->breaks++;
    }
}

/* Lets libnfs work. It tells errors to its user only when it gives up, and it never does. */
static int serve(struct writer *w, short events)
{
    if (nfs_service(w->nfs, events) < 0)
        return -EIO;
    note_break(w);
    w->pausing = events & (POLLERR | POLLHUP) && w->run.errors >= ATTEMPTS;
    return 0;
}

/* Waits for what comes next, and does it. */
static int step(struct writer *w)
{
    struct pollfd fds[] = {
        {.fd = w->stopping ? -1 : w->signals, .events = POLLIN},
        {.fd = w->timer, .events = POLLIN},
        {.fd = w->pausing ? -1 : nfs_get_fd(w->nfs), .events = (short)nfs_which_events(w->nfs)},
    };
    uint64_t ticks;
    int r = 0;

    if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
        return errno == EINTR ? 0 : -errno;
    w->stopping |= fds[0].revents != 0;
    if (fds[2].revents)
        r = serve(w, fds[2].revents);
    ticks = fds[1].revents ? meter_ticks(w->timer) : 0;
    if (r == 0 && ticks)
        tick(w, ticks);
    fflush(stdout);
    return r;
}

/* --- the end ---------------------------------------------------------------------------------------------*/

/* Reads back what was written; `found` counts blocks by their verdict. */
static void read_back(struct writer *w, struct found *found)
{
    uint64_t places = min_u64(w->issued + 1, BLOCKS); /* place 0 comes last */

    for (uint64_t place = 0; place < places; place++) {
        uint8_t block[BLOCK_BYTES] = {0};

        if (nfs_pread(w->nfs, w->file, place * BLOCK_BYTES, BLOCK_BYTES, (char *)block) < 0)
            found->unread++;
        else
            found->verdicts[block_judge(block, w->token, place, w->acknowledged, w->issued)]++;
    }
}

/* A write that is still under way when it ends is an interruption that is open, and nothing can be read back. */
static int finish(struct writer *w, struct found *found)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + FINISH_NS;
    int r = 0;

    while (r == 0 && w->acknowledged < w->issued && clock_now_ns(CLOCK_MONOTONIC) < until_ns)
        r = step(w);
    if (r < 0)
        return r;
    if (w->acknowledged == w->issued)
        read_back(w, found);
    else
        interrupted(w, clock_now_ns(CLOCK_MONOTONIC), true);
    return 0;
}

static void summary(const struct writer *w, const struct found *found)
{
    printf("{\"event\":\"summary\",\"elapsed_s\":%.3f,",
           seconds(clock_now_ns(CLOCK_MONOTONIC) - w->started_ns));
    meter_print_figures(&w->figures);
    printf(",\"breaks\":%u,\"blocks\":{\"good\":%u,\"lost\":%u,\"damaged\":%u,\"unread\":%u}},", w->breaks,
           found->verdicts[BLOCK_GOOD], found->verdicts[BLOCK_LOST], found->verdicts[BLOCK_DAMAGED],
           found->unread);
    meter_print_stalls(&w->stalls);
    puts("}");
    fflush(stdout);
}

/* --- start -----------------------------------------------------------------------------------------------*/

static const char usage[] =
    "Usage: lab-nfs [OPTION...] SERVICE EXPORT\n"
    "Writes to a file of an NFS export, measures how long a write takes, and reads all back at the end.\n\n"
    "  --port PORT        of NFS (default 2049)\n"
    "  --mount-port PORT  of the mount protocol (default 20048)\n";

static int parse_arguments(struct writer *w, int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"mount-port", required_argument, NULL, 'm'},
        {0},
    };
    int option, r = 0;

    while (r == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        r = option == 'p'   ? meter_parse_port(optarg, &w->nfs_port)
            : option == 'm' ? meter_parse_port(optarg, &w->mount_port)
                            : -EINVAL;
    }
    if (r == 0 && optind + 2 == argc) {
        w->server = argv[optind];
        w->export = argv[optind + 1];
        return 0;
    }
    fputs(usage, stderr);
    return -EINVAL;
}

/* The ports can only be told in a URL: without them libnfs asks a port mapper. */
static int mount_export(struct writer *w)
{
    char url[512];
    struct nfs_url *parsed;

    if ((size_t)snprintf(url, sizeof(url), "nfs://%s%s?nfsport=%u&mountport=%u&autoreconnect=-1", w->server,
                         w->export, w->nfs_port, w->mount_port) >= sizeof(url))
        return -ENAMETOOLONG;
    parsed = nfs_parse_url_dir(w->nfs, url);
    if (!parsed)
        return -EINVAL;
    nfs_destroy_url(parsed);
    return nfs_mount(w->nfs, w->server, w->export);
}

/* The file is there and empty. What was asked for before the first write is no part of the measurement. */
static int begin(struct writer *w)
{
    int r = mount_export(w);

    if (r == 0)
        r = nfs_create(w->nfs, FILE_NAME, O_SYNC | O_TRUNC, 0600, &w->file);
    if (r < 0) {
        fprintf(stderr, "lab-nfs: %s%s: %s\n", w->server, w->export, nfs_get_error(w->nfs));
        return r;
    }
    w->port = local_port(nfs_get_fd(w->nfs));
    w->started_ns = clock_now_ns(CLOCK_MONOTONIC);
    printf("{\"event\":\"start\",\"at\":%.6f,\"service\":\"%s\"}\n", seconds(w->started_ns), w->server);
    fflush(stdout);
    return 0;
}

static int prepare(struct writer *w)
{
    if (getrandom(&w->token, sizeof(w->token), 0) < 0)
        return -errno;
    w->nfs = nfs_init_context();
    if (!w->nfs)
        return -ENOMEM;
    w->timer = meter_timer_new(TICK_NS);
    return w->timer < 0 ? w->timer : 0;
}

/* The signals are caught from the first write on: before it there is nothing to sum up. */
static int run(struct writer *w)
{
    struct found found = {0};
    int r = begin(w);

    if (r == 0)
        r = w->signals = meter_signals_new();
    meter_go_first();
    while (r >= 0 && !w->stopping)
        r = step(w);
    if (r >= 0)
        r = finish(w, &found);
    if (r >= 0)
        summary(w, &found);
    return r;
}

static void end(struct writer *w)
{
    if (w->file)
        nfs_close(w->nfs, w->file);
    if (w->nfs)
        nfs_destroy_context(w->nfs);
    close_fd(w->timer);
    close_fd(w->signals);
}

int main(int argc, char **argv)
{
    struct writer w = {
        .nfs_port = 2049, .mount_port = 20048, .timer = -1, .signals = -1, .figures = {.stream = "nfs"}};
    int r;

    if (parse_arguments(&w, argc, argv) < 0)
        return 2;
    r = prepare(&w);
    if (r == 0)
        r = run(&w);
    if (r < 0)
        fprintf(stderr, "lab-nfs: %s\n", strerror(-r));
    end(&w);
    return r < 0;
}
