/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The language of profiles: "NAME,word=value,word=value:value". Text to data and nothing else.
 *
 * Every word is one row of a table: how it is read, how it is typed, what it does; the help is printed from
 * the same rows. The named profiles are written in the language too. What a word cannot do alone (reordering
 * without a delay) is an error, not silently nothing.
 */
#include <math.h>
#include <stdarg.h>

#include "bench/responder/profile.h"

#include "route/config/config.h"

#define DELAY_MAX_NS   (3600 * NS_PER_S)
#define MTU_MIN_BYTES  68 /* RFC 791 */
#define MTU_MAX_BYTES  65535
#define NORMAL_P99     2.3263478740408408 /* standard deviations above the mean */
#define TEXT_SIZE      256
#define VALUES_MAX     4
#define TRUNCATE_BYTES 16 /* less than a prober's own state */

static const struct {
    const char *name;
    const char *text;
    const char *what;
} names[] = {
    {"perfect", "", "every request is answered at once"},
    {"lan", "delay=lognormal:150us:500us", "a healthy storage network"},
    {"nested", "delay=lognormal:2.2ms:5ms,spike=300ms:10s,loss=1%",
     "a slow nested cluster: 1-5 ms, spikes of 300 ms"},
    {"wan", "delay=lognormal:30ms:60ms,spike=100ms:30s,loss=0.2%,reorder=0.1%,duplicate=0.02%",
     "another continent's data centre"},
    {"lossy", "delay=normal:1ms:0.2ms,loss=3%,burst=0.5%:25%", "5 % loss, 2 % of it in bursts"},
};

const char *responder_profile_name(size_t nth, const char **text)
{
    if (nth >= ARRAY_SIZE(names))
        return NULL;
    *text = names[nth].text;
    return names[nth].name;
}

/* --- values ----------------------------------------------------------------------------------------------*/

/* A word being read; the values are what stands between its colons. */
struct word {
    const char *name;
    char *values[VALUES_MAX];
    size_t count;
    char *message;
    size_t size_bytes;
};

