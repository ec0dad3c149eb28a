/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/route/journal_place.h"

#include <criterion/criterion.h>

#include "probe/base.h"
#include "route/journal/file.h"

char journal_directory[] = "/tmp/reroute-history-XXXXXX";
char journal_path[64], journal_older[80];

void journal_place_begin(void)
{
    strcpy(journal_directory + sizeof(journal_directory) - 7, "XXXXXX");
    cr_assert_not_null(mkdtemp(journal_directory));
    snprintf(journal_path, sizeof(journal_path), "%s/" JOURNAL_FILE, journal_directory);
    snprintf(journal_older, sizeof(journal_older), "%s.1", journal_path);
}

void journal_place_end(void)
{
    unlink(journal_path);
    unlink(journal_older);
    cr_expect_eq(rmdir(journal_directory), 0);
}

void journal_place_put(const char *file, const char *text)
{
    FILE *out = fopen(file, "w");

    cr_assert_not_null(out);
    fputs(text, out);
    fclose(out);
}
