/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beside screen.c, for the names that term.h takes for itself (lines, columns, tab).
 */
#include "tools/command/screen.h"

#include <ncurses.h>
#include <term.h>
#include <unistd.h>

bool screen_is_possible(void)
{
    bool possible;
    int error;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || setupterm(NULL, STDOUT_FILENO, &error) != OK)
        return false;
    /* cup (move the cursor) and clear: without these there is no screen. */
    possible = tigetstr("cup") && tigetstr("clear");
    del_curterm(cur_term); /* initscr() makes one of its own */
    return possible;
}
