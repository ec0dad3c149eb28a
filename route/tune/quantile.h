/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantiles from which confidence intervals are made: of the gamma distribution (how often does something
 * happen that was counted k times?) and of the beta distribution (how large is a share, k of n?).
 */
#pragma once

/* The x below which gamma(shape > 0, scale 1) is with probability p, 0 < p < 1. */
double quantile_gamma(double shape, double p);

/* The x below which beta(a > 0, b > 0) is with probability p, 0 < p < 1. */
double quantile_beta(double a, double b, double p);

/* The distributions themselves: the probability to be at most x. */
double quantile_gamma_share(double shape, double x);
double quantile_beta_share(double a, double b, double x);

/*
 * The confidence interval of a Poisson mean after `count` events (Garwood 1936), with this probability
 * outside at each end. The count need not be whole: an effective number of independent events will do.
 */
struct quantile_interval {
    double low, high;
};
struct quantile_interval quantile_poisson(double count, double outside);

/* That of a share of which `hits` of `trials` were seen (Clopper and Pearson 1934); neither need be whole. */
struct quantile_interval quantile_share(double hits, double trials, double outside);
