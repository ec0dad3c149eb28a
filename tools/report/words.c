/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/words.h"

#include <fcntl.h>

#define READ_BYTES 65536
#define WORD_BYTES 512 /* no target is as long */
#define WHY_BYTES  512

struct reader {
    const char *name;
    report_word_function *function;
    void *context;
    char *message;
    size_t size_bytes;
    unsigned line;
    bool has_begun; /* the first word, or what stands for it, is over */
    bool in_comment;
    size_t length; /* of the word that has begun */
    char word[WORD_BYTES];
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int end_word(struct reader *reader)
{
    const char *word = reader->word;
    char why[WHY_BYTES];
    int error;

    reader->word[reader->length] = '\0';
    reader->length = 0;
    /* The byte order mark that some editors put first. */
    if (!reader->has_begun && strncmp(word, "\xef\xbb\xbf", 3) == 0)
        word += 3;
    reader->has_begun = true;
    if (*word == '\0')
        return 0;
    error = reader->function(reader->context, &(struct report_word){word, reader->name, reader->line}, why,
                             sizeof(why));
    if (error)
        snprintf(reader->message, reader->size_bytes, "%s:%u: %s", reader->name, reader->line, why);
    return error;
}

static int take_byte(struct reader *reader, char c)
{
    int error = 0;

    if (c == '\0') {
        snprintf(reader->message, reader->size_bytes, "%s: not a text file (it has a zero byte)",
                 reader->name);
        return -EINVAL;
    }
    if (c == '#' || is_space(c))
        error = end_word(reader);
    if (c == '#')
        reader->in_comment = true;
    if (c == '\n') {
        reader->in_comment = false;
        reader->line++;
    }
    if (error || reader->in_comment || is_space(c))
        return error;
    /* What is too long is cut: no such word is right, and its beginning tells which one it is. */
    if (reader->length < WORD_BYTES - 1)
        reader->word[reader->length++] = c;
    return 0;
}

static int read_pieces(struct reader *reader, int fd)
{
    static char piece[READ_BYTES];
    int error = 0;

    while (!error) {
        ssize_t size = read(fd, piece, sizeof(piece));

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            error = -errno;
            snprintf(reader->message, reader->size_bytes, "%s: cannot read it: %s", reader->name,
                     strerror(-error));
            return error;
        }
        if (size == 0)
            break;
        for (ssize_t i = 0; i < size && !error; i++)
            error = take_byte(reader, piece[i]);
    }
    return error ? error : end_word(reader);
}

int report_words_read(const char *path, report_word_function *function, void *context, char *message,
                      size_t size_bytes)
{
    bool standard = strcmp(path, "-") == 0;
    struct reader reader = {
        .name = standard ? "standard input" : path,
        .function = function,
        .context = context,
        .message = message,
        .size_bytes = size_bytes,
        .line = 1,
    };
    __attribute__((cleanup(close_fd_cleanup))) int opened = -1;

    if (!standard) {
        opened = open(path, O_RDONLY | O_CLOEXEC);
        if (opened < 0) {
            int error = -errno;

            snprintf(message, size_bytes, "%s: cannot read it: %s", path, strerror(-error));
            return error;
        }
    }
    return read_pieces(&reader, standard ? STDIN_FILENO : opened);
}
