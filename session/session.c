/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model: bytes in, sessions out; pure.
 *
 * What arrives here was written by a machine we do not control, through a proxy we do not know, so nothing is
 * taken for granted: cJSON checks the syntax and its own nesting limit (1000), we bound what a small body
 * can make of our memory (each value costs cJSON about 80 bytes, so 4 MiB of "0,0,0" would be 160 MiB), and
 * each field is used only when it is what it should be. One bad entry costs that entry, never the list.
 *
 * JSON Pointers are resolved here, in 30 lines: Debian ships libcjson without libcjson_utils, which has them.
 *
 * Deliberately not done: no look at the host (an address with a zone, "fe80::1%eth0", names an interface of
 * the machine that wrote it and is of no use here), no `num_ip` (it repeats `ip`), no repair of broken JSON.
 */
#include "session/session.h"

#include <cjson/cJSON.h>
#include <stdarg.h>

#define VALUES_MAX   65536 /* in a document; a session has some 15 */
#define SESSIONS_MAX 1024  /* in a list */

DEFINE_CLEANUP(cJSON *, cJSON_Delete)

static int __attribute__((format(printf, 4, 5)))
fail(int error, char *message, size_t size_bytes, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, size_bytes, format, arguments);
    va_end(arguments);
    /* Part of it may come from the wire: a log line stays one line. */
    for (char *p = message; size_bytes && *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    }
    return error;
}

/* Parses the whole body, or says why not. */
static int document_parse(const char *body, size_t size_bytes, cJSON **out, char *message,
                          size_t message_bytes)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    CLEANUP(free) char *text = NULL;
    const char *end = NULL;
    size_t values = 1;

    for (size_t i = 0; i < size_bytes; i++)
        values += body[i] == ',' || body[i] == '[' || body[i] == '{';
    if (values > VALUES_MAX)
        return fail(-EBADMSG, message, message_bytes, "more than %d values in %zu bytes", VALUES_MAX,
                    size_bytes);

    /* Terminated: cJSON before 1.7.18 reads one byte past what it is given (CVE-2023-53154). */
    text = malloc(size_bytes + 1);
    if (!text)
        return fail(-ENOMEM, message, message_bytes, "out of memory");
    memcpy(text, body, size_bytes);
    text[size_bytes] = '\0';
    document = cJSON_ParseWithLengthOpts(text, size_bytes + 1, &end, false);
    if (!document)
        return fail(-EBADMSG, message, message_bytes, "not JSON, or cut off (%zu bytes, \"%.*s\")",
                    size_bytes, (int)(size_bytes < 32 ? size_bytes : 32), body);
    for (; end < text + size_bytes; end++) {
        if (!strchr(" \t\r\n", *end) || *end == '\0')
            return fail(-EBADMSG, message, message_bytes, "something after the end of the JSON document");
    }
    *out = TAKE(document);
    return 0;
}

/* An error answer of the service: "ec" is there and is not "EOK". */
static int envelope_check(const cJSON *document, char *message, size_t message_bytes)
{
    const cJSON *ec = cJSON_GetObjectItemCaseSensitive(document, "ec");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(document, "error");
    const char *code = cJSON_GetStringValue(ec);
    const char *why = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "msg"));

    if (!ec || cJSON_IsNull(ec) || (code && strcmp(code, "EOK") == 0))
        return 0;
    return fail(-EREMOTEIO, message, message_bytes, "error answer %.64s%s%.128s", code ? code : "(ec)",
                why ? ": " : "", why ? why : "");
}

/* True when the `length` characters at token, with ~1 and ~0 decoded (RFC 6901, section 4), are `name`. */
static bool token_is(const char *token, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++) {
        char c = token[i];

        if (c == '~' && i + 1 < length && (token[i + 1] == '0' || token[i + 1] == '1'))
            c = token[++i] == '0' ? '~' : '/';
        if (*name++ != c || c == '\0')
            return false;
    }
    return *name == '\0';
}

