/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report_targets.h"

#include <ctype.h>
#include <fcntl.h>

#define NAME_MAX_BYTES  253 /* RFC 1035, section 2.3.4, as text without the last dot */
#define LABEL_MAX_BYTES 63
#define READ_BYTES      65536

const char *report_outcome_text(enum report_outcome outcome)
{
    static const char *const texts[REPORT_OUTCOMES] = {
        [REPORT_UNFINISHED] = "unfinished",
        [REPORT_REACHABLE] = "reachable",
        [REPORT_UNREACHABLE] = "unreachable",
        [REPORT_NOT_FOUND] = "not-found",
    };

    return texts[outcome];
}

/* What may be somebody's binary file goes to a terminal: shortened, and without control characters. */
static const char *printable(const char *text, char out[static 64])
{
    size_t i = 0;

    for (; text[i] && i < 60; i++)
        out[i] = text[i];
    out[i] = '\0';
    for (char *p = out; *p; p++)
        if (!isprint((unsigned char)*p))
            *p = '?';
    if (text[i])
        memcpy(out + 57, "...", 4);
    return out;
}

/* Letters, digits, '-' and '_' in labels of 1 to 63 (RFC 1123, section 2.1), the last one not a number. */
static bool is_name(const char *text)
{
    size_t length = strlen(text), label = 0;
    bool numeric = true;

    if (length > 1 && text[length - 1] == '.')
        length--;
    if (length == 0 || length > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
            numeric = true;
            continue;
        }
        if (!isalnum((unsigned char)text[i]) && text[i] != '_' && (text[i] != '-' || label == 0))
            return false;
        if (!isdigit((unsigned char)text[i]))
            numeric = false;
        if (++label > LABEL_MAX_BYTES)
            return false;
    }
    return label > 0 && !numeric;
}

static int grow(struct report_targets *targets)
{
    uint32_t room = targets->room ? targets->room * 2 : 64;
    void *list;

    if (room < targets->room || room == REPORT_NO_INDEX)
        return -ENOMEM;
    list = realloc(targets->list, room * sizeof(*targets->list));
    if (!list)
        return -ENOMEM;
    targets->list = list;
    targets->room = room;
    return 0;
}

int report_targets_add(struct report_targets *targets, const char *text, char *message, size_t size_bytes)
{
    struct address address;
    char shown[64];
    int error = address_parse(&address, text);

    if (error == -ENODEV) {
        snprintf(message, size_bytes, "'%s': there is no interface '%s' on this host", printable(text, shown),
                 printable(strchr(text, '%') + 1, (char[64]){0}));
        return error;
    }
    if (error && !is_name(text)) {
        snprintf(message, size_bytes, "'%s' is neither an address nor a name%s", printable(text, shown),
                 strchr(text, '/') ? " (networks are not expanded)" : "");
        return error;
    }
    if (address_is_link_local(&address) && address.scope == 0) {
        snprintf(message, size_bytes, "'%s' is link-local: say through which interface, '%s%%NAME'", text,
                 text);
        return -EINVAL;
    }
    if (targets->count == targets->room && grow(targets) < 0) {
        snprintf(message, size_bytes, "out of memory after %" PRIu32 " targets", targets->count);
        return -ENOMEM;
    }
    targets->list[targets->count++] = (struct report_target){.text = text, .sweep_index = REPORT_NO_INDEX};
    return 0;
}

