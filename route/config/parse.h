/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "route/config/reader.h"

/*
 * Stores the defaults and what the tokens of reader->text say, by the table of keys. 0; -EINVAL with the error in the
 * reader; -ENOMEM. `config` is all zero before, and the caller's to free also when it fails.
 */
int config_parse(struct config_reader *reader, struct config *config);
