// Elements of constants as text, private to the parser.
#pragma once

#include "cameo/ir/constant.h"
#include "cameo/support/text_lexer.h"

namespace cameo::graph {

/// Reads from `[` to `]` exactly `count` elements, the product of dims. Null after a failure, which the lexer records.
Constant read_elements(TextLexer &lexer, DType dtype, const std::vector<int64_t> &dims, int64_t count);

} // namespace cameo::graph
