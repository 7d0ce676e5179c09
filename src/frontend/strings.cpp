// Strings.
#include "families.h"

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
  Attributes attributes = {
      {"mode", mode},
      {"min_gram", shortest},
      {"max_gram", longest},
      {"max_skip", skip},
      {"counts", counts},
      {"indexes", indexes},
      {"pool", n.has("pool_strings") ? ConstantData::strings({pool}, texts) : ConstantData::i64s(numbers)}};
  if (!weights.empty()) attributes.emplace_back("weights", weights);
  n.result(n.make(Op::tfidf, {n.input(0)}, std::move(attributes)));
}

} // namespace cameo::frontend
