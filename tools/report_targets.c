/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report_targets.h"

#include "tools/report_words.h"

#include <ctype.h>

#define NAME_MAX_BYTES  253 /* RFC 1035, section 2.3.4, as text without the last dot */
#define LABEL_MAX_BYTES 63
#define WHY_BYTES       256

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

/* Letters, digits, '-' and '_' in labels of 1 to 63 (RFC 1123, section 2.1), a letter in the last one. */
static bool is_name(const char *text)
{
    size_t length = strlen(text), label = 0;
    bool has_letter = false;

    if (length > 1 && text[length - 1] == '.')
        length--;
    if (length == 0 || length > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
            has_letter = false;
            continue;
        }
        if (!isalnum((unsigned char)text[i]) && text[i] != '_' && (text[i] != '-' || label == 0))
            return false;
        if (isalpha((unsigned char)text[i]))
            has_letter = true;
        if (++label > LABEL_MAX_BYTES)
            return false;
    }
    return label > 0 && has_letter;
}

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
    char shown[64], why[WHY_BYTES];
    int error = probe_range_parse_on(&range, text, targets->scope, why, sizeof(why));

    if (error == -ENOENT && !is_name(text)) {
        snprintf(message, size_bytes, "'%s' is neither an address nor a name", printable(text, shown));
        return -EINVAL;
    }
    if (error && error != -ENOENT) {
        snprintf(message, size_bytes, "'%s': %s", printable(text, shown), why);
        return error;
    }
    if (!error && targets->family != AF_UNSPEC && range.first.family != targets->family) {
        snprintf(message, size_bytes, "'%s': expected %s, as -%c says", printable(text, shown),
                 targets->family == AF_INET ? "IPv4" : "IPv6", targets->family == AF_INET ? '4' : '6');
        return -EINVAL;
    }
    error = error ? add_name(targets, text) : add_range(targets, text, &range);
    if (error == -E2BIG)
        snprintf(message, size_bytes,
                 "'%s': too many: at most %" PRIu32 " addresses (an IPv4 /8, an IPv6 /104) at once, and 2^32 "
                 "targets in all",
                 printable(text, shown), PROBE_TARGETS_RANGE_MAX);
    else if (error)
        snprintf(message, size_bytes, "out of memory after %" PRIu32 " targets", targets->list.count);
    return error;
}

static int add_word(void *context, const char *word, char *message, size_t size_bytes)
{
    return report_targets_add(context, word, message, size_bytes);
}

int report_targets_read(struct report_targets *targets, const char *path, char *message, size_t size_bytes)
{
    return report_words_read(path, add_word, targets, message, size_bytes);
}

static int exclude_word(void *context, const char *word, char *message, size_t size_bytes)
{
    struct report_targets *targets = context;
    struct probe_range range;
    char shown[64], why[WHY_BYTES] = "expected an address, a prefix or a range";
    int error = probe_range_parse_on(&range, word, targets->scope, why, sizeof(why));

    if (!error)
        error = probe_range_set_add(&targets->excluded, &range);
    if (error == -ENOMEM)
        snprintf(message, size_bytes, "out of memory");
    else if (error)
        snprintf(message, size_bytes, "'%s': %s", printable(word, shown), why);
    return error == -ENOENT ? -EINVAL : error;
}

int report_targets_exclude(struct report_targets *targets, const char *list, char *message, size_t size_bytes)
{
    char word[2 * ADDRESS_TEXT_SIZE];
    int error = 0;

    for (const char *p = list; !error; p++) {
        size_t length = strcspn(p, ",");

        snprintf(word, sizeof(word), "%.*s", (int)min_u64(length, sizeof(word)), p);
        error = exclude_word(targets, word, message, size_bytes);
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
    probe_targets_clear(&targets->list);
    probe_range_set_clear(&targets->excluded);
    *targets = (struct report_targets){0};
}
