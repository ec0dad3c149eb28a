/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planned switch: each row is a story, a step of it a line: what is known then, and what has to be done.
 */
#include "route/decide/planned.h"

#include <criterion/criterion.h>

#define S(seconds) ((uint64_t)((seconds)*1e9))

struct line {
    double at_s;
    const char *known; /* words: see read_words() */
    const char *done;
};

struct row {
    const char *what;
    enum selector_reason reason;
    struct line lines[12];
};

static const struct row rows[] = {
    {"a failback: probe, tell, move",
     SWITCH_FAILBACK,
     {{0, "wanted cluster", "probe"},
      {0.01, "wanted cluster asked", ""},
      {0.02, "wanted cluster reply", "tell"},
      {0.03, "wanted cluster", ""},
      {0.04, "wanted cluster told", "move"},
      {0.05, "wanted cluster moving", ""}}},
    {"without a cluster nobody is told", SWITCH_PIN, {{0, "wanted", "probe"}, {0.1, "wanted reply", "move"}}},
    {"a request that could not be sent is sent again",
     SWITCH_PIN,
     {{0, "wanted", "probe"}, {0.1, "wanted", "probe"}, {0.2, "wanted asked", ""}}},
    {"a lost probe is tried again, later each time",
     SWITCH_PIN,
     {{0, "wanted", "probe"},
      {0.1, "wanted lost", "probe-lost"},
      {1.0, "wanted", ""},
      {1.1, "wanted", "probe"},
      {1.2, "wanted lost", "probe-lost"},
      {3.1, "wanted", ""},
      {3.2, "wanted", "probe"},
      {3.3, "wanted asked", ""},
      {30, "wanted reply", "move"}}},
    {"a failback whose probe of full size is lost is over",
     SWITCH_FAILBACK,
     {{0, "wanted", "probe"}, {0.1, "wanted lost", "probe-lost"}, {0.2, "", ""}, {10, "wanted", "probe"}}},
    {"and a cluster that was told before hears that",
     SWITCH_FAILBACK_NOW,
     {{0, "wanted cluster", "probe"},
      {0.1, "wanted cluster reply", "tell"},
      {0.2, "wanted cluster untold", ""},
      {1.2, "wanted cluster", "probe"},
      {1.3, "wanted cluster lost", "tell-current probe-lost"}}},
    {"a cluster that refuses is asked again, and a failback waits for it without end",
     SWITCH_FAILBACK,
     {{0, "wanted cluster", "probe"},
      {0.1, "wanted cluster reply", "tell"},
      {0.2, "wanted cluster untold", ""},
      {1.2, "wanted cluster", "probe"},
      {1.3, "wanted cluster reply", "tell"},
      {60, "wanted cluster", ""},
      {61, "wanted cluster told", "move"}}},
    {"a drain waits ten seconds for the cluster",
     SWITCH_DRAINED,
     {{0, "wanted cluster", "probe"},
      {0.1, "wanted cluster reply", "tell"},
      {10, "wanted cluster", ""},
      {10.1, "wanted cluster", "move-untold"},
      {10.2, "wanted cluster moving", ""}}},
    {"a person's failback does so too",
     SWITCH_FAILBACK_NOW,
     {{0, "wanted cluster", "probe"},
      {0.1, "wanted cluster reply", "tell"},
      {10.1, "wanted cluster", "move-untold"}}},
    {"a path that does not answer is waited for without end",
     SWITCH_DRAINED,
     {{0, "wanted cluster", "probe"},
      {0.1, "wanted cluster reply", "tell"},
      {0.2, "wanted cluster untold", ""},
      {1.2, "wanted cluster", "probe"},
      {1.3, "wanted cluster lost", "probe-lost"},
      {20, "wanted cluster asked", "probe"},
      {20.1, "wanted cluster reply", "tell"},
      {30.0, "wanted cluster", ""},
      {30.1, "wanted cluster", "move-untold"}}},
    {"an answer in the last moment is an answer",
     SWITCH_DRAINED,
     {{0, "wanted cluster", "probe"},
      {0.1, "wanted cluster reply", "tell"},
      {10.1, "wanted cluster told", "move"}}},
    {"the selector has changed its mind before anybody was told",
     SWITCH_FAILBACK,
     {{0, "wanted cluster", "probe"}, {0.1, "cluster", "abandoned"}, {0.2, "cluster", ""}}},
    {"and after it: the cluster is told again where this host is",
     SWITCH_FAILBACK,
     {{0, "wanted cluster", "probe"},
      {0.1, "wanted cluster reply", "tell"},
      {0.2, "cluster", "abandoned tell-current"}}},
    {"a refusal of the cluster may have been carried out nevertheless",
     SWITCH_FAILBACK,
     {{0, "wanted cluster", "probe"},
      {0.1, "wanted cluster reply", "tell"},
      {0.2, "wanted cluster untold", ""},
      {0.3, "cluster", "abandoned tell-current"}}},
    {"another path: from the beginning",
     SWITCH_FAILBACK,
     {{0, "wanted cluster", "probe"},
      {0.1, "wanted cluster reply", "tell"},
      {0.2, "wanted-other cluster", "abandoned tell-current probe"},
      {0.3, "wanted-other cluster reply", "tell"}}},
    {"a move that the kernel refuses waits, however long it has been wanted",
     SWITCH_DRAINED,
     {{0, "wanted cluster", "probe"},
      {0.1, "wanted cluster reply", "tell"},
      {10.1, "wanted cluster", "move-untold"},
      {10.2, "wanted cluster", ""},
      {10.3, "wanted cluster", ""},
      {11.2, "wanted cluster", "probe"}}},
    {"an answer to nobody's question",
     SWITCH_PIN,
     {{0, "wanted cluster told reply", "probe"}, {0.1, "wanted cluster told", "probe"}}},
};

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = words; (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static struct planned_input read_words(const struct row *row, const struct line *line)
{
    const char *known = line->known;
    bool other = has_word(known, "wanted-other");

    return (struct planned_input){
        .now_ns = S(1000) + S(line->at_s),
        .wanted = other || has_word(known, "wanted"),
        .to = other ? 4 : 3,
        .reason = row->reason,
        .can_tell = has_word(known, "cluster"),
        .asked = has_word(known, "asked"),
        .moving = has_word(known, "moving"),
        .probe = has_word(known, "reply")  ? PLANNED_YES
                 : has_word(known, "lost") ? PLANNED_NO
                                           : PLANNED_NO_ANSWER,
        .tell = has_word(known, "told")     ? PLANNED_YES
                : has_word(known, "untold") ? PLANNED_NO
                                            : PLANNED_NO_ANSWER,
    };
}

static const char *effects_text(const struct planned_effects *effects, char text[static 96])
{
    static const char *const acts[] = {[PLANNED_DO_NOTHING] = "",
                                       [PLANNED_DO_PROBE] = "probe",
                                       [PLANNED_DO_TELL] = "tell",
                                       [PLANNED_DO_MOVE] = "move"};

    snprintf(text, 96, "%s%s%s%s%s", effects->abandoned ? "abandoned " : "",
             effects->tell_current ? "tell-current " : "", effects->probe_lost ? "probe-lost " : "",
             acts[effects->act], effects->untold ? "-untold" : "");
    if (text[0] && text[strlen(text) - 1] == ' ')
        text[strlen(text) - 1] = '\0';
    return text;
}

Test(planned, stories)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct planned planned = {0};

        for (size_t j = 0; j < ARRAY_SIZE(rows[i].lines) && rows[i].lines[j].known; j++) {
            const struct line *line = &rows[i].lines[j];
            const struct planned_input input = read_words(&rows[i], line);
            struct planned_effects effects;
            char text[96];

            planned_step(&planned, &input, &effects);
            cr_expect_str_eq(effects_text(&effects, text), line->done, "%s, at %g s: \"%s\", expected \"%s\"",
                             rows[i].what, line->at_s, text, line->done);
        }
    }
}

/* Waiting for the deadline alone gives the same. */
Test(planned, deadlines)
{
    struct planned_input input = {.now_ns = S(1000), .wanted = true, .to = 3, .reason = SWITCH_DRAINED};
    struct planned_effects effects;
    struct planned planned = {0};

    cr_expect_eq(planned_deadline_ns(&planned), NEVER_NS);
    planned_step(&planned, &input, &effects);
    cr_expect_eq(planned_deadline_ns(&planned), NEVER_NS, "the path is waited for");
    input.probe = PLANNED_NO;
    planned_step(&planned, &input, &effects);
    cr_expect_eq(planned_deadline_ns(&planned), S(1001), "the next try");
    input.now_ns = S(1001);
    planned_step(&planned, &input, &effects);
    input.probe = PLANNED_YES;
    input.can_tell = true;
    planned_step(&planned, &input, &effects);
    cr_expect_eq(planned_deadline_ns(&planned), S(1011), "a person's patience with the cluster");
}
