#!/usr/bin/env python3
"""Fits the coefficients of src/loop/expand_math*.cpp and prints them as C++ tables.

Minimax fits by Remez' exchange in 60-digit decimal arithmetic (Python's own `decimal`, nothing to install), so the output does
not depend on the machine. A coefficient is rounded to the working precision from the lowest power up, each time refitting the
ones above it: the rounded polynomial is then nearly as good as the real one.

  fit_math.py > src/loop/expand_math_tables.h
  fit_math.py exp erf       only these families

The errors that it prints are those of the approximations alone; evaluation adds its own roundings. The published bounds are
measured: tests/loop/math_bounds.h.
"""
import sys
from decimal import Decimal as D, getcontext

getcontext().prec = 60
ONE = D(1)


# Elementary functions of Decimal.
def series_sum(first, ratio):
    """Sum of a series given by its first term and term[k+1]/term[k] as a function of k."""
    total, term, k = D(0), first, 0
    while term != 0 and abs(term) > abs(total) * D(10) ** (2 - getcontext().prec):
        total += term
        term *= ratio(k)
        k += 1
    return total


def atan(x):
    if abs(x) > D("0.3"):  # atan x = 2 atan(x / (1 + sqrt(1 + x^2)))
        return 2 * atan(x / (1 + (1 + x * x).sqrt()))
    return series_sum(x, lambda k: -x * x * (2 * k + 1) / (2 * k + 3)) if x else D(0)


PI = 4 * atan(ONE)
LN2 = D(2).ln()


def sin(x):
    return series_sum(x, lambda k: -x * x / ((2 * k + 2) * (2 * k + 3))) if x else D(0)


def cos(x):
    return series_sum(ONE, lambda k: -x * x / ((2 * k + 1) * (2 * k + 2)))


def asin(x):
    return atan(x / (1 - x * x).sqrt())


def erf(x):  # 2/sqrt(pi) exp(-x^2) sum of x (2x^2)^k / (1 3 5 ... (2k+1))
    return 2 / PI.sqrt() * (-x * x).exp() * series_sum(x, lambda k: 2 * x * x / (2 * k + 3)) if x else D(0)


def erfc(x):
    if x < 4:
        return 1 - erf(x)
    t = D(0)  # continued fraction of Laplace: erfc x = exp(-x^2)/sqrt(pi) / (x + (1/2)/(x + (2/2)/(x + ...)))
    for k in range(400, 0, -1):
        t = D(k) / 2 / (x + t)
    return (-x * x).exp() / PI.sqrt() / (x + t)


def tanh(x):
    if abs(x) < D("0.01"):
        s = series_sum(x, lambda k: x * x / ((2 * k + 2) * (2 * k + 3))) if x else D(0)
        return s / (1 + s * s).sqrt()
    e = (2 * x).exp()
    return (e - 1) / (e + 1)


# Rounding to binary.
def round_to(x, precision):
    """x to `precision` significant bits, half to even, as an exact Decimal."""
    if x == 0:
        return x
    e = 0
    m = abs(x)
    while m >= 2 ** precision:
        m /= 2
        e += 1
    while m < 2 ** (precision - 1):
        m *= 2
        e -= 1
    n = m.to_integral_value(rounding="ROUND_HALF_EVEN")
    return (n if x > 0 else -n) * D(2) ** e


def truncate_to(x, precision):
    """The same towards zero, of a positive x."""
    r = round_to(x, precision)
    return r if r <= x else round_to(x - (r - x) - abs(r - x) / 2, precision)


# Minimax fits.
def solve(a, b):
    """Gaussian elimination with partial pivoting."""
    n = len(b)
    a = [row[:] + [v] for row, v in zip(a, b)]
    for i in range(n):
        p = max(range(i, n), key=lambda r: abs(a[r][i]))
        a[i], a[p] = a[p], a[i]
        for r in range(i + 1, n):
            factor = a[r][i] / a[i][i]
            if factor:
                for c in range(i, n + 1):
                    a[r][c] -= factor * a[i][c]
    x = [D(0)] * n
    for i in reversed(range(n)):
        x[i] = (a[i][n] - sum(a[i][c] * x[c] for c in range(i + 1, n))) / a[i][i]
    return x


