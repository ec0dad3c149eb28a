/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures, see plot.h. gnuplot reads the script from its standard input and writes the picture to its
 * standard output, both files in memory (child.h); only a whole picture becomes a file (tools/output_file.h).
 */
#include "bench/study/plot.h"

#include <sys/stat.h>

#include "bench/study/child.h"
#include "probe/text.h"
#include "tools/output_file.h"

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
    struct output_file output;
    struct stat status;
    char why[256] = "expected a file, or a place for one";
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
    /* A picture is drawn at the end, and nobody waits so long at a FIFO. */
    if (stat(file, &status) == 0 && !S_ISREG(status.st_mode))
        error = -EINVAL;
    else
        error = output_file_open(&output, file, why, sizeof(why));
    if (error)
        snprintf(message, size_bytes, "'%s': %s", file, why);
    else
        output_file_discard(&output);
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

static int replace_file(const char *file, const char *bytes, size_t size_bytes, char *why, size_t why_bytes)
{
    struct output_file output;
    int r = output_file_open(&output, file, why, why_bytes);

    if (r < 0)
        return r;
    r = output_file_begin(&output);
    if (r == 0)
        r = write_all(output.fd, bytes, size_bytes);
    if (r == 0)
        r = output_file_commit(&output);
    output_file_discard(&output);
    if (r < 0)
        snprintf(why, why_bytes, "cannot write there: %s", strerror(-r));
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
        r = replace_file(plot->file, child.out, child.out_bytes, line, sizeof(line));
        if (r < 0)
            snprintf(message, size_bytes, "'%s': %s", plot->file, line);
    }
    child_clear(&child);
    free(plot->text);
    *plot = (struct plot){0};
    return r;
}
