/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that a profile is read as it is documented, and that what is wrong with one is said by the word:
 * which, and what was expected.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "bench/responder/responder.h"

#define MESSAGE_BYTES 512

static struct responder_profile parse(const char *text)
{
    struct responder_profile profile;
    char message[MESSAGE_BYTES] = "";

    cr_assert_eq(responder_profile_parse(&profile, text, message, sizeof(message)), 0, "%s: %s", text,
                 message);
    return profile;
}

static bool same(const struct responder_profile *a, const struct responder_profile *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Each word alone; the struct says in full what it sets. */
static const struct {
    const char *text;
    struct responder_profile want;
} good[] = {
    {"perfect", {0}},
    {"delay=1ms", {.delay_ns = 1e6}},
    {"delay=0.25ms", {.delay_ns = 250e3}},
    {"delay=normal:1ms:0.2ms", {.distribution = RESPONDER_NORMAL, .delay_ns = 1e6, .spread = 200e3}},
    {"spike=300ms:10s", {.spike_ns = 300 * NS_PER_MS, .spike_every_ns = 10 * NS_PER_S}},
    {"late=5%:2s", {.late = 0.05, .late_ns = 2 * NS_PER_S}},
    {"delay=1ms,reorder=0.5", {.delay_ns = 1e6, .reorder = 0.5}},
    {"loss=0.01", {.loss = 0.01}},
    {"loss=1%", {.loss = 0.01}},
    {"loss=.5", {.loss = 0.5}},
    {"loss=1", {.loss = 1}},
    {"loss=0", {.loss = 0}},
    {"burst=1%:25%", {.burst_enter = 0.01, .burst_leave = 0.25, .burst_bad = 1}},
    {"burst=1%:25%:80%:0.1%",
     {.burst_enter = 0.01, .burst_leave = 0.25, .burst_bad = 0.8, .burst_good = 0.001}},
    {"dead", {.dead = 1}},
    {"dead=10%", {.dead = 0.1}},
    {"limit=200", {.limit_per_s = 200}},
    {"error=net", {.error = 1, .error_kind = RESPONDER_ERROR_NET}},
    {"error=host:0.5", {.error = 0.5, .error_kind = RESPONDER_ERROR_HOST}},
    {"error=admin,quote=8", {.error = 1, .error_kind = RESPONDER_ERROR_ADMIN, .short_quote = true}},
    {"error=ttl,quote=full", {.error = 1, .error_kind = RESPONDER_ERROR_TTL}},
    {"mtu=1400", {.mtu_bytes = 1400}},
    {"mtu=1400:tell", {.mtu_bytes = 1400}},
    {"mtu=1400:drop", {.mtu_bytes = 1400, .mtu_silent = true}},
    {"mtu=1400,quote=8", {.mtu_bytes = 1400, .short_quote = true}},
    {"duplicate=0.1", {.duplicate = 0.1}},
    {"corrupt=0.1", {.corrupt = 0.1, .corruption = RESPONDER_CORRUPT_PAYLOAD}},
    {"corrupt=0.1:payload", {.corrupt = 0.1, .corruption = RESPONDER_CORRUPT_PAYLOAD}},
    {"corrupt=0.1:checksum", {.corrupt = 0.1, .corruption = RESPONDER_CORRUPT_CHECKSUM}},
    {"corrupt=0.1:token", {.corrupt = 0.1, .corruption = RESPONDER_CORRUPT_TOKEN}},
    {"truncate=0.1", {.truncate = 0.1, .truncate_bytes = 16}},
    {"truncate=0.1:0", {.truncate = 0.1, .truncate_bytes = 0}},
    {"wrong-source=0.1", {.wrong_source = 0.1}},
    {"perfect,loss=5%,delay=1ms", {.loss = 0.05, .delay_ns = 1e6}},
};

Test(profile, words)
{
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct responder_profile got = parse(good[i].text);

        cr_expect(same(&got, &good[i].want), "%s", good[i].text);
    }
}

Test(profile, a_word_replaces_what_the_name_has_set)
{
    struct responder_profile nested = parse("nested"), changed = parse("nested,loss=5%");

    cr_expect_float_eq(nested.loss, 0.01, 1e-12);
    cr_expect_float_eq(changed.loss, 0.05, 1e-12);
    changed.loss = nested.loss;
    cr_expect(same(&nested, &changed), "and nothing else");
    changed = parse("nested,delay=2ms");
    cr_expect_eq(changed.distribution, RESPONDER_CONSTANT);
    cr_expect_eq(changed.spike_ns, nested.spike_ns);
}

Test(profile, a_lognormal_is_given_by_its_median_and_99th_percentile)
{
    struct responder_profile profile = parse("delay=lognormal:2ms:5ms");

    cr_expect_eq(profile.distribution, RESPONDER_LOGNORMAL);
    cr_expect_float_eq(profile.delay_ns, 2e6, 1e-3);
    cr_expect_float_eq(profile.delay_ns * exp(2.3263478740408408 * profile.spread), 5e6, 1);
}

