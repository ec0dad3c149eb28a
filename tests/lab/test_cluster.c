/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves who leads the lab's cluster, in virtual time over a simulated network: the lowest of equals, never a
 * member whose table is older than a living one, also where it cannot know that; and that there is one leader
 * a term, and in the end one table, whatever was lost and restarted.
 */
#include "tools/sessiond/cluster.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

#define MEMBERS      3
#define TICK_NS      (50 * NS_PER_MS)
#define HEARTBEAT_NS (250 * NS_PER_MS)
#define LEASE_NS     (7 * NS_PER_S)
#define QUEUE_MAX    4096

struct message {
    unsigned from, to;
    char *text;
};

static struct network {
    uint64_t now_ns;
    struct lab_cluster *members[MEMBERS + 1]; /* by number; NULL: off */
    bool lost[MEMBERS + 1][MEMBERS + 1];      /* [from][to] */
    struct message queue[QUEUE_MAX];
    size_t queued;
} net;

static void on_send(void *context, unsigned to, const char *text)
{
    unsigned from = (unsigned)(uintptr_t)context;

    for (unsigned id = 1; id <= MEMBERS; id++) {
        if (id == from || (to != 0 && to != id) || net.lost[from][id])
            continue;
        cr_assert_lt(net.queued, QUEUE_MAX);
        net.queue[net.queued++] = (struct message){from, id, strdup(text)};
    }
}

static void power_on_as_one_of(unsigned id, unsigned members)
{
    struct lab_cluster_settings settings = {
        .self = {.id = id},
        .members = members,
        .lease_ns = LEASE_NS,
        .heartbeat_ns = HEARTBEAT_NS,
        .send = on_send,
        .context = (void *)(uintptr_t)id,
    };

    snprintf(settings.self.ip, sizeof(settings.self.ip), "10.0.0.%u", id);
    cr_assert_eq(lab_cluster_new(&net.members[id], &settings, net.now_ns), 0);
}

static void power_on(unsigned id)
{
    power_on_as_one_of(id, MEMBERS);
}

static void power_off(unsigned id)
{
    net.members[id] = lab_cluster_free(net.members[id]);
}

/* Messages are under way for no time; what they cause is delivered too. */
static void deliver(void)
{
    for (size_t i = 0; i < net.queued; i++) {
        struct message m = net.queue[i];

        if (net.members[m.to])
            lab_cluster_receive(net.members[m.to], m.text, strlen(m.text), net.now_ns);
        free(m.text);
    }
    net.queued = 0;
}

static void run(uint64_t duration_ns)
{
    for (uint64_t end_ns = net.now_ns + duration_ns; net.now_ns < end_ns;) {
        net.now_ns += TICK_NS;
        for (unsigned id = 1; id <= MEMBERS; id++) {
            if (net.members[id])
                lab_cluster_tick(net.members[id], net.now_ns);
        }
        deliver();
    }
}

static void begin(void)
{
    net = (struct network){.now_ns = 1000 * NS_PER_S};
    for (unsigned id = 1; id <= MEMBERS; id++)
        power_on(id);
    run(3 * NS_PER_S);
}

static void end(void)
{
    deliver();
    for (unsigned id = 1; id <= MEMBERS; id++)
        power_off(id);
}

/* --- what a member knows ---------------------------------------------------------------------------------*/

static double number_of(unsigned id, const char *name)
{
    cJSON *state = lab_cluster_state(net.members[id], net.now_ns);
    double number = cJSON_GetObjectItem(state, name)->valuedouble;

    cJSON_Delete(state);
    return number;
}

static unsigned leader_of(unsigned id)
{
    return (unsigned)number_of(id, "leader");
}

/* The leader that all members name that are on; 0: they do not agree, or there is none. */
static unsigned leader(void)
{
    unsigned found = 0;

    for (unsigned id = 1; id <= MEMBERS; id++) {
        if (!net.members[id])
            continue;
        if (found && leader_of(id) != found)
            return 0;
        found = leader_of(id);
        if (found == 0)
            return 0;
    }
    return found;
}

