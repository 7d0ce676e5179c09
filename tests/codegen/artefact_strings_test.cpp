// Strings at the C interface: what a program sees of them, whose the text of outputs is and for how long, and that
// untrusted strings are a status at worst.
#include "artefact_models.h"

#include "cameo/loop/builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

namespace cameo::codegen {
namespace {

using loop::Builder;
using loop::Scalar;

// x: string[n] -> y: string[n] = x, numbers: i64[n] = what the program sees. The model's own: "", "a", "b\0c".
ArtefactSpec echo_spec(bool fixed = false) {
  ArtefactSpec spec;
  spec.prefix = "echo";
  if (!fixed) spec.symbols = {{"n", 0, 100000}};
  const DimSpec n = fixed ? DimSpec::fixed(2) : DimSpec::of_symbol(0);
  spec.inputs = {{"x", DType::string, {n}}};
  spec.outputs = {{"y", DType::string, {n}}, {"numbers", DType::i64, {n}}};
  spec.strings = {"", "a", std::string("b\0c", 3)};
  loop::Module module;
  {
    Builder b(module, "run");
    const loop::Value x = b.buffer_param("x", Scalar::i64, true), y = b.buffer_param("y", Scalar::i64, false),
                      numbers = b.buffer_param("numbers", Scalar::i64, false);
    b.buffer_param("weights", Scalar::i8, true, true, -1, 64);
    b.buffer_param("workspace", Scalar::i8, false, true, -1, 64);
    const loop::Value count = fixed ? b.index_constant(2) : b.scalar_param("n");
    b.function().exported = true;
    b.for_loop(b.index_constant(0), count, 1, {}, [&](loop::Value i, std::span<const loop::Value>) {
      const loop::Value v = b.load(x, loop::Affine(i));
      b.store(v, y, loop::Affine(i));
      b.store(v, numbers, loop::Affine(i));
      return std::vector<loop::Value>{};
    });
    b.finish();
  }
  Builder b(module, "workspace_bytes");
  if (!fixed) b.scalar_param("n");
  b.set_results({loop::kIndex});
  b.function().exported = true;
  b.finish({b.index_constant(0)});
  auto targets = resolve_targets("x86-64-v2");
  spec.variants.push_back({(*targets)[0], std::move(module)});
  return spec;
}

CameoString as_string(const std::string &s) { return {s.data(), static_cast<int64_t>(s.size())}; }
std::string as_text(const CameoString &s) { return {s.data, static_cast<size_t>(s.bytes)}; }

std::vector<CameoString> as_strings(const std::vector<std::string> &texts) {
  std::vector<CameoString> strings;
  for (const std::string &s : texts) strings.push_back(as_string(s));
  return strings;
}

// A run with room for `more` bytes behind the strings of y.
struct Call {
  explicit Call(std::vector<CameoString> strings, int64_t more = 0)
      : x(std::move(strings)), n(static_cast<int64_t>(x.size())), y(x.size() + static_cast<size_t>(more + 15) / 16),
        numbers(x.size()) {
    inputs[0] = {x.data(), n * 16, x_dims, CAMEO_STRING, 1};
    outputs[0] = {y.data(), n * 16 + more, y_dims, CAMEO_STRING, 1};
    outputs[1] = {numbers.data(), n * 8, numbers_dims, CAMEO_I64, 1};
    options.message = message;
    options.message_bytes = sizeof message;
  }
  int32_t run(const CameoModel &model, CameoContext *context) {
    x_dims[0] = n;
    return model.run(context, inputs, 1, outputs, 2, &options);
  }
  int32_t run_once(const CameoModel &model, const CameoOptions *create = nullptr) {
    x_dims[0] = n;
    return model.run_once(inputs, 1, outputs, 2, create, &options);
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> out;
    for (int64_t i = 0; i < n; ++i) out.push_back(as_text(y[static_cast<size_t>(i)]));
    return out;
  }
  std::vector<CameoString> x;
  int64_t n, x_dims[1] = {0}, y_dims[1] = {0}, numbers_dims[1] = {0};
  std::vector<CameoString> y;
  std::vector<int64_t> numbers;
  CameoInput inputs[1];
  CameoOutput outputs[2];
  CameoRunOptions options = no_run_options();
  char message[200] = "";
};

class ArtefactStrings : public ::testing::Test {
protected:
  ArtefactStrings() { EXPECT_EQ(model.create(nullptr, &context), CAMEO_OK); }
  ~ArtefactStrings() override { EXPECT_EQ(model.destroy(context), CAMEO_OK); }
  Library library{echo_spec()};
  const CameoModel &model = library.model();
  CameoContext *context = nullptr;
};

TEST_F(ArtefactStrings, EqualStringsHaveEqualNumbersAndTheModelsOwnComeFirst) {
  const std::vector<std::string> texts = {
      "zebra", "a", "", "zebra", std::string("b\0c", 3), "b", std::string("b\0", 2)};
  Call call(as_strings(texts));
  ASSERT_EQ(call.run(model, context), CAMEO_OK) << call.message;
  EXPECT_EQ(call.numbers, (std::vector<int64_t>{3, 1, 0, 3, 2, 4, 5}));
  EXPECT_EQ(call.texts(), texts);
  Call null({{nullptr, 0}});
  ASSERT_EQ(null.run(model, context), CAMEO_OK);
  EXPECT_EQ(null.numbers[0], 0);
  Call none({});
  EXPECT_EQ(none.run(model, context), CAMEO_OK) << none.message;
  EXPECT_EQ(model.inputs[0].dtype, CAMEO_STRING);
}

// The tree against a map: short strings over few letters share beginnings in every way.
TEST_F(ArtefactStrings, NumbersAreThoseOfAMap) {
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::string> texts(2000);
    for (std::string &s : texts) {
      s.resize(random() % (round % 4 == 0 ? 40 : 6));
      for (char &c : s) c = static_cast<char>(round % 2 ? "\0\1\x80\xff"[random() % 4] : 'a' + random() % 3);
    }
    Call call(as_strings(texts));
    ASSERT_EQ(call.run(model, context), CAMEO_OK);
    std::map<std::string, int64_t> numbers = {{"", 0}, {"a", 1}, {std::string("b\0c", 3), 2}};
    for (size_t i = 0; i < texts.size(); ++i)
      ASSERT_EQ(call.numbers[i], numbers.emplace(texts[i], static_cast<int64_t>(numbers.size())).first->second) << i;
    ASSERT_EQ(call.texts(), texts);
  }
}

TEST_F(ArtefactStrings, TextOfOutputsIsTheContextsUntilItsNextRun) {
  std::string first = "first text", second = "second text";
  Call call({as_string(first), as_string(second), as_string(first)});
  ASSERT_EQ(call.run(model, context), CAMEO_OK);
  first.assign("XXXXXXXXXX");
  second.assign("YYYYYYYYYYY");
  EXPECT_EQ(call.texts(), (std::vector<std::string>{"first text", "second text", "first text"}));
  EXPECT_EQ(call.y[0].data, call.y[2].data) << "one text, however often it is there";
}

TEST_F(ArtefactStrings, RunOnceStoresTextBehindTheStrings) {
  const std::vector<std::string> texts = {"long enough", "a", "long enough", "other"};
  Call small(as_strings(texts), 15);
  EXPECT_EQ(small.run_once(model), CAMEO_BUFFER_TOO_SMALL);
  EXPECT_STREQ(small.message, "output 'y': 80 bytes are needed for the strings and their text, 79 are given");
  EXPECT_EQ(small.outputs[0].bytes, 80);
  Call call(as_strings(texts), 16);
  ASSERT_EQ(call.run_once(model), CAMEO_OK) << call.message;
  EXPECT_EQ(call.texts(), texts);
  const char *begin = reinterpret_cast<const char *>(call.y.data());
  EXPECT_EQ(call.y[0].data, begin + 64);
  EXPECT_EQ(call.y[3].data, begin + 75);
}

TEST_F(ArtefactStrings, HostileStringsAreAStatus) {
  const char *text = "text";
  auto refused = [&](CameoString s, int32_t status, const std::string &message) {
    Call call({as_string("fine"), s});
    EXPECT_EQ(call.run(model, context), status) << message;
    EXPECT_EQ(call.message, message);
    EXPECT_NE(call.run_once(model), CAMEO_OK);
  };
  refused({text, -1}, CAMEO_BAD_STRING, "input 'x': string 1 has a negative or impossible length");
  refused({text, INT64_MIN}, CAMEO_BAD_STRING, "input 'x': string 1 has a negative or impossible length");
  refused({reinterpret_cast<const char *>(UINTPTR_MAX - 8), 16}, CAMEO_BAD_STRING,
          "input 'x': string 1 has a negative or impossible length");
  refused({nullptr, 1}, CAMEO_BAD_STRING, "input 'x': string 1 has null for its bytes");
  refused({nullptr, INT64_MAX}, CAMEO_BAD_STRING, "input 'x': string 1 has null for its bytes");
  EXPECT_STREQ(model.status_text(CAMEO_BAD_STRING), "a string has a negative or impossible length, or no bytes");

  Call overlaps({as_string("fine"), as_string("fine")});
  overlaps.x[1] = {reinterpret_cast<const char *>(overlaps.numbers.data()) + 15, 4};
  EXPECT_EQ(overlaps.run(model, context), CAMEO_OVERLAP);
  EXPECT_STREQ(overlaps.message, "input 'x': string 1 overlaps an output or the workspace");
  Call small({as_string("fine"), as_string("fine")});
  small.outputs[0].bytes = 31;
  EXPECT_EQ(small.run(model, context), CAMEO_BUFFER_TOO_SMALL);
  Call odd({as_string("fine")});
  odd.inputs[0].data = reinterpret_cast<const char *>(odd.x.data()) + 4;
  odd.inputs[0].bytes = 16;
  EXPECT_EQ(odd.run(model, context), CAMEO_MISALIGNED);
  Call behind({as_string("fine")}, 16); // text of an input where run_once would write
  behind.x[0] = {reinterpret_cast<const char *>(behind.y.data() + 1), 4};
  EXPECT_EQ(behind.run_once(model), CAMEO_OVERLAP);
}

// Gives memory until the n-th allocation, and counts what is out.
struct Meter {
  int64_t left, live = 0;
  static void *allocate(void *user, size_t bytes, size_t alignment) {
    Meter &m = *static_cast<Meter *>(user);
    if (m.left-- <= 0) return nullptr;
    m.live += static_cast<int64_t>(bytes);
    return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  }
  static void release(void *user, void *pointer, size_t bytes) {
    static_cast<Meter *>(user)->live -= static_cast<int64_t>(bytes);
    std::free(pointer);
  }
};

TEST_F(ArtefactStrings, EveryAllocationMayFail) {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) texts.push_back("some text that is not short " + std::to_string(i));
  bool succeeded = false;
  for (int64_t limit = 0; limit < 100 && !succeeded; ++limit) {
    Meter meter{limit};
    const CameoAllocator allocator = {Meter::allocate, Meter::release, &meter};
    CameoOptions options = no_options();
    options.allocator = &allocator;
    CameoContext *own = nullptr;
    const int32_t created = model.create(&options, &own);
    ASSERT_TRUE(created == CAMEO_OK || created == CAMEO_OUT_OF_MEMORY);
    if (created == CAMEO_OK) {
      Call call(as_strings(texts));
      const int32_t status = call.run(model, own);
      succeeded = status == CAMEO_OK;
      EXPECT_TRUE(succeeded || status == CAMEO_OUT_OF_MEMORY);
      if (succeeded) {
        EXPECT_EQ(call.texts(), texts);
      }
      EXPECT_EQ(model.destroy(own), CAMEO_OK);
    }
    EXPECT_EQ(meter.live, 0) << limit;
  }
  EXPECT_TRUE(succeeded);
}

