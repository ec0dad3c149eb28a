/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter's NFS stream: a real NFS client (libnfs, NFSv3 over TCP) writes to a file of the service as a database
 * writes its log: a block of 4 KiB every 10 ms, written through (FILE_SYNC), each when the one before is acknowledged.
 * Before it comes to a place again, and in the end, it reads what stands there and compares every byte, see writes.h.
 *
 * How it reconnects and sends its request again is libnfs' affair, as in a hypervisor that has libnfs built in; there
 * is no timeout of a request. Only the pace is ours: where connections are refused it would try without a pause.
 *
 * It says what the meter says (meter.c), of the stream "nfs"; what an interruption is: writes.h.
 */
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>

#include <nfsc/libnfs.h>

#include "tools/meter/writes.h"

#define ATTEMPTS  2 /* in vain, at once; from then on one a tick */
#define FILE_NAME "/lab-nfs"

struct writer {
    const char *server, *export;
    uint16_t nfs_port, mount_port;
    struct nfs_context *nfs;
    struct nfsfh *file;
    int timer, signals;
    struct writes writes;
    uint8_t block[BLOCK_BYTES]; /* under way */
    bool looks;                 /* ... but what stands at its place is read before */
    bool again;                 /* that failed, and goes out again at the next tick */

    uint16_t port; /* of the connection: another port, another connection */
    bool pausing;  /* libnfs tries again at the next tick */
    bool stopping; /* a signal has come: nothing new is issued */
};

/* --- writes ----------------------------------------------------------------------------------------------*/

static void failed(struct writer *w, int error)
{
    w->writes.run.errors++;
    w->writes.run.error = error;
    w->writes.figures.send_errors++;
    w->again = true;
}

static void on_written(int result, struct nfs_context *nfs, void *data, void *context)
{
    struct writer *w = context;

    if (result == BLOCK_BYTES)
        writes_acknowledge(&w->writes, clock_now_ns(CLOCK_MONOTONIC));
    else
        failed(w, result < 0 ? -result : EIO);
}

static void send_block(struct writer *w)
{
    w->again = nfs_pwrite_async(w->nfs, w->file, block_place(w->writes.issued) * BLOCK_BYTES, BLOCK_BYTES,
                                w->block, on_written, w) < 0;
}

static void on_looked(int result, struct nfs_context *nfs, void *data, void *context)
{
    struct writer *w = context;
    uint8_t found[BLOCK_BYTES] = {0};

    if (result < 0) {
        failed(w, -result);
        return;
    }
    memcpy(found, data, min_u64((uint64_t)result, sizeof(found)));
    writes_judge(&w->writes, block_place(w->writes.issued), found);
    w->looks = false;
    send_block(w);
}

static void look(struct writer *w)
{
    w->again = nfs_pread_async(w->nfs, w->file, block_place(w->writes.issued) * BLOCK_BYTES, BLOCK_BYTES,
                               on_looked, w) < 0;
}

static void tick(struct writer *w)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);

    w->pausing = false;
    meter_watch(&w->writes.figures, now_ns);
    if (!w->again && (writes_under_way(&w->writes) || w->stopping))
        return;
    if (!w->again)
        w->looks = writes_issue(&w->writes, now_ns, w->block);
    if (w->looks)
        look(w);
    else
        send_block(w);
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
    if (w->writes.run.breaks) {
        w->writes.run.errors++;
        w->writes.figures.send_errors++;
    } else {
        w->writes.run.breaks = 1;
        w->writes.breaks++;
    }
}

/* Lets libnfs work. It tells errors to its user only when it gives up, and it never does. */
static int serve(struct writer *w, short events)
{
    if (nfs_service(w->nfs, events) < 0)
        return -EIO;
    note_break(w);
    w->pausing = events & (POLLERR | POLLHUP) && w->writes.run.errors >= ATTEMPTS;
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
    ticks = meter_ticks(w->timer); /* whatever poll() says: we may have stood still since */
    if (ticks) /* first, so that a stall of ours is not taken for a write that took long */
        meter_note_stall(&w->writes.stalls, (ticks - 1) * WRITES_TICK_NS);
    if (fds[2].revents)
        r = serve(w, fds[2].revents);
    if (r == 0 && ticks)
        tick(w);
    fflush(stdout);
    return r;
}

/* --- the end ---------------------------------------------------------------------------------------------*/

static void read_back(struct writer *w)
{
    for (uint64_t place = 0; place < writes_places(&w->writes); place++) {
        uint8_t block[BLOCK_BYTES] = {0};

        if (nfs_pread(w->nfs, w->file, place * BLOCK_BYTES, BLOCK_BYTES, (char *)block) < 0)
            w->writes.unread++;
        else
            writes_judge(&w->writes, place, block);
    }
    nfs_close(w->nfs, w->file);
}

/* While a write is under way nothing can be read back, nor the file be closed. */
static int finish(struct writer *w)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + WRITES_FINISH_NS;
    int r = 0;

    while (r == 0 && writes_under_way(&w->writes) && clock_now_ns(CLOCK_MONOTONIC) < until_ns)
        r = step(w);
    if (r < 0)
        return r;
    if (writes_under_way(&w->writes))
        writes_cut_off(&w->writes, clock_now_ns(CLOCK_MONOTONIC));
    else
        read_back(w);
    writes_summary(&w->writes);
    return 0;
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
    if (r < 0)
        return r;
    w->port = local_port(nfs_get_fd(w->nfs));
    return writes_begin(&w->writes, "nfs", w->server);
}

static int prepare(struct writer *w)
{
    w->nfs = nfs_init_context();
    if (!w->nfs)
        return -ENOMEM;
    w->timer = meter_timer_new(WRITES_TICK_NS);
    return w->timer < 0 ? w->timer : 0;
}

/* The signals are caught from the first write on: before it there is nothing to sum up. */
static int run(struct writer *w)
{
    int r = begin(w);

    if (r == 0)
        r = w->signals = meter_signals_new();
    meter_go_first();
    while (r >= 0 && !w->stopping)
        r = step(w);
    return r < 0 ? r : finish(w);
}

static void end(struct writer *w)
{
    if (w->nfs)
        nfs_destroy_context(w->nfs);
    close_fd(w->timer);
    close_fd(w->signals);
}

/* In libnfs' words where it has some. */
static const char *why(const struct writer *w, int r)
{
    const char *text = w->nfs ? nfs_get_error(w->nfs) : NULL;

    return text && *text ? text : strerror(-r);
}

int main(int argc, char **argv)
{
    struct writer w = {.nfs_port = 2049, .mount_port = 20048, .timer = -1, .signals = -1};
    int r;

    if (parse_arguments(&w, argc, argv) < 0)
        return 2;
    r = prepare(&w);
    if (r == 0)
        r = run(&w);
    if (r < 0)
        fprintf(stderr, "lab-nfs: %s%s: %s\n", w.server, w.export, why(&w, r));
    end(&w);
    return r < 0;
}