/* An array index has no sign and no leading zero (RFC 6901, section 4). SIZE_MAX: it is none. */
static size_t token_index(const char *token, size_t length)
{
    size_t index = 0;

    if (length == 0 || length > 5 || (length > 1 && token[0] == '0'))
        return SIZE_MAX;
    for (size_t i = 0; i < length; i++) {
        if (token[i] < '0' || token[i] > '9')
            return SIZE_MAX;
        index = index * 10 + (size_t)(token[i] - '0');
    }
    return index;
}

/* The value a JSON Pointer (RFC 6901) names in `from`; NULL: none. */
static const cJSON *pointer_get(const cJSON *from, const char *pointer)
{
    while (from && *pointer == '/') {
        const char *token = pointer + 1;
        size_t length = strcspn(token, "/");
        size_t index = cJSON_IsArray(from) ? token_index(token, length) : 0;
        const cJSON *child = NULL;

        if (cJSON_IsArray(from) || cJSON_IsObject(from))
            child = from->child;
        if (cJSON_IsArray(from)) {
            for (; child && index; index--)
                child = child->next;
        } else {
            while (child && !token_is(token, length, child->string))
                child = child->next;
        }
        from = child;
        pointer = token + length;
    }
    return *pointer == '\0' ? from : NULL;
}

static const cJSON *list_find(const cJSON *document, const char *pointer)
{
    static const char *const usual[] = {"", "/data", "/data/sessions"};
    const cJSON *list;

    if (pointer) {
        list = pointer_get(document, pointer);
        return cJSON_IsArray(list) ? list : NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
        list = pointer_get(document, usual[i]);
        if (cJSON_IsArray(list))
            return list;
    }
    return NULL;
}

static const char *text_get(const cJSON *entry, const char *pointer, const char *usual)
{
    const char *text = cJSON_GetStringValue(pointer_get(entry, pointer ? pointer : usual));

    return text ? text : "";
}

/* A unicast address without a zone; anything else is no address. */
static struct address address_get(const cJSON *entry, const char *pointer, const char *usual)
{
    static const uint8_t zero[16];
    const char *text = text_get(entry, pointer, usual);
    struct address a = {0};

    if (strchr(text, '%') || address_parse(&a, text) < 0 ||
        memcmp(a.bytes, zero, sizeof(zero)) == 0 ||   /* unspecified: a way to write "none" */
        (a.family == AF_INET && a.bytes[0] >= 224) || /* multicast, reserved, broadcast */
        (a.family == AF_INET6 && a.bytes[0] == 0xff)) /* multicast */
        return (struct address){0};
    return a;
}

/* Seconds, as a number or as a string of digits; 2^32 of them (136 years) or more are nonsense. */
static bool seconds_get(const cJSON *entry, const char *pointer, const char *usual, uint64_t *out)
{
    const cJSON *value = pointer_get(entry, pointer ? pointer : usual);
    const char *text = cJSON_GetStringValue(value);
    double number = -1;

    if (cJSON_IsNumber(value)) {
        number = value->valuedouble;
    } else if (text && *text && strlen(text) <= 10 && text[strspn(text, "0123456789")] == '\0') {
        number = (double)strtoull(text, NULL, 10);
    }
    if (!(number >= 0 && number <= UINT32_MAX)) /* NaN is neither */
        return false;
    *out = (uint64_t)number;
    return true;
}

/* A uuid goes into URLs, logs and the status: visible ASCII only. */
static bool uuid_get(const char *text, char out[static SESSION_UUID_SIZE])
{
    size_t length = strlen(text);

    if (length == 0 || length >= SESSION_UUID_SIZE)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    }
    memcpy(out, text, length + 1);
    return true;
}

/* Any text without control characters; a zone that is none is like a missing one. */
static void zone_get(const char *text, char out[static SESSION_ZONE_SIZE])
{
    size_t length = strlen(text);
    bool good = length > 0 && length < SESSION_ZONE_SIZE;

    for (size_t i = 0; good && i < length; i++)
        good = (unsigned char)text[i] >= ' ' && text[i] != 0x7f;
    if (!good) {
        text = SESSION_ZONE_DEFAULT;
        length = strlen(text);
    }
    memcpy(out, text, length + 1);
}

