// Inputs of a run: from files, by symbol, random.
#include "../../src/driver/values.h"
#include "../support/scratch.h"

#include "cameo/support/npy.h"

#include <gtest/gtest.h>

#include <cmath>

namespace cameo::driver {
namespace {

using cameo::testing::Scratch;

PortInfo port(std::string name, DType dtype, std::vector<int64_t> dims, std::vector<std::string> symbols = {}) {
  symbols.resize(dims.size());
  return {std::move(name), dtype, std::move(dims), std::move(symbols)};
}

std::string write_npy(const Scratch &s, const std::string &name, DType dtype, std::vector<int64_t> shape) {
  Tensor t;
  t.dtype = dtype;
  t.shape = std::move(shape);
  t.data.resize(static_cast<size_t>(*byte_size(dtype, *element_count(t.shape))));
  const std::vector<std::byte> bytes = print_npy(t);
  return s.write(name, std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size()));
}

std::string first_error(const Result<Given> &given) { return given ? "ok" : to_string(given.errors()[0]); }

TEST(RandomTensor, EveryDtypeInItsRange) {
  for (int number = 1; number <= 26; ++number) {
    const auto dtype = dtype_from_onnx(number);
    if (!dtype || *dtype == DType::string) continue;
    auto t = random_tensor(port("x", *dtype, {7, 43}), {7, 43}, 1);
    ASSERT_TRUE(t.ok()) << name(*dtype);
    EXPECT_EQ(t->data.size(), static_cast<size_t>(*byte_size(*dtype, 301)));
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < 301; ++i) {
      low = std::min(low, element_value(*t, i));
      high = std::max(high, element_value(*t, i));
    }
    EXPECT_LT(low, high) << name(*dtype); // not all the same
    if (is_float(*dtype) && *dtype != DType::f8e8m0) {
      EXPECT_GE(low, -1) << name(*dtype);
      EXPECT_LE(high, 1) << name(*dtype);
      EXPECT_LT(low, 0) << name(*dtype);
    }
    if (is_integer(*dtype) && bits(*dtype) > 8) {
      EXPECT_EQ(low, 0) << name(*dtype);
      EXPECT_EQ(high, 1) << name(*dtype);
    }
  }
}

TEST(RandomTensor, DependsOnSeedAndNameOnly) {
  const auto make = [](const char *name, uint64_t seed) {
    return random_tensor(port(name, DType::f32, {8}), {8}, seed)->data;
  };
  EXPECT_EQ(make("a", 0), make("a", 0));
  EXPECT_NE(make("a", 0), make("b", 0));
  EXPECT_NE(make("a", 0), make("a", 1));
}

TEST(RandomTensor, RefusesWhatIsTooLarge) {
  EXPECT_FALSE(random_tensor(port("x", DType::f32, {}), {INT64_MAX, 2}, 0).ok());
  EXPECT_FALSE(random_tensor(port("x", DType::f32, {}), {int64_t{1} << 40}, 0).ok());
  const Result<Tensor> words = random_tensor(port("x", DType::string, {}), {3}, 0);
  ASSERT_TRUE(words.ok());
  ASSERT_EQ(words->strings.size(), 3u);
  EXPECT_TRUE(words->data.empty());
  for (const std::string &s : words->strings) EXPECT_TRUE(!s.empty() && s.size() <= 8) << s;
}

TEST(ReadInputs, SymbolsComeFromOptionsThenFilesThenOne) {
  Scratch s;
  const std::vector<PortInfo> ports = {port("x", DType::f32, {-1, 8, -1}, {"batch", "", "width"}),
                                       port("y", DType::f32, {-1, -1}, {"batch", "length"})};
  Options options;
  options.dims = {{"width", 5}};
  options.inputs = {{"x", write_npy(s, "x.npy", DType::f32, {3, 8, 5})}};
  auto given = read_inputs(ports, options);
  ASSERT_TRUE(given.ok()) << first_error(given);
  EXPECT_EQ(given->symbols, (Symbols{{"batch", 3}, {"length", 1}, {"width", 5}}));
  EXPECT_EQ(given->notes, std::vector<std::string>{"dim 'length' is 1: set it with --dim"});
  auto tensors = make_inputs(ports, std::move(*given), 0);
  EXPECT_EQ((*tensors)[0].shape, (std::vector<int64_t>{3, 8, 5}));
  EXPECT_EQ((*tensors)[1].shape, (std::vector<int64_t>{3, 1}));
}

TEST(ReadInputs, TellsEveryMistake) {
  Scratch s;
  const std::vector<PortInfo> ports = {port("image", DType::f32, {-1, 8}, {"batch", ""})};
  Options options;
  options.dims = {{"bacth", 2}, {"batch", 2}};
  options.inputs = {{"imgae", "none"}, {"image", write_npy(s, "x.npy", DType::f32, {3, 8})}};
  auto given = read_inputs(ports, options);
  ASSERT_FALSE(given.ok());
  ASSERT_EQ(given.errors().size(), 3u);
  EXPECT_EQ(to_string(given.errors()[0]), "--dim: no symbolic dim 'bacth', did you mean 'batch'?");
  EXPECT_EQ(to_string(given.errors()[1]), "--input: no input 'imgae', did you mean 'image'?");
  EXPECT_EQ(to_string(given.errors()[2]), s.path("x.npy") + ": is f32[3,8], input 'image' needs f32[batch,8]");
  options.dims.clear();
  options.inputs = {{"image", write_npy(s, "y.npy", DType::f64, {3, 8})}};
  EXPECT_EQ(first_error(read_inputs(ports, options)),
            s.path("y.npy") + ": is f64[3,8], input 'image' needs f32[batch,8]");
  options.inputs = {{"image", s.path("none.npy")}};
  EXPECT_EQ(first_error(read_inputs(ports, options)), s.path("none.npy") + ": No such file or directory");
  options.inputs = {{"image", s.write("z.npy", "not a tensor")}};
  EXPECT_EQ(first_error(read_inputs(ports, options)), s.path("z.npy") + ": not a .npy file");
}

TEST(FileName, IsTame) {
  EXPECT_EQ(file_name("logits"), "logits");
  EXPECT_EQ(file_name("a/b:0"), "a_b_0");
  EXPECT_EQ(file_name("../../etc"), "_.._.._etc");
  EXPECT_EQ(file_name(""), "_");
  EXPECT_EQ(file_name("\xff\n"), "__");
  EXPECT_EQ(file_name(std::string(5000, 'x')).size(), 100u);
}

} // namespace
} // namespace cameo::driver
