/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what route/decide/health.h promises: when exactly a path is down, up, degraded and clean again, what a late
 * reply, an early ICMP error and a request that left late do to that, how much is lost over hold, and what a
 * restart and a lost link mean.
 *
 * The tables play a script: one letter is one request, sent every select-timeout (or as often as a row says), a
 * number repeats what follows, parentheses group.
 *
 *   r  reply 1 ms after the request            t  timeout
 *   d  the same, and a duplicate               j  timeout of a request that left 0.8 select-timeouts late
 *   e  ICMP error 1 ms after the request       l  timeout, then the reply at 1.5 select-timeouts
 *   E  ICMP error at 0.9 select-timeouts       v  timeout, then the reply at 2.5 select-timeouts
 *   s  no way out: fails at once               b  packet too big, says a router after 1 ms
 *   .  no request                              a  reply to a request that left 0.1 select-timeouts late
 *
 * Times in the tables are milliseconds after the first request; 0 means never.
 */
#include "route/decide/health.h"
#include <criterion/criterion.h>
#include <ctype.h>

#define BEGIN_NS         (1000 * NS_PER_S)
#define MAX_OBSERVATIONS 4096

struct script {
    uint64_t select_timeout_ns, interval_ns;
    unsigned requests;
    size_t count;
    struct probe_observation observations[MAX_OBSERVATIONS];
};

static void happen(struct script *script, enum probe_outcome outcome, uint64_t sent_ns, uint64_t after_ns)
{
    cr_assert_lt(script->count, MAX_OBSERVATIONS);
    script->observations[script->count++] = (struct probe_observation){
        .outcome = outcome, .sent_ns = sent_ns, .at_ns = sent_ns + after_ns, .rtt_ns = after_ns};
}

static void request(struct script *script, char letter)
{
    uint64_t wait_ns = script->select_timeout_ns;
    uint64_t sent_ns = BEGIN_NS + script->requests++ * script->interval_ns;

    switch (letter) {
    case 'r':
        happen(script, PROBE_REPLY, sent_ns, NS_PER_MS);
        break;
    case 'd':
        happen(script, PROBE_REPLY, sent_ns, NS_PER_MS);
        happen(script, PROBE_DUPLICATE, sent_ns, 2 * NS_PER_MS);
        break;
    case 'a':
        happen(script, PROBE_REPLY, sent_ns + wait_ns / 10, NS_PER_MS);
        break;
    case 't':
        happen(script, PROBE_TIMEOUT, sent_ns, wait_ns);
        break;
    case 'j':
        happen(script, PROBE_TIMEOUT, sent_ns + wait_ns * 8 / 10, wait_ns);
        break;
    case 'l':
    case 'v':
        happen(script, PROBE_TIMEOUT, sent_ns, wait_ns);
        happen(script, PROBE_LATE, sent_ns, wait_ns * (letter == 'l' ? 3 : 5) / 2);
        break;
    case 'e':
        happen(script, PROBE_UNREACHABLE, sent_ns, NS_PER_MS);
        break;
    case 'E':
        happen(script, PROBE_UNREACHABLE, sent_ns, wait_ns * 9 / 10);
        break;
    case 'b':
        happen(script, PROBE_FRAG_NEEDED, sent_ns, NS_PER_MS);
        break;
    case 's':
        happen(script, PROBE_SEND_FAILED, sent_ns, 0);
        break;
    case '.':
        break;
    default:
        cr_assert_fail("no such letter: %c", letter);
    }
}

/* Plays text up to its end or the closing parenthesis; returns what follows. */
static const char *play(struct script *script, const char *text)
{
    while (*text && *text != ')') {
        char *item;
        unsigned long times = strtoul(text, &item, 10);
        const char *next = item;

        if (isspace((unsigned char)*item)) {
            text = item + 1;
            continue;
        }
        for (times = item == text ? 1 : times; times > 0; times--) {
            if (*item == '(')
                next = play(script, item + 1);
            else
                request(script, *item);
        }
        text = next + 1;
    }
    return text;
}

