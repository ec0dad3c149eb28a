/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's own connections say of the path in use. Each row is a story, a step of it a line: what is seen of the
 * connections, what becomes of the pings, and what follows. select-timeout 100 ms, window 1 s.
 */
#include "route/decide/witness.h"

#include <criterion/criterion.h>

#define BEGIN_NS (1000 * NS_PER_S)
#define ANSWERS  (-1) /* the pings are answered */
#define RISING   (-2) /* so they are again, but the path is not up yet */

struct line {
    int at_ms;
    /*
     * "a100 b20w c5w2": connection a has 100 bytes acknowledged, b 20, and data of b wait; those of c were sent again
     * twice. NULL: nobody looks; "": none.
     */
    const char *seen;
    int missed_ms; /* when the first of the lost pings was sent, or a word of above */
    const char *says;
};

struct row {
    const char *what;
    int moved_ms; /* when the route was led to this path; 0: it stood */
    struct line lines[12];
};

static const struct row rows[] = {
    {"no connection: nothing to be said",
     0,
     {{0, "", ANSWERS, "none"}, {100, "", 20, "none"}, {1000, "", 20, "none"}}},
    {"an idle one says nothing, for ever",
     0,
     {{0, "a100", ANSWERS, "idle"}, {1000, "a100", ANSWERS, "idle"}, {9000, "a100", 8000, "idle"}}},
    {"what was acknowledged before the first look is no progress",
     0,
     {{0, "a100", ANSWERS, "idle"}, {100, "a100", ANSWERS, "idle"}}},
    {"progress is told for a window",
     0,
     {{0, "a100", ANSWERS, "idle"},
      {100, "a200", ANSWERS, "progress"},
      {900, "a200", ANSWERS, "progress"},
      {1000, "a200", ANSWERS, "idle"}}},
    {"pings are lost, data come there: contradicted",
     0,
     {{0, "a100", ANSWERS, "idle"},
      {100, "a200w", ANSWERS, "progress"},
      {199, "a300w", 50, "progress"},
      {290, "a400", 50, "progress contradicted"},
      {390, "a500w", 50, "progress contradicted"},
      {1090, "a600w", 50, "progress contradicted"},
      {2050, "a700", 50, "progress contradicted"}}},
    {"a cut: what was under way does not contradict",
     0,
     {{0, "a100w", ANSWERS, "idle"},
      {90, "a200w", ANSWERS, "progress"},
      {190, "a300w", 100, "progress"}, /* acknowledged after 90 ms, as far as is known */
      {290, "a300w", 100, "progress"},
      {390, "a300w", 100, "progress"},
      {1189, "a300w", 100, "idle"},
      {1190, "a300w", 100, "stalled"}}},
    {"an acknowledgement that came within a select-timeout of the first lost ping does not either",
     0,
     {{0, "a100w", ANSWERS, "idle"},
      {199, "a200w", 100, "progress"},
      {205, "a300w", 100, "progress"},              /* after 199 ms */
      {210, "a400w", 100, "progress contradicted"}, /* after 205 ms */
      {710, "a400w", 100, "progress"},
      {1100, "a400w", 100, "progress"}}},
    {"progress that ends contradicts no longer than half a window",
     0,
     {{0, "a100w", ANSWERS, "idle"},
      {300, "a200w", 100, "progress"},
      {400, "a300w", 100, "progress contradicted"},
      {800, "a300w", 100, "progress contradicted"},
      {899, "a300w", 100, "progress contradicted"},
      {900, "a300w", 100, "progress"}}},
    {"who has nothing to send any more does not take its word back",
     0,
     {{0, "a100w", ANSWERS, "idle"},
      {300, "a200", 100, "progress"},
      {400, "a300", 100, "progress contradicted"},
      {1400, "a300", 100, "idle contradicted"}}},
    {"pings that come back begin anew only when the path answers steadily",
     0,
     {{0, "a100w", ANSWERS, "idle"},
      {300, "a200w", 100, "progress"},
      {400, "a300w", 100, "progress contradicted"},
      {500, "a400w", RISING, "progress contradicted"},
      {600, "a500w", 550, "progress contradicted"},
      {700, "a600w", ANSWERS, "progress"},
      {800, "a700w", 790, "progress"},
      {890, "a800w", 790, "progress"},
      {990, "a900w", 790, "progress contradicted"}}},
    {"a path that was never up is not contradicted",
     0,
     {{0, "a100w", RISING, "idle"}, {100, "a200w", RISING, "progress"}}},
    {"nobody has looked for a window: no word",
     0,
     {{0, "a100", ANSWERS, "idle"},
      {300, "a200", 100, "progress"},
      {400, "a300", 100, "progress contradicted"},
      {1399, NULL, 100, "idle contradicted"},
      {1400, NULL, 100, "none"}}},
    {"data wait for a window: a doubt, while pings are answered",
     0,
     {{0, "a100w", ANSWERS, "idle"},
      {100, "a200w", ANSWERS, "progress"},
      {1099, "a200w", ANSWERS, "idle"},
      {1100, "a200w", ANSWERS, "stalled doubtful"},
      {1200, "a200w", 1150, "stalled"},
      {1300, "a200w", RISING, "stalled"},
      {1400, "a200w", ANSWERS, "stalled doubtful"},
      {1500, "a300w", ANSWERS, "progress"}}},
    {"data that were sent after an idle hour wait since then",
     0,
     {{0, "a100", ANSWERS, "idle"},
      {5000, "a100w", ANSWERS, "idle"},
      {5900, "a100w", ANSWERS, "idle"},
      {6000, "a100w", ANSWERS, "stalled doubtful"}}},
    {"one of several stands still: no doubt while another one makes progress",
     0,
     {{0, "a100w b10w", ANSWERS, "idle"},
      {900, "a100w b20w", ANSWERS, "progress"},
      {1000, "a100w b25w", ANSWERS, "progress"},
      {1500, "b30w a100w", ANSWERS, "progress"},
      {1999, "a100w b30w", ANSWERS, "progress"},
      {2000, "a100w b30w", ANSWERS, "stalled doubtful"},
      {2100, "b30w", ANSWERS, "idle"},
      {2500, "b30w", ANSWERS, "stalled doubtful"}}},
    {"another one over the same ports begins anew",
     0,
     {{0, "a100w", ANSWERS, "idle"}, {999, "a100w", ANSWERS, "idle"}, {1000, "b500w", ANSWERS, "idle"}}},
    {"after a move: what the former node acknowledges is no progress of this path",
     100,
     {{0, "a100w", ANSWERS, "idle"},
      {150, "a200w", ANSWERS, "idle"},
      {550, "a300w", ANSWERS, "idle"},
      {650, "a400w", ANSWERS, "idle"},
      {750, "a500w", ANSWERS, "progress"}}},
    {"nor does it contradict lost pings of this one",
     100,
     {{0, "a100w", ANSWERS, "idle"},
      {350, "a200w", 110, "idle"},
      {550, "a300w", 110, "idle"},
      {650, "a400w", 110, "idle"},
      {750, "a500w", 110, "progress contradicted"}}},
    {"a connection that only the former path carried is no doubt",
     100,
     {{0, "a100w", ANSWERS, "idle"}, {150, "a100w", ANSWERS, "idle"}, {2000, "a100w", ANSWERS, "idle"}}},
    {"one that has outlived the move is",
     100,
     {{0, "a100w", ANSWERS, "idle"},
      {650, "a100w", ANSWERS, "idle"},
      {750, "a200w", ANSWERS, "progress"},
      {1749, "a200w", ANSWERS, "idle"},
      {1750, "a200w", ANSWERS, "stalled doubtful"}}},
    {"one that was opened since is",
     100,
     {{0, "a100w", ANSWERS, "idle"},
      {150, "a100w b1w", ANSWERS, "idle"},
      {1150, "a100w b1w", ANSWERS, "stalled doubtful"}}},
};

