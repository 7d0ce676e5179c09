// Pieces of Graph IR's text form that several files of src/ir read and write.
#pragma once

#include "cameo/ir/dim_text.h"
#include "cameo/ir/type.h"

namespace cameo::graph {

// Recursive descent; a failure is recorded in the lexer, which then yields `end`, and the result is any valid value.
Type read_type(TextLexer &lexer);
Shape read_shape(TextLexer &lexer); ///< from `[` to `]`

/// The dtype that the next word names; fails otherwise.
DType read_dtype(TextLexer &lexer);

inline constexpr int kMaxNesting = 64; ///< of types and dimension expressions; regions: kMaxRegionNesting
inline constexpr int kMaxRank = 64;

} // namespace cameo::graph