static int by_time(const void *a, const void *b)
{
    const struct probe_observation *x = a, *y = b;

    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    return x->sent_ns < y->sent_ns ? -1 : x->sent_ns > y->sent_ns;
}

static struct script *write_script(const char *text, uint64_t select_timeout_ns, bool twice)
{
    static struct script script;

    script = (struct script){.select_timeout_ns = select_timeout_ns,
                             .interval_ns = twice ? select_timeout_ns / 2 : select_timeout_ns};
    play(&script, text);
    qsort(script.observations, script.count, sizeof(script.observations[0]), by_time);
    return &script;
}

static struct health_settings settings_of(unsigned select_timeout_ms, unsigned select_count)
{
    return (struct health_settings){
        .select_timeout_ns = (select_timeout_ms ? select_timeout_ms : 100) * NS_PER_MS,
        .select_count = select_count ? select_count : 10,
        .rise = 3,
        .degraded_percent = 30,
        .degraded_over_ns = 10 * NS_PER_S,
        .hold_ns = 180 * NS_PER_S,
    };
}

static unsigned ms(uint64_t time_ns)
{
    return time_ns ? (unsigned)((time_ns - BEGIN_NS) / NS_PER_MS) : 0;
}

static void observe_script(struct health *health, const struct health_settings *settings, const char *text)
{
    struct script *script = write_script(text, settings->select_timeout_ns, false);

    for (size_t i = 0; i < script->count; i++)
        health_observe(health, settings, &script->observations[i]);
}

/* --- verdicts and when they come --- */