TEST_F(ArtefactStrings, MemoryOfARunIsUsedAgain) {
  Meter meter{1000};
  const CameoAllocator allocator = {Meter::allocate, Meter::release, &meter};
  CameoOptions options = no_options();
  options.allocator = &allocator;
  CameoContext *own = nullptr;
  ASSERT_EQ(model.create(&options, &own), CAMEO_OK);
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back("text " + std::to_string(i));
  Call call(as_strings(texts));
  for (int i = 0; i < 10; ++i) ASSERT_EQ(call.run(model, own), CAMEO_OK);
  const int64_t live = meter.live, left = meter.left;
  for (int i = 0; i < 10; ++i) ASSERT_EQ(call.run(model, own), CAMEO_OK);
  EXPECT_EQ(meter.live, live);
  EXPECT_EQ(meter.left, left) << "the runs that follow allocate nothing";
  EXPECT_EQ(model.destroy(own), CAMEO_OK);
  EXPECT_EQ(meter.live, 0);
}

TEST(ArtefactStringsTyped, StringsOfOutputsNeedAContext) {
  const ArtefactSpec spec = echo_spec(true);
  const std::string header = c_header(spec);
  EXPECT_NE(header.find("int echo_call(CameoContext *context,\n    const CameoString x[2],\n    CameoString y[2],\n"
                        "    int64_t numbers[2]);"),
            std::string::npos)
      << header.substr(header.size() - 2000);
  EXPECT_EQ(header.find("int echo("), std::string::npos);
  const Library library(spec);
  const std::vector<std::string> names = exported_names(spec);
  EXPECT_EQ(std::count(names.begin(), names.end(), "echo"), 0);
  auto *call = library.function<int(CameoContext *, const CameoString *, CameoString *, int64_t *)>("echo_call");
  ASSERT_NE(call, nullptr);
  CameoContext *context = nullptr;
  ASSERT_EQ(library.model().create(nullptr, &context), CAMEO_OK);
  const CameoString x[2] = {{"same", 4}, {"same", 4}}, bad[2] = {{"same", 4}, {nullptr, 4}};
  CameoString y[2];
  int64_t numbers[2];
  ASSERT_EQ(call(context, x, y, numbers), CAMEO_OK);
  EXPECT_EQ(as_text(y[1]), "same");
  EXPECT_EQ(numbers[0], numbers[1]);
  EXPECT_EQ(call(context, bad, y, numbers), CAMEO_BAD_STRING);
  EXPECT_EQ(library.model().destroy(context), CAMEO_OK);
}

TEST(ArtefactStringsTyped, WhoHasNoStringsHasNoCodeForThem) {
  const std::string bytes = build(axpb_spec(), ArtefactKind::obj);
  EXPECT_EQ(bytes.find("no memory for strings"), std::string::npos);
  EXPECT_NE(build(echo_spec(), ArtefactKind::obj).find("no memory for strings"), std::string::npos);
}

} // namespace
} // namespace cameo::codegen
