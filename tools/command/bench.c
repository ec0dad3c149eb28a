/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute bench`: becomes the program reroute-bench, beside this one in a build directory, else where it is
 * installed.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/text.h"
#include "tools/command/command.h"

int command_bench(int argc, char **argv)
{
    static const char installed[] = REROUTE_LIBEXEC "/reroute-bench";
    char built[PATH_MAX + sizeof("/bench/reroute-bench")];
    ssize_t length = readlink("/proc/self/exe", built, PATH_MAX);
    char *slash;

    (void)argc;
    if (length > 0) {
        built[length] = '\0';
        slash = strrchr(built, '/');
        strcpy(slash, "/bench/reroute-bench");
        execv(built, argv);
    }
    execv(installed, argv);
    if (errno == ENOENT)
        text_error(
            "%s: no program bench/reroute-bench beside this one, nor %s; the static program has no studies",
            argv[0], installed);
    else
        text_error("%s: cannot start %s: %s", argv[0], installed, strerror(errno));
    return EXIT_SYSTEM;
}
