/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: which addresses a prefix or a range is, and what is neither; that a list of targets gives
 * back what was added, in its order, without what is excluded, split into shards that together are the whole,
 * in little memory; that the random order is a permutation that does not stay in one network; that reasons
 * are kept once and forgotten when nobody has them.
 */
#include <criterion/criterion.h>

#include "probe/reason.h"
#include "probe/shuffle.h"
#include "probe/targets.h"

static struct probe_range range_of(const char *text)
{
    struct probe_range range;
    char message[128] = "";

    cr_assert_eq(probe_range_parse(&range, text, message, sizeof(message)), 0, "%s: %s", text, message);
    return range;
}

Test(targets, ranges)
{
    static const struct {
        const char *text, *first, *last;
        uint64_t count;
    } rows[] = {
        {"10.0.0.1", "10.0.0.1", "10.0.0.1", 1},
        {"10.0.0.0/16", "10.0.0.0", "10.0.255.255", 65536},
        {"10.0.0.77/30", "10.0.0.76", "10.0.0.79", 4},
        {"10.0.0.1/32", "10.0.0.1", "10.0.0.1", 1},
        {"10.0.0.1/31", "10.0.0.0", "10.0.0.1", 2},
        {"10.0.0.0/8", "10.0.0.0", "10.255.255.255", 16777216},
        {"255.255.255.255/24", "255.255.255.0", "255.255.255.255", 256},
        {"10.0.0.1-10.0.3.254", "10.0.0.1", "10.0.3.254", 1022},
        {"10.0.0.1-10.0.0.1", "10.0.0.1", "10.0.0.1", 1},
        {"fd00::5", "fd00::5", "fd00::5", 1},
        {"fd00::5/120", "fd00::", "fd00::ff", 256},
        {"fd00::/104", "fd00::", "fd00::ff:ffff", 16777216},
        {"fd00::fffe-fd00::1:3", "fd00::fffe", "fd00::1:3", 6},
        {"fd00::ffff:ffff:ffff:fffe-fd00:0:0:1::1", "fd00::ffff:ffff:ffff:fffe", "fd00:0:0:1::1", 4},
        {"fe80::1%lo-fe80::3", "fe80::1%lo", "fe80::3%lo", 3},
        {"fe80::1-fe80::3%lo", "fe80::1%lo", "fe80::3%lo", 3},
        {"fe80::1%lo-fe80::3%lo", "fe80::1%lo", "fe80::3%lo", 3},
        {"fe80::1%1", "fe80::1%lo", "fe80::1%lo", 1},
        {"ff02::1%lo", "ff02::1%lo", "ff02::1%lo", 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct probe_range range = range_of(rows[i].text);
        struct address last = probe_address_plus(&range.first, rows[i].count - 1);

        cr_expect_str_eq(ADDRESS_TEXT(&range.first), rows[i].first, "%s", rows[i].text);
        cr_expect_str_eq(ADDRESS_TEXT(&range.last), rows[i].last, "%s", rows[i].text);
        cr_expect_eq(probe_address_count(&range.first, &range.last), rows[i].count, "%s", rows[i].text);
        cr_expect(address_equal(&last, &range.last), "%s", rows[i].text);
    }
}

Test(targets, what_is_no_range)
{
    static const struct {
        const char *text;
        int error;
        const char *message;
    } rows[] = {
        {"host", -ENOENT, ""},
        {"host-1.example", -ENOENT, ""},
        {"host/24", -ENOENT, ""},
        {"", -ENOENT, ""},
        {"/", -ENOENT, ""},
        {"-", -ENOENT, ""},
        {"10.0.0.1-", -ENOENT, ""},
        {"10.0.0.1-254", -ENOENT, ""},
        {"10.0.0.1-10.0.0.300", -ENOENT, ""},
        {"10.0.0.1-10.0.0.2-10.0.0.3", -ENOENT, ""},
        {"10.0.0.0/24-10.0.0.9", -EINVAL, "expected a prefix length"},
        {"10.0.0.0/", -EINVAL, "expected a prefix length from 0 to 32"},
        {"10.0.0.0/33", -EINVAL, "expected a prefix length from 0 to 32"},
        {"10.0.0.0/-1", -EINVAL, "expected a prefix length"},
        {"10.0.0.0/+8", -EINVAL, "expected a prefix length"},
        {"10.0.0.0/8x", -EINVAL, "expected a prefix length"},
        {"10.0.0.0/4294967320", -EINVAL, "expected a prefix length"},
        {"10.0.0.0/24/24", -EINVAL, "expected a prefix length"},
        {"fd00::/129", -EINVAL, "expected a prefix length from 0 to 128"},
        {"10.0.0.2-10.0.0.1", -EINVAL, "the range ends before it begins"},
        {"fd00::2-fd00::1", -EINVAL, "the range ends before it begins"},
        {"10.0.0.1-fd00::1", -EINVAL, "both ends"},
        {"fe80::1", -EINVAL, "it is link-local"},
        {"fe80::/120", -EINVAL, "it is link-local"},
        {"fe80::1%none0", -ENODEV, "there is no such interface"},
        {"::1%lo", -EINVAL, "only a link-local address has a zone"},
        {"fd00::1%lo/120", -EINVAL, "only a link-local address has a zone"},
        {"fd00::1%lo-fd00::3", -EINVAL, "only a link-local address has a zone"},
        {"fe80::%lo/8", -EINVAL, "only a link-local address has a zone"},
        {"fe80::1%lo-fec0::1", -EINVAL, "only a link-local address has a zone"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct probe_range range;
        char message[128] = "";
        int error = probe_range_parse(&range, rows[i].text, message, sizeof(message));

        cr_expect_eq(error, rows[i].error, "'%s': %d %s", rows[i].text, error, message);
        cr_expect_eq(strncmp(message, rows[i].message, strlen(rows[i].message)), 0, "'%s': %s", rows[i].text,
                     message);
    }
}

static void add(struct probe_targets *targets, const char *text)
{
    struct probe_range range = range_of(text);

    cr_assert_eq(probe_targets_add(targets, &range), 0);
}

/* "10.0.0.1 10.0.0.2 ..." */
static const char *listing(const struct probe_targets *targets)
{
    static char text[4096];
    size_t length = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < targets->count && length < sizeof(text) - ADDRESS_TEXT_SIZE; i++) {
        struct address a = probe_targets_at(targets, i);

        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i ? " " : "", ADDRESS_TEXT(&a));
    }
    return text;
}

