/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/presence.h"

#include <sys/stat.h>

#include "probe/thread.h"
#include "probe/wakeup.h"

#define STACK_BYTES ((size_t)64 << 10)

struct presence {
    char *path;
    pthread_t thread;
    bool started; /* else it could not be yet, and is to be at look_ns */
    struct wakeup wakeup;

    pthread_mutex_t lock; /* of all below; never held during a look */
    pthread_cond_t end;
    uint64_t look_ns; /* when the look that is under way began, or when the next one begins */
    bool looking;     /* or the first one is to begin */
    bool ending;
    bool leave; /* the thread frees all of it */
    struct presence_report report;
};

static struct presence *presence_free(struct presence *presence)
{
    wakeup_close(&presence->wakeup);
    pthread_cond_destroy(&presence->end);
    pthread_mutex_destroy(&presence->lock);
    free(presence->path);
    free(presence);
    return NULL;
}

/* --- the thread --- */

/* 1: it is there, 0: it is not; or a negative errno: that is not known. */
static int look_at(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0)
        return 1;
    return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

static void note(struct presence_report *report, int answer)
{
    report->error = answer < 0 ? answer : 0;
    if (answer < 0)
        return;
    report->known = true;
    report->there = answer;
}

/* Within the lock, which it leaves meanwhile. */
static void look(struct presence *presence)
{
    int answer;

    presence->look_ns = clock_now_ns(CLOCK_MONOTONIC);
    presence->looking = true;
    pthread_mutex_unlock(&presence->lock);
    answer = look_at(presence->path);
    pthread_mutex_lock(&presence->lock);
    presence->looking = false;
    presence->look_ns = clock_now_ns(CLOCK_MONOTONIC) + PRESENCE_LOOK_NS;
    note(&presence->report, answer);
    wakeup_ring(presence->wakeup.ring_fd);
}

static void *run(void *context)
{
    struct presence *presence = context;
    bool leave;

    pthread_mutex_lock(&presence->lock);
    while (!presence->ending) {
        look(presence);
        while (!presence->ending && condition_wait(&presence->end, &presence->lock, presence->look_ns))
            ;
    }
    leave = presence->leave;
    pthread_mutex_unlock(&presence->lock);
    if (leave)
        presence_free(presence);
    return NULL;
}

/* --- for the loop --- */

/* Within the lock. The report has the reason of a failure, until a look has answered. */
static void start(struct presence *presence, uint64_t now_ns)
{
    int error = thread_start(&presence->thread, STACK_BYTES, run, presence);

    presence->started = presence->looking = !error;
    presence->look_ns = error ? now_ns + PRESENCE_LOOK_NS : now_ns;
    if (error)
        presence->report.error = error;
}

int presence_open(struct presence **out, const char *path)
{
    struct presence *presence = calloc(1, sizeof(*presence));
    char message[128];

    if (!presence)
        return -ENOMEM;
    pthread_mutex_init(&presence->lock, NULL);
    condition_init(&presence->end);
    presence->path = strdup(path);
    presence->wakeup = WAKEUP_NONE;
    if (!presence->path || wakeup_open(&presence->wakeup, message, sizeof(message)) < 0) {
        presence_free(presence);
        return -ENOMEM;
    }
    pthread_mutex_lock(&presence->lock);
    start(presence, clock_now_ns(CLOCK_MONOTONIC));
    pthread_mutex_unlock(&presence->lock);
    *out = presence;
    return 0;
}

struct presence *presence_close(struct presence *presence)
{
    bool leave;

    if (!presence)
        return NULL;
    if (!presence->started)
        return presence_free(presence);
    pthread_mutex_lock(&presence->lock);
    presence->ending = true;
    leave = presence->leave = presence->looking;
    pthread_cond_signal(&presence->end);
    if (leave)
        pthread_detach(presence->thread);
    pthread_mutex_unlock(&presence->lock);
    if (leave)
        return NULL;
    pthread_join(presence->thread, NULL);
    return presence_free(presence);
}

int presence_fd(const struct presence *presence)
{
    return presence->wakeup.fd;
}

void presence_report(struct presence *presence, uint64_t now_ns, struct presence_report *report)
{
    wakeup_empty(presence->wakeup.fd);
    pthread_mutex_lock(&presence->lock);
    if (!presence->started && now_ns >= presence->look_ns)
        start(presence, now_ns);
    *report = presence->report;
    if (presence->looking && now_ns >= presence->look_ns + PRESENCE_HANGS_NS)
        report->error = -ETIMEDOUT;
    pthread_mutex_unlock(&presence->lock);
}

uint64_t presence_deadline_ns(struct presence *presence, uint64_t now_ns)
{
    uint64_t at_ns;

    pthread_mutex_lock(&presence->lock);
    at_ns = presence->look_ns + (presence->started ? PRESENCE_HANGS_NS : 0);
    pthread_mutex_unlock(&presence->lock);
    return at_ns > now_ns ? at_ns : NEVER_NS;
}