/* "uuid clients, ..." of the sessions of a member, as another one knows them; all members: 0. */
static const char *sessions(unsigned id, unsigned of)
{
    static char text[16][4096];
    static unsigned turn;
    char *out = text[turn++ % ARRAY_SIZE(text)];
    cJSON *state = lab_cluster_state(net.members[id], net.now_ns), *s;

    out[0] = '\0';
    cJSON_ArrayForEach(s, cJSON_GetObjectItem(state, "sessions"))
    {
        if (of == 0 || cJSON_GetObjectItem(s, "cid")->valuedouble == of)
            snprintf(out + strlen(out), sizeof(text[0]) - strlen(out), "%s %s, ",
                     cJSON_GetObjectItem(s, "uuid")->valuestring,
                     cJSON_GetObjectItem(s, "clients")->valuestring);
    }
    cJSON_Delete(state);
    return out;
}

/* Moves a client address to the only session of a member, by way of the leader. */
static int refresh(unsigned of, const char *clients)
{
    char uuid[LAB_UUID_SIZE];

    snprintf(uuid, sizeof(uuid), "%s", sessions(leader_of(of), of));
    return lab_cluster_refresh(net.members[leader_of(of)], uuid, clients, net.now_ns);
}

/* --- who leads -------------------------------------------------------------------------------------------*/

Test(lab_cluster, the_lowest_of_equals_leads)
{
    begin();
    cr_assert_eq(leader(), 1);
    for (unsigned id = 1; id <= MEMBERS; id++)
        cr_assert_str_eq(sessions(id, 0), sessions(1, 0));
    end();
}

Test(lab_cluster, a_leader_dies_and_nothing_is_forgotten)
{
    char before[4096];

    begin();
    cr_assert_eq(refresh(3, "10.9.9.9"), 0);
    deliver();
    snprintf(before, sizeof(before), "%s", sessions(1, 3));
    cr_assert(strstr(before, "10.9.9.9"));
    power_off(1);
    run(3 * NS_PER_S);
    cr_assert_eq(leader(), 2);
    cr_assert_str_eq(sessions(2, 3), before);
    cr_assert_str_eq(sessions(3, 3), before);
    end();
}

Test(lab_cluster, a_restarted_leader_with_an_empty_table_follows)
{
    char before[4096];

    begin();
    cr_assert_eq(refresh(2, "10.9.9.9"), 0);
    snprintf(before, sizeof(before), "%s", sessions(1, 2));
    power_off(1);
    power_on(1);
    run(5 * NS_PER_S);
    cr_assert_eq(leader(), 2);
    for (unsigned id = 1; id <= MEMBERS; id++)
        cr_assert_str_eq(sessions(id, 2), before);
    end();
}

/*
 * A member that has restarted misses the last table, and then all that the one says that has it: it cannot
 * know of the newer table, but whom it asks does. `ticks` is how long before its end the leader is not heard.
 */
static void check_older_table(unsigned older, unsigned ticks)
{
    unsigned newer = 4 - older;

    begin();
    power_off(1); /* so that 2 leads, and the two have numbers on either side */
    run(3 * NS_PER_S);
    power_on(1);
    if (older == 3) {
        power_off(3);
        power_on(3);
    }
    run(LEASE_NS + NS_PER_S);
    cr_assert_eq(leader(), 2);

    net.lost[2][older] = true;
    run(ticks * TICK_NS);
    net.lost[newer][older] = true;
    cr_assert_eq(refresh(3, "10.9.9.9"), 0);
    deliver();
    power_off(2);
    for (unsigned i = 0; i < 100; i++) {
        run(TICK_NS);
        cr_assert_neq(leader_of(older), older, "%u leads with the older table, %u", older, ticks);
    }
    net.lost[newer][older] = false;
    run(3 * NS_PER_S);
    cr_assert_eq(leader(), newer, "%u leads in the end, %u", newer, ticks);
    cr_assert(strstr(sessions(older, 3), "10.9.9.9"));
    end();
}

