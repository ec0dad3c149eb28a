/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what the state directory keeps of the dead: through a restart, for a bounded time, over a boot by
 * the wall clock. And that a state which is broken is told.
 */
#include "probe/scope.h"
#include "route/agent/state.h"
#include "route/log.h"
#include "route/own_file.h"

#include <criterion/criterion.h>
#include <sys/syscall.h>

static char directory[64];
static uint64_t uptime_ns; /* of a host that has just booted; 0: as it is */

/* In place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
    if (clock != CLOCK_BOOTTIME || !uptime_ns)
        return (int)syscall(SYS_clock_gettime, clock, ts);
    *ts =
        (struct timespec){.tv_sec = (time_t)(uptime_ns / NS_PER_S), .tv_nsec = (long)(uptime_ns % NS_PER_S)};
    return 0;
}

static void make_directory(void)
{
    snprintf(directory, sizeof(directory), "/tmp/reroute-state-XXXXXX");
    cr_assert(mkdtemp(directory));
}

static void remove_directory(void)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/state.json", directory);
    unlink(path);
    rmdir(directory);
}

static void save(const struct state *state)
{
    CLEANUP(free) char *text = state_text(state);

    cr_assert_not_null(text);
    cr_assert_eq(own_file_write(directory, "state.json", text), 0);
}

static void write_state(uint64_t saved_realtime_ns, uint64_t age_ns)
{
    char path[96];
    FILE *file;

    snprintf(path, sizeof(path), "%s/state.json", directory);
    file = fopen(path, "we");
    cr_assert(file);
    fprintf(file,
            "{\"schema\":\"reroute.state/1\",\"boot_id\":\"another\",\"saved_ns\":\"1\","
            "\"saved_realtime_ns\":\"%" PRIu64 "\",\"deaths\":[{\"address\":\"10.0.0.1\",\"age_ns\":"
            "\"%" PRIu64 "\"},{\"address\":7},{}]}",
            saved_realtime_ns, age_ns);
    fclose(file);
}

/* What is not known is kept too, also where nothing was ever put. */
Test(state, the_route_is_kept, .init = make_directory, .fini = remove_directory)
{
    static const struct {
        const char *next_hop, *unsettled;
    } rows[] = {{"10.0.0.1", "10.0.0.2"}, {NULL, "10.0.0.2"}, {"10.0.0.1", NULL}, {NULL, NULL}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct state saved = {0}, state;

        address_parse(&saved.service, "192.168.33.2");
        if (rows[i].next_hop)
            address_parse(&saved.next_hop, rows[i].next_hop);
        if (rows[i].unsettled)
            address_parse(&saved.unsettled, rows[i].unsettled);
        save(&saved);
        state_load(&state, directory, NS_PER_S);
        cr_expect(address_equal(&state.next_hop, &saved.next_hop), "%zu", i);
        cr_expect(address_equal(&state.unsettled, &saved.unsettled), "%zu", i);
        if (rows[i].next_hop || rows[i].unsettled)
            cr_expect(address_equal(&state.service, &saved.service), "%zu", i);
        state_clear(&state);
    }
}

/* Who puts a route by hand settles it. */
Test(state, a_route_by_hand_is_settled, .init = make_directory, .fini = remove_directory)
{
    struct state saved = {0}, state;

    address_parse(&saved.service, "192.168.33.2");
    address_parse(&saved.unsettled, "10.0.0.2");
    save(&saved);
    address_parse(&saved.next_hop, "10.0.0.3");
    cr_assert_eq(state_own_route(directory, &saved.service, &saved.next_hop), 0);
    state_load(&state, directory, NS_PER_S);
    cr_expect(address_equal(&state.next_hop, &saved.next_hop));
    cr_expect_not(address_is_set(&state.unsettled));
    state_clear(&state);
}