static const struct row {
    const char *name, *script;
    unsigned select_timeout_ms, select_count; /* 0: 100 ms x 10 */
    unsigned up, down, up_again;              /* when the state first became so */
    unsigned degraded, clean;                 /* when it first became degraded, and no more */
    unsigned up_since;                        /* at the end */
    bool twice;                               /* a request every half a select-timeout */
} rows[] = {
    /* up */
    {"no evidence: no verdict", ""},
    {"rise: two replies are no verdict", "2r"},
    {"rise: up at the third reply, since the first", "3r", .up = 201, .up_since = 1},
    {"rise: a miss breaks the row", "2r t 2r"},
    {"rise: a row begins after a miss", "2r t 3r", .up = 501, .up_since = 301},
    {"rise: again after down", "3r 10t 2r t 3r", .up = 201, .down = 1300, .up_again = 1801, .up_since = 1601},
    {"rise: no less after down", "3r 10t 2r 12t 2r", .up = 201, .down = 1300},
    {"duplicate: two replies and two duplicates are no verdict", "2d"},
    {"duplicate: does not end a row of misses", "2r d 10t", .up = 201, .down = 1300},

    /* down */
    {"down: nine timeouts are not ten", "3r 9t", .up = 201, .up_since = 1},
    {"down: a reply after nine starts the count anew", "3r 9t r 9t", .up = 201, .up_since = 1},
    {"down: exactly when the tenth has waited", "3r 10t", .up = 201, .down = 1300},
    {"down: it stays so", "3r 30t", .up = 201, .down = 1300},
    {"down: never seen up", "10t", .down = 1000},
    {"down: 20 ms x 3", "3r 3t", 20, 3, .up = 41, .down = 120},
    {"down: 1 s x 1", "3r t", 1000, 1, .up = 2001, .down = 4000},
    {"down: a slow interval waits for every request", "3r 10(t.)", .up = 201, .down = 300 + 18 * 100 + 100},

    /* twice in a select-timeout: the path in use. The window begins with the last request that was answered */
    {"twice: 20 ms x 3, three are not the window", "3r 3t", 20, 3, .up = 21, .up_since = 1, .twice = true},
    {"twice: 20 ms x 3", "3r 4t", 20, 3, .up = 21, .down = 20 + 60, .twice = true},
    {"twice: 100 ms x 10, seventeen are not the window", "3r 17t", .up = 101, .up_since = 1, .twice = true},
    {"twice: 100 ms x 10", "3r 18t", .up = 101, .down = 100 + 1000, .twice = true},
    {"twice: 1 s x 1, the first has its wait", "3r 2t", 1000, 1, .up = 1001, .down = 1500 + 1000,
     .twice = true},
    {"twice: 1 s x 2", "3r 2t", 1000, 2, .up = 1001, .down = 1000 + 2000, .twice = true},
    {"twice: ICMP errors, nineteen are not the window", "3r 19e", .up = 101, .up_since = 1, .twice = true},
    {"twice: ICMP errors", "3r 20e", .up = 101, .down = 100 + 1000 + 1, .twice = true},
    {"twice: one in the middle left late", "3r 9t j 8t", .up = 101, .down = 100 + 1000, .twice = true},
    {"twice: a reply begins the window anew", "3r 17t r 18t", .up = 101, .down = 1000 + 1000, .twice = true},
    {"twice: so does a late one", "3r 16t l 18t", .up = 101, .down = 950 + 1000, .twice = true},
    {"twice: each second one is lost", "3r 110(t r)", .up = 101, .degraded = 2301, .twice = true},
    {"twice: a request that was overtaken begins no silence", "3r t r 17t", .up = 101, .up_since = 1,
     .twice = true},
    {"twice: the one that was answered left a little late", "2r a 18t", .up = 111, .down = 100 + 1000,
     .twice = true},
    {"twice: of a pause a select-timeout counts", "3r 20. 16t", .up = 101, .up_since = 1, .twice = true},
    {"twice: and then the rest of a window", "3r 20. 17t", .up = 101, .down = 1950 + 100, .twice = true},
    {"twice: what still waits does not end a row", "2r t r", .up = 151, .up_since = 1, .twice = true},
    {"twice: what waited in vain does", "r t r 3t 2r", .twice = true},

    /* early ends of a request: not before the window */
    {"ICMP error: nine early ones are not the window", "3r 9e", .up = 201, .up_since = 1},
    {"ICMP error: the window is over with the tenth", "3r 10e", .up = 201, .down = 1201},
    {"ICMP error: close to the select-timeout, nine are not the window", "3r 9E", .up = 201, .up_since = 1},
    {"ICMP error: close to the select-timeout, ten", "3r 10E", .up = 201, .down = 1290},
    {"ICMP error: the tenth timed out", "3r 9e t", .up = 201, .down = 1300},
    {"ICMP error: the tenth is one", "3r 9t e", .up = 201, .down = 1201},
    {"ICMP error: 1 s x 1", "3r E", 1000, 1, .up = 2001, .down = 3900},
    {"too big: counts like one", "3r 10b", .up = 201, .down = 1201},
    {"no way out: nine are not the window", "3r 9s", .up = 201, .up_since = 1},
    {"no way out: exactly the window", "3r 10s", .up = 201, .down = 1200},

    /* jitter of send times */
    {"jitter: the first one left late", "3r j 9t", .up = 201, .down = 1300},
    {"jitter: one in the middle left late", "3r 4t j 5t", .up = 201, .down = 1300},
    {"jitter: the last one left late and has its wait", "3r 9t j", .up = 201, .down = 1380},
    {"jitter: the first one left late, ICMP errors", "3r j 10e", .up = 201, .down = 1301},

    /* late replies */
    {"late: is life", "3r 8t l 9t", .up = 201, .up_since = 1},
    {"late: starts the count anew", "3r 8t l 10t", .up = 201, .down = 2200},
    {"late: every reply at 1.5 select-timeouts comes up", "4l", .up = 350, .up_since = 150},
    {"late: every reply at 2.5 select-timeouts comes up", "6v", .up = 450, .up_since = 250},
    {"late: and stays up, and clean", "400v", .up = 450, .up_since = 250},
    {"late: does not make a row with a request that is lost", "20(t l)"},

    /* degraded */
    {"degraded: a fifth is not", "3r 200(4r t)", .up = 201, .up_since = 1},
    {"degraded: a third is", "3r 40(2r t)", .up = 201, .degraded = 8101},
    {"degraded: half is, sooner", "3r 40(r t)", .up = 201, .degraded = 4501},
    {"degraded: where nothing is lost as a rule, still sooner", "300r 40(r t)", .up = 201, .degraded = 31201},
    {"degraded: where a fifth is lost as a rule, a third is not", "3r 400(4r t) 30(2r t)", .up = 201,
     .up_since = 1},
    {"degraded: half is, there too", "3r 400(4r t) 60(r t)", .up = 201, .degraded = 207901},
    {"degraded: one burst is not", "300r 9t 30r", .up = 201, .up_since = 1},
    {"degraded: nor are four in some seconds", "300r 4(9t r)", .up = 201, .up_since = 1},
    {"degraded: five are", "300r 5(9t r)", .up = 201, .degraded = 34901},
    {"degraded: some losses in a long row of answers are not", "300r 20(t 12r)", .up = 201, .up_since = 1},
    {"degraded: 20 % does not end it", "3r 40(2r t) 100(4r t)", .up = 201, .degraded = 8101},
    {"degraded: 12 % ends it, steady from then on", "3r 50(2r t) 100(7r t)", .up = 201, .degraded = 8101,
     .clean = 23701, .up_since = 23701},
    {"degraded: replies that were only late are not lost", "3r 200(r l)", .up = 201, .up_since = 1},
    {"degraded: replies later than the next reply are not lost", "3r 200(2r v)", .up = 201, .up_since = 1},
    {"degraded: an open run of misses is the down verdict's", "23r 9t", 1000, 10, .up = 2001, .up_since = 1},
    {"degraded: 1 s x 10 is not cut short", "23r 10t", 1000, 10, .up = 2001, .down = 33000},
    {"degraded: the run counts when a reply has ended it", "300r 4(9t r) 9t", .up = 201, .up_since = 1},
    {"degraded: not by less than 20 requests", "23r 5(r t)", 1000, 10, .up = 2001, .up_since = 1},
    {"degraded: down ends it", "3r 40(2r t) 12t", .up = 201, .degraded = 8101, .down = 13200},
    {"degraded: what was lost before down does not count after", "3r 40(2r t) 10t 100r", .up = 201,
     .degraded = 8101, .down = 13200, .up_again = 13501, .up_since = 13301},
};

