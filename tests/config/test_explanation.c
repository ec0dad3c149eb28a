/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that a status reads as what it says: each row is a state of an agent and all that `reroute explain` says of it.
 * A quote of the document is written as an apostrophe.
 */
#include "tools/command/explanation.h"

#include <criterion/criterion.h>

#include "probe/base.h"

#define PATH(access, tier, address, rank, members) \
    "{'access':'" access "','tier':'" tier "','address':'" address "','rank':" rank "," members "}"
#define USED        "'current':true,'eligible':true,'why':''"
#define USED_BUT(w) "'current':true,'eligible':false,'why':'" w "'"
#define GOOD        "'current':false,'eligible':true,'why':''"
#define BAD(w)      "'current':false,'eligible':false,'why':'" w "'"
#define HOME(m)     PATH("n1", "data", "10.0.0.1", "10", m)
#define AWAY(m)     PATH("n2", "data", "10.0.0.2", "12", m)
#define THIRD(m)    PATH("n3", "data", "10.0.0.3", "12", m)
#define LAST(m)     PATH("n1", "management", "10.9.0.1", "20", m)
#define AT_HOME                                                                                         \
    "'service':'192.0.2.1','next_hop':'10.0.0.1','access':'n1','tier':'data','local':true,'since':'T'," \
    "'mode':'auto','reason':'cold-start',"
#define AT_N2                                                                                            \
    "'service':'192.0.2.1','next_hop':'10.0.0.2','access':'n2','tier':'data','local':false,'since':'T'," \
    "'mode':'auto','reason':'path-down',"
#define NOWHERE        "'service':'192.0.2.1','next_hop':null,'mode':'auto','reason':'cold-start',"
#define DECISION(w, s) "'decision':'" w "','explanation':'" s "',"
#define PLACE_HOME     "The route to 192.0.2.1 leads to n1 (data, 10.0.0.1), since T.\n"
#define PLACE_N2       "The route to 192.0.2.1 leads to n2 (data, 10.0.0.2), since T.\n"
#define IS_HOME        "That is home: the node on this host.\n"
#define CAME_FIRST     "It came there because: first choice after the start.\n"
#define CAME_DOWN      "It came there because: the path in use does not answer any more.\n"

