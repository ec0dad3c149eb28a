/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter's stream through the kernel's own storage clients: it writes to a file of a mounted directory (NFS), or to
 * a disk (iSCSI), as lab-nfs (nfs.c) writes to its file, and says the same. Past the page cache (O_DIRECT) and written
 * through (O_DSYNC).
 *
 * A write may not come back for minutes, so a thread writes. The main thread sees when that stands still, and takes the
 * signal. Who has the lock may use `writes`; while a write is under way nobody has it.
 */
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>

#include "tools/meter/writes.h"

struct file {
    int fd, timer, signals;
    uint64_t interval_ns; /* from write to write */
    pthread_mutex_t lock;
    struct writes writes;
    _Atomic bool stopping;                            /* a signal has come: nothing new is issued */
    _Alignas(BLOCK_BYTES) uint8_t block[BLOCK_BYTES]; /* under way */
    _Alignas(BLOCK_BYTES) uint8_t found[BLOCK_BYTES]; /* at its place */
    bool looks;                                       /* its place must be read before */
};

/* --- writes ----------------------------------------------------------------------------------------------*/

/* False: the end. */
static bool issue(struct file *f)
{
    bool goes_on;

    pthread_mutex_lock(&f->lock);
    goes_on = !f->stopping;
    if (goes_on)
        f->looks = writes_issue(&f->writes, clock_now_ns(CLOCK_MONOTONIC), f->block);
    pthread_mutex_unlock(&f->lock);
    return goes_on;
}

static void note_result(struct file *f, bool written, int error)
{
    pthread_mutex_lock(&f->lock);
    if (written) {
        writes_acknowledge(&f->writes, clock_now_ns(CLOCK_MONOTONIC));
    } else {
        f->writes.run.errors++;
        f->writes.run.error = error;
        f->writes.figures.send_errors++;
    }
    fflush(stdout);
    pthread_mutex_unlock(&f->lock);
}

/* Reads a place, and judges it. */
static bool look(struct file *f, uint64_t place)
{
    memset(f->found, 0, sizeof(f->found));
    if (pread(f->fd, f->found, BLOCK_BYTES, (off_t)(place * BLOCK_BYTES)) < 0)
        return false;
    pthread_mutex_lock(&f->lock);
    writes_judge(&f->writes, place, f->found);
    pthread_mutex_unlock(&f->lock);
    return true;
}

static bool attempt(struct file *f, uint64_t place)
{
    if (f->looks && !look(f, place))
        return false;
    f->looks = false;
    return pwrite(f->fd, f->block, BLOCK_BYTES, (off_t)(place * BLOCK_BYTES)) == BLOCK_BYTES;
}

/* The kernel's client reports an error where it is mounted soft, or when it lost its state: then once more. */
static void write_through(struct file *f)
{
    uint64_t place = block_place(f->writes.issued);
    bool written = false;

    while (!written) {
        written = attempt(f, place);
        note_result(f, written, errno);
        if (!written)
            usleep(WRITES_TICK_NS / NS_PER_US);
    }
}

static void *run_writes(void *context)
{
    struct file *f = context;
    uint64_t due_ns = clock_now_ns(CLOCK_MONOTONIC);

    while (issue(f)) {
        uint64_t now_ns;

        write_through(f);
        now_ns = clock_now_ns(CLOCK_MONOTONIC);
        due_ns = max_u64(due_ns + f->interval_ns, now_ns);
        usleep((useconds_t)((due_ns - now_ns) / NS_PER_US));
    }
    return NULL;
}

/* --- the main thread -------------------------------------------------------------------------------------*/

/* One tick, or a signal. */
static void step(struct file *f)
{
    struct pollfd fds[] = {{.fd = f->stopping ? -1 : f->signals, .events = POLLIN},
                           {.fd = f->timer, .events = POLLIN}};
    uint64_t ticks;

    poll(fds, ARRAY_SIZE(fds), -1);
    ticks = fds[1].revents ? meter_ticks(f->timer) : 0;
    pthread_mutex_lock(&f->lock);
    f->stopping |= fds[0].revents != 0;
    if (ticks) {
        meter_note_stall(&f->writes.stalls, (ticks - 1) * WRITES_TICK_NS);
        meter_watch(&f->writes.figures, clock_now_ns(CLOCK_MONOTONIC));
    }
    fflush(stdout);
    pthread_mutex_unlock(&f->lock);
}

static bool under_way(struct file *f)
{
    bool yes;

    pthread_mutex_lock(&f->lock);
    yes = writes_under_way(&f->writes);
    pthread_mutex_unlock(&f->lock);
    return yes;
}

static void read_back(struct file *f)
{
    for (uint64_t place = 0; place < writes_places(&f->writes); place++)
        f->writes.unread += !look(f, place);
}

/* With a write under way the thread cannot be joined, nor anything be read: the process ends with it. */
static void finish(struct file *f, pthread_t thread)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + WRITES_FINISH_NS;

    while (under_way(f) && clock_now_ns(CLOCK_MONOTONIC) < until_ns)
        step(f);
    pthread_mutex_lock(&f->lock); /* what is acknowledged from now on comes too late */
    if (writes_under_way(&f->writes)) {
        writes_cut_off(&f->writes, clock_now_ns(CLOCK_MONOTONIC));
    } else {
        pthread_mutex_unlock(&f->lock);
        pthread_join(thread, NULL);
        read_back(f);
    }
    writes_summary(&f->writes);
}

static int start(struct file *f, const char *stream, const char *path)
{
    f->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_DSYNC | O_CLOEXEC, 0600);
    if (f->fd < 0)
        return -errno;
    f->signals = meter_signals_new();
    f->timer = meter_timer_new(WRITES_TICK_NS);
    if (f->signals < 0 || f->timer < 0)
        return f->signals < 0 ? f->signals : f->timer;
    meter_go_first();
    return writes_begin(&f->writes, stream, path);
}

/* The path, or NULL. */
static const char *parse_arguments(struct file *f, const char **stream, int argc, char **argv)
{
    static const struct option options[] = {
        {"interval", required_argument, NULL, 'i'}, {"stream", required_argument, NULL, 's'}, {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's')
            *stream = optarg;
        else if (c != 'i' || meter_parse_ms(optarg, &f->interval_ns) < 0)
            return NULL;
    }
    return optind == argc - 1 ? argv[optind] : NULL;
}

int main(int argc, char **argv)
{
    static struct file f = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .fd = -1,
                            .signals = -1,
                            .timer = -1,
                            .interval_ns = WRITES_TICK_NS};
    const char *stream = "nfs", *path = parse_arguments(&f, &stream, argc, argv);
    pthread_t thread;
    int r;

    if (!path) {
        fputs(
            "Usage: lab-file [OPTION...] FILE\n"
            "Writes to a file or a disk, measures how long a write takes, and reads all back at the end.\n\n"
            "  --interval MS  between writes (default 10)\n"
            "  --stream NAME  what the writes are called in what it says (default nfs)\n",
            stderr);
        return 2;
    }
    r = start(&f, stream, path);
    if (r == 0)
        r = -pthread_create(&thread, NULL, run_writes, &f);
    if (r < 0) {
        fprintf(stderr, "lab-file: %s: %s\n", path, strerror(-r));
        return 1;
    }
    while (!f.stopping)
        step(&f);
    finish(&f, thread);
    return 0;
}