static size_t read_samples(const char *text, struct witness_sample *samples)
{
    size_t count = 0;
    int length;

    for (; *text; text += strspn(text, " ")) {
        unsigned acked;
        char name;

        cr_assert_eq(sscanf(text, "%c%u%n", &name, &acked, &length), 2, "%s", text);
        text += length;
        samples[count] =
            (struct witness_sample){.cookie = (uint64_t)name, .acked_bytes = acked, .waiting = *text == 'w'};
        text += samples[count].waiting;
        samples[count++].retransmits = (uint32_t)strtoul(text, NULL, 10);
        text += strspn(text, "0123456789");
    }
    return count;
}

static uint64_t at(int ms)
{
    return BEGIN_NS + (uint64_t)ms * NS_PER_MS;
}

static const char *verdict_text(const struct witness_verdict *verdict, char buffer[static 64])
{
    snprintf(buffer, 64, "%s%s%s", witness_text(verdict->says),
             verdict->contradicted_ns ? " contradicted" : "", verdict->doubtful ? " doubtful" : "");
    return buffer;
}

static void play(const struct row *row)
{
    struct witness witness = {0};
    uint64_t first_missed_ns = 0;
    bool moved = row->moved_ms == 0;

    for (const struct line *line = row->lines; line < row->lines + ARRAY_SIZE(row->lines) && line->says;
         line++) {
        struct witness_path path = {
            .answers = line->missed_ms == ANSWERS,
            .first_missed_ns = line->missed_ms >= 0 ? at(line->missed_ms) : 0,
            .window_ns = 1 * NS_PER_S,
            .select_timeout_ns = 100 * NS_PER_MS,
        };
        struct witness_sample samples[8];
        struct witness_verdict verdict;
        char text[64];

        if (!moved && line->at_ms >= row->moved_ms)
            witness_moved(&witness, at(row->moved_ms));
        moved = line->at_ms >= row->moved_ms;
        if (line->seen)
            witness_look(&witness, samples, read_samples(line->seen, samples), &path, at(line->at_ms));
        verdict = witness_judge(&witness, &path, at(line->at_ms));
        if (path.answers)
            first_missed_ns = 0;
        else if (!first_missed_ns)
            first_missed_ns = path.first_missed_ns;
        cr_expect_str_eq(verdict_text(&verdict, text), line->says, "%s, at %d ms: \"%s\", expected \"%s\"",
                         row->what, line->at_ms, text, line->says);
        cr_expect(verdict.contradicted_ns == 0 || verdict.contradicted_ns == first_missed_ns, "%s, at %d ms",
                  row->what, line->at_ms);
    }
}

