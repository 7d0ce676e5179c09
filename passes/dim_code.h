// Symbolic extents as code: the Loop IR that computes a Dim from the values of its symbols. Private to passes/.
#pragma once

#include "cameo/ir/dim.h"
#include "cameo/loop/builder.h"

#include <functional>
#include <map>
#include <string>

namespace cameo::passes {

class DimCode {
public:
  using Load = std::function<loop::Value(const std::string &key)>;

  /// `symbols`: the i64 value of each symbol, by Dim::symbol_key(). `load` gives those of other symbols, which lie in
  /// memory.
  DimCode(loop::Builder &builder, std::map<std::string, loop::Value> symbols, Load load = {})
      : b_(builder), symbols_(std::move(symbols)), load_(std::move(load)) {}

  /// The value of `dim`, computed once. A copy of this object serves a block inside the one where it was made.
  loop::Value value(const graph::Dim &dim);
  /// A float (f64) that no number on the way to value(dim) exceeds: below 2^62 the value is exact, it did not wrap.
  loop::Value magnitude(const graph::Dim &dim);
  /// value(dim) as an address: constants stay constants.
  loop::Affine affine(const graph::Dim &dim);

  /// From here on `key`, which lies in memory, has that value.
  void set(const std::string &key, loop::Value value);
  /// Symbols in memory may have changed: they are loaded again.
  void forget_runtime();

private:
  loop::Value symbol(const std::string &key);
  void forget(const std::function<bool(const std::string &key)> &which);

  loop::Builder &b_;
  std::map<std::string, loop::Value> symbols_;
  Load load_;
  std::map<std::string, loop::Value> loaded_;
  std::map<graph::Dim, loop::Value> known_;
};

} // namespace cameo::passes
