/* SPDX-License-Identifier: Apache-2.0 */
/* What every study does alike, see study.h. */
#include "bench/study/study.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "probe/quantity.h"
#include "probe/text.h"

#define PROGRESS_PERIOD_NS (200 * NS_PER_MS)

static volatile sig_atomic_t interrupted_by;

static void on_signal(int number)
{
    interrupted_by = number;
}

void study_catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction before;

    /* What nohup or a shell has turned off stays off. */
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of writing, and reported */
}

int study_interrupted(void)
{
    return interrupted_by;
}

/* --- progress --------------------------------------------------------------------------------------------*/

static void print_left(double seconds)
{
    if (seconds >= 5400)
        fprintf(stderr, ", %.1f hours left", seconds / 3600);
    else if (seconds >= 90)
        fprintf(stderr, ", %.0f minutes left", ceil(seconds / 60));
    else
        fprintf(stderr, ", %.0f s left", ceil(seconds));
}

void study_progress(struct study_progress *progress, double done, double total, const char *format, ...)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    char what[TEXT_SIZE];
    va_list arguments;

    if (progress->began_ns == 0)
        progress->began_ns = now_ns;
    if (!isatty(STDERR_FILENO) || (progress->shown && now_ns - progress->shown_ns < PROGRESS_PERIOD_NS))
        return;
    progress->shown_ns = now_ns;
    progress->shown = true;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    fprintf(stderr, "\r\033[K%3.0f %%, %s", total > 0 ? 100 * done / total : 100, TEXT(what));
    if (done > 0)
        print_left((double)(now_ns - progress->began_ns) / 1e9 * (total - done) / done);
    fflush(stderr);
}

void study_progress_end(struct study_progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    *progress = (struct study_progress){0};
}

/* --- options ---------------------------------------------------------------------------------------------*/

int study_list(const char *list, int (*take)(void *context, const char *item), void *context)
{
    int r = 0;

    for (const char *at = list; r == 0;) {
        size_t length = strcspn(at, ",");
        CLEANUP(free) char *item = strndup(at, length);

        if (!item)
            return -ENOMEM;
        r = length ? take(context, item) : -EINVAL;
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    return r;
}

int study_setting(struct study_setting *out, const char *text)
{
    const char *cut = strrchr(text, 'x');
    CLEANUP(free) char *time = cut ? strndup(text, (size_t)(cut - text)) : NULL;
    uint64_t count;

    if (!time || quantity_time_argument(time, NS_PER_MS, 3600 * NS_PER_S, &out->select_timeout_ns) < 0 ||
        quantity_number(cut + 1, 1, 1000000, &count) < 0)
        return -EINVAL;
    out->select_count = (uint32_t)count;
    return 0;
}

const char *study_setting_text(const struct study_setting *setting, char buffer[static STUDY_SETTING_SIZE])
{
    snprintf(buffer, STUDY_SETTING_SIZE, "%.9gx%" PRIu32, (double)setting->select_timeout_ns / 1e9,
             setting->select_count);
    return buffer;
}

/* --- what is printed -------------------------------------------------------------------------------------*/

const char *study_host(char *buffer, size_t size_bytes)
{
    struct utsname system = {0};

    uname(&system);
    snprintf(buffer, size_bytes, "%s %s, %s, %ld CPUs", system.sysname, system.release, system.machine,
             sysconf(_SC_NPROCESSORS_ONLN));
    return buffer;
}

void study_print_json(cJSON *document)
{
    CLEANUP(free) char *text = text_json(cJSON_Print(document));

    puts(text ? text : "{}");
    cJSON_Delete(document);
}

const char *study_program(const char *built, const char *installed, char *buffer, size_t size_bytes)
{
    char folder[PATH_MAX];
    struct stat status;
    ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);

    if (length > 0) {
        folder[length] = '\0';
        *(strrchr(folder, '/') + 1) = '\0';
        snprintf(buffer, size_bytes, "%s%s", folder, built);
        /* Where things are installed, ../reroute is a folder. */
        if (stat(buffer, &status) == 0 && S_ISREG(status.st_mode))
            return buffer;
    }
    snprintf(buffer, size_bytes, "%s", installed);
    return buffer;
}
