/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: from a file to plain data with every default filled in.
 *
 * Four steps, each in its own file and each ending at the first error: the text is read, cleaned and marked
 * with lines (text.c); libconfuse parses the grammar, with every value as a text (here); the texts
 * become values by the table of keys (keys.c, value.c); contradictions between values are found
 * (check.c). libconfuse is not asked for numbers because it reads 010 as 8, and not for lines of
 * values because it does not know them.
 *
 * An error is one line, "FILE:LINE: what is wrong, what was expected". Whatever happens the caller gets
 * either a whole configuration or none: a running agent keeps the one it has.
 *
 * Not done here: looking at the host. Whether the service address is local, or a token file readable, is
 * found by who opens them. libconfuse's parser has global state, so config_load() is for one thread.
 */
#include "route/config/config.h"

#include <confuse.h>
#include <stdarg.h>

#include "probe/text.h"
#include "route/config/check.h"

#define SECTION_KEYS_MAX 24
#define ACCESS_MAX       1000

/* libconfuse hands no context to its error function. Only set while it parses. */
static struct config_reader *parsing;

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
    if (section == CONFIG_TOP)
        return -1;
    if (section == CONFIG_FIELDS) {
        int session = config_text_section(&reader->text, -1, "session", 0);

        return session < 0 ? -1 : config_text_section(&reader->text, session, "fields", 0);
    }
    return config_text_section(&reader->text, -1, config_sections[section].name, nth);
}

int config_reader_line(const struct config_reader *reader, int section, int nth, const char *key)
{
    int mark = config_reader_section(reader, section, nth);

    if (mark < 0 && section != CONFIG_TOP)
        return 0;
    return config_text_line(&reader->text, mark, key, -1);
}

/* --- grammar: libconfuse ------------------------------------------------------------------------------- */

/* How many letters must be added, removed or changed to make b of a; both are short. */
static unsigned distance(const char *a, const char *b)
{
    size_t width = strlen(b);
    unsigned row[64];

    if (width >= ARRAY_SIZE(row))
        return UINT32_MAX;
    for (size_t j = 0; j <= width; j++)
        row[j] = (unsigned)j;
    for (; *a; a++) {
        unsigned diagonal = row[0]++;

        for (size_t j = 1; j <= width; j++) {
            unsigned best = diagonal + (*a != b[j - 1]);

            diagonal = row[j];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
        }
    }
    return row[width];
}

/* The key of this section that differs least; NULL: none is like it. */
static const char *nearest_key(const cfg_t *cfg, const char *key)
{
    const char *nearest = NULL;
    unsigned least = 3;

    for (const cfg_opt_t *opt = cfg->opts; opt->name; opt++) {
        unsigned d = distance(key, opt->name);

        if (d < least && d < strlen(key)) {
            least = d;
            nearest = opt->name;
        }
    }
    return nearest;
}

/* Where a key of just this name belongs; NULL: nowhere. */
static const char *home_of_key(const char *key)
{
    for (int i = 0; i < CONFIG_SECTIONS; i++)
        if (config_section_key(&config_sections[i], key))
            return config_sections[i].name;
    return NULL;
}

static void unknown_key(struct config_reader *reader, const cfg_t *cfg, const char *key)
{
    bool top = strcmp(cfg->name, "root") == 0;
    const char *nearest = nearest_key(cfg, key), *home = home_of_key(key);
    char where[80] = "at the top level";

    if (!top)
        snprintf(where, sizeof(where), "in section '%s'", cfg->name);
    if (home && *home)
        config_fail(reader, cfg->line, "unknown key '%s' %s, expected it in section '%s'", key, where, home);
    else if (home)
        config_fail(reader, cfg->line, "unknown key '%s' %s, expected it at the top level", key, where);
    else if (nearest)
        config_fail(reader, cfg->line, "unknown key '%.60s' %s, expected perhaps '%s'", key, where, nearest);
    else
        config_fail(reader, cfg->line, "unknown key '%.60s' %s, expected one that reroute.conf(5) lists", key,
                    where);
}

/* What libconfuse 3.3 says of what the text's own look has let through; at most one %s. */
static const struct {
    const char *theirs;
    const char *before, *after; /* ours, around the %s */
} grammar_errors[] = {
    {"missing equal sign after option '%s'", "no '=' after '", "', expected KEY = VALUE"},
    {"missing opening brace for section '%s'", "no '{' after '", "', expected '{' and its keys"},
    {"missing title for section '%s'", "'", "' without a name, expected access \"NAME\" { ... }"},
    {"found duplicate title '%s'", "a second access is named '", "', expected different names"},
    {"unexpected token '%s'", "unexpected '", "', expected KEY = VALUE or a section"},
};