/* Words are added one after the other; "later" is a name. */
static const struct {
    const char *words[6];
    const char *excluded[4];
    const char *listing;
} lists[] = {
    {{"10.0.0.9", "10.0.0.1", "10.0.0.9"}, {NULL}, "10.0.0.9 10.0.0.1 10.0.0.9"},
    {{"10.0.0.254/31", "10.0.1.0-10.0.1.1", "10.0.0.1"},
     {NULL},
     "10.0.0.254 10.0.0.255 10.0.1.0 10.0.1.1 10.0.0.1"},
    {{"fd00::ffff-fd00::1:1", "10.0.0.1", "fd00::9", "fd00::8"},
     {NULL},
     "fd00::ffff fd00::1:0 fd00::1:1 10.0.0.1 fd00::9 fd00::8"},
    {{"later", "10.0.0.1", "later", "later", "10.0.0.2", "10.0.0.0/31"},
     {NULL},
     "- 10.0.0.1 - - 10.0.0.2 10.0.0.0 10.0.0.1"},
    {{"10.0.0.0/29"}, {"10.0.0.3"}, "10.0.0.0 10.0.0.1 10.0.0.2 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7"},
    {{"10.0.0.0/29"}, {"10.0.0.0", "10.0.0.7"}, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6"},
    {{"10.0.0.0/29"}, {"10.0.0.4-10.0.0.5", "10.0.0.1-10.0.0.4", "10.0.0.2"}, "10.0.0.0 10.0.0.6 10.0.0.7"},
    {{"10.0.0.0/29", "10.0.0.9"}, {"10.0.0.0/24"}, ""},
    {{"10.0.0.0/29", "10.0.1.1"}, {"10.0.0.0/29", "10.0.0.8"}, "10.0.1.1"},
    {{"9.255.255.254-10.0.0.1"}, {"10.0.0.0"}, "9.255.255.254 9.255.255.255 10.0.0.1"},
    {{"255.255.255.254/31"}, {"255.255.255.255"}, "255.255.255.254"},
    {{"0.0.0.0/31"}, {"0.0.0.0"}, "0.0.0.1"},
    {{"10.0.0.1", "fd00::/126"}, {"fd00::1", "fd00::2", "0.0.0.0/8"}, "10.0.0.1 fd00:: fd00::3"},
    {{"fd00::ffff-fd00::1:1"}, {"fd00::1:0"}, "fd00::ffff fd00::1:1"},
};

Test(targets, lists)
{
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        struct probe_range_set excluded = {0};
        struct probe_targets targets = {.excluded = &excluded};
        uint32_t index;

        for (size_t k = 0; k < ARRAY_SIZE(lists[i].excluded) && lists[i].excluded[k]; k++) {
            struct probe_range range = range_of(lists[i].excluded[k]);

            cr_assert_eq(probe_range_set_add(&excluded, &range), 0);
        }
        probe_range_set_sort(&excluded);
        for (size_t k = 0; k < ARRAY_SIZE(lists[i].words) && lists[i].words[k]; k++) {
            if (strcmp(lists[i].words[k], "later") != 0)
                add(&targets, lists[i].words[k]);
            else
                cr_assert_eq(probe_targets_add_later(&targets, &index), 1);
        }
        cr_expect_str_eq(listing(&targets), lists[i].listing, "row %zu: %s", i, listing(&targets));
        probe_targets_clear(&targets);
        probe_range_set_clear(&excluded);
    }
}