Test(witness, stories)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        play(&rows[i]);
}

Test(witness, more_connections_than_it_has_room_for)
{
    const struct witness_path path = {0};
    struct witness_sample samples[WITNESS_MAX + 3];
    struct witness witness = {0};

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
        samples[i] = (struct witness_sample){.cookie = i + 1};
    witness_look(&witness, samples, ARRAY_SIZE(samples), &path, BEGIN_NS);
    cr_expect_eq(witness.count, WITNESS_MAX);
}

Test(witness, a_short_window_is_no_cause_to_doubt_a_late_acknowledgement)
{
    const struct witness_path path = {
        .answers = true, .window_ns = 60 * NS_PER_MS, .select_timeout_ns = 20 * NS_PER_MS};
    const struct witness_sample waiting = {.cookie = 1, .waiting = true};
    struct witness witness = {0};

    for (int ms = 0; ms < 500; ms += 20) {
        witness_look(&witness, &waiting, 1, &path, at(ms));
        cr_expect_not(witness_judge(&witness, &path, at(ms)).doubtful, "at %d ms", ms);
    }
    witness_look(&witness, &waiting, 1, &path, at(500));
    cr_expect(witness_judge(&witness, &path, at(500)).doubtful);
}

/* --- held up --- */

struct retransmission_line {
    int at_ms;
    const char *seen; /* NULL: nobody looks */
    int proven_ms;    /* when the newest answered ping was sent */
    bool held_up;
};