static void grammar_error(cfg_t *cfg, const char *format, va_list arguments)
{
    const char *what = strstr(format, "%s") ? va_arg(arguments, const char *) : "";

    if (strcmp(format, "no such option '%s'") == 0) {
        unknown_key(parsing, cfg, what);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(grammar_errors); i++) {
        if (strcmp(format, grammar_errors[i].theirs) == 0)
            config_fail(parsing, cfg->line, "%s%.60s%s", grammar_errors[i].before, what,
                        grammar_errors[i].after);
    }
    config_fail(parsing, cfg->line, "%s, expected KEY = VALUE or a section", format);
}

/* One section as libconfuse wants it; every value is a text (or a list of them) without a default. */
static size_t add_options(cfg_opt_t *options, const struct config_section *section)
{
    for (size_t i = 0; i < section->key_count; i++)
        options[i] = (cfg_opt_t){.name = section->keys[i].name,
                                 .type = CFGT_STR,
                                 .flags = CFGF_NODEFAULT | (section->keys[i].type->list ? CFGF_LIST : 0)};
    return section->key_count;
}

static cfg_opt_t section_option(const char *name, cfg_opt_t *options, cfg_flag_t flags)
{
    return (cfg_opt_t){.name = name, .type = CFGT_SEC, .subopts = options, .flags = flags};
}

/* Parses the text. NULL: the error is in the reader, or there was no memory. */
static cfg_t *parse_grammar(struct config_reader *reader)
{
    cfg_opt_t options[CONFIG_SECTIONS][SECTION_KEYS_MAX] = {0};
    size_t count[CONFIG_SECTIONS];
    cfg_t *cfg = NULL;
    int rc = 0;

    for (int i = 0; i < CONFIG_SECTIONS; i++)
        count[i] = add_options(options[i], &config_sections[i]);
    options[CONFIG_SESSION][count[CONFIG_SESSION]] = section_option("fields", options[CONFIG_FIELDS], 0);
    for (int i = 0; i < CONFIG_SECTIONS; i++) {
        if (i != CONFIG_TOP && i != CONFIG_FIELDS)
            options[CONFIG_TOP][count[CONFIG_TOP]++] =
                section_option(config_sections[i].name, options[i],
                               i == CONFIG_ACCESS ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES : 0);
    }

    cfg = cfg_init(options[CONFIG_TOP], CFGF_NONE);
    if (!cfg)
        return NULL;
    cfg_set_error_function(cfg, grammar_error);
    parsing = reader;
    rc = cfg_parse_buf(cfg, reader->text.bytes);
    parsing = NULL;
    if (rc == CFG_SUCCESS)
        return cfg;
    cfg_free(cfg);
    return NULL;
}

/* Before libconfuse sees them: it compares each with all others. */
static int check_access_count(struct config_reader *reader)
{
    int mark = config_reader_section(reader, CONFIG_ACCESS, ACCESS_MAX);

    if (mark < 0)
        return 0;
    return config_fail(reader, reader->text.marks[mark].line, "more than %d accesses, expected fewer",
                       ACCESS_MAX);
}

static int check_repeated(struct config_reader *reader)
{
    int first = -1;
    int again = config_text_repeated(&reader->text, "access", &first);
    const struct config_mark *marks = reader->text.marks;

    if (again < 0)
        return 0;
    return config_fail(reader, marks[again].line,
                       "%s '%.*s' is given again, expected it once (first on line %d)",
                       marks[again].kind == CONFIG_MARK_KEY ? "key" : "section", (int)marks[again].name_bytes,
                       marks[again].name, marks[first].line);
}

/* --- values -------------------------------------------------------------------------------------------- */

static int parse_value(struct config_reader *reader, int line, const struct config_key *key, const char *text,
                       void *member)
{
    char why[256];

    if (!key->type->parse(key, text, member, why, sizeof(why)))
        return 0;
    return config_fail(reader, line, "%s = \"%.60s\": %s", key->name, text, why);
}

/* A list's member is a pointer to addresses; the count follows it. */
static int read_list(struct config_reader *reader, cfg_opt_t *option, const struct config_key *key, int mark,
                     void *member)
{
    struct address **list = member;
    size_t *count = (size_t *)(list + 1);
    unsigned size = cfg_opt_size(option);
    int rc = 0;

    if (size == 0)
        return 0;
    *list = calloc(size, sizeof(**list));
    if (!*list)
        return -ENOMEM;
    for (; !rc && *count < size; ++*count)
        rc = parse_value(reader, config_text_line(&reader->text, mark, key->name, (int)*count), key,
                         cfg_opt_getnstr(option, (unsigned)*count), &(*list)[*count]);
    return rc;
}

