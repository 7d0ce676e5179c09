/* A user's program: two compiled models, called in every way that their headers offer. C11, and through consumer.cpp
 * C++20. IN and OUT are the array types of the models' input and output after the element type: [2][4]. */
#include "one.h"
#include "two.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void check(int condition, const char *what) {
  if (!condition) {
    printf("failed: %s\n", what);
    ++failures;
  }
}

static float input IN, expected OUT;

/* The same through the general interface, with one thread and with two. */
static void check_model(const CameoModel *model, void *result, size_t bytes, const char *name) {
  check(model->abi_version == CAMEO_ABI_VERSION && strcmp(model->prefix, name) == 0, "describe");
  check(model->input_count == 1 && model->output_count == 1, "counts");
  for (int threads = 1; threads <= 2; ++threads) {
    CameoOptions options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.threads = threads;
    CameoContext *context = NULL;
    check(model->create(&options, &context) == CAMEO_OK, "create");
    int64_t in_dims[8], out_dims[8];
    for (int i = 0; i < model->inputs[0].rank; ++i) in_dims[i] = model->inputs[0].dims[i].extent;
    memset(result, 0, bytes);
    CameoInput in = {input, (int64_t)sizeof input, in_dims, CAMEO_F32, model->inputs[0].rank};
    CameoOutput out = {result, (int64_t)bytes, out_dims, CAMEO_F32, model->outputs[0].rank};
    for (int run = 0; run < 3; ++run) check(model->run(context, &in, 1, &out, 1, NULL) == CAMEO_OK, "run");
    check(memcmp(result, expected, bytes) == 0, "run gives what the typed call gives");
    check(out_dims[0] == model->outputs[0].dims[0].extent, "dims of the output");
    check(model->destroy(context) == CAMEO_OK, "destroy");
  }
}

int main(void) {
  float result OUT;
  float *flat = (float *)input;
  for (size_t i = 0; i < sizeof input / sizeof *flat; ++i) flat[i] = (float)(i % 17) / 16;

  check(one(input, expected) == CAMEO_OK, "one");
  check_model(one_describe(), result, sizeof result, "one");
  CameoContext *context = NULL;
  check(one_create(NULL, &context) == CAMEO_OK, "one_create");
  memset(result, 0, sizeof result);
  check(one_call(context, input, result) == CAMEO_OK, "one_call");
  check(memcmp(result, expected, sizeof result) == 0, "one_call gives what one gives");
  check(two_run(context, NULL, 0, NULL, 0, NULL) == CAMEO_BAD_CONTEXT, "a context of another model");
  check(one_destroy(context) == CAMEO_OK, "one_destroy");
  check(strcmp(one_status_text(CAMEO_OK), two_status_text(CAMEO_OK)) == 0, "status_text");
#ifdef FIXTURE
  /* y = a*x + b with a = 0.5, -1, ... and b = 1, 2, ... (tests/codegen/artefact_models.cpp) */
  check(expected[0][0] == 1 && expected[0][1] == -1.0f / 16 + 2, "the values of the fixture");
#endif

  check(two(input, expected) == CAMEO_OK, "two");
  check_model(two_describe(), result, sizeof result, "two");
  if (failures == 0) printf("ok\n");
  return failures != 0;
}
