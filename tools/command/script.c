/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/script.h"

#include <limits.h>

#include "probe/base.h"
#include "probe/text.h"
#include "tools/exit_code.h"

void script_add(struct script_words *words, const char *name, const char *value)
{
    if (value && words->count < SCRIPT_WORDS_MAX &&
        asprintf(&words->text[words->count], "%s=%s", name, value) >= 0)
        words->count++;
}

int script_take_host(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    struct script_words *hosts = row->context;

    if (hosts->count >= SCRIPT_HOSTS_MAX)
        return options_bad(message, size_bytes, "--host '%s': expected %d hosts at most", value,
                           SCRIPT_HOSTS_MAX);
    script_add(hosts, "host", value);
    return 0;
}

/* A script beside this program, whose path is `self`, in a build directory, else where it is installed. */
static void find(const char *self, const char *script, char path[static PATH_MAX])
{
    const char *slash = strrchr(self, '/');

    snprintf(path, PATH_MAX, "%.*s/tools/deploy/%s", (int)(slash - self), self, script);
    if (access(path, R_OK) != 0)
        snprintf(path, PATH_MAX, REROUTE_LIBEXEC "/deploy/%s", script);
}

int script_become(const char *program, const char *script, const struct script_words *words)
{
    static char python[] = "python3", no_cache[] = "-B";
    char path[PATH_MAX], self[PATH_MAX];
    char *argv[SCRIPT_WORDS_MAX + 5] = {python, no_cache, path, self};
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (length <= 0) {
        text_error("%s: cannot tell which program this is: %s", program, strerror(errno));
        return EXIT_SYSTEM;
    }
    self[length] = '\0';
    find(self, script, path);
    memcpy(&argv[4], words->text, words->count * sizeof(words->text[0]));
    execvp(python, argv);
    text_error("%s: cannot start python3: %s", program, strerror(errno));
    return EXIT_SYSTEM;
}
