/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute replay`: what happened on a host, by its agent's journal, and what other settings would have done.
 */
#include "route/journal/replay.h"
#include "probe/text.h"

#include <cjson/cJSON.h>

#include "route/log.h"
#include "tools/command/command.h"
#include "tools/options.h"
#include "tools/replay_options.h"

#define CASES_MAX (REPLAY_HOLDS_MAX + 2)

/* A row of the comparison. */
struct replay_case {
    const char *what; /* "host", "again", "hold" */
    uint64_t hold_ns, damping_max_ns;
    bool without_sessions, without_witness;
    struct tally tally;
};

struct study {
    const char *path;
    struct history *history;
    struct host_evidence host; /* its settings, the last that it had */
    struct place {
        uint32_t access, tier;
    } * places; /* of each path, the last that was configured */
    uint64_t end_ns;
    long difference; /* the first switch that the replay made otherwise; -1: none */
    struct replay_case cases[CASES_MAX];
    size_t count;
};

static const char *path_text(const struct study *study, uint32_t path)
{
    return path == SELECTOR_NO_PATH ? "none" : study->history->paths[path];
}

static const char *access_text(const struct study *study, uint32_t path)
{
    if (path == SELECTOR_NO_PATH || study->places[path].access == SELECTOR_NO_ACCESS)
        return "foreign";
    return study->history->accesses[study->places[path].access];
}

static const char *time_text(const struct study *study, uint64_t at_ns, char buffer[static LOG_TIME_SIZE])
{
    return log_time_text(history_realtime_ns(study->history, at_ns), buffer);
}

static uint64_t begin_ns(const struct study *study)
{
    return study->history->event_count ? study->history->events[0].at_ns : 0;
}

/* --- text --- */

static void print_moves(const struct study *study, const struct tally *tally)
{
    char when[LOG_TIME_SIZE];

    printf("\n  %-24s  %-18s %-18s %-16s %-11s %s\n", "TIME", "FROM", "TO", "ACCESS", "TIER", "REASON");
    for (size_t i = 0; i < tally->move_count; i++) {
        const struct tally_move *m = &tally->moves[i];

        printf("  %-24s  %-18s %-18s %-16s %-11s %s%s\n", time_text(study, m->at_ns, when),
               TEXT(path_text(study, m->from)), TEXT(path_text(study, m->to)),
               TEXT(access_text(study, m->to)), selector_tier_text(study->places[m->to].tier),
               selector_reason_text(m->reason), m->needless ? ", needless" : "");
    }
    if (!tally->move_count)
        printf("  no switch\n");
}

static void print_case(const struct replay_case *c)
{
    char hold[24], damping[24];

    printf("  %-8s %8s %8s %8s %8s %9zu %9zu %10.1f %11.1f\n", c->what, replay_seconds_text(c->hold_ns, hold),
           replay_damping_text(c->damping_max_ns, damping), c->without_sessions ? "off" : "on",
           c->without_witness ? "off" : "on", c->tally.move_count, c->tally.needless,
           (double)c->tally.away_ns / NS_PER_S / 60, (double)c->tally.unserved_ns / NS_PER_S);
}

static void print_check(const struct study *study)
{
    const struct tally *host = &study->cases[0].tally;
    char when[LOG_TIME_SIZE];
    size_t at = (size_t)study->difference;

    if (study->difference < 0)
        printf("\nThe replay with the host's own settings makes the same %zu switches.\n", host->move_count);
    else
        printf(
            "\nThe replay with the host's own settings differs from what the host did, first at %s: "
            "what follows is of\nlimited worth.\n",
            time_text(study,
                      at < host->move_count ? host->moves[at].at_ns : study->cases[1].tally.moves[at].at_ns,
                      when));
}

static void print_text(const struct study *study)
{
    const struct history *h = study->history;
    char from[LOG_TIME_SIZE], to[LOG_TIME_SIZE];

    printf("journal   %s of host %s, service %s\n", TEXT(study->path), TEXT(h->host), TEXT(h->service));
    printf("covers    %s to %s, the agent ran for %.2f h of it, %u starts\n",
           time_text(study, begin_ns(study), from), time_text(study, study->end_ns, to),
           (double)study->cases[0].tally.watched_ns / NS_PER_S / 3600, h->starts);
    if (h->damaged)
        printf("damaged   %lu lines could not be read\n", h->damaged);
    print_moves(study, &study->cases[0].tally);
    print_check(study);
    printf("\n  %-8s %8s %8s %8s %8s %9s %9s %10s %11s\n", "", "HOLD", "DAMPING", "SESSIONS", "WITNESS",
           "SWITCHES", "NEEDLESS", "AWAY min", "UNSERVED s");
    for (size_t i = 0; i < study->count; i++)
        if (i != 1 || study->difference >= 0)
            print_case(&study->cases[i]);
    printf("\n%s", TALLY_DEFINITIONS);
    printf("A journal holds verdicts, not replies: it cannot tell what another select-timeout, "
           "select-count, rise or\ndegraded setting would have done. A failure of a path that was not in use "
           "was seen later than on the one\nin use, and loss is over the host's own hold.\n");
}

/* --- JSON --- */

static cJSON *moves_json(const struct study *study, const struct tally *tally)
{
    cJSON *list = cJSON_CreateArray();
    char when[LOG_TIME_SIZE];

    for (size_t i = 0; i < tally->move_count; i++) {
        const struct tally_move *m = &tally->moves[i];
        cJSON *item = cJSON_CreateObject();

        cJSON_AddStringToObject(item, "time", time_text(study, m->at_ns, when));
        cJSON_AddItemToObject(item, "from",
                              m->from == SELECTOR_NO_PATH ? cJSON_CreateNull()
                                                          : cJSON_CreateString(path_text(study, m->from)));
        cJSON_AddStringToObject(item, "to", path_text(study, m->to));
        cJSON_AddStringToObject(item, "access", access_text(study, m->to));
        cJSON_AddStringToObject(item, "tier", selector_tier_text(study->places[m->to].tier));
        cJSON_AddStringToObject(item, "reason", selector_reason_text(m->reason));
        cJSON_AddBoolToObject(item, "needless", m->needless);
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static cJSON *case_json(const struct study *study, const struct replay_case *c)
{
    cJSON *item = cJSON_CreateObject();

    cJSON_AddStringToObject(item, "settings", c->what);
    cJSON_AddNumberToObject(item, "hold_s", (double)c->hold_ns / NS_PER_S);
    cJSON_AddNumberToObject(item, "damping_max_s", (double)c->damping_max_ns / NS_PER_S);
    cJSON_AddBoolToObject(item, "sessions", !c->without_sessions);
    cJSON_AddBoolToObject(item, "witness", !c->without_witness);
    cJSON_AddNumberToObject(item, "switches", (double)c->tally.move_count);
    cJSON_AddNumberToObject(item, "needless", (double)c->tally.needless);
    cJSON_AddNumberToObject(item, "away_s", (double)c->tally.away_ns / NS_PER_S);
    cJSON_AddNumberToObject(item, "unserved_s", (double)c->tally.unserved_ns / NS_PER_S);
    cJSON_AddItemToObject(item, "moves", moves_json(study, &c->tally));
    return item;
}

static void print_json(const struct study *study)
{
    const struct history *h = study->history;
    cJSON *root = cJSON_CreateObject(), *list;
    char when[LOG_TIME_SIZE];

    cJSON_AddStringToObject(root, "schema", "reroute.replay/1");
    cJSON_AddStringToObject(root, "journal", study->path);
    cJSON_AddStringToObject(root, "host", h->host);
    cJSON_AddStringToObject(root, "service", h->service);
    cJSON_AddStringToObject(root, "from", time_text(study, begin_ns(study), when));
    cJSON_AddStringToObject(root, "to", time_text(study, study->end_ns, when));
    cJSON_AddNumberToObject(root, "watched_s", (double)study->cases[0].tally.watched_ns / NS_PER_S);
    cJSON_AddNumberToObject(root, "starts", h->starts);
    cJSON_AddNumberToObject(root, "damaged_lines", (double)h->damaged);
    cJSON_AddBoolToObject(root, "reproduced", study->difference < 0);
    list = cJSON_AddArrayToObject(root, "results");
    for (size_t i = 0; i < study->count; i++)
        cJSON_AddItemToArray(list, case_json(study, &study->cases[i]));
    {
        CLEANUP(free) char *text = text_json(cJSON_Print(root));

        if (text)
            puts(text);
    }
    cJSON_Delete(root);
}

/* --- running --- */

/* What the host's settings were, and where its paths belonged. */
static int survey(struct study *study)
{
    const struct history *h = study->history;

    study->places = calloc((size_t)h->path_count + 1, sizeof(*study->places));
    if (!study->places)
        return -ENOMEM;
    for (uint32_t i = 0; i < h->path_count; i++)
        study->places[i] = (struct place){SELECTOR_NO_ACCESS, TIER_FOREIGN};
    for (size_t i = 0; i < h->event_count; i++) {
        const struct history_event *event = &h->events[i];

        study->end_ns = max_u64(study->end_ns, event->at_ns);
        if (event->kind == HISTORY_HOST)
            study->host = event->host.evidence;
        else if (event->kind == HISTORY_PATH && event->path.access != SELECTOR_NO_ACCESS)
            study->places[event->index] = (struct place){event->path.access, event->path.tier};
    }
    return 0;
}

static int run_case(struct study *study, const char *what, const struct replay_settings *settings)
{
    const struct host_evidence *host = &study->host;
    struct replay_case *c = &study->cases[study->count++];

    c->what = what;
    c->hold_ns = settings->hold_ns == REPLAY_AS_RECORDED ? host->hold_ns : settings->hold_ns;
    c->damping_max_ns =
        settings->damping_max_ns == REPLAY_AS_RECORDED ? host->damping_max_ns : settings->damping_max_ns;
    c->without_sessions = settings->without_sessions || host->sessions_waived;
    c->without_witness = settings->without_witness;
    return replay_run(study->history, settings, &c->tally);
}

static int run(struct study *study, struct replay_settings *settings, const uint64_t *holds_ns,
               int hold_count)
{
    const struct replay_settings follow = {.follow = true,
                                           .hold_ns = REPLAY_AS_RECORDED,
                                           .damping_max_ns = REPLAY_AS_RECORDED},
                                 same = {.hold_ns = REPLAY_AS_RECORDED, .damping_max_ns = REPLAY_AS_RECORDED};
    bool changed = settings->damping_max_ns != REPLAY_AS_RECORDED || settings->without_sessions ||
                   settings->without_witness;
    int error = survey(study);

    if (!error)
        error = run_case(study, "host", &follow);
    if (!error)
        error = run_case(study, "again", &same);
    if (!error)
        study->difference = replay_first_difference(&study->cases[0].tally, &study->cases[1].tally);
    if (!error && changed && hold_count == 0)
        error = run_case(study, "other", settings);
    for (int i = 0; !error && i < hold_count; i++) {
        settings->hold_ns = holds_ns[i];
        error = run_case(study, "other", settings);
    }
    return error;
}

/* "on", "off": 0 with *off; else -EINVAL. */
static int parse_switch(const char *value, bool *off)
{
    *off = strcmp(value, "off") == 0;
    return *off || strcmp(value, "on") == 0 ? 0 : -EINVAL;
}

/* "damping=off,sessions=off". 0 or -EINVAL with one line said. */
static int parse_set(const char *text, struct replay_settings *settings, const char *program)
{
    CLEANUP(free) char *copy = strdup(text);
    char *rest = copy, *item;

    while (copy && (item = strsep(&rest, ","))) {
        char *value = strchr(item, '=');

        if (value)
            *value++ = '\0';
        if (value && strcmp(item, "damping") == 0 &&
            replay_parse_damping(value, &settings->damping_max_ns) == 0)
            continue;
        if (value && strcmp(item, "sessions") == 0 && parse_switch(value, &settings->without_sessions) == 0)
            continue;
        if (value && strcmp(item, "witness") == 0 && parse_switch(value, &settings->without_witness) == 0)
            continue;
        options_complain(program,
                         "--set '%s%s%s': expected damping=on|off|LONGEST (such as 10m), sessions=on|off or "
                         "witness=on|off",
                         item, value ? "=" : "", value ? value : "");
        return -EINVAL;
    }
    return 0;
}

static int read_and_run(const char *program, struct study *study, struct replay_settings *settings,
                        const uint64_t *holds_ns, int hold_count)
{
    char message[512];
    int error = history_read(&study->history, study->path, message, sizeof(message));

    if (error) {
        text_error("%s: %s", program, message);
        return error == -EPROTO ? EXIT_USAGE : EXIT_SYSTEM;
    }
    error = run(study, settings, holds_ns, hold_count);
    if (error)
        text_error("%s: %s: %s", program, study->path, replay_error_text(error));
    return error == -E2BIG ? EXIT_USAGE : error ? EXIT_SYSTEM : 0;
}

int command_replay(int argc, char **argv)
{
    struct replay_settings settings = {.hold_ns = REPLAY_AS_RECORDED, .damping_max_ns = REPLAY_AS_RECORDED};
    uint64_t holds_ns[REPLAY_HOLDS_MAX];
    const char *holds = NULL, *set = NULL;
    struct study study = {.difference = -1};
    int hold_count = 0, code;
    bool json = false;
    const struct option_row rows[] = {
        {.name = "hold",
         .argument = "LIST",
         .help = "also with these holds, such as 60s,2m,180s",
         .value = &holds},
        {.name = "set",
         .argument = "KEY=VAL",
         .help = "with these settings: damping=on|off|LONGEST, sessions=on|off, witness=on|off",
         .value = &set},
        OPTION_JSON(&json, "reroute.replay/1"),
        {0},
    };
    const struct command_line line = {
        .about =
            "What happened on a host, by the journal of its agent (journal.jsonl in the state directory), "
            "and what\nother settings would have done. The older file of a pair, JOURNAL.1, is read too.\n",
        .operands = "JOURNAL",
        .least = 1,
        .most = 1,
        .rows = rows,
        .after = "Exit code: 0 done, 3 bad arguments, or the file is no journal, 4 system error.\n",
    };
    int at = options_parse(&line, argc, argv);

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    if (holds && (hold_count = replay_parse_holds(holds, holds_ns)) < 0)
        return options_complain(argv[0],
                                "--hold '%s': expected up to %d durations of an hour at most, such as "
                                "60s,2m,180s",
                                holds, REPLAY_HOLDS_MAX);
    if (set && parse_set(set, &settings, argv[0]) < 0)
        return EXIT_USAGE;
    study.path = argv[at];
    code = read_and_run(argv[0], &study, &settings, holds_ns, hold_count);
    if (code == 0 && json)
        print_json(&study);
    else if (code == 0)
        print_text(&study);
    for (size_t i = 0; i < study.count; i++)
        tally_clear(&study.cases[i].tally);
    history_free(study.history);
    free(study.places);
    return code;
}
