/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/targets.h"

#include "tools/report/target_text.h"
#include "tools/report/words.h"

#include <stdarg.h>

#define WHY_BYTES  256
#define LINE_BYTES 512

static int keep_text(struct report_targets *targets, const char *text, uint32_t index, bool name)
{
    struct report_text *kept;

    if (targets->text_count == targets->text_room) {
        uint32_t room = targets->text_room ? targets->text_room * 2 : 16;
        void *larger = realloc(targets->texts, room * sizeof(*targets->texts));

        if (!larger)
            return -ENOMEM;
        targets->texts = larger;
        targets->text_room = room;
    }
    kept = &targets->texts[targets->text_count];
    *kept = (struct report_text){.text = strdup(text), .index = index, .is_name = name};
    if (!kept->text)
        return -ENOMEM;
    targets->text_count++;
    return 0;
}

static int add_name(struct report_targets *targets, const char *text)
{
    uint32_t index;
    int r = probe_targets_add_later(&targets->list, &index);

    return r > 0 ? keep_text(targets, text, index, true) : r;
}

static int add_range(struct report_targets *targets, const char *text, const struct probe_range *range)
{
    uint32_t index = targets->list.count;
    int error = probe_targets_add(&targets->list, range);
    bool single = address_equal(&range->first, &range->last);

    /* An IPv4 address can be written in one way only. */
    if (error || !single || range->first.family == AF_INET || targets->list.count == index ||
        strchr(text, '/') || strcmp(text, ADDRESS_TEXT(&range->first)) == 0)
        return error;
    return keep_text(targets, text, index, false);
}

int report_targets_add(struct report_targets *targets, const char *text, char *message, size_t size_bytes)
{
    struct probe_range range;
    char why[WHY_BYTES] = "";
    int error = report_target_parse(&range, text, targets->family, targets->scope, why, sizeof(why));

    if (error == 0 || error == -ENOENT) {
        error = error ? add_name(targets, text) : add_range(targets, text, &range);
        if (error == -E2BIG)
            snprintf(why, sizeof(why),
                     ": too many: at most %" PRIu32 " addresses (an IPv4 /8, an IPv6 /104) at once, and 2^32 "
                     "targets in all",
                     PROBE_TARGETS_RANGE_MAX);
    }
    if (error == -ENOMEM)
        snprintf(message, size_bytes, "out of memory after %" PRIu32 " targets", targets->list.count);
    else if (error)
        snprintf(message, size_bytes, "'%s'%s", SHOWN(text), why);
    targets->good += !error;
    return error;
}

PRINTF_LIKE(2, 3) static void note_bad(struct report_bad *bad, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;

    if (bad->count < REPORT_BAD_LINES) {
        va_start(arguments, format);
        vsnprintf(line, sizeof(line), format, arguments);
        va_end(arguments);
        bad->lines[bad->count] = strdup(line); /* NULL: one line less for people */
    }
    bad->count++;
}

static bool is_bad(int error)
{
    return error == -EINVAL || error == -ENODEV || error == -E2BIG;
}

int report_targets_take(struct report_targets *targets, const char *text, char *message, size_t size_bytes)
{
    int error = report_targets_add(targets, text, message, size_bytes);

    if (!is_bad(error))
        return error;
    note_bad(&targets->bad, "%s", message);
    return 0;
}

static int take_word(void *context, const struct report_word *word, char *message, size_t size_bytes)
{
    struct report_targets *targets = context;
    int error = report_targets_add(targets, word->text, message, size_bytes);

    if (!is_bad(error))
        return error;
    note_bad(&targets->bad, "%s:%u: %s", word->file, word->line, message);
    return 0;
}

int report_targets_read(struct report_targets *targets, const char *path, char *message, size_t size_bytes)
{
    return report_words_read(path, take_word, targets, message, size_bytes);
}

static int exclude(struct report_targets *targets, const char *text, char *message, size_t size_bytes)
{
    struct probe_range range;
    char why[WHY_BYTES] = "expected an address, a prefix or a range";
    int error = probe_range_parse_on(&range, text, targets->scope, why, sizeof(why));

    if (!error)
        error = probe_range_set_add(&targets->excluded, &range);
    if (error == -ENOMEM)
        snprintf(message, size_bytes, "out of memory");
    else if (error)
        snprintf(message, size_bytes, "'%s': %s", SHOWN(text), why);
    return error == -ENOENT ? -EINVAL : error;
}

static int exclude_word(void *context, const struct report_word *word, char *message, size_t size_bytes)
{
    return exclude(context, word->text, message, size_bytes);
}

int report_targets_exclude(struct report_targets *targets, const char *list, char *message, size_t size_bytes)
{
    char word[2 * ADDRESS_TEXT_SIZE];
    int error = 0;

    for (const char *p = list; *list && !error; p++) {
        size_t length = strcspn(p, ",");

        snprintf(word, sizeof(word), "%.*s", (int)min_u64(length, sizeof(word)), p);
        error = exclude(targets, word, message, size_bytes);
        p += length;
        if (*p == '\0')
            break;
    }
    probe_range_set_sort(&targets->excluded);
    targets->list.excluded = &targets->excluded;
    return error;
}

int report_targets_exclude_file(struct report_targets *targets, const char *path, char *message,
                                size_t size_bytes)
{
    int error = report_words_read(path, exclude_word, targets, message, size_bytes);

    probe_range_set_sort(&targets->excluded);
    targets->list.excluded = &targets->excluded;
    return error;
}

static int compare_text(const void *key, const void *element)
{
    uint32_t index = *(const uint32_t *)key;
    const struct report_text *text = element;

    return (index > text->index) - (index < text->index);
}

const struct report_text *report_targets_text(const struct report_targets *targets, uint32_t index)
{
    return targets->text_count == 0
               ? NULL
               : bsearch(&index, targets->texts, targets->text_count, sizeof(*targets->texts), compare_text);
}

void report_targets_clear(struct report_targets *targets)
{
    for (uint32_t i = 0; i < targets->text_count; i++)
        free(targets->texts[i].text);
    free(targets->texts);
    for (size_t i = 0; i < REPORT_BAD_LINES; i++)
        free(targets->bad.lines[i]);
    probe_targets_clear(&targets->list);
    probe_range_set_clear(&targets->excluded);
    *targets = (struct report_targets){0};
}
