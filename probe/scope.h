/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces by name: a name lasts, an index does not.
 *
 * An interface that is made anew (a container's, a tunnel's) has its name again and another index. So what
 * somebody wrote is kept as a name, and the index is looked up when it is used and again when links change.
 * An address keeps the index (struct address, scope), since that is what the kernel wants.
 */
#pragma once

#include "probe/base.h"

struct scope {
    char name[IF_NAMESIZE]; /* as it was written, a number too; empty: none */
    uint32_t index;         /* as last looked up; 0: it was not there, ever */
};

/*
 * Looks it up again. An interface that is gone keeps its last index: nothing can be sent there, which is what
 * the result shall say. True: the index is another one than before.
 */
bool scope_refresh(struct scope *scope);

/*
 * As address_parse(), but an interface that does not exist (yet) is no error: then out->scope is 0. What is
 * behind the '%' goes to *scope, which is empty when there is no '%'. 0, -EINVAL, or -EDOM for an address
 * that can have no zone.
 */
int scope_parse_address(struct address *out, struct scope *scope, const char *text);

/* The text of an address with the name of its zone as it was written, whether that exists now or not. */
const char *scope_format_address(const struct address *a, const struct scope *scope,
                                 char buffer[static ADDRESS_TEXT_SIZE]);

/* The same with the name inside the address, which is then equal to itself whatever becomes of the interface.
 */
int scope_parse_lasting(struct address *out, const char *text);
/* Gives an address that has only an index its interface's name of now, if it can have one. */
void scope_name_address(struct address *a);
/* Looks the index of such an address up again; 0 while there is no such interface. True: it is another one.
 */
bool scope_refresh_address(struct address *a);

/*
 * The zones of a list of addresses, each once: an address keeps an index, this says what it was called when
 * the address was added. All zero is empty.
 */
struct scopes {
    struct scope *list;
    uint32_t count;
};

/* Takes the name of an index that exists now. An index that is there already keeps its name. 0 or -ENOMEM. */
int scopes_add(struct scopes *scopes, uint32_t index);
/* The name of an index; NULL: it is not known. */
const char *scopes_name(const struct scopes *scopes, uint32_t index);
/*
 * Looks all names up. True: at least one has another index; before[] then has the former ones, in the order
 * of the list.
 */
bool scopes_refresh(struct scopes *scopes, uint32_t *before);
void scopes_clear(struct scopes *scopes);