Test(targets, an_address_comes_later)
{
    struct probe_targets targets = {0};
    struct address found;
    uint32_t first, second;

    add(&targets, "10.0.0.1");
    cr_assert_eq(probe_targets_add_later(&targets, &first), 1);
    add(&targets, "fd00::1");
    cr_assert_eq(probe_targets_add_later(&targets, &second), 1);
    cr_assert_eq(address_parse(&found, "10.9.9.9"), 0);
    probe_targets_set(&targets, second, &found);
    cr_expect_str_eq(listing(&targets), "10.0.0.1 - fd00::1 10.9.9.9");
    probe_targets_set(&targets, first, &found);
    cr_expect_str_eq(listing(&targets), "10.0.0.1 10.9.9.9 fd00::1 10.9.9.9");
    probe_targets_clear(&targets);
}

/* The whole is the shards, dealt out in turn; each of the pieces below crosses their seams differently. */
Test(targets, shards_are_the_whole)
{
    static const char *const words[] = {"10.0.0.0/26", "10.9.0.1", "10.9.0.2", "fd00::/123",
                                        "10.1.0.3-10.1.0.5"};
    struct probe_range_set excluded = {0};
    struct probe_range hole = range_of("10.0.0.17-10.0.0.30");

    cr_assert_eq(probe_range_set_add(&excluded, &hole), 0);
    for (uint32_t shards = 1; shards < 9; shards++) {
        struct probe_targets whole = {.excluded = &excluded};
        struct probe_targets parts[9];
        uint32_t index;

        for (uint32_t s = 0; s < shards; s++)
            parts[s] = (struct probe_targets){.excluded = &excluded, .shard = s, .shards = shards};
        for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
            add(&whole, words[k]);
            cr_assert_eq(probe_targets_add_later(&whole, &index), 1);
            for (uint32_t s = 0; s < shards; s++) {
                add(&parts[s], words[k]);
                cr_assert_geq(probe_targets_add_later(&parts[s], &index), 0);
            }
        }
        cr_assert_eq(whole.count, 64 - 14 + 2 + 32 + 3 + 5);
        for (uint32_t i = 0; i < whole.count; i++) {
            struct address want = probe_targets_at(&whole, i);
            struct address got = probe_targets_at(&parts[i % shards], i / shards);

            cr_assert(address_equal(&want, &got), "%u of %u shards: %s, not %s", i, shards,
                      ADDRESS_TEXT(&got), ADDRESS_TEXT(&want));
        }
        for (uint32_t s = 0; s < shards; s++) {
            cr_assert_eq(parts[s].count, (whole.count - s + shards - 1) / shards);
            probe_targets_clear(&parts[s]);
        }
        probe_targets_clear(&whole);
    }
    probe_range_set_clear(&excluded);
}

