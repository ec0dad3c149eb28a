/* SPDX-License-Identifier: Apache-2.0 */
#include "session/token.h"

#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>

#define TOKEN_MAX_BYTES 4096

/* A field name (RFC 9110, section 5.1). */
static bool name_is_good(const char *name)
{
    return *name && name[strspn(name, "!#$%&'*+-.^_`|~0123456789"
                                      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

/* Cuts the space at the end; what is left must be one line of visible ASCII, or it could smuggle in headers.
 */
static bool token_is_good(char *token)
{
    size_t length = strlen(token);

    while (length && strchr(" \t\r\n", token[length - 1]))
        token[--length] = '\0';
    for (size_t i = 0; i < length; i++) {
        if (token[i] < ' ' || token[i] > '~')
            return false;
    }
    return length > 0;
}

/* Says what the system said, and returns it. */
static int system_error(const char *path, char *message, size_t size_bytes)
{
    int error = errno;

    snprintf(message, size_bytes, "token file %s: %s", path, strerror(error));
    return -error;
}

/* token has room for TOKEN_MAX_BYTES + 1. */
static int token_read(int fd, const char *path, char *token, char *message, size_t size_bytes)
{
    struct stat st;
    ssize_t got;

    if (fstat(fd, &st) < 0)
        return system_error(path, message, size_bytes);
    if (!S_ISREG(st.st_mode)) {
        snprintf(message, size_bytes, "token file %s: not a regular file", path);
        return -EINVAL;
    }
    if (st.st_mode & 077) {
        snprintf(message, size_bytes,
                 "token file %s: mode %04o, others than its owner have access: chmod 600", path,
                 (unsigned)(st.st_mode & 07777));
        return -EINVAL;
    }
    got = read(fd, token, TOKEN_MAX_BYTES + 1);
    if (got < 0)
        return system_error(path, message, size_bytes);
    if (got <= TOKEN_MAX_BYTES)
        token[got] = '\0';
    if (got > TOKEN_MAX_BYTES || strlen(token) != (size_t)got || !token_is_good(token)) {
        snprintf(message, size_bytes, "token file %s: expected one line of at most %d visible characters",
                 path, TOKEN_MAX_BYTES);
        return -EINVAL;
    }
    return 0;
}

int token_header_read(char **out, const char *name, const char *path, char *message, size_t size_bytes)
{
    CLEANUP(close_fd) int fd = -1;
    char token[TOKEN_MAX_BYTES + 1];
    int r;

    if (!name_is_good(name)) {
        snprintf(message, size_bytes, "token header \"%s\": not the name of a header", name);
        return -EINVAL;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return system_error(path, message, size_bytes);
    r = token_read(fd, path, token, message, size_bytes);
    if (r == 0 &&
        asprintf(out, "%s: %s%s", name, strcasecmp(name, "Authorization") == 0 ? "Bearer " : "", token) < 0) {
        *out = NULL;
        r = -ENOMEM;
    }
    explicit_bzero(token, sizeof(token));
    return r;
}
