/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves the rules of the selector, one table a rule, in the order and with the numbers of the list at the
 * top of route/decide/selector.c. scenario.h has the cluster and the words of the rows.
 */
#include "scenario.h"
#include <criterion/criterion.h>

#define PLAY(table) scenarios_play(table, ARRAY_SIZE(table))

/* A row: what it says, then what happens and what is wanted. */
/* clang-format off */

/* --- rule 1: cold start, no route --- */

static const struct scenario rule_1[] = {
    {"cold start: the top-ranked path is up and a list has arrived", NO_ROUTE, .unjudged = true, .rows = {
        {"nothing is known: wait",
         .t_ms = 0, .want = KEEP, .why = KEEP_COLD_START, .again_ms = 1000, .doubt = YES},
        {"a lesser path is up: wait", .t_ms = 200, .is[NEAR] = UP, .want = KEEP, .why = KEEP_COLD_START},
        {"a list, the top-ranked path is not judged: wait",
         .t_ms = 250, .list = YES, .want = KEEP, .why = KEEP_COLD_START},
        {"the top-ranked path is up: go at once, without hold",
         .t_ms = 300, .is[LOCAL] = UP, .want = SWITCH, .to = LOCAL, .why = SWITCH_COLD_START},
        {"there it stays", .t_ms = 301, .want = KEEP, .why = KEEP_BEST},
    }},
    {"cold start: the list comes last", NO_ROUTE, .unjudged = true, .rows = {
        {"top-ranked path up, no list: wait",
         .t_ms = 200, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_COLD_START},
        {"the list: go", .t_ms = 250, .list = YES, .want = SWITCH, .to = LOCAL, .why = SWITCH_COLD_START},
    }},
    {"cold start: the list says that the local session is dead", NO_ROUTE, .unjudged = true, .rows = {
        {"wait for it until the deadline",
         .t_ms = 200, .node[LOCAL_NODE] = UP, .node[NEAR_NODE] = UP, .list = YES, .session[LOCAL_NODE] = DEAD,
         .want = KEEP, .why = KEEP_COLD_START},
        {"then the best eligible one", .t_ms = 1000, .want = SWITCH, .to = NEAR, .why = SWITCH_COLD_START},
    }},
    {"cold start: the first list does not name the local access", NO_ROUTE, .unjudged = true, .rows = {
        {"wait for a second one until the deadline",
         .t_ms = 200, .node[LOCAL_NODE] = UP, .node[NEAR_NODE] = UP, .list = YES,
         .session[LOCAL_NODE] = UNLISTED, .session[NEAR_NODE] = STABLE, .want = KEEP,
         .why = KEEP_COLD_START},
        {"then one that it names", .t_ms = 1000, .want = SWITCH, .to = NEAR, .why = SWITCH_COLD_START},
    }},
    {"cold start: no path that answers is in the list", NO_ROUTE, .unjudged = true, .rows = {
        {"the local one is better than nothing",
         .t_ms = 1000, .node[LOCAL_NODE] = UP, .list = YES, .session[LOCAL_NODE] = UNLISTED, .want = SWITCH,
         .to = LOCAL, .why = SWITCH_COLD_START},
        {"one list without it is no cause to leave it", .t_ms = 1100, .want = KEEP, .why = KEEP_BEST},
        {"though another is there", .t_ms = 1200, .is[NEAR] = UP, .session[NEAR_NODE] = STABLE,
         .want = KEEP, .why = KEEP_BEST},
        {"two are", .t_ms = 2300, .session[LOCAL_NODE] = DEAD, .want = SWITCH, .to = NEAR,
         .why = SWITCH_SESSION_DEAD},
    }},
    {"cold start: the deadline", NO_ROUTE, .unjudged = true, .rows = {
        {"999 ms: wait",
         .t_ms = 999, .is[FAR] = UP, .is[LOCAL_MGMT] = UP, .want = KEEP, .why = KEEP_COLD_START},
        {"1000 ms, no list: the best eligible path",
         .t_ms = 1000, .want = SWITCH, .to = FAR, .why = SWITCH_COLD_START},
        {"the local path comes up: hold counts from now on",
         .t_ms = 1100, .is[LOCAL] = UP, .list = YES, .want = KEEP, .why = KEEP_HOLD, .candidate = LOCAL},
    }},
    {"cold start: nothing is up at the deadline", NO_ROUTE, .unjudged = true, .rows = {
        {"no route, and said so",
         .t_ms = 1000, .list = YES, .want = KEEP, .why = KEEP_NOTHING_ELIGIBLE, .doubt = YES},
        {"the first path that comes up",
         .t_ms = 5000, .is[TWIN_MGMT] = UP, .want = SWITCH, .to = TWIN_MGMT, .why = SWITCH_COLD_START},
    }},
    {"cold start: only a path with a dead session", NO_ROUTE, .unjudged = true, .rows = {
        {"is better than nothing",
         .t_ms = 1000, .list = YES, .is[FAR] = UP, .session[FAR_NODE] = DEAD, .want = SWITCH, .to = FAR,
         .why = SWITCH_COLD_START},
    }},
    {"cold start: equals, the host's choice among them is the top-ranked one",
     NO_ROUTE, .unjudged = true, .rows = {
        {"its equal was up first: wait",
         .t_ms = 200, .node[LOCAL_NODE] = ABSENT, .is[TWIN] = UP, .list = YES, .want = KEEP,
         .why = KEEP_COLD_START},
        {"it is up", .t_ms = 201, .is[NEAR] = UP, .want = SWITCH, .to = NEAR, .why = SWITCH_COLD_START},
    }},
    {"cold start: a pinned path is the top-ranked one", NO_ROUTE, .unjudged = true, .rows = {
        {"local is up: wait for the pinned one",
         .t_ms = 200, .pinned[FAR] = YES, .is[LOCAL] = UP, .list = YES, .want = KEEP, .why = KEEP_COLD_START},
        {"it is up", .t_ms = 300, .is[FAR] = UP, .want = SWITCH, .to = FAR, .why = SWITCH_COLD_START},
    }},
};

Test(selector, rule_1_cold_start)
{
    PLAY(rule_1);
}

/* --- rule 2: adopt what stands --- */