static const struct retransmission_row {
    const char *what;
    bool sure;             /* the pings do not nearly prove a loss */
    int moved_ms;          /* when the route was led to this path; 0: it stood */
    int select_timeout_ms; /* 0: 100 */
    int select_count;      /* 0: 10 */
    struct retransmission_line lines[10];
} retransmission_rows[] = {
    {"sent again in vain for a select-timeout, while pings are answered",
     .lines = {{0, "a10w", 0, false},
               {50, "a20w", 40, false},
               {100, "a20w", 90, false},
               {250, "a20w1", 190, false},
               {349, "a20w1", 290, false},
               {350, "a20w1", 290, true},
               {450, "a20w1", 390, true},
               {500, "a90", 490, false}}},
    {"nothing speaks for a loss but this", .sure = true,
     .lines = {{0, "a10w", 0, false}, {250, "a10w1", 240, false}, {900, "a10w2", 890, false}}},
    {"a standstill of all loses the data and what was sent again; what is sent after it is another matter",
     .lines = {{0, "a10w", 0, false},
               {50, "a20w", 0, false},
               {250, "a20w1", 0, false},
               {500, "a20w1", 480, false},
               {650, "a20w2", 640, false},
               {749, "a20w2", 740, false},
               {750, "a20w2", 740, true}}},
    {"it ends between what was sent again and the next look", .lines = {{0, "a10w", 0, false},
                                                                        {50, "a20w", 0, false},
                                                                        {250, "a20w", 0, false},
                                                                        {300, "a20w1", 290, false},
                                                                        {500, "a20w1", 490, false},
                                                                        {700, "a20w2", 690, false},
                                                                        {800, "a20w2", 790, true}}},
    {"one that is stuck counts for a window, and again when it sends again",
     .lines = {{0, "a10w", 0, false},
               {100, "a10w", 90, false},
               {250, "a10w1", 240, false},
               {350, "a10w1", 340, true},
               {1349, "a10w1", 1340, true},
               {1350, "a10w1", 1340, false},
               {2000, "a10w2", 1990, true},
               {2999, "a10w2", 2990, true},
               {3000, "a10w2", 2990, false}}},
    {"a window of one select-timeout", .select_count = 1,
     .lines = {{0, "a10w", 0, false},
               {100, "a10w", 90, false},
               {250, "a10w1", 240, false},
               {349, "a10w1", 340, false},
               {350, "a10w1", 340, true},
               {449, "a10w1", 440, true},
               {450, "a10w1", 440, false}}},
    {"who sends again once more has waited for the first answer", .select_timeout_ms = 500, .select_count = 3,
     .lines = {{0, "a10w", 0, false},
               {250, "a10w1", 240, false},
               {649, "a10w1", 640, false},
               {650, "a10w2", 640, true},
               {2149, "a10w2", 2140, true},
               {2150, "a10w2", 2140, false}}},
    {"what waits but was not sent again",
     .lines = {{0, "a10w", 0, false}, {250, "a10w", 240, false}, {1000, "a10w", 990, false}}},
    {"one that was retransmitting when it was first seen, until it does again",
     .lines = {{0, "a10w3", 0, false},
               {500, "a10w3", 490, false},
               {600, "a10w4", 590, false},
               {700, "a10w4", 690, true}}},
    {"one of two",
     .lines = {{0, "a10w b10w", 0, false}, {250, "a10w1 b70w", 240, false}, {350, "a10w1 b90w", 340, true}}},
    {"progress ends it, and what comes after it begins anew", .lines = {{0, "a10w", 0, false},
                                                                        {250, "a10w1", 240, false},
                                                                        {350, "a30w1", 340, false},
                                                                        {600, "a30w1", 590, false},
                                                                        {650, "a30w2", 640, false},
                                                                        {750, "a30w2", 740, true}}},
    {"a connection that only the former path carried", .moved_ms = 10,
     .lines = {{0, "a10w", 0, false}, {250, "a10w1", 240, false}, {350, "a10w1", 340, false}}},
    {"the former path answered the ping", .moved_ms = 10,
     .lines = {{10, "a10w", 10, false}, {250, "a10w1", 240, false}, {350, "a10w1", 340, false}}},
    {"nobody has looked for a window", .lines = {{0, "a10w", 0, false},
                                                 {250, "a10w1", 240, false},
                                                 {1249, NULL, 1240, true},
                                                 {1250, NULL, 1240, false}}},
};

static void play_retransmissions(const struct retransmission_row *row)
{
    uint64_t select_timeout_ns =
        (uint64_t)(row->select_timeout_ms ? row->select_timeout_ms : 100) * NS_PER_MS;
    struct witness witness = {0};

    for (const struct retransmission_line *line = row->lines;
         line == row->lines || (line < row->lines + ARRAY_SIZE(row->lines) && line->at_ms); line++) {
        const struct witness_path path = {.answers = true,
                                          .proven_ns = at(line->proven_ms),
                                          .doubtful = !row->sure,
                                          .window_ns = select_timeout_ns *
                                                       (uint64_t)(row->select_count ? row->select_count : 10),
                                          .select_timeout_ns = select_timeout_ns};
        struct witness_sample samples[8];

        if (line->seen)
            witness_look(&witness, samples, read_samples(line->seen, samples), &path, at(line->at_ms));
        if (line == row->lines && row->moved_ms)
            witness_moved(&witness, at(row->moved_ms));
        cr_expect_eq(witness_judge(&witness, &path, at(line->at_ms)).held_up, line->held_up, "%s, at %d ms",
                     row->what, line->at_ms);
    }
}

Test(witness, held_up)
{
    for (size_t i = 0; i < ARRAY_SIZE(retransmission_rows); i++)
        play_retransmissions(&retransmission_rows[i]);
}
