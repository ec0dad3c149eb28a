/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl by dlopen(). Never unloaded: OpenSSL underneath registers exit handlers that must stay mapped.
 */
#include "session/curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>

int curl_api_load(const struct curl_api **out, char *message, size_t size_bytes)
{
    static struct curl_api api;
    static void *library;

    if (library) {
        *out = &api;
        return 0;
    }
    library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(message, size_bytes, "cannot load libcurl: %s", dlerror());
        return -ENOSYS;
    }
    /* POSIX lets dlsym() return functions; ISO C has no cast for it, hence the detour over void **. */
#define CURL_API_LOAD(name)                                                         \
    *(void **)&api.name = dlsym(library, "curl_" #name);                            \
    if (!api.name) {                                                                \
        snprintf(message, size_bytes, "cannot use libcurl: it has no curl_" #name); \
        goto failed;                                                                \
    }
    CURL_API_FUNCTIONS(CURL_API_LOAD)
    if (api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        snprintf(message, size_bytes, "cannot use libcurl: its global init failed");
        goto failed;
    }
    *out = &api;
    return 0;

failed:
    dlclose(library);
    library = NULL;
    return -ENOSYS;
}
