/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser: what may follow what.
 *
 *     section = { KEY '=' value | NAME '{' section '}' | 'access' NAME '{' section '}' }
 *     value   = WORD | '{' [ WORD { ',' WORD } [ ',' ] ] '}'
 *
 * Which keys and sections there are, and which values are lists, says the table of keys. A value goes into its member
 * as soon as it has been read, so errors come in the order of the file.
 */
#include "route/config/parse.h"

#define ACCESS_MAX 1000

static struct config_token *peek(const struct config_reader *reader)
{
    return &reader->text.tokens[reader->text.at];
}

/* Takes the next token if it is this sign. */
static bool take_sign(struct config_reader *reader, const char *sign)
{
    bool is = config_token_is(peek(reader), sign);

    reader->text.at += is;
    return is;
}

static int unexpected(struct config_reader *reader)
{
    const struct config_token *token = peek(reader);

    if (token->kind == CONFIG_TOKEN_END)
        return config_fail(reader, token->line, "premature end of file, expected KEY = VALUE or a section");
    return config_fail(reader, token->line, "unexpected '%.60s', expected KEY = VALUE or a section",
                       token->text);
}

/* --- names --------------------------------------------------------------------------------------------- */

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

/* The section of this name inside another one; CONFIG_TOP: there is none. */
static int subsection(int section, const char *name)
{
    for (int i = 0; i < CONFIG_SECTIONS; i++) {
        int parent = i == CONFIG_FIELDS ? CONFIG_SESSION : CONFIG_TOP;

        if (i != CONFIG_TOP && parent == section && strcmp(config_sections[i].name, name) == 0)
            return i;
    }
    return CONFIG_TOP;
}

static void consider(const char *name, const char *key, unsigned *least, const char **nearest)
{
    unsigned d = distance(key, name);

    if (d < *least && d < strlen(key)) {
        *least = d;
        *nearest = name;
    }
}

