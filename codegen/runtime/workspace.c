/* The memory of a context's own workspace.
 *
 * Most of what a first run costs over a later one are page faults of the workspace, one for each 4 KB that is
 * written first: SqueezeNet's 4 MB took 1.7 ms beside a run of 4.7 ms. So a large workspace is a mapping of its own
 * that starts at a multiple of 2 MB and ends where the workspace does: the kernel may back its whole multiples of
 * 2 MB by huge pages, and no memory behind its end. (When little is missing to the next multiple, at most an
 * eighth, it ends there.) The rest, less than 2 MB, gets its pages at once. Both are hints: without them every
 * page comes when it is touched. */
#include "runtime.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define PAGE ((size_t)4096)
/* Below this malloc keeps the memory at hand, and its pages with it. */
#define LARGE ((size_t)256 << 10)

/* Linux, the same on all architectures that we compile for. */
#define PROT_READ_WRITE 3
#define MAP_PRIVATE_ANONYMOUS 0x22
#define MADV_HUGEPAGE 14
#define MADV_POPULATE_WRITE 23

void *mmap(void *at, size_t bytes, int protection, int flags, int file, long offset);
int munmap(void *pointer, size_t bytes);
int madvise(void *pointer, size_t bytes, int advice);

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

static bool is_mapped(const CameoAllocator *allocator, size_t bytes) { return !allocator->allocate && bytes >= LARGE; }

static size_t mapped_size(size_t bytes) {
  const size_t huge = round_up(bytes, HUGE_PAGE);
  return huge - bytes <= bytes / 8 ? huge : round_up(bytes, PAGE);
}

void *workspace_allocate(const CameoAllocator *allocator, size_t bytes) {
  if (!is_mapped(allocator, bytes)) return context_allocate(allocator, bytes);
  if (bytes > SIZE_MAX / 2) return NULL;
  const size_t size = mapped_size(bytes), huge = size / HUGE_PAGE * HUGE_PAGE;
  const size_t room = huge ? size + HUGE_PAGE - PAGE : size;
  char *raw = mmap(NULL, room, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if ((intptr_t)raw == -1) return NULL;
  char *start = huge ? (char *)round_up((uintptr_t)raw, HUGE_PAGE) : raw, *end = start + size;
  if (start > raw) munmap(raw, (size_t)(start - raw));
  if (end < raw + room) munmap(end, (size_t)(raw + room - end));
  if (huge) madvise(start, huge, MADV_HUGEPAGE);
  if (size > huge) madvise(start + huge, size - huge, MADV_POPULATE_WRITE);
  return start;
}

void workspace_release(const CameoAllocator *allocator, void *pointer, size_t bytes) {
  if (!is_mapped(allocator, bytes))
    context_release(allocator, pointer, bytes);
  else if (pointer)
    munmap(pointer, mapped_size(bytes));
}
