/* The digits network at work: a C11 program that links what `cameo compile --dim batch=1` made of digits.onnx and reads
 * the held-out digits, none of which the network has seen in training.
 *
 *   demo DIR [reference.npy]   DIR holds test_images.npy and test_labels.npy; reference.npy the classes that another
 * engine gave
 *
 * Prints accuracy, macro recall and F1, latency, and some digits with their predictions: the first ones, and every
 * mistake.
 */
#define _POSIX_C_SOURCE 200809L
#include "digits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kClasses = 10, kSide = 8, kPixels = kSide * kSide, kShown = 8, kRepeats = 20 };

static void fail(const char *file, const char *what) {
  fprintf(stderr, "demo: %s: %s\n", file, what);
  exit(1);
}

/* Rows of `width` bytes from a .npy file of u8 in C order; their number in *count. */
static unsigned char *read_npy(const char *dir, const char *name, size_t width, size_t *count) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s%s%s", dir, *dir ? "/" : "", name) >= (int)sizeof path)
    fail(dir, "the path is too long");
  FILE *file = fopen(path, "rb");
  if (!file) fail(path, "cannot be opened");
  unsigned char start[10];
  char header[65536];
  if (fread(start, 1, sizeof start, file) != sizeof start || memcmp(start, "\x93NUMPY\x01", 7) != 0)
    fail(path, "is not a .npy file");
  const size_t length = start[8] + 256u * start[9];
  if (fread(header, 1, length, file) != length) fail(path, "is cut off");
  header[length < sizeof header ? length : sizeof header - 1] = 0;
  if (!strstr(header, "'|u1'") || !strstr(header, "'fortran_order': False")) fail(path, "is not of u8 in C order");
  unsigned char *rows = NULL;
  size_t used = 0, room = 0;
  for (;;) {
    if (used == room && !(rows = realloc(rows, room = 2 * room + 4096))) fail(path, "is too large");
    const size_t n = fread(rows + used, 1, room - used, file);
    if (n == 0) break;
    used += n;
  }
  fclose(file);
  if (used == 0 || used % width != 0) fail(path, "has not the expected shape");
  *count = used / width;
  return rows;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* One line of half blocks shows two rows of pixels. */
static void print_line(const unsigned char *pixels, int line, int colour) {
  for (int x = 0; x < kSide; ++x) {
    const int upper = pixels[2 * line * kSide + x], lower = pixels[(2 * line + 1) * kSide + x]; /* 0 to 16 */
    if (colour)
      printf("\x1b[38;5;%d;48;5;%dm\xe2\x96\x80", 232 + upper * 23 / 16, 232 + lower * 23 / 16);
    else
      fputs(upper > 6 ? (lower > 6 ? "\xe2\x96\x88" : "\xe2\x96\x80") : lower > 6 ? "\xe2\x96\x84" : " ", stdout);
  }
  if (colour) fputs("\x1b[0m", stdout);
}

static void print_digits(const unsigned char *images, const unsigned char *labels, const unsigned char *predicted,
                         const size_t *chosen, int count) {
  const int colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
  for (int line = 0; line < kSide / 2; ++line) {
    for (int i = 0; i < count; ++i) {
      fputs("  ", stdout);
      print_line(images + chosen[i] * kPixels, line, colour);
    }
    fputs("\n", stdout);
  }
  for (int i = 0; i < count; ++i) {
    const int is = labels[chosen[i]], says = predicted[chosen[i]];
    if (is == says)
      printf("  %-8d", says);
    else
      printf("  %d not %d ", says, is);
  }
  fputs("\n\n", stdout);
}

int main(int argc, char **argv) {
  if (argc < 2) fail("usage", "demo DIR [reference.npy]");
  size_t count = 0, labels_count = 0;
  unsigned char *images = read_npy(argv[1], "test_images.npy", kPixels, &count);
  unsigned char *labels = read_npy(argv[1], "test_labels.npy", 1, &labels_count);
  if (labels_count != count) fail(argv[1], "has not one label per image");
  unsigned char *predicted = malloc(count);
  double *seconds = malloc(count * sizeof *seconds);
  if (!predicted || !seconds) fail(argv[1], "is too large");

  CameoContext *context = NULL;
  int status = digits_create(NULL, &context);
  if (status != CAMEO_OK) fail("digits", digits_status_text(status));
  int confusion[kClasses][kClasses] = {{0}}; /* [label][prediction] */
  for (size_t i = 0; i < count; ++i) {
    float image[1][1][kSide][kSide], logits[1][kClasses];
    for (int p = 0; p < kPixels; ++p) image[0][0][p / kSide][p % kSide] = (float)images[i * kPixels + p] / 16;
    seconds[i] = INFINITY;
    for (int r = 0; r < kRepeats; ++r) {
      const double start = now();
      status = digits_call(context, (const float(*)[1][kSide][kSide])image, logits);
      const double took = now() - start;
      if (status != CAMEO_OK) fail("digits", digits_status_text(status));
      if (took < seconds[i]) seconds[i] = took;
    }
    int best = 0;
    for (int c = 1; c < kClasses; ++c)
      if (logits[0][c] > logits[0][best]) best = c;
    predicted[i] = (unsigned char)best;
    if (labels[i] < kClasses) ++confusion[labels[i]][best];
  }
  digits_destroy(context);

  int right = 0;
  double recall = 0, f1 = 0;
  for (int c = 0; c < kClasses; ++c) {
    int is = 0, says = 0;
    for (int k = 0; k < kClasses; ++k) is += confusion[c][k], says += confusion[k][c];
    right += confusion[c][c];
    if (is) recall += (double)confusion[c][c] / is / kClasses;
    if (is + says) f1 += 2.0 * confusion[c][c] / (is + says) / kClasses;
  }
  qsort(seconds, count, sizeof *seconds, compare);
  printf("accuracy      %.4f (%d of %zu held-out digits)\n", (double)right / (double)count, right, count);
  printf("macro recall  %.4f\nmacro F1      %.4f\n", recall, f1);
  printf("latency       %.2f us per digit (median of %zu, best of %d runs each, one thread)\n",
         seconds[count / 2] * 1e6, count, kRepeats);
  int differing = 0;
  if (argc > 2) {
    size_t n = 0;
    unsigned char *reference = read_npy("", argv[2], 1, &n);
    if (n != count) fail(argv[2], "has not one class per image");
    for (size_t i = 0; i < count; ++i) differing += reference[i] != predicted[i];
    printf("reference     %d of %zu predictions differ from ONNX Runtime's\n", differing, count);
    free(reference);
  }

  size_t chosen[kShown] = {0};
  int shown = 0;
  for (size_t i = 0; i < count && shown < kShown; ++i) chosen[shown++] = i;
  printf("\nThe first held-out digits and what the network says:\n\n");
  print_digits(images, labels, predicted, chosen, shown);
  shown = 0;
  for (size_t i = 0; i < count && shown < kShown; ++i)
    if (predicted[i] != labels[i]) chosen[shown++] = i;
  if (shown > 0) {
    printf("What it gets wrong:\n\n");
    print_digits(images, labels, predicted, chosen, shown);
  }
  free(images);
  free(labels);
  free(predicted);
  free(seconds);
  return differing == 0 ? 0 : 1;
}