static const struct {
    const char *what, *status, *text;
} rows[] =
    {
        {"at home",
         AT_HOME DECISION("best",
                          "the best path is in use") "'paths':[" HOME(USED) "," AWAY(GOOD) "," LAST(GOOD) "]",
         PLACE_HOME IS_HOME CAME_FIRST
         "Now: the best path is in use.\n"
         "If the path in use fails, the route goes to n2 (data, 10.0.0.2) at once.\n"},

        {"at home, with two equals to go to",
         AT_HOME DECISION("best", "the best path is in use") "'paths':[" HOME(USED) "," THIRD(GOOD) "," AWAY(
             GOOD) "]",
         PLACE_HOME IS_HOME CAME_FIRST "Now: the best path is in use.\n"
                                       "If the path in use fails, the route goes to n3 (data, 10.0.0.3) or "
                                       "another one of that rank at once.\n"},

        {"at home with no other way",
         AT_HOME DECISION("best", "the best path is in use") "'paths':[" HOME(USED) "," AWAY(
             BAD("no reply in 1 s")) "]",
         PLACE_HOME IS_HOME CAME_FIRST
         "Now: the best path is in use.\n"
         "If the path in use fails, the route stays: no other path can be used.\n"},

        {"no access on this host",
         AT_N2 DECISION("best", "the best path is in use") "'paths':[" AWAY(USED) "," THIRD(GOOD) "]",
         PLACE_N2 "That is home: no path has a better rank.\n" CAME_DOWN "Now: the best path is in use.\n"
                  "If the path in use fails, the route goes to n3 (data, 10.0.0.3) at once.\n"},

        {"adopted",
         "'service':'192.0.2.1','next_hop':'10.0.0.1','access':'n1','tier':'data','local':true,'since':'T','"
         "mode'"
         ":'auto',"
         "'reason':'adopted'," DECISION("no-verdict",
                                        "the path in use has not been judged yet") "'paths':[" HOME(USED) "]",
         PLACE_HOME IS_HOME "The route stood when the agent began, and the agent keeps it.\n"
                            "Now: the path in use has not been judged yet.\n"
                            "If the path in use fails, the route stays: no other path can be used.\n"},

        {"a foreign next hop",
         "'service':'192.0.2.1','next_hop':'10.0.0.9','access':'foreign','tier':'foreign','local':false,'"
         "since':'"
         "T',"
         "'mode':'auto','reason':'adopted'," DECISION(
             "foreign", "the adopted next hop is no configured "
                        "path, and answers") "'paths':[" PATH("foreign", "foreign", "10.0.0.9", "100",
                                                              USED) "," HOME(GOOD) "]",
         "The route to 192.0.2.1 leads to foreign (foreign, 10.0.0.9), since T.\nThat is not home.\n"
         "The route stood when the agent began, and the agent keeps it.\n"
         "Now: the adopted next hop is no configured path, and answers. It is left when it stops answering.\n"
         "The route goes back when a better path has been healthy for its hold.\n"
         "If the path in use fails, the route goes to n1 (data, 10.0.0.1) at once.\n"},

        {"away, home is dead",
         AT_N2 DECISION("best", "the best path is in use") "'paths':[" HOME(BAD("no reply in 1 s")) "," AWAY(
             USED) "," THIRD(GOOD) "]",
         PLACE_N2 "That is not home.\n" CAME_DOWN "Now: the best path is in use.\n"
                  "Better would be n1 (data, 10.0.0.1), but: no reply in 1 s.\n"
                  "The route goes back when a better path has been healthy for its hold.\n"
                  "If the path in use fails, the route goes to n3 (data, 10.0.0.3) at once.\n"},

        {"away in hold",
         AT_N2 DECISION(
             "hold",
             "a better path waits for its hold to end") "'failback':{'to':'10.0.0.1','access':'n1',"
                                                        "'in_s':142.7,'hold_s':180,'waits_for':'hold'}"
                                                        ",'paths':[" HOME(GOOD) "," AWAY(USED) "]",
         PLACE_N2 "That is not home.\n" CAME_DOWN "Now: a better path waits for its hold to end.\n"
                  "Better is n1 (10.0.0.1). The route goes there in 143 s (its hold is 180 s), if it stays "
                  "healthy until then.\n"
                  "To go there without waiting: reroute failback --now\n"
                  "If the path in use fails, the route goes to n1 (data, 10.0.0.1) at once.\n"},

        {"away, what would be better was left just now",
         AT_N2 DECISION("stay", "so it is") "'failback':{'to':'10.0.0.1','access':'n1','in_s':7.4,'hold_s':5,"
                                            "'waits_for':'stay'},'paths':[" HOME(
                                                GOOD ",'stay_s':7.4") "," AWAY(USED) "," LAST(GOOD) "]",
         PLACE_N2
         "That is not home.\n" CAME_DOWN "Now: so it is.\n"
         "Better is n1 (10.0.0.1). The route goes there in 7 s (its hold is 5 s), if it stays "
         "healthy until then; it was left just now, and is not taken again before its stay is over.\n"
         "To go there without waiting: reroute failback --now\n"
         "If the path in use fails, the route goes to n1 (management, 10.9.0.1) at once.\n"},

        {"away, damped",
         AT_N2 DECISION(
             "hold",
             "a better path waits for its hold to end") "'failback':{'to':'10.0.0.1','access':'n1',"
                                                        "'in_s':600,'hold_s':720,'waits_for':'hold'},'"
                                                        "sessions':{"
                                                        "'accesses':[{'access':'n2','failures':5},"
                                                        "{'access':'n1','failures':3}]},'paths':[" HOME(
                                                            GOOD) "," AWAY(USED) "]",
         PLACE_N2
         "That is not home.\n" CAME_DOWN "Now: a better path waits for its hold to end.\n"
         "Better is n1 (10.0.0.1). The route goes there in 600 s (its hold is 720 s, longer each time, "
         "for it failed 3 "
         "times), if it stays healthy until then.\n"
         "To go there without waiting: reroute failback --now\n"
         "If the path in use fails, the route goes to n1 (data, 10.0.0.1) at once.\n"},

        {"away, its MTU is wrong",
         AT_N2 DECISION(
             "wait-full-size",
             "a full-size packet has not passed a better path yet") "'failback':{'to':"
                                                                    "'10.0.0.1','access':'n1','in_s':"
                                                                    "null,'hold_s':180,'waits_for':'"
                                                                    "wait-full-size'},'paths':[" HOME(
                                                                        GOOD) "," AWAY(USED) "]",
         PLACE_N2
         "That is not home.\n" CAME_DOWN "Now: a full-size packet has not passed a better path yet.\n"
         "Better is n1 (10.0.0.1). The route goes there when that has been healthy for its hold (its "
         "hold is 180 s), if it "
         "stays healthy until then; a packet of full size must get through first: compare the MTUs of "
         "host, switch and "
         "node.\n"
         "To go there without waiting: reroute failback --now\n"
         "If the path in use fails, the route goes to n1 (data, 10.0.0.1) at once.\n"},

        {"nothing eligible",
         AT_HOME
             DECISION("nothing-eligible", "no path is eligible: the route stays as it is") "'paths':[" HOME(
                 USED_BUT("no reply in 1 s")) "," AWAY(BAD("its session is dead")) "]",
         "WARNING   no path to the service can be used\n" PLACE_HOME IS_HOME CAME_FIRST
         "Now: no path is eligible: the route stays as it is. The first path that can be used is taken.\n"
         "Of the path in use: no reply in 1 s.\n"},

        {"nothing eligible, away from home",
         "'service':'192.0.2.1','next_hop':'10.0.0.2','access':'n2','tier':'data','local':false,'since':'T','"
         "mode':'auto',"
         "'reason':'path-down'," DECISION("nothing-eligible", "no path is eligible: the route stays as it is") "'paths':[" HOME(
             BAD("no reply in 1 s")) "," AWAY(USED_BUT("no reply in 1 s")) "]",
         "WARNING   no path to the service can be used\n" PLACE_N2 "That is not home.\n" CAME_DOWN
         "Now: no path is eligible: the route stays as it is. The first path that can be used is taken.\n"
         "Of the path in use: no reply in 1 s.\nBetter would be n1 (data, 10.0.0.1), but: no reply in 1 "
         "s.\n"},

        {"no route",
         NOWHERE DECISION("cold-start", "just started: waiting for the top-ranked path and a session list") "'paths':[" HOME(
             BAD("no "
                 "verdict "
                 "yet")) "," AWAY(GOOD) "]",
         "There is no route to 192.0.2.1 yet: just started: waiting for the top-ranked path and a session "
         "list.\n"
         "n1 (data, 10.0.0.1): no verdict yet.\nn2 (data, 10.0.0.2): it can be used.\n"},

        {"pinned",
         "'service':'192.0.2.1','next_hop':'10.0.0.2','access':'n2','tier':'data','local':false,'since':'T','"
         "mode':'pinned',"
         "'pin':'n2','reason':'pin'," DECISION("best", "the best path is in use") "'paths':[" HOME(
             GOOD) "," PATH("n2", "data", "10.0.0.2", "0", USED) "]",
         PLACE_N2 "A person pinned n2.\nIt came there because: a person pinned this path.\n"
                  "Now: the best path is in use.\n"
                  "If the path in use fails, the route goes to n1 (data, 10.0.0.1) at once.\n"},

        {"pinned for good",
         "'service':'192.0.2.1','next_hop':'10.0.0.2','access':'n2','tier':'data','local':false,'since':'T',"
         "'mode':'pinned-hard','pin':'n2','reason':'pin'," DECISION(
             "pin-hard",
             "pinned hard: never left automatically") "'paths':[" HOME(GOOD) "," PATH("n2", "data",
                                                                                      "10.0.0.2", "0",
                                                                                      USED_BUT("no reply in "
                                                                                               "1 s")) "]",
         PLACE_N2 "A person pinned n2 hard.\nIt came there because: a person pinned this path.\n"
                  "Now: pinned hard: never left automatically.\nOf the path in use: no reply in 1 s.\n"
                  "Nothing moves it but a person: reroute unpin ends that.\n"},

        {"drained",
         "'service':'192.0.2.1','next_hop':'10.0.0.2','access':'n2','tier':'data','local':false,'since':'T','"
         "mode':'auto',"
         "'reason':'drained'," DECISION(
             "best",
             "the best path is in use") "'sessions':{'accesses':[{'access':'n1',"
                                        "'drained':true},{'access':'n2','drained':false}]},'paths':[" HOME(
                                            BAD("its access is drained")) "," AWAY(USED) "]",
         PLACE_N2 "That is not home.\nIt came there because: the access in use is drained.\n"
                  "Now: the best path is in use.\n"
                  "A person drained n1. To let it in again: reroute undrain n1\n"
                  "Better would be n1 (data, 10.0.0.1), but: its access is drained.\n"
                  "The route goes back when a better path has been healthy for its hold.\n"
                  "If the path in use fails, the route stays: no other path can be used.\n"},

        {"degraded",
         AT_HOME DECISION(
             "degraded",
             "the path in use loses too many packets, but no clean one is there") "'paths':[" PATH("n1",
                                                                                                   "data",
                                                                                                   "10.0.0.1",
                                                                                                   "10",
                                                                                                   "'current'"
                                                                                                   ":"
                                                                                                   "true,'"
                                                                                                   "eligible'"
                                                                                                   ":"
                                                                                                   "true,'"
                                                                                                   "why':'"
                                                                                                   "degraded:"
                                                                                                   " "
                                                                                                   "too many "
                                                                                                   "requests "
                                                                                                   "are "
                                                                                                   "lost'") "]",
         PLACE_HOME IS_HOME CAME_FIRST
         "Now: the path in use loses too many packets, but no clean one is there. "
         "It is left as soon as there is a clean "
         "one.\nOf the path in use: degraded: too many requests are lost.\n"
         "If the path in use fails, the route stays: no other path can be used.\n"},

        {"contradicted by the witness",
         AT_HOME DECISION(
             "contradicted",
             "the path in use does not answer pings, but carries the connection") "'witness':{'says':'"
                                                                                  "progress','"
                                                                                  "contradicts':true},'paths'"
                                                                                  ":"
                                                                                  "[" HOME(USED_BUT(
                                                                                      "no reply in "
                                                                                      "1 s")) "," AWAY(GOOD) "]",
         PLACE_HOME IS_HOME CAME_FIRST
         "Now: the path in use does not answer pings, but carries the connection. It is left when the window "
         "has "
         "passed "
         "twice, or that connection stands still.\nOf the path in use: no reply in 1 s.\n"
         "If the path in use fails, the route goes to n2 (data, 10.0.0.2) at once.\n"},

        {"the route command hangs",
         AT_HOME DECISION(
             "path-down",
             "the path in use does not answer any more") "'route_command':{'backend':'esxcfg',"
                                                         "'state':'hangs','silent_since':'T','waits_"
                                                         "for':'10.0.0.2'},'paths':[" HOME(
                                                             USED_BUT("no reply in 1 s")) "," AWAY(GOOD) "]",
         "WARNING   the route command hangs since T: the route cannot move\n" PLACE_HOME IS_HOME CAME_FIRST
         "Now: the path in use does not answer any more.\nOf the path in use: no reply in 1 s.\n"
         "It goes to 10.0.0.2 as soon as the route command has done that.\n"
         "Nothing moves it before the route command answers.\n"},

        {"warnings come first",
         AT_HOME DECISION(
             "best",
             "the best path is in use") "'packets':'shadowed','shadowed_by':'a route',"
                                        "'sessions':{'list_age_s':31.2,'overdue_s':31.2},'refresh':{'error':'"
                                        "timeout'},'paths':[" HOME(USED) "," AWAY(GOOD) "]",
         "WARNING   a foreign route hides ours: a route\n"
         "WARNING   the cluster has not been told where this host enters: timeout\n"
         "WARNING   no fresh session list for 31 s: what the cluster said before stands\n" PLACE_HOME IS_HOME
             CAME_FIRST "Now: the best path is in use.\n"
         "If the path in use fails, the route goes to n2 (data, 10.0.0.2) at once.\n"},

        {"no list ever came",
         AT_HOME DECISION("best",
                          "the best path is in use") "'sessions':{'list_age_s':null,'overdue_s':31.2},"
                                                     "'paths':[" HOME(USED) "," AWAY(GOOD) "]",
         "WARNING   no session list for 31 s, none ever came: without one there is no failback. A cluster "
         "without this service: session { provider = \"none\" }\n" PLACE_HOME IS_HOME CAME_FIRST
         "Now: the best path is in use.\n"
         "If the path in use fails, the route goes to n2 (data, 10.0.0.2) at once.\n"},

        {"observe only",
         AT_HOME DECISION(
             "path-down",
             "the path in use does not answer any more") "'observe_only':{'file':'/f',"
                                                         "'since':'T'},'paths':[" HOME(
                                                             USED_BUT("no reply in 1 s")) "," AWAY(GOOD) "]",
         "WARNING   this host only observes since T: nothing is done until /f is gone\n" PLACE_HOME IS_HOME
             CAME_FIRST
         "Now: the path in use does not answer any more.\nOf the path in use: no reply in 1 s.\n"
         "Nothing moves it while this host only observes.\n"},

        {"the disk of observe-file hangs",
         AT_HOME DECISION("best",
                          "the best path is in use") "'observe_only':null,'observe_file':{'file':'/f',"
                                                     "'there':false,'error':'why','error_since':'T'},"
                                                     "'paths':[" HOME(USED) "," AWAY(GOOD) "]",
         "WARNING   /f cannot be looked for since T: why\n" PLACE_HOME IS_HOME CAME_FIRST
         "Now: the best path is in use.\n"
         "If the path in use fails, the route goes to n2 (data, 10.0.0.2) at once.\n"},

        {"other timeouts are advised",
         AT_HOME DECISION(
             "best",
             "the best path is in use") "'tune':{'mode':'advise','select_timeout_ms':100,'select_count':10,"
                                        "'advice':{'select_timeout_ms':20,'select_count':3},'why':'so it "
                                        "is'},'paths':[" HOME(USED) "," AWAY(GOOD) "]",
         PLACE_HOME IS_HOME CAME_FIRST
         "Now: the best path is in use.\n"
         "If the path in use fails, the route goes to n2 (data, 10.0.0.2) at once.\n"
         "The agent advises timeouts of 20 ms x 3 instead of 100 ms x 10: so it is.\n"},

        {"the advised timeouts are those in force",
         AT_HOME DECISION(
             "best",
             "the best path is in use") "'tune':{'mode':'advise','select_timeout_ms':20,'select_count':3,"
                                        "'advice':{'select_timeout_ms':20,'select_count':3},'why':'so it "
                                        "is'},'paths':[" HOME(USED) "," AWAY(GOOD) "]",
         PLACE_HOME IS_HOME CAME_FIRST
         "Now: the best path is in use.\n"
         "If the path in use fails, the route goes to n2 (data, 10.0.0.2) at once.\n"},

        {"timeouts that the agent found",
         AT_HOME DECISION(
             "best",
             "the best path is in use") "'tune':{'mode':'auto','select_timeout_ms':20,'select_count':3,"
                                        "'advice':{'select_timeout_ms':20,'select_count':3},'why':'so it "
                                        "is'},'paths':[" HOME(USED) "," AWAY(GOOD) "]",
         PLACE_HOME IS_HOME CAME_FIRST
         "Now: the best path is in use.\n"
         "If the path in use fails, the route goes to n2 (data, 10.0.0.2) at once.\n"
         "The agent found its timeouts, 20 ms x 3, by itself: so it is.\n"},

        {"nothing is advised yet",
         AT_HOME DECISION(
             "best",
             "the best path is in use") "'tune':{'mode':'advise','select_timeout_ms':100,'select_count':10,"
                                        "'advice':null,'why':'not watched enough'},'paths':[" HOME(
                                            USED) "," AWAY(GOOD) "]",
         PLACE_HOME IS_HOME CAME_FIRST
         "Now: the best path is in use.\n"
         "If the path in use fails, the route goes to n2 (data, 10.0.0.2) at once.\n"},

        {"another document", "'schema':'x'", "There is no route to - yet: -.\n"},
};

Test(explanation, of_every_state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CLEANUP(free) char *document = NULL, *text = NULL;
        cJSON *status;

        cr_assert_gt(asprintf(&document, "{%s}", rows[i].status), 0);
        for (char *quote = document; (quote = strchr(quote, '\''));)
            *quote = '"';
        status = cJSON_Parse(document);
        cr_assert_not_null(status, "%s: %s", rows[i].what, document);
        text = explanation_text(status);
        cr_expect_str_eq(text, rows[i].text, "%s:\n%s", rows[i].what, text);
        cJSON_Delete(status);
    }
}

Test(explanation, text_of_others_acts_on_no_terminal)
{
    cJSON *status =
        cJSON_Parse("{\"next_hop\":\"\\u001b[2J\",\"access\":\"\\u202e\",\"explanation\":\"\\u009b\","
                    "\"paths\":[{\"current\":true,\"access\":\"\\u001b\",\"why\":\"\\u0007\"}]}");
    CLEANUP(free) char *text = explanation_text(status);

    for (const char *c = text; *c; c++)
        cr_expect(*c == '\n' || (*c >= ' ' && *c < 127), "%s", text);
    cJSON_Delete(status);
}