/* Everything that a descriptor has, zero-terminated, in *out (owned by the caller). */
static int read_all(int fd, char **out, size_t *out_bytes)
{
    CLEANUP(free) char *text = NULL;
    size_t used = 0, room = 0;

    for (;;) {
        ssize_t n;

        if (room - used < READ_BYTES) {
            char *larger = realloc(text, 2 * room + 2 * READ_BYTES);

            if (!larger)
                return -ENOMEM;
            text = larger;
            room = 2 * room + 2 * READ_BYTES;
        }
        n = read(fd, text + used, room - used - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    text[used] = '\0';
    *out = TAKE(text);
    *out_bytes = used;
    return 0;
}

static int keep_buffer(struct report_targets *targets, char *text)
{
    char **larger = realloc(targets->buffers, (targets->buffer_count + 1) * sizeof(*larger));

    if (!larger)
        return -ENOMEM;
    targets->buffers = larger;
    targets->buffers[targets->buffer_count++] = text;
    return 0;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cuts the text into words where it stands. */
static int add_words(struct report_targets *targets, char *text, const char *name, char *message,
                     size_t size_bytes)
{
    unsigned line = 1;

    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3; /* the byte order mark that some editors put first */
    for (char *p = text; *p;) {
        char *word = p, end, why[256];
        int error;

        if (*p == '#') {
            p += strcspn(p, "\n");
            continue;
        }
        if (is_space(*p)) {
            line += *p++ == '\n';
            continue;
        }
        while (*p && *p != '#' && !is_space(*p))
            p++;
        end = *p;
        *p = '\0';
        error = report_targets_add(targets, word, why, sizeof(why));
        if (error) {
            snprintf(message, size_bytes, "%s:%u: %s", name, line, why);
            return error;
        }
        /* Step over the separator that is a zero now, and do what it asked for. */
        if (end == '\0')
            break;
        p++;
        line += end == '\n';
        if (end == '#')
            p += strcspn(p, "\n");
    }
    return 0;
}

int report_targets_read(struct report_targets *targets, const char *path, char *message, size_t size_bytes)
{
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    CLEANUP(free) char *text = NULL;
    __attribute__((cleanup(close_fd_cleanup))) int opened = -1;
    uint32_t before = targets->count;
    size_t size = 0;
    char *kept;
    int error = 0;

    if (!standard) {
        opened = open(path, O_RDONLY | O_CLOEXEC);
        if (opened < 0)
            error = -errno;
    }
    if (!error)
        error = read_all(standard ? STDIN_FILENO : opened, &text, &size);
    if (!error && strlen(text) != size) {
        snprintf(message, size_bytes, "%s: not a text file (it has a zero byte)", name);
        return -EINVAL;
    }
    if (!error)
        error = keep_buffer(targets, text);
    if (error) {
        snprintf(message, size_bytes, "%s: cannot read it: %s", name, strerror(-error));
        return error;
    }
    kept = TAKE(text);
    error = add_words(targets, kept, name, message, size_bytes);
    if (!error && targets->count == before) {
        snprintf(message, size_bytes, "%s: there is no target in it", name);
        error = -EINVAL;
    }
    return error;
}

static bool same_reason(const struct report_reason *reason, enum probe_outcome outcome,
                        const struct probe_error *error)
{
    return reason->outcome == outcome && reason->error.error == error->error &&
           reason->error.icmp_type == error->icmp_type && reason->error.icmp_code == error->icmp_code &&
           reason->error.mtu_bytes == error->mtu_bytes && address_equal(&reason->error.from, &error->from);
}

int report_targets_unreachable(struct report_targets *targets, uint32_t index, enum probe_outcome outcome,
                               const struct probe_error *error)
{
    struct report_target *target = &targets->list[index];

    if (targets->reason_count == 0 ||
        !same_reason(&targets->reasons[targets->reason_count - 1], outcome, error)) {
        if (targets->reason_count == targets->reason_room) {
            uint32_t room = targets->reason_room ? targets->reason_room * 2 : 16;
            void *larger = realloc(targets->reasons, room * sizeof(*targets->reasons));

            if (!larger)
                return -ENOMEM;
            targets->reasons = larger;
            targets->reason_room = room;
        }
        targets->reasons[targets->reason_count++] = (struct report_reason){outcome, *error};
    }
    target->outcome = REPORT_UNREACHABLE;
    target->reason = targets->reason_count - 1;
    return 0;
}

void report_targets_clear(struct report_targets *targets)
{
    for (size_t i = 0; i < targets->buffer_count; i++)
        free(targets->buffers[i]);
    free(targets->buffers);
    free(targets->list);
    free(targets->reasons);
    *targets = (struct report_targets){0};
}
