// Attention against its definition: sizes that blocks and tiles do not divide, shared key heads, masks, a past,
// symbolic extents.
#include "program_runner.h"

namespace cameo::passes {
namespace {

struct Shape {
  int64_t batch = 1, heads = 2, groups = 2, queries = 4, keys = 4, size = 8, columns = 8, past = 0;
};

/// What the mask adds to the score of (batch, head, query, key); minus infinity forbids it.
using Mask = std::function<double(int64_t, int64_t, int64_t, int64_t)>;

double none(int64_t, int64_t, int64_t, int64_t) { return 0; }

Values attend(const Shape &s, const Values &q, const Values &k, const Values &v, double scale, const Mask &mask = none,
              double cap = 0) {
  const int64_t keys = s.keys + s.past;
  Values y;
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t i = 0; i < s.queries; ++i) {
        const int64_t g = b * s.groups + h / (s.heads / s.groups);
        Values p(static_cast<size_t>(keys));
        double top = -INFINITY, total = 0;
        for (int64_t j = 0; j < keys; ++j) {
          double sum = 0;
          for (int64_t d = 0; d < s.size; ++d)
            sum += q[size_t(((b * s.heads + h) * s.queries + i) * s.size + d)] * k[size_t((g * keys + j) * s.size + d)];
          sum *= scale;
          if (cap > 0) sum = cap * std::tanh(sum / cap);
          p[size_t(j)] = sum + mask(b, h, i, j);
          top = std::max(top, p[size_t(j)]);
        }
        for (double &e : p) total += e = top == -INFINITY ? 0 : std::exp(e - top);
        for (int64_t u = 0; u < s.columns; ++u) {
          double sum = 0;
          for (int64_t j = 0; j < keys; ++j) sum += p[size_t(j)] * v[size_t((g * keys + j) * s.columns + u)];
          y.push_back(total == 0 ? 0 : sum / total);
        }
      }
  return y;
}

std::string dims(std::initializer_list<int64_t> list) {
  std::string text;
  for (int64_t d : list) text += (text.empty() ? "" : ", ") + std::to_string(d);
  return text;
}

struct Case {
  Shape shape;
  Values q, k, v;
  explicit Case(const Shape &s) : shape(s) {
    q = some(s.batch * s.heads * s.queries * s.size, 1);
    k = some(s.batch * s.groups * (s.keys + s.past) * s.size, 2);
    v = some(s.batch * s.groups * (s.keys + s.past) * s.columns, 3);
  }
  // One node; `more` are further arguments, `operands` how the node names them.
  std::string text(const std::string &more = "", const std::string &operands = "",
                   const std::string &attributes = "causal = false") const {
    const Shape &s = shape;
    return "graph @g stage canonical {\n  main(%q: f32[" + dims({s.batch, s.heads, s.queries, s.size}) + "], %k: f32[" +
           dims({s.batch, s.groups, s.keys, s.size}) + "], %v: f32[" + dims({s.batch, s.groups, s.keys, s.columns}) +
           "]" + more + ") {\n    %y = attention %q, %k, %v" + operands + " {" + attributes + ", scale = 0.25} : f32[" +
           dims({s.batch, s.heads, s.queries, s.columns}) + "]\n    yield %y as \"y\"\n  }\n}\n";
  }
};

} // namespace

TEST(Attention, SizesThatTilesAndBlocksDoNotDivide) {
  for (const Shape &s :
       {Shape{1, 2, 2, 128, 128, 32, 32}, Shape{2, 3, 3, 20, 70, 16, 16}, Shape{1, 1, 1, 33, 67, 8, 24},
        Shape{1, 2, 2, 50, 131, 48, 5}, Shape{1, 4, 4, 7, 1, 16, 16}, Shape{1, 1, 1, 9, 16, 3, 3}}) {
    SCOPED_TRACE(dims({s.queries, s.keys, s.size, s.columns}));
    const Case c(s);
    check_graph(c.text(), {c.q, c.k, c.v}, {attend(s, c.q, c.k, c.v, 0.25)}, 2e-5);
  }
}