static void note_first(unsigned *when, bool is_so, uint64_t now_ns)
{
    if (is_so && !*when)
        *when = ms(now_ns);
}

static void check_row(const struct row *row)
{
    struct health_settings settings = settings_of(row->select_timeout_ms, row->select_count);
    struct script *script = write_script(row->script, settings.select_timeout_ns, row->twice);
    struct health health = {0};
    struct row got = {0};

    for (size_t i = 0; i < script->count; i++) {
        const struct probe_observation *observation = &script->observations[i];
        bool was_degraded = health.degraded;

        health_observe(&health, &settings, observation);
        note_first(&got.up, health.state == HEALTH_UP, observation->at_ns);
        note_first(&got.up_again, got.down && health.state == HEALTH_UP, observation->at_ns);
        note_first(&got.down, health.state == HEALTH_DOWN, observation->at_ns);
        note_first(&got.degraded, health.degraded, observation->at_ns);
        note_first(&got.clean, was_degraded && !health.degraded && health.state == HEALTH_UP,
                   observation->at_ns);
        cr_expect(health.state == HEALTH_UP || !health.degraded, "%s: degraded, but not up", row->name);
    }
    got.up_since = ms(health.up_since_ns);
    cr_expect_eq(got.up, row->up, "%s: up at %u, not %u", row->name, got.up, row->up);
    cr_expect_eq(got.down, row->down, "%s: down at %u, not %u", row->name, got.down, row->down);
    cr_expect_eq(got.up_again, row->up_again, "%s: up again at %u, not %u", row->name, got.up_again,
                 row->up_again);
    cr_expect_eq(got.degraded, row->degraded, "%s: degraded at %u, not %u", row->name, got.degraded,
                 row->degraded);
    cr_expect_eq(got.clean, row->clean, "%s: clean at %u, not %u", row->name, got.clean, row->clean);
    cr_expect_eq(got.up_since, row->up_since, "%s: up since %u, not %u", row->name, got.up_since,
                 row->up_since);
}

