/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Testimony: whether those who answer agree that an access is gone. Pure. The essay is in testimony.c.
 */
#pragma once

#include "probe/base.h"

/* What is kept of one access. All zero: nothing was ever said of it. */
struct testimony {
    /* the case against it: fresh lists in a row without it */
    unsigned missing;
    struct address by; /* who gave the last of them; empty: nobody in particular */
    uint64_t missed_ns;
    /* contradictions about it */
    unsigned disputes;
    uint64_t disputed_ns;
    /* its own credit as a witness */
    bool names_itself; /* its own last list has itself */
    bool denied;
    struct address denied_by; /* who gave the last list without it; empty: nobody in particular */
    uint64_t denied_ns;
    struct vouch {
        struct address by;
        uint64_t at_ns;
    } vouches[2]; /* the last two who named it */
};

/* Who gave a list, and whether the list has him. */
struct witness {
    const struct address *who; /* empty: nobody in particular, who is never contradicted */
    struct testimony *credit;  /* his own; NULL: he is no access that is known */
    bool is_listed;
};

/* How many fresh lists in a row without an access make it dead, after the contradictions so far. */
unsigned testimony_needed(const struct testimony *testimony, uint64_t now_ns);

/*
 * A fresh list does not have the access. `accuser` gave the last list of the row so far (its is_listed: does
 * this list have him?), `witness` gave this one. vouch_ns: for how long a good word for a witness counts.
 * True: that makes it dead. *disputed: the two contradict each other.
 */
bool testimony_against(struct testimony *testimony, const struct witness *accuser,
                       const struct witness *witness, const struct address *self, uint64_t now_ns,
                       uint64_t vouch_ns, bool *disputed);

/*
 * Its own fresh list. It proves nothing for it; but when it does not have itself either that is one more list
 * of the row, and when it does not know the accuser, whom nobody else vouches for, word stands against word.
 */
bool testimony_own(struct testimony *testimony, const struct witness *accuser, bool names_itself,
                   const struct address *self, uint64_t now_ns, uint64_t vouch_ns, bool *disputed);

/* A fresh list of another has it, as the same life or not. True: that contradicts who missed it before. */
bool testimony_for(struct testimony *testimony, const struct witness *witness, bool same_life,
                   uint64_t now_ns);

/* After the list was read: what another's list means for its credit. */
void testimony_credit(struct testimony *testimony, const struct address *by, bool listed, uint64_t now_ns);
