/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/disk.h"

#include "probe/spare_fds.h"
#include "probe/thread.h"
#include "probe/wakeup.h"
#include "route/agent/lock.h"
#include "route/journal/file.h"
#include "route/own_file.h"

#define STACK_BYTES ((size_t)64 << 10)

/* One write. */
struct job {
    struct job *next;
    enum kept_file file;
    enum journal_line kind; /* of a line of the journal */
    uint64_t at_ns;         /* since when it waits; or the one whose place it took */
    size_t length;
    char text[];
};

/* What the jobs are about. The thread's alone while it runs. */
struct disk_files {
    char *directory;
    struct journal_file *journal;
    struct lock lock;
    struct spare_fds spare;
};

struct disk {
    struct disk_files files;
    pthread_t thread;
    int refusal; /* why it does not run, a negative errno; 0: it runs */
    struct wakeup wakeup;

    pthread_mutex_t lock; /* of all below; held for moments only */
    pthread_cond_t work, idle;
    struct job *first, **end; /* what waits */
    struct job *doing;        /* what the thread has in hand */
    struct job *done;         /* for the loop to free: a thread that frees gets a heap of its own */
    size_t line_bytes;        /* of the lines that wait */
    uint64_t journal_bytes;   /* the file's size when they are written */
    bool ending;
    struct disk_report report;
};

/* --- the thread --- */

static int write_file(struct disk_files *files, const struct job *job)
{
    switch (job->file) {
    case KEPT_JOURNAL:
        return journal_file_append(files->journal, job->text, job->kind);
    case KEPT_LOCK:
        return files->lock.file_fd < 0 ? lock_take_file(&files->lock, files->directory) : 0;
    default:
        return own_file_write(files->directory, kept_name(job->file), job->text);
    }
}

static int carry_out(struct disk_files *files, const struct job *job)
{
    int error;

    spare_fds_release(&files->spare);
    error = write_file(files, job);
    spare_fds_keep(&files->spare);
    return error;
}

static struct job *take(struct disk *disk)
{
    struct job *job = disk->first;

    if (!job)
        return NULL;
    disk->first = job->next;
    if (!disk->first)
        disk->end = &disk->first;
    if (job->file == KEPT_JOURNAL)
        disk->line_bytes -= job->length;
    disk->doing = job;
    return job;
}

static void settle(struct disk *disk, struct job *job, int error)
{
    disk->doing = NULL;
    job->next = disk->done;
    disk->done = job;
    if (job->file == KEPT_JOURNAL && error < 0)
        disk->report.lines_lost++;
    if (job->file == KEPT_JOURNAL && disk->line_bytes == 0)
        disk->journal_bytes = journal_file_size(disk->files.journal);
    /* A line that had none to follow says nothing new: the reason is known, or there is none. */
    if (error != -ESTALE)
        disk->report.error[job->file] = error;
    if (!disk->first)
        pthread_cond_signal(&disk->idle);
    wakeup_ring(disk->wakeup.ring_fd);
}

static void *run(void *context)
{
    struct disk *disk = context;
    struct job *job;

    pthread_mutex_lock(&disk->lock);
    while (true) {
        int error;

        while (!disk->first && !disk->ending)
            pthread_cond_wait(&disk->work, &disk->lock);
        job = take(disk);
        if (!job)
            break;
        pthread_mutex_unlock(&disk->lock);
        error = carry_out(&disk->files, job);
        pthread_mutex_lock(&disk->lock);
        settle(disk, job, error);
    }
    pthread_mutex_unlock(&disk->lock);
    return NULL;
}

/* --- start and end --- */

/* 0, or why there is no thread. */
static int start_once(struct disk *disk)
{
    if (disk->refusal)
        disk->refusal = thread_start(&disk->thread, STACK_BYTES, run, disk);
    return disk->refusal;
}

int disk_open(struct disk **out, const char *directory)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    char message[128];

    if (!disk)
        return -ENOMEM;
    pthread_mutex_init(&disk->lock, NULL);
    condition_init(&disk->work);
    condition_init(&disk->idle);
    disk->end = &disk->first;
    disk->files = (struct disk_files){
        .directory = strdup(directory), .lock = {.name_fd = -1, .file_fd = -1}, .spare = SPARE_FDS_NONE};
    disk->refusal = -ENOMEM;
    if (wakeup_open(&disk->wakeup, message, sizeof(message)) < 0 || !disk->files.directory ||
        journal_file_new(&disk->files.journal, directory) < 0) {
        disk_close(disk);
        return -ENOMEM;
    }
    disk->journal_bytes = journal_file_size(disk->files.journal);
    spare_fds_keep(&disk->files.spare);
    start_once(disk);
    *out = disk;
    return 0;
}

/* Has the thread ended? When it hangs in a write it never may: then what it uses is left to it. */
static bool end_thread(struct disk *disk)
{
    bool hangs;

    pthread_mutex_lock(&disk->lock);
    disk->ending = true;
    hangs = disk->first || disk->doing;
    pthread_cond_signal(&disk->work);
    pthread_mutex_unlock(&disk->lock);
    if (hangs)
        pthread_detach(disk->thread);
    else
        pthread_join(disk->thread, NULL);
    return !hangs;
}

static void free_jobs(struct job *job)
{
    while (job) {
        struct job *next = job->next;

        free(job);
        job = next;
    }
}