static int PRINTF_LIKE(2, 3) bad(const struct word *word, const char *format, ...)
{
    int length = snprintf(word->message, word->size_bytes, "'%s': ", word->name);
    va_list arguments;

    va_start(arguments, format);
    if (length >= 0 && (size_t)length < word->size_bytes)
        vsnprintf(word->message + length, word->size_bytes - (size_t)length, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* Digits with at most one point, then what follows; no sign, no exponent, no "nan". */
static int parse_decimal(const char *text, double *out, const char **end)
{
    size_t whole = strspn(text, "0123456789"), fraction = 0;

    if (text[whole] == '.')
        fraction = 1 + strspn(text + whole + 1, "0123456789");
    if (whole + fraction == 0 || whole + fraction > 20 || (whole == 0 && fraction == 1))
        return -EINVAL;
    *out = strtod(text, NULL);
    *end = text + whole + fraction;
    return 0;
}

static int take_share(const struct word *word, size_t nth, double *out)
{
    const char *end = NULL;
    double share = 0;

    if (parse_decimal(word->values[nth], &share, &end) == 0) {
        if (strcmp(end, "%") == 0)
            share /= 100, end++;
        if (*end == '\0' && share <= 1) {
            *out = share;
            return 0;
        }
    }
    return bad(word, "'%s' is no share; expected 0 to 1, or 0%% to 100%%", word->values[nth]);
}

static int take_time(const struct word *word, size_t nth, uint64_t *out_ns)
{
    if (config_parse_duration(word->values[nth], out_ns) < 0 || *out_ns > DELAY_MAX_NS)
        return bad(word, "'%s' is no time; expected up to an hour with a unit, such as 200us, 1.5ms or 2s",
                   word->values[nth]);
    return 0;
}

static int take_number(const struct word *word, size_t nth, uint32_t min, uint32_t max, uint32_t *out)
{
    const char *text = word->values[nth];
    uint64_t number = strspn(text, "0123456789") < 10 ? strtoull(text, NULL, 10) : UINT64_MAX;

    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0' || number < min || number > max)
        return bad(word, "'%s' is no number from %u to %u", text, min, max);
    *out = (uint32_t)number;
    return 0;
}

/* One of the choices (NULL at the end). */
static int take_choice(const struct word *word, size_t nth, const char *const choices[], unsigned *out)
{
    char list[TEXT_SIZE] = "";

    for (unsigned i = 0; choices[i]; i++) {
        if (strcmp(word->values[nth], choices[i]) == 0) {
            *out = i;
            return 0;
        }
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "", choices[i]);
    }
    return bad(word, "'%s' is not known here; expected one of %s", word->values[nth], list);
}

/* --- words -----------------------------------------------------------------------------------------------*/

static int read_delay(const struct word *word, struct responder_profile *profile)
{
    uint64_t middle_ns = 0, second_ns = 0;
    unsigned which = 0;
    int r;

    if (word->count == 1) {
        r = take_time(word, 0, &middle_ns);
    } else {
        static const char *const choices[] = {"normal", "lognormal", NULL};

        r = take_choice(word, 0, choices, &which);
        if (r == 0 && word->count != 3)
            r = bad(word, "%s needs two times", word->values[0]);
        if (r == 0)
            r = take_time(word, 1, &middle_ns);
        if (r == 0)
            r = take_time(word, 2, &second_ns);
        which++;
    }
    if (r)
        return r;
    profile->distribution = (enum responder_distribution)which;
    profile->delay_ns = (double)middle_ns;
    profile->spread = (double)second_ns;
    if (profile->distribution == RESPONDER_LOGNORMAL) {
        if (middle_ns == 0 || second_ns <= middle_ns)
            return bad(word, "the median has to be above 0, and the 99th percentile above the median");
        profile->spread = log((double)second_ns / (double)middle_ns) / NORMAL_P99;
    }
    return 0;
}

static int read_spike(const struct word *word, struct responder_profile *profile)
{
    int r = take_time(word, 0, &profile->spike_ns);

    if (r == 0)
        r = take_time(word, 1, &profile->spike_every_ns);
    if (r == 0 && profile->spike_ns >= profile->spike_every_ns && profile->spike_ns)
        r = bad(word, "the height %s has to be less than the mean time between two, %s", word->values[0],
                word->values[1]);
    return r;
}

static int read_late(const struct word *word, struct responder_profile *profile)
{
    int r = take_share(word, 0, &profile->late);

    return r ? r : take_time(word, 1, &profile->late_ns);
}

static int read_reorder(const struct word *word, struct responder_profile *profile)
{
    return take_share(word, 0, &profile->reorder);
}

static int read_dead(const struct word *word, struct responder_profile *profile)
{
    profile->dead = 1;
    return word->count ? take_share(word, 0, &profile->dead) : 0;
}

static int read_loss(const struct word *word, struct responder_profile *profile)
{
    return take_share(word, 0, &profile->loss);
}

static int read_burst(const struct word *word, struct responder_profile *profile)
{
    double *const shares[] = {&profile->burst_enter, &profile->burst_leave, &profile->burst_bad,
                              &profile->burst_good};
    int r = 0;

    profile->burst_bad = 1;
    profile->burst_good = 0;
    for (size_t i = 0; r == 0 && i < word->count; i++)
        r = take_share(word, i, shares[i]);
    return r;
}

static int read_limit(const struct word *word, struct responder_profile *profile)
{
    return take_number(word, 0, 0, 1000000000, &profile->limit_per_s);
}

static int read_error(const struct word *word, struct responder_profile *profile)
{
    static const char *const choices[] = {"net", "host", "admin", "ttl", NULL};
    unsigned which = 0;
    int r = take_choice(word, 0, choices, &which);

    profile->error_kind = (enum responder_error)which;
    profile->error = 1;
    return r == 0 && word->count > 1 ? take_share(word, 1, &profile->error) : r;
}

static int read_quote(const struct word *word, struct responder_profile *profile)
{
    static const char *const choices[] = {"full", "8", NULL};
    unsigned which = 0;
    int r = take_choice(word, 0, choices, &which);

    profile->short_quote = which == 1;
    return r;
}

static int read_mtu(const struct word *word, struct responder_profile *profile)
{
    static const char *const choices[] = {"tell", "drop", NULL};
    unsigned which = 0;
    int r = take_number(word, 0, MTU_MIN_BYTES, MTU_MAX_BYTES, &profile->mtu_bytes);

    if (r == 0 && word->count > 1)
        r = take_choice(word, 1, choices, &which);
    profile->mtu_silent = which == 1;
    return r;
}

static int read_duplicate(const struct word *word, struct responder_profile *profile)
{
    return take_share(word, 0, &profile->duplicate);
}

static int read_corrupt(const struct word *word, struct responder_profile *profile)
{
    static const char *const choices[] = {"payload", "checksum", "token", NULL};
    unsigned which = 0;
    int r = take_share(word, 0, &profile->corrupt);

    if (r == 0 && word->count > 1)
        r = take_choice(word, 1, choices, &which);
    profile->corruption = (enum responder_corruption)(RESPONDER_CORRUPT_PAYLOAD + which);
    return r;
}

static int read_truncate(const struct word *word, struct responder_profile *profile)
{
    int r = take_share(word, 0, &profile->truncate);

    profile->truncate_bytes = TRUNCATE_BYTES;
    return r == 0 && word->count > 1 ? take_number(word, 1, 0, MTU_MAX_BYTES, &profile->truncate_bytes) : r;
}

static int read_wrong_source(const struct word *word, struct responder_profile *profile)
{
    return take_share(word, 0, &profile->wrong_source);
}

static const struct {
    const char *name;
    const char *values; /* as they are typed */
    size_t min, max;    /* how many */
    int (*read)(const struct word *word, struct responder_profile *profile);
    const char *what;
} words[] = {
    {"delay", "TIME", 1, 3, read_delay, "replies come this long after their request, always"},
    {"delay", "normal:MEAN:DEVIATION", 1, 3, read_delay, "... spread like a bell, never below 0"},
    {"delay", "lognormal:MEDIAN:P99", 1, 3, read_delay,
     "... with a long tail: 1 in 100 takes longer than P99"},
    {"spike", "HEIGHT:EVERY", 2, 2, read_spike,
     "an address stands still for HEIGHT, every EVERY on average, then answers all"},
    {"late", "SHARE:TIME", 2, 2, read_late, "so many replies come TIME after their request"},
    {"reorder", "SHARE", 1, 1, read_reorder, "so many replies skip the delay and overtake those before them"},
    {"loss", "SHARE", 1, 1, read_loss, "so many requests are lost, each by itself"},
    {"burst", "ENTER:LEAVE[:BAD[:GOOD]]", 2, 4, read_burst,
     "loss in bursts (Gilbert-Elliott), for each address: a request turns its line bad\n"
     "with chance ENTER, good again with LEAVE; loss is BAD (100%) and GOOD (0%) then"},
    {"dead", "[SHARE]", 0, 1, read_dead, "all addresses, or this share of them, never answer"},
    {"limit", "N", 1, 1, read_limit, "each address answers N times in a second at most (0: no limit)"},
    {"error", "KIND[:SHARE]", 1, 2, read_error,
     "an ICMP error instead of a reply; KIND: net, host, admin (unreachable), ttl"},
    {"quote", "full|8", 1, 1, read_quote, "how much of a request an ICMP error quotes (default: full)"},
    {"mtu", "BYTES[:tell|drop]", 1, 2, read_mtu,
     "bigger packets with don't-fragment get frag-needed (tell, default) or nothing"},
    {"duplicate", "SHARE", 1, 1, read_duplicate, "so many replies come twice"},
    {"corrupt", "SHARE[:payload|checksum|token]", 1, 2, read_corrupt,
     "so many replies have a wrong bit there (default: payload); the checksum is right\n"
     "again for payload and token, so that they get as far as the prober"},
    {"truncate", "SHARE[:BYTES]", 1, 2, read_truncate,
     "so many replies have only BYTES of payload (default: 16)"},
    {"wrong-source", "SHARE", 1, 1, read_wrong_source,
     "so many replies come from the address beside the right one"},
};

void responder_profile_help(FILE *out)
{
    fprintf(out, "A profile is a name, or words, or a name and words that change it, with commas between:\n"
                 "  nested    delay=1ms,loss=5%%    nested,loss=0.05,duplicate=0.1%%\n\nNames\n");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        fprintf(out, "  %-10s %s\n%-13s%s\n", names[i].name, names[i].what, "",
                names[i].text[0] ? names[i].text : "(no words)");
    fprintf(out,
            "\nWords (SHARE: 0 to 1, or 0%% to 100%%; TIME, HEIGHT, EVERY: with a unit, us, ms, s, m)\n");
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        const char *line = words[i].what, *end = strchr(line, '\n');
        char typed[TEXT_SIZE];

        snprintf(typed, sizeof(typed), "%s%s%s", words[i].name,
                 words[i].min ? "=" : "[=", words[i].min ? words[i].values : "SHARE]");
        fprintf(out, strlen(typed) < 28 ? "  %-28s" : "  %s\n%30s", typed, "");
        for (; end; line = end + 1, end = strchr(line, '\n'))
            fprintf(out, "%.*s\n%30s", (int)(end - line), line, "");
        fprintf(out, "%s\n", line);
    }
}

