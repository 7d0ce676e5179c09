// Strings.
#include "families.h"

#include "cameo/support/regex.h"

#include <algorithm>

namespace cameo::frontend {

void import_string_concat(NodeImport &n) { n.result(n.map(Fn::string_concat, {n.input(0), n.input(1)})); }

void import_string_normalizer(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int rank = x->type().rank();
  if (rank < 1 || rank > 2 || (rank == 2 && x->type().dim(0).is_constant() && !x->type().dim(0).is(1)))
    return void(n.fail("the input is " + x->type().str() + ", not [c] or [1, c]"));
  std::string change = n.word("case_change_action", {"NONE", "LOWER", "UPPER"});
  std::transform(change.begin(), change.end(), change.begin(), [](char c) { return char(c + 32); });
  const std::vector<std::string> stopwords = n.texts("stopwords");
  Attributes attributes = {{"case", change}, {"case_sensitive", n.flag("is_case_sensitive")}, {"stopwords", stopwords}};
  if (n.has("locale")) attributes.emplace_back("locale", n.text("locale"));
  Shape shape = x->type().shape();
  if (!stopwords.empty()) shape.back() = n.fresh_dim(max(shape.back(), 1)); // nothing left: one empty string
  n.result(
      n.make_typed(Op::string_normalize, {x}, std::move(attributes), Type::tensor(DType::string, std::move(shape))));
}

void import_string_split(NodeImport &n) {
  Attributes attributes;
  if (const std::string delimiter = n.text("delimiter"); !delimiter.empty())
    attributes.emplace_back("delimiter", delimiter);
  if (n.has("maxsplit")) {
    if (n.integer("maxsplit", 0) < 0) return void(n.fail("maxsplit is " + std::to_string(n.integer("maxsplit", 0))));
    attributes.emplace_back("max_split", n.integer("maxsplit", 0));
  }
  const std::vector<Value *> ys = n.make_many(Op::string_split, {n.input(0)}, std::move(attributes), 2);
  n.result(0, ys[0]);
  n.result(1, ys[1]);
}

void import_regex_full_match(NodeImport &n) {
  if (const auto program = compile_regex(n.text("pattern")); !program) {
    const std::string what = "pattern " + program.errors()[0].what;
    return void(exit_code(program.errors()) == ExitCode::unsupported ? n.unsupported(what) : n.fail(what));
  }
  n.result(n.make(Op::regex_match, {n.input(0)}, {{"pattern", n.text("pattern")}}));
}

void import_tfidf(NodeImport &n) {
  const std::vector<int64_t> counts = n.ints("ngram_counts"), indexes = n.ints("ngram_indexes"),
                             numbers = n.ints("pool_int64s");
  const std::vector<std::string> texts = n.texts("pool_strings");
  const std::vector<double> weights = n.reals("weights");
  const int64_t shortest = n.integer("min_gram_length"), longest = n.integer("max_gram_length"),
                skip = n.integer("max_skip_count");
  const auto pool = int64_t(n.has("pool_strings") ? texts.size() : numbers.size());
  if (n.has("pool_strings") == n.has("pool_int64s")) return void(n.fail("needs either pool_strings or pool_int64s"));
  if (n.has("pool_strings") != (n.input(0)->type().dtype() == DType::string))
    return void(n.fail("the pool has another type than the input"));
  if (shortest < 1 || longest < shortest || longest > 1 << 16 || skip < 0)
    return void(n.fail("gram lengths " + std::to_string(shortest) + " to " + std::to_string(longest) + ", skip " +
                       std::to_string(skip)));
  if (int64_t(counts.size()) < longest)
    return void(n.fail("ngram_counts has " + std::to_string(counts.size()) + " entries for grams of " +
                       std::to_string(longest)));
  int64_t grams = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const int64_t end = i + 1 < counts.size() ? counts[i + 1] : pool;
    if (counts[i] < 0 || counts[i] > end || end > pool || (end - counts[i]) % int64_t(i + 1) != 0)
      return void(n.fail("ngram_counts do not fit a pool of " + std::to_string(pool)));
    grams += (end - counts[i]) / int64_t(i + 1);
  }
  if (counts[0] != 0 || grams != int64_t(indexes.size()))
    return void(n.fail(std::to_string(indexes.size()) + " ngram_indexes for " + std::to_string(grams) + " grams"));
  if (!weights.empty() && weights.size() != indexes.size())
    return void(n.fail(std::to_string(weights.size()) + " weights for " + std::to_string(indexes.size()) + " grams"));
  for (int64_t i : indexes)
    if (i < 0 || i > INT32_MAX) return void(n.fail("an index is " + std::to_string(i)));
  std::string mode = n.word("mode", {"TF", "IDF", "TFIDF"});
  std::transform(mode.begin(), mode.end(), mode.begin(), [](char c) { return char(c + 32); });
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  if (x->type().rank() < 1 || x->type().rank() > 2) return void(n.fail("the input is " + x->type().str()));
  if (!x->type().dim(-1).is_constant()) return void(n.unsupported("rows of a length known only at run time"));
  const bool single = x->type().rank() == 1;
  const Dim batch = single ? Dim(1) : x->type().dim(0);
  const int64_t length = x->type().dim(-1).value();
  if (length > 1 << 16 || skip > 1 << 16) return void(n.unsupported("rows or gaps of more than 65536 elements"));
  x = n.reshape(x, {batch, length});
  // occurrences[b, g] = sum over gaps and starts of (all k: x[b, start + k * gap] == gram[g][k]); single numbers have
  // no gaps.
  std::vector<Value *> parts;
  std::vector<int64_t> columns;
  std::vector<double> factors;
  int64_t first = 0; // gram of this size
  for (int64_t size = 1; size <= int64_t(counts.size()); ++size) {
    const int64_t begin = counts[size_t(size - 1)], end = size < int64_t(counts.size()) ? counts[size_t(size)] : pool;
    const int64_t same_size = (end - begin) / size;
    if (size >= shortest && size <= longest && same_size > 0) {
      Value *sum = n.broadcast(n.scalar(DType::f32, 0), {batch, same_size});
      for (int64_t gap = 1; gap <= (size == 1 ? 1 : skip + 1); ++gap) {
        const int64_t starts = length - (size - 1) * gap;
        if (starts < 1) break;
        Value *all = nullptr;
        for (int64_t k = 0; k < size; ++k) {
          auto elements = [&](const auto &pool) { // element k of each gram
            std::vector<std::decay_t<decltype(pool[0])>> wanted;
            for (int64_t g = 0; g < same_size; ++g) wanted.push_back(pool[size_t(begin + g * size + k)]);
            return wanted;
          };
          Value *grams =
              n.constant(texts.empty() ? ConstantData::of_ints(DType::i64, {1, 1, same_size}, elements(numbers))
                                       : ConstantData::strings({1, 1, same_size}, elements(texts)));
          Value *here = n.slice(x, 1, k * gap, starts);
          here = n.reshape(texts.empty() ? n.cast(here, DType::i64) : here, {batch, starts, 1});
          Value *hit = n.map(Fn::equal, {here, grams});
          all = all ? n.map(Fn::logical_and, {all, hit}) : hit;
        }
        sum = n.map(Fn::add, {sum, n.reduce("sum", n.cast(all, DType::f32), {1}, false)});
      }
      parts.push_back(sum);
      for (int64_t g = 0; g < same_size; ++g) {
        columns.push_back(indexes[size_t(first + g)]);
        factors.push_back(weights.empty() ? 1 : weights[size_t(first + g)]);
      }
    }
    first += same_size;
  }
  const int64_t width = indexes.empty() ? 0 : *std::max_element(indexes.begin(), indexes.end()) + 1;
  Value *y = n.broadcast(n.scalar(DType::f32, 0), {batch, width});
  if (!parts.empty()) {
    const auto grams = int64_t(columns.size());
    Value *occurrences = n.concat(std::move(parts), 1);
    if (mode == "idf") occurrences = n.map(Fn::min, {occurrences, n.scalar(DType::f32, 1)});
    if (mode != "tf" && !weights.empty())
      occurrences = n.map(Fn::mul, {occurrences, n.constant(ConstantData::of_rounded(DType::f32, {grams}, factors))});
    Value *places = n.broadcast(n.reshape(n.ints_constant(columns), {1, grams}), {batch, grams});
    y = n.make(Op::scatter_elements, {y, places, occurrences},
               {{"axis", int64_t{1}}, {"reduction", std::string("add")}});
  }
  n.result(single ? n.reshape(y, {width}) : y);
}

} // namespace cameo::frontend
