/* SPDX-License-Identifier: Apache-2.0 */
/* How tests by random histories are told which and how many: by the environment, else by themselves. */
#pragma once

#include <inttypes.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define RANDOM_TEST_IS_SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RANDOM_TEST_IS_SLOW 1
#endif
#endif
#ifndef RANDOM_TEST_IS_SLOW
#define RANDOM_TEST_IS_SLOW 0
#endif

static inline uint64_t random_test_setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static inline uint64_t random_test_seed(void)
{
    return random_test_setting("REROUTE_TEST_SEED", 1);
}

/* few: where each costs ten times as much, under a sanitizer or without optimisation. */
static inline uint64_t random_test_histories(uint64_t many, uint64_t few)
{
    return random_test_setting("REROUTE_TEST_HISTORIES", RANDOM_TEST_IS_SLOW ? few : many);
}
