/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file provider: the list from a JSON file, read again whenever it changes.
 *
 * inotify watches the directory, not the file: a file that is replaced by rename() (the right way to write
 * one) is another file each time. A slow look at its stat() is the fallback, for what inotify does not see (a
 * directory that did not exist yet, a symlink switched elsewhere, a network file system), and where there is none.
 *
 * Asked for the list, it answers with what there is, errors included. When the file has changed, it speaks
 * only if it holds a list: one that is half written, or gone for a moment, says nothing.
 *
 * Reading is synchronous; the file is meant to be local and is bounded.
 */
#include "session/backend.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define LOOK_INTERVAL_S 2

struct file {
    struct session_provider provider;
    struct event *asked;  /* one answer is owed */
    struct event *look;   /* the slow look */
    struct event *notice; /* inotify */
    int inotify_fd;       /* 0 or -1: none */
    int watch;            /* of the directory; -1: it could not be watched */
    char *directory;
    const char *name;        /* within it */
    struct stat read;        /* of the file as it was last read */
    session_answer_fn *done; /* NULL: nobody has asked yet */
    void *context;
};

static bool stat_equal(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The whole file, at most `limit_bytes` of it; a longer one is an error. -EINVAL: no regular file. */
static int file_read(struct file *file, char **out, size_t *size_bytes)
{
    CLEANUP(close_fd)
    int fd = open(file->provider.settings.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    CLEANUP(free) char *body = NULL;
    size_t limit_bytes = file->provider.settings.body_limit_bytes, used = 0;
    ssize_t got;

    if (fd < 0 || fstat(fd, &file->read) < 0)
        return -errno;
    if (!S_ISREG(file->read.st_mode))
        return -EINVAL;
    if ((uint64_t)file->read.st_size > limit_bytes)
        return -EMSGSIZE;
    body = malloc((size_t)file->read.st_size + 1);
    if (!body)
        return -ENOMEM;
    while (used < (size_t)file->read.st_size) {
        got = read(fd, body + used, (size_t)file->read.st_size - used);
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

/* Reads the file and answers; `quietly` only with a list. */
static void file_answer(struct file *file, bool quietly)
{
    uint64_t start_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct session_answer answer = {.origin = {.access = UINT32_MAX}, .message = ""};
    CLEANUP(session_list_clear) struct session_list list = {0};
    CLEANUP(free) char *body = NULL;
    char why[256] = "", message[512];
    size_t size_bytes = 0;

    answer.error = file_read(file, &body, &size_bytes);
    if (answer.error < 0)
        snprintf(why, sizeof(why), "%s",
                 answer.error == -EINVAL ? "not a regular file" : strerror(-answer.error));
    else
        answer.error = session_list_parse(body, size_bytes, &file->provider.settings.fields, &list,
                                          &answer.skipped, why, sizeof(why));
    if (answer.error < 0 && quietly)
        return;
    if (answer.error < 0) {
        snprintf(message, sizeof(message), "%.200s: %s", file->provider.settings.file, why);
        answer.message = message;
    } else {
        answer.list = &list;
    }
    answer.took_ns = clock_now_ns(CLOCK_MONOTONIC) - start_ns;
    file->done(file->context, &answer);
}

static void on_asked(evutil_socket_t fd, short what, void *context)
{
    file_answer(context, false);
}

static void watch_directory(struct file *file)
{
    if (file->notice && file->watch < 0)
        file->watch = inotify_add_watch(file->inotify_fd, file->directory,
                                        IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF |
                                            IN_MOVE_SELF | IN_ONLYDIR);
}

static void on_look(evutil_socket_t fd, short what, void *context)
{
    struct file *file = context;
    struct stat now;

    watch_directory(file);
    if (file->done && stat(file->provider.settings.file, &now) == 0 && !stat_equal(&now, &file->read))
        file_answer(file, true);
}

static void on_notice(evutil_socket_t fd, short what, void *context)
{
    struct file *file = context;
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t got = read(fd, buffer, sizeof(buffer));
    bool changed = false;

    for (ssize_t at = 0; at < got;) {
        const struct inotify_event *event = (const struct inotify_event *)(const void *)(buffer + at);

        if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) {
            /* The directory itself went; the slow look finds the next one. */
            inotify_rm_watch(file->inotify_fd, file->watch);
            file->watch = -1;
        }
        changed |= (event->mask & IN_Q_OVERFLOW) || (event->len && strcmp(event->name, file->name) == 0);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    if (changed && file->done)
        file_answer(file, true);
}

static int file_list(struct session_provider *provider, const struct session_endpoint *endpoints,
                     size_t count, session_answer_fn *done, void *context)
{
    struct file *file = (struct file *)provider;

    file->done = done;
    file->context = context;
    event_active(file->asked, 0, 0);
    return 0;
}

static void file_free(struct session_provider *provider)
{
    struct file *file = (struct file *)provider;

    if (file->asked)
        event_free(file->asked);
    if (file->look)
        event_free(file->look);
    if (file->notice)
        event_free(file->notice);
    if (file->inotify_fd > 0)
        close(file->inotify_fd);
    free(file->directory);
}

static int file_init(struct session_provider *provider, struct event_base *base, char *message,
                     size_t size_bytes)
{
    static const struct timeval interval = {.tv_sec = LOOK_INTERVAL_S};
    struct file *file = (struct file *)provider;
    const char *path = provider->settings.file, *slash;

    if (!path) {
        snprintf(message, size_bytes, "session provider file: no file given");
        return -EINVAL;
    }
    slash = strrchr(path, '/');
    file->name = slash ? slash + 1 : path;
    file->directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    file->watch = -1;
    file->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (file->inotify_fd < 0)
        snprintf(provider->flaw, sizeof(provider->flaw),
                 "the file is looked at every %d s, for it cannot be watched: inotify: %s", LOOK_INTERVAL_S,
                 strerror(errno));
    else
        file->notice = event_new(base, file->inotify_fd, EV_READ | EV_PERSIST, on_notice, file);
    file->asked = event_new(base, -1, 0, on_asked, file);
    file->look = event_new(base, -1, EV_PERSIST, on_look, file);
    if (!file->directory || !file->asked || !file->look || event_add(file->look, &interval) < 0 ||
        (file->inotify_fd >= 0 && (!file->notice || event_add(file->notice, NULL) < 0)))
        return -ENOMEM;
    watch_directory(file);
    return 0;
}

const struct session_backend session_backend_file = {
    .kind = "file",
    .size_bytes = sizeof(struct file),
    .init = file_init,
    .free = file_free,
    .list = file_list,
};
