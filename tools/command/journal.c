/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute journal`: the agent's journal for people, a line an event; on request for as long as it goes on.
 */
#include <sys/stat.h>

#include "probe/text.h"
#include "route/config/config.h"
#include "route/journal/journal.h"
#include "route/journal/story.h"
#include "route/log.h"
#include "tools/command/command.h"
#include "tools/options.h"

#define STATE_DIRECTORY_DEFAULT "/var/lib/reroute"
#define LOOK_NS                 (200 * NS_PER_MS) /* how often it is looked for new lines */

struct reader {
    struct story *story;
    bool json;
    uint64_t since_ns;     /* CLOCK_REALTIME: what was before is not printed */
    uint64_t line_ns;      /* of the line that is read */
    unsigned long lines;   /* that are a journal's */
    unsigned long damaged; /* that are none */
    char *message;
    size_t message_bytes;
};

/* --- a line --- */

static void say(void *context, const char *sentence)
{
    const struct reader *reader = context;
    char when[LOG_TIME_SIZE];

    if (!reader->json && reader->line_ns >= reader->since_ns)
        printf("%s  %s\n", log_time_local(reader->line_ns, when), TEXT(sentence));
}

/* 0, or a negative errno with one line in message, without the place. */
static int take_line(struct reader *reader, const char *text, size_t length)
{
    cJSON *line = cJSON_ParseWithLength(text, length);
    const char *time = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "time"));
    CLEANUP(free) char *again = NULL;
    int error = 0;

    reader->line_ns = time ? log_time_read(time) : 0;
    if (!reader->line_ns) {
        reader->damaged += length > 1;
        cJSON_Delete(line);
        return 0;
    }
    reader->lines++;
    error = story_line(reader->story, line, say, reader, reader->message, reader->message_bytes);
    if (reader->json && reader->line_ns >= reader->since_ns) {
        again = text_json(cJSON_PrintUnformatted(line));
        puts(again ? again : "{}");
    }
    cJSON_Delete(line);
    return error;
}

/* --- the files --- */

/*
 * Reads all whole lines that are there; at the end of a file to which is still written one that has no end yet stays
 * for later. As take_line(), with the place.
 */
static int read_lines(struct reader *reader, FILE *file, const char *path, bool goes_on)
{
    CLEANUP(free) char *text = NULL;
    size_t room = 0;
    ssize_t length;
    int error = 0;

    while (!error && (length = text_read_line(file, &text, &room, JOURNAL_MAX_BYTES)) > 0) {
        if (goes_on && text[length - 1] != '\n') {
            fseeko(file, -(off_t)length, SEEK_CUR);
            break;
        }
        error = take_line(reader, text, (size_t)length);
    }
    clearerr(file);
    if (!error && length == -EFBIG)
        snprintf(reader->message, reader->message_bytes,
                 "a line of more than %" PRIu64 " bytes, not of a journal", JOURNAL_MAX_BYTES);
    else if (!error && length < 0)
        snprintf(reader->message, reader->message_bytes, "%s", strerror((int)-length));
    if (!error && length < 0)
        error = length == -EFBIG ? -EPROTO : (int)length;
    if (error) {
        CLEANUP(free) char *why = strdup(reader->message);

        snprintf(reader->message, reader->message_bytes, "%s: %s", path, why ? why : "");
    }
    return error;
}

/* 0, or a negative errno with one line in message. */
static int open_journal(struct reader *reader, const char *path, FILE **file)
{
    *file = fopen(path, "re");
    if (*file)
        return 0;
    snprintf(reader->message, reader->message_bytes, "%s: %s", path, strerror(errno));
    return -errno;
}

/* The older file of a pair; there is not always one. */
static int read_older(struct reader *reader, const char *path)
{
    CLEANUP(free) char *older = NULL;
    FILE *file;
    int error;

    if (asprintf(&older, "%s.1", path) < 0)
        return -ENOMEM;
    error = open_journal(reader, older, &file);
    if (error)
        return error == -ENOENT ? 0 : error;
    error = read_lines(reader, file, older, false);
    fclose(file);
    return error;
}

/* Does the name stand for another file by now, or is this one shorter than what was read of it? */
static bool has_gone(FILE *file, const char *path)
{
    struct stat held, named;

    return stat(path, &named) == 0 && fstat(fileno(file), &held) == 0 &&
           (named.st_ino != held.st_ino || named.st_dev != held.st_dev || held.st_size < ftello(file));
}

/* Reads on for ever, also in the next file. Ends with an error, or when nobody reads what is printed. */
static int follow(struct reader *reader, FILE **file, const char *path)
{
    int error = 0;

    while (!error && fflush(stdout) == 0) {
        bool gone = has_gone(*file, path);

        error = read_lines(reader, *file, path, !gone); /* to its end, before it is left */
        if (error || !gone) {
            nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
            continue;
        }
        fclose(*file);
        error = open_journal(reader, path, file);
    }
    return error;
}

static int read_journal(struct reader *reader, const char *path, bool go_on)
{
    FILE *file;
    int error = open_journal(reader, path, &file);

    if (error)
        return error;
    error = read_older(reader, path);
    if (!error)
        error = read_lines(reader, file, path, go_on);
    if (!error && reader->lines == 0 && (reader->damaged || !go_on)) {
        snprintf(reader->message, reader->message_bytes, "%s: no line of a journal in it", path);
        error = -EPROTO;
    }
    if (!error && go_on)
        error = follow(reader, &file, path);
    if (file)
        fclose(file);
    return error;
}

/* --- the command --- */

/* Where the configuration has the journal, or where it is by default. 0, or -EINVAL with one line in message. */
static int find_journal(const char *config_path, char **path, char *message, size_t size_bytes)
{
    CLEANUP(config_free) struct config *config = NULL;
    const char *file = config_path ? config_path : CONFIG_PATH_DEFAULT;
    char directory[CONFIG_TEXT_SIZE] = STATE_DIRECTORY_DEFAULT;
    int error = config_load(&config, file, message, size_bytes);

    if (error < 0 && error != -EINVAL && (config_path || error != -ENOENT))
        return error;
    if (config)
        snprintf(directory, sizeof(directory), "%s", config->state_directory);
    else if (error == -EINVAL) {
        config_find_path(file, "state-directory", directory);
        text_error("warning: %s", message);
        text_error("warning: an agent that runs goes on with what it read before: the journal in %s is read",
                   directory);
    }
    if (asprintf(path, "%s/" JOURNAL_FILE, directory) < 0)
        *path = NULL;
    return 0;
}

static int run(const char *program, struct reader *reader, const char *path, bool go_on)
{
    char message[512] = "out of memory";
    int error = -ENOMEM;

    reader->story = story_new();
    reader->message = message;
    reader->message_bytes = sizeof(message);
    if (reader->story && path)
        error = read_journal(reader, path, go_on);
    story_free(reader->story);
    fflush(stdout);
    if (error)
        text_error("%s: %s", program, message);
    else if (reader->damaged)
        text_error("%s: %s: %lu line%s could not be read", program, path, reader->damaged,
                   reader->damaged == 1 ? "" : "s");
    return error == -EPROTO ? EXIT_USAGE : error ? EXIT_SYSTEM : 0;
}

int command_journal(int argc, char **argv)
{
    const char *config_path = NULL;
    CLEANUP(free) char *path = NULL;
    struct reader reader = {0};
    uint64_t since_ns = NEVER_NS, now_ns = clock_now_ns(CLOCK_REALTIME);
    bool go_on = false;
    char message[512];
    const struct option_row rows[] = {
        {.name = "since",
         .argument = "TIME",
         .help = "only what happened in the last TIME, such as 30m or 24h",
         .time_ns = &since_ns,
         .least = NS_PER_S,
         .most = 3650 * 24 * 3600 * NS_PER_S},
        {'f', "follow", .help = "go on with what happens, until interrupted", .flag = &go_on},
        {.name = "json", .help = "print the lines as they are, schema " JOURNAL_SCHEMA, .flag = &reader.json},
        OPTION_CONFIG(&config_path),
        {0},
    };
    const struct command_line line = {
        .about =
            "What happened on this host, by the journal of its agent: a line an event, in local time.\n"
            "JOURNAL is journal.jsonl in the state directory that the configuration names. The older file\n"
            "of the pair, JOURNAL.1, is read too.\n",
        .operands = "[JOURNAL]",
        .most = 1,
        .rows = rows,
        .after = "Exit code: 0 done, 3 bad arguments, or the file is no journal, 4 system error.\n",
    };
    int at = options_parse(&line, argc, argv);

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    if (at < argc) {
        path = strdup(argv[at]);
    } else if (find_journal(config_path, &path, message, sizeof(message)) < 0) {
        text_error("%s: %s", argv[0], message);
        return EXIT_USAGE;
    }
    reader.since_ns = sub_sat_u64(now_ns, since_ns);
    return run(argv[0], &reader, path, go_on);
}
