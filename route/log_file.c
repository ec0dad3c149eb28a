/* SPDX-License-Identifier: Apache-2.0 */
#include "route/log_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "probe/thread.h"
#include "route/line_file.h"

#define STACK_BYTES ((size_t)64 << 10)
#define LINE_BYTES  4096
#define AGAIN_NS    (1 * NS_PER_S)

/* Where lines go. */
struct place {
    struct line_file lines;
    char *link;
    uint64_t size_bytes;
    unsigned keep;
};

struct log_file {
    struct place place; /* the thread's */
    pthread_t thread;
    int refusal; /* why it does not run, a negative errno; 0: it runs */

    pthread_mutex_t lock; /* of all below; never held during input or output */
    pthread_cond_t work, idle;
    char *ring; /* LOG_FILE_QUEUE_BYTES: lines that wait */
    size_t first, waiting_bytes;
    struct place *next; /* for the thread to take */
    uint64_t busy_ns;   /* since when the thread has been at the disk; NEVER_NS: it is not */
    bool ending, leave; /* leave: the thread frees all of it */
    struct log_file_state state;
};

/* --- where lines go --- */

static struct place *place_free(struct place *place)
{
    if (!place)
        return NULL;
    line_file_clear(&place->lines);
    free(place->link);
    free(place);
    return NULL;
}

static struct place *place_new(const struct log_file_settings *settings)
{
    struct place *place = calloc(1, sizeof(*place));

    if (!place)
        return NULL;
    place->link = strdup(settings->link);
    place->size_bytes = settings->size_bytes;
    place->keep = settings->keep;
    if (line_file_init(&place->lines, settings->path) < 0 || !place->link)
        return place_free(place);
    return place;
}

static bool leads_to(const char *link, const char *path)
{
    char there[4096];
    ssize_t length = readlink(link, there, sizeof(there));

    return length == (ssize_t)strlen(path) && memcmp(there, path, (size_t)length) == 0;
}

/* Another link is replaced in one step; anything else there is left alone. */
static int make_link(const char *link, const char *path)
{
    CLEANUP(free) char *beside = NULL;
    struct stat st;

    if (!link[0] || leads_to(link, path))
        return 0;
    if (lstat(link, &st) == 0 && !S_ISLNK(st.st_mode))
        return -EEXIST;
    if (asprintf(&beside, "%s.new", link) < 0)
        return -ENOMEM;
    unlink(beside);
    if (symlink(path, beside) < 0)
        return -errno;
    return rename(beside, link) < 0 ? -errno : 0;
}

/* One line, without its end. */
static int write_line(struct place *place, const char *line, struct log_file_state *state)
{
    int opened = line_file_open(&place->lines);

    if (opened >= 0 && place->lines.size_bytes > 0 &&
        place->lines.size_bytes + strlen(line) + 1 > place->size_bytes) {
        opened = line_file_rotate(&place->lines, place->keep);
        if (!opened)
            opened = line_file_open(&place->lines);
    }
    if (opened > 0)
        state->link_error = make_link(place->link, place->lines.path);
    return opened < 0 ? opened : line_file_append(&place->lines, line);
}

/* --- the lines that wait --- */

static char *at(const struct log_file *file, size_t offset)
{
    return &file->ring[(file->first + offset) % LOG_FILE_QUEUE_BYTES];
}

/* The first line without its end; returns how much it is with it. */
static size_t peek(const struct log_file *file, char line[static LINE_BYTES])
{
    size_t length = 0;

    while (length < file->waiting_bytes && length < LINE_BYTES - 1 && *at(file, length) != '\n') {
        line[length] = *at(file, length);
        length++;
    }
    line[length] = '\0';
    return length + 1;
}

static void drop(struct log_file *file, size_t length)
{
    file->waiting_bytes -= length;
    file->first = file->waiting_bytes ? (file->first + length) % LOG_FILE_QUEUE_BYTES : 0;
}

/* --- the thread --- */

/* What it was told since it looked last. Within the lock. */
static struct place *take_place(struct log_file *file)
{
    struct place *next = file->next;

    file->next = NULL;
    return next;
}

/* Outside of the lock: closing may take long. Of the same file fewer old ones may be kept than before. */
static void change_place(struct log_file *file, struct place *next)
{
    struct place old = file->place;

    if (!next)
        return;
    file->place = *next;
    *next = old;
    if (strcmp(file->place.lines.path, old.lines.path) == 0)
        line_file_trim(&file->place.lines, old.keep, file->place.keep);
    place_free(next);
}