def nodes(n, lo, hi):
    """Chebyshev extrema of [lo, hi], ascending."""
    return [(lo + hi) / 2 - (hi - lo) / 2 * cos(PI * k / (n - 1)) for k in range(n)]


class Samples:
    """target and weight on a fixed grid dense enough to find every extremum; the grid is finer at the ends."""

    def __init__(self, f, w, lo, hi, count=600):
        self.x = nodes(count, lo, hi)
        self.f = [f(x) for x in self.x]
        self.w = [w(x) for x in self.x]


def extrema(error, count):
    """Indices of `count` alternating extrema of the sampled error, the largest ones."""
    picked = []
    for i, e in enumerate(error):
        if picked and (error[picked[-1]] > 0) == (e > 0):
            if abs(e) > abs(error[picked[-1]]):
                picked[-1] = i
        else:
            picked.append(i)
    while len(picked) > count:
        if len(picked) == count + 1:
            picked.pop(0 if abs(error[picked[0]]) < abs(error[picked[-1]]) else -1)
        else:  # drop the smallest and the neighbour that keeps the alternation
            i = min(range(len(picked)), key=lambda k: abs(error[picked[k]]))
            if i in (0, len(picked) - 1):
                picked.pop(i)
            else:
                j = i - 1 if abs(error[picked[i - 1]]) < abs(error[picked[i + 1]]) else i + 1
                for k in sorted((i, j), reverse=True):
                    picked.pop(k)
    return picked


