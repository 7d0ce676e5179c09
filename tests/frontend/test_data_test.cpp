// Files of inputs and outputs: what is written reads back, changed files end in one line.
#include "cameo/frontend/tensor_pb.h"

#include "../support/mutate.h"

#include <gtest/gtest.h>

#include <cstring>

namespace cameo::frontend {
namespace {

std::span<const std::byte> as_bytes(const std::string &text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

Tensor numbers(DType dtype, std::vector<int64_t> shape) {
  Tensor t;
  t.dtype = dtype;
  t.shape = std::move(shape);
  t.data.resize(static_cast<size_t>(*byte_size(dtype, *element_count(t.shape))), std::byte{0x3f});
  return t;
}

TEST(TestData, ChangedTensorsAreRefusedOrTensors) {
  Tensor words;
  words.dtype = DType::string;
  words.shape = {2};
  words.strings = {"one", "two"};
  for (const Tensor &tensor : {numbers(DType::f32, {2, 3}), numbers(DType::i4, {3}), numbers(DType::c64, {2}), words}) {
    const std::string text = print_tensor_pb(tensor, "x");
    ASSERT_TRUE(parse_tensor_pb(as_bytes(text), "x.pb").ok());
    for (uint64_t seed = 0; seed < 4000; ++seed) {
      const std::string changed = testing::mutated(text, seed);
      const Result<Tensor> t = parse_tensor_pb(as_bytes(changed), "x.pb");
      if (!t.ok()) {
        EXPECT_FALSE(t.errors().empty());
        continue;
      }
      const auto count = element_count(t->shape);
      ASSERT_TRUE(count.has_value()) << seed;
      if (t->dtype == DType::string)
        EXPECT_EQ(t->strings.size(), static_cast<size_t>(*count)) << seed;
      else
        EXPECT_EQ(static_cast<int64_t>(t->data.size()), byte_size(t->dtype, *count)) << seed;
    }
  }
}

TEST(TestData, ChangedSequencesAreRefusedOrSequences) {
  PbValue sequence;
  sequence.kind = graph::TypeKind::sequence;
  for (int64_t n : {1, 2}) {
    PbValue element;
    element.tensor = numbers(DType::f32, {n});
    sequence.elements.push_back(element);
  }
  const graph::Type type = graph::Type::sequence(graph::Type::unranked(DType::f32));
  const std::string text = print_value_pb(sequence, "s");
  ASSERT_TRUE(parse_value_pb(as_bytes(text), type, "s.pb").ok());
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    const std::string changed = testing::mutated(text, seed);
    for (const graph::Type &as : {type, graph::Type::optional(type)})
      if (const Result<PbValue> value = parse_value_pb(as_bytes(changed), as, "s.pb"); value.ok())
        EXPECT_LE(value->elements.size(), changed.size()) << seed;
  }
}

} // namespace
} // namespace cameo::frontend