/* A prefix costs its run; a list of IPv4 addresses 4 bytes each, doubled by growing at worst. */
Test(targets, little_memory)
{
    struct probe_targets targets = {0};
    struct probe_range range;

    add(&targets, "10.0.0.0/8");
    cr_expect_eq(targets.count, 16777216);
    cr_expect_eq(targets.run_count, 1);
    cr_expect_eq(targets.listed_room + targets.listed4_room, 0);
    probe_targets_clear(&targets);
    range = range_of("10.0.0.1");
    for (int i = 0; i < 100000; i++)
        cr_assert_eq(probe_targets_add(&targets, &range), 0);
    cr_expect_eq(targets.run_count, 1);
    cr_expect_leq(targets.listed4_room, 200000);
    cr_expect_eq(sizeof(*targets.listed4), 4);
    cr_expect_eq(sizeof(*targets.listed), 24);
    probe_targets_clear(&targets);
}

Test(targets, too_large_a_range)
{
    static const char *const texts[] = {
        "10.0.0.0/7",
        "0.0.0.0/0",
        "0.0.0.0-255.255.255.255",
        "9.255.255.255-10.255.255.255",
        "fd00::/103",
        "fd00::/64",
        "::/0",
        "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct probe_targets targets = {0};
        struct probe_range range = range_of(texts[i]);

        cr_expect_eq(probe_targets_add(&targets, &range), -E2BIG, "%s", texts[i]);
        cr_expect_eq(targets.count, 0);
        probe_targets_clear(&targets);
    }
}

/* But what is excluded may be as large as it likes. */
Test(targets, large_ranges_are_excluded)
{
    struct probe_range_set excluded = {0};
    struct probe_targets targets = {.excluded = &excluded};
    struct probe_range low = range_of("0.0.0.0/1"), high = range_of("fd00::/16");

    cr_assert_eq(probe_range_set_add(&excluded, &high), 0);
    cr_assert_eq(probe_range_set_add(&excluded, &low), 0);
    probe_range_set_sort(&excluded);
    add(&targets, "127.255.255.254-128.0.0.1");
    add(&targets, "fcff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-fd00::1");
    add(&targets, "fe00::1");
    cr_expect_str_eq(listing(&targets),
                     "128.0.0.0 128.0.0.1 fcff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe00::1");
    probe_targets_clear(&targets);
    probe_range_set_clear(&excluded);
}

/* So many that they cannot be counted with 32 bits are refused, and nothing is lost. */
Test(targets, too_many)
{
    struct probe_targets targets = {0};
    struct probe_range range = range_of("10.0.0.0/8");
    int added = 0;

    while (probe_targets_add(&targets, &range) == 0)
        added++;
    cr_expect_eq(added, 255);
    cr_expect_eq(targets.count, 255u << 24);
    cr_expect_eq(probe_targets_add(&targets, &range), -E2BIG);
    probe_targets_clear(&targets);
}

