/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `reroute report`: a command as in tools/command/command.h. */
int command_report(int argc, char **argv);
