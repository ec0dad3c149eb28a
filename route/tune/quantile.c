/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Incomplete gamma and beta functions by the series and continued fractions of the NIST Digital Library of
 * Mathematical Functions (8.7.1, 8.9.2, 8.17.22), evaluated by Lentz' method, and their inverses by halving:
 * slow and sure, for the few hundred numbers of a study.
 */
#include "route/tune/quantile.h"

#include <math.h>

#define TERMS_MAX 200000
#define PRECISION 1e-14
#define TINY      1e-300 /* in the place of a zero denominator */
/* From here on the approximation of Wilson and Hilferty (1931) is as good, and instant. */
#define SHAPE_LARGE 1000

static double not_zero(double x)
{
    return fabs(x) < TINY ? TINY : x;
}

/* log(x^a e^-x / Gamma(a)) */
static double gamma_front(double shape, double x)
{
    return shape * log(x) - x - lgamma(shape);
}

static double gamma_by_series(double shape, double x)
{
    double term = 1 / shape, sum = term;

    for (int n = 1; n < TERMS_MAX && term > sum * PRECISION; n++) {
        term *= x / (shape + n);
        sum += term;
    }
    return sum * exp(gamma_front(shape, x));
}

/* The probability of more than x. */
static double gamma_by_fraction(double shape, double x)
{
    double b = x + 1 - shape, c = 1 / TINY, d = 1 / not_zero(b), value = d;

    for (int n = 1; n < TERMS_MAX; n++) {
        double a = -n * (n - shape), step;

        b += 2;
        d = 1 / not_zero(b + a * d);
        c = not_zero(b + a / c);
        step = c * d;
        value *= step;
        if (fabs(step - 1) < PRECISION)
            break;
    }
    return value * exp(gamma_front(shape, x));
}

double quantile_gamma_share(double shape, double x)
{
    if (x <= 0)
        return 0;
    return x < shape + 1 ? gamma_by_series(shape, x) : 1 - gamma_by_fraction(shape, x);
}

static double beta_by_fraction(double a, double b, double x)
{
    double c = 1, d = 1 / not_zero(1 - (a + b) * x / (a + 1)), value = d;

    for (int n = 1; n < TERMS_MAX; n++) {
        double even = n * (b - n) * x / ((a + 2 * n - 1) * (a + 2 * n));
        double odd = -(a + n) * (a + b + n) * x / ((a + 2 * n) * (a + 2 * n + 1));
        double step;

        d = 1 / not_zero(1 + even * d);
        c = not_zero(1 + even / c);
        value *= c * d;
        d = 1 / not_zero(1 + odd * d);
        c = not_zero(1 + odd / c);
        step = c * d;
        value *= step;
        if (fabs(step - 1) < PRECISION)
            break;
    }
    return value;
}

double quantile_beta_share(double a, double b, double x)
{
    double front;

    if (x <= 0 || x >= 1)
        return x >= 1;
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_by_fraction(a, b, x) / a;
    return 1 - front * beta_by_fraction(b, a, 1 - x) / b;
}

/* Of the normal distribution. */
static double normal(double p)
{
    double low = -40, high = 40;

    while (high - low > 1e-12) {
        double middle = (low + high) / 2;

        if (erfc(-middle / sqrt(2)) / 2 < p)
            low = middle;
        else
            high = middle;
    }
    return high;
}

double quantile_gamma(double shape, double p)
{
    double low = 0, high = shape + 1;

    if (shape >= SHAPE_LARGE)
        return shape * pow(1 - 1 / (9 * shape) + normal(p) / (3 * sqrt(shape)), 3);
    while (quantile_gamma_share(shape, high) < p)
        high *= 2;
    while (high - low > 1e-12 * high && high > TINY) {
        double middle = (low + high) / 2;

        if (quantile_gamma_share(shape, middle) < p)
            low = middle;
        else
            high = middle;
    }
    return high;
}

double quantile_beta(double a, double b, double p)
{
    double low = 0, high = 1;

    while (high - low > 1e-12 * high && high > TINY) {
        double middle = (low + high) / 2;

        if (quantile_beta_share(a, b, middle) < p)
            low = middle;
        else
            high = middle;
    }
    return high;
}

struct quantile_interval quantile_poisson(double count, double outside)
{
    return (struct quantile_interval){
        .low = count > 0 ? quantile_gamma(count, outside) : 0,
        .high = quantile_gamma(count + 1, 1 - outside),
    };
}

struct quantile_interval quantile_share(double hits, double trials, double outside)
{
    double misses = fmax(trials - hits, 0);

    return (struct quantile_interval){
        .low = hits > 0 ? quantile_beta(hits, misses + 1, outside) : 0,
        .high = misses > 0 ? quantile_beta(hits + 1, misses, 1 - outside) : 1,
    };
}