static bool session_get(const cJSON *entry, const struct session_fields *fields, struct session *out)
{
    *out = (struct session){0};
    if (!uuid_get(text_get(entry, fields->uuid, "/uuid"), out->uuid))
        return false;
    out->data = address_get(entry, fields->data, "/ip");
    out->secondary = address_get(entry, fields->secondary, "/secondary_data_ip");
    if (!address_is_set(&out->data) && !address_is_set(&out->secondary))
        return false;
    out->host_data = address_get(entry, fields->host_data, "/scvm_mode_host_data_ip");
    zone_get(text_get(entry, fields->zone, "/zone"), out->zone);
    out->has_alive_sec = seconds_get(entry, fields->alive_sec, "/alive_sec", &out->alive_sec);
    return true;
}

int session_list_parse(const char *body, size_t size_bytes, const struct session_fields *fields,
                       struct session_list *out, size_t *skipped, char *message, size_t message_bytes)
{
    static const struct session_fields usual;
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    const cJSON *array, *entry;
    size_t count, left_out = 0;
    int r;

    *out = (struct session_list){0};
    if (skipped)
        *skipped = 0;
    if (!fields)
        fields = &usual;
    r = document_parse(body, size_bytes, &document, message, message_bytes);
    if (r < 0)
        return r;
    r = envelope_check(document, message, message_bytes);
    if (r < 0)
        return r;
    array = list_find(document, fields->list);
    if (!array)
        return fail(-EBADMSG, message, message_bytes, "no array of sessions at %s",
                    fields->list ? fields->list : "the top, /data or /data/sessions");
    count = (size_t)cJSON_GetArraySize(array);
    if (count > SESSIONS_MAX)
        return fail(-EBADMSG, message, message_bytes, "%zu sessions, more than %d", count, SESSIONS_MAX);
    if (count == 0)
        return 0;
    out->items = calloc(count, sizeof(*out->items));
    if (!out->items)
        return fail(-ENOMEM, message, message_bytes, "out of memory");
    cJSON_ArrayForEach(entry, array)
    {
        if (session_get(entry, fields, &out->items[out->count]))
            out->count++;
        else
            left_out++;
    }
    if (skipped)
        *skipped = left_out;
    return 0;
}

void session_list_clear(struct session_list *list)
{
    free(list->items);
    *list = (struct session_list){0};
}

int session_list_copy(struct session_list *copy, const struct session_list *list)
{
    *copy = (struct session_list){0};
    if (!list->count)
        return 0;
    copy->items = malloc(list->count * sizeof(*copy->items));
    if (!copy->items)
        return -ENOMEM;
    memcpy(copy->items, list->items, list->count * sizeof(*copy->items));
    copy->count = list->count;
    return 0;
}

int session_answer_check(const char *body, size_t size_bytes, char *message, size_t message_bytes)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    size_t blank = 0;
    int r;

    while (blank < size_bytes && body[blank] && strchr(" \t\r\n", body[blank]))
        blank++;
    if (blank == size_bytes)
        return 0;
    r = document_parse(body, size_bytes, &document, message, message_bytes);
    return r < 0 ? r : envelope_check(document, message, message_bytes);
}

static bool address_add(cJSON *entry, const char *name, const struct address *a)
{
    return !address_is_set(a) || cJSON_AddStringToObject(entry, name, ADDRESS_TEXT(a));
}

static bool session_add(cJSON *array, const struct session *s)
{
    cJSON *entry = cJSON_CreateObject();

    if (!entry || !cJSON_AddItemToArray(array, entry)) {
        cJSON_Delete(entry);
        return false;
    }
    return cJSON_AddStringToObject(entry, "uuid", s->uuid) && address_add(entry, "ip", &s->data) &&
           address_add(entry, "secondary_data_ip", &s->secondary) &&
           address_add(entry, "scvm_mode_host_data_ip", &s->host_data) &&
           cJSON_AddStringToObject(entry, "zone", s->zone) &&
           (!s->has_alive_sec || cJSON_AddNumberToObject(entry, "alive_sec", (double)s->alive_sec));
}

char *session_list_print(const struct session_list *list)
{
    CLEANUP(cJSON_Delete) cJSON *array = cJSON_CreateArray();

    if (!array)
        return NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (!session_add(array, &list->items[i]))
            return NULL;
    }
    return cJSON_Print(array);
}
