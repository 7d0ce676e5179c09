/* A user's program that passes sequences: the model `pushpop` has inputs xs, a sequence of f32[?][2], and x: f32[1][2],
 * and outputs pushed, xs and x behind it, and popped, xs without its last element. */
#include "pushpop.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void check(int condition, const char *what) {
  if (!condition) {
    printf("failed: %s\n", what);
    ++failures;
  }
}

static CameoContext *context;
static const float x[1][2] = {{9, 10}};

/* A run on `n` elements whose extents are `dims` and whose data are the first `total` of 1, 2, ... */
static int64_t pushed_dims[8][2], popped_dims[8][2];
static float pushed[16], popped[16];
static int64_t shapes[4][2];

static int32_t run(const int64_t dims[][2], int64_t n, int64_t total, int64_t popped_bytes) {
  static const float data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  const int64_t list_dims[2] = {n, 2}, x_dims[2] = {1, 2};
  const CameoInput inputs[3] = {{dims, n * (int64_t)sizeof dims[0], list_dims, CAMEO_I64, 2},
                                {data, (int64_t)sizeof data, &total, CAMEO_F32, 1},
                                {x, (int64_t)sizeof x, x_dims, CAMEO_F32, 2}};
  CameoOutput outputs[4] = {{pushed_dims, sizeof pushed_dims, shapes[0], CAMEO_I64, 2},
                            {pushed, sizeof pushed, shapes[1], CAMEO_F32, 1},
                            {popped_dims, sizeof popped_dims, shapes[2], CAMEO_I64, 2},
                            {popped, popped_bytes, shapes[3], CAMEO_F32, 1}};
  memset(pushed, 0, sizeof pushed);
  memset(popped, 0, sizeof popped);
  return pushpop_run(context, inputs, 3, outputs, 4, NULL);
}

int main(void) {
  const CameoModel *model = pushpop_describe();
  check(model->struct_size >= sizeof *model, "the description has the containers");
  check(model->input_container_count == 1 && model->output_container_count == 2, "count of the containers");
  const CameoContainer *xs = &model->input_containers[0], *out = model->output_containers;
  check(strcmp(xs->name, "xs") == 0 && xs->kind == CAMEO_SEQUENCE && xs->dtype == CAMEO_F32, "what xs is");
  check(xs->rank == 2 && xs->first == 0 && xs->count == 2 && xs->reserved == 0, "where xs is");
  check(xs->dims[0].extent == -1 && xs->dims[0].symbol == CAMEO_DIM_AT_RUN && xs->dims[1].extent == 2, "its elements");
  check(strcmp(out[1].name, "popped") == 0 && out[1].first == 2 && out[1].count == 2, "where the outputs are");
  check(strcmp(model->inputs[0].name, "xs.dims") == 0 && strcmp(model->inputs[1].name, "xs.data") == 0, "names");
  check(strcmp(model->symbols[0].name, "xs.length") == 0 && strcmp(model->symbols[1].name, "xs.total") == 0, "symbols");

  check(pushpop_create(NULL, &context) == CAMEO_OK, "create");
  const int64_t two[2][2] = {{1, 2}, {3, 2}};
  check(run(two, 2, 8, sizeof popped) == CAMEO_OK, "run");
  check(shapes[0][0] == 3 && shapes[0][1] == 2 && shapes[1][0] == 10, "one more");
  check(pushed_dims[2][0] == 1 && pushed_dims[2][1] == 2 && pushed[7] == 8 && pushed[8] == 9 && pushed[9] == 10, "x");
  check(shapes[2][0] == 1 && shapes[3][0] == 2 && popped_dims[0][0] == 1 && popped[1] == 2 && popped[2] == 0,
        "one less");

  check(run(two, 2, 8, 4) == CAMEO_BUFFER_TOO_SMALL && shapes[3][0] == 2, "no room: the dims say how much is needed");
  const int64_t empty[1][2] = {{0, 2}};
  check(run(empty, 1, 0, sizeof popped) == CAMEO_OK && shapes[0][0] == 2 && shapes[2][0] == 0, "an empty element");
  check(run(empty, 0, 0, sizeof popped) >= CAMEO_INDEX_OUT_OF_RANGE, "nothing to take away");

  /* What does not fit together. */
  const int64_t other[1][2] = {{1, 3}}, negative[2][2] = {{-1, 2}, {5, 2}}, huge[1][2] = {{INT64_C(1) << 62, 2}};
  check(run(other, 1, 3, sizeof popped) == CAMEO_SHAPE_MISMATCH, "another extent than the model's");
  check(run(negative, 2, 8, sizeof popped) == CAMEO_SHAPE_MISMATCH, "a negative extent");
  check(run(huge, 1, 0, sizeof popped) == CAMEO_SHAPE_MISMATCH, "a product that is 0 in 64 bits");
  check(run(two, 2, 6, sizeof popped) == CAMEO_SHAPE_MISMATCH, "too little data");
  check(run(two, 1, 8, sizeof popped) == CAMEO_SHAPE_MISMATCH, "too much data");
  check(run(two, -1, 8, sizeof popped) == CAMEO_DIM_OUT_OF_RANGE, "a negative count");
  check(run(two, 2, -8, sizeof popped) == CAMEO_DIM_OUT_OF_RANGE, "negative data");
  check(run(two, 2, 9, sizeof popped) == CAMEO_BUFFER_TOO_SMALL, "fewer bytes than data");
  check(run(two, 2, 8, sizeof popped) == CAMEO_OK && popped[1] == 2, "and again");
  check(pushpop_destroy(context) == CAMEO_OK, "destroy");
  if (failures == 0) printf("ok\n");
  return failures != 0;
}
