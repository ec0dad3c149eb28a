/* SPDX-License-Identifier: Apache-2.0 */
#include "session/file_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "probe/thread.h"
#include "probe/wakeup.h"

#define STACK_BYTES ((size_t)64 << 10)

struct file_reader {
    char *path, *directory;
    const char *name; /* within the directory */
    size_t limit_bytes;
    pthread_t thread;
    struct wakeup asks, answers; /* the thread is rung for, and the one who asks */

    /* The thread's alone. */
    int inotify_fd;   /* -1: none */
    int watch;        /* of the directory; -1: it could not be watched */
    struct stat read; /* of the file as it was last read */

    pthread_mutex_t lock; /* of all below; never held during input */
    bool asked, asked_once;
    bool busy; /* the thread may be at the disk */
    bool ending;
    bool leave; /* the thread frees all of it */
    bool found;
    struct file_reading reading;
};

static struct file_reader *reader_free(struct file_reader *reader)
{
    free(reader->reading.body);
    wakeup_close(&reader->asks);
    wakeup_close(&reader->answers);
    close_fd(reader->inotify_fd);
    pthread_mutex_destroy(&reader->lock);
    free(reader->directory);
    free(reader->path);
    free(reader);
    return NULL;
}

/* --- the file --- */

static bool stat_equal(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool has_changed(const struct file_reader *reader)
{
    struct stat now;

    return stat(reader->path, &now) == 0 && !stat_equal(&now, &reader->read);
}

/* The whole file, at most `limit_bytes` of it; a longer one is an error. */
static int read_whole(struct file_reader *reader, char **out, size_t *size_bytes)
{
    CLEANUP(close_fd) int fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    CLEANUP(free) char *body = NULL;
    size_t used = 0;
    ssize_t got;

    if (fd < 0 || fstat(fd, &reader->read) < 0)
        return -errno;
    if (!S_ISREG(reader->read.st_mode))
        return -EINVAL;
    if ((uint64_t)reader->read.st_size > reader->limit_bytes)
        return -EMSGSIZE;
    body = malloc((size_t)reader->read.st_size + 1);
    if (!body)
        return -ENOMEM;
    while (used < (size_t)reader->read.st_size) {
        got = read(fd, body + used, (size_t)reader->read.st_size - used);
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    *out = TAKE(body);
    *size_bytes = used;
    return 0;
}

/* --- inotify --- */

static void watch_directory(struct file_reader *reader)
{
    if (reader->inotify_fd >= 0 && reader->watch < 0)
        reader->watch = inotify_add_watch(reader->inotify_fd, reader->directory,
                                          IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF |
                                              IN_MOVE_SELF | IN_ONLYDIR);
}

/* Do they say that the file has changed? */
static bool take_notices(struct file_reader *reader)
{
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t got = read(reader->inotify_fd, buffer, sizeof(buffer));
    bool changed = false;

    for (ssize_t at = 0; at < got;) {
        const struct inotify_event *event = (const struct inotify_event *)(const void *)(buffer + at);

        /* An old watch says nothing of the file. An overflow is of no watch. */
        changed |= event->mask & IN_Q_OVERFLOW ||
                   (event->wd == reader->watch && event->len && strcmp(event->name, reader->name) == 0);
        if (event->wd == reader->watch && event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) {
            /* The directory itself went; the slow look finds the next one, which has another number: IN_IGNORED
             * of this watch comes when that one may be watched already. */
            inotify_rm_watch(reader->inotify_fd, reader->watch);
            reader->watch = -1;
        }
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    return changed;
}

/* --- the thread --- */

/* Takes the place of one that nobody has taken. */
static void hand_over(struct file_reader *reader, const struct file_reading *reading)
{
    bool asked;

    pthread_mutex_lock(&reader->lock);
    asked = reading->asked || reader->reading.asked;
    free(reader->reading.body);
    reader->reading = *reading;
    reader->reading.asked = asked;
    reader->found = true;
    pthread_mutex_unlock(&reader->lock);
    wakeup_ring(reader->answers.ring_fd);
}

static void read_once(struct file_reader *reader, bool asked)
{
    uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct file_reading reading = {.asked = asked};

    reading.error = read_whole(reader, &reading.body, &reading.size_bytes);
    reading.took_ns = clock_now_ns(CLOCK_MONOTONIC) - begun_ns;
    hand_over(reader, &reading);
}

/* Waits until there is something to do. Has the file changed, as far as inotify knows? */
static bool wait_for_news(struct file_reader *reader)
{
    struct pollfd fds[] = {{.fd = reader->asks.fd, .events = POLLIN},
                           {.fd = reader->inotify_fd, .events = POLLIN}};

    poll(fds, ARRAY_SIZE(fds), FILE_READER_LOOK_S * 1000);
    wakeup_empty(reader->asks.fd);
    return (fds[1].revents & POLLIN) && take_notices(reader);
}

/* Within the lock, which it leaves meanwhile. */
static void work(struct file_reader *reader, bool changed)
{
    bool asked = reader->asked, wanted = reader->asked_once;

    reader->asked = false;
    reader->busy = true;
    pthread_mutex_unlock(&reader->lock);
    watch_directory(reader);
    if (wanted && (asked || changed || has_changed(reader)))
        read_once(reader, asked);
    pthread_mutex_lock(&reader->lock);
    reader->busy = false;
}

static void *run(void *context)
{
    struct file_reader *reader = context;
    bool changed = false, leave;

    pthread_mutex_lock(&reader->lock);
    while (!reader->ending) {
        work(reader, changed);
        pthread_mutex_unlock(&reader->lock);
        changed = wait_for_news(reader);
        pthread_mutex_lock(&reader->lock);
    }
    leave = reader->leave;
    pthread_mutex_unlock(&reader->lock);
    if (leave)
        reader_free(reader);
    return NULL;
}

/* --- for who asks --- */

static int reader_init(struct file_reader *reader, const char *path, int *inotify_error)
{
    const char *slash = strrchr(path, '/');
    char message[128];
    int r;

    reader->path = strdup(path);
    reader->directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!reader->path || !reader->directory)
        return -ENOMEM;
    reader->name = slash ? reader->path + (slash + 1 - path) : reader->path;
    reader->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    *inotify_error = reader->inotify_fd < 0 ? -errno : 0;
    r = wakeup_open(&reader->asks, message, sizeof(message));
    if (r == 0)
        r = wakeup_open(&reader->answers, message, sizeof(message));
    return r;
}

int file_reader_open(struct file_reader **out, const char *path, size_t limit_bytes, int *inotify_error)
{
    struct file_reader *reader = calloc(1, sizeof(*reader));
    int r;

    if (!reader)
        return -ENOMEM;
    pthread_mutex_init(&reader->lock, NULL);
    reader->limit_bytes = limit_bytes;
    reader->asks = reader->answers = WAKEUP_NONE;
    reader->inotify_fd = reader->watch = -1;
    reader->busy = true; /* as soon as the thread runs */
    r = reader_init(reader, path, inotify_error);
    if (r == 0)
        r = thread_start(&reader->thread, STACK_BYTES, run, reader);
    if (r < 0)
        reader_free(reader);
    else
        *out = reader;
    return r;
}

struct file_reader *file_reader_close(struct file_reader *reader)
{
    bool leave;

    if (!reader)
        return NULL;
    pthread_mutex_lock(&reader->lock);
    reader->ending = true;
    leave = reader->leave = reader->busy;
    wakeup_ring(reader->asks.ring_fd);
    if (leave)
        pthread_detach(reader->thread);
    pthread_mutex_unlock(&reader->lock);
    if (leave)
        return NULL;
    pthread_join(reader->thread, NULL);
    return reader_free(reader);
}

void file_reader_ask(struct file_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    reader->asked = reader->asked_once = true;
    pthread_mutex_unlock(&reader->lock);
    wakeup_ring(reader->asks.ring_fd);
}

int file_reader_fd(const struct file_reader *reader)
{
    return reader->answers.fd;
}

bool file_reader_take(struct file_reader *reader, struct file_reading *reading)
{
    bool found;

    wakeup_empty(reader->answers.fd);
    pthread_mutex_lock(&reader->lock);
    found = reader->found;
    *reading = reader->reading;
    reader->reading = (struct file_reading){0};
    reader->found = false;
    pthread_mutex_unlock(&reader->lock);
    return found;
}