/* Writes the first line, or opens a new place. Within the lock, which it leaves meanwhile. */
static void work(struct log_file *file)
{
    struct log_file_state state = file->state;
    char line[LINE_BYTES];
    size_t length = file->waiting_bytes ? peek(file, line) : 0;
    struct place *next = take_place(file);

    file->busy_ns = clock_now_ns(CLOCK_MONOTONIC);
    pthread_mutex_unlock(&file->lock);
    change_place(file, next);
    if (length)
        state.error = write_line(&file->place, line, &state);
    pthread_mutex_lock(&file->lock);
    file->busy_ns = NEVER_NS;
    file->state = state;
    if (length && !state.error)
        drop(file, length);
}

static void free_all(struct log_file *file)
{
    line_file_clear(&file->place.lines);
    free(file->place.link);
    place_free(file->next);
    pthread_cond_destroy(&file->work);
    pthread_cond_destroy(&file->idle);
    pthread_mutex_destroy(&file->lock);
    free(file->ring);
    free(file);
}

static void *run(void *context)
{
    struct log_file *file = context;
    bool leave;

    pthread_mutex_lock(&file->lock);
    while (!file->ending || (file->waiting_bytes && !file->state.error)) {
        if (file->waiting_bytes || file->next)
            work(file);
        else
            condition_wait(&file->work, &file->lock, NEVER_NS);
        if (!file->waiting_bytes || file->state.error)
            pthread_cond_signal(&file->idle);
        if (file->state.error && !file->next && !file->ending)
            condition_wait(&file->work, &file->lock, clock_now_ns(CLOCK_MONOTONIC) + AGAIN_NS);
    }
    leave = file->leave;
    pthread_mutex_unlock(&file->lock);
    if (leave)
        free_all(file);
    return NULL;
}

/* --- what others call --- */

/* 0, or why there is no thread. */
static int start_once(struct log_file *file)
{
    if (file->refusal)
        file->refusal = thread_start(&file->thread, STACK_BYTES, run, file);
    return file->refusal;
}

struct log_file *log_file_new(const struct log_file_settings *settings)
{
    struct log_file *file = calloc(1, sizeof(*file));
    struct place *place = place_new(settings);

    if (file)
        file->ring = malloc(LOG_FILE_QUEUE_BYTES);
    if (!place || !file || !file->ring) {
        place_free(place);
        if (file)
            free(file->ring);
        free(file);
        return NULL;
    }
    file->place = *place;
    free(place);
    file->busy_ns = NEVER_NS;
    pthread_mutex_init(&file->lock, NULL);
    condition_init(&file->work);
    condition_init(&file->idle);
    file->refusal = -EAGAIN; /* until it runs */
    start_once(file);
    return file;
}

struct log_file *log_file_free(struct log_file *file, uint64_t wait_ns)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + wait_ns;
    bool leave;

    if (!file)
        return NULL;
    if (file->refusal) {
        free_all(file);
        return NULL;
    }
    pthread_mutex_lock(&file->lock);
    while (file->waiting_bytes && !file->state.error && condition_wait(&file->idle, &file->lock, until_ns))
        ;
    file->ending = true;
    leave = file->leave = file->busy_ns != NEVER_NS || (file->waiting_bytes && !file->state.error);
    pthread_cond_signal(&file->work);
    if (leave)
        pthread_detach(file->thread);
    pthread_mutex_unlock(&file->lock);
    if (leave)
        return NULL;
    pthread_join(file->thread, NULL);
    free_all(file);
    return NULL;
}

int log_file_configure(struct log_file *file, const struct log_file_settings *settings)
{
    struct place *place = place_new(settings), *unneeded;

    if (!place)
        return -ENOMEM;
    pthread_mutex_lock(&file->lock);
    unneeded = file->next;
    file->next = place;
    pthread_cond_signal(&file->work);
    pthread_mutex_unlock(&file->lock);
    place_free(unneeded);
    return 0;
}

bool log_file_put(struct log_file *file, const char *lines, size_t length)
{
    bool room;

    if (start_once(file))
        return false;
    pthread_mutex_lock(&file->lock);
    room = length <= LOG_FILE_QUEUE_BYTES - file->waiting_bytes;
    for (size_t i = 0; room && i < length; i++)
        *at(file, file->waiting_bytes++) = lines[i];
    /* One that failed is tried again by the clock, not by each line. */
    if (room && !file->state.error)
        pthread_cond_signal(&file->work);
    pthread_mutex_unlock(&file->lock);
    return room;
}

struct log_file_state log_file_state(struct log_file *file)
{
    struct log_file_state state;
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);

    if (file->refusal)
        return (struct log_file_state){.error = file->refusal};
    pthread_mutex_lock(&file->lock);
    state = file->state;
    if (file->busy_ns != NEVER_NS && now_ns - min_u64(file->busy_ns, now_ns) >= LOG_FILE_HANGS_NS)
        state.error = -ETIMEDOUT;
    pthread_mutex_unlock(&file->lock);
    return state;
}