/* --- the whole -------------------------------------------------------------------------------------------*/

/* The row of a word's name; ARRAY_SIZE(words): there is none. */
static size_t find_word(const char *name)
{
    size_t i = 0;

    while (i < ARRAY_SIZE(words) && strcmp(words[i].name, name) != 0)
        i++;
    return i;
}

static int unknown(const struct word *word)
{
    char list[2 * TEXT_SIZE] = "";

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(word->name, names[i].name) == 0)
            return bad(word,
                       word->count ? "a name takes no value" : "a name comes first, it sets everything");
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (find_word(words[i].name) == i)
            snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", list[0] ? ", " : "",
                     words[i].name);
    return bad(word, "no such name or word; names are perfect, lan, nested, wan, lossy; words are %s", list);
}

/* Reads one word ("loss=5%"), which is taken apart. seen: which were there before. */
static int read_word(struct responder_profile *profile, char *text, uint32_t *seen, char *message,
                     size_t size_bytes)
{
    struct word word = {.name = text, .message = message, .size_bytes = size_bytes};
    char *rest = strchr(text, '=');
    size_t i;

    if (rest)
        *rest++ = '\0';
    while (rest && word.count < VALUES_MAX) {
        word.values[word.count++] = rest;
        rest = strchr(rest, ':');
        if (rest)
            *rest++ = '\0';
    }
    i = find_word(word.name);
    if (i == ARRAY_SIZE(words))
        return unknown(&word);
    if (*seen & UINT32_C(1) << i)
        return bad(&word, "given twice");
    *seen |= UINT32_C(1) << i;
    if (word.count < words[i].min || word.count > words[i].max || rest)
        return bad(&word, "expected %s=%s", word.name, words[i].values);
    return words[i].read(&word, profile);
}

