/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cannot be kept in the state directory: said when it begins and when it is over, and in the status for
 * as long as it lasts. Each file is tried again when it is next to be written, the lock whenever the state is
 * saved. Nothing else follows from it.
 */
#pragma once

#include "probe/base.h"

/* Files of the state directory. */
enum kept_file { KEPT_LOCK, KEPT_STATE, KEPT_LIST, KEPT_JOURNAL, KEPT_TUNE, KEPT_COUNT };

struct kept {
    int error[KEPT_COUNT]; /* 0: that file is kept */
};

/* error: 0, or the negative errno with which a file of that directory could not be written. */
void kept_note(struct kept *kept, const char *directory, enum kept_file file, int error);
const char *kept_name(enum kept_file file);
bool kept_all(const struct kept *kept);