/* The key or section of this section that differs least; NULL: none is like it. */
static const char *nearest_name(int section, const char *key)
{
    const struct config_section *all = &config_sections[section];
    const char *nearest = NULL;
    unsigned least = 3;

    for (size_t i = 0; i < all->key_count; i++)
        consider(all->keys[i].name, key, &least, &nearest);
    for (int i = 0; i < CONFIG_SECTIONS; i++)
        if (subsection(section, config_sections[i].name) == i && i != CONFIG_TOP)
            consider(config_sections[i].name, key, &least, &nearest);
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

static int unknown_key(struct config_reader *reader, int section, const struct config_token *token)
{
    const char *key = token->text, *nearest = nearest_name(section, key), *home = home_of_key(key);
    char where[80] = "at the top level", expected[96] = "one that reroute.conf(5) lists";

    if (section != CONFIG_TOP)
        snprintf(where, sizeof(where), "in section '%s'", config_sections[section].name);
    if (home && *home)
        snprintf(expected, sizeof(expected), "it in section '%s'", home);
    else if (home)
        snprintf(expected, sizeof(expected), "it at the top level");
    else if (nearest)
        snprintf(expected, sizeof(expected), "perhaps '%s'", nearest);
    return config_fail(reader, token->line, "unknown key '%.60s' %s, expected %s", key, where, expected);
}

/* Notes what a word is, within the section of token `parent`; it must be there once. */
static int note(struct config_reader *reader, enum config_token_kind kind, int parent, int at)
{
    struct config_token *token = &reader->text.tokens[at];
    int first = config_text_find(&reader->text, kind, parent, token->text, 0);

    token->kind = kind;
    token->section = parent;
    if (first < 0)
        return 0;
    return config_fail(reader, token->line, "%s '%s' is given again, expected it once (first on line %d)",
                       kind == CONFIG_TOKEN_KEY ? "key" : "section", token->text,
                       reader->text.tokens[first].line);
}

/* --- values -------------------------------------------------------------------------------------------- */

static int store(struct config_reader *reader, int line, const struct config_key *key, const char *text,
                 void *member)
{
    char why[256];

    if (!key->type->parse(key, text, member, why, sizeof(why)))
        return 0;
    return config_fail(reader, line, "%s = \"%.60s\": %s", key->name, text, why);
}

static int store_defaults(struct config_reader *reader, int section, void *base)
{
    const struct config_section *all = &config_sections[section];
    int rc = 0;

    for (size_t i = 0; !rc && i < all->key_count; i++)
        if (all->keys[i].value)
            rc = store(reader, 1, &all->keys[i], all->keys[i].value, (char *)base + all->keys[i].offset);
    return rc;
}

static int parse_word(struct config_reader *reader, const struct config_key *key, void *member)
{
    struct config_token *token = peek(reader);

    if (token->kind != CONFIG_TOKEN_WORD)
        return unexpected(reader);
    token->kind = CONFIG_TOKEN_VALUE;
    reader->text.at++;
    return store(reader, token->line, key, token->text, member);
}

/* A list's member is a pointer to addresses; the count follows it. */
static int parse_element(struct config_reader *reader, const struct config_key *key, void *member)
{
    struct address **list = member;
    size_t *count = (size_t *)(list + 1);
    struct address *longer = realloc(*list, (*count + 1) * sizeof(*longer));
    int rc;

    if (!longer)
        return -ENOMEM;
    *list = longer;
    rc = parse_word(reader, key, &longer[*count]);
    *count += !rc;
    return rc;
}

static int parse_list(struct config_reader *reader, const struct config_key *key, void *member)
{
    int rc = 0;

    if (!take_sign(reader, "{"))
        return parse_element(reader, key, member);
    while (!rc && !take_sign(reader, "}")) {
        rc = parse_element(reader, key, member);
        if (!rc && !take_sign(reader, ",") && !config_token_is(peek(reader), "}"))
            return unexpected(reader);
    }
    return rc;
}

/* What follows the name of a key, whose token is `at`. */
static int parse_key(struct config_reader *reader, const struct config_key *key, int parent, int at,
                     void *base)
{
    void *member = (char *)base + key->offset;
    int rc;

    if (!take_sign(reader, "="))
        return config_fail(reader, reader->text.tokens[at].line, "no '=' after '%s', expected KEY = VALUE",
                           key->name);
    rc = note(reader, CONFIG_TOKEN_KEY, parent, at);
    if (rc)
        return rc;
    return key->type->list ? parse_list(reader, key, member) : parse_word(reader, key, member);
}

/* --- sections ------------------------------------------------------------------------------------------ */

static int parse_section(struct config_reader *reader, int section, int parent, void *base);

static int no_brace(struct config_reader *reader, int section, int at)
{
    return config_fail(reader, reader->text.tokens[at].line, "no '{' after '%s', expected '{' and its keys",
                       config_sections[section].name);
}

/* 0, with the new access at the end of the list, or why this may not be the name of one. */
static int add_access(struct config_reader *reader, struct config *config, const struct config_token *title)
{
    struct config_access *accesses;

    if (config->access_count == ACCESS_MAX)
        return config_fail(reader, title->line, "more than %d accesses, expected fewer", ACCESS_MAX);
    for (size_t i = 0; i < config->access_count; i++)
        if (strcmp(config->accesses[i].name, title->text) == 0)
            return config_fail(reader, title->line,
                               "a second access is named '%.60s', expected different names", title->text);
    if (!config_name_ok(title->text))
        return config_fail(
            reader, title->line,
            "access \"%.60s\": expected a name of 1 to %d letters, digits, '.', '_', ':' or '-'", title->text,
            CONFIG_NAME_SIZE - 1);
    accesses = realloc(config->accesses, (config->access_count + 1) * sizeof(*accesses));
    if (!accesses)
        return -ENOMEM;
    config->accesses = accesses;
    accesses[config->access_count] = (struct config_access){0};
    snprintf(accesses[config->access_count].name, CONFIG_NAME_SIZE, "%s", title->text);
    return store_defaults(reader, CONFIG_ACCESS, &accesses[config->access_count++]);
}

/* What follows "access", whose token is `at`. */
static int parse_access(struct config_reader *reader, struct config *config, int at)
{
    struct config_token *token = &reader->text.tokens[at];
    int rc;

    if (token[1].kind != CONFIG_TOKEN_WORD)
        return config_fail(reader, token->line, "'access' without a name, expected access \"NAME\" { ... }");
    reader->text.at++;
    if (!take_sign(reader, "{"))
        return no_brace(reader, CONFIG_ACCESS, at);
    token->kind = CONFIG_TOKEN_SECTION;
    rc = add_access(reader, config, &token[1]);
    return rc ? rc : parse_section(reader, CONFIG_ACCESS, at, &config->accesses[config->access_count - 1]);
}

/* What a word begins, in a section whose own token is `parent` and whose values go to `base`. */
static int parse_item(struct config_reader *reader, int section, int parent, void *base)
{
    int at = reader->text.at++, rc;
    const char *name = reader->text.tokens[at].text;
    const struct config_key *key = config_section_key(&config_sections[section], name);
    int sub = subsection(section, name);

    if (key)
        return parse_key(reader, key, parent, at, base);
    if (sub == CONFIG_TOP)
        return unknown_key(reader, section, &reader->text.tokens[at]);
    if (sub == CONFIG_ACCESS)
        return parse_access(reader, base, at);
    if (!take_sign(reader, "{"))
        return no_brace(reader, sub, at);
    rc = note(reader, CONFIG_TOKEN_SECTION, parent, at);
    return rc ? rc : parse_section(reader, sub, at, base);
}

/* Up to its '}', at the top level to the end. Every section but an access stores into struct config. */
static int parse_section(struct config_reader *reader, int section, int parent, void *base)
{
    int rc = 0;

    while (!rc && peek(reader)->kind == CONFIG_TOKEN_WORD)
        rc = parse_item(reader, section, parent, base);
    if (rc)
        return rc;
    if (parent < 0 ? peek(reader)->kind == CONFIG_TOKEN_END : take_sign(reader, "}"))
        return 0;
    return unexpected(reader);
}

int config_parse(struct config_reader *reader, struct config *config)
{
    int rc = 0;

    for (int i = 0; !rc && i < CONFIG_SECTIONS; i++)
        if (i != CONFIG_ACCESS)
            rc = store_defaults(reader, i, config);
    return rc ? rc : parse_section(reader, CONFIG_TOP, -1, config);
}