Test(state, the_dead_are_kept, .init = make_directory, .fini = remove_directory)
{
    uint64_t now_ns = clock_now_ns(CLOCK_BOOTTIME);
    struct state_death death = {.missed_ns = now_ns - NS_PER_MS};
    struct state saved = {.deaths = &death, .death_count = 1}, state;

    address_parse(&death.address, "10.0.0.1");
    save(&saved);
    state_load(&state, directory, NS_PER_S);
    cr_assert_eq(state.death_count, 1);
    cr_expect(address_equal(&state.deaths[0].address, &death.address));
    cr_expect_leq(state.deaths[0].missed_ns, death.missed_ns + 10 * NS_PER_MS);
    cr_expect_geq(state.deaths[0].missed_ns + NS_PER_S, death.missed_ns);
    state_clear(&state);
}

Test(state, the_dead_are_kept_though_their_interface_is_not_there, .init = make_directory,
     .fini = remove_directory)
{
    struct state_death death = {.missed_ns = clock_now_ns(CLOCK_BOOTTIME) - NS_PER_MS};
    struct state saved = {.deaths = &death, .death_count = 1}, state;

    cr_assert_eq(scope_parse_lasting(&death.address, "fe80::1%nosuch0"), 0);
    save(&saved);
    state_load(&state, directory, NS_PER_S);
    cr_assert_eq(state.death_count, 1);
    cr_expect(address_equal(&state.deaths[0].address, &death.address));
    state_clear(&state);
}