TEST(Attention, OneQuery) {
  for (const Shape &s : {Shape{1, 4, 4, 1, 512, 64, 64}, Shape{2, 4, 2, 1, 77, 20, 36}, Shape{1, 2, 1, 3, 5, 7, 9}}) {
    SCOPED_TRACE(dims({s.queries, s.keys, s.size}));
    const Case c(s);
    check_graph(c.text(), {c.q, c.k, c.v}, {attend(s, c.q, c.k, c.v, 0.25)}, 2e-5);
  }
}

// Keys side by side in memory, as a cache of transposed keys has them, and no whole number of vectors of them.
TEST(Attention, OneQueryOfKeysThatLieAcross) {
  for (const Shape &s : {Shape{1, 2, 2, 1, 77, 64, 64}, Shape{1, 2, 2, 3, 130, 32, 16}, Shape{1, 1, 1, 1, 5, 8, 8}}) {
    SCOPED_TRACE(dims({s.queries, s.keys, s.size, s.columns}));
    const Case c(s);
    std::string text = c.text();
    const std::string row = dims({s.batch, s.groups, s.keys, s.size}),
                      column = dims({s.batch, s.groups, s.size, s.keys});
    text.replace(text.find("%k: f32[" + row), 8 + row.size(), "%across: f32[" + column);
    text.insert(text.find("    %y"), "    %k = transpose %across {perm = [0, 1, 3, 2]} : f32[" + row + "]\n");
    Values across(c.k.size());
    for (int64_t g = 0; g < s.batch * s.groups; ++g)
      for (int64_t j = 0; j < s.keys; ++j)
        for (int64_t d = 0; d < s.size; ++d)
          across[size_t((g * s.size + d) * s.keys + j)] = c.k[size_t((g * s.keys + j) * s.size + d)];
    check_graph(text, {c.q, across, c.v}, {attend(s, c.q, c.k, c.v, 0.25)}, 2e-5);
  }
}

TEST(Attention, QueryHeadsShareKeys) {
  for (int64_t groups : {1, 2, 3}) {
    const Shape s{2, 6, groups, 18, 40, 16, 16};
    const Case c(s);
    check_graph(c.text(), {c.q, c.k, c.v}, {attend(s, c.q, c.k, c.v, 0.25)}, 2e-5);
  }
}

TEST(Attention, MasksBroadcast) {
  const Shape s{2, 3, 3, 21, 70, 16, 16};
  const Case c(s);
  for (const auto &[b, h, i] :
       {std::tuple<int64_t, int64_t, int64_t>{2, 3, 21}, {2, 1, 1}, {1, 3, 1}, {1, 1, 21}, {1, 1, 1}}) {
    SCOPED_TRACE(dims({b, h, i}));
    const Values m = some(b * h * i * s.keys, 5, 0.5);
    auto at = [&, b = b, h = h, i = i](int64_t x, int64_t y, int64_t z, int64_t j) {
      return m[size_t((((b > 1 ? x : 0) * h + (h > 1 ? y : 0)) * i + (i > 1 ? z : 0)) * s.keys + j)];
    };
    check_graph(c.text(", %m: f32[" + dims({b, h, i, s.keys}) + "]", ", %m"), {c.q, c.k, c.v, m},
                {attend(s, c.q, c.k, c.v, 0.25, at)}, 2e-5);
    Values allowed;
    for (double e : m) allowed.push_back(e > -2 ? 1 : 0);
    check_graph(c.text(", %m: bool[" + dims({b, h, i, s.keys}) + "]", ", %m"), {c.q, c.k, c.v, allowed},
                {attend(s, c.q, c.k, c.v, 0.25, [&](auto... x) { return at(x...) > -2 ? 0 : -INFINITY; })}, 2e-5);
  }
}

TEST(Attention, CausalAndCapped) {
  const Shape s{1, 2, 2, 37, 37, 16, 16};
  const Case c(s);
  const Mask lower = [](int64_t, int64_t, int64_t i, int64_t j) { return j <= i ? 0 : -INFINITY; };
  check_graph(c.text("", "", "causal = true"), {c.q, c.k, c.v}, {attend(s, c.q, c.k, c.v, 0.25, lower)}, 2e-5);
  check_graph(c.text("", "", "softcap = 1.5, causal = false"), {c.q, c.k, c.v},
              {attend(s, c.q, c.k, c.v, 0.25, none, 1.5)}, 2e-5);
}

