// The structure of a Dim as data.
#include "cameo/ir/dim_terms.h"

#include <gtest/gtest.h>

namespace cameo::graph {

TEST(DimTerms, ASumOfProductsIsItsTerms) {
  const Dim n = Dim::symbol("n"), m = Dim::symbol("m");
  const std::vector<DimTerm> terms = dim_terms(n * m * 6 + floordiv(n, 4) * 2 + 8);
  ASSERT_EQ(terms.size(), 3u);
  EXPECT_EQ(terms[0].coefficient, 6);
  EXPECT_EQ(terms[0].factors.size(), 2u);
  EXPECT_EQ(terms[1].coefficient, 2);
  ASSERT_EQ(terms[1].factors.size(), 1u);
  EXPECT_EQ(terms[1].factors[0].kind, DimFactor::Kind::floordiv);
  EXPECT_EQ(terms[1].factors[0].args[1], Dim(4));
  EXPECT_EQ(terms[2].coefficient, 8);
  EXPECT_TRUE(terms[2].factors.empty());
}

TEST(DimTerms, ContentIsTheCommonFactor) {
  const Dim n = Dim::symbol("n");
  EXPECT_EQ(content(n * 12 + 18), 6);
  EXPECT_EQ(content(Dim(-4)), 4);
  EXPECT_EQ(content(Dim(0)), 0);
}

} // namespace cameo::graph
