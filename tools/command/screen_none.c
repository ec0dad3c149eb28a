/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/screen.h"

bool screen_is_possible(void)
{
    return false;
}

int screen_run(const char *socket_path)
{
    return 0;
}
