/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person is told: why a path is not as it should be, and what becomes of a pin to such a path. Nothing that is
 * not so: of the path in use the route does not "go there", and while the agent only observes it goes nowhere.
 */
#include "route/agent/happening.h"
#include "route/agent/private.h"
#include "tests/parts/stage.h"

#include <criterion/criterion.h>

static struct stage stage;
static struct agent agent;

/* Who is told of an order has no part in this. */
void agent_tell(struct agent *unused, const struct happening *happening)
{
}

static void begin(void)
{
    static const struct agent_options options = {0};

    stage_open(&stage);
    stage.config.probe.select_timeout_ns = 20 * NS_PER_MS;
    stage.config.probe.select_count = 10;
    stage.config.probe.degraded_percent = 30;
    agent = (struct agent){.options = &options,
                           .config = &stage.config,
                           .now_ns = stage.now.now_ns,
                           .host.table = stage.table,
                           .host.health_settings = {.degraded_over_ns = 10 * NS_PER_S}};
    for (uint32_t i = 0; i < stage.table.path_count; i++) {
        agent.host.table.paths[i].entry.link_usable = true;
        agent.host.table.paths[i].probing.streamed = true;
        agent.host.table.selector_paths[i].on_link = true;
        agent.host.table.selector_paths[i].link_usable = true;
        agent.host.table.selector_paths[i].health.state = HEALTH_UP;
    }
    for (uint32_t i = 0; i < stage.table.access_count; i++)
        agent.host.table.selector_accesses[i].session = SESSION_STABLE;
}

static void end(void)
{
    orders_clear(&agent.orders);
    stage_close(&stage);
}

/* --- why --- */

/* The text for the first path, which is in use. */
static const char *why(bool degraded, bool held_up)
{
    static char buffer[160];

    agent.host.table.selector_paths[0].health.degraded = degraded;
    agent.service.watch.verdict.held_up = held_up;
    return agent_path_why(&agent, 0, buffer, sizeof(buffer));
}

Test(answers, a_path_that_is_only_held_up_is_called_so, .init = begin, .fini = end)
{
    static const char degraded[] = "degraded: too many requests are lost; clean after 10 s with 15 % at most";

    cr_expect_str_eq(why(false, false), "");
    cr_expect_str_eq(why(true, false), degraded);
    cr_expect_str_eq(why(true, true), degraded);
    cr_expect_str_eq(why(false, true),
                     "held up: requests are lost, and what a connection of this host sent again is not "
                     "acknowledged either");
    agent.service.current = 2;
    cr_expect_str_eq(why(false, true), "", "another one is in use");
}

/* --- pins --- */

enum is { CLEAN, DEAD, LOSING, DRAINED, UNJUDGED, NOT_ON_LINK };

struct row {
    const char *what;
    const char *target;
    enum is is; /* all paths of its access */
    bool hard;
    bool observes;
    const char *message; /* "": nothing is to be said */
};

#define DATA_2          "10.0.0.2"
#define SILENT          " (no reply in 200 ms): "
#define IN_USE(why)     "10.0.0.1 is in use (" why "): "
#define MAY_LEAVE       "the pin does not keep the route there when another path works better"
#define NEVER_LEAVES    "no failure moves the route away"
#define CANNOT(why)     DATA_2 " cannot be used now (" why "): "
#define NO_REPLY        "no reply in 200 ms"
#define LOSES           "degraded: too many requests are lost; clean after 10 s with 15 % at most"
#define TOUCHES_NOTHING "the agent only observes now, and leaves the route as it is"

static const struct row rows[] = {
    {"the one in use, and it works", "node1", CLEAN, false, false, ""},
    {"another one that works", "node2", CLEAN, false, false, ""},
    {"in use, no reply", "node1", DEAD, false, false, IN_USE(NO_REPLY) MAY_LEAVE},
    {"by its address", "10.0.0.1", DEAD, false, false, IN_USE(NO_REPLY) MAY_LEAVE},
    {"in use, degraded", "node1", LOSING, false, false, IN_USE(LOSES) MAY_LEAVE},
    {"in use, drained", "node1", DRAINED, false, false, IN_USE("its access is drained") MAY_LEAVE},
    {"in use, not judged: perhaps it is good", "node1", UNJUDGED, false, false, ""},
    {"in use, hard, no reply", "node1", DEAD, true, false, IN_USE(NO_REPLY) NEVER_LEAVES},
    {"in use, hard, degraded", "node1", LOSING, true, false, IN_USE(LOSES) NEVER_LEAVES},
    {"in use, hard, not judged", "node1", UNJUDGED, true, false, ""},
    {"in use, while it observes", "node1", DEAD, false, true, IN_USE(NO_REPLY) TOUCHES_NOTHING},
    {"another one, no reply", "node2", DEAD, false, false,
     CANNOT(NO_REPLY) "the route goes there when it can"},
    {"hard", "node2", DEAD, true, false,
     CANNOT(NO_REPLY) "the route goes there all the same, and no failure moves it away"},
    {"hard, and not on-link", "node2", NOT_ON_LINK, true, false,
     CANNOT("not on-link: no connected network of this host holds it") "the route stays where it is until "
                                                                       "that can be entered"},
    {"another one, while it observes", "node2", DEAD, false, true, CANNOT(NO_REPLY) TOUCHES_NOTHING},
    {"hard, while it observes", "node2", DEAD, true, true, CANNOT(NO_REPLY) TOUCHES_NOTHING},
};

static void make(uint32_t path, enum is is)
{
    struct path_evidence *evidence = &agent.host.table.selector_paths[path];

    switch (is) {
    case CLEAN:
        break;
    case DEAD:
        evidence->health.state = agent.host.table.paths[path].health.state = HEALTH_DOWN;
        agent.host.table.paths[path].health.misses = 19;
        agent.host.table.paths[path].health.last = PROBE_TIMEOUT;
        break;
    case LOSING:
        evidence->health.degraded = true;
        break;
    case DRAINED:
        agent.host.table.selector_accesses[evidence->access].drained = true;
        break;
    case UNJUDGED:
        evidence->health.state = agent.host.table.paths[path].health.state = HEALTH_UNKNOWN;
        break;
    case NOT_ON_LINK:
        evidence->on_link = false;
        agent.host.table.paths[path].entry.error = -ENETUNREACH;
        break;
    }
}

Test(answers, what_becomes_of_a_pin)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        char message[320] = "";
        uint32_t first = strcmp(row->target, "node2") == 0 ? 2 : 0;

        begin();
        make(first, row->is);
        make(first + 1, row->is);
        agent.observing.state.holds = row->observes;
        cr_assert_eq(agent_pin(&agent, row->target, row->hard, &(struct terms){0}, message, sizeof(message)),
                     0);
        cr_expect_str_eq(message, row->message, "%s: %s", row->what, message);
        end();
    }
}
