// Misuse of a compiled library (RELIABILITY.md, R01 to R18): every wrong argument is a status with a message, and
// nothing is read or written before it was checked.
#include "artefact_models.h"

#include <gtest/gtest.h>

#include <functional>

namespace cameo::codegen {
namespace {

// A correct call of `rows` (x: f32[n][3], bias: f32[n] -> y: f32[n][3], half: i64[n/2+1]) to be spoiled by each test.
struct Call {
  int64_t x_dims[2] = {4, 3}, bias_dims[1] = {4}, y_dims[2] = {-5, -5}, half_dims[1] = {-5};
  alignas(64) float x[12] = {}, bias[4] = {}, y[13] = {};
  alignas(64) int64_t half[4] = {};
  alignas(64) char workspace[256];
  char message[200] = "unchanged";
  CameoInput inputs[2] = {{x, 48, x_dims, CAMEO_F32, 2}, {bias, 16, bias_dims, CAMEO_F32, 1}};
  CameoOutput outputs[2] = {{y, 48, y_dims, CAMEO_F32, 2}, {half, 24, half_dims, CAMEO_I64, 1}};
  CameoRunOptions options = no_run_options();
  CameoContext *context = nullptr;
  const CameoInput *inputs_argument = inputs;
  CameoOutput *outputs_argument = outputs;
  int32_t input_count = 2, output_count = 2;
};

class ArtefactMisuse : public ::testing::Test {
protected:
  ArtefactMisuse() { EXPECT_EQ(model.create(nullptr, &context), CAMEO_OK); }
  ~ArtefactMisuse() override {
    // The context has survived all of it.
    expect(CAMEO_OK, "", [](Call &) {});
    EXPECT_EQ(model.destroy(context), CAMEO_OK);
  }

  void expect(int32_t status, const std::string &message, const std::function<void(Call &)> &spoil) {
    Call call;
    call.context = context;
    call.options.message = call.message;
    call.options.message_bytes = sizeof call.message;
    spoil(call);
    EXPECT_EQ(model.run(call.context, call.inputs_argument, call.input_count, call.outputs_argument, call.output_count,
                        &call.options),
              status)
        << message;
    EXPECT_EQ(std::string(call.message), message);
    if (status != CAMEO_OK) {
      for (float y : call.y) EXPECT_EQ(y, 0) << message;
      for (int64_t h : call.half) EXPECT_EQ(h, 0) << message;
    }
  }

