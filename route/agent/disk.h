/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing into the state directory, by a thread of its own: the event loop never waits for a disk.
 *
 * The loop hands over copies and goes on. They are written in the order in which they came, but for a file that is
 * replaced only the newest text counts: it takes the place of one that still waits. Lines of the journal wait up to
 * DISK_QUEUE_BYTES; what comes then is refused, and lost. What has become of it is told by disk_report().
 *
 * The lock between the two is never held during input or output. All functions are for the loop's thread. Times are
 * on CLOCK_MONOTONIC.
 */
#pragma once

#include "route/agent/kept.h"
#include "route/journal/journal.h"

#define DISK_QUEUE_BYTES (1 << 20)
/* What has not come back for so long is -ETIMEDOUT: the disk does not answer. */
#define DISK_PATIENCE_NS (5 * NS_PER_S)

struct disk;

struct disk_report {
    int error
        [KEPT_COUNT]; /* of each file: of the last write, or -ETIMEDOUT for as long as one does not come back */
    bool waits[KEPT_COUNT]; /* not all that was handed over for this file has come back */
    uint64_t lines_lost;    /* of the journal, that had been taken, since the last report */
};

/*
 * Starts the thread. -ENOMEM. Where there can be none, what is handed over tries again, and fails with the reason. From
 * here on disk_close() is due.
 */
int disk_open(struct disk **out, const char *directory);

/* Takes no more. What still waits, after disk_drain() in vain, is written until the process ends, or lost. Returns
 * NULL. */
struct disk *disk_close(struct disk *disk);

/* Waits until all has been written, but no longer than this. */
void disk_drain(struct disk *disk, uint64_t wait_ns);

/* The whole file, see own_file_write(). text: NULL when there was no memory for it, which is reported. */
void disk_replace(struct disk *disk, enum kept_file file, const char *text);

/* Tries once more for the lock's file, which could not be taken at the start, and keeps it. */
void disk_lock(struct disk *disk);

/* What is known of a file without a write: 0, it holds what it should; or a negative errno. */
void disk_note(struct disk *disk, enum kept_file file, int error);

/* For the journal; valid as long as the disk is. */
struct journal_sink disk_journal(struct disk *disk);

/* Readable when a write came back: disk_report(), which takes that away. */
int disk_fd(const struct disk *disk);
/* now_ns: NEVER_NS, when nobody waits any longer. */
void disk_report(struct disk *disk, uint64_t now_ns, struct disk_report *report);
/* When a report should be asked for though no write came back. */
uint64_t disk_deadline_ns(struct disk *disk, uint64_t now_ns);