/* What cannot be seen in one word alone. */
static int check(const struct responder_profile *profile, char *message, size_t size_bytes)
{
    struct word word = {.message = message, .size_bytes = size_bytes};

    word.name = "reorder";
    if (profile->reorder > 0 && profile->delay_ns <= 0)
        return bad(&word, "needs a delay, else there is nothing to overtake");
    word.name = "quote";
    if (profile->short_quote && profile->error <= 0 && (profile->mtu_bytes == 0 || profile->mtu_silent))
        return bad(&word, "needs 'error' or 'mtu', else nothing is quoted");
    return 0;
}

/* Reads words separated by commas on top of what the profile is. */
static int read_words(struct responder_profile *profile, char *text, char *message, size_t size_bytes)
{
    uint32_t seen = 0;
    int r = 0;

    while (r == 0 && text) {
        char *comma = strchr(text, ',');

        if (comma)
            *comma++ = '\0';
        r = read_word(profile, text, &seen, message, size_bytes);
        text = comma;
    }
    return r;
}

int responder_profile_parse(struct responder_profile *out, const char *text, char *message, size_t size_bytes)
{
    char copy[4 * TEXT_SIZE], named[TEXT_SIZE];
    char *rest = copy;
    size_t first = strcspn(text, ",");
    int r = 0;

    memset(out, 0, sizeof(*out));
    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy)) {
        snprintf(message, size_bytes, "a profile has at most %zu characters", sizeof(copy) - 1);
        return -EINVAL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strlen(names[i].name) != first || memcmp(names[i].name, text, first) != 0)
            continue;
        snprintf(named, sizeof(named), "%s", names[i].text);
        r = read_words(out, named[0] ? named : NULL, message, size_bytes);
        rest = copy[first] == ',' ? copy + first + 1 : NULL;
        break;
    }
    if (r == 0)
        r = read_words(out, rest, message, size_bytes);
    return r ? r : check(out, message, size_bytes);
}