TEST(Attention, ARowWithoutAnyKeyIsZero) {
  const Shape s{1, 1, 1, 20, 5, 8, 8};
  const Case c(s);
  Values m(20 * 5, 1);
  for (size_t j = 0; j < 5; ++j) m[3 * 5 + j] = 0;
  const Mask mask = [&](int64_t, int64_t, int64_t i, int64_t) { return i == 3 ? -INFINITY : 0; };
  check_graph(c.text(", %m: bool[20, 5]", ", %m"), {c.q, c.k, c.v, m}, {attend(s, c.q, c.k, c.v, 0.25, mask)}, 2e-5);
}

TEST(Attention, SymbolicExtents) {
  for (int64_t n : {1, 31, 33, 100}) {
    SCOPED_TRACE(n);
    const Shape s{2, 2, 2, n, n, 16, 16};
    const Case c(s);
    const Values m = some(2 * n, 5, 0.5);
    const std::string text = R"(graph @g stage canonical {
  main(%q: f32[b, n, 2, 16], %k: f32[b, n, 2, 16], %v: f32[b, n, 2, 16], %m: f32[b, 1, 1, n]) {
    %1 = transpose %q {perm = [0, 2, 1, 3]} : f32[b, 2, n, 16]
    %2 = transpose %k {perm = [0, 2, 1, 3]} : f32[b, 2, n, 16]
    %3 = transpose %v {perm = [0, 2, 1, 3]} : f32[b, 2, n, 16]
    %4 = attention %1, %2, %3, %m {causal = false, scale = 0.25} : f32[b, 2, n, 16]
    %5 = transpose %4 {perm = [0, 2, 1, 3]} : f32[b, n, 2, 16]
    %y = reshape %5 : f32[b, n, 32]
    yield %y as "y"
  }
}
)";
    auto turned = [&](const Values &x) { // [b, 2, n, 16] to [b, n, 2, 16]
      Values out;
      for (int64_t b = 0; b < 2; ++b)
        for (int64_t i = 0; i < n; ++i)
          for (int64_t h = 0; h < 2; ++h)
            for (int64_t d = 0; d < 16; ++d) out.push_back(x[size_t(((b * 2 + h) * n + i) * 16 + d)]);
      return out;
    };
    const Mask mask = [&](int64_t b, int64_t, int64_t, int64_t j) { return m[size_t(b * n + j)]; };
    check_graph(text, {turned(c.q), turned(c.k), turned(c.v), m}, {turned(attend(s, c.q, c.k, c.v, 0.25, mask))}, 2e-5,
                {2, n});
  }
}

// The values between all stages have memory then.
TEST(Attention, HeadsOfSymbolicSize) {
  const Shape s{2, 6, 2, 3, 5, 8, 7};
  const Case c(s);
  check_graph(R"(graph @g stage canonical {
  main(%q: f32[2, 6, n, d], %k: f32[2, 2, m, d], %v: f32[2, 2, m, e]) {
    %y = attention %q, %k, %v {causal = false, scale = 0.25} : f32[2, 6, n, e]
    yield %y as "y"
  }
})",
              {c.q, c.k, c.v}, {attend(s, c.q, c.k, c.v, 0.25)}, 1e-5, {3, 8, 5, 7});
}

TEST(Attention, MaskWhoseExtentsOnlyTheRunKnows) {
  const Shape s{1, 2, 2, 20, 40, 16, 16};
  const Case c(s);
  for (const auto &[rows, columns] : {std::pair<int64_t, int64_t>{20, 40}, {1, 40}, {20, 1}, {1, 1}}) {
    SCOPED_TRACE(dims({rows, columns}));
    const Values m = some(rows * columns, 5, 0.5);
    auto at = [&, rows = rows, columns = columns](int64_t, int64_t, int64_t i, int64_t j) {
      return m[size_t((rows > 1 ? i : 0) * columns + (columns > 1 ? j : 0))];
    };
    check_graph(c.text(", %m: f32[rows, columns]", ", %m"), {c.q, c.k, c.v, m}, {attend(s, c.q, c.k, c.v, 0.25, at)},
                2e-5, {rows, columns});
  }
}