Test(profile, every_name_is_what_its_text_says)
{
    static const char *const wanted[] = {"perfect", "lan", "nested", "wan", "lossy"};
    const char *name, *text;
    size_t count = 0;

    for (; (name = responder_profile_name(count, &text)); count++) {
        struct responder_profile by_name = parse(name), by_text = {0};

        cr_assert_lt(count, ARRAY_SIZE(wanted));
        cr_expect_str_eq(name, wanted[count]);
        if (text[0])
            by_text = parse(text);
        cr_expect(same(&by_name, &by_text), "%s", name);
    }
    cr_expect_eq(count, ARRAY_SIZE(wanted));
}

static const struct {
    const char *text;
    const char *word;     /* how the message begins */
    const char *expected; /* and what it says */
} bad[] = {
    {"", "''", "no such name or word"},
    {"lann", "'lann'", "names are perfect, lan, nested"},
    {"los=5%", "'los'", "words are delay, spike, late"},
    {"lan,", "''", "no such name or word"},
    {"lan,,loss=1%", "''", "no such name or word"},
    {"lan,nested", "'nested'", "a name comes first"},
    {"loss=1%,lan", "'lan'", "a name comes first"},
    {"lan=1", "'lan'", "a name takes no value"},
    {"loss=1%,loss=2%", "'loss'", "given twice"},
    {"delay=1ms,delay=normal:1ms:1ms", "'delay'", "given twice"},
    {"loss", "'loss'", "expected loss=SHARE"},
    {"loss=1%:2%", "'loss'", "expected loss=SHARE"},
    {"loss=", "'loss'", "'' is no share"},
    {"loss=1.5", "'loss'", "'1.5' is no share; expected 0 to 1, or 0% to 100%"},
    {"loss=101%", "'loss'", "'101%' is no share"},
    {"loss=-1%", "'loss'", "'-1%' is no share"},
    {"loss=nan", "'loss'", "'nan' is no share"},
    {"loss=1e-3", "'loss'", "'1e-3' is no share"},
    {"loss=.", "'loss'", "'.' is no share"},
    {"loss=5%%", "'loss'", "'5%%' is no share"},
    {"loss= 5%", "'loss'", "' 5%' is no share"},
    {"delay", "'delay'", "expected delay=TIME"},
    {"delay=1", "'delay'", "'1' is no time; expected up to an hour with a unit"},
    {"delay=2h", "'delay'", "'2h' is no time"},
    {"delay=1ms:2ms", "'delay'", "'1ms' is not known here; expected one of normal, lognormal"},
    {"delay=normal:1ms", "'delay'", "normal needs two times"},
    {"delay=pareto:1ms:2ms", "'delay'", "'pareto' is not known here"},
    {"delay=lognormal:2ms:1ms", "'delay'", "the 99th percentile above the median"},
    {"delay=lognormal:0ms:1ms", "'delay'", "the median has to be above 0"},
    {"delay=normal:1ms:1ms:1ms", "'delay'", "expected delay=TIME"},
    {"spike=300ms", "'spike'", "expected spike=HEIGHT:EVERY"},
    {"spike=300ms:300ms", "'spike'", "less than the mean time between two"},
    {"late=5%", "'late'", "expected late=SHARE:TIME"},
    {"reorder=5%", "'reorder'", "needs a delay"},
    {"burst=1%", "'burst'", "expected burst=ENTER:LEAVE[:BAD[:GOOD]]"},
    {"burst=1%:2%:3%:4%:5%", "'burst'", "expected burst="},
    {"burst=1%:x", "'burst'", "'x' is no share"},
    {"limit=many", "'limit'", "'many' is no number from 0 to 1000000000"},
    {"limit=99999999999999999999", "'limit'", "is no number"},
    {"error=dns", "'error'", "'dns' is not known here; expected one of net, host, admin, ttl"},
    {"quote=8", "'quote'", "needs 'error' or 'mtu'"},
    {"mtu=10", "'mtu'", "'10' is no number from 68 to 65535"},
    {"mtu=1400:loudly", "'mtu'", "expected one of tell, drop"},
    {"corrupt=1%:header", "'corrupt'", "expected one of payload, checksum, token"},
    {"nested,los=1%", "'los'", "no such name or word"},
};

Test(profile, an_error_names_the_word)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct responder_profile profile;
        char message[MESSAGE_BYTES] = "";

        cr_expect_eq(responder_profile_parse(&profile, bad[i].text, message, sizeof(message)), -EINVAL, "%s",
                     bad[i].text);
        cr_expect(strncmp(message, bad[i].word, strlen(bad[i].word)) == 0, "%s: %s", bad[i].text, message);
        cr_expect(strstr(message, bad[i].expected), "%s: %s", bad[i].text, message);
        cr_expect_null(strchr(message, '\n'));
    }
}

Test(profile, a_text_without_end_is_refused)
{
    char text[5000], message[MESSAGE_BYTES];
    struct responder_profile profile;

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    cr_expect_eq(responder_profile_parse(&profile, text, message, sizeof(message)), -EINVAL);
    text[900] = '\0';
    cr_expect_eq(responder_profile_parse(&profile, text, message, sizeof(message)), -EINVAL);
}