Test(health, verdicts)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        check_row(&rows[i]);
}

/* --- nearly degraded --- */

Test(health, doubtful)
{
    static const struct {
        const char *script; /* a request every 50 ms */
        bool doubtful, degraded;
        uint32_t percent; /* 0: 30 */
    } table[] = {
        {"300r"},
        {"300r 2(t r)", false},
        {"300r 9t 30r", false},
        {"300r 3(t r)", true},
        {"300r 4(t r) 20r", false}, /* none of the last twenty is lost */
        {"300r 6(t r)", true},
        {"300r 7(t r)", false, true},
        {"3r 4(t r)", false}, /* who knows what is usual there? */
        {"300r 4(t r) 30t", false},
        /* Three more, whatever the share: of half, that is ten of twenty, after seven. At a tenth chance must be ruled out. */
        {"300r 6(t r)", false, .percent = 50},
        {"300r 7(t r)", true, .percent = 50},
        {"300r 10(t r)", true, .percent = 50},
        {"300r 11(t r)", false, true, .percent = 50},
        {"300r 2(t r)", false, .percent = 10},
        {"300r 3(t r)", true, .percent = 10},
        {"300r 6(t r)", true, .percent = 10},
        {"300r 7(t r)", false, true, .percent = 10},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct health_settings settings = settings_of(0, 0);
        struct script *script = write_script(table[i].script, settings.select_timeout_ns, true);
        struct health health = {0};

        if (table[i].percent)
            settings.degraded_percent = table[i].percent;
        for (size_t j = 0; j < script->count; j++)
            health_observe(&health, &settings, &script->observations[j]);
        cr_expect_eq(health_is_doubtful(&health, &settings), table[i].doubtful, "%s, %u %%", table[i].script,
                     settings.degraded_percent);
        cr_expect_eq(health.degraded, table[i].degraded, "%s, %u %%", table[i].script,
                     settings.degraded_percent);
        settings.degraded_percent = 100;
        cr_expect_not(health_is_doubtful(&health, &settings), "%s, never degraded", table[i].script);
    }
}

/* --- loss over hold --- */

Test(health, loss_over_hold)
{
    static const struct {
        const char *name, *script; /* a request a second */
        uint32_t ppm;
    } table[] = {
        {"no data", "", 0},
        {"what was lost before it came up does not count", "10t 3r 60r", 0},
        {"none", "3r 179r", 0},
        {"one of a hundred: at the limit", "3r 49r t 50r", 10000},
        {"two of a hundred: above it", "3r 39r t 9r t 50r", 20000},
        {"a run that is still open is not counted", "3r 100r 3t", 0},
        {"late is not lost", "3r 49r l 50r", 0},
        {"late, after the next reply, is not lost", "3r 49r v 50r", 0},
        {"as long as it is up: a short life counts as it is", "3r r t 2r", 250000},
        {"older than hold: forgotten", "3r 3t 190r", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct health_settings settings = settings_of(1000, 10);
        struct health health = {0};

        observe_script(&health, &settings, table[i].script);
        cr_expect_eq(health_loss_ppm(&health), table[i].ppm, "%s: %u ppm, not %u", table[i].name,
                     health_loss_ppm(&health), table[i].ppm);
    }
}

/* --- link lost --- */

Test(health, link_lost_is_down_at_once_and_needs_a_whole_rise)
{
    struct health_settings settings = settings_of(0, 0);
    struct health health = {0};

    observe_script(&health, &settings, "30r");
    cr_assert_eq(health.state, HEALTH_UP);
    health_link_lost(&health);
    cr_expect_eq(health.state, HEALTH_DOWN);
    cr_expect_eq(health.up_since_ns, 0);
    observe_script(&health, &settings, ".... 2r");
    cr_expect_eq(health.state, HEALTH_DOWN);
    observe_script(&health, &settings, "...... r");
    cr_expect_eq(health.state, HEALTH_UP);
    cr_expect_eq(ms(health.up_since_ns), 401);
}

Test(health, link_lost_in_a_row_of_misses_forgets_the_replies_before_it)
{
    struct health_settings settings = settings_of(0, 0);
    struct health health = {0};

    observe_script(&health, &settings, "2r t");
    health_link_lost(&health);
    observe_script(&health, &settings, ".. l");
    cr_expect_eq(health.state, HEALTH_DOWN);
}

/* --- restart of this process --- */

Test(health, restore)
{
    static const struct {
        const char *name, *script;
        uint64_t up_since_ns; /* at the end; 0: not up */
    } table[] = {
        {"counts when the first verdict is up", "3r", 7 * NS_PER_S},
        {"a miss on the way is no verdict", "2r t 3r", 7 * NS_PER_S},
        {"not before there is a verdict", "2r", 0},
        {"down speaks against it", "10t 3r", BEGIN_NS + 1001 * NS_PER_MS},
        {"counts for the first verdict only", "3r 10t 3r", BEGIN_NS + 1301 * NS_PER_MS},
    };
    struct health_settings settings = settings_of(0, 0);

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct health health = {0};

        health_restore(&health, 7 * NS_PER_S);
        observe_script(&health, &settings, table[i].script);
        cr_expect_eq(health.up_since_ns, table[i].up_since_ns, "%s: %" PRIu64, table[i].name,
                     health.up_since_ns);
    }
}