Test(state, the_dead_are_kept_over_a_boot_but_not_for_ever, .init = make_directory, .fini = remove_directory)
{
    uint64_t wall_ns = clock_now_ns(CLOCK_REALTIME), age_ns = STATE_DEATH_AGE_NS;
    const struct {
        const char *name;
        uint64_t saved_realtime_ns, age_ns;
        size_t want;
    } rows[] = {
        {"a minute ago", wall_ns - 60 * NS_PER_S, 0, 1},
        {"too long ago", wall_ns - age_ns - NS_PER_S, 0, 0},
        {"too long ago, both together", wall_ns - age_ns / 2 - NS_PER_S, age_ns / 2, 0},
        {"the clock was set back", wall_ns + 3600 * NS_PER_S, 0, 0},
        {"not said", 0, 0, 0},
        {"nonsense", UINT64_MAX, UINT64_MAX, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct state state;

        write_state(rows[i].saved_realtime_ns, rows[i].age_ns);
        state_load(&state, directory, NS_PER_S);
        cr_expect_eq(state.death_count, rows[i].want, "%s: %zu", rows[i].name, state.death_count);
        state_clear(&state);
    }
}

/* Agents that are started again and again after a boot. */
Test(state, a_death_of_before_this_boot_gets_no_younger, .init = make_directory, .fini = remove_directory)
{
    uint64_t left_ns = 10 * NS_PER_S;

    write_state(clock_now_ns(CLOCK_REALTIME), STATE_DEATH_AGE_NS - left_ns);
    for (uptime_ns = NS_PER_S; uptime_ns < left_ns; uptime_ns += 2 * NS_PER_S) {
        struct state state;

        state_load(&state, directory, NS_PER_S);
        cr_assert_eq(state.death_count, 1);
        cr_expect_eq(state.deaths[0].missed_ns, 0);
        save(&state);
        state_clear(&state);
    }
    uptime_ns = left_ns + 3 * NS_PER_S;
    {
        struct state state;

        state_load(&state, directory, NS_PER_S);
        cr_expect_eq(state.death_count, 0, "it is over");
        state_clear(&state);
    }
    uptime_ns = 0;
}

/* What the log says while a state is loaded. */
static const char *said_of(const char *text)
{
    static char said[1024];
    int both[2];
    struct state state;
    char path[96];
    FILE *file;
    ssize_t n;

    snprintf(path, sizeof(path), "%s/state.json", directory);
    unlink(path);
    if (text) {
        file = fopen(path, "we");
        cr_assert(file);
        fputs(text, file);
        fclose(file);
    }
    cr_assert_eq(pipe(both), 0);
    log_open(both[1], NULL);
    state_load(&state, directory, NS_PER_S);
    cr_expect_eq(state.pin[0], '\0');
    state_clear(&state);
    log_close();
    close(both[1]);
    n = read(both[0], said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = '\0';
    close(both[0]);
    return said;
}

Test(state, what_is_broken_is_told, .init = make_directory, .fini = remove_directory)
{
    static const char *const broken[] = {
        "",
        "{\"schema\":\"reroute.state/1\",\"pin\":{\"target\":\"no",
        "{\"schema\":\"reroute.state/2\",\"pin\":{\"target\":\"node1\"}}",
        "{}",
        "7",
    };

    for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
        cr_expect(strstr(said_of(broken[i]), "event=not-read file="), "%zu: %s", i, said_of(broken[i]));
    cr_expect_str_eq(said_of(NULL), "", "the first start");
    cr_expect_str_eq(said_of("{\"schema\":\"reroute.state/1\"}"), "");
}

Test(state, until_when_orders_hold_and_why, .init = make_directory, .fini = remove_directory)
{
    struct drain drains[] = {
        {.access = "node1", .terms = {.until_ns = 1800000000 * NS_PER_S, .because = "a \"disk\""}},
        {.access = "node2"}};
    struct state state = {.pin = "node3",
                          .pin_hard = true,
                          .pin_terms = {.until_ns = 1900000000 * NS_PER_S, .because = "noise"},
                          .drained = drains,
                          .drained_count = ARRAY_SIZE(drains)};

    save(&state);
    state_load(&state, directory, NEVER_NS);
    cr_expect(state.pin_hard);
    cr_expect_eq(state.pin_terms.until_ns, 1900000000 * NS_PER_S);
    cr_expect_str_eq(state.pin_terms.because, "noise");
    cr_assert_eq(state.drained_count, 2);
    for (size_t i = 0; i < ARRAY_SIZE(drains); i++) {
        cr_expect_str_eq(state.drained[i].access, drains[i].access);
        cr_expect_eq(state.drained[i].terms.until_ns, drains[i].terms.until_ns);
        cr_expect_str_eq(state.drained[i].terms.because, drains[i].terms.because);
    }
    state_clear(&state);
}

/* As an agent wrote it that knew of no terms. */
Test(state, orders_without_terms, .init = make_directory, .fini = remove_directory)
{
    struct state state;
    char path[96];
    FILE *file;

    snprintf(path, sizeof(path), "%s/state.json", directory);
    file = fopen(path, "we");
    cr_assert(file);
    fputs("{\"schema\":\"reroute.state/"
          "1\",\"pin\":{\"target\":\"node3\",\"hard\":false},\"drained\":[\"node1\"]}",
          file);
    fclose(file);
    state_load(&state, directory, NEVER_NS);
    cr_expect_str_eq(state.pin, "node3");
    cr_expect_eq(state.pin_terms.until_ns, 0);
    cr_assert_eq(state.drained_count, 1);
    cr_expect_str_eq(state.drained[0].access, "node1");
    cr_expect_eq(state.drained[0].terms.until_ns, 0);
    state_clear(&state);
}

/* Whose the route is, where no table says so: noted by an agent or by hand, and nothing else is lost by that. */
Test(state, the_route_that_was_put, .init = make_directory, .fini = remove_directory)
{
    struct address service, node;
    struct state state = {.pin = "node1"};

    address_parse(&service, "192.168.33.2");
    address_parse(&node, "10.0.0.1");
    save(&state);
    state_load(&state, directory, NEVER_NS);
    cr_expect_not(address_is_set(&state.next_hop));
    state_clear(&state);
    cr_expect_eq(state_own_route(directory, &service, &node), 0);
    state_load(&state, directory, NEVER_NS);
    cr_expect(address_equal(&state.service, &service));
    cr_expect(address_equal(&state.next_hop, &node));
    cr_expect_str_eq(state.pin, "node1");
    state_clear(&state);
    cr_expect_eq(state_own_route(directory, &service, &(struct address){0}), 0);
    state_load(&state, directory, NEVER_NS);
    cr_expect_not(address_is_set(&state.next_hop));
    state_clear(&state);
}