/* --- prefixes and rules ----------------------------------------------------------------------------------*/

static const struct {
    const char *text;
    int result;
    const char *address;
    unsigned length;
    bool network;
} prefixes[] = {
    {"10.0.0.0/8", 0, "10.0.0.0", 8, true},     {"10.0.0.1/8", 0, "10.0.0.1", 8, false},
    {"10.0.0.1", 0, "10.0.0.1", 32, true},      {"0.0.0.0/0", 0, "0.0.0.0", 0, true},
    {"fd00::/8", 0, "fd00::", 8, true},         {"fd00::1", 0, "fd00::1", 128, true},
    {"fd00::1/127", 0, "fd00::1", 127, false},  {"::/0", 0, "::", 0, true},
    {"10.0.0.0/33", -EINVAL, NULL, 0, false},   {"10.0.0.0/", -EINVAL, NULL, 0, false},
    {"10.0.0.0/-1", -EINVAL, NULL, 0, false},   {"10.0.0.0/8x", -EINVAL, NULL, 0, false},
    {"10.0.0/8", -EINVAL, NULL, 0, false},      {"", -EINVAL, NULL, 0, false},
    {"fe80::1%lo/64", -EINVAL, NULL, 0, false}, {"10.0.0.0/4294967304", -EINVAL, NULL, 0, false},
};

Test(rules, prefixes)
{
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        struct responder_prefix prefix;

        cr_assert_eq(responder_prefix_parse(&prefix, prefixes[i].text), prefixes[i].result, "%s",
                     prefixes[i].text);
        if (prefixes[i].result)
            continue;
        cr_expect_str_eq(ADDRESS_TEXT(&prefix.address), prefixes[i].address);
        cr_expect_eq(prefix.length, prefixes[i].length);
        cr_expect_eq(responder_prefix_is_network(&prefix), prefixes[i].network, "%s", prefixes[i].text);
    }
}

static void add(struct responder_rule *rule, const char *text)
{
    char message[MESSAGE_BYTES] = "";

    cr_assert_eq(responder_rule_parse(rule, text, message, sizeof(message)), 0, "%s", message);
}

Test(rules, the_longest_prefix_decides)
{
    static const struct {
        const char *address;
        uint32_t mark; /* the limit of the rule that has it */
    } rows[] = {
        {"10.1.2.3", 32}, {"10.1.2.4", 24}, {"10.1.3.3", 14}, {"10.3.255.255", 14}, {"10.4.0.0", 8},
        {"11.0.0.0", 1},  {"fd00::1", 128}, {"fd00::2", 64},  {"fd00:0:0:1::", 1},  {"a00::", 1},
    };
    struct responder_rule rules[7] = {{.profile.limit_per_s = 1}};
    size_t which;

    add(&rules[1], "10.0.0.0/8=limit=8");
    add(&rules[2], "fd00::/64=limit=64");
    add(&rules[3], "10.1.2.3=limit=32");
    add(&rules[4], "10.1.2.0/24=limit=24");
    add(&rules[5], "fd00::1=limit=128");
    add(&rules[6], "10.0.0.0/14=limit=14");
    cr_assert_eq(responder_rules_sort(rules, ARRAY_SIZE(rules), &which), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct address address;
        size_t at;

        address_parse(&address, rows[i].address);
        at = responder_rules_find(rules, ARRAY_SIZE(rules), &address);
        cr_assert_lt(at, ARRAY_SIZE(rules));
        cr_expect_eq(rules[at].profile.limit_per_s, rows[i].mark, "%s", rows[i].address);
    }
}

Test(rules, a_prefix_has_one_profile)
{
    struct responder_rule rules[3];
    size_t which = 0;

    add(&rules[0], "10.0.0.0/8=lan");
    add(&rules[1], "10.0.0.0/9=lan");
    add(&rules[2], "10.0.0.0/8=wan");
    cr_expect_eq(responder_rules_sort(rules, 3, &which), -EEXIST);
    cr_expect_eq(rules[which].prefix.length, 8);
}

Test(rules, errors)
{
    static const struct {
        const char *text;
        const char *message;
    } rows[] = {
        {"lan", "'lan': expected PREFIX=PROFILE"},
        {"10.0.0.1/8=lan", "'10.0.0.1/8': has bits behind the first 8"},
        {"ten=lan", "'ten': expected an address"},
        {"10.0.0.0/8=los=1", "10.0.0.0/8: 'los': no such name or word"},
        {"10.0.0.0/8=", "10.0.0.0/8: '': no such name or word"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct responder_rule rule;
        char message[MESSAGE_BYTES] = "";

        cr_expect_eq(responder_rule_parse(&rule, rows[i].text, message, sizeof(message)), -EINVAL);
        cr_expect(strncmp(message, rows[i].message, strlen(rows[i].message)) == 0, "%s", message);
    }
}
