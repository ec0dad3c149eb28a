/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides about calls that fail on Unix sockets only: a filter of system calls cannot see what a descriptor is.
 */
#pragma once

#include <stdint.h>

/* Answers until nobody is left who could ask. */
void supervise(int listener, uint32_t profile);