Test(health, restore_after_a_verdict_or_a_lost_link_means_nothing)
{
    struct health_settings settings = settings_of(0, 0);
    struct health health = {0};

    observe_script(&health, &settings, "3r");
    health_restore(&health, 7 * NS_PER_S);
    observe_script(&health, &settings, "... 10t 3r");
    cr_expect_eq(ms(health.up_since_ns), 1301);

    health = (struct health){0};
    health_restore(&health, 7 * NS_PER_S);
    health_link_lost(&health);
    observe_script(&health, &settings, "3r");
    cr_expect_eq(ms(health.up_since_ns), 1);
}

/* --- what the selector and the status read --- */

Test(health, a_request_that_was_overtaken_is_lost_but_not_missing)
{
    struct health_settings settings = settings_of(0, 0);
    struct script *script = write_script("3r t 2r", settings.select_timeout_ns, true);
    struct health health = {0};

    for (size_t i = 0; i < script->count; i++) {
        health_observe(&health, &settings, &script->observations[i]);
        cr_expect(!health_evidence(&health).missing && !health.first_missed_ns, "%zu", i);
    }
    cr_expect_eq(health_loss_ppm(&health), 1000000 / 3, "of those after it came up");
}

Test(health, evidence)
{
    struct health_settings settings = settings_of(0, 0);
    struct health health = {0};

    observe_script(&health, &settings, "3r 2t");
    cr_expect_eq(health.misses, 2);
    cr_expect_eq(ms(health.first_missed_ns), 300);
    cr_expect_eq(ms(health.last_reply_ns), 201);
    cr_expect_eq(ms(health.proven_ns), 200, "proof is when the answered request was sent");
    cr_expect_eq(health.rtt_ns, NS_PER_MS);
    cr_expect_eq(health.last, PROBE_TIMEOUT);
    /* The late reply to the request sent at 300 proves life at 300, not when it came. */
    health_observe(&health, &settings,
                   &(struct probe_observation){.outcome = PROBE_LATE,
                                               .sent_ns = BEGIN_NS + 300 * NS_PER_MS,
                                               .at_ns = BEGIN_NS + 550 * NS_PER_MS,
                                               .rtt_ns = 250 * NS_PER_MS});
    cr_expect_eq(health.misses, 0);
    cr_expect_eq(ms(health.proven_ns), 300);
    cr_expect_eq(ms(health.last_reply_ns), 550);
    cr_expect_eq(health.rtt_ns, NS_PER_MS * 7 / 8 + 250 * NS_PER_MS / 8, "RFC 6298, alpha 1/8");
    cr_expect_str_eq(health_state_text(HEALTH_DOWN), "down");
}