struct disk *disk_close(struct disk *disk)
{
    if (!disk || (!disk->refusal && !end_thread(disk)))
        return NULL;
    wakeup_close(&disk->wakeup);
    lock_release(&disk->files.lock);
    spare_fds_release(&disk->files.spare);
    journal_file_free(disk->files.journal);
    pthread_cond_destroy(&disk->work);
    pthread_cond_destroy(&disk->idle);
    pthread_mutex_destroy(&disk->lock);
    free_jobs(disk->done);
    free(disk->files.directory);
    free(disk);
    return NULL;
}

void disk_drain(struct disk *disk, uint64_t wait_ns)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + wait_ns;

    pthread_mutex_lock(&disk->lock);
    while ((disk->first || disk->doing) && condition_wait(&disk->idle, &disk->lock, until_ns))
        ;
    pthread_mutex_unlock(&disk->lock);
}

/* --- handing over --- */

static struct job *job_new(enum kept_file file, enum journal_line kind, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    struct job *job = text ? malloc(sizeof(*job) + length + 1) : NULL;

    if (!job)
        return NULL;
    *job = (struct job){.file = file, .kind = kind, .at_ns = clock_now_ns(CLOCK_MONOTONIC), .length = length};
    memcpy(job->text, text, length + 1);
    return job;
}

static void append(struct disk *disk, struct job *job)
{
    *disk->end = job;
    disk->end = &job->next;
    pthread_cond_signal(&disk->work);
}

/* Puts it in the place of one that waits, which is returned; NULL: there is none, and it goes to the end. */
static struct job *exchange(struct disk *disk, struct job *job)
{
    struct job **at = &disk->first, *old;

    while (*at && (*at)->file != job->file)
        at = &(*at)->next;
    old = *at;
    if (!old) {
        append(disk, job);
        return NULL;
    }
    job->at_ns = old->at_ns;
    job->next = old->next;
    *at = job;
    if (disk->end == &old->next)
        disk->end = &job->next;
    return old;
}

void disk_replace(struct disk *disk, enum kept_file file, const char *text)
{
    struct job *job = job_new(file, JOURNAL_NEWS, text), *unneeded = NULL;
    int error = job ? start_once(disk) : -ENOMEM;

    pthread_mutex_lock(&disk->lock);
    if (!error)
        unneeded = exchange(disk, job);
    else
        disk->report.error[file] = error;
    pthread_mutex_unlock(&disk->lock);
    free(error ? job : unneeded);
}

void disk_lock(struct disk *disk)
{
    disk_replace(disk, KEPT_LOCK, "");
}

void disk_note(struct disk *disk, enum kept_file file, int error)
{
    pthread_mutex_lock(&disk->lock);
    disk->report.error[file] = error;
    pthread_mutex_unlock(&disk->lock);
}

static uint64_t sink_size(void *context)
{
    struct disk *disk = context;
    uint64_t size_bytes;

    pthread_mutex_lock(&disk->lock);
    size_bytes = disk->journal_bytes;
    pthread_mutex_unlock(&disk->lock);
    return size_bytes;
}

static int sink_append(void *context, const char *line, enum journal_line kind)
{
    struct disk *disk = context;
    struct job *job = job_new(KEPT_JOURNAL, kind, line);
    int error = job ? start_once(disk) : -ENOMEM;

    pthread_mutex_lock(&disk->lock);
    if (!error && disk->line_bytes + job->length > DISK_QUEUE_BYTES)
        error = -ETIMEDOUT;
    if (!error) {
        append(disk, job);
        disk->line_bytes += job->length;
        disk->journal_bytes = (kind == JOURNAL_HEAD ? 0 : disk->journal_bytes) + job->length + 1;
    } else {
        disk->report.error[KEPT_JOURNAL] = error;
    }
    pthread_mutex_unlock(&disk->lock);
    if (error)
        free(job);
    return error;
}

struct journal_sink disk_journal(struct disk *disk)
{
    return (struct journal_sink){.context = disk, .size_bytes = sink_size, .append = sink_append};
}

/* --- what has become of it --- */

int disk_fd(const struct disk *disk)
{
    return disk->wakeup.fd;
}

/* Since when something waits for this file; NEVER_NS: nothing does. */
static uint64_t waiting_since_ns(const struct disk *disk, enum kept_file file)
{
    if (disk->doing && disk->doing->file == file)
        return disk->doing->at_ns;
    for (const struct job *job = disk->first; job; job = job->next)
        if (job->file == file)
            return job->at_ns;
    return NEVER_NS;
}

static uint64_t deadline_ns(const struct disk *disk, enum kept_file file)
{
    return add_sat_u64(waiting_since_ns(disk, file), DISK_PATIENCE_NS);
}

void disk_report(struct disk *disk, uint64_t now_ns, struct disk_report *report)
{
    struct job *done;

    wakeup_empty(disk->wakeup.fd);
    pthread_mutex_lock(&disk->lock);
    done = disk->done;
    disk->done = NULL;
    *report = disk->report;
    disk->report.lines_lost = 0;
    for (int i = 0; i < KEPT_COUNT; i++) {
        report->waits[i] = waiting_since_ns(disk, i) != NEVER_NS;
        if (report->waits[i] && now_ns >= deadline_ns(disk, i))
            report->error[i] = -ETIMEDOUT;
    }
    pthread_mutex_unlock(&disk->lock);
    free_jobs(done);
}

uint64_t disk_deadline_ns(struct disk *disk, uint64_t now_ns)
{
    uint64_t at_ns = NEVER_NS;

    pthread_mutex_lock(&disk->lock);
    for (int i = 0; i < KEPT_COUNT; i++)
        if (deadline_ns(disk, i) > now_ns)
            at_ns = min_u64(at_ns, deadline_ns(disk, i));
    pthread_mutex_unlock(&disk->lock);
    return at_ns;
}
