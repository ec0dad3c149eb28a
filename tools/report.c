/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command.h"
int command_report(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return EXIT_SYSTEM;
}