def remez(samples, basis, denominator=None):
    """Coefficients of basis functions (lists of values on the grid) with the least max |w (f - sum c b)|."""
    n = len(basis)
    size = len(samples.x)
    index = [k * (size - 1) // n for k in range(n + 1)]  # the grid is Chebyshev's already
    best, best_error = None, None
    for _ in range(25):
        rows = [[b[i] for b in basis] + [(-1) ** k / samples.w[i] if samples.w[i] else D(0)] for k, i in enumerate(index)]
        if any(samples.w[i] == 0 for i in index):
            index = [i if samples.w[i] else (i + 1 if i + 1 < size else i - 1) for i in index]
            continue
        c = solve(rows, [samples.f[i] for i in index])[:n]
        error = [samples.w[i] * (samples.f[i] - sum(ck * b[i] for ck, b in zip(c, basis))) for i in range(size)]
        worst = max(map(abs, error))
        if best is None or worst < best_error:
            best, best_error = c, worst
        new = extrema(error, n + 1)
        if len(new) < n + 1 or new == index:
            break
        index = new
    return best, best_error


def polynomial(f, w, powers, lo, hi, precision=24):
    """Coefficients of x^p for p in powers, rounded: one after the other, or all at once where that happens to be better (powers
    without 1 do not alternate over an interval with 0 inside)."""
    samples = Samples(f, w, lo, hi)
    column = {p: [x ** p if p else ONE for x in samples.x] for p in powers}
    target, best = samples.f, None
    for at_once in (True, False):
        samples.f, done = target, {}
        for k in range(len(powers)):
            rest = powers[k:]
            if not (at_once and done):
                c, _ = remez(samples, [column[p] for p in rest])
            value = round_to(c[k if at_once else 0], precision)
            done[rest[0]] = value
            samples.f = [v - value * b for v, b in zip(samples.f, column[rest[0]])] if not at_once else samples.f
        error = [v - sum(done[p] * column[p][i] for p in powers) for i, v in enumerate(target)]
        worst = max(abs(a * b) for a, b in zip(error, samples.w))
        if best is None or worst < best[1]:
            best = [done[p] for p in powers], worst
    return best


def rational(f, w, p_degree, q_degree, lo, hi, precision=24, p0=None, scale=ONE):
    """P and Q with Q(0) = scale (and P(0) = p0 when given), minimising |w (f - P/Q)|; Q is rounded first, then P is refitted."""
    samples = Samples(f, w, lo, hi)
    x = samples.x
    q_value = [ONE] * len(x)
    p_powers = list(range(0 if p0 is None else 1, p_degree + 1))
    power = {k: [v ** k if k else ONE for v in x] for k in range(max(p_degree, q_degree) + 1)}
    weight = samples.w
    best = None
    for step in range(30):  # f Q - P = error: linear in P and Q once Q's value in the weight is that of the step before
        s = Samples.__new__(Samples)
        s.x, s.w = x, [a / b for a, b in zip(weight, q_value)]
        s.f = [v - (p0 or 0) for v in samples.f]
        basis = [power[k] for k in p_powers] + [[-v * b for v, b in zip(samples.f, power[k])] for k in range(1, q_degree + 1)]
        c, _ = remez(s, basis)
        q = [ONE] + c[len(p_powers):]
        p = ([] if p0 is None else [p0]) + c[:len(p_powers)]
        q_value = [sum(a * power[k][i] for k, a in enumerate(q)) for i in range(len(x))]
        worst = max(abs(wt * (v - sum(a * power[k][i] for k, a in enumerate(p)) / qv))
                    for i, (wt, v, qv) in enumerate(zip(weight, samples.f, q_value)))
        if best is None or worst < best[1] * D("0.9999"):
            best = (q, worst)
        else:
            break
    q = [round_to(v * scale, precision) for v in best[0]]
    q_value = [sum(a * power[k][i] for k, a in enumerate(q)) for i in range(len(x))]
    columns = {k: [a / b for a, b in zip(power[k], q_value)] for k in range(p_degree + 1)}
    done = {}
    if p0 is not None:
        done[0] = p0
        samples.f = [v - p0 * b for v, b in zip(samples.f, columns[0])]
    for i, k in enumerate(p_powers):
        c, _ = remez(samples, [columns[j] for j in p_powers[i:]])
        done[k] = round_to(c[0], precision)
        samples.f = [v - done[k] * b for v, b in zip(samples.f, columns[k])]
    worst = max(abs(a * b) for a, b in zip(samples.f, samples.w))
    return [done[k] for k in range(p_degree + 1)], q, worst


# The tables: name, what it approximates, and the fit.
EPS = D(10) ** -25  # ends of intervals where the target is 0/0
HALF_LN2 = LN2 / 2 * D("1.001")


def literal(x):
    """x, exact as a double, as a C++ hexadecimal floating literal."""
    assert abs(x - D(float(x))) <= abs(x) * D(10) ** -50, x
    mantissa, exponent = float(x).hex().split("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}p{int(exponent)}"


def table(name, note, values, worst):
    bits = f", error 2^{float(worst.ln() / LN2):.1f}" if worst else ""
    lines, line = [], " "
    for v in values:
        text = f" {literal(v)},"
        if len(line) + len(text) > 118:
            lines.append(line)
            line = " "
        line += text
    print(f"// {note}{bits}")
    print(f"inline constexpr double {name}[] = {{\n" + "\n".join(lines + [line]) + "\n};")


def constant(name, note, value):
    print(f"inline constexpr double {name} = {literal(value)}; // {note}")


def split(name, what, value, precision, zeros):
    """value = hi + lo, hi with `zeros` trailing zero bits, both of `precision` bits."""
    hi = round_to(value, precision - zeros)
    constant(name.replace("#", "Hi"), f"{what}, {zeros} trailing zeros", hi)
    constant(name.replace("#", "Lo"), f"the rest of {what}", round_to(value - hi, precision))


def even(f):
    """A function of x as one of t = x^2."""
    return lambda t: f(t.sqrt())


def fit_exp():
    constant("kLn2", "ln 2", round_to(LN2, 53))
    split("kLn2#F32", "ln 2", LN2, 24, 9)
    split("kLn2#F64", "ln 2", LN2, 53, 12)
    def p(r):
        return (r.exp() - 1 - r) / (r * r)
    for kind, precision, degree in (("F32", 24, 4), ("F64", 53, 9)):
        c, e = polynomial(p, lambda r: r * r / r.exp(), list(range(degree + 1)), -HALF_LN2, HALF_LN2, precision)
        table("kExp" + kind, "e^r = 1 + r + r^2 P(r), |r| <= ln2/2", c, e)
        c, e = polynomial(p, lambda r: abs(r * r / (r.exp() - 1)), list(range(degree + 1)), -HALF_LN2, HALF_LN2, precision)
        table("kExpm1" + kind, "e^r - 1 = r + r^2 P(r), |r| <= ln2/2", c, e)
    def sinh(x):
        return ((x.exp() - (-x).exp()) / 2 - x) / x**3
    for kind, precision, degree in (("F32", 24, 3), ("F64", 53, 7)):
        c, e = polynomial(even(sinh), lambda t: t / (1 + t / 6), list(range(degree + 1)), EPS, ONE, precision)
        table("kSinh" + kind, "sinh x = x + x^3 P(x^2), |x| <= 1", c, e)


def fit_log():
    root = D("0.5").sqrt()
    c, e = polynomial(lambda f: ((1 + f).ln() - f + f * f / 2) / f**3, lambda f: abs(f**3 / (1 + f).ln()),
                      list(range(8)), root - 1, 2 * root - 1)
    table("kLogF32", "log(1 + f) = f - f^2/2 + f^3 P(f), 1 + f in [sqrt 1/2, sqrt 2]", c, e)
    # log(1 + f) = 2 atanh s, s = f/(2 + f)
    def g(z):
        s = z.sqrt()
        return (((1 + s) / (1 - s)).ln() - 2 * s) / s**3
    s2 = ((2 * root - 1) / (1 + 2 * root)) ** 2
    c, e = polynomial(g, lambda z: z / (2 + z), list(range(7)), EPS, s2, 53)
    table("kLogF64", "log(1 + f) = 2s + s^3 P(s^2), s = f/(2 + f), 1 + f in [sqrt 1/2, sqrt 2]", c, e)
    c, e = polynomial(g, lambda z: z / (2 + z), list(range(5)), EPS, s2, 53)
    table("kLogRoughF64", "the same for a result in f32", c, e)
    # for pow: the cubic term apart, 2/3 in two parts
    def tail(z):
        return (g(z) - D(2) / 3) / z
    c, e = polynomial(tail, lambda z: z * z / 2, list(range(7)), EPS, s2, 53)
    table("kLogTailF64", "log(1 + f) = 2s + s^3 (2/3 + s^2 P(s^2))", c, e)
    constant("kTwoThirdsHi", "2/3", round_to(D(2) / 3, 53))
    constant("kTwoThirdsLo", "the rest of 2/3", round_to(D(2) / 3 - round_to(D(2) / 3, 53), 53))


def fit_erf():
    """|x| below the split: x + x P(x^2). Above: 1 - P(x)^root, since erfc^(1/root) is far smoother than erfc."""
    def small(x):
        return erf(x) / x - 1
    for kind, precision, split_at, end, root, low, high in (("F32", 24, "1.1", "3.93", 4, 6, 7),
                                                            ("F64", 53, "1.1", "5.93", 8, 14, 18)):
        c, e = polynomial(even(small), lambda t: 1 / (1 + small(t.sqrt())), list(range(low + 1)), EPS, D(split_at)**2, precision)
        table(f"kErfSmall{kind}", f"erf x = x + x P(x^2), |x| <= {split_at}", c, e)
        def tail(x):
            return (erfc(x).ln() / root).exp()
        c, e = polynomial(tail, lambda x: root * tail(x)**(root - 1), list(range(high + 1)), D(split_at), D(end), precision)
        table(f"kErfTail{kind}", f"erf x = 1 - P(x)^{root}, {split_at} <= x <= {end}; absolute", c, e)


def fit_trig():
    quarter = PI / 4 * D("1.001")
    for kind, precision, sin_degree, cos_degree in (("F32", 24, 2, 2), ("F64", 53, 5, 5)):
        c, e = polynomial(even(lambda x: (sin(x) - x) / x**3), lambda t: t / (1 - t / 6), list(range(sin_degree + 1)), EPS,
                          quarter**2, precision)
        table("kSin" + kind, "sin x = x + x^3 P(x^2), |x| <= pi/4", c, e)
        c, e = polynomial(even(lambda x: (cos(x) - 1 + x * x / 2) / x**4), lambda t: t * t / (1 - t / 2),
                          list(range(cos_degree + 1)), EPS, quarter**2, precision)
        table("kCos" + kind, "cos x = 1 - x^2/2 + x^4 P(x^2), |x| <= pi/4", c, e)
    for kind, precision, degree in (("F32", 24, 3), ("F64", 53, 10)):
        c, e = polynomial(even(lambda x: (atan(x) - x) / x**3), lambda t: t / (1 - t / 3), list(range(degree + 1)), EPS,
                          (D(2).sqrt() - 1)**2 * D("1.0001"), precision)
        table("kAtan" + kind, "atan x = x + x^3 P(x^2), |x| <= tan(pi/8)", c, e)
    for kind, precision, degree in (("F32", 24, 4), ("F64", 53, 11)):
        c, e = polynomial(even(lambda x: (asin(x) - x) / x**3), lambda t: t / (1 + t / 6), list(range(degree + 1)), EPS,
                          D("0.25"), precision)
        table("kAsin" + kind, "asin x = x + x^3 P(x^2), |x| <= 1/2", c, e)
    constant("kPiOver2Hi", "pi/2", round_to(PI / 2, 53))
    constant("kPiOver2Lo", "the rest of pi/2", round_to(PI / 2 - round_to(PI / 2, 53), 53))
    constant("kPiOver2HiF32", "pi/2 in f32", round_to(PI / 2, 24))
    constant("kPiOver2LoF32", "the rest of pi/2 in f32", round_to(PI / 2 - round_to(PI / 2, 24), 24))
    pieces, rest = [], PI / 2
    for precision in (33, 33, 53):
        pieces.append(truncate_to(rest, precision) if precision < 53 else round_to(rest, precision))
        rest -= pieces[-1]
    table("kPiOver2Pieces", "pi/2 in pieces of 33 bits, the last of 53", pieces, None)
    # 2/pi cut into pieces of equal width: piece k holds the bits of weight 2^-(k width + 1) to 2^-((k + 1) width)
    getcontext().prec = 420
    digits = 2 / (4 * (4 * atan(D(1) / 5) - atan(D(1) / 239)))
    for name, width, count, scaled in (("kTwoOverPi29", 29, 7, False), ("kTwoOverPi26", 26, 47, True)):
        rest, pieces = digits, []
        for k in range(count):
            unit = D(2) ** -(width * (k + 1))
            integer = (rest / unit).to_integral_value(rounding="ROUND_FLOOR")
            rest -= integer * unit
            pieces.append(integer if scaled else integer * unit)
        table(name, f"2/pi in pieces of {width} bits" + (", as integers" if scaled else ""), pieces, None)
    getcontext().prec = 60


HEADER = """// Generated by tools/fit_math.py: do not edit. Coefficients from the lowest power up; the errors are those of the
// approximations, relative unless stated, before evaluation adds its roundings. f32 tables hold values that are exact
// in f32.
#pragma once

namespace cameo::loop::math {

// clang-format off"""

if __name__ == "__main__":
    print(HEADER)
    for key, function in list(globals().items()):
        if key.startswith("fit_") and (len(sys.argv) == 1 or key[4:] in sys.argv[1:]):
            function()
    print("// clang-format on\n\n} // namespace cameo::loop::math")
