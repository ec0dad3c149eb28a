/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that a journal reads as what happened: each row is a line and the sentences that it tells, in the order of one
 * host's life; what is no event tells nothing. A quote of the line is written as an apostrophe.
 */
#include "route/journal/story.h"

#include <criterion/criterion.h>

#define DECISION(reason) "'decision':{'action':'keep','reason':'" reason "'}"
#define STEP             "{'kind':'step','t_ns':'1000000000',"

static const struct {
    const char *line, *told;
} rows[] = {
    /* What the first snapshot has is no news, whatever it was written for. */
    {"{'kind':'snapshot','t_ns':'1','schema':'reroute.journal/1','why':'rotate','current':'10.0.0.1',"
     "'agent':{'stalled':false,'contradicted_ns':'0'},"
     "'accesses':[{'access':'n1','session':'stable','uuid':'a'},{'access':'n2','session':'dead'}],"
     "'paths':[{'path':'10.0.0.1','access':'n1','tier':'data','state':'up','degraded':false,'service_bad':"
     "false,"
     "'link_usable':true,'on_link':true,'full_size':'passed'},"
     "{'path':'10.0.0.2','access':'n2','tier':'data','state':'down'}]," DECISION("best") "}",
     "the best path is in use;"},
    {STEP "'paths':[{'path':'10.0.0.2','state':'up'}]," DECISION("best") "}", "n2 data 10.0.0.2 answers;"},
    {STEP "'paths':[{'path':'10.0.0.2','missing':true,'loss_ppm':12}]," DECISION("best") "}", ""},
    {STEP "'accesses':[{'access':'n2','session':'alive'}]," DECISION("best") "}",
     "the session of n2 is alive: the cluster lists it;"},
    {STEP "'paths':[{'path':'10.0.0.1','degraded':true,'service_bad':false}]," DECISION("degraded") "}",
     "n1 data 10.0.0.1 loses too many packets;the path in use loses too many packets, but no clean one is "
     "there;"},
    {STEP "'paths':[{'path':'10.0.0.1','degraded':false,'service_bad':true}]," DECISION("best") "}",
     "n1 data 10.0.0.1 loses few packets again;n1 data 10.0.0.1 answers pings, but its storage service does "
     "not work;the best path is in use;"},
    {STEP "'paths':[{'path':'10.0.0.1','link_usable':false,'on_link':false,'state':'down'}],"
          "'decision':{'action':'switch','reason':'link-down','to':'10.0.0.2'}}",
     "the interface of n1 data 10.0.0.1 is down;n1 data 10.0.0.1 is not directly connected any more;"
     "n1 data 10.0.0.1 does not answer any more;"},
    {"{'kind':'switch','from':'10.0.0.1','to':'10.0.0.2','reason':'link-down','done':true}",
     "the route moved from n1 data 10.0.0.1 to n2 data 10.0.0.2: the interface of the path in use is down;"},
    {STEP DECISION("best") "}", ""}, /* right after a move that is no news */
    {STEP "'decision':{'action':'keep','reason':'hold','candidate':'10.0.0.1',"
          "'candidate_at_ns':'144000000000'}}",
     "a better path waits for its hold to end: n1 data 10.0.0.1, in 143 s;"},
    {STEP DECISION("best") "}", "the best path is in use;"},
    {STEP "'decision':{'action':'switch-planned','reason':'failback','to':'10.0.0.1'}}",
     "the move to n1 data 10.0.0.1 begins: a better path has been healthy for its hold;"},
    {"{'kind':'switch','from':'10.0.0.2','to':'10.0.0.1','reason':'failback','done':false,"
     "'error':'Operation not permitted'}",
     "the route could not be moved to n1 data 10.0.0.1: Operation not permitted;"},
    {"{'kind':'switch','from':null,'to':'10.0.0.9','reason':'cold-start','done':true}",
     "the route was set to 10.0.0.9: first choice after the start;"},
    {"{'kind':'adopt','to':'10.0.0.2'}", "there was a route already, to n2 data 10.0.0.2: it is kept;"},
    {"{'kind':'command','command':'pin --hard','target':'n2'}", "a person pinned n2, hard;"},
    {"{'kind':'command','command':'drain','target':'n2','because':'a "
     "disk','until':'2027-01-01T00:00:00.000Z'}",
     "a person drained n2, because: a disk;"},
    {"{'kind':'command','command':'undrain','target':'n2','over':true}",
     "the time is over of the drain of n2;"},
    {"{'kind':'command','command':'unpin','target':'n2','over':true}", "the time is over of the pin of n2;"},
    {"{'kind':'command','command':'pin','target':'n2'}", "a person pinned n2;"},
    {"{'kind':'command','command':'unpin','target':'n2'}", "a person ended the pin of n2;"},
    {"{'kind':'command','command':'undrain','target':'n2'}", "a person ended the drain of n2;"},
    {"{'kind':'command','command':'failback --now','target':'10.0.0.1'}",
     "a person ended the wait for the move to 10.0.0.1;"},
    {"{'kind':'command','command':'observe only','target':''}",
     "the observe-file is there: the agent only watches, and moves nothing;"},
    {"{'kind':'command','command':'act again','target':''}",
     "the observe-file is gone: the agent moves the route again;"},
    {"{'kind':'command','command':'a later one','target':'n2'}", "a person said: a later one n2;"},
    {STEP "'agent':{'stalled':true,'contradicted_ns':'0'}," DECISION("pin-hard") "}",
     "the data that this host sends to the service are not acknowledged;pinned hard: never left "
     "automatically;"},
    {STEP "'agent':{'stalled':false,'contradicted_ns':'7'}," DECISION("pin-hard") "}",
     "pings on the path in use are lost, but the data that this host sends to the service are acknowledged;"
     "the data that this host sends to the service are acknowledged again;"},
    {STEP "'agent':{'contradicted_ns':'8'}," DECISION("pin-hard") "}", ""},
    {STEP "'accesses':[{'access':'n1','uuid':'b','session':'alive'}]," DECISION("nothing-eligible") "}",
     "n1 has a new session: it restarted;the session of n1 is alive: the cluster lists it;"
     "no path is eligible: the route stays as it is;"},
    {STEP "'paths':[{'path':'10.0.0.1','full_size':'lost'}]," DECISION("a-later-word") "}",
     "a packet of full size did not get through n1 data 10.0.0.1: is an MTU wrong?;a-later-word;"},
    {STEP "'decision':{'action':'keep','reason':''}}", ""},
    {"{'kind':'alive','t_ns':'5'}", ""},
    {"{'kind':'a later kind','t_ns':'5'}", ""},
    {"{'kind':'stop','t_ns':'5'}", "the agent stopped;"},
    {"{'kind':'snapshot','schema':'reroute.journal/"
     "1','why':'start','version':'9','current':null,"
     "'accesses':[{'access':'n1','session':'unknown'}],"
     "'paths':[{'path':'10.0.0.1','access':'n1','tier':'data','state':'unknown'}]"
     "," DECISION("cold-start") "}",
     "the agent started: reroute 9, there is no route;"
     "just started: waiting for the top-ranked path and a session list;"},
    {"{'kind':'snapshot','schema':'reroute.journal/"
     "1','why':'resumed','lost':'3','current':'10.0.0.1',"
     "'paths':[{'path':'10.0.0.1','access':'n1','tier':'data','state':'up'}]," DECISION("cold-start") "}",
     "n1 data 10.0.0.1 answers;3 lines at least are missing here;"},
    {"{'kind':'snapshot','schema':'reroute.journal/1','why':'reload','current':null}",
     "the configuration was read again;"},
    /* A path that is new is no news of itself. */
    {"{'kind':'snapshot','schema':'reroute.journal/1','why':'paths','current':'10.0.0.1',"
     "'paths':[{'path':'10.0.0.7','access':'n7','tier':'data','state':'up','on_link':"
     "true,"
     "'service_bad':false}]}",
     "the list of paths changed;"},
};

