/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refuses what the profile refuses: a filter of system calls sees neither who calls nor what a descriptor is. The
 * commands that the program starts are the host's own, and do as they can here: what stands in for esxcfg-route needs
 * netlink.
 */
#pragma once

#include <stdint.h>

/* Answers until nobody is left who could ask. program: its path; what is at none is taken for it whatever it is. */
void supervise(int listener, uint32_t profile, const char *program);