static const struct scenario rule_2[] = {
    {"adopt: the next hop is not the best path", NEAR, .unjudged = true, .rows = {
        {"no verdict: untouched, whatever else is up",
         .t_ms = 300, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_NO_VERDICT, .doubt = YES},
        {"up: untouched, hold counts for the better one",
         .t_ms = 301, .is[NEAR] = UP, .want = KEEP, .why = KEEP_HOLD, .doubt = NO},
        {"one ms before the better one's hold", .t_ms = 180299, .want = KEEP, .why = KEEP_HOLD},
        {"hold is over", .t_ms = 180300, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"adopt: the next hop is dead", LOCAL, .unjudged = true, .rows = {
        {"no verdict: untouched", .t_ms = 999, .is[NEAR] = UP, .want = KEEP, .why = KEEP_NO_VERDICT},
        {"the window is over: failover",
         .t_ms = 1000, .is[LOCAL] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
    }},
    {"adopt: the next hop's session is dead", LOCAL, .unjudged = true, .rows = {
        {"no verdict: untouched",
         .t_ms = 299, .is[NEAR] = UP, .list = YES, .session[LOCAL_NODE] = DEAD, .want = KEEP,
         .why = KEEP_NO_VERDICT},
        {"up: failover",
         .t_ms = 300, .is[LOCAL] = UP, .want = SWITCH, .to = NEAR, .why = SWITCH_SESSION_DEAD},
    }},
    {"adopt: a next hop that is no configured path", FOREIGN, .rows = {
        {"it answers: kept", .t_ms = 0, .want = KEEP, .why = KEEP_FOREIGN},
        {"kept, for hours", .t_ms = 9000000, .want = KEEP, .why = KEEP_FOREIGN},
        {"a miss: kept",
         .t_ms = 9000100, .is[FOREIGN] = MISSING, .want = KEEP, .why = KEEP_FOREIGN, .doubt = YES},
        {"down, nobody has answered since: kept",
         .t_ms = 9001000, .is[FOREIGN] = DOWN, .node[LOCAL_NODE] = STALE, .node[NEAR_NODE] = STALE,
         .node[TWIN_NODE] = STALE, .node[FAR_NODE] = STALE, .want = KEEP, .why = KEEP_WAIT_PROOF},
        {"left when a path has proved that it works",
         .t_ms = 9001005, .is[LOCAL] = UP, .want = SWITCH, .to = LOCAL, .why = SWITCH_PATH_DOWN},
        {"never returned to",
         .t_ms = 9002000, .is[FOREIGN] = UP, .is[LOCAL] = DOWN, .is[NEAR] = UP, .want = SWITCH, .to = NEAR,
         .why = SWITCH_PATH_DOWN},
    }},
    {"adopt: a foreign next hop is left on a person's word", FOREIGN, .rows = {
        {"failback --now",
         .t_ms = 0, .failback_now = true, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK_NOW},
    }},
    {"adopt: a foreign next hop and a pin", FOREIGN, .rows = {
        {"the pinned path has been healthy for its hold",
         .t_ms = 0, .pinned[NEAR] = YES, .want = PLANNED, .to = NEAR, .why = SWITCH_PIN},
    }},
};

Test(selector, rule_2_adopt)
{
    PLAY(rule_2);
}

/* --- rule 3: failover --- */

static const struct scenario rule_3[] = {
    {"failover: the local node dies", LOCAL, .rows = {
        {"all is well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST, .doubt = NO},
        {"the first miss: all paths are probed often",
         .t_ms = 900, .node[LOCAL_NODE] = MISSING, .want = KEEP, .why = KEEP_BEST, .doubt = YES},
        {"the window is over: leave at once, for the best",
         .t_ms = 1800, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"there it stays", .t_ms = 1801, .want = KEEP, .why = KEEP_BEST, .doubt = NO},
    }},
    {"failover: a miss that was none", LOCAL, .rows = {
        {"a miss", .t_ms = 0, .is[LOCAL] = MISSING, .want = KEEP, .why = KEEP_BEST, .doubt = YES},
        {"a reply: no doubt any more",
         .t_ms = 100, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_BEST, .doubt = NO},
    }},
    {"failover: one path after the other dies, in order of rank", LOCAL, .secondaries = true, .rows = {
        {"local data",
         .t_ms = 2000, .is[LOCAL] = DOWN, .want = SWITCH, .to = LOCAL_2ND, .why = SWITCH_PATH_DOWN},
        {"local secondary",
         .t_ms = 4000, .is[LOCAL_2ND] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"same zone, data",
         .t_ms = 6000, .is[NEAR] = DOWN, .want = SWITCH, .to = TWIN, .why = SWITCH_PATH_DOWN},
        {"its equal",
         .t_ms = 8000, .is[TWIN] = DOWN, .want = SWITCH, .to = NEAR_2ND, .why = SWITCH_PATH_DOWN},
        {"same zone, secondary",
         .t_ms = 10000, .is[NEAR_2ND] = DOWN, .want = SWITCH, .to = FAR, .why = SWITCH_PATH_DOWN},
        {"other zone, data",
         .t_ms = 12000, .is[FAR] = DOWN, .want = SWITCH, .to = FAR_2ND, .why = SWITCH_PATH_DOWN},
        {"other zone, secondary",
         .t_ms = 14000, .is[FAR_2ND] = DOWN, .want = SWITCH, .to = LOCAL_MGMT, .why = SWITCH_PATH_DOWN},
        {"local management",
         .t_ms = 16000, .is[LOCAL_MGMT] = DOWN, .want = SWITCH, .to = NEAR_MGMT, .why = SWITCH_PATH_DOWN},
        {"same zone, management",
         .t_ms = 18000, .is[NEAR_MGMT] = DOWN, .want = SWITCH, .to = TWIN_MGMT, .why = SWITCH_PATH_DOWN},
        {"its equal",
         .t_ms = 20000, .is[TWIN_MGMT] = DOWN, .want = SWITCH, .to = FAR_MGMT, .why = SWITCH_PATH_DOWN},
    }},
    {"failover: never from one dead path to the next", LOCAL, .rows = {
        {"the better one answered only before the current one's last reply",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = STALE, .node[TWIN_NODE] = STALE,
         .want = SWITCH, .to = FAR, .why = SWITCH_PATH_DOWN},
    }},
    {"failover: what was answered just before the network died is no proof", LOCAL, .rows = {
        {"after the current one's last reply, but before its first miss",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .is[NEAR] = RACED, .is[TWIN] = RACED, .is[FAR] = RACED,
         .want = SWITCH, .to = NEAR_MGMT, .why = SWITCH_PATH_DOWN},
    }},
    {"failover: nobody has answered since", LOCAL, .rows = {
        {"wait for proof",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = STALE, .node[TWIN_NODE] = STALE,
         .node[FAR_NODE] = STALE, .want = KEEP, .why = KEEP_WAIT_PROOF, .doubt = YES},
        {"the first that answers",
         .t_ms = 40, .is[FAR_MGMT] = UP, .want = SWITCH, .to = FAR_MGMT, .why = SWITCH_PATH_DOWN},
    }},
    {"failover: link down, at once", LOCAL, .rows = {
        {"the others have answered since: go",
         .t_ms = 0, .node[LOCAL_NODE] = LINK_DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_LINK_DOWN},
    }},
    {"failover: link down, the better paths get one select-timeout to prove their life", LOCAL, .rows = {
        {"only a lesser one has answered: wait",
         .t_ms = 0, .node[LOCAL_NODE] = LINK_DOWN, .is[NEAR] = STALE, .is[TWIN] = STALE, .want = KEEP,
         .why = KEEP_WAIT_PROOF, .again_ms = 100},
        {"99 ms: wait", .t_ms = 99, .want = KEEP, .why = KEEP_WAIT_PROOF},
        {"100 ms: the best that has answered",
         .t_ms = 100, .want = SWITCH, .to = FAR, .why = SWITCH_LINK_DOWN},
    }},
    {"failover: link down, its last reply may have come after those of the others", LOCAL, .rows = {
        {"nobody has answered since: wait",
         .t_ms = 0, .is[LOCAL] = UNPLUGGED, .is[LOCAL_MGMT] = MISSING, .node[NEAR_NODE] = MISSING,
         .node[TWIN_NODE] = MISSING, .node[FAR_NODE] = MISSING, .want = KEEP, .why = KEEP_WAIT_PROOF},
        {"one does: go", .t_ms = 40, .is[NEAR] = UP, .want = SWITCH, .to = NEAR, .why = SWITCH_LINK_DOWN},
    }},
    {"failover: link down, the better path answers in time", LOCAL, .rows = {
        {"only a lesser one has answered: wait",
         .t_ms = 0, .node[LOCAL_NODE] = LINK_DOWN, .is[NEAR] = STALE, .is[TWIN] = STALE, .want = KEEP,
         .why = KEEP_WAIT_PROOF},
        {"the host's choice has an equal that was faster: wait",
         .t_ms = 1, .is[TWIN] = UP, .want = KEEP, .why = KEEP_WAIT_PROOF},
        {"it answers: go", .t_ms = 2, .is[NEAR] = UP, .want = SWITCH, .to = NEAR, .why = SWITCH_LINK_DOWN},
    }},
    {"failover: link down after misses, no grace", LOCAL, .rows = {
        {"a miss",
         .t_ms = 0, .node[LOCAL_NODE] = MISSING, .is[NEAR] = STALE, .is[TWIN] = STALE, .want = KEEP,
         .why = KEEP_BEST},
        {"link down a select-timeout later",
         .t_ms = 100, .node[LOCAL_NODE] = LINK_DOWN, .want = SWITCH, .to = FAR, .why = SWITCH_LINK_DOWN},
    }},
    {"failover: the egress address is gone, at once, though the path still answers", LOCAL, .rows = {
        {"go", .t_ms = 0, .is[LOCAL] = OFF_LINK, .want = SWITCH, .to = NEAR, .why = SWITCH_NOT_ON_LINK},
    }},
    {"failover: the session is dead, at once", LOCAL, .rows = {
        {"no list has ever said anything of it: eligible",
         .t_ms = 0, .session[LOCAL_NODE] = UNHEARD, .want = KEEP, .why = KEEP_BEST},
        {"alive, not stable: eligible",
         .t_ms = 1000, .session[LOCAL_NODE] = ALIVE, .want = KEEP, .why = KEEP_BEST},
        {"dead: the best path of another node",
         .t_ms = 2000, .session[LOCAL_NODE] = DEAD, .want = SWITCH, .to = NEAR, .why = SWITCH_SESSION_DEAD},
    }},
    {"failover: three restarts within five minutes", LOCAL, .rows = {
        {"two are none", .t_ms = 0, .restarts[LOCAL_NODE] = 2, .want = KEEP, .why = KEEP_BEST},
        {"three are a failure",
         .t_ms = 20000, .restarts[LOCAL_NODE] = 3, .session[LOCAL_NODE] = ALIVE, .want = SWITCH, .to = NEAR,
         .why = SWITCH_RESTARTING},
        {"not stable yet: not pulled back", .t_ms = 199000, .want = KEEP, .why = KEEP_BEST},
        {"no restart for hold: come home",
         .t_ms = 200000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failover: the service check fails", LOCAL, .rows = {
        {"leave", .t_ms = 0, .service[LOCAL] = BAD, .want = SWITCH, .to = NEAR, .why = SWITCH_SERVICE_CHECK},
    }},
    {"failover: a degraded path is left for a clean one only", LOCAL, .rows = {
        {"all others degraded too: stay",
         .t_ms = 0, .node[LOCAL_NODE] = DEGRADED, .node[NEAR_NODE] = DEGRADED, .node[TWIN_NODE] = DEGRADED,
         .node[FAR_NODE] = DEGRADED, .want = KEEP, .why = KEEP_DEGRADED},
        {"a clean one: go", .t_ms = 1000, .is[FAR] = UP, .want = SWITCH, .to = FAR, .why = SWITCH_DEGRADED},
        {"that one dies: a degraded one is eligible if no clean one is",
         .t_ms = 12000, .is[FAR] = DOWN, .want = SWITCH, .to = LOCAL, .why = SWITCH_PATH_DOWN},
    }},
    {"failover: from a degraded path, not to one that may lose as much: all are asked first", LOCAL, .rows = {
        {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST, .doubt = NO},
        {"it loses one: all are asked", .t_ms = 200, .is[LOCAL] = LOSING, .want = KEEP, .why = KEEP_BEST, .doubt = YES},
        {"too many", .t_ms = 900, .is[LOCAL] = DEGRADED, .want = KEEP, .why = KEEP_WAIT_PROOF, .again_ms = 950},
        {"asked 15 times: the best loses, too", .t_ms = 950, .is[NEAR] = LOSING, .is[TWIN] = LOSING, .want = KEEP,
         .why = KEEP_WAIT_PROOF, .again_ms = 1700},
        {"no longer", .t_ms = 1400, .is[NEAR] = UP, .want = SWITCH, .to = NEAR, .why = SWITCH_DEGRADED},
        {"it is well, all the same", .t_ms = 1500, .want = KEEP, .why = KEEP_BEST, .doubt = NO},
    }},
    {"failover: from a degraded path, after twice the time to the best that loses nothing", LOCAL, .rows = {
        {"", .t_ms = 0, .is[LOCAL] = DEGRADED, .is[NEAR] = LOSING, .want = KEEP, .why = KEEP_WAIT_PROOF,
         .again_ms = 750},
        {"not yet", .t_ms = 1499, .want = KEEP, .why = KEEP_WAIT_PROOF, .again_ms = 1500},
        {"now", .t_ms = 1500, .want = SWITCH, .to = TWIN, .why = SWITCH_DEGRADED},
    }},
    {"failover: from a degraded path, not to one that lost more over the hold", LOCAL, .rows = {
        {"", .t_ms = 0, .is[LOCAL] = DEGRADED, .lost_per_mille[LOCAL] = 20, .lost_per_mille[NEAR] = 21,
         .lost_per_mille[TWIN] = 20, .want = KEEP, .why = KEEP_WAIT_PROOF, .again_ms = 750},
        {"another one will do, after twice the time", .t_ms = 1500, .want = SWITCH, .to = TWIN, .why = SWITCH_DEGRADED},
    }},
    {"failover: all lose at once, the host's own link: nowhere", LOCAL, .rows = {
        {"", .t_ms = 0, .is[LOCAL] = DEGRADED, .is[LOCAL_MGMT] = LOSING, .is[NEAR] = LOSING, .is[NEAR_MGMT] = LOSING,
         .is[TWIN] = LOSING, .is[TWIN_MGMT] = LOSING, .is[FAR] = LOSING, .is[FAR_MGMT] = LOSING, .want = KEEP,
         .why = KEEP_WAIT_PROOF},
        {"nor later", .t_ms = 60000, .want = KEEP, .why = KEEP_WAIT_PROOF},
        {"one dies: what loses is better", .t_ms = 61000, .is[LOCAL] = DOWN, .want = SWITCH, .to = NEAR,
         .why = SWITCH_PATH_DOWN},
    }},
    {"failover: all is degraded alike, a limit on echoes: rank counts again after a hold", FAR_MGMT, .rows = {
        {"not at once", .t_ms = 0, .node[LOCAL_NODE] = DEGRADED, .node[NEAR_NODE] = DEGRADED, .node[TWIN_NODE] = DEGRADED, .node[FAR_NODE] = DEGRADED, .want = KEEP, .why = KEEP_DEGRADED, .again_ms = 180000},
        {"not before the hold", .t_ms = 179999, .want = KEEP, .why = KEEP_DEGRADED},
        {"data before management, home before others", .t_ms = 180000, .want = SWITCH, .to = LOCAL,
         .why = SWITCH_DEGRADED},
        {"and no further", .t_ms = 400000, .want = KEEP, .why = KEEP_DEGRADED},
        {"a clean one is better still", .t_ms = 401000, .is[FAR_MGMT] = UP, .want = SWITCH, .to = FAR_MGMT,
         .why = SWITCH_DEGRADED},
        {"which begins a new hold", .t_ms = 402000, .want = KEEP, .why = KEEP_BEST},
        {"degraded again", .t_ms = 403000, .is[FAR_MGMT] = DEGRADED, .want = KEEP, .why = KEEP_DEGRADED,
         .again_ms = 583000},
    }},
    {"failover: each path that is settled on has its own hold", FAR_MGMT, .rows = {
        {"degraded", .t_ms = 0, .node[LOCAL_NODE] = DEGRADED, .node[NEAR_NODE] = DEGRADED, .node[TWIN_NODE] = DEGRADED, .node[FAR_NODE] = DEGRADED, .want = KEEP, .why = KEEP_DEGRADED},
        {"settled", .t_ms = 180000, .want = SWITCH, .to = LOCAL, .why = SWITCH_DEGRADED},
        {"that one dies", .t_ms = 181000, .is[LOCAL] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"it answers again: no way back yet", .t_ms = 182000, .is[LOCAL] = DEGRADED, .want = KEEP, .why = KEEP_DEGRADED,
         .again_ms = 362000},
        {"but after a hold", .t_ms = 362000, .want = SWITCH, .to = LOCAL, .why = SWITCH_DEGRADED},
    }},
    {"failover: of what is degraded, what loses much more is not alike", FAR_MGMT, .rows = {
        {"home loses half, the others a third", .t_ms = 0, .node[LOCAL_NODE] = DEGRADED, .node[NEAR_NODE] = DEGRADED, .node[TWIN_NODE] = DEGRADED, .node[FAR_NODE] = DEGRADED, .lost_per_mille[FAR_MGMT] = 350,
         .lost_per_mille[LOCAL] = 500, .lost_per_mille[NEAR] = 450, .lost_per_mille[TWIN] = 451,
         .want = KEEP, .why = KEEP_DEGRADED},
        {"the best that is", .t_ms = 180000, .want = SWITCH, .to = NEAR, .why = SWITCH_DEGRADED},
    }},
    {"failover: of what is degraded, neither a young session nor an untried service", FAR_MGMT, .rows = {
        {"", .t_ms = 0, .node[LOCAL_NODE] = DEGRADED, .node[NEAR_NODE] = DEGRADED, .node[TWIN_NODE] = DEGRADED, .node[FAR_NODE] = DEGRADED, .session[LOCAL_NODE] = UNSTABLE, .service[NEAR] = UNTRIED,
         .want = KEEP, .why = KEEP_DEGRADED},
        {"the other near one", .t_ms = 180000, .want = SWITCH, .to = TWIN, .why = SWITCH_DEGRADED},
    }},
    {"failover: what is not eligible is not chosen", LOCAL, .rows = {
        {"dead session, failed service check, drained node, degraded path: the one that is left",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .session[NEAR_NODE] = DEAD, .service[TWIN] = BAD,
         .is[FAR] = DEGRADED, .drained[FAR_NODE] = YES, .want = SWITCH, .to = TWIN_MGMT,
         .why = SWITCH_PATH_DOWN},
    }},
    {"failover: a node that restarts over and over is not chosen", LOCAL, .rows = {
        {"the next one",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .restarts[NEAR_NODE] = 3, .session[NEAR_NODE] = UNSTABLE,
         .want = SWITCH, .to = TWIN, .why = SWITCH_PATH_DOWN},
    }},
};

Test(selector, rule_3_failover)
{
    PLAY(rule_3);
}

/* --- rule 4: failback --- */

static const struct scenario rule_4[] = {
    {"failback: after hold", LOCAL, .rows = {
        {"local dies: leave at once",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"local back: stay",
         .t_ms = 10000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .again_ms = 190000,
         .candidate = LOCAL, .hold_s = 180},
        {"local back, 179 s: stay", .t_ms = 189000, .want = KEEP, .why = KEEP_HOLD},
        {"local back, 1 ms before hold: stay", .t_ms = 189999, .want = KEEP, .why = KEEP_HOLD},
        {"local back, 180 s: come home",
         .t_ms = 190000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"home", .t_ms = 190001, .want = KEEP, .why = KEEP_BEST},
    }},
    {"failback: down once more, hold starts anew", NEAR, .rows = {
        {"local is up", .t_ms = 0, .node[LOCAL_NODE] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"up", .t_ms = 1000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"down", .t_ms = 171000, .node[LOCAL_NODE] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"up", .t_ms = 180000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"181 s after the first time: stay",
         .t_ms = 182000, .want = KEEP, .why = KEEP_HOLD, .again_ms = 360000},
        {"180 s after the second", .t_ms = 360000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: degraded once, hold starts anew", NEAR, .rows = {
        {"degraded", .t_ms = 0, .is[LOCAL] = DEGRADED, .want = KEEP, .why = KEEP_BEST},
        {"clean again", .t_ms = 30000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD, .again_ms = 210000},
        {"1 ms before hold", .t_ms = 209999, .want = KEEP, .why = KEEP_HOLD},
        {"hold is over", .t_ms = 210000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: eligible without a break means more than up", NEAR, .rows = {
        {"the service check fails", .t_ms = 0, .service[LOCAL] = BAD, .want = KEEP, .why = KEEP_BEST},
        {"it succeeds: hold counts from now, not from the last decision that saw the failure",
         .t_ms = 50000, .service[LOCAL] = GOOD, .want = KEEP, .why = KEEP_HOLD, .again_ms = 230000},
        {"hold is over", .t_ms = 230000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: not on-link for a moment", NEAR, .rows = {
        {"off", .t_ms = 0, .is[LOCAL] = OFF_LINK, .want = KEEP, .why = KEEP_BEST},
        {"on", .t_ms = 1000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD, .again_ms = 181000},
    }},
    {"failback: the session must be stable", NEAR, .rows = {
        {"the local session is new, the path has been up for an hour",
         .t_ms = 0, .session[LOCAL_NODE] = ALIVE, .want = KEEP, .why = KEEP_WAIT_STABLE, .again_ms = 180000,
         .candidate = LOCAL},
        {"179 s", .t_ms = 179000, .want = KEEP, .why = KEEP_WAIT_STABLE},
        {"stable", .t_ms = 180000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: a session that never gets stable", NEAR, .rows = {
        {"alive", .t_ms = 0, .session[LOCAL_NODE] = UNSTABLE, .want = KEEP, .why = KEEP_WAIT_STABLE},
        {"hours later", .t_ms = 9000000, .want = KEEP, .why = KEEP_WAIT_STABLE},
        {"unknown is not stable",
         .t_ms = 9001000, .session[LOCAL_NODE] = UNHEARD, .want = KEEP, .why = KEEP_WAIT_STABLE},
        {"without sessions stability is waived",
         .t_ms = 9002000, .waived = true, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: a session that died for a moment", NEAR, .rows = {
        {"dead", .t_ms = 0, .session[LOCAL_NODE] = DEAD, .want = KEEP, .why = KEEP_BEST},
        {"a new life: hold is its stability, from its birth on, whenever we hear of it",
         .t_ms = 4000, .session[LOCAL_NODE] = ALIVE, .want = KEEP, .why = KEEP_WAIT_STABLE,
         .again_ms = 184000},
        {"stable: come home", .t_ms = 184000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: at most 1 % loss", NEAR, .rows = {
        {"1.1 %: stay", .t_ms = 0, .lost_per_mille[LOCAL] = 11, .want = KEEP, .why = KEEP_WAIT_LOSS},
        {"the current path loses less: stay",
         .t_ms = 1000, .lost_per_mille[NEAR] = 10, .want = KEEP, .why = KEEP_WAIT_LOSS},
        {"1.0 %",
         .t_ms = 2000, .lost_per_mille[LOCAL] = 10, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: no more loss than the current path", NEAR, .rows = {
        {"5 % on both",
         .t_ms = 0, .lost_per_mille[LOCAL] = 50, .lost_per_mille[NEAR] = 50, .want = PLANNED, .to = LOCAL,
         .why = SWITCH_FAILBACK},
    }},
    {"failback: the service check must have succeeded", NEAR, .rows = {
        {"not tried yet", .t_ms = 0, .service[LOCAL] = UNTRIED, .want = KEEP, .why = KEEP_WAIT_SERVICE_CHECK},
        {"good", .t_ms = 1000, .service[LOCAL] = GOOD, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: a full-size probe must get through", NEAR, .rows = {
        {"hold begins: asked for 1 s before its end",
         .t_ms = 0, .is[LOCAL] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"up",
         .t_ms = 1000, .is[LOCAL] = UP, .full_size[LOCAL] = UNTESTED, .want = KEEP, .why = KEEP_HOLD,
         .again_ms = 180000},
        {"1 s before the end: now",
         .t_ms = 180000, .want = KEEP, .why = KEEP_HOLD, .tests = LOCAL, .again_ms = 181000},
        {"hold is over, no answer yet",
         .t_ms = 181000, .want = KEEP, .why = KEEP_WAIT_FULL_SIZE, .tests = LOCAL},
        {"lost: stay", .t_ms = 181100, .full_size[LOCAL] = LOST, .want = KEEP, .why = KEEP_WAIT_FULL_SIZE},
        {"to be tried again",
         .t_ms = 190000, .full_size[LOCAL] = UNTESTED, .want = KEEP, .why = KEEP_WAIT_FULL_SIZE,
         .tests = LOCAL},
        {"passed",
         .t_ms = 190001, .full_size[LOCAL] = PASSED, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: a better path whose full-size probes get lost does not stand in the way of the next",
     FAR_MGMT, .rows = {
        {"test the next one",
         .t_ms = 0, .full_size[LOCAL] = LOST, .full_size[NEAR] = UNTESTED, .full_size[TWIN] = LOST,
         .full_size[FAR] = LOST, .full_size[LOCAL_MGMT] = LOST, .full_size[NEAR_MGMT] = LOST,
         .full_size[TWIN_MGMT] = LOST, .want = KEEP, .why = KEEP_WAIT_FULL_SIZE, .tests = NEAR},
        {"it passes",
         .t_ms = 1, .full_size[NEAR] = PASSED, .want = PLANNED, .to = NEAR, .why = SWITCH_FAILBACK},
    }},
    {"failback --now: without hold and stability", NEAR, .rows = {
        {"just back",
         .t_ms = 0, .is[LOCAL] = DOWN, .session[LOCAL_NODE] = ALIVE, .want = KEEP, .why = KEEP_BEST},
        {"hold", .t_ms = 1000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"now", .t_ms = 2000, .failback_now = true, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK_NOW},
    }},
    {"failback --now: a full-size probe and a service check are still needed, but at once", NEAR, .rows = {
        {"hold",
         .t_ms = 0, .is[LOCAL] = DEGRADED, .full_size[LOCAL] = UNTESTED, .service[LOCAL] = UNTRIED,
         .want = KEEP, .why = KEEP_BEST},
        {"now: probe",
         .t_ms = 1000, .is[LOCAL] = UP, .failback_now = true, .want = KEEP, .why = KEEP_WAIT_SERVICE_CHECK,
         .tests = LOCAL},
        {"good service",
         .t_ms = 1001, .failback_now = true, .service[LOCAL] = GOOD, .want = KEEP, .why = KEEP_WAIT_FULL_SIZE,
         .tests = LOCAL},
        {"passed",
         .t_ms = 1002, .failback_now = true, .full_size[LOCAL] = PASSED, .want = PLANNED, .to = LOCAL,
         .why = SWITCH_FAILBACK_NOW},
    }},
    {"failback --now: never to a path that is not eligible", NEAR, .rows = {
        {"dead session",
         .t_ms = 0, .session[LOCAL_NODE] = DEAD, .failback_now = true, .want = KEEP, .why = KEEP_BEST},
    }},
    {"failback: two better paths come back almost together, one move", FAR_MGMT, .rows = {
        {"only this one is left",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = DOWN, .node[TWIN_NODE] = DOWN,
         .is[FAR] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"the lesser one comes back",
         .t_ms = 1000, .is[NEAR] = UP, .want = KEEP, .why = KEEP_HOLD, .candidate = NEAR},
        {"the better one, 18 s later",
         .t_ms = 19000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD, .candidate = LOCAL,
         .again_ms = 181000},
        {"the lesser one could be used: wait for the better one",
         .t_ms = 181000, .want = KEEP, .why = KEEP_HOLD, .again_ms = 199000},
        {"one move", .t_ms = 199000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: the better path comes much later, two moves", FAR_MGMT, .rows = {
        {"only this one is left",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = DOWN, .node[TWIN_NODE] = DOWN,
         .is[FAR] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"the lesser one comes back", .t_ms = 1000, .is[NEAR] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"the better one, 19 s later", .t_ms = 20000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"not waited for", .t_ms = 181000, .want = PLANNED, .to = NEAR, .why = SWITCH_FAILBACK},
        {"its hold is over", .t_ms = 200000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"failback: the better path is waited for, but fails", FAR_MGMT, .rows = {
        {"only this one is left",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = DOWN, .node[TWIN_NODE] = DOWN,
         .is[FAR] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"the lesser one comes back", .t_ms = 1000, .is[NEAR] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"the better one", .t_ms = 2000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"waited for", .t_ms = 181000, .want = KEEP, .why = KEEP_HOLD},
        {"it fails: the lesser one",
         .t_ms = 181500, .is[LOCAL] = DOWN, .want = PLANNED, .to = NEAR, .why = SWITCH_FAILBACK},
    }},
    {"failback: the lesser path is looked at when its own hold is over", FAR_MGMT, .rows = {
        {"only this one is left",
         .t_ms = 0, .node[LOCAL_NODE] = UP, .session[LOCAL_NODE] = UNSTABLE, .node[NEAR_NODE] = DOWN,
         .node[TWIN_NODE] = DOWN, .is[FAR] = DOWN, .want = KEEP, .why = KEEP_WAIT_STABLE},
        {"the better one may never be ready",
         .t_ms = 1000, .is[NEAR] = UP, .want = KEEP, .why = KEEP_WAIT_STABLE, .candidate = LOCAL,
         .again_ms = 181000},
        {"so the lesser one", .t_ms = 181000, .want = PLANNED, .to = NEAR, .why = SWITCH_FAILBACK},
    }},
};

Test(selector, rule_4_failback)
{
    PLAY(rule_4);
}

/* --- rule 5: equal rank never moves --- */

static const struct scenario rule_5[] = {
    {"equals: the host's choice comes back, the route stays with its equal", LOCAL, .rows = {
        {"local dies, and the host's choice",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = DOWN, .want = SWITCH, .to = TWIN,
         .why = SWITCH_PATH_DOWN},
        {"the host's choice comes back", .t_ms = 1000, .node[NEAR_NODE] = UP, .want = KEEP, .why = KEEP_BEST},
        {"hours later", .t_ms = 9000000, .want = KEEP, .why = KEEP_BEST},
        {"on a person's word neither", .t_ms = 9000001, .failback_now = true, .want = KEEP, .why = KEEP_BEST},
    }},
    {"equals: after an outage of all the host's choice is waited for, so that hosts spread again",
     FAR_MGMT, .rows = {
        {"outage",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = DOWN, .node[TWIN_NODE] = DOWN,
         .is[FAR] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"its equal was the first to answer", .t_ms = 1000, .is[TWIN] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"the host's choice", .t_ms = 1005, .is[NEAR] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"the hold of its equal is over", .t_ms = 181000, .want = KEEP, .why = KEEP_HOLD, .again_ms = 181005},
        {"the host's choice", .t_ms = 181005, .want = PLANNED, .to = NEAR, .why = SWITCH_FAILBACK},
    }},
};

Test(selector, rule_5_equals)
{
    PLAY(rule_5);
}

/* --- rule 6: nothing eligible --- */

static const struct scenario rule_6[] = {
    {"nothing eligible: everything is down", LOCAL, .rows = {
        {"the route stays, and it is said",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = DOWN, .node[TWIN_NODE] = DOWN,
         .node[FAR_NODE] = DOWN, .want = KEEP, .why = KEEP_NOTHING_ELIGIBLE, .doubt = YES},
        {"hours later", .t_ms = 9000000, .want = KEEP, .why = KEEP_NOTHING_ELIGIBLE},
        {"the first that returns, without hold",
         .t_ms = 9000300, .is[NEAR_MGMT] = UP, .want = SWITCH, .to = NEAR_MGMT, .why = SWITCH_PATH_DOWN},
    }},
    {"nothing eligible: the current path itself returns", LOCAL, .rows = {
        {"down",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = DOWN, .node[TWIN_NODE] = DOWN,
         .node[FAR_NODE] = DOWN, .want = KEEP, .why = KEEP_NOTHING_ELIGIBLE},
        {"up", .t_ms = 5000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_BEST, .doubt = NO},
    }},
    {"nothing eligible: the current path is down, another one's session is dead", LOCAL, .rows = {
        {"that one is better than nothing",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = DOWN, .node[TWIN_NODE] = DOWN,
         .session[FAR_NODE] = DEAD, .want = SWITCH, .to = FAR, .why = SWITCH_PATH_DOWN},
        {"it is left as soon as an eligible one is there",
         .t_ms = 3000, .is[TWIN_MGMT] = UP, .want = SWITCH, .to = TWIN_MGMT, .why = SWITCH_SESSION_DEAD},
    }},
    {"nothing eligible: a dead session is better than a failed service check or a drained node",
     LOCAL, .rows = {
        {"dead session",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .service[NEAR] = BAD, .service[NEAR_MGMT] = BAD,
         .drained[TWIN_NODE] = YES, .session[FAR_NODE] = DEAD, .want = SWITCH, .to = FAR,
         .why = SWITCH_PATH_DOWN},
        {"it dies too: what answers at all",
         .t_ms = 9000, .node[FAR_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
    }},
    {"nothing eligible: the current path works, its session and all others are dead", LOCAL, .rows = {
        {"it stays",
         .t_ms = 0, .session[LOCAL_NODE] = DEAD, .session[NEAR_NODE] = DEAD, .session[TWIN_NODE] = DEAD,
         .session[FAR_NODE] = DEAD, .want = KEEP, .why = KEEP_NOTHING_ELIGIBLE},
        {"a degraded path is eligible then",
         .t_ms = 9000, .is[FAR] = DEGRADED, .session[FAR_NODE] = STABLE, .is[FAR_MGMT] = DOWN, .want = SWITCH,
         .to = FAR, .why = SWITCH_SESSION_DEAD},
    }},
    {"nothing eligible: paths without a verdict are nothing", LOCAL, .rows = {
        {"stay",
         .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = UNJUDGED, .node[TWIN_NODE] = UNJUDGED,
         .node[FAR_NODE] = UNJUDGED, .want = KEEP, .why = KEEP_NOTHING_ELIGIBLE},
    }},
};

Test(selector, rule_6_nothing_eligible)
{
    PLAY(rule_6);
}

/* --- rule 7: damping --- */

static const struct scenario
    rule_7[] =
        {
            {"damping: each failure from the second on doubles hold, up to an hour", NEAR, .rows = {
        {"well", .t_ms = 0, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"first failure", .t_ms = 10000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"hold as ever", .t_ms = 20000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 180,
         .again_ms = 200000},
        {"fails while the route is elsewhere", .t_ms = 30000, .node[LOCAL_NODE] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"that harmed nobody: hold as ever", .t_ms = 40000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD,
         .hold_s = 180, .again_ms = 220000},
        {"home", .t_ms = 220000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"second", .t_ms = 230000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"twice the hold", .t_ms = 240000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 360,
         .again_ms = 600000},
        {"1 ms before its end", .t_ms = 599999, .want = KEEP, .why = KEEP_HOLD},
        {"its end", .t_ms = 600000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"third", .t_ms = 610000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"four times", .t_ms = 620000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 720},
        {"home", .t_ms = 1340000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"fourth", .t_ms = 1350000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"eight times", .t_ms = 1360000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 1440},
        {"home", .t_ms = 2800000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"fifth", .t_ms = 2810000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"sixteen times", .t_ms = 2820000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 2880},
        {"home", .t_ms = 5700000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"sixth", .t_ms = 5710000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"an hour, not more", .t_ms = 5720000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 3600,
         .again_ms = 9320000},
    }},
            {"damping: away from it counts what would have been a needless way home", LOCAL, .rows = {
        {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
        {"first", .t_ms = 10000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"back, but its session is young for long", .t_ms = 20000, .node[LOCAL_NODE] = UP,
         .session[LOCAL_NODE] = UNSTABLE, .want = KEEP, .why = KEEP_HOLD},
        {"fails after a hold", .t_ms = 300000, .node[LOCAL_NODE] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"it was not the damping that kept the route away", .t_ms = 310000, .node[LOCAL_NODE] = UP,
         .session[LOCAL_NODE] = STABLE, .want = KEEP, .why = KEEP_HOLD, .hold_s = 180},
        {"home", .t_ms = 490000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"second", .t_ms = 500000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"twice the hold", .t_ms = 510000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 360},
        {"fails 1 ms before the hold without damping is over", .t_ms = 689999, .node[LOCAL_NODE] = DOWN, .want = KEEP,
         .why = KEEP_BEST},
        {"twice the hold", .t_ms = 700000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 360},
        {"fails when it is over", .t_ms = 880000, .node[LOCAL_NODE] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"four times", .t_ms = 890000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 720},
    }},
            {"damping: an hour of health clears it", LOCAL,
             .rows =
                 {
                     {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
                     {"first failure", .t_ms = 10000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR,
                      .why = SWITCH_PATH_DOWN},
                     {"back", .t_ms = 20000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
                     {"home", .t_ms = 200000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
                     {"second, after an hour of health in which nothing happened", .t_ms = 3620000,
                      .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
                     {"hold as ever", .t_ms = 3630000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD,
                      .hold_s = 180},
                     {"home", .t_ms = 3810000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
                     {"third, after less than an hour", .t_ms = 7229000, .node[LOCAL_NODE] = DOWN,
                      .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
                     {"twice the hold", .t_ms = 7240000, .node[LOCAL_NODE] = UP, .want = KEEP,
                      .why = KEEP_HOLD, .hold_s = 360},
                 }},
            {"damping: the end of an hour of health can end a hold, and is looked at", LOCAL, .secondaries = true, .rows = {
        {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
        {"first failure", .t_ms = 10000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"back", .t_ms = 20000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"home", .t_ms = 200000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"second", .t_ms = 210000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"the secondary path is back", .t_ms = 220000, .is[LOCAL_2ND] = UP, .service[LOCAL_2ND] = UNTRIED, .want = KEEP,
         .why = KEEP_HOLD, .hold_s = 360},
        {"the data path, much later", .t_ms = 3620000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 360,
         .again_ms = 3820000},
        {"an hour of health since the second failure", .t_ms = 3820000, .want = PLANNED, .to = LOCAL,
         .why = SWITCH_FAILBACK},
    }},
            {"damping: a dead session is a failure too, and one outage is one failure", LOCAL, .rows = {
        {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
        {"first: the path is down", .t_ms = 10000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR,
         .why = SWITCH_PATH_DOWN},
        {"and the session dead", .t_ms = 17000, .session[LOCAL_NODE] = DEAD, .want = KEEP, .why = KEEP_BEST},
        {"the path is up, the session still dead", .t_ms = 60000, .node[LOCAL_NODE] = UP, .want = KEEP,
         .why = KEEP_BEST},
        {"alive", .t_ms = 70000, .session[LOCAL_NODE] = ALIVE, .want = KEEP, .why = KEEP_HOLD, .hold_s = 180},
        {"home", .t_ms = 250000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"second: the session is dead", .t_ms = 260000, .session[LOCAL_NODE] = DEAD, .want = SWITCH, .to = NEAR,
         .why = SWITCH_SESSION_DEAD},
        {"alive", .t_ms = 270000, .session[LOCAL_NODE] = ALIVE, .want = KEEP, .why = KEEP_HOLD, .hold_s = 360},
    }},
            {"damping: an access that restarts over and over, twice", LOCAL, .rows = {
        {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
        {"three restarts: the first failure",
         .t_ms = 40000, .restarts[LOCAL_NODE] = 3, .session[LOCAL_NODE] = ALIVE, .want = SWITCH, .to = NEAR,
         .why = SWITCH_RESTARTING},
        {"stable: come home", .t_ms = 220000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"three restarts: the second failure",
         .t_ms = 400000, .session[LOCAL_NODE] = ALIVE, .want = SWITCH, .to = NEAR, .why = SWITCH_RESTARTING},
        {"stable, but not for twice the hold",
         .t_ms = 580000, .want = KEEP, .why = KEEP_HOLD, .hold_s = 360, .again_ms = 760000},
        {"for twice the hold", .t_ms = 760000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"damping: all data paths fail together, it is the host's cable", LOCAL,
             .rows =
                 {
                     {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
                     {"cable out, the local path is judged first", .t_ms = 10000, .is[LOCAL] = DOWN,
                      .is[NEAR] = STALE, .is[TWIN] = STALE, .is[FAR] = STALE, .want = SWITCH,
                      .to = LOCAL_MGMT, .why = SWITCH_PATH_DOWN},
                     {"then the others", .t_ms = 10050, .is[NEAR] = DOWN, .is[TWIN] = DOWN, .is[FAR] = DOWN,
                      .want = KEEP, .why = KEEP_BEST},
                     {"cable in", .t_ms = 20000, .is[LOCAL] = UP, .is[NEAR] = UP, .is[TWIN] = UP,
                      .is[FAR] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 180},
                     {"cable out", .t_ms = 30000, .is[LOCAL] = DOWN, .is[NEAR] = DOWN, .is[TWIN] = DOWN,
                      .is[FAR] = DOWN, .want = KEEP, .why = KEEP_BEST},
                     {"cable in: hold as ever", .t_ms = 40000, .is[LOCAL] = UP, .is[NEAR] = UP,
                      .is[TWIN] = UP, .is[FAR] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 180},
                     {"the access itself, the first time", .t_ms = 50000, .is[LOCAL] = DOWN, .want = KEEP,
                      .why = KEEP_HOLD},
                     {"hold as ever", .t_ms = 60000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD,
                      .hold_s = 180},
                     {"the second time", .t_ms = 70000, .is[LOCAL] = DOWN, .want = KEEP, .why = KEEP_HOLD},
                     {"twice", .t_ms = 80000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 360},
                 }},
            {"damping: the host's cable, seen as link down", LOCAL,
             .rows =
                 {
                     {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
                     {"out", .t_ms = 10000, .is[LOCAL] = LINK_DOWN, .is[NEAR] = LINK_DOWN,
                      .is[TWIN] = LINK_DOWN, .is[FAR] = LINK_DOWN, .want = SWITCH, .to = LOCAL_MGMT,
                      .why = SWITCH_LINK_DOWN},
                     {"in", .t_ms = 20000, .is[LOCAL] = UP, .is[NEAR] = UP, .is[TWIN] = UP, .is[FAR] = UP,
                      .want = KEEP, .why = KEEP_HOLD},
                     {"out", .t_ms = 30000, .is[LOCAL] = LINK_DOWN, .is[NEAR] = LINK_DOWN,
                      .is[TWIN] = LINK_DOWN, .is[FAR] = LINK_DOWN, .want = KEEP, .why = KEEP_BEST},
                     {"in: hold as ever", .t_ms = 40000, .is[LOCAL] = UP, .is[NEAR] = UP, .is[TWIN] = UP,
                      .is[FAR] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 180},
                 }},
            {"damping: a secondary path is left, no failure of the access", LOCAL, .secondaries = true,
             .rows =
                 {
                     {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
                     {"its data path fails", .t_ms = 10000, .is[LOCAL] = DOWN, .want = SWITCH,
                      .to = LOCAL_2ND, .why = SWITCH_PATH_DOWN},
                     {"back", .t_ms = 20000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD},
                     {"fails", .t_ms = 30000, .is[LOCAL] = DOWN, .want = KEEP, .why = KEEP_BEST},
                     {"hold as ever", .t_ms = 40000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD,
                      .hold_s = 180},
                 }},
            {"damping: what happens while it is drained is maintenance", LOCAL,
             .rows =
                 {
                     {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
                     {"drained", .t_ms = 10000, .drained[LOCAL_NODE] = YES, .want = PLANNED, .to = NEAR,
                      .why = SWITCH_DRAINED},
                     {"shut down", .t_ms = 20000, .node[LOCAL_NODE] = DOWN, .want = KEEP, .why = KEEP_BEST},
                     {"undrained while it still starts", .t_ms = 30000, .drained[LOCAL_NODE] = NO,
                      .want = KEEP, .why = KEEP_BEST},
                     {"up", .t_ms = 40000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD,
                      .hold_s = 180},
                     {"the first failure", .t_ms = 50000, .node[LOCAL_NODE] = DOWN, .want = KEEP,
                      .why = KEEP_BEST},
                     {"hold as ever", .t_ms = 60000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD,
                      .hold_s = 180},
                 }},
            {"damping: another node's failures double nothing", FAR,
             .rows =
                 {
                     {"well", .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[TWIN_NODE] = DOWN,
                      .node[NEAR_NODE] = DOWN, .want = KEEP, .why = KEEP_BEST},
                     {"up", .t_ms = 10000, .node[NEAR_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
                     {"down", .t_ms = 20000, .node[NEAR_NODE] = DOWN, .want = KEEP, .why = KEEP_BEST},
                     {"up", .t_ms = 30000, .node[NEAR_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
                     {"down", .t_ms = 40000, .node[NEAR_NODE] = DOWN, .want = KEEP, .why = KEEP_BEST},
                     {"hold as ever", .t_ms = 50000, .node[NEAR_NODE] = UP, .want = KEEP, .why = KEEP_HOLD,
                      .hold_s = 180},
                 }},
            {"damping: failback --now ends it", LOCAL, .rows = {
        {"well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
        {"first failure", .t_ms = 10000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"back", .t_ms = 20000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"home", .t_ms = 200000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
        {"second", .t_ms = 210000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"back", .t_ms = 220000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 360},
        {"now", .t_ms = 221000, .failback_now = true, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK_NOW},
        {"third", .t_ms = 240000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"hold as ever", .t_ms = 250000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .hold_s = 180},
    }},
};

Test(selector, rule_7_damping)
{
    PLAY(rule_7);
}

/* --- rule 8: pin and drain --- */

static const struct scenario rule_8[] = {
    {"pin: a new pin, without hold", LOCAL, .rows = {
        {"the pinned path has just come up", .t_ms = 0, .is[FAR] = DOWN, .want = KEEP, .why = KEEP_BEST},
        {"pin: go there",
         .t_ms = 1000, .is[FAR] = UP, .full_size[FAR] = UNTESTED, .pinned[FAR] = YES, .pin_now = true,
         .want = PLANNED, .to = FAR, .why = SWITCH_PIN},
        {"it has rank one", .t_ms = 9000000, .want = KEEP, .why = KEEP_BEST},
    }},
    {"pin: left when it is down, resumed after hold", FAR, .rows = {
        {"pinned", .t_ms = 0, .pinned[FAR] = YES, .want = KEEP, .why = KEEP_BEST},
        {"down: the best of the others",
         .t_ms = 10000, .is[FAR] = DOWN, .want = SWITCH, .to = LOCAL, .why = SWITCH_PATH_DOWN},
        {"back: hold",
         .t_ms = 20000, .is[FAR] = UP, .want = KEEP, .why = KEEP_HOLD, .candidate = FAR, .again_ms = 200000},
        {"1 ms before its end", .t_ms = 199999, .want = KEEP, .why = KEEP_HOLD},
        {"resumed", .t_ms = 200000, .want = PLANNED, .to = FAR, .why = SWITCH_PIN},
        {"unpinned: home, the local path has been healthy all the time",
         .t_ms = 300000, .pinned[FAR] = NO, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"pin: of a management path", LOCAL, .rows = {
        {"takes rank one",
         .t_ms = 0, .pinned[NEAR_MGMT] = YES, .pin_now = true, .want = PLANNED, .to = NEAR_MGMT,
         .why = SWITCH_PIN},
        {"there it stays", .t_ms = 9000000, .want = KEEP, .why = KEEP_BEST},
    }},
    {"pin: a path that is not eligible", LOCAL, .rows = {
        {"is not entered",
         .t_ms = 0, .pinned[FAR] = YES, .session[FAR_NODE] = DEAD, .pin_now = true, .want = KEEP,
         .why = KEEP_BEST},
    }},
    {"pin --hard: never left automatically", LOCAL, .rows = {
        {"go there",
         .t_ms = 0, .pinned[FAR] = YES, .pin_hard = true, .want = PLANNED, .to = FAR, .why = SWITCH_PIN},
        {"there", .t_ms = 1000, .pin_hard = true, .want = KEEP, .why = KEEP_PIN_HARD},
        {"down", .t_ms = 10000, .is[FAR] = DOWN, .pin_hard = true, .want = KEEP, .why = KEEP_PIN_HARD},
        {"link down",
         .t_ms = 11000, .is[FAR] = LINK_DOWN, .pin_hard = true, .want = KEEP, .why = KEEP_PIN_HARD},
        {"drained, and its session dead",
         .t_ms = 20000, .is[FAR] = UP, .drained[FAR_NODE] = YES, .session[FAR_NODE] = DEAD, .pin_hard = true,
         .want = KEEP, .why = KEEP_PIN_HARD},
        {"unpinned: left",
         .t_ms = 30000, .pinned[FAR] = NO, .want = PLANNED, .to = LOCAL, .why = SWITCH_DRAINED},
    }},
    {"pin --hard: a new pin takes the best path of its access", LOCAL_MGMT, .rows = {
        {"from management to data",
         .t_ms = 0, .pinned[LOCAL] = YES, .pinned[LOCAL_MGMT] = YES, .pin_hard = true, .pin_now = true,
         .want = PLANNED, .to = LOCAL, .why = SWITCH_PIN},
        {"not again", .t_ms = 1000, .pin_hard = true, .want = KEEP, .why = KEEP_PIN_HARD},
    }},
    {"pin --hard: to a path that is down, a person's word", LOCAL, .rows = {
        {"go, and nobody is told first",
         .t_ms = 0, .is[FAR] = DOWN, .pinned[FAR] = YES, .pin_hard = true, .want = SWITCH, .to = FAR,
         .why = SWITCH_PIN},
    }},
    {"pin --hard: a path that cannot be entered from here", LOCAL, .rows = {
        {"stay",
         .t_ms = 0, .is[FAR] = OFF_LINK, .pinned[FAR] = YES, .pin_hard = true, .want = KEEP,
         .why = KEEP_PIN_HARD},
    }},
    {"drain: left make-before-break", LOCAL, .rows = {
        {"planned",
         .t_ms = 0, .drained[LOCAL_NODE] = YES, .want = PLANNED, .to = NEAR, .why = SWITCH_DRAINED},
        {"not returned to", .t_ms = 9000000, .want = KEEP, .why = KEEP_BEST},
        {"undrained: after hold",
         .t_ms = 9001000, .drained[LOCAL_NODE] = NO, .want = KEEP, .why = KEEP_HOLD, .again_ms = 9181000},
        {"hold is over", .t_ms = 9181000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"drain: only to a path that has just answered", LOCAL, .rows = {
        {"nobody has: wait",
         .t_ms = 0, .drained[LOCAL_NODE] = YES, .node[NEAR_NODE] = STALE, .node[TWIN_NODE] = STALE,
         .node[FAR_NODE] = STALE, .want = KEEP, .why = KEEP_WAIT_PROOF, .doubt = YES},
        {"one answers, a better one may: wait a select-timeout",
         .t_ms = 3, .is[TWIN] = UP, .want = KEEP, .why = KEEP_WAIT_PROOF, .again_ms = 100},
        {"over", .t_ms = 100, .want = PLANNED, .to = TWIN, .why = SWITCH_DRAINED},
    }},
    {"drain: nowhere to go", LOCAL, .rows = {
        {"stay",
         .t_ms = 0, .drained[LOCAL_NODE] = YES, .node[NEAR_NODE] = DOWN, .node[TWIN_NODE] = DOWN,
         .node[FAR_NODE] = DOWN, .want = KEEP, .why = KEEP_NOTHING_ELIGIBLE},
        {"it goes down while drained, nobody else: stay",
         .t_ms = 9000, .node[LOCAL_NODE] = DOWN, .want = KEEP, .why = KEEP_NOTHING_ELIGIBLE},
    }},
    {"drain: it dies on the way out", LOCAL, .rows = {
        {"nobody has answered yet",
         .t_ms = 0, .drained[LOCAL_NODE] = YES, .node[NEAR_NODE] = STALE, .node[TWIN_NODE] = STALE,
         .node[FAR_NODE] = STALE, .want = KEEP, .why = KEEP_WAIT_PROOF},
        {"a failover, not planned",
         .t_ms = 2000, .node[LOCAL_NODE] = DOWN, .is[NEAR] = UP, .want = SWITCH, .to = NEAR,
         .why = SWITCH_PATH_DOWN},
    }},
};

Test(selector, rule_8_pin_and_drain)
{
    PLAY(rule_8);
}

/* --- rule 10: not back at once --- */

static const struct scenario rule_10[] = {
    {"not back at once: what was just left comes after all others, of whatever rank", LOCAL, .rows = {
        {"the local node dies", .t_ms = 0, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR,
         .why = SWITCH_PATH_DOWN},
        {"and is back", .t_ms = 3000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"so does the next", .t_ms = 4000, .node[NEAR_NODE] = DOWN, .want = SWITCH, .to = TWIN,
         .why = SWITCH_PATH_DOWN},
        {"and the next", .t_ms = 5000, .node[NEAR_NODE] = UP, .node[TWIN_NODE] = DOWN, .want = SWITCH, .to = FAR,
         .why = SWITCH_PATH_DOWN},
        {"the management network, though two data paths answer", .t_ms = 6000, .node[FAR_NODE] = DOWN, .want = SWITCH,
         .to = LOCAL_MGMT, .why = SWITCH_PATH_DOWN},
        {"nothing else is left: the best of them", .t_ms = 7000, .is[LOCAL_MGMT] = DOWN, .is[NEAR_MGMT] = DOWN,
         .want = SWITCH, .to = LOCAL, .why = SWITCH_PATH_DOWN},
    }},
    {"not back at once: 1 ms before the end of stay", LOCAL, .rows = {
        {"left", .t_ms = 0, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"back", .t_ms = 3000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"an equal of the next", .t_ms = 9999, .node[NEAR_NODE] = DOWN, .want = SWITCH, .to = TWIN,
         .why = SWITCH_PATH_DOWN},
    }},
    {"not back at once: its end", LOCAL, .rows = {
        {"left", .t_ms = 0, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"back", .t_ms = 3000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"by rank again", .t_ms = 10000, .node[NEAR_NODE] = DOWN, .want = SWITCH, .to = LOCAL,
         .why = SWITCH_PATH_DOWN},
    }},
    {"not back at once: better than a path that loses too much", LOCAL, .rows = {
        {"left", .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[TWIN_NODE] = DEGRADED, .node[FAR_NODE] = DEGRADED,
         .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"back", .t_ms = 3000, .is[LOCAL] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"the only clean one", .t_ms = 4000, .node[NEAR_NODE] = DOWN, .want = SWITCH, .to = LOCAL,
         .why = SWITCH_PATH_DOWN},
    }},
    {"not back at once: of a last resort the best is taken", LOCAL, .rows = {
        {"left as dead", .t_ms = 0, .session[LOCAL_NODE] = DEAD, .want = SWITCH, .to = NEAR, .why = SWITCH_SESSION_DEAD},
        {"all others are down: not its management path, which is no more eligible", .t_ms = 3000,
         .node[NEAR_NODE] = DOWN, .node[TWIN_NODE] = DOWN, .node[FAR_NODE] = DOWN, .want = SWITCH, .to = LOCAL,
         .why = SWITCH_PATH_DOWN},
    }},
    {"not back at once: a hold that is shorter does not count", LOCAL, .stay_s = 300, .rows = {
        {"left", .t_ms = 0, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"back", .t_ms = 10000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD, .again_ms = 300000},
        {"1 ms before the end of hold", .t_ms = 189999, .want = KEEP, .why = KEEP_HOLD, .again_ms = 300000},
        {"its end", .t_ms = 190000, .want = KEEP, .why = KEEP_STAY, .again_ms = 300000, .candidate = LOCAL},
        {"1 ms before the end", .t_ms = 299999, .want = KEEP, .why = KEEP_STAY},
        {"the end", .t_ms = 300000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"not back at once: without a route nobody is connected", LOCAL, .rows = {
        {"left", .t_ms = 0, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"back", .t_ms = 3000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD},
        {"the route is gone: the best path", .t_ms = 4000, .route_gone = true, .want = SWITCH, .to = LOCAL,
         .why = SWITCH_COLD_START},
    }},
    {"not back at once: what was never in use was not left, be it soon after the host's own start", NEAR,
     .stay_s = 200000, .rows = {
        {"home", .t_ms = 0, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"not back at once: of what is degraded alike, the first whose time comes", FAR, .stay_s = 300, .rows = {
        {"left", .t_ms = 0, .node[LOCAL_NODE] = DEGRADED, .node[NEAR_NODE] = DEGRADED, .node[TWIN_NODE] = DEGRADED,
         .is[FAR] = DEGRADED, .want = KEEP, .why = KEEP_WAIT_PROOF, .again_ms = 750},
        {"a window later", .t_ms = 1000, .want = SWITCH, .to = FAR_MGMT, .why = SWITCH_DEGRADED},
        {"none is clean now", .t_ms = 1000, .is[FAR_MGMT] = DEGRADED, .want = KEEP, .why = KEEP_DEGRADED,
         .again_ms = 181000},
        {"settled", .t_ms = 181000, .want = SWITCH, .to = LOCAL, .why = SWITCH_DEGRADED},
    }},
    {"not back at once: nor to what was just left, though it is degraded alike", FAR, .stay_s = 300, .rows = {
        {"left", .t_ms = 0, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = DOWN, .node[TWIN_NODE] = DOWN,
         .is[FAR] = DEGRADED, .want = KEEP, .why = KEEP_WAIT_PROOF, .again_ms = 750},
        {"a window later", .t_ms = 1000, .want = SWITCH, .to = FAR_MGMT, .why = SWITCH_DEGRADED},
        {"none is clean now", .t_ms = 1000, .is[FAR_MGMT] = DEGRADED, .want = KEEP, .why = KEEP_DEGRADED,
         .again_ms = 301000},
        {"settled", .t_ms = 301000, .want = SWITCH, .to = FAR, .why = SWITCH_DEGRADED},
    }},
    {"not back at once: a pin that is taken back", LOCAL, .rows = {
        {"pinned", .t_ms = 0, .pinned[FAR] = YES, .pin_now = true, .want = PLANNED, .to = FAR, .why = SWITCH_PIN},
        {"unpinned", .t_ms = 2000, .pinned[FAR] = NO, .want = KEEP, .why = KEEP_STAY, .again_ms = 10000,
         .candidate = LOCAL},
        {"home", .t_ms = 10000, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"not back at once: a person's word", LOCAL, .rows = {
        {"left", .t_ms = 0, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
        {"failback --now", .t_ms = 3000, .node[LOCAL_NODE] = UP, .failback_now = true, .want = PLANNED, .to = LOCAL,
         .why = SWITCH_FAILBACK_NOW},
    }},
};

Test(selector, rule_10_not_back_at_once)
{
    PLAY(rule_10);
}

/* --- rule 11: the host's own connection --- */

static const struct scenario rule_11[] = {
    {"contradicted: lost pings do not count before the window has passed twice", LOCAL, .rows = {
        {"misses, nothing else", .t_ms = 900, .node[LOCAL_NODE] = MISSING, .contradicted = YES, .want = KEEP,
         .why = KEEP_BEST, .doubt = YES},
        {"the window is over", .t_ms = 1800, .node[LOCAL_NODE] = DOWN, .want = KEEP, .why = KEEP_CONTRADICTED,
         .again_ms = 2800, .doubt = YES},
        {"1 ms before its second end", .t_ms = 2799, .want = KEEP, .why = KEEP_CONTRADICTED},
        {"its second end", .t_ms = 2800, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
    }},
    {"contradicted: the connection stands still too", LOCAL, .rows = {
        {"the window is over", .t_ms = 1000, .node[LOCAL_NODE] = DOWN, .contradicted = YES, .want = KEEP,
         .why = KEEP_CONTRADICTED},
        {"no progress any more: left at once", .t_ms = 1300, .contradicted = NO, .want = SWITCH, .to = NEAR,
         .why = SWITCH_PATH_DOWN},
    }},
    {"contradicted: the pings come back in the second window", LOCAL, .rows = {
        {"all is well", .t_ms = 0, .want = KEEP, .why = KEEP_BEST},
        {"the window is over", .t_ms = 1000, .node[LOCAL_NODE] = DOWN, .contradicted = YES, .want = KEEP,
         .why = KEEP_CONTRADICTED},
        {"up again", .t_ms = 1500, .node[LOCAL_NODE] = UP, .contradicted = NO, .want = KEEP, .why = KEEP_BEST,
         .doubt = NO},
        {"down once more, within the hour", .t_ms = 9000, .node[LOCAL_NODE] = DOWN, .want = SWITCH, .to = NEAR,
         .why = SWITCH_PATH_DOWN},
        {"was its first failure: not damped", .t_ms = 20000, .node[LOCAL_NODE] = UP, .want = KEEP, .why = KEEP_HOLD,
         .hold_s = 180},
    }},
    {"contradicted: with no other path nothing is different in the end", LOCAL, .rows = {
        {"the window is over", .t_ms = 1000, .node[LOCAL_NODE] = DOWN, .node[NEAR_NODE] = DOWN,
         .node[TWIN_NODE] = DOWN, .node[FAR_NODE] = DOWN, .contradicted = YES, .want = KEEP,
         .why = KEEP_CONTRADICTED},
        {"its second end: said so", .t_ms = 2000, .want = KEEP, .why = KEEP_NOTHING_ELIGIBLE},
    }},
    {"contradicted: an interface that is down is left at once", LOCAL, .rows = {
        {"down", .t_ms = 1000, .is[LOCAL] = DOWN, .contradicted = YES, .want = KEEP, .why = KEEP_CONTRADICTED},
        {"no carrier", .t_ms = 1100, .is[LOCAL] = LINK_DOWN, .want = SWITCH, .to = NEAR, .why = SWITCH_LINK_DOWN},
    }},
    {"contradicted: so is what cannot be entered any more", LOCAL, .rows = {
        {"down", .t_ms = 1000, .is[LOCAL] = DOWN, .contradicted = YES, .want = KEEP, .why = KEEP_CONTRADICTED},
        {"off link", .t_ms = 1100, .is[LOCAL] = OFF_LINK, .want = SWITCH, .to = NEAR, .why = SWITCH_NOT_ON_LINK},
    }},
    {"contradicted: and one whose session is dead", LOCAL, .rows = {
        {"down", .t_ms = 1000, .is[LOCAL] = DOWN, .contradicted = YES, .want = KEEP, .why = KEEP_CONTRADICTED},
        {"the cluster's word", .t_ms = 1100, .session[LOCAL_NODE] = DEAD, .want = SWITCH, .to = NEAR,
         .why = SWITCH_PATH_DOWN},
    }},
    {"contradicted: and one that restarts over and over", LOCAL, .rows = {
        {"down", .t_ms = 1000, .is[LOCAL] = DOWN, .session[LOCAL_NODE] = UNSTABLE, .contradicted = YES, .want = KEEP,
         .why = KEEP_CONTRADICTED},
        {"the third time", .t_ms = 1100, .restarts[LOCAL_NODE] = 3, .want = SWITCH, .to = NEAR,
         .why = SWITCH_PATH_DOWN},
    }},
    {"contradicted: and one whose service refuses", LOCAL, .rows = {
        {"down", .t_ms = 1000, .is[LOCAL] = DOWN, .contradicted = YES, .want = KEEP, .why = KEEP_CONTRADICTED},
        {"the check failed", .t_ms = 1100, .service[LOCAL] = BAD, .want = SWITCH, .to = NEAR,
         .why = SWITCH_PATH_DOWN},
    }},
    {"contradicted: and a drained one", LOCAL, .rows = {
        {"down", .t_ms = 1000, .is[LOCAL] = DOWN, .contradicted = YES, .want = KEEP, .why = KEEP_CONTRADICTED},
        {"drained", .t_ms = 1100, .drained[LOCAL_NODE] = YES, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
    }},
    {"contradicted: loss is not", LOCAL, .rows = {
        {"a miss", .t_ms = 0, .is[LOCAL] = MISSING, .contradicted = YES, .want = KEEP, .why = KEEP_BEST},
        {"it answers, and loses too much", .t_ms = 1000, .is[LOCAL] = DEGRADED, .want = SWITCH, .to = NEAR,
         .why = SWITCH_DEGRADED},
    }},
    {"contradicted: a foreign next hop as well", FOREIGN, .rows = {
        {"down", .t_ms = 1000, .is[FOREIGN] = DOWN, .contradicted = YES, .want = KEEP, .why = KEEP_CONTRADICTED},
        {"its second end", .t_ms = 2000, .want = SWITCH, .to = LOCAL, .why = SWITCH_PATH_DOWN},
    }},
    {"contradicted: pinned hard is never left", LOCAL, .rows = {
        {"down", .t_ms = 1000, .pinned[LOCAL] = YES, .is[LOCAL] = DOWN, .contradicted = YES, .pin_hard = true,
         .want = KEEP, .why = KEEP_PIN_HARD},
    }},
    {"stalled: a doubt, no cause to leave", LOCAL, .rows = {
        {"pings are answered, data wait", .t_ms = 0, .stalled = YES, .want = KEEP, .why = KEEP_BEST, .doubt = YES},
        {"a minute later", .t_ms = 60000, .want = KEEP, .why = KEEP_BEST, .doubt = YES},
        {"the check failed", .t_ms = 60100, .service[LOCAL] = BAD, .want = SWITCH, .to = NEAR,
         .why = SWITCH_SERVICE_CHECK},
    }},
    {"stalled: and over", LOCAL, .rows = {
        {"data wait", .t_ms = 0, .stalled = YES, .want = KEEP, .why = KEEP_BEST, .doubt = YES},
        {"no more", .t_ms = 900, .stalled = NO, .want = KEEP, .why = KEEP_BEST, .doubt = NO},
    }},
    {"held up: as if the path in use were degraded", LOCAL, .rows = {
        {"a loss", .t_ms = 0, .is[LOCAL] = LOSING, .want = KEEP, .why = KEEP_BEST, .doubt = YES},
        {"all have been compared", .t_ms = 1000, .held_up = YES, .want = SWITCH, .to = NEAR, .why = SWITCH_DEGRADED},
        {"there it stays, though home was never degraded", .t_ms = 1010, .held_up = NO, .is[LOCAL] = UP, .want = KEEP,
         .why = KEEP_HOLD},
        {"behind its stay, too", .t_ms = 181009, .want = KEEP, .why = KEEP_HOLD, .again_ms = 181010},
        {"for a hold", .t_ms = 181010, .want = PLANNED, .to = LOCAL, .why = SWITCH_FAILBACK},
    }},
    {"held up: not before all have been compared", LOCAL, .rows = {
        {"", .t_ms = 0, .is[LOCAL] = LOSING, .held_up = YES, .want = KEEP, .why = KEEP_WAIT_PROOF, .again_ms = 750},
        {"no more", .t_ms = 700, .held_up = NO, .want = KEEP, .why = KEEP_BEST},
    }},
    {"held up: of the path in use, and of no other", LOCAL, .rows = {
        {"moved", .t_ms = 0, .is[LOCAL] = DOWN, .held_up = YES, .want = SWITCH, .to = NEAR, .why = SWITCH_PATH_DOWN},
    }},
    {"held up: nothing else is clean", LOCAL, .rows = {
        {"", .t_ms = 1000, .is[LOCAL] = LOSING, .node[NEAR_NODE] = DEGRADED, .node[TWIN_NODE] = DEGRADED,
         .node[FAR_NODE] = DEGRADED, .is[LOCAL_MGMT] = DEGRADED, .held_up = YES, .want = KEEP, .why = KEEP_DEGRADED},
    }},
};

Test(selector, rule_11_the_hosts_own_connection)
{
    PLAY(rule_11);
}