Test(lab_cluster, an_older_table_does_not_lead)
{
    for (unsigned older = 1; older <= 3; older += 2) {
        for (unsigned ticks = 0; ticks < 10; ticks++)
            check_older_table(older, ticks);
    }
}

Test(lab_cluster, a_leader_that_was_cut_off_follows_the_new_one)
{
    begin();
    for (unsigned id = 2; id <= 3; id++)
        net.lost[1][id] = net.lost[id][1] = true;
    run(LEASE_NS + 3 * NS_PER_S);
    cr_assert_eq(leader_of(1), 0);
    cr_assert_eq(leader_of(3), 2);
    cr_assert_str_eq(sessions(2, 1), "");
    memset(net.lost, 0, sizeof(net.lost));
    run(NS_PER_S);
    cr_assert_eq(leader(), 2);
    cr_assert_str_eq(sessions(1, 0), sessions(2, 0));
    end();
}

/* --- word for word ---------------------------------------------------------------------------------------*/

static void receive(unsigned to, unsigned from, const char *type, unsigned term, unsigned index,
                    unsigned wanted)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"type\":\"%s\",\"from\":%u,\"term\":%u,\"index\":%u,\"wanted_term\":%u,\"sessions\":[]}",
             type, from, term, index, wanted);
    lab_cluster_receive(net.members[to], text, strlen(text), net.now_ns);
}

/* Who has been sent a consent since the last call; 0: nobody. */
static unsigned consented(void)
{
    unsigned found = 0;

    for (size_t i = 0; i < net.queued; i++) {
        if (strstr(net.queue[i].text, "\"consent\""))
            found = net.queue[i].to;
    }
    deliver();
    return found;
}

Test(lab_cluster, consents_and_tables)
{
    static const struct {
        const char *what, *type;
        unsigned from, term, index, wanted;
        unsigned wait_s;                  /* before */
        unsigned want_consent, want_term; /* to whom; of the table afterwards */
    } rows[] = {
        {"nothing known, no leader: yes", "ask", 1, 0, 0, 5, 3, 1, 0},
        {"the same term to another one: no", "ask", 2, 0, 0, 5, 0, 0, 0},
        {"an earlier term: no", "ask", 2, 0, 0, 4, 0, 0, 0},
        {"a later term: yes", "ask", 2, 0, 0, 6, 0, 2, 0},
        {"its table is taken", "table", 2, 6, 10, 0, 0, 0, 6},
        {"a leader is heard: no", "ask", 1, 6, 10, 7, 0, 0, 6},
        {"an older index: no", "ask", 1, 6, 9, 8, 3, 0, 6},
        {"an older term, whatever the index: no", "ask", 1, 5, 99, 9, 0, 0, 6},
        {"as new a table: yes", "ask", 1, 6, 10, 10, 0, 1, 6},
        {"a table of an older term is not taken", "table", 1, 5, 99, 0, 0, 0, 6},
        {"one of a later term is, whatever the index", "table", 1, 10, 3, 0, 0, 0, 10},
    };

    net = (struct network){.now_ns = 1000 * NS_PER_S};
    power_on(3);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        run(rows[i].wait_s * NS_PER_S);
        receive(3, rows[i].from, rows[i].type, rows[i].term, rows[i].index, rows[i].wanted);
        cr_assert_eq(consented(), rows[i].want_consent, "%s", rows[i].what);
        cr_assert_eq(number_of(3, "term"), rows[i].want_term, "%s", rows[i].what);
    }
    end();
}