  Library library{rows_spec()};
  const CameoModel &model = library.model();
  CameoContext *context = nullptr;
};

TEST_F(ArtefactMisuse, NullPointers) {
  expect(CAMEO_NULL_POINTER, "a required pointer is null", [](Call &c) { c.context = nullptr; });
  expect(CAMEO_NULL_POINTER, "inputs is null", [](Call &c) { c.inputs_argument = nullptr; });
  expect(CAMEO_NULL_POINTER, "outputs is null", [](Call &c) { c.outputs_argument = nullptr; });
  expect(CAMEO_NULL_POINTER, "input 'x': data is null", [](Call &c) { c.inputs[0].data = nullptr; });
  expect(CAMEO_NULL_POINTER, "input 'bias': dims is null", [](Call &c) { c.inputs[1].dims = nullptr; });
  expect(CAMEO_NULL_POINTER, "output 'y': data is null", [](Call &c) { c.outputs[0].data = nullptr; });
  expect(CAMEO_NULL_POINTER, "output 'half': dims is null", [](Call &c) { c.outputs[1].dims = nullptr; });
  expect(CAMEO_OK, "unchanged", [](Call &c) { c.options.message = nullptr; });
  expect(CAMEO_WRONG_COUNT, "unchanged", [](Call &c) { c.options.message_bytes = 0, c.input_count = 3; });
  int64_t bytes = 0, n = 4;
  EXPECT_EQ(model.workspace_size(nullptr, 1, 1, &bytes), CAMEO_NULL_POINTER);
  EXPECT_EQ(model.workspace_size(&n, 1, 1, nullptr), CAMEO_NULL_POINTER);
  EXPECT_EQ(model.create(nullptr, nullptr), CAMEO_NULL_POINTER);
  Call call;
  EXPECT_EQ(model.shape(nullptr, 2, call.outputs, 2), CAMEO_NULL_POINTER);
  EXPECT_EQ(model.shape(call.inputs, 2, nullptr, 2), CAMEO_NULL_POINTER);
  call.outputs[0].dims = nullptr;
  EXPECT_EQ(model.shape(call.inputs, 2, call.outputs, 2), CAMEO_NULL_POINTER);
}

TEST_F(ArtefactMisuse, Counts) {
  expect(CAMEO_WRONG_COUNT, "number of inputs is 1, must be 2", [](Call &c) { c.input_count = 1; });
  expect(CAMEO_WRONG_COUNT, "number of inputs is -1, must be 2", [](Call &c) { c.input_count = -1; });
  expect(CAMEO_WRONG_COUNT, "number of outputs is 2147483647, must be 2", [](Call &c) { c.output_count = INT32_MAX; });
  int64_t bytes = 0, n[2] = {4, 4};
  EXPECT_EQ(model.workspace_size(n, 2, 1, &bytes), CAMEO_WRONG_COUNT);
  EXPECT_EQ(model.workspace_size(n, -1, 1, &bytes), CAMEO_WRONG_COUNT);
  Call call;
  EXPECT_EQ(model.shape(call.inputs, 1, call.outputs, 2), CAMEO_WRONG_COUNT);
  EXPECT_EQ(model.shape(call.inputs, 2, call.outputs, 0), CAMEO_WRONG_COUNT);
}

TEST_F(ArtefactMisuse, DtypesAndRanks) {
  expect(CAMEO_WRONG_DTYPE, "input 'x': dtype is 11, must be 1", [](Call &c) { c.inputs[0].dtype = CAMEO_F64; });
  expect(CAMEO_WRONG_DTYPE, "input 'x': dtype is -2147483648, must be 1",
         [](Call &c) { c.inputs[0].dtype = INT32_MIN; });
  expect(CAMEO_WRONG_DTYPE, "output 'half': dtype is 999, must be 7", [](Call &c) { c.outputs[1].dtype = 999; });
  expect(CAMEO_WRONG_RANK, "input 'x': rank is 3, must be 2", [](Call &c) { c.inputs[0].rank = 3; });
  expect(CAMEO_WRONG_RANK, "input 'bias': rank is -1, must be 1", [](Call &c) { c.inputs[1].rank = -1; });
  expect(CAMEO_WRONG_RANK, "output 'y': rank is 0, must be 2", [](Call &c) { c.outputs[0].rank = 0; });
}

TEST_F(ArtefactMisuse, Dims) {
  expect(CAMEO_WRONG_DIM, "input 'x': dim 1 is 4, must be 3", [](Call &c) { c.x_dims[1] = 4; });
  expect(CAMEO_SYMBOL_CONFLICT, "input 'bias': dim 0 is 3, but symbol 'n' is 4 already",
         [](Call &c) { c.bias_dims[0] = 3; });
  for (int64_t n : {int64_t(-1), INT64_MIN, int64_t(1001), INT64_MAX})
    expect(CAMEO_DIM_OUT_OF_RANGE, "input 'x': dim 0 is " + std::to_string(n) + ", but symbol 'n' must be in 0..1000",
           [=](Call &c) { c.x_dims[0] = c.bias_dims[0] = n; });
  int64_t bytes = 0, n = 1001;
  EXPECT_EQ(model.workspace_size(&n, 1, 1, &bytes), CAMEO_DIM_OUT_OF_RANGE);
  // No elements: data may be null, the outputs that do not depend on them are computed.
  expect(CAMEO_OK, "", [](Call &c) {
    c.x_dims[0] = c.bias_dims[0] = 0;
    c.inputs[0].data = c.inputs[1].data = c.outputs[0].data = nullptr;
    c.inputs[0].bytes = c.inputs[1].bytes = c.outputs[0].bytes = 0;
  });
}

TEST_F(ArtefactMisuse, Sizes) {
  expect(CAMEO_BUFFER_TOO_SMALL, "input 'x': 48 bytes are needed, 47 are given",
         [](Call &c) { c.inputs[0].bytes = 47; });
  expect(CAMEO_BUFFER_TOO_SMALL, "input 'bias': 16 bytes are needed, -1 are given",
         [](Call &c) { c.inputs[1].bytes = -1; });
  expect(CAMEO_BUFFER_TOO_SMALL, "output 'y': 48 bytes are needed, 0 are given",
         [](Call &c) { c.outputs[0].bytes = 0; });
  // The dims say what is needed, those of the other outputs too.
  Call call;
  call.outputs[0].bytes = 47;
  EXPECT_EQ(model.run(context, call.inputs, 2, call.outputs, 2, nullptr), CAMEO_BUFFER_TOO_SMALL);
  EXPECT_EQ(call.y_dims[0], 4);
  EXPECT_EQ(call.y_dims[1], 3);
  EXPECT_EQ(call.half_dims[0], 3);
}

TEST_F(ArtefactMisuse, Alignment) {
  for (int shift = 1; shift < 4; ++shift)
    expect(CAMEO_MISALIGNED, "input 'bias': data is not aligned to its element type",
           [=](Call &c) { c.inputs[1].data = reinterpret_cast<const char *>(c.bias) + shift; });
  expect(CAMEO_MISALIGNED, "output 'half': data is not aligned to its element type",
         [](Call &c) { c.outputs[1].data = reinterpret_cast<char *>(c.half) + 4; });
  // Of the element, not of the vector.
  expect(CAMEO_OK, "", [](Call &c) { c.outputs[0].data = c.y + 1; });
}

TEST_F(ArtefactMisuse, Overlap) {
  expect(CAMEO_OVERLAP, "output 'y': overlaps 'x'", [](Call &c) { c.outputs[0].data = c.x; });
  expect(CAMEO_OVERLAP, "output 'y': overlaps 'bias'", [](Call &c) { c.inputs[1].data = c.y + 11; });
  expect(CAMEO_OVERLAP, "output 'half': overlaps 'y'", [](Call &c) { c.outputs[1].data = c.y + 10; });
  expect(CAMEO_OK, "", [](Call &c) { c.inputs[1].data = c.x; }); // inputs may share
}

TEST_F(ArtefactMisuse, Options) {
  expect(CAMEO_BAD_OPTIONS, "unchanged", [](Call &c) { c.options.struct_size = 0; });
  CameoContext *made = nullptr;
  CameoOptions options = no_options();
  auto create = [&](int32_t status) {
    made = reinterpret_cast<CameoContext *>(8);
    EXPECT_EQ(model.create(&options, &made), status);
    EXPECT_EQ(made, nullptr);
    options = no_options();
  };
  options.struct_size = 8;
  create(CAMEO_BAD_OPTIONS);
  options.threads = -1;
  create(CAMEO_BAD_OPTIONS);
  options.threads = 1025;
  create(CAMEO_BAD_OPTIONS);
  options.reserved = 1;
  create(CAMEO_BAD_OPTIONS);
  CameoPool pool = {nullptr, nullptr};
  options.pool = &pool;
  create(CAMEO_NULL_POINTER);
  pool.parallel = [](void *, int64_t, CameoTask, void *) {};
  options.pool = &pool;
  options.threads = 2;
  create(CAMEO_BAD_OPTIONS);
  CameoAllocator allocator = {nullptr, nullptr, nullptr};
  options.allocator = &allocator;
  create(CAMEO_NULL_POINTER);
  // Memory that is less aligned than was asked for is given back.
  static int balance;
  allocator = {[](void *, size_t, size_t) -> void * { return ++balance, reinterpret_cast<void *>(8); },
               [](void *, void *, size_t) { --balance; }, nullptr};
  options.allocator = &allocator;
  create(CAMEO_OUT_OF_MEMORY);
  EXPECT_EQ(balance, 0);
  int64_t bytes = 0, n = 4;
  EXPECT_EQ(model.workspace_size(&n, 1, -1, &bytes), CAMEO_BAD_OPTIONS);
}

TEST_F(ArtefactMisuse, ContextsOfNobody) {
  alignas(64) char zeros[1024] = {};
  expect(CAMEO_BAD_CONTEXT, "not a context of this model",
         [&](Call &c) { c.context = reinterpret_cast<CameoContext *>(zeros); });
  EXPECT_EQ(model.destroy(reinterpret_cast<CameoContext *>(zeros)), CAMEO_BAD_CONTEXT);
}

TEST_F(ArtefactMisuse, MessagesAreCutToTheRoom) {
  for (size_t room : {1u, 2u, 10u}) {
    Call call;
    call.options.message = call.message;
    call.options.message_bytes = room;
    EXPECT_EQ(model.run(context, call.inputs, 1, call.outputs, 2, &call.options), CAMEO_WRONG_COUNT);
    EXPECT_EQ(std::string(call.message), std::string("number of inputs").substr(0, room - 1));
  }
}

TEST(ArtefactWorkspace, TooSmallOrShared) {
  Library library(axpb_spec());
  const CameoModel &model = library.model();
  CameoContext *context = nullptr;
  ASSERT_EQ(model.create(nullptr, &context), CAMEO_OK);
  F32 x{std::vector<float>(8), {2, 4}}, y{std::vector<float>(8), {2, 4}};
  const CameoInput input = x.input();
  CameoOutput output = y.output();
  alignas(64) char memory[256];
  char message[100];
  CameoRunOptions options = no_run_options();
  options.message = message;
  options.message_bytes = sizeof message;
  options.workspace = memory;
  for (int64_t bytes : {int64_t(0), int64_t(63), int64_t(-1), INT64_MIN}) {
    options.workspace_bytes = bytes;
    EXPECT_EQ(model.run(context, &input, 1, &output, 1, &options), CAMEO_WORKSPACE_TOO_SMALL);
  }
  EXPECT_EQ(std::string(message).substr(0, 30), "the workspace has -92233720368");
  options.workspace = nullptr; // an allocation that failed is not a wish for the context's own
  options.workspace_bytes = sizeof memory;
  EXPECT_EQ(model.run(context, &input, 1, &output, 1, &options), CAMEO_NULL_POINTER);
  EXPECT_STREQ(message, "workspace is null, but workspace_bytes is not 0");
  options.workspace = memory;
  options.workspace = nullptr; // an allocation that failed is not a wish for the context's own
  options.workspace_bytes = sizeof memory;
  EXPECT_EQ(model.run(context, &input, 1, &output, 1, &options), CAMEO_NULL_POINTER);
  EXPECT_STREQ(message, "workspace is null, but workspace_bytes is not 0");
  options.workspace = memory;
  options.workspace_bytes = 64; // enough when it is aligned
  EXPECT_EQ(model.run(context, &input, 1, &output, 1, &options), CAMEO_OK);
  options.workspace = memory + 1;
  EXPECT_EQ(model.run(context, &input, 1, &output, 1, &options), CAMEO_WORKSPACE_TOO_SMALL);
  options.workspace = memory;
  options.workspace_bytes = sizeof memory;
  output.data = memory + 32;
  EXPECT_EQ(model.run(context, &input, 1, &output, 1, &options), CAMEO_OVERLAP);
  EXPECT_STREQ(message, "output 'y': overlaps 'workspace'");
  output.data = y.data.data();
  CameoInput inside = input;
  inside.data = memory + 60;
  EXPECT_EQ(model.run(context, &inside, 1, &output, 1, &options), CAMEO_OVERLAP);
  EXPECT_STREQ(message, "input 'x': overlaps the workspace");
  model.destroy(context);
}

// Sizes whose product exceeds 64 bits, where the range of the symbols would let them pass.
TEST(ArtefactOverflow, IsAStatusBeforeAnyMemoryIsTouched) {
  ArtefactSpec spec = rows_spec("huge");
  spec.symbols[0].max = INT64_MAX;
  Library library(spec);
  const CameoModel &model = library.model();
  CameoContext *context = nullptr;
  ASSERT_EQ(model.create(nullptr, &context), CAMEO_OK);
  for (int64_t n : {INT64_MAX, INT64_MAX / 12 + 1, INT64_MAX / 96 + 1}) {
    Call call;
    call.x_dims[0] = call.bias_dims[0] = n;
    for (CameoInput &input : call.inputs) input.bytes = INT64_MAX;
    for (CameoOutput &output : call.outputs) output.bytes = INT64_MAX;
    EXPECT_EQ(model.run(context, call.inputs, 2, call.outputs, 2, nullptr), CAMEO_DIM_OUT_OF_RANGE) << n;
    EXPECT_EQ(model.shape(call.inputs, 2, call.outputs, 2), CAMEO_DIM_OUT_OF_RANGE);
  }
  model.destroy(context);
}

TEST(ArtefactTypes, AlignmentAndPacking) {
  // Two 4-bit elements in a byte, three elements: two bytes. Alignment 1.
  ArtefactSpec spec = axpb_spec("packed");
  spec.inputs = {{"x", DType::i4, {DimSpec::fixed(3)}}};
  spec.outputs = {{"y", DType::c128, {}}};
  Library library(spec);
  const CameoModel &model = library.model();
  EXPECT_EQ(model.inputs[0].bytes, 2);
  EXPECT_EQ(model.outputs[0].bytes, 16);
  alignas(8) char x[8], y[24];
  const int64_t dims[] = {3};
  CameoInput input = {x + 1, 1, dims, CAMEO_I4, 1};
  CameoOutput output = {y + 4, 16, nullptr, CAMEO_C128, 0};
  EXPECT_EQ(model.run_once(&input, 1, &output, 1, nullptr, nullptr), CAMEO_BUFFER_TOO_SMALL);
  input.bytes = 2;
  EXPECT_EQ(model.run_once(&input, 1, &output, 1, nullptr, nullptr), CAMEO_MISALIGNED);
}

} // namespace
} // namespace cameo::codegen
