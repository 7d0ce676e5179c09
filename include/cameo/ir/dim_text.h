// Dims inside longer texts: what parsers of text forms that contain expressions use besides parse_dim.
#pragma once

#include "cameo/ir/dim.h"
#include "cameo/support/text_lexer.h"

namespace cameo::graph {

/// Reads an expression in the syntax of Dim::str() at the lexer's position. A failure is recorded in the lexer, and the
/// result is then any valid dim.
Dim read_dim(TextLexer &lexer);

} // namespace cameo::graph
