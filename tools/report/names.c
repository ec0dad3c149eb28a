/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/names.h"
#include "probe/wakeup.h"

#include <netdb.h>
#include <pthread.h>

#define THREADS_MAX 16

struct lookup {
    char *text;
    bool is_answered; /* shared, as is the answer */
    struct report_name_answer answer;
};

struct report_names {
    int family;
    struct lookup *list; /* fixed once the threads run */
    uint32_t count, room;
    uint32_t pulled; /* the owner's */

    pthread_mutex_t lock; /* what follows is shared */
    uint32_t next;        /* first one that nobody looks up yet */
    uint32_t *answered;   /* indices into list, in the order of the answers */
    uint32_t answered_count;
    unsigned users; /* the threads and the owner */
    int ring_fd;    /* -1 once the owner has left */
};

int report_names_new(struct report_names **out, int family, int ring_fd)
{
    struct report_names *names = calloc(1, sizeof(*names));

    if (!names)
        return -ENOMEM;
    names->family = family;
    names->ring_fd = ring_fd;
    names->users = 1;
    pthread_mutex_init(&names->lock, NULL);
    *out = names;
    return 0;
}

int report_names_add(struct report_names *names, uint32_t target, const char *text)
{
    struct lookup *lookup;

    if (names->count == names->room) {
        uint32_t room = names->room ? names->room * 2 : 16;
        void *larger = realloc(names->list, room * sizeof(*names->list));

        if (!larger)
            return -ENOMEM;
        names->list = larger;
        names->room = room;
    }
    lookup = &names->list[names->count];
    *lookup = (struct lookup){.text = strdup(text), .answer.target = target};
    if (!lookup->text)
        return -ENOMEM;
    names->count++;
    return 0;
}

static void destroy(struct report_names *names)
{
    for (uint32_t i = 0; i < names->count; i++)
        free(names->list[i].text);
    free(names->list);
    free(names->answered);
    pthread_mutex_destroy(&names->lock);
    free(names);
}

static int look_up(const char *text, int family, struct address *address)
{
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_RAW};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(text, NULL, &hints, &found);

    if (error == EAI_SYSTEM)
        error = errno ? errno : EIO;
    if (error == 0) {
        *address = address_from_sockaddr(found->ai_addr);
        freeaddrinfo(found);
    }
    return error;
}

/* The first answer counts. Under the lock. */
static void take_answer(struct report_names *names, uint32_t index, int error, const struct address *address)
{
    struct lookup *lookup = &names->list[index];

    if (lookup->is_answered)
        return;
    lookup->is_answered = true;
    lookup->answer.error = error;
    lookup->answer.address = *address;
    names->answered[names->answered_count++] = index;
}

static void *run(void *argument)
{
    struct report_names *names = argument;
    bool last;

    pthread_mutex_lock(&names->lock);
    while (names->next < names->count && names->ring_fd >= 0) {
        uint32_t index = names->next++;
        struct address address = {0};
        int error;

        pthread_mutex_unlock(&names->lock);
        error = look_up(names->list[index].text, names->family, &address);
        pthread_mutex_lock(&names->lock);
        take_answer(names, index, error, &address);
        if (names->ring_fd >= 0)
            wakeup_ring(names->ring_fd);
    }
    last = --names->users == 0;
    pthread_mutex_unlock(&names->lock);
    if (last)
        destroy(names);
    return NULL;
}

int report_names_start(struct report_names *names)
{
    pthread_attr_t detached;
    unsigned started = 0;
    int error = 0;

    names->answered = calloc(names->count + 1, sizeof(*names->answered));
    if (!names->answered)
        return -ENOMEM;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&names->lock);
    while (started < names->count && started < THREADS_MAX) {
        pthread_t thread;

        error = pthread_create(&thread, &detached, run, names);
        if (error)
            break;
        started++;
        names->users++;
    }
    pthread_mutex_unlock(&names->lock);
    pthread_attr_destroy(&detached);
    return started > 0 ? 0 : -error;
}

bool report_names_next(struct report_names *names, struct report_name_answer *answer)
{
    bool waiting;

    pthread_mutex_lock(&names->lock);
    waiting = names->pulled < names->answered_count;
    if (waiting)
        *answer = names->list[names->answered[names->pulled++]].answer;
    pthread_mutex_unlock(&names->lock);
    return waiting;
}

void report_names_give_up(struct report_names *names)
{
    pthread_mutex_lock(&names->lock);
    names->next = names->count;
    for (uint32_t i = 0; i < names->count; i++)
        take_answer(names, i, REPORT_NAME_LATE, &(struct address){0});
    pthread_mutex_unlock(&names->lock);
}

bool report_name_is_answer(const struct report_name_answer *answer)
{
    return answer->error == 0 || answer->error == EAI_NONAME || answer->error == EAI_NODATA;
}

uint32_t report_names_pending(const struct report_names *names)
{
    return names->count - names->pulled;
}

struct report_names *report_names_free(struct report_names *names)
{
    bool last;

    if (!names)
        return NULL;
    pthread_mutex_lock(&names->lock);
    names->ring_fd = -1;
    last = --names->users == 0;
    pthread_mutex_unlock(&names->lock);
    if (last)
        destroy(names);
    return NULL;
}

const char *report_name_error_text(int error)
{
    if (error == REPORT_NAME_LATE)
        return "the name service did not answer in time";
    if (error == REPORT_NAME_NO_HOST)
        return "its address is no host's (unspecified, multicast or broadcast)";
    return error > 0 ? strerror(error) : gai_strerror(error);
}
