/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file provider: the list from a JSON file, read again whenever it changes, see file_reader.h.
 *
 * Asked for the list, it answers with what there is, errors included. When the file has changed, it speaks
 * only if it holds a list: one that is half written, or gone for a moment, says nothing. A disk that does not answer is
 * an error after HANGS_S.
 */
#include "session/backend.h"

#include <event2/event.h>

#include "session/file_reader.h"

#define HANGS_S 5

struct file {
    struct session_provider provider;
    struct file_reader *reader;
    struct event *found; /* something was read */
    struct event *late;  /* one answer is owed, and does not come */
    bool owed;
    session_answer_fn *done; /* NULL: nobody has asked yet */
    void *context;
};

static void answer_error(const struct file *file, struct session_answer *answer, const char *why)
{
    char message[512];

    snprintf(message, sizeof(message), "%.200s: %s", file->provider.settings.file, why);
    answer->message = message;
    file->done(file->context, answer);
}

/* `quietly` only with a list. */
static void file_answer(const struct file *file, const struct file_reading *reading, bool quietly)
{
    struct session_answer answer = {.error = reading->error,
                                    .origin = {.access = UINT32_MAX},
                                    .message = "",
                                    .took_ns = reading->took_ns};
    CLEANUP(session_list_clear) struct session_list list = {0};
    char why[256] = "";

    if (answer.error < 0)
        snprintf(why, sizeof(why), "%s",
                 answer.error == -EINVAL ? "not a regular file" : strerror(-answer.error));
    else
        answer.error = session_list_parse(reading->body, reading->size_bytes, &file->provider.settings.fields,
                                          &list, &answer.skipped, why, sizeof(why));
    if (answer.error < 0 && quietly)
        return;
    if (answer.error < 0) {
        answer_error(file, &answer, why);
        return;
    }
    answer.list = &list;
    file->done(file->context, &answer);
}

static void on_found(evutil_socket_t fd, short what, void *context)
{
    struct file *file = context;
    struct file_reading reading;
    bool answers;

    if (!file_reader_take(file->reader, &reading))
        return;
    answers = reading.asked && file->owed;
    if (answers) {
        file->owed = false;
        event_del(file->late);
    }
    file_answer(file, &reading, !answers);
    free(reading.body);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    struct file *file = context;
    struct session_answer answer = {
        .error = -ETIMEDOUT, .origin = {.access = UINT32_MAX}, .took_ns = HANGS_S * NS_PER_S};

    file->owed = false;
    answer_error(file, &answer, "the disk does not answer");
}

static int file_list(struct session_provider *provider, const struct session_endpoint *endpoints,
                     size_t count, session_answer_fn *done, void *context)
{
    static const struct timeval hangs = {.tv_sec = HANGS_S};
    struct file *file = (struct file *)provider;

    file->done = done;
    file->context = context;
    if (!file->owed)
        event_add(file->late, &hangs);
    file->owed = true;
    file_reader_ask(file->reader);
    return 0;
}

static void file_free(struct session_provider *provider)
{
    struct file *file = (struct file *)provider;

    if (file->found)
        event_free(file->found);
    if (file->late)
        event_free(file->late);
    file_reader_close(file->reader);
}

static int file_init(struct session_provider *provider, struct event_base *base, char *message,
                     size_t size_bytes)
{
    struct file *file = (struct file *)provider;
    int r, inotify_error;

    if (!provider->settings.file) {
        snprintf(message, size_bytes, "session provider file: no file given");
        return -EINVAL;
    }
    r = file_reader_open(&file->reader, provider->settings.file, provider->settings.body_limit_bytes,
                         &inotify_error);
    if (r < 0) {
        snprintf(message, size_bytes, "session provider file: cannot read by a thread: %s", strerror(-r));
        return r;
    }
    if (inotify_error < 0)
        snprintf(provider->flaw, sizeof(provider->flaw),
                 "the file is looked at every %d s, for it cannot be watched: inotify: %s",
                 FILE_READER_LOOK_S, strerror(-inotify_error));
    file->found = event_new(base, file_reader_fd(file->reader), EV_READ | EV_PERSIST, on_found, file);
    file->late = event_new(base, -1, 0, on_late, file);
    return file->found && file->late && event_add(file->found, NULL) == 0 ? 0 : -ENOMEM;
}

const struct session_backend session_backend_file = {
    .kind = "file",
    .size_bytes = sizeof(struct file),
    .init = file_init,
    .free = file_free,
    .list = file_list,
};