static int read_section(struct config_reader *reader, cfg_t *cfg, const struct config_section *section,
                        int mark, void *base)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        cfg_opt_t *option = cfg_getopt(cfg, key->name);
        void *member = (char *)base + key->offset;

        if (key->type->list)
            rc = read_list(reader, option, key, mark, member);
        else if (cfg_opt_size(option))
            rc = parse_value(reader, config_text_line(&reader->text, mark, key->name, -1), key,
                             cfg_opt_getnstr(option, 0), member);
        else if (key->value)
            rc = parse_value(reader, 1, key, key->value, member);
    }
    return rc;
}

static int read_accesses(struct config_reader *reader, cfg_t *cfg, struct config *config)
{
    unsigned count = cfg_size(cfg, "access");
    int mark = -1, rc = 0;

    config->accesses = calloc(count ? count : 1, sizeof(*config->accesses));
    if (!config->accesses)
        return -ENOMEM;
    for (unsigned i = 0; !rc && i < count; i++) {
        struct config_access *access = &config->accesses[config->access_count++];
        cfg_t *section = cfg_getnsec(cfg, "access", i);
        const char *name = cfg_title(section);

        mark = config_reader_section(reader, CONFIG_ACCESS, (int)i);
        if (!config_name_ok(name))
            return config_fail(
                reader, reader->text.marks[mark].line,
                "access \"%.60s\": expected a name of 1 to %d letters, digits, '.', '_', ':' or '-'", name,
                CONFIG_NAME_SIZE - 1);
        snprintf(access->name, sizeof(access->name), "%s", name);
        rc = read_section(reader, section, &config_sections[CONFIG_ACCESS], mark, access);
    }
    return rc;
}

static int read_values(struct config_reader *reader, cfg_t *cfg, struct config *config)
{
    cfg_t *session = cfg_getsec(cfg, "session");
    cfg_t *const sections[] = {
        [CONFIG_TOP] = cfg,
        [CONFIG_PROBE] = cfg_getsec(cfg, "probe"),
        [CONFIG_SESSION] = session,
        [CONFIG_FIELDS] = cfg_getsec(session, "fields"),
        [CONFIG_ROUTE] = cfg_getsec(cfg, "route"),
    };
    int rc = check_repeated(reader);

    for (int i = 0; !rc && i < (int)ARRAY_SIZE(sections); i++)
        rc = read_section(reader, sections[i], &config_sections[i], config_reader_section(reader, i, 0),
                          config);
    if (!rc)
        rc = read_accesses(reader, cfg, config);
    if (!rc && !config->host[0] && gethostname(config->host, sizeof(config->host) - 1))
        rc = -errno;
    return rc;
}

/* --- the whole ----------------------------------------------------------------------------------------- */

static int load(struct config_reader *reader, struct config *config)
{
    char why[256];
    int line = 0;
    int rc = config_text_read(&reader->text, reader->path, &line, why, sizeof(why));
    cfg_t *cfg = NULL;

    if (rc && line > 0)
        return config_fail(reader, line, "%s", why);
    if (!rc)
        rc = check_access_count(reader);
    if (rc)
        return rc;
    cfg = parse_grammar(reader);
    if (!cfg)
        return reader->failed ? -EINVAL : -ENOMEM;
    rc = read_values(reader, cfg, config);
    cfg_free(cfg);
    if (rc)
        return rc;
    config_settle(reader, config);
    return config_check(reader, config);
}

int config_load(struct config **out, const char *path, char *message, size_t size_bytes)
{
    struct config_reader reader = {.path = path, .message = message, .message_bytes = size_bytes};
    CLEANUP(config_free) struct config *config = calloc(1, sizeof(*config));
    CLEANUP(free) char *raw = NULL;
    int rc = config ? load(&reader, config) : -ENOMEM;

    config_text_clear(&reader.text);
    if (!rc) {
        *out = TAKE(config);
        return 0;
    }
    if (!reader.failed)
        snprintf(message, size_bytes, "%s: %s", path, strerror(-rc));
    raw = strdup(message); /* the path may hold anything */
    if (raw)
        text_clean(raw, message, size_bytes);
    return rc;
}

struct config *config_free(struct config *config)
{
    if (!config)
        return NULL;
    free(config->accesses);
    free(config->bootstrap);
    free(config->session.client_addresses);
    free(config);
    return NULL;
}