Test(targets, shuffle_is_a_permutation)
{
    static const uint32_t counts[] = {1, 2, 3, 4, 5, 16, 17, 255, 256, 257, 1000, 65536, 65537, 300000};
    static const uint32_t keys[][4] = {{0}, {1, 2, 3, 4}, {0xffffffff, 0, 0x12345678, 9}};

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
            uint8_t *seen = calloc(counts[i], 1);
            struct shuffle shuffle;

            shuffle_init(&shuffle, counts[i], keys[k]);
            for (uint32_t p = 0; p < counts[i]; p++) {
                uint32_t n = shuffle_at(&shuffle, p);

                cr_assert_lt(n, counts[i]);
                cr_assert_eq(seen[n], 0, "%u comes twice of %u", n, counts[i]);
                seen[n] = 1;
            }
            free(seen);
        }
    }
}

/* The largest count there can be: still inside, still without a repetition among the first ones. */
Test(targets, shuffle_of_all)
{
    struct shuffle shuffle;
    uint32_t last = UINT32_MAX;

    shuffle_init(&shuffle, UINT32_MAX, (uint32_t[4]){5, 6, 7, 8});
    for (uint32_t p = 0; p < 100000; p++) {
        uint32_t n = shuffle_at(&shuffle, p);

        cr_assert_neq(n, last);
        last = n;
    }
}

/*
 * A /16 asked in this order: in no stretch of 256 requests does one /24 get more than a handful, where the
 * order given has 256.
 */
Test(targets, shuffle_spreads_over_networks)
{
    for (uint32_t key = 0; key < 8; key++) {
        struct shuffle shuffle;
        uint32_t most = 0, in_a_row = 0, before = UINT32_MAX, longest = 0;
        uint8_t hits[256] = {0};

        shuffle_init(&shuffle, 65536, (uint32_t[4]){key, key * 3, ~key, key << 20});
        for (uint32_t p = 0; p < 65536; p++) {
            uint32_t network = shuffle_at(&shuffle, p) >> 8;

            in_a_row = network == before ? in_a_row + 1 : 1;
            longest = in_a_row > longest ? in_a_row : longest;
            before = network;
            if (p % 256 == 0)
                memset(hits, 0, sizeof(hits));
            hits[network]++;
            most = hits[network] > most ? hits[network] : most;
        }
        cr_expect_leq(most, 12, "key %u: %u in one /24", key, most);
        cr_expect_leq(longest, 5, "key %u: %u in a row", key, longest);
    }
}

static struct probe_error error_from(uint32_t router)
{
    struct probe_error error = {.icmp_type = 3, .icmp_code = 1, .from.family = AF_INET};

    memcpy(error.from.bytes, &router, 4);
    return error;
}

Test(targets, reasons_are_shared)
{
    struct reasons reasons = {0};
    struct probe_error error;
    uint32_t numbers[1000];

    for (uint32_t i = 0; i < 1000; i++) {
        error = error_from(i % 100);
        numbers[i] = reasons_take(&reasons, PROBE_UNREACHABLE, &error);
        cr_assert_neq(numbers[i], REASON_TIMEOUT);
        cr_assert(i < 100 || numbers[i] == numbers[i - 100]);
    }
    cr_expect_eq(reasons.count, 101);
    for (uint32_t i = 0; i < 1000; i++) {
        struct probe_error want = error_from(i % 100);

        cr_assert_eq(reasons_get(&reasons, numbers[i], &error), PROBE_UNREACHABLE);
        cr_assert(address_equal(&error.from, &want.from));
    }
    cr_expect_eq(reasons_get(&reasons, REASON_TIMEOUT, &error), PROBE_TIMEOUT);
    reasons_clear(&reasons);
}

/* A target that gets another reason a million times keeps one. */
Test(targets, reasons_are_forgotten)
{
    struct reasons reasons = {0};
    uint32_t number = REASON_TIMEOUT;

    for (uint32_t i = 0; i < 1000000; i++) {
        struct probe_error error = error_from(i);

        reasons_release(&reasons, number);
        number = reasons_take(&reasons, PROBE_UNREACHABLE, &error);
    }
    cr_expect_leq(reasons.room, 16);
    reasons_clear(&reasons);
}
