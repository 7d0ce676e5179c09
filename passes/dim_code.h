// Symbolic extents as code: the Loop IR that computes a Dim from the values of its symbols. Private to passes/.
#pragma once

#include "cameo/ir/dim.h"
#include "cameo/loop/builder.h"

#include <map>

namespace cameo::passes {

class DimCode {
public:
  /// `symbols`: the i64 value of each symbol, by Dim::symbol_key().
  DimCode(loop::Builder &builder, std::map<std::string, loop::Value> symbols)
      : b_(builder), symbols_(std::move(symbols)) {}

  /// The value of `dim`, computed once. The insertion point must be in the function's outermost block.
  loop::Value value(const graph::Dim &dim);
  /// The same as an address: constants stay constants.
  loop::Affine affine(const graph::Dim &dim);

private:
  loop::Builder &b_;
  std::map<std::string, loop::Value> symbols_;
  std::map<graph::Dim, loop::Value> known_;
};

} // namespace cameo::passes