TEST(Attention, PastKeysAndLengths) {
  const Shape s{2, 4, 2, 3, 5, 16, 16, 9};
  const Case c(s);
  auto part = [&](const Values &x, int64_t from, int64_t count, int64_t width) {
    Values out;
    for (int64_t row = 0; row < s.batch * s.groups; ++row)
      for (int64_t j = from; j < from + count; ++j)
        for (int64_t e = 0; e < width; ++e) out.push_back(x[size_t((row * (s.keys + s.past) + j) * width + e)]);
    return out;
  };
  const Values old_k = part(c.k, 0, s.past, s.size), new_k = part(c.k, s.past, s.keys, s.size),
               old_v = part(c.v, 0, s.past, s.columns), new_v = part(c.v, s.past, s.keys, s.columns);
  const Mask lower = [&](int64_t, int64_t, int64_t i, int64_t j) { return j <= i + s.past ? 0 : -INFINITY; };
  const std::string past = ", %pk: f32[" + dims({2, 2, s.past, 16}) + "], %pv: f32[" + dims({2, 2, s.past, 16}) + "]";
  check_graph(c.text(past, ", _, %pk, %pv", "causal = true"), {c.q, new_k, new_v, old_k, old_v},
              {attend(s, c.q, c.k, c.v, 0.25, lower)}, 2e-5);
  // All results: the present keys and values, and the weights.
  const std::string all =
      "graph @g stage canonical {\n  main(%q: f32[2, 4, 3, 16], %k: f32[2, 2, 5, 16], %v: f32[2, 2, 5, 16]" + past +
      ") {\n    %y, %a, %b = attention %q, %k, %v, _, %pk, %pv {causal = true, scale = 0.25} : f32[2, 4, 3, 16], "
      "f32[2, 2, 14, 16], f32[2, 2, 14, 16]\n    yield %y as \"y\", %a as \"a\", %b as \"b\"\n  }\n}\n";
  check_graph(all, {c.q, new_k, new_v, old_k, old_v}, {attend(s, c.q, c.k, c.v, 0.25, lower), c.k, c.v}, 2e-5);
  const Shape plain{2, 4, 2, 3, 14, 16, 16};
  const Case d(plain);
  const Values lengths = {14, 6};
  const Mask valid = [&](int64_t b, int64_t, int64_t, int64_t j) { return j < lengths[size_t(b)] ? 0 : -INFINITY; };
  check_graph(d.text(", %n: i64[2]", ", _, _, _, %n"), {d.q, d.k, d.v, lengths},
              {attend(plain, d.q, d.k, d.v, 0.25, valid)}, 2e-5);
}

TEST(Attention, SymbolicHeadsAndProbabilities) {
  // 4 query heads share 2 key heads, as only the run knows; the rows of probabilities are a result as well.
  auto text = [](const std::string &h, const std::string &s, const std::string &g, const std::string &t) {
    return "graph @g stage canonical {\n  main(%q: f32[1, " + h + ", " + s + ", 8], %k: f32[1, " + g + ", " + t +
           ", 8], %v: f32[1, " + g + ", " + t +
           ", 3]) {\n    %y, %pk, %pv, %p = attention %q, %k, %v {scale = 0.5, causal = true, qk_output = softmax} : "
           "f32[1, " +
           h + ", " + s + ", 3], f32[1, " + g + ", " + t + ", 8], f32[1, " + g + ", " + t + ", 3], f32[1, " + h + ", " +
           s + ", " + t + "]\n    yield %y as \"y\", %pk as \"pk\", %pv as \"pv\", %p as \"p\"\n  }\n}\n";
  };
  const std::vector<Values> inputs = {some(4 * 5 * 8, 1), some(2 * 7 * 8, 2), some(2 * 7 * 3, 3)};
  const RunResult want = run_graph(parse_graph(text("4", "5", "2", "7")), inputs);
  ASSERT_EQ(want.outputs.size(), 4u);
  check_graph(text("h", "s", "g", "t"), inputs, want.outputs, 1e-5, {4, 5, 2, 7});
  check_graph(
      text("h", "s", "h", "t"), {inputs[0], some(4 * 7 * 8, 2), some(4 * 7 * 3, 3)},
      run_graph(parse_graph(text("4", "5", "4", "7")), {inputs[0], some(4 * 7 * 8, 2), some(4 * 7 * 3, 3)}).outputs,
      1e-5, {4, 5, 7});
}

} // namespace cameo::passes
