/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session lists: asking for them, taking them in, and which accesses are known by them alone.
 */
#pragma once

#include "route/agent/disk.h"
#include "route/agent/situation.h"
#include "route/decide/admission.h"

/* Asking. */
struct list_polls {
    bool under_way;
    bool failed;            /* the last one did */
    uint64_t failures;      /* since the start */
    uint64_t at_ns;         /* the next one */
    unsigned turn;          /* rotates who is asked first */
    uint32_t answered_last; /* access that the last list came from */
    char message[160];      /* the last failure, or what is wrong with the last list; empty: nothing */
};

/* An answer that came since the last step. */
struct list_answer {
    bool came;
    int error;
    char message[160];
    struct session_endpoint origin;
    struct session_list list; /* owned */
    unsigned unasked;
};

/* Accesses that only lists know. */
struct list_accesses {
    struct session_list remembered; /* the last list of before this start: addresses only, never liveness */
    uint64_t saved_digest;          /* of the addresses in the list on disk; 0: not written by us yet */
    uint64_t given_digest;          /* of the list that the disk was given last; 0: it could not be written */
    struct admission admission;
    uint64_t weed_ns; /* next look for those that are not worth their place */
};

struct lists {
    struct session_liveness *liveness;
    struct list_polls polls;
    struct list_answer answer;
    struct list_accesses accesses;
    bool arrived; /* a fresh list has come since the start */
    bool overdue; /* no fresh list for so long that it was said */
    struct waker waker;
};

struct session_liveness_settings lists_liveness_settings(const struct config *config);
int lists_open(struct lists *lists, const struct config *config,
               const struct waker *waker); /* 0 or -ENOMEM */
void lists_close(struct lists *lists);

/* Do accesses also come from session lists? With bootstrap, or when none is configured (provider "file"). */
bool lists_make_accesses(const struct config *config);

/* Takes in the list that came since the last step. True: a new table would have other accesses. disk: NULL in a dry
 * run. */
bool lists_take(struct lists *lists, const struct situation *now, struct disk *disk);
/* What has become of the list that the disk was given. */
void lists_note_saved(struct lists *lists, const struct disk_report *report);

/* Asks for the next list when it is due, and says when a fresh one is overdue. */
void lists_step(struct lists *lists, struct session_provider *provider, const struct situation *now);

void lists_poll_soon(struct lists *lists, uint64_t at_ns);
void lists_provider_changed(struct lists *lists); /* what was under way, or failed, is over */
uint64_t lists_deadline_ns(const struct lists *lists, const struct situation *now);

/* Since the last fresh list, or the start. */
uint64_t lists_age_ns(const struct lists *lists, const struct situation *now);

/*
 * What of a list's entry can be a path to this service: its addresses, less those of the other family and the
 * service itself. False when nothing is left.
 */
bool lists_usable_addresses(const struct config *config, struct address *data, struct address *secondary);