static void add(void *context, const char *sentence)
{
    strcat(strcat(context, sentence), ";");
}

static int take(struct story *story, const char *text, char *told, char *message, size_t size_bytes)
{
    CLEANUP(free) char *copy = strdup(text);
    cJSON *line;
    int error;

    for (char *quote = copy; (quote = strchr(quote, '\''));)
        *quote = '"';
    line = cJSON_Parse(copy);
    told[0] = '\0';
    cr_assert_not_null(line, "%s", text);
    error = story_line(story, line, add, told, message, size_bytes);
    cJSON_Delete(line);
    return error;
}

Test(story, a_host)
{
    struct story *story = story_new();
    char told[2048], message[128];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        cr_assert_eq(take(story, rows[i].line, told, message, sizeof(message)), 0, "%s", message);
        cr_expect_str_eq(told, rows[i].told, "row %zu: %s", i, told);
    }
    story_free(story);
}

Test(story, what_is_no_journal)
{
    struct story *story = story_new();
    char told[256], message[128], line[128];
    int error = 0, i = 0;

    cr_expect_eq(
        take(story, "{'kind':'snapshot','schema':'reroute.journal/2'}", told, message, sizeof(message)),
        -EPROTO);
    cr_expect_str_eq(message, "schema 'reroute.journal/2', expected reroute.journal/1");
    cr_expect_eq(take(story, "{'kind':7,'decision':8,'paths':{'x':1}}", told, message, sizeof(message)), 0);
    cr_expect_eq(take(story, "{'kind':'step','decision':8,'paths':{'x':1},'accesses':[1,null]}", told,
                      message, sizeof(message)),
                 0);
    for (; !error && i < 10000; i++) {
        snprintf(line, sizeof(line), "{'kind':'step','paths':[{'path':'%d'}]}", i);
        error = take(story, line, told, message, sizeof(message));
    }
    cr_expect_eq(error, -EPROTO);
    cr_expect_eq(i, 4096 + 1);
    cr_expect_str_eq(message, "more than 4096 paths or accesses, not of a journal");
    story_free(story);
}
