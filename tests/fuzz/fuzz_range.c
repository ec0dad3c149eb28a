/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: whatever somebody writes as a target, it is refused, may be a name, or is a range whose
 * ends are in order and whose addresses are all found again by their numbers; a set of ranges has what was
 * put into it. Each line is one.
 */
#include "probe/targets.h"
#include "tests/fuzz/fuzz.h"

static void check_targets(const struct probe_range *range)
{
    uint64_t count = probe_address_count(&range->first, &range->last);
    struct probe_targets targets = {0};
    int r = probe_targets_add(&targets, range);
    struct address first, last;

    fuzz_check(count > 0 && r == (count > PROBE_TARGETS_RANGE_MAX ? -E2BIG : 0));
    if (r == 0) {
        fuzz_check(targets.count == count);
        first = probe_targets_at(&targets, 0);
        last = probe_targets_at(&targets, targets.count - 1);
        fuzz_check(address_equal(&first, &range->first) && address_equal(&last, &range->last));
        last = probe_address_plus(&range->first, count - 1);
        fuzz_check(address_equal(&last, &range->last));
    }
    probe_targets_clear(&targets);
}

static void take_line(const char *text, struct probe_range_set *set)
{
    char message[256] = "";
    struct probe_range range;
    int r = probe_range_parse(&range, text, message, sizeof(message));

    fuzz_check(r == 0 || r == -ENOENT || ((r == -EINVAL || r == -ENODEV) && message[0]));
    if (r < 0)
        return;
    fuzz_check(address_is_set(&range.first) && range.first.family == range.last.family &&
               probe_address_compare(&range.first, &range.last) <= 0);
    check_targets(&range);
    fuzz_check(probe_range_set_add(set, &range) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(free) char *text = calloc(1, size + 1);
    struct probe_range_set set = {0};
    char *rest = text, *line;

    memcpy(text, data, size);
    while ((line = strsep(&rest, "\n")))
        take_line(line, &set);
    probe_range_set_sort(&set);
    for (size_t i = 0; i < set.count; i++) {
        fuzz_check(probe_range_set_has(&set, &set.list[i].first));
        fuzz_check(probe_range_set_has(&set, &set.list[i].last));
        fuzz_check(i == 0 || probe_address_compare(&set.list[i - 1].last, &set.list[i].first) < 0);
    }
    probe_range_set_clear(&set);
    return 0;
}