/* Of four, two are no majority; nor is a consent to what was not asked one. */
Test(lab_cluster, half_is_no_majority)
{
    static const struct {
        const char *what;
        unsigned from, term, want_leader;
    } rows[] = {
        {"its own and another one", 2, 1, 0},
        {"the same once more", 2, 1, 0},
        {"one to another term", 3, 2, 0},
        {"three", 3, 1, 1},
    };

    net = (struct network){.now_ns = 1000 * NS_PER_S};
    power_on_as_one_of(1, 4);
    net.now_ns += 6 * HEARTBEAT_NS;
    for (unsigned id = 2; id <= 4; id++)
        receive(1, id, "heartbeat", 0, 0, 0);
    lab_cluster_tick(net.members[1], net.now_ns);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        receive(1, rows[i].from, "consent", 0, 0, rows[i].term);
        cr_assert_eq(leader_of(1), rows[i].want_leader, "%s", rows[i].what);
    }
    end();
}

Test(lab_cluster, a_session_that_is_never_listed_is_made_anew)
{
    cJSON *state;
    char before[LAB_UUID_SIZE];

    net = (struct network){.now_ns = 1000 * NS_PER_S};
    power_on(3);
    state = lab_cluster_state(net.members[3], net.now_ns);
    snprintf(before, sizeof(before), "%s", cJSON_GetObjectItem(state, "uuid")->valuestring);
    cJSON_Delete(state);
    for (unsigned index = 1; index <= 8; index++) {
        bool changed;

        receive(3, 1, "table", 1, index, 0);
        run(HEARTBEAT_NS);
        state = lab_cluster_state(net.members[3], net.now_ns);
        changed = strcmp(before, cJSON_GetObjectItem(state, "uuid")->valuestring) != 0;
        cJSON_Delete(state);
        cr_assert_eq(changed, index > 6, "after %u tables", index); /* five heartbeats of patience */
    }
    end();
}

Test(lab_cluster, a_leader_yields_to_a_later_term)
{
    begin();
    receive(1, 2, "heartbeat", 50, 1, 0);
    cr_assert_eq(leader_of(1), 0);
    end();
}

/* --- whatever happens ------------------------------------------------------------------------------------*/

/* Who has led a term, as far as was seen; a member is another one after a restart. */
static unsigned led_by[10000];

static void check_one_leader_a_term(unsigned seed)
{
    for (unsigned id = 1; id <= MEMBERS; id++) {
        size_t term = net.members[id] ? (size_t)number_of(id, "term") : 0;

        if (!term || leader_of(id) != id)
            continue;
        cr_assert_lt(term, ARRAY_SIZE(led_by));
        cr_assert(led_by[term] == 0 || led_by[term] == id, "seed %u: %u and %u lead term %zu", seed,
                  led_by[term], id, term);
        led_by[term] = id;
    }
}

static uint64_t random_state;

static unsigned random_below(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(random_state >> 33) % n;
}

Test(lab_cluster, in_the_end_all_agree)
{
    for (unsigned seed = 1; seed <= 100; seed++) {
        bool restarts = seed % 2; /* who remembers nothing cannot be held to one leader a term */

        random_state = seed;
        memset(led_by, 0, sizeof(led_by));
        begin();
        for (unsigned step = 0; step < 60; step++) {
            unsigned id = 1 + random_below(MEMBERS), other = 1 + random_below(MEMBERS);

            net.lost[id][other] = random_below(2);
            if (restarts && net.members[id] && random_below(6) == 0)
                power_off(id);
            else if (!net.members[id])
                power_on(id);
            for (unsigned ticks = random_below(20); ticks > 0; ticks--) {
                run(TICK_NS);
                if (!restarts)
                    check_one_leader_a_term(seed);
            }
        }
        memset(net.lost, 0, sizeof(net.lost));
        for (unsigned id = 1; id <= MEMBERS; id++) {
            if (!net.members[id])
                power_on(id);
        }
        run(LEASE_NS + 5 * NS_PER_S);
        cr_assert_neq(leader(), 0, "seed %u: one leads", seed);
        for (unsigned id = 1; id <= MEMBERS; id++) {
            cr_assert_str_eq(sessions(id, 0), sessions(1, 0), "seed %u: one table", seed);
            cr_assert_str_neq(sessions(1, id), "", "seed %u: %u is in it", seed, id);
        }
        end();
    }
}
