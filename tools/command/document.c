/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/document.h"

const cJSON *document_get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

const char *document_text_in(const cJSON *object, const char *name, char buffer[static TEXT_SIZE])
{
    const cJSON *item = document_get(object, name);

    return cJSON_IsString(item) ? text_clean(item->valuestring, buffer, TEXT_SIZE) : "-";
}

void document_print_terms(FILE *out, const cJSON *object, const char *until, const char *because)
{
    if (document_is_text(object, until))
        fprintf(out, " until %s", document_text(object, until));
    if (document_is_text(object, because))
        fprintf(out, ", because: %s", document_text(object, because));
}

bool document_is(const cJSON *object, const char *name, const char *text)
{
    const cJSON *item = document_get(object, name);

    return cJSON_IsString(item) && strcmp(item->valuestring, text) == 0;
}

bool document_is_text(const cJSON *object, const char *name)
{
    return cJSON_IsString(document_get(object, name));
}

bool document_is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(document_get(object, name));
}

bool document_is_number(const cJSON *object, const char *name)
{
    return cJSON_IsNumber(document_get(object, name));
}

const char *document_number(const cJSON *object, const char *name, const char *format, char buffer[static 32])
{
    const cJSON *item = document_get(object, name);

    if (!cJSON_IsNumber(item))
        return "-";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(buffer, 32, format, item->valuedouble);
#pragma GCC diagnostic pop
    return buffer;
}
