/* SPDX-License-Identifier: Apache-2.0 */
#include "route/config/reader.h"

#include <stdarg.h>

int config_fail(struct config_reader *reader, int line, const char *format, ...)
{
    va_list arguments;
    char text[512];

    if (reader->failed)
        return -EINVAL;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    snprintf(reader->message, reader->message_bytes, "%s:%d: %s", reader->path, line > 0 ? line : 1, text);
    reader->failed = true;
    return -EINVAL;
}

int config_reader_section(const struct config_reader *reader, int section, int nth)
{
    const char *name = config_sections[section].name;
    int parent = -1;

    if (section == CONFIG_TOP)
        return -1;
    if (section == CONFIG_FIELDS)
        parent = config_reader_section(reader, CONFIG_SESSION, 0);
    if (section == CONFIG_FIELDS && parent < 0)
        return -1;
    return config_text_find(&reader->text, CONFIG_TOKEN_SECTION, parent, name, nth);
}

int config_reader_line(const struct config_reader *reader, int section, int nth, const char *key)
{
    int at = config_reader_section(reader, section, nth);

    if (at < 0 && section != CONFIG_TOP)
        return 0;
    return config_text_line(&reader->text, at, key, -1);
}
