/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when it is first needed. Linking it costs every start of every command about 5 ms;
 * `reroute report` must not pay for a REST client. The types and constants come from <curl/curl.h>, the
 * functions through this table under their own names without the prefix: curl_easy_init is api->easy_init.
 */
#pragma once

#include <curl/curl.h>
#include <stddef.h>

/* clang-format off */
#define CURL_API_FUNCTIONS(X) \
    X(global_init) \
    X(easy_init) X(easy_setopt) X(easy_getinfo) X(easy_cleanup) X(easy_strerror) \
    X(multi_init) X(multi_setopt) X(multi_add_handle) X(multi_remove_handle) X(multi_socket_action) \
    X(multi_info_read) X(multi_assign) X(multi_cleanup) X(multi_strerror) \
    X(slist_append) X(slist_free_all)
/* clang-format on */

struct curl_api {
#define CURL_API_MEMBER(name) __typeof__(curl_##name) *name;
    CURL_API_FUNCTIONS(CURL_API_MEMBER)
#undef CURL_API_MEMBER
};

/*
 * Loads libcurl.so.4 and calls curl_global_init(), both once; *out stays valid until the process ends.
 * Returns 0, or -ENOSYS with one line in message (which library or function is missing). Call it from one
 * thread.
 */
int curl_api_load(const struct curl_api **out, char *message, size_t size_bytes);
