/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures, see plot.h. gnuplot reads the script from its standard input and writes the picture to its
 * standard output, both files in memory (child.h); only a whole picture becomes a file, by renaming.
 */
#include "bench/plot.h"

#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>

#include "bench/child.h"
#include "probe/text.h"

static const struct {
    const char *suffix, *terminal;
} kinds[] = {
    {".svg", "svg font 'sans,13' background rgb 'white' dynamic"},
    {".png", "pngcairo font 'sans,11' background rgb 'white'"},
};

static const char *terminal_for(const char *file)
{
    size_t length = strlen(file);

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t suffix = strlen(kinds[i].suffix);

        if (length > suffix && strcmp(file + length - suffix, kinds[i].suffix) == 0)
            return kinds[i].terminal;
    }
    return NULL;
}

int plot_check(const char *file, char *message, size_t size_bytes)
{
    char folder[PATH_MAX];
    int error;

    if (!terminal_for(file)) {
        snprintf(message, size_bytes, "'%s': expected a file name that ends in .svg or .png", file);
        return -EINVAL;
    }
    if (!child_is_installed("gnuplot")) {
        snprintf(message, size_bytes, "cannot draw '%s': gnuplot is not installed (Debian: gnuplot-nox)",
                 file);
        return -ENOENT;
    }
    snprintf(folder, sizeof(folder), "%s", file);
    if (access(dirname(folder), W_OK | X_OK) == 0)
        return 0;
    error = -errno;
    snprintf(message, size_bytes, "cannot write '%s': %s", file, strerror(-error));
    return error;
}

int plot_begin(struct plot *plot, const char *file, unsigned width, unsigned height)
{
    *plot = (struct plot){.file = file};
    plot->script = open_memstream(&plot->text, &plot->size_bytes);
    if (!plot->script)
        return -ENOMEM;
    fprintf(plot->script, "set encoding utf8\nset terminal %s size %u,%u\n", terminal_for(file), width,
            height);
    return 0;
}

void plot_quote(FILE *script, const char *text)
{
    char clean[TEXT_SIZE]; /* no newline: it would end the string, and what follows would be commands */

    fputc('\'', script);
    for (text = text_clean(text, clean, sizeof(clean)); *text; text++)
        fputs(*text == '\'' ? "''" : (char[]){*text, '\0'}, script);
    fputc('\'', script);
}

static int write_all(int fd, const char *bytes, size_t size_bytes)
{
    for (size_t at = 0; at < size_bytes;) {
        ssize_t written = write(fd, bytes + at, size_bytes - at);

        if (written < 0)
            return -errno;
        at += (size_t)written;
    }
    return 0;
}

/* By way of a file beside it. */
static int replace_file(const char *file, const char *bytes, size_t size_bytes)
{
    char beside[PATH_MAX];
    mode_t mask = umask(0);
    int fd, r;

    umask(mask);
    snprintf(beside, sizeof(beside), "%s.XXXXXX", file);
    fd = mkstemp(beside);
    if (fd < 0)
        return -errno;
    r = write_all(fd, bytes, size_bytes);
    if (r == 0 && fchmod(fd, 0666 & ~mask) < 0)
        r = -errno;
    close(fd);
    if (r == 0 && rename(beside, file) < 0)
        r = -errno;
    if (r < 0)
        unlink(beside);
    return r;
}

int plot_end(struct plot *plot, char *message, size_t size_bytes)
{
    static const char *const argv[] = {"gnuplot", "-d", "-", NULL}; /* -d: without the user's own settings */
    struct child child = {0};
    char line[256];
    int r = fclose(plot->script) == 0 ? child_run(&child, argv, plot->text) : -errno;

    if (r == 0 && (child.status != 0 || child.out_bytes == 0)) {
        snprintf(message, size_bytes, "cannot draw '%s': gnuplot ended with status %d: %s", plot->file,
                 child.status, child_error_line(&child, line, sizeof(line)));
        r = -EIO;
    } else if (r < 0) {
        snprintf(message, size_bytes, "cannot draw '%s': gnuplot: %s", plot->file, strerror(-r));
    } else {
        r = replace_file(plot->file, child.out, child.out_bytes);
        if (r < 0)
            snprintf(message, size_bytes, "cannot write '%s': %s", plot->file, strerror(-r));
    }
    child_clear(&child);
    free(plot->text);
    *plot = (struct plot){0};
    return r;
}
