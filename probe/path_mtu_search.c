/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/path_mtu_search.h"

/*
 * What is met in the field (RFC 1191 section 7.1 has a table of its time): FDDI, jumbo frames, Ethernet,
 * PPPoE, IP in IP, GRE, 6in4, VXLAN, WireGuard, the least of IPv6, X.25, the least that IPv4 hosts take.
 */
static const uint32_t usual[] = {65535, 32000, 17914, 9216, 9000, 8970, 8950, 4352, 2002,
                                 1500,  1492,  1480,  1476, 1472, 1460, 1450, 1430, 1420,
                                 1400,  1380,  1350,  1280, 1006, 576,  508,  296};

void path_mtu_search_begin(struct path_mtu_search *search, uint32_t passes, uint32_t largest)
{
    *search = (struct path_mtu_search){
        .passes = passes,
        .fails = (uint32_t)max_u64(largest, passes) + 1,
        .first = largest,
    };
}

static bool is_between(const struct path_mtu_search *search, uint32_t size)
{
    return size > search->passes && size < search->fails;
}

/* The usual size that is nearest to the middle, or the middle when none is in the middle half. */
static uint32_t cut(const struct path_mtu_search *search, bool *is_usual)
{
    uint32_t width = search->fails - search->passes;
    uint32_t middle = search->passes + width / 2, best = middle;
    uint32_t distance = width / 4 + 1;

    *is_usual = false;
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
        uint32_t away = usual[i] > middle ? usual[i] - middle : middle - usual[i];

        if (!is_between(search, usual[i]) || away >= distance)
            continue;
        best = usual[i];
        distance = away;
        *is_usual = true;
    }
    return best;
}

uint32_t path_mtu_search_next(struct path_mtu_search *search)
{
    uint32_t first = search->first, named = search->named, guessed = search->guessed;
    bool is_guess = true;
    uint32_t size;

    search->first = search->named = search->guessed = 0;
    if (search->passes + 1 >= search->fails)
        return 0;
    if (is_between(search, first))
        return first;
    if (is_between(search, named))
        size = named;
    else if (guessed > 0 && guessed == search->passes + 1)
        return guessed;
    else
        size = cut(search, &is_guess);
    if (is_guess)
        search->guessed = size + 1;
    return size;
}

bool path_mtu_search_take(struct path_mtu_search *search, uint32_t size, enum path_mtu_answer answer,
                          uint32_t mtu)
{
    uint32_t before = search->fails;

    if (answer == PATH_MTU_PASSED) {
        search->passes = (uint32_t)max_u64(search->passes, size);
        return false;
    }
    search->fails = (uint32_t)min_u64(search->fails, size);
    if (mtu < search->passes || mtu >= size)
        mtu = 0;
    if (answer == PATH_MTU_TOO_BIG && mtu)
        search->fails = (uint32_t)min_u64(search->fails, mtu + 1);
    search->named = mtu;
    return search->fails < before;
}
