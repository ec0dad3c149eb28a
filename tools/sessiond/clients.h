/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comma-separated lists of client addresses, as a refresh carries them and a session keeps them.
 */
#pragma once

#include "probe/base.h"

#define LAB_CLIENTS_SIZE 1024

/* Takes the next address off a list. False at its end; *ok is false when what was there is no address. */
static inline bool lab_clients_next(const char **list, char out[static ADDRESS_TEXT_SIZE], bool *ok)
{
    const char *p = *list + strspn(*list, ", ");
    size_t length = strcspn(p, ", ");
    struct address address;

    if (length == 0)
        return false;
    *ok = length < ADDRESS_TEXT_SIZE;
    if (*ok) {
        memcpy(out, p, length);
        out[length] = '\0';
        *ok = address_parse(&address, out) == 0;
    }
    *list = p + length;
    return true;
}

/* Is every address of `clients` in the list? */
static inline bool lab_clients_hold_all(const char *list, const char *clients)
{
    char wanted[ADDRESS_TEXT_SIZE], one[ADDRESS_TEXT_SIZE];
    bool ok;

    while (lab_clients_next(&clients, wanted, &ok)) {
        const char *p = list;
        bool found = false;

        while (!found && lab_clients_next(&p, one, &ok))
            found = strcmp(one, wanted) == 0;
        if (!found)
            return false;
    }
    return true;
}

/* 0 or -ENOSPC. */
static inline int lab_clients_add(char list[static LAB_CLIENTS_SIZE], const char *client)
{
    size_t length = strlen(list);

    if (length + 1 + strlen(client) >= LAB_CLIENTS_SIZE)
        return -ENOSPC;
    snprintf(list + length, LAB_CLIENTS_SIZE - length, "%s%s", length ? "," : "", client);
    return 0;
}

static inline void lab_clients_remove(char list[static LAB_CLIENTS_SIZE], const char *client)
{
    char rest[LAB_CLIENTS_SIZE] = "", one[ADDRESS_TEXT_SIZE];
    const char *p = list;
    bool ok;

    while (lab_clients_next(&p, one, &ok)) {
        if (ok && strcmp(one, client) != 0)
            lab_clients_add(rest, one);
    }
    memcpy(list, rest, LAB_CLIENTS_SIZE);
}
